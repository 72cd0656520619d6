//! The kill loop: another process's lines, appended and synced, must come out of the collector exactly once, however
//! often agent and collector are killed in between, whatever they are doing at that moment.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::eventually::eventually;
use crate::lab::Lab;

/// What a run of the loop has shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Lines written.
    pub written: u64,
    /// Of them, not among the events.
    pub lost: u64,
    /// Told more than once.
    pub doubled: u64,
    /// Lines a second that were written.
    pub rate: u64,
    /// True if every chain verifies.
    pub chain_holds: bool,
    /// Kills of the agent and of the collector.
    pub kills: (u32, u32),
}

/// A small random generator (xorshift64*, Vigna 2016), so that a run can be repeated from its seed.
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end.max(1)
    }
}

/// Writes numbered lines, each synced, until told to stop. Answers how many.
fn write_lines(path: &Path, stop: &AtomicBool, written: &AtomicU64) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file to write");
    let mut next = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let number = written.load(Ordering::SeqCst) + 1;
        writeln!(file, "{number}").expect("a line written");
        file.sync_data().expect("a line synced");
        written.store(number, Ordering::SeqCst);
        next += Duration::from_millis(15); // 66 a second
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Kills the agent and the collector `kills` times each, in random order at uniformly random moments, and compares.
///
/// # Panics
/// A program does not start at all, or does not come to an end of delivering within two minutes after the last kill.
#[must_use]
pub fn run(agent: &Path, kills: u32, seed: u64, mut progress: impl FnMut(u32)) -> Outcome {
    let mut lab = Lab::new("kills", agent, "", "");
    let lines = lab.dir.join("lines");
    std::fs::write(&lines, "").expect("a file");
    let config = format!("state_dir = \"{}\"\n[lines]\npath = \"{}\"\n", lab.path("agent"), lines.display());
    std::fs::write(lab.dir.join("agent.toml"), config).expect("a configuration");
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("host");
    lab.start_agent();

    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = std::thread::spawn({
        let (stop, written, lines) = (stop.clone(), written.clone(), lines.clone());
        move || write_lines(&lines, &stop, &written)
    });
    let start = Instant::now();
    let mut random = Random::new(seed);
    let (mut agent_kills, mut collector_kills) = (0, 0);
    while agent_kills + collector_kills < 2 * kills {
        // short pauses hit a program while it starts, long ones while it works
        std::thread::sleep(Duration::from_millis(random.below(1000)));
        let agent_next = collector_kills >= kills || (agent_kills < kills && random.below(2) == 0);
        if agent_next {
            lab.kill_agent();
            lab.start_agent();
            agent_kills += 1;
        } else {
            lab.kill_collector();
            lab.start_collector();
            collector_kills += 1;
        }
        progress(agent_kills + collector_kills);
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().expect("the writer ends");
    let total = written.load(Ordering::SeqCst);
    let seconds = start.elapsed().as_secs().max(1);

    lab.collector_is_up();
    let events = || {
        let mut seen: HashMap<u64, u64> = HashMap::new();
        let all = lab.json(&["events", "host", "--kind", "line", "--limit", "100000"]);
        for event in all.as_array().into_iter().flatten() {
            let number = event["text"].as_str().and_then(|text| text.parse().ok());
            *seen.entry(number.unwrap_or(0)).or_default() += event["count"].as_u64().unwrap_or(0);
        }
        seen
    };
    let last = |seen: &HashMap<u64, u64>| seen.contains_key(&total);
    let seen =
        eventually("the last line to arrive", Duration::from_secs(120), || Size(events()), |seen| last(&seen.0)).0;
    // what arrives twice arrives late: give it the time to
    std::thread::sleep(Duration::from_secs(3));
    let seen = if events().len() == seen.len() { events() } else { seen };
    let (chain_holds, said) = lab.check();
    if !chain_holds {
        eprintln!("{said}");
    }
    Outcome {
        written: total,
        lost: (1..=total).filter(|number| !seen.contains_key(number)).count() as u64,
        doubled: seen.iter().filter(|(number, count)| **count > 1 || **number == 0 || **number > total).count() as u64,
        rate: total / seconds,
        chain_holds,
        kills: (agent_kills, collector_kills),
    }
}

/// Prints as its size: a failed wait must not print a hundred thousand lines.
struct Size(HashMap<u64, u64>);

impl std::fmt::Debug for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} different lines", self.0.len())
    }
}
