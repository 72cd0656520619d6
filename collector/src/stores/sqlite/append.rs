//! The way of a record into the store: ledger, view, rows.

use std::sync::Arc;

use anyhow::Result;
use plumb_proto::time::Timestamp;
use rusqlite::Connection;

use super::cache::Cached;
use super::packer::Packer;
use super::{events, facts, ledger, samples, sql};
use crate::store::Incoming;
use crate::view::Touched;

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

    let shift_ms = incoming.skew_ms.saturating_neg();
    let corrected = |at: Timestamp| Timestamp::from_millis(at.millis().saturating_add(shift_ms));
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
    for (position, block) in payload.blocks.iter().enumerate() {
        view.take_block(block, shift_ms, &mut touched);
        let keep = (&*view, &mut cached.series);
        samples::write(conn, (cached.no, place.receipt, position, incoming.received), keep, (block, shift_ms), packer)?;
    }
    Ok(Some(touched))
}
