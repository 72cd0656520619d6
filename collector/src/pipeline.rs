//! Append, view, detect, decide: the way of a record, all in the caller's transaction. The ack leaves after its commit.
//! A tick takes the same way without a record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use plumb_proto::model::{Event, Severity};
use plumb_proto::record::HostId;
use plumb_proto::time::{Clock, Timestamp};

use crate::alert::{self, Situation, Transitions};
use crate::current::Current;
use crate::drift::detector::Detector;
use crate::drift::detectors::silent::Silent;
use crate::drift::{Drift, DriftState, Kind, KnownDrift, Subject, Verdict, incident};
use crate::store::rows::HostState;
use crate::store::{Approval, Incoming, Tx};
use crate::view::compare::Standing;
use crate::view::{HostView, Touched};

/// Judges what comes in. One for the whole collector; the writer's thread calls it.
pub struct Pipeline {
    judging: Current<Judging>,
    clock: Arc<dyn Clock>,
    started: Duration,
    hosts: Mutex<HashMap<HostId, Seen>>,
    wake: Option<Box<dyn Fn() + Send + Sync>>,
}

/// By what hosts are judged.
pub struct Judging {
    /// One kind of drift each.
    pub detectors: Vec<Box<dyn Detector>>,
    /// When a host is silent.
    pub silent: Silent,
    /// After how long an open drift is told again.
    pub repeat: Duration,
}

/// A host since the collector's start, by the monotonic clock.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// When something of it last came.
    heard: Option<Duration>,
    /// What last came was not the newest that it has.
    behind: bool,
    /// When a tick last judged it.
    judged: Option<Duration>,
}

/// How often time alone judges a host whose drifts all stand open: only how bad they are, or when to tell of them again,
/// may change.
const SETTLED: Duration = Duration::from_secs(60);

impl Pipeline {
    /// `repeat`: after how long an open drift is told again.
    #[must_use]
    pub fn new(detectors: Vec<Box<dyn Detector>>, silent: Silent, repeat: Duration, clock: Arc<dyn Clock>) -> Self {
        let (judging, started) = (Current::new(Judging { detectors, silent, repeat }), clock.monotonic());
        Self { judging, clock, started, hosts: Mutex::default(), wake: None }
    }

    /// From the next record or tick on, hosts are judged by this. What is open stays open until it is judged again.
    pub fn judge_by(&self, judging: Judging) {
        self.judging.set(judging);
    }

    /// A host that was not heard of for this long is silent.
    #[must_use]
    pub fn silent_after(&self) -> Duration {
        self.judging.get().silent.host
    }

    /// Calls `wake` whenever there is something to tell people. It is called within the transaction: what it wakes must
    /// look by way of the writer, behind the commit.
    #[must_use]
    pub fn waking(self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { wake: Some(Box::new(wake)), ..self }
    }

    fn record(&self, tx: &mut dyn Tx, decided: &Transitions) -> Result<()> {
        tx.record(decided)?;
        match &self.wake {
            Some(wake) if !decided.alerts.is_empty() => wake(),
            _ => {}
        }
        Ok(())
    }

    /// Takes a record: appends it, judges what it touched, decides. `false`: it was there already. `caught_up`: the host
    /// has no older records waiting, so that people may be told how it stands.
    ///
    /// # Errors
    /// The store's.
    pub fn take(&self, tx: &mut dyn Tx, incoming: &Incoming<'_>, caught_up: bool) -> Result<bool> {
        let now = self.clock.monotonic();
        self.remember(incoming.host, |seen| (seen.heard, seen.behind) = (Some(now), !caught_up));
        let Some(touched) = tx.append(incoming)? else {
            return Ok(false); // sent twice, kept once
        };
        let sealed = Timestamp::from_millis(incoming.record.header.t_wall_ns / 1_000_000);
        // late records are judged at their own time, none ahead of the collector's
        let at = corrected(sealed, incoming.skew_ms).min(incoming.received);
        self.judge(tx, incoming.host, &touched, at, incoming.received, !caught_up)?;
        Ok(true)
    }

    /// Judges a host without a record: silence, and what waits for time to pass. `sweep`: all that is known of it, for
    /// rules that time alone breaks or that are new; once an hour and after a start will do. A host for which the clock
    /// has nothing to say costs two looks into an index, and its view is not loaded.
    ///
    /// # Errors
    /// The store's.
    pub fn tick(&self, tx: &mut dyn Tx, host: &HostId, now: Timestamp, sweep: bool) -> Result<()> {
        // its records bring it up to now; until then it would be judged by how it stood long ago
        if self.is_behind(host) {
            return Ok(());
        }
        let known = tx.known_drifts(host)?;
        if !sweep && !self.is_due(host, &known, &tx.critical_events(host, now - incident::STANDS)?) {
            return Ok(());
        }
        let touched = if sweep { everything(&*tx.view(host)?) } else { waiting(&known) };
        let at = self.clock.monotonic();
        self.remember(host, |seen| seen.judged = Some(at));
        self.judge(tx, host, &touched, now, now, false)
    }

    /// Whether a host still drains a backlog. One that has fallen silent over it does not.
    fn is_behind(&self, host: &HostId) -> bool {
        self.seen(host).behind && self.quiet(host) < self.silent_after()
    }

    /// Whether a tick may decide something about a host.
    fn is_due(&self, host: &HostId, known: &[KnownDrift], critical: &[Event]) -> bool {
        let is_told = |each: &KnownDrift| each.drift.kind == Kind::Silent && each.drift.subject == Subject::Host;
        if self.quiet(host) >= self.silent_after() && !known.iter().any(is_told) {
            return true;
        }
        let moves = |each: &KnownDrift| each.state == DriftState::Pending || each.calm_since.is_some();
        if known.iter().any(moves) || incident::has_news(critical, known) {
            return true;
        }
        let judged = self.seen(host).judged;
        !known.is_empty() && judged.is_none_or(|at| self.clock.monotonic().saturating_sub(at) >= SETTLED)
    }

    /// Whether the clock may judge a host yet: it was heard of since the start and has no backlog, or it had the time to
    /// speak. What is known of a host that is about to deliver what it saw meanwhile is how it stood before the collector
    /// went away.
    #[must_use]
    pub fn may_judge(&self, host: &HostId) -> bool {
        (self.seen(host).heard.is_some() && !self.is_behind(host)) || self.quiet(host) >= self.silent_after()
    }

    /// Makes today's state the baseline, and ends the `changed` drifts that this settles. Answers those.
    ///
    /// # Errors
    /// The store's.
    pub fn approve(
        &self,
        tx: &mut dyn Tx,
        host: &HostId,
        what: &Approval<'_>,
        note: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<KnownDrift>> {
        tx.approve(host, what)?;
        let view = tx.view(host)?;
        let mut known = tx.known_drifts(host)?;
        known.retain(|each| each.drift.kind == Kind::Changed && is_settled(&view, &each.drift.subject));
        let decided = alert::end(&known, DriftState::Approved, note, &self.situation(&view, now, now, false));
        self.record(tx, &decided)?;
        Ok(decided.drifts)
    }

    /// Ends the drifts of a host that `is_over` picks, as expired: their rule was removed, the host retired.
    ///
    /// # Errors
    /// The store's.
    pub fn expire(
        &self,
        tx: &mut dyn Tx,
        host: &HostId,
        now: Timestamp,
        is_over: &dyn Fn(&Drift) -> bool,
    ) -> Result<()> {
        let mut known = tx.known_drifts(host)?;
        known.retain(|each| is_over(&each.drift));
        if known.is_empty() {
            return Ok(());
        }
        let view = tx.view(host)?;
        self.record(tx, &alert::end(&known, DriftState::Expired, None, &self.situation(&view, now, now, false)))
    }

    fn judge(
        &self,
        tx: &mut dyn Tx,
        host: &HostId,
        touched: &Touched,
        at: Timestamp,
        now: Timestamp,
        late: bool,
    ) -> Result<()> {
        let view = tx.view(host)?;
        let known = tx.known_drifts(host)?;
        if matches!(view.host.state, HostState::Revoked | HostState::Retired) {
            // it is not judged any more; what a job that was queued before would open, nothing would ever close
            let decided = alert::end(&known, DriftState::Expired, None, &self.situation(&view, at, now, late));
            return if decided.is_empty() { Ok(()) } else { self.record(tx, &decided) };
        }
        let judging = self.judging.get();
        let mut verdicts = judging.silent.judge(&view, self.quiet(host), at);
        verdicts.extend(incident::verdicts(host, &tx.critical_events(host, now - incident::STANDS)?, &known));
        verdicts.extend(judging.detectors.iter().flat_map(|each| each.detect(&view, touched, at)));
        for verdict in &verdicts {
            if let Verdict::Explained(drift) = verdict {
                follow(tx, host, drift, at)?;
            }
        }
        let situation = self.situation(&view, at, now, late);
        let decided = alert::transitions(&known, verdicts, &situation, &mut || tx.next_drift())?;
        if decided.is_empty() { Ok(()) } else { self.record(tx, &decided) }
    }

    /// For how long a host was not heard of. Before it was ever heard of, the collector's own start counts.
    fn quiet(&self, host: &HostId) -> Duration {
        self.clock.monotonic().saturating_sub(self.seen(host).heard.unwrap_or(self.started))
    }

    fn seen(&self, host: &HostId) -> Seen {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied().unwrap_or_default()
    }

    fn remember(&self, host: &HostId, what: impl FnOnce(&mut Seen)) {
        what(self.hosts.lock().unwrap_or_else(PoisonError::into_inner).entry(*host).or_default());
    }

    fn situation<'a>(&self, view: &'a HostView, at: Timestamp, now: Timestamp, late: bool) -> Situation<'a> {
        Situation { host: &view.host, at, now, repeat: self.judging.get().repeat, late }
    }
}

/// A host's time by the collector's clock.
fn corrected(at: Timestamp, skew_ms: i64) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_sub(skew_ms))
}

/// A trusted actor made a change: the baseline moves along, and the history says who it was.
fn follow(tx: &mut dyn Tx, host: &HostId, drift: &Drift, at: Timestamp) -> Result<()> {
    let Subject::Row { table, key, field } = &drift.subject else { return Ok(()) };
    tx.approve(host, &Approval::Field(table, key, field.as_deref()))?;
    let cause = drift.cause.as_deref().unwrap_or_default();
    let text = format!("{} ({cause})", drift.title);
    tx.collector_event(host, &Event::new("explained_change", Severity::Info, text, at))
}

/// Whether a subject stands as its baseline says, or is gone from both.
fn is_settled(view: &HostView, subject: &Subject) -> bool {
    let Subject::Row { table, key, field } = subject else { return false };
    let Some(table) = view.tables.get(table) else { return false };
    let all = table.compare(key);
    let of_field = all.iter().find(|each| each.field == field.as_deref());
    match of_field {
        Some(comparison) => comparison.standing == Standing::Same,
        // a column of a row that is gone, and approved so
        None => all.iter().any(|each| each.standing == Standing::Same),
    }
}

/// What live drifts are about.
fn waiting(known: &[KnownDrift]) -> Touched {
    let mut touched = Touched::default();
    for each in known {
        match &each.drift.subject {
            Subject::Row { table, key, .. } => {
                touched.rows.entry(table.clone()).or_default().insert(key.clone());
            }
            Subject::Series(series) => {
                touched.series.insert(series.clone());
            }
            Subject::Watcher(_) | Subject::Host => {}
        }
    }
    touched
}

/// All rows, those of the baseline too, and all series.
fn everything(view: &HostView) -> Touched {
    let mut touched = Touched::default();
    for (name, table) in &view.tables {
        let keys = table.rows.keys().chain(table.baseline.keys()).cloned().collect();
        touched.rows.insert(name.clone(), keys);
    }
    touched.series = view.series.values().flat_map(|of_name| of_name.keys().cloned()).collect();
    touched
}

#[cfg(test)]
mod tests;
