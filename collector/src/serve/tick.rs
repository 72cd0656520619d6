//! The clock's part of judging: silence, what must hold for a time, what time alone breaks. Hosts take turns, so that a
//! big fleet is no wave, and records are never kept waiting for long.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::record::HostId;
use plumb_proto::time::{Clock, Timestamp};
use tokio::sync::watch;

use super::watchdog::Beat;
use crate::current::Current;
use crate::drift::policy::Policy;
use crate::pipeline::Pipeline;
use crate::retention;
use crate::store::rows::HostState;
use crate::store::{Keep, Tx};
use crate::worker::{Weight, Writer};

/// Between steps.
const STEP: Duration = Duration::from_secs(1);
/// Every host has its turn within so many steps, unless there are too many: a drift that has waited for its time must not
/// wait for its turn as well.
const STEPS: usize = 2;
/// Hosts in one transaction.
const HOSTS: usize = 64;
/// Hosts in one step.
const MOST: usize = 1_024;
/// Hosts of which everything is judged, in one step.
const SWEEPS: usize = 16;
/// The history is made smaller this often, and as long as there is something to do at each step.
const RETENTION: Duration = Duration::from_secs(60);
/// Steps of making the history smaller that are taken one after the other, at most, and the time for them: so that a big
/// fleet's samples are merged as fast as they come, and the records that come meanwhile are not kept waiting.
const ROUNDS: usize = 16;
const RETENTION_TIME: Duration = Duration::from_millis(250);
/// Everything of a host is judged this often, and once after the start.
const SWEEP: Duration = Duration::from_secs(3600);

/// What the tick needs.
pub(super) struct Parts {
    pub(super) writer: Writer,
    pub(super) pipeline: Arc<Pipeline>,
    /// Drifts of rules that are not among these expire.
    pub(super) rules: Arc<Current<Policy>>,
    pub(super) keep: Arc<Current<Keep>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Told of each bit of work.
    pub(super) beat: Beat,
}

/// Judges by time until `stop` becomes true. When the rules are others, everything is judged anew, as after a start.
pub(super) async fn run(parts: Parts, mut stop: watch::Receiver<bool>) -> Result<()> {
    let Parts { writer, pipeline, rules, keep, clock, beat } = parts;
    let mut policy = rules.get();
    let mut turns = Turns::default();
    let mut interval = tokio::time::interval(STEP);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // an error means that whoever could stop us has gone
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            _ = interval.tick() => {}
        }
        let in_force = rules.get();
        if !Arc::ptr_eq(&in_force, &policy) {
            policy = in_force;
            turns.sweep_anew();
        }
        if let Err(error) = step(&writer, &pipeline, (&policy, *keep.get()), (&clock, &beat), &mut turns).await {
            tracing::error!("tick: {error:#}");
        }
        beat.beat();
    }
}

async fn step(
    writer: &Writer,
    pipeline: &Arc<Pipeline>,
    (policy, keep): (&Arc<Policy>, Keep),
    (clock, beat): (&Arc<dyn Clock>, &Beat),
    turns: &mut Turns,
) -> Result<()> {
    if turns.is_over() {
        let hosts = writer.call(Weight::default(), |tx| {
            let hosts = tx.hosts()?.into_iter();
            let judged = hosts.filter(|host| !matches!(host.state, HostState::Retired | HostState::Revoked));
            Ok(judged.map(|host| host.id).collect::<Vec<_>>())
        });
        turns.begin(hosts.await?);
    }
    if turns.is_retention_due(clock.monotonic()) {
        let more = make_smaller(writer, keep, clock).await;
        beat.beat();
        turns.retained(clock.monotonic(), more);
    }
    for group in turns.next(clock.monotonic(), &|host| pipeline.may_judge(host)) {
        beat.beat();
        if judge(writer, pipeline, policy, clock.now(), group.clone()).await.is_ok() {
            continue;
        }
        // one host that cannot be judged must not keep its neighbours from it
        for one in group {
            if let Err(error) = judge(writer, pipeline, policy, clock.now(), vec![one]).await {
                tracing::error!("host {} cannot be judged: {error:#}", one.0);
            }
        }
    }
    Ok(())
}

/// Makes the history smaller for a moment; answers whether there is more to do. What fails is told, and tried again with
/// the next turn: hosts are judged nevertheless.
async fn make_smaller(writer: &Writer, keep: Keep, clock: &Arc<dyn Clock>) -> bool {
    let begun = clock.monotonic();
    for _ in 0..ROUNDS {
        let now = clock.now();
        match writer.call(Weight::default(), move |tx| retention::sweep(tx, now, &keep)).await {
            Ok(true) if clock.monotonic().saturating_sub(begun) < RETENTION_TIME => {}
            Ok(more) => return more,
            Err(error) => {
                tracing::error!("the history is not made smaller: {error:#}");
                return false;
            }
        }
    }
    true
}

async fn judge(
    writer: &Writer,
    pipeline: &Arc<Pipeline>,
    policy: &Arc<Policy>,
    now: Timestamp,
    group: Vec<(HostId, bool)>,
) -> Result<()> {
    let (pipeline, policy) = (pipeline.clone(), policy.clone());
    let work = move |tx: &mut dyn Tx| {
        for (host, sweep) in &group {
            if *sweep {
                pipeline.expire(tx, host, now, &|drift| policy.has_dropped(drift))?;
            }
            pipeline.tick(tx, host, now, *sweep)?;
        }
        Ok(())
    };
    writer.call(Weight::default(), work).await
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

    /// Everything of every host is judged once more.
    fn sweep_anew(&mut self) {
        self.swept.clear();
    }

    fn begin(&mut self, hosts: Vec<HostId>) {
        self.share = hosts.len().div_ceil(STEPS).clamp(1, MOST);
        let known: HashSet<&HostId> = hosts.iter().collect();
        self.swept.retain(|host, _| known.contains(host));
        self.waiting = hosts.into();
    }

    /// The hosts of the next step in groups, each with whether everything of it is to be judged; those that may not be
    /// judged yet are left out until the next round.
    fn next(&mut self, now: Duration, may_judge: &dyn Fn(&HostId) -> bool) -> Vec<Vec<(HostId, bool)>> {
        let mut sweeps = 0;
        let mut hosts = Vec::new();
        for host in self.waiting.drain(..self.share.min(self.waiting.len())).filter(may_judge) {
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
    use plumb_proto::time::ManualClock;

    use super::*;
    use crate::drift::detectors::silent::Silent;
    use crate::store::{DriftFilter, Questions, Store};
    use crate::stores::contract::bench::host_row;
    use crate::stores::sqlite::testing::Folder;

    fn hosts(count: u8) -> Vec<HostId> {
        (0..count).map(|number| HostId([number; 16])).collect()
    }

    #[test]
    fn every_host_has_its_turn_within_two_steps() {
        let mut turns = Turns::default();
        turns.begin(hosts(101));
        let steps: Vec<usize> = (0..2).map(|_| turns.next(Duration::ZERO, &|_| true).concat().len()).collect();
        assert_eq!(steps, [51, 50]);
        assert!(turns.is_over());
    }

    #[test]
    fn everything_is_judged_after_the_start_and_then_once_an_hour() {
        let mut turns = Turns::default();
        let mut sweeps = |seconds: u64| {
            turns.begin(hosts(5));
            let mut swept = 0;
            while !turns.is_over() {
                swept += turns
                    .next(Duration::from_secs(seconds), &|_| true)
                    .concat()
                    .iter()
                    .filter(|(_, sweep)| *sweep)
                    .count();
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

    /// A store whose commits fail from time to time.
    struct Fails {
        store: Box<dyn Store>,
        commits: usize,
        fails: usize,
    }

    impl Store for Fails {
        fn commit(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<()>) -> Result<()> {
            self.commits += 1;
            anyhow::ensure!(self.commits != self.fails, "as if a row were damaged");
            self.store.commit(work)
        }

        fn questions(&self) -> Result<Box<dyn Questions>> {
            self.store.questions()
        }
    }

    /// The hosts that one step calls silent, of two; `fails`: the commit that fails, `damaged`: the host whose facts
    /// cannot be read.
    async fn silent(fails: usize, damaged: &str) -> Vec<String> {
        let folder = Folder::empty();
        let path = folder.file("db");
        let mut store = crate::stores::open(&format!("sqlite:{}", path.display())).unwrap();
        for digit in 1..=2 {
            let host = host_row(digit, &format!("web{digit}"));
            store.commit(&mut |tx| tx.save_host(&host)).unwrap();
        }
        let damage =
            "INSERT INTO facts SELECT no, 'php', x'00', 'php', x'ff', 0, 0, NULL, 0 FROM hosts WHERE name = ?1";
        rusqlite::Connection::open(&path).unwrap().execute(damage, [damaged]).unwrap();
        let mut asked = store.questions().unwrap();
        let (writer, _thread) = Writer::start(Box::new(Fails { store, commits: 0, fails })).unwrap();
        let manual = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_262_400)));
        let clock: Arc<dyn Clock> = manual.clone();
        let pipeline = Arc::new(Pipeline::new(vec![], Silent::default(), SWEEP, clock.clone()));
        manual.advance(Duration::from_secs(200));
        let day = Duration::from_secs(86_400);
        let keep = Keep { samples: day, rollups: day, events: day, facts: day, drifts: day };
        let policy = Arc::new(Policy::load(&[], &[]).unwrap());
        let mut turns = Turns::default();
        for _ in 0..STEPS {
            step(&writer, &pipeline, (&policy, keep), (&clock, &Beat::default()), &mut turns).await.unwrap();
        }
        let drifts = asked.drifts(&DriftFilter::default()).unwrap();
        drifts.into_iter().map(|known| known.drift.title).collect()
    }

    #[tokio::test]
    async fn retention_that_fails_keeps_no_host_from_being_judged() {
        assert_eq!(silent(2, "").await, ["web1 is silent", "web2 is silent"]);
    }

    #[tokio::test]
    async fn a_host_that_cannot_be_read_keeps_no_other_from_being_judged() {
        assert_eq!(silent(0, "web1").await, ["web2 is silent"]);
    }

    #[test]
    fn under_new_rules_everything_of_every_host_is_judged_anew() {
        let mut turns = Turns::default();
        let mut swept = || {
            turns.begin(hosts(2));
            let turn = [turns.next(Duration::ZERO, &|_| true), turns.next(Duration::ZERO, &|_| true)].concat().concat();
            let swept = turn.iter().filter(|(_, sweep)| *sweep).count();
            if swept == 0 {
                turns.sweep_anew();
            }
            swept
        };
        assert_eq!([swept(), swept(), swept()], [2, 0, 2]);
    }

    #[test]
    fn a_big_fleet_is_judged_whole_bit_by_bit() {
        let mut turns = Turns::default();
        turns.begin(hosts(200));
        let first = turns.next(Duration::ZERO, &|_| true).concat();
        assert_eq!((first.len(), first.iter().filter(|(_, sweep)| *sweep).count()), (100, SWEEPS));
    }
}
