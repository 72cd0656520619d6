//! What has changed on hosts: change sets, and how one of them is found again by its number.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::generated::query as pb;
use plumb_proto::limits;
use plumb_proto::record::{Epoch, HostId};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use plumb_proto::wire::value_to_wire;
use prost::Message as _;
use tonic::Status;

use super::answers::{filter_labels, optional_host};
use super::failed;
use super::limited::has;
use crate::change_set::{Change, ChangeSet, GAP, How, group};
use crate::drift::text::clip;
use crate::store::rows::HostRow;
use crate::store::{EventFilter, Questions};

/// How far back it goes if nobody says.
const LAST: Duration = Duration::from_secs(86_400);
/// A set keeps its number only as a whole, so it is read from further back than asked; again from further where the first of
/// it may still be missing.
const BACK: [Duration; 3] = [Duration::from_secs(600), Duration::from_secs(7_200), Duration::from_secs(86_400)];
/// A set is found by its number for so long.
const FOUND: Duration = Duration::from_secs(7 * 86_400);
/// Sets of one answer.
const SETS: usize = 1_000;
/// Items of one set, and their bytes.
const ITEMS: (usize, usize) = (1_000, 256 << 10);
/// Bytes of the items of an answer: what is older than those comes without.
const BYTES: usize = 16 << 20;
/// What the collector says when it knows who made a change.
const EXPLAINED: &str = "explained_change";

/// Sets of one host that had not ended before `since`, oldest first.
fn of_host(questions: &mut dyn Questions, host: &HostId, since: Timestamp) -> Result<Vec<ChangeSet>> {
    let mut sets = Vec::new();
    for back in BACK {
        let from = since - back;
        sets = group(host, questions.changes(host, from)?);
        let may_be_cut = sets.first().is_some_and(|set| set.end >= since && set.start.since(from) <= GAP);
        if !may_be_cut {
            break;
        }
    }
    sets.retain(|set| set.end >= since);
    Ok(sets)
}

/// Moments at which the collector itself knew who made a change: that was told with the record, a little behind it.
fn explained(questions: &mut dyn Questions, host: &HostId, since: Timestamp) -> Result<Vec<Timestamp>> {
    let filter = EventFilter {
        kind: Some(EXPLAINED.to_owned()),
        since: Some(since),
        limit: limits::QUERY_ROWS,
        ..EventFilter::default()
    };
    let events = questions.events(host, &filter)?;
    // a host may tell an event of any kind, but not in the name of the collector
    Ok(events.into_iter().filter(|(_, row)| row.id.0 == Epoch([0; 16])).map(|(_, row)| row.event.at).collect())
}

fn actor(set: &ChangeSet, explained: &[Timestamp]) -> &'static str {
    let is_within = |at: &&Timestamp| **at >= set.start && at.since(set.end) <= GAP;
    if explained.iter().find(is_within).is_some() { "package manager" } else { "unknown" }
}

/// The newest sets, newest last, and whether there are older ones.
pub(super) fn answer(
    questions: &mut dyn Questions,
    asked: &pb::ChangesRequest,
    now: Timestamp,
) -> Result<(Vec<pb::ChangeSet>, bool), Status> {
    let groups = filter_labels(&asked.groups);
    let mut hosts = match optional_host(questions, &asked.host)? {
        Some(host) => vec![host],
        None => questions.hosts().map_err(|error| failed(&error))?,
    };
    hosts.retain(|host| has(&host.groups, &groups));
    let since = asked.since_ms.map_or_else(|| now - LAST, Timestamp::from_millis);
    let limit = match asked.limit as usize {
        0 => SETS,
        limit => limit.min(SETS),
    };
    let (mut told, mut cut) = (Vec::new(), false);
    for host in hosts {
        let sets = of_host(questions, &host.id, since).map_err(|error| failed(&error))?;
        let Some(first) = sets.first() else { continue };
        let explained = explained(questions, &host.id, first.start).map_err(|error| failed(&error))?;
        cut |= sets.len() > limit;
        let newest = &sets[sets.len().saturating_sub(limit)..];
        told.extend(newest.iter().map(|set| wire(&host.name, set, actor(set, &explained))));
        cut |= bound(&mut told, limit);
    }
    Ok((told, cut))
}

/// Keeps the newest `limit`, and the items of those that fit; answers whether a set went.
fn bound(told: &mut Vec<pb::ChangeSet>, limit: usize) -> bool {
    told.sort_by(|one, other| (one.end_ms, one.start_ms, &one.host).cmp(&(other.end_ms, other.start_ms, &other.host)));
    let too_many = told.len().saturating_sub(limit);
    told.drain(..too_many);
    let mut bytes = 0;
    for set in told.iter_mut().rev() {
        bytes += set.encoded_len();
        if bytes > BYTES {
            set.left_out += set.items.len() as u64;
            set.items.clear();
        }
    }
    too_many > 0
}

fn wire(host: &str, set: &ChangeSet, actor: &str) -> pb::ChangeSet {
    let mut items = Vec::new();
    let mut bytes = 0;
    for change in set.items.iter().take(ITEMS.0) {
        let item = item(change);
        bytes += item.encoded_len();
        if bytes > ITEMS.1 {
            break;
        }
        items.push(item);
    }
    pb::ChangeSet {
        id: set.id.clone(),
        host: host.to_owned(),
        start_ms: set.start.millis(),
        end_ms: set.end.millis(),
        actor: actor.to_owned(),
        summary: set.summary(),
        counts: set.counts().into_iter().map(|(kind, number)| pb::Count { kind, number }).collect(),
        left_out: (set.items.len() - items.len()) as u64,
        items,
    }
}

fn item(change: &Change) -> pb::Change {
    pb::Change {
        at_ms: change.at.millis(),
        table: change.table.clone(),
        key: change.key.as_bytes().to_vec(),
        field: change.field.clone(),
        how: change.how.as_str().to_owned(),
        was: change.was.as_ref().map(value_to_wire),
        is: change.is.as_ref().map(value_to_wire),
        tree: change.tree.as_ref().map(|tree| tree.as_bytes().to_vec()).unwrap_or_default(),
        count: change.count,
    }
}

/// A row, or a column of one.
pub(super) type Place = (String, Untrusted, Option<String>);

/// A set that is to be approved.
pub(super) struct Found {
    pub(super) host: HostRow,
    /// What it touched, each with how it left it.
    pub(super) touched: BTreeMap<Place, Change>,
    /// How much of it has changed again since.
    pub(super) changed_again: usize,
}

/// Finds a set by its number. What has changed again since is not what was looked at.
pub(super) fn find(questions: &mut dyn Questions, id: &str, now: Timestamp) -> Result<Found, Status> {
    for host in questions.hosts().map_err(|error| failed(&error))? {
        let sets = of_host(questions, &host.id, now - FOUND).map_err(|error| failed(&error))?;
        let Some(position) = sets.iter().position(|set| set.id == id) else { continue };
        let mut touched = touched(&sets[position]);
        let all = touched.len();
        let later: Vec<Change> = sets[position + 1..].iter().flat_map(|set| &set.items).cloned().collect();
        touched.retain(|place, _| !later.iter().any(|change| meets(change, place)));
        return Ok(Found { host, changed_again: all - touched.len(), touched });
    }
    let days = FOUND.as_secs() / 86_400;
    let id = clip(Untrusted::from(id));
    Err(Status::not_found(format!(
        "there is no change set \"{id}\" within the last {days} days: `plumb changes` shows their numbers"
    )))
}

/// What a set touched in the end. Columns of a row that is gone are gone with it.
fn touched(set: &ChangeSet) -> BTreeMap<Place, Change> {
    let rows = set.items.iter().filter(|change| change.table != crate::change_set::FILE);
    let place = |change: &Change| (change.table.clone(), change.key.clone(), change.field.clone());
    let last: BTreeMap<Place, Change> = rows.map(|change| (place(change), change.clone())).collect();
    let is_gone = |(table, key, field): &Place| {
        let row = last.get(&(table.clone(), key.clone(), None));
        field.is_some() && row.is_some_and(|row| row.how == How::Removed)
    };
    last.iter().filter(|(place, _)| !is_gone(place)).map(|(place, change)| (place.clone(), change.clone())).collect()
}

fn meets(change: &Change, (table, key, field): &Place) -> bool {
    let is_field = field.is_none() || change.field.is_none() || change.field == *field;
    change.table == *table && change.key == *key && is_field
}
