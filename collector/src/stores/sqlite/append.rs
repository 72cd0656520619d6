//! The way of a record into the store: ledger, view, rows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use plumb_proto::time::Timestamp;
use rusqlite::Connection;

use super::cache::Cached;
use super::packer::Packer;
use super::{events, facts, ledger, samples, sql};
use crate::store::Incoming;
use crate::view::{Touched, WATCHERS};

/// A host's clock may run ahead by so much between two greetings.
const AHEAD: Duration = Duration::from_secs(3600);

/// Writes a record and all that it says. The view is loaded already: it must not hold any of this.
pub fn append(
    conn: &Connection,
    cached: &mut Cached,
    incoming: &Incoming<'_>,
    packer: &mut Packer,
) -> Result<Option<Touched>> {
    let Some(place) = ledger::append(conn, cached.no, incoming, packer)? else { return Ok(None) };
    let mut touched = Touched::default();
    let view = Arc::make_mut(&mut cached.view);
    view.host.last_seen = view.host.last_seen.max(Some(incoming.received));
    let Ok(payload) = incoming.payload else { return Ok(Some(touched)) };

    let corrected = |at: Timestamp| corrected(at, incoming);
    let seq = sql::int(incoming.record.header.seq)?;
    let mut changes = Vec::new();
    if payload.begin.is_some() {
        changes.extend(view.begin_epoch());
    }
    for table in &payload.tables {
        changes.extend(view.declare(table));
    }
    let mut position = 0u32;
    for report in &payload.reports {
        if !view.has_room_for(&report.watcher) {
            tracing::warn!(
                "host {}: what watcher {:?} says is left out, it has too many",
                incoming.host,
                report.watcher
            );
            continue;
        }
        changes.extend(view.apply(report, corrected(report.at), &mut touched));
        for event in &report.events {
            let at = corrected(event.at);
            events::write(
                conn,
                cached.no,
                (place.epoch, seq, position),
                &report.watcher,
                (at, incoming.received),
                event,
            )?;
            position += 1;
        }
    }
    facts::write(conn, cached.no, view, &changes)?;
    let mut sampled: Option<BTreeSet<String>> = None;
    for (position, block) in payload.blocks.iter().enumerate() {
        if !view.watchers.contains_key(&block.watcher) {
            let sampled = match &mut sampled {
                Some(sampled) => sampled,
                none => none.insert(samples::watchers(conn, cached.no)?.into_iter().collect()),
            };
            if sampled.len() >= WATCHERS && !sampled.contains(&block.watcher) {
                tracing::warn!(
                    "host {}: samples of watcher {:?} are left out, it has too many",
                    incoming.host,
                    block.watcher
                );
                continue;
            }
            sampled.insert(block.watcher.clone());
        }
        let times: Vec<Timestamp> = block.times.iter().copied().map(corrected).collect();
        view.take_block(block, &times, &mut touched);
        let keep = (&*view, &mut cached.series);
        samples::write(conn, (cached.no, place.receipt, position, incoming.received), keep, (block, &times), packer)?;
    }
    Ok(Some(touched))
}

/// A host's time by the collector's clock, within what can be. What lies far ahead of its receipt was at its receipt at
/// the latest (the host's clock has jumped since its greeting, or it lies): kept as told, it would never be old enough to
/// be merged or dropped. Nothing was before 1970.
fn corrected(at: Timestamp, incoming: &Incoming<'_>) -> Timestamp {
    let at = Timestamp::from_millis(at.millis().saturating_sub(incoming.skew_ms).max(0));
    if at > incoming.received + AHEAD { incoming.received } else { at }
}
