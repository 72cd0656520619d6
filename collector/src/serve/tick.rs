//! The clock's part of judging: silence, what must hold for a time, what time alone breaks. Hosts take turns, so that a
//! big fleet is no wave, and records are never kept waiting for long.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::record::HostId;
use plumb_proto::time::Clock;
use tokio::sync::watch;

use crate::drift::policy::Policy;
use crate::pipeline::Pipeline;
use crate::retention;
use crate::store::Keep;
use crate::store::rows::HostState;
use crate::worker::{Weight, Writer};

/// Between steps.
const STEP: Duration = Duration::from_secs(1);
/// Every host has its turn within so many steps, unless there are too many.
const STEPS: usize = 5;
/// Hosts in one transaction.
const HOSTS: usize = 64;
/// Hosts in one step.
const MOST: usize = 1_024;
/// Hosts of which everything is judged, in one step.
const SWEEPS: usize = 16;
/// The history is made smaller this often, and as long as there is something to do at each step.
const RETENTION: Duration = Duration::from_secs(60);
/// Everything of a host is judged this often, and once after the start.
const SWEEP: Duration = Duration::from_secs(3600);

/// Judges by time until `stop` becomes true. Drifts of rules that `policy` no longer has expire.
pub(super) async fn run(
    writer: Writer,
    pipeline: Arc<Pipeline>,
    (policy, keep): (Arc<Policy>, Keep),
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut turns = Turns::default();
    let mut interval = tokio::time::interval(STEP);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // an error means that whoever could stop us has gone
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            _ = interval.tick() => {}
        }
        if let Err(error) = step(&writer, &pipeline, (&policy, keep), &clock, &mut turns).await {
            tracing::error!("tick: {error:#}");
        }
    }
}

async fn step(
    writer: &Writer,
    pipeline: &Arc<Pipeline>,
    (policy, keep): (&Arc<Policy>, Keep),
    clock: &Arc<dyn Clock>,
    turns: &mut Turns,
) -> Result<()> {
    if turns.is_over() {
        let hosts = writer.call(Weight::default(), |tx| {
            let hosts = tx.hosts()?.into_iter().filter(|host| host.state != HostState::Retired);
            Ok(hosts.map(|host| host.id).collect::<Vec<_>>())
        });
        turns.begin(hosts.await?);
    }
    if turns.is_retention_due(clock.monotonic()) {
        let now = clock.now();
        let more = writer.call(Weight::default(), move |tx| retention::sweep(tx, now, &keep)).await?;
        turns.retained(clock.monotonic(), more);
    }
    for group in turns.next(clock.monotonic()) {
        let (pipeline, policy, now) = (pipeline.clone(), policy.clone(), clock.now());
        let work = move |tx: &mut dyn crate::store::Tx| {
            for (host, sweep) in &group {
                if *sweep {
                    pipeline.expire(tx, host, now, &|drift| policy.has_dropped(drift))?;
                }
                pipeline.tick(tx, host, now, *sweep)?;
            }
            Ok(())
        };
        writer.call(Weight::default(), work).await?;
    }
    Ok(())
}

/// Whose turn it is.
#[derive(Default)]
struct Turns {
    waiting: VecDeque<HostId>,
    share: usize,
    swept: HashMap<HostId, Duration>,
    retained: Option<Duration>,
}

impl Turns {
    fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    fn is_retention_due(&self, now: Duration) -> bool {
        self.retained.is_none_or(|at| now.saturating_sub(at) >= RETENTION)
    }

    /// A part of it is done; `more`: the rest comes with the next step.
    fn retained(&mut self, now: Duration, more: bool) {
        self.retained = (!more).then_some(now);
    }

    fn begin(&mut self, hosts: Vec<HostId>) {
        self.share = hosts.len().div_ceil(STEPS).clamp(1, MOST);
        self.swept.retain(|host, _| hosts.contains(host));
        self.waiting = hosts.into();
    }

    /// The hosts of the next step in groups, each with whether everything of it is to be judged.
    fn next(&mut self, now: Duration) -> Vec<Vec<(HostId, bool)>> {
        let mut sweeps = 0;
        let mut hosts = Vec::new();
        for host in self.waiting.drain(..self.share.min(self.waiting.len())) {
            let due = self.swept.get(&host).is_none_or(|at| now.saturating_sub(*at) >= SWEEP);
            let sweep = due && sweeps < SWEEPS;
            if sweep {
                sweeps += 1;
                self.swept.insert(host, now);
            }
            hosts.push((host, sweep));
        }
        hosts.chunks(HOSTS).map(<[_]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: u8) -> Vec<HostId> {
        (0..count).map(|number| HostId([number; 16])).collect()
    }

    #[test]
    fn every_host_has_its_turn_within_five_steps() {
        let mut turns = Turns::default();
        turns.begin(hosts(101));
        let steps: Vec<usize> = (0..5).map(|_| turns.next(Duration::ZERO).concat().len()).collect();
        assert_eq!(steps, [21, 21, 21, 21, 17]);
        assert!(turns.is_over());
    }

    #[test]
    fn everything_is_judged_after_the_start_and_then_once_an_hour() {
        let mut turns = Turns::default();
        let mut sweeps = |seconds: u64| {
            turns.begin(hosts(5));
            let mut swept = 0;
            while !turns.is_over() {
                swept += turns.next(Duration::from_secs(seconds)).concat().iter().filter(|(_, sweep)| *sweep).count();
            }
            swept
        };
        assert_eq!([sweeps(0), sweeps(60), sweeps(3599), sweeps(3600)], [5, 0, 0, 5]);
    }

    #[test]
    fn retention_goes_on_until_nothing_is_left_and_then_rests() {
        let mut turns = Turns::default();
        let at = Duration::from_secs;
        assert!(turns.is_retention_due(at(0)));
        turns.retained(at(0), true);
        assert!(turns.is_retention_due(at(1)));
        turns.retained(at(1), false);
        assert!(!turns.is_retention_due(at(60)) && turns.is_retention_due(at(61)));
    }

    #[test]
    fn a_big_fleet_is_judged_whole_bit_by_bit() {
        let mut turns = Turns::default();
        turns.begin(hosts(200));
        let first = turns.next(Duration::ZERO).concat();
        assert_eq!((first.len(), first.iter().filter(|(_, sweep)| *sweep).count()), (40, SWEEPS));
    }
}
