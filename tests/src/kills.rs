//! The kill loop: another process's lines, appended and synced, must come out of the collector exactly once, however
//! often agent and collector are killed in between, whatever they are doing at that moment.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::eventually::eventually;
use crate::lab::Lab;
use crate::numbers::{Told, Writer};
use crate::random::Random;

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

/// Kills the agent and the collector `kills` times each, in random order at uniformly random moments, and compares.
///
/// # Panics
/// A program does not start at all, or does not come to an end of delivering within two minutes after the last kill.
#[must_use]
pub fn run(agent: &Path, kills: u32, seed: u64, mut progress: impl FnMut(u32)) -> Outcome {
    let mut lab = Lab::with_lines("kills", agent);
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("host");
    lab.start_agent();

    let writer = Writer::start(&lab.lines());
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
    let total = writer.finish();
    let seconds = start.elapsed().as_secs().max(1);

    lab.collector_is_up();
    let told = || Told::by(&lab);
    eventually("the last line to arrive", Duration::from_secs(120), told, |told| told.has(total));
    // what arrives twice arrives late: give it the time to
    std::thread::sleep(Duration::from_secs(3));
    let told = told();
    let (chain_holds, said) = lab.check();
    if !chain_holds {
        eprintln!("{said}");
    }
    Outcome {
        written: total,
        lost: told.lost(total),
        doubled: told.doubled(total),
        rate: total / seconds,
        chain_holds,
        kills: (agent_kills, collector_kills),
    }
}
