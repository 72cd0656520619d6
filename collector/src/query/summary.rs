//! How a host stands, in a line.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::generated::query as pb;
use plumb_proto::model::{Outcome, Severity, Value};
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use tonic::Status;

use super::answers::labels;
use super::failed;
use crate::drift::{DriftState, Kind, KnownDrift, Subject};
use crate::store::rows::{Groups, HostState};
use crate::store::{DriftFilter, Questions};
use crate::view::{HostView, Row};

/// What silence is measured by.
#[derive(Clone, Copy)]
pub(super) struct Hearing {
    pub(super) now: Timestamp,
    /// For how long this collector has listened.
    pub(super) up: Duration,
    /// A host that was not heard of for this long is silent.
    pub(super) silent_after: Duration,
}

/// All hosts with these labels, by name.
pub(super) fn hosts(questions: &mut dyn Questions, groups: &Groups, hearing: Hearing) -> Result<Vec<pb::Host>, Status> {
    let filter = DriftFilter { groups: groups.clone(), ..DriftFilter::default() };
    let mut drifts: BTreeMap<HostId, Vec<KnownDrift>> = BTreeMap::new();
    for drift in questions.drifts(&filter).map_err(|error| failed(&error))? {
        drifts.entry(drift.drift.host).or_default().push(drift);
    }
    let mut hosts = questions.hosts().map_err(|error| failed(&error))?;
    hosts.retain(|host| groups.iter().all(|(name, value)| host.groups.get(name) == Some(value)));
    let mut lines = Vec::with_capacity(hosts.len());
    for row in hosts {
        let view = questions.outline(&row.id).map_err(|error| failed(&error))?;
        let of_host = drifts.remove(&row.id).unwrap_or_default();
        lines.push(host(&view, &of_host, hearing));
    }
    Ok(lines)
}

/// One host. `drifts`: those of it that are open.
pub(super) fn host(view: &HostView, drifts: &[KnownDrift], hearing: Hearing) -> pb::Host {
    let Hearing { now, up, silent_after } = hearing;
    let open: Vec<&KnownDrift> = drifts.iter().filter(|each| each.state == DriftState::Open).collect();
    let number = |severity| open.iter().filter(|each| each.drift.severity == severity).count();
    let count = |severity| u32::try_from(number(severity)).unwrap_or(u32::MAX);
    let unknowns = unknowns(view);
    let silent = open.iter().any(|each| each.drift.kind == Kind::Silent && each.drift.subject == Subject::Host);
    let quiet = view.host.last_seen.is_some_and(|seen| now.since(seen) > silent_after);
    let untold = open.iter().filter(|each| each.unknown.is_some()).count();
    let (state, reason) = match (view.host.state, view.host.last_seen) {
        (HostState::Suspended, _) => (pb::HostState::Unknown, "suspended: it may not report".to_owned()),
        (HostState::Revoked, _) => (pb::HostState::Unknown, "revoked: it may never report again".to_owned()),
        (HostState::Retired, _) => (pb::HostState::Unknown, "retired".to_owned()),
        (HostState::Active, None) => (pb::HostState::Unknown, "it has not reported yet".to_owned()),
        (HostState::Active, Some(_)) if quiet && !silent && up < silent_after => {
            (pb::HostState::Unknown, "not heard of since the collector started".to_owned())
        }
        (HostState::Active, Some(_)) if silent || quiet => {
            (pb::HostState::Silent, "nothing was heard of it".to_owned())
        }
        (HostState::Active, Some(_)) if !open.is_empty() => (
            pb::HostState::Drifting,
            reasons(&[(open.len(), "open drift", "open drifts"), (unknowns, UNREAD.0, UNREAD.1)]),
        ),
        (HostState::Active, Some(_)) if view.watchers.is_empty() => {
            (pb::HostState::Unknown, "no watcher has reported yet".to_owned())
        }
        (HostState::Active, Some(_)) if unknowns + untold > 0 => {
            (pb::HostState::Unknown, reasons(&[(unknowns, UNREAD.0, UNREAD.1)]))
        }
        (HostState::Active, Some(_)) => (pb::HostState::Ok, String::new()),
    };
    pb::Host {
        id: view.host.id.0.to_vec(),
        name: view.host.name.clone(),
        state: state.into(),
        reason,
        last_seen_ms: view.host.last_seen.map(Timestamp::millis),
        groups: labels(&view.host.groups),
        critical: count(Severity::Critical),
        warning: count(Severity::Warning),
        info: count(Severity::Info),
        admission: view.host.state.as_str().to_owned(),
        enrolled_ms: view.host.enrolled.millis(),
        build: view.host.build.clone(),
        skew_ms: view.host.skew_ms,
        vitals: Some(vitals(view, unknowns)),
    }
}

const UNREAD: (&str, &str) = ("thing could not be read", "things could not be read");

fn reasons(counts: &[(usize, &str, &str)]) -> String {
    let told = counts.iter().filter(|(count, ..)| *count > 0);
    let text = |(count, one, many): &(usize, &str, &str)| format!("{count} {}", if *count == 1 { one } else { many });
    told.map(text).collect::<Vec<_>>().join(", ")
}

/// How many things could not be read: looks that failed, problems, rows that the last look could not see, columns and
/// series without a value.
fn unknowns(view: &HostView) -> usize {
    let watchers =
        view.watchers.values().map(|each| each.problems.len() + usize::from(each.outcome == Outcome::Failed));
    let rows = view.tables.values().flat_map(|table| table.rows.values());
    let rows = rows.map(|row| row.fact.unknown.len() + usize::from(row.stale.is_some()));
    let series =
        view.series.values().flatten().filter(|(series, sampled)| sampled.value.is_none() && view.stands(series));
    watchers.sum::<usize>() + rows.sum::<usize>() + series.count()
}

fn vitals(view: &HostView, unknowns: usize) -> pb::Vitals {
    let rows = |table: &str| view.tables.get(table).into_iter().flat_map(|table| table.rows.values());
    let os = rows("os").next().and_then(|os| {
        let name = text(os, "id").or_else(|| text(os, "name"))?;
        let version = text(os, "version").map(|version| [b" ", version.as_bytes()].concat()).unwrap_or_default();
        Some([name.as_bytes(), &version].concat())
    });
    let mut php: Vec<Vec<u8>> = rows("php").map(|row| version(row, "version")).collect();
    php.sort();
    php.dedup();
    let databases = rows("database").map(|row| {
        let key = row.fact.key.as_bytes();
        let product = key.split(|byte| *byte == b'/').next().unwrap_or(key);
        [product, b" ", version(row, "version").as_slice()].concat()
    });
    let fullest = disks(view).max_by(|(_, one), (_, other)| one.total_cmp(other));
    let backups = rows("backup").filter_map(|row| match row.fact.fields.get("newest") {
        Some(Value::Time(newest)) => Some(newest.millis()),
        _ => None,
    });
    pb::Vitals {
        os,
        php,
        databases: databases.collect(),
        disk_used: fullest.as_ref().map(|(_, share)| *share),
        disk: fullest.map(|(mount, _)| mount.into_bytes()),
        backup_ms: backups.max(),
        unknowns: u32::try_from(unknowns).unwrap_or(u32::MAX),
    }
}

fn text<'a>(row: &'a Row, column: &str) -> Option<&'a Untrusted> {
    match row.fact.fields.get(column)? {
        Value::Text(text) | Value::Version(text) => Some(text),
        _ => None,
    }
}

/// A version; `?` where it could not be read.
fn version(row: &Row, column: &str) -> Vec<u8> {
    text(row, column).map_or_else(|| b"?".to_vec(), |version| version.as_bytes().to_vec())
}

/// The mounts that are told and how full they are for those who are not root (as df says it).
fn disks(view: &HostView) -> impl Iterator<Item = (Untrusted, f64)> + '_ {
    let used = view.series.get("disk_used_bytes").into_iter().flatten();
    used.filter_map(|(series, used)| {
        let available = view.series.get("disk_available_bytes")?;
        let (_, available) = available.iter().find(|(other, _)| other.labels == series.labels)?;
        let (used, available) = (used.value?, available.value?);
        let mount = series.labels.get("mount")?.clone();
        (view.stands(series) && used + available > 0.0).then(|| (mount, used / (used + available)))
    })
}
