//! A watcher made for tests: it reads numbered lines from a file through the ordinary cursor path, each line an event.
//! Whatever kills the agent, what `plumb events` tells afterwards must be what was written.

use std::io::{Read, Seek, SeekFrom};

use plumb_agent::watcher::{Look, Progress, Spec, Watcher, seconds};
use plumb_proto::model::Severity;

/// On the list of the test agent only.
pub const SPEC: Spec = Spec::new::<Lines>(
    "lines",
    seconds(1),
    &[],
    r#"
# The file whose lines become events; only whole lines count.
path = "/nowhere"
# Lines told in one look, at most.
most = 500
"#,
)
.with_cursor();

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    path: String,
    most: usize,
}

impl Watcher for Lines {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let from = look.cursor("offset").and_then(|place| place.try_into().ok()).map_or(0, u64::from_be_bytes);
        let mut file = match look.host.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.is_absent() => return Ok(Progress::Absent),
            Err(error) => return Err(error.into()),
        };
        let mut fresh = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(64 << 10).read_to_end(&mut fresh)?;
        // the writer may be in the middle of a line: half a line is no line
        let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (mut told, mut read) = (0, 0);
        for line in fresh[..whole].split_inclusive(|byte| *byte == b'\n').take(self.most) {
            look.event(look.now, "line", Severity::Info, &line[..line.len() - 1]);
            read += line.len() as u64;
            told += 1;
        }
        if told == 0 {
            return Ok(Progress::Done);
        }
        look.set_cursor("offset", (from + read).to_be_bytes().to_vec());
        Ok(if told == self.most { Progress::More } else { Progress::Done })
    }

    fn wake_on(&self) -> Vec<std::path::PathBuf> {
        vec![self.path.clone().into()]
    }
}
