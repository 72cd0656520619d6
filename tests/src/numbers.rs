//! Numbered lines, as a process other than the agent writes them, and what became of them at the collector.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lab::Lab;

/// From line to line: 66 lines a second.
const PAUSE: Duration = Duration::from_millis(15);

/// A thread that appends lines, each synced, until it is told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Begins with line 1.
    #[must_use]
    pub fn start(path: &Path) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (its_stop, its_written, path) = (stop.clone(), written.clone(), path.to_owned());
        let thread = Some(std::thread::spawn(move || write(path, &its_stop, &its_written)));
        Self { stop, written, thread }
    }

    /// The last line that is written and synced.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Writes no more, and answers how many lines there are.
    ///
    /// # Panics
    /// A line could not be written.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().map(JoinHandle::join).transpose().expect("the writer ends");
        self.written()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn write(path: PathBuf, stop: &AtomicBool, written: &AtomicU64) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file to write");
    let mut next = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let number = written.load(Ordering::SeqCst) + 1;
        writeln!(file, "{number}").expect("a line written");
        file.sync_data().expect("a line synced");
        written.store(number, Ordering::SeqCst);
        next += PAUSE;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// How often the collector tells each line of the host called `host`. Printed it is its size: a failed wait must not print
/// a hundred thousand lines.
#[derive(Default)]
pub struct Told(HashMap<u64, u64>);

impl Told {
    /// Asks.
    #[must_use]
    pub fn by(lab: &Lab) -> Self {
        let mut told = Self::default();
        let all = lab.json(&["events", "host", "--kind", "line", "--limit", "100000"]);
        for event in all.as_array().into_iter().flatten() {
            let number = event["text"].as_str().and_then(|text| text.parse().ok());
            *told.0.entry(number.unwrap_or(0)).or_default() += event["count"].as_u64().unwrap_or(0);
        }
        told
    }

    /// Different lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.len() as u64
    }

    /// True if this line is among them.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        self.0.contains_key(&number)
    }

    /// Of `total` lines, those that are missing.
    #[must_use]
    pub fn lost(&self, total: u64) -> u64 {
        (1..=total).filter(|number| !self.has(*number)).count() as u64
    }

    /// Lines that are told more than once, or that nobody wrote.
    #[must_use]
    pub fn doubled(&self, total: u64) -> u64 {
        self.0.iter().filter(|(number, count)| **count > 1 || **number == 0 || **number > total).count() as u64
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} different lines", self.lines())
    }
}
