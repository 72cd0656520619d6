//! A log that is written to, rotated in every way there is, and followed by a watcher that dies all the time.
//!
//! Time is virtual: 2,000 lines a second, one rotation a second. Lines are numbered, and each tells its number as the
//! bytes of an answer, so their count and their sum say which were counted. The watcher dies by being dropped: what it
//! told since the last commit is forgotten, and the next one begins with the cursors of that commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use plumb_agent::host::Host;
use plumb_agent::watcher::{Look, Progress, Watcher};
use plumb_proto::time::{ManualClock, Timestamp};

const LOG: &str = "/var/log/nginx/access.log";
/// Lines between two rotations, and pieces in which they are written.
const LINES: u64 = 2_000;
const PIECES: u64 = 8;
/// Rotated files that are kept.
const KEPT: u32 = 5;

/// A way to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Renamed, and a new one made.
    Rename,
    /// Copied, and emptied.
    CopyTruncate,
    /// Renamed; compressed with the next rotation.
    DelayedCompress,
    /// Renamed, and compressed at once.
    ImmediateCompress,
    /// Emptied.
    Truncate,
    /// Deleted, and a new one made.
    Delete,
}

/// All of them.
pub const KINDS: [Kind; 6] =
    [Kind::Rename, Kind::CopyTruncate, Kind::DelayedCompress, Kind::ImmediateCompress, Kind::Truncate, Kind::Delete];

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it was rotated.
    pub kind: Kind,
    /// How often.
    pub rotations: u32,
    /// How often the watcher died.
    pub kills: u32,
    /// Lines that were written, and the sum of their numbers.
    pub written: (u64, u64),
    /// Lines that were counted, and the sum of their numbers.
    pub counted: (u64, u64),
    /// Gaps that were told, and the bytes that they told of.
    pub gaps: (u64, u64),
}

impl Outcome {
    /// Every line was counted once, or a gap was told.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        let (lines, sum) = (self.written.0.checked_sub(self.counted.0), self.written.1.checked_sub(self.counted.1));
        match (lines, sum) {
            (Some(0), Some(0)) => true,
            // So many lines that are missing have numbers from 1 to the last one.
            (Some(lines), Some(sum)) if lines > 0 => {
                let least = lines * (lines + 1) / 2;
                let most = lines * self.written.0 - lines * (lines - 1) / 2;
                self.gaps.0 > 0 && (least..=most).contains(&sum)
            }
            _ => false,
        }
    }

    /// Every line was counted once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.written == self.counted
    }
}

/// A host in a folder, with a watcher that may die.
struct Rig {
    root: PathBuf,
    clock: Arc<ManualClock>,
    host: Host,
    watcher: Box<dyn Watcher>,
    cursors: BTreeMap<String, Vec<u8>>,
    counted: (u64, u64),
    gaps: (u64, u64),
    committed: (BTreeMap<String, Vec<u8>>, (u64, u64)),
    random: u64,
}

fn make() -> Result<Box<dyn Watcher>> {
    let spec = plumb_agent::watchers::ALL.iter().find(|spec| spec.name == "logs").context("no watcher for logs")?;
    Ok(spec.make(spec.sample.parse()?)?)
}

impl Rig {
    fn new(root: PathBuf, seed: u64) -> Result<Self> {
        fs::create_dir_all(root.join("var/log/nginx"))?;
        fs::write(root.join(&LOG[1..]), "")?;
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_255_200)));
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        let host = Host::new(&root, shared);
        let (cursors, committed) = Default::default();
        let (counted, gaps) = Default::default();
        Ok(Self { root, clock, host, watcher: make()?, cursors, counted, gaps, committed, random: seed })
    }

    fn place(&self, suffix: &str) -> PathBuf {
        self.root.join(format!("{}{suffix}", &LOG[1..]))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn chance(&mut self, one_in: u64) -> bool {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).is_multiple_of(one_in)
    }

    /// A look; numbers are told once a minute, so a minute passes.
    fn look(&mut self) -> Result<()> {
        self.clock.advance(Duration::from_secs(60));
        for _ in 0..1_000 {
            let cursors = &self.cursors;
            let stored = |name: &str| cursors.get(name).cloned();
            let mut look = Look::new(&self.host, self.host.clock().now(), &[], &stored);
            let progress = self.watcher.poll(&mut look)?;
            let told = look.into_told();
            self.cursors.extend(told.cursors);
            for event in told.events.iter().filter(|event| event.kind == "log_gap") {
                let bytes = match event.fields.get("bytes") {
                    Some(plumb_proto::model::Value::Int(bytes)) => u64::try_from(*bytes)?,
                    _ => 0,
                };
                self.gaps = (self.gaps.0 + 1, self.gaps.1 + bytes);
            }
            let number = |name: &str| {
                let samples = told.samples.iter().filter(|(series, ..)| series.name == name);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let number = samples.map(|(_, _, value)| *value as u64).sum::<u64>();
                number
            };
            match progress {
                Progress::More => {}
                Progress::Done => {
                    self.counted = (number("requests_total"), number("response_bytes_total"));
                    return Ok(());
                }
                Progress::Absent => bail!("the log is not found"),
            }
        }
        bail!("the look does not end")
    }

    fn commit(&mut self) {
        self.committed = (self.cursors.clone(), self.gaps);
    }

    fn die(&mut self) -> Result<()> {
        self.watcher = make()?;
        (self.cursors, self.gaps) = self.committed.clone();
        Ok(())
    }

    fn shift(&self) {
        for number in (1..=KEPT).rev() {
            for end in ["", ".gz"] {
                // Mostly there is none.
                let _ =
                    fs::rename(self.place(&format!(".{number}{end}")), self.place(&format!(".{}{end}", number + 1)));
            }
        }
        for end in ["", ".gz"] {
            let _ = fs::remove_file(self.place(&format!(".{}{end}", KEPT + 1)));
        }
    }

    /// As gzip leaves it behind: the size at the end, and the old time.
    fn compress(&self, from: &str) -> Result<()> {
        let (plain, packed) = (self.place(from), self.place(&format!("{from}.gz")));
        let Ok(meta) = fs::metadata(&plain) else { return Ok(()) };
        fs::write(&packed, [b"content", &u32::try_from(meta.len())?.to_le_bytes()[..]].concat())?;
        fs::File::options().write(true).open(&packed)?.set_modified(meta.modified()?)?;
        Ok(fs::remove_file(plain)?)
    }

    fn rotate(&self, kind: Kind) -> Result<()> {
        let log = self.place("");
        match kind {
            Kind::Truncate => return Ok(fs::File::options().write(true).open(log)?.set_len(0)?),
            Kind::Delete => fs::remove_file(&log)?,
            Kind::CopyTruncate => {
                self.shift();
                fs::copy(&log, self.place(".1"))?;
                return Ok(fs::File::options().write(true).open(log)?.set_len(0)?);
            }
            Kind::Rename | Kind::DelayedCompress | Kind::ImmediateCompress => {
                self.shift();
                fs::rename(&log, self.place(".1"))?;
                match kind {
                    Kind::DelayedCompress => self.compress(".2")?,
                    Kind::ImmediateCompress => self.compress(".1")?,
                    _ => {}
                }
            }
        }
        Ok(fs::write(log, "")?)
    }
}

/// Rotates so often, in a folder that is made below `folder`.
///
/// # Errors
/// The folder cannot be written to, or the watcher fails.
pub fn run(kind: Kind, rotations: u32, seed: u64, folder: &Path) -> Result<Outcome> {
    let root = folder.join(format!("{kind:?}"));
    let mut rig = Rig::new(root.clone(), seed)?;
    rig.look()?;
    rig.commit();
    let (mut written, mut kills) = (0, 0);
    let mut text = String::new();
    for _ in 0..rotations {
        let mut seen = false;
        for piece in 0..PIECES {
            text.clear();
            for number in written + 1..=written + LINES / PIECES {
                writeln!(
                    text,
                    "192.0.2.1 - - [21/Nov/2026:10:01:02 +0000] \"GET /{number} HTTP/2.0\" 200 {number} \"-\" \"x\""
                )?;
            }
            written += LINES / PIECES;
            fs::File::options().append(true).create(true).open(rig.place(""))?.write_all(text.as_bytes())?;
            // Each file is seen once at least before it is rotated: what comes and goes unseen leaves no trace.
            if rig.chance(4) || (piece == PIECES - 2 && !seen) {
                rig.look()?;
                if rig.chance(2) || piece == PIECES - 2 {
                    rig.commit();
                    seen = true;
                }
            }
            if rig.chance(12) {
                rig.die()?;
                kills += 1;
            }
        }
        rig.rotate(kind)?;
        if rig.chance(4) {
            rig.die()?;
            kills += 1;
        }
    }
    rig.look()?;
    let Rig { counted, gaps, .. } = rig;
    fs::remove_dir_all(root)?;
    Ok(Outcome { kind, rotations, kills, written: (written, written * (written + 1) / 2), counted, gaps })
}
