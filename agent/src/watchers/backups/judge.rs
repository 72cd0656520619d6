//! Judges the newest of each series, in slices, and only what has changed since it was judged.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use plumb_proto::time::Timestamp;

use super::proof::{self, First, Proof, Verdict, Walk};
use super::series::{Item, Series};
use super::{At, Backups, Judged, writer};
use crate::host::{ErrorKind, Host, HostError, HostFile, Links};
use crate::watcher::Look;

/// What was written to so lately may still be written.
const SETTLED: Duration = Duration::from_secs(60);
/// What nobody has written to for so long is judged, even if it is still open.
const STUCK: Duration = Duration::from_secs(6 * 3_600);
/// Compressed bytes that are unpacked in one slice.
const SLICE: u64 = 1 << 20;
impl Backups {
    /// Judges one series after the other; stays in [`At::Judging`] while there is more.
    pub(super) fn judge(
        &mut self,
        look: &Look<'_>,
        mut todo: BTreeMap<Vec<u8>, Series>,
        mut begun: Option<(Vec<u8>, Item, Walk)>,
    ) {
        let mut files = 0;
        while let Some((key, series)) = todo.pop_first() {
            let mut chosen = None;
            let mut writing = false;
            for item in &series.newest {
                let settled = is_settled(item, look.now);
                let known = self.judged.get(&key).is_some_and(|known| known.identity == item.identity);
                if !known {
                    if !settled && item.size.is_some_and(|size| size > SLICE) && is_gzip(look.host, item) {
                        writing = true; // too much to be unpacked on the chance that it is done
                        continue;
                    }
                    files += 1;
                    // One that is being written comes before the one that is gone through.
                    let walk = begun.take_if(|(of, which, _)| *of == key && which.identity == item.identity);
                    let Some(found) = self.examine(look.host, item, walk.map(|(_, _, walk)| walk), &mut begun, &key)
                    else {
                        todo.insert(key, series);
                        self.at = At::Judging(todo, begun);
                        return;
                    };
                    let verdict = found.as_ref().map(|proof| proof.verdict);
                    let waits = matches!(verdict, Ok(Verdict::Incomplete(_)))
                        && look.now.since(item.at) < STUCK
                        && writer::is_at_work(look.host, &item.path);
                    if waits || (!settled && verdict != Ok(Verdict::Complete)) {
                        writing = true;
                        continue;
                    }
                    self.judged.insert(key.clone(), Judged { identity: item.identity, at: look.now, found });
                }
                chosen = Some(item.clone());
                break;
            }
            self.known.writing |= writing;
            self.row(look, key, series, chosen, writing);
            if files >= 20 && !todo.is_empty() {
                self.at = At::Judging(todo, begun);
                return;
            }
        }
        self.at = At::Idle;
    }

    /// Finds out about a file; `None` while it is being gone through, which then goes on from `begun`.
    fn examine(
        &mut self,
        host: &Host,
        item: &Item,
        walk: Option<Walk>,
        begun: &mut Option<(Vec<u8>, Item, Walk)>,
        key: &[u8],
    ) -> Option<Result<Proof, HostError>> {
        let unreadable = |error: &std::io::Error| ErrorKind::from_io(error).at(&item.path);
        let mut file = match open(host, item) {
            Ok(file) => file,
            Err(error) => return Some(Err(error)),
        };
        if file.meta().identity != item.identity {
            self.known.writing = true;
            let verdict = Verdict::Unjudged("it changed while it was read");
            return Some(Ok(Proof { verdict, program: None, encrypted: None }));
        }
        let size = file.meta().size;
        let mut walk = match walk {
            Some(walk) => walk,
            None => match proof::judge(&mut file, size, item.path.as_os_str().as_encoded_bytes()) {
                Ok(First::Proof(proof)) => return Some(Ok(proof)),
                Ok(First::Walk(walk)) => walk,
                Err(error) => return Some(Err(unreadable(&error))),
            },
        };
        if walk.unpacks() && size > self.unpack_bytes {
            let verdict = Verdict::Unjudged("it is bigger than what is unpacked (unpack_bytes)");
            return Some(Ok(Proof { verdict, program: None, encrypted: Some(false) }));
        }
        match walk.go_on(&mut file, size, SLICE) {
            Ok(Some(proof)) => Some(Ok(proof)),
            Ok(None) => {
                *begun = Some((key.to_vec(), item.clone(), walk));
                None
            }
            Err(error) => Some(Err(unreadable(&error))),
        }
    }
}

/// Whether nobody has written to it for a while. A time that lies ahead says nothing, so it does not hold up anything.
fn is_settled(item: &Item, now: Timestamp) -> bool {
    now.since(item.at) >= SETTLED || item.at.since(now) >= SETTLED
}

fn open(host: &Host, item: &Item) -> Result<HostFile, HostError> {
    host.open_by(&item.path, Links::Never)
}

fn is_gzip(host: &Host, item: &Item) -> bool {
    let mut magic = [0; 2];
    let read = open(host, item).map(|mut file| file.read_exact(&mut magic));
    matches!(read, Ok(Ok(()))) && magic == [0x1f, 0x8b]
}
