//! From what the store knows to what is sent, in pages.

use plumb_proto::generated::{model as wire, query as pb};
use plumb_proto::limits;
use plumb_proto::model::{Outcome, Problem, Series, Severity};
use plumb_proto::time::Timestamp;
use plumb_proto::wire::event_to_wire;
use tonic::{Response, Status};

use super::rows::row;
use super::{failed, invalid, support};
use crate::drift::support::Dates;
use crate::drift::{Kind, KnownDrift, Subject};
use crate::store::rows::{Alert, Delivery, EventRow, Groups, HostRow, Message};
use crate::store::{DriftFilter, Questions};
use crate::view::{HostView, Sampled};

/// A page holds rows until they are this big.
const PAGE_BYTES: usize = 1 << 20;

/// Pages of an answer.
pub(super) type Pages<P> = tokio_stream::Iter<std::vec::IntoIter<Result<P, Status>>>;

pub(super) fn pages<P>(pages: Vec<P>) -> Response<Pages<P>> {
    Response::new(tokio_stream::iter(pages.into_iter().map(Ok).collect::<Vec<_>>()))
}

/// Rows in pages, none of them too big for a message. One row more than may be asked for tells that there are more.
pub(super) fn paged<T: prost::Message, P>(rows: Vec<T>, page: impl Fn(Vec<T>) -> P) -> Response<Pages<P>> {
    pages(chunks(rows, page))
}

pub(super) fn chunks<T: prost::Message, P>(rows: Vec<T>, page: impl Fn(Vec<T>) -> P) -> Vec<P> {
    let mut pages = Vec::new();
    let (mut held, mut size) = (Vec::new(), 0);
    for row in rows.into_iter().take(limits::QUERY_ROWS + 1) {
        size += row.encoded_len();
        held.push(row);
        if held.len() >= limits::QUERY_PAGE || size >= PAGE_BYTES {
            pages.push(page(std::mem::take(&mut held)));
            size = 0;
        }
    }
    if !held.is_empty() {
        pages.push(page(held));
    }
    pages
}

/// The parts of a host's answer.
pub(super) fn parts(whole: pb::HostPart) -> Response<Pages<pb::HostPart>> {
    let part = pb::HostPart::default;
    let mut all = vec![pb::HostPart { host: whole.host, watchers: whole.watchers, events: whole.events, ..part() }];
    all.extend(chunks(whole.drifts, |drifts| pb::HostPart { drifts, ..part() }));
    all.extend(chunks(whole.samples, |samples| pb::HostPart { samples, ..part() }));
    all.extend(chunks(whole.rows, |rows| pb::HostPart { rows, ..part() }));
    pages(all)
}

pub(super) fn filter_labels(labels: &[pb::Label]) -> Groups {
    labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

pub(super) fn labels(groups: &Groups) -> Vec<pb::Label> {
    groups.iter().map(|(name, value)| pb::Label { name: name.clone(), value: value.clone() }).collect()
}

/// A host by name.
pub(super) fn host_named(questions: &mut dyn Questions, name: &str) -> Result<HostRow, Status> {
    let hosts = questions.hosts().map_err(|error| failed(&error))?;
    if let Some(host) = hosts.iter().find(|host| host.name == name) {
        return Ok(host.clone());
    }
    Err(no_host(name, &hosts))
}

/// There is none of this name; `hosts` says which there are.
pub(super) fn no_host(name: &str, hosts: &[HostRow]) -> Status {
    let meant = plumb_proto::nearest::nearest(name, hosts.iter().map(|host| host.name.as_str()));
    let hint = meant.map_or_else(|| "`plumb hosts` lists them".to_owned(), |meant| format!("did you mean {meant}?"));
    Status::not_found(format!("there is no host \"{}\": {hint}", plumb_proto::untrusted::Untrusted::from(name)))
}

pub(super) fn optional_host(questions: &mut dyn Questions, name: &str) -> Result<Option<HostRow>, Status> {
    if name.is_empty() { Ok(None) } else { host_named(questions, name).map(Some) }
}

pub(super) fn drifts(questions: &mut dyn Questions, asked: &pb::DriftsRequest) -> Result<Vec<pb::Drift>, Status> {
    let host = optional_host(questions, &asked.host)?;
    let kind = match asked.kind.as_str() {
        "" => None,
        word => Some(Kind::parse(word).ok_or_else(|| invalid(format!("there is no kind \"{word}\"")))?),
    };
    let severity = match asked.severity() {
        wire::Severity::Unspecified => None,
        wire::Severity::Info => Some(Severity::Info),
        wire::Severity::Warning => Some(Severity::Warning),
        wire::Severity::Critical => Some(Severity::Critical),
    };
    let filter = DriftFilter {
        host: host.map(|host| host.id),
        groups: filter_labels(&asked.groups),
        kind,
        severity,
        all: asked.all,
        ids: Vec::new(),
    };
    let found = questions.drifts(&filter).map_err(|error| failed(&error))?;
    named(questions, &found)
}

/// Drifts with the names of their hosts; those of retired hosts carry their number.
pub(super) fn named(questions: &mut dyn Questions, drifts: &[KnownDrift]) -> Result<Vec<pb::Drift>, Status> {
    let hosts = questions.hosts().map_err(|error| failed(&error))?;
    let names: std::collections::HashMap<_, _> = hosts.into_iter().map(|host| (host.id, host.name)).collect();
    let name = |each: &KnownDrift| names.get(&each.drift.host).cloned().unwrap_or_else(|| each.drift.host.to_string());
    Ok(drifts.iter().map(|each| drift(&name(each), each)).collect())
}

pub(super) fn series_labels(series: &Series) -> Vec<wire::Label> {
    let label = |(name, value): (&String, &plumb_proto::untrusted::Untrusted)| wire::Label {
        name: name.clone(),
        value: value.as_bytes().to_vec(),
    };
    series.labels.iter().map(label).collect()
}

fn severity(severity: Severity) -> i32 {
    match severity {
        Severity::Info => wire::Severity::Info,
        Severity::Warning => wire::Severity::Warning,
        Severity::Critical => wire::Severity::Critical,
    }
    .into()
}

pub(super) fn subject(subject: &Subject) -> pb::Subject {
    let kind = match subject {
        Subject::Row { table, key, field } => pb::subject::Kind::Row(pb::RowSubject {
            table: table.clone(),
            key: key.as_bytes().to_vec(),
            field: field.clone(),
        }),
        Subject::Series(series) => {
            pb::subject::Kind::Series(pb::SeriesSubject { name: series.name.clone(), labels: series_labels(series) })
        }
        Subject::Watcher(name) => pb::subject::Kind::Watcher(name.clone()),
        Subject::Host => pb::subject::Kind::Host(true),
    };
    pb::Subject { kind: Some(kind) }
}

pub(super) fn drift(host: &str, known: &KnownDrift) -> pb::Drift {
    let drift = &known.drift;
    pb::Drift {
        id: known.id,
        host: host.to_owned(),
        kind: drift.kind.as_str().to_owned(),
        severity: severity(drift.severity),
        subject: Some(subject(&drift.subject)),
        title: drift.title.clone(),
        expected: drift.expected.clone(),
        actual: drift.actual.clone(),
        since_ms: known.since.millis(),
        state: known.state.as_str().to_owned(),
        silenced: known.silenced,
        unknown: known.unknown.clone(),
        rule: drift.rule.clone(),
        cause: drift.cause.clone(),
        hint: drift.hint.clone(),
        closed_ms: known.closed.map(Timestamp::millis),
        note: known.note.clone(),
    }
}

pub(super) fn event((number, row): (u64, EventRow)) -> pb::Event {
    let (epoch, seq, position) = row.id;
    pb::Event {
        number,
        watcher: row.watcher,
        epoch: epoch.0.to_vec(),
        seq,
        position,
        event: Some(event_to_wire(&row.event)),
    }
}

/// All about a host.
pub(super) fn whole(
    view: &HostView,
    summary: pb::Host,
    drifts: &[KnownDrift],
    events: Vec<(u64, EventRow)>,
    (dates, now): (&Dates, Timestamp),
) -> pb::HostPart {
    let name = view.host.name.as_str();
    let rows = view
        .tables
        .values()
        .flat_map(|table| table.rows.values())
        .map(|each| pb::Row { support: support::of(dates, view, each, now), ..row(name, each) });
    let samples = view.series.values().flatten().filter(|(series, _)| view.stands(series)).map(sample);
    let watchers = view.watchers.iter().map(|(name, watcher)| pb::Watcher {
        name: name.clone(),
        at_ms: watcher.at.millis(),
        outcome: match watcher.outcome {
            Outcome::Done => wire::Outcome::Done,
            Outcome::More => wire::Outcome::More,
            Outcome::Absent => wire::Outcome::Absent,
            Outcome::Failed => wire::Outcome::Failed,
        }
        .into(),
        complete_ms: watcher.complete.map(Timestamp::millis),
        problems: watcher.problems.iter().map(problem).collect(),
    });
    pb::HostPart {
        host: Some(summary),
        rows: rows.collect(),
        samples: samples.collect(),
        watchers: watchers.collect(),
        drifts: drifts.iter().map(|each| drift(name, each)).collect(),
        events: events.into_iter().map(event).collect(),
    }
}

fn sample((series, sampled): (&Series, &Sampled)) -> pb::Sample {
    pb::Sample {
        name: series.name.clone(),
        labels: series_labels(series),
        value: sampled.value,
        at_ms: sampled.at.millis(),
        rate: sampled.rate,
    }
}

fn problem(problem: &Problem) -> pb::Problem {
    pb::Problem {
        table: problem.table.clone(),
        key_prefix: problem.key_prefix.as_bytes().to_vec(),
        path: problem.path.as_bytes().to_vec(),
        error: problem.error.clone(),
        hint: problem.hint.clone(),
    }
}

pub(super) fn delivery(message: &Message, alerts: &[Alert]) -> pb::Delivery {
    let (state, next_try_ms) = match message.delivery {
        Delivery::Waiting { next_try } => ("waiting", Some(next_try.millis())),
        Delivery::Delivered => ("delivered", None),
        Delivery::Failed => ("failed", None),
    };
    pb::Delivery {
        receiver: message.receiver.clone(),
        key: message.key.0.to_vec(),
        created_ms: message.created.millis(),
        tries: message.tries,
        state: state.to_owned(),
        next_try_ms,
        last_error: message.last_error.clone(),
        alerts: alerts.iter().map(alert).collect(),
    }
}

fn alert(alert: &Alert) -> pb::Alert {
    let body: serde_json::Value = serde_json::from_str(&alert.body).unwrap_or_default();
    pb::Alert {
        drift: alert.drift,
        transition: alert.transition,
        kind: alert.kind.as_str().to_owned(),
        at_ms: alert.at.millis(),
        host: alert.host.clone(),
        severity: severity(alert.severity),
        title: body.get("title").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
    }
}
