//! Alerts that wait, and the messages that carry them.

use anyhow::{Context, Result, bail};
use plumb_proto::limits;
use plumb_proto::record::Hash;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::hosts::{groups_from, groups_to};
use super::sql::{int, severity_from, severity_to, uint, word};
use crate::store::rows::{Alert, Delivery, Message, TransitionKind};

macro_rules! select_alerts {
    ($rest:literal) => {
        concat!("SELECT a.drift, a.transition, a.kind, a.at_ms, a.host, a.labels, a.severity, a.body, a.no ", $rest)
    };
}

fn alert(row: &Row<'_>) -> Result<Alert> {
    Ok(Alert {
        drift: uint(row.get(0)?)?,
        transition: row.get(1)?,
        kind: word(row.get_ref(2)?.as_str()?, TransitionKind::parse)?,
        at: Timestamp::from_millis(row.get(3)?),
        host: row.get(4)?,
        groups: groups_from(row.get_ref(5)?.as_str()?)?,
        severity: severity_from(row.get(6)?)?,
        body: row.get(7)?,
    })
}

/// Puts an alert into the outbox; the same transition again is the same alert.
pub fn put(conn: &Connection, alert: &Alert) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO alerts (drift, transition, kind, at_ms, host, labels, severity, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (drift, transition) DO NOTHING",
    )?;
    statement.execute(params![
        int(alert.drift)?,
        alert.transition,
        alert.kind.as_str(),
        alert.at.millis(),
        alert.host,
        groups_to(&alert.groups)?,
        severity_to(alert.severity),
        alert.body
    ])?;
    Ok(())
}

/// Makes a receiver known, from the alerts on that come now; one that is known stays as it is.
pub fn begin(conn: &Connection, receiver: &str) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO receivers (name, through) SELECT ?1, coalesce(max(no), 0) FROM alerts WHERE true
         ON CONFLICT (name) DO NOTHING",
    )?
    .execute([receiver])?;
    Ok(())
}

/// Alerts that are in no message of a receiver yet, oldest first. What lies before the first of them is never looked
/// through again.
pub fn waiting_alerts(conn: &Connection, receiver: &str, limit: usize) -> Result<Vec<Alert>> {
    let through: Option<i64> = conn
        .prepare_cached("SELECT through FROM receivers WHERE name = ?1")?
        .query_row([receiver], |row| row.get(0))
        .optional()?;
    let mut statement = conn.prepare_cached(select_alerts!(
        "FROM alerts a WHERE a.no > ?2 AND NOT EXISTS (SELECT 1 FROM message_alerts m
         WHERE m.receiver = ?1 AND m.drift = a.drift AND m.transition = a.transition) ORDER BY a.no LIMIT ?3"
    ))?;
    let rows = statement
        .query_and_then(params![receiver, through.unwrap_or(0), i64::try_from(limit.max(1))?], |row| {
            Ok::<_, anyhow::Error>((row.get::<_, i64>(8)?, alert(row)?))
        })?;
    let mut found = rows.collect::<Result<Vec<_>>>()?;
    let settled: i64 = match found.first() {
        Some((first, _)) => first - 1,
        None => conn.prepare_cached("SELECT coalesce(max(no), 0) FROM alerts")?.query_row([], |row| row.get(0))?,
    };
    if settled > through.unwrap_or(0) {
        conn.prepare_cached(
            "INSERT INTO receivers (name, through) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET through = ?2",
        )?
        .execute(params![receiver, settled])?;
    }
    found.truncate(limit);
    Ok(found.into_iter().map(|(_, alert)| alert).collect())
}

/// Notes alerts that this receiver does not carry.
pub fn pass_over(conn: &Connection, receiver: &str, alerts: &[(u64, u32)]) -> Result<()> {
    assign(conn, receiver, alerts, None)
}

fn assign(conn: &Connection, receiver: &str, alerts: &[(u64, u32)], message: Option<i64>) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO message_alerts (receiver, drift, transition, message) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (receiver, drift, transition) DO UPDATE SET message = coalesce(message, ?4)",
    )?;
    for (drift, transition) in alerts {
        statement.execute(params![receiver, int(*drift)?, transition, message])?;
    }
    Ok(())
}

/// Inserts or updates a message; what is in it never changes.
pub fn save(conn: &Connection, message: &Message) -> Result<()> {
    let (state, next_try) = match &message.delivery {
        Delivery::Waiting { next_try } => ("waiting", Some(next_try.millis())),
        Delivery::Delivered => ("delivered", None),
        Delivery::Failed => ("failed", None),
    };
    let known: Option<i64> = conn
        .prepare_cached("SELECT no FROM messages WHERE receiver = ?1 AND key = ?2")?
        .query_row(params![message.receiver, message.key.0], |row| row.get(0))
        .optional()?;
    if let Some(no) = known {
        conn.prepare_cached(
            "UPDATE messages SET tries = ?2, state = ?3, next_try_ms = ?4, last_error = ?5 WHERE no = ?1",
        )?
        .execute(params![no, message.tries, state, next_try, message.last_error])?;
        return Ok(());
    }
    let no = conn
        .prepare_cached(
            "INSERT INTO messages (receiver, key, created_ms, tries, state, next_try_ms, last_error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(params![
            message.receiver,
            message.key.0,
            message.created.millis(),
            message.tries,
            state,
            next_try,
            message.last_error
        ])?;
    assign(conn, &message.receiver, &message.alerts, Some(no))
}

macro_rules! select_messages {
    ($rest:literal) => {
        concat!("SELECT no, receiver, key, created_ms, tries, state, next_try_ms, last_error FROM messages ", $rest)
    };
}

fn message(conn: &Connection, row: &Row<'_>) -> Result<Message> {
    let no: i64 = row.get(0)?;
    let delivery = match (row.get_ref(5)?.as_str()?, row.get::<_, Option<i64>>(6)?) {
        ("waiting", next_try) => {
            let next_try = Timestamp::from_millis(next_try.context("a message waits for no moment")?);
            Delivery::Waiting { next_try }
        }
        ("delivered", _) => Delivery::Delivered,
        ("failed", _) => Delivery::Failed,
        (state, _) => bail!("{state:?} is no state of a message"),
    };
    let mut held = conn
        .prepare_cached("SELECT drift, transition FROM message_alerts WHERE message = ?1 ORDER BY drift, transition")?;
    let held = held.query_and_then([no], |row| Ok::<_, anyhow::Error>((uint(row.get(0)?)?, row.get(1)?)))?;
    Ok(Message {
        receiver: row.get(1)?,
        key: Hash(row.get(2)?),
        alerts: held.collect::<Result<_>>()?,
        created: Timestamp::from_millis(row.get(3)?),
        tries: row.get(4)?,
        delivery,
        last_error: row.get(7)?,
    })
}

/// Messages of a receiver that wait, oldest first.
pub fn waiting(conn: &Connection, receiver: &str) -> Result<Vec<Message>> {
    let mut statement =
        conn.prepare_cached(select_messages!("WHERE receiver = ?1 AND state = 'waiting' ORDER BY no LIMIT ?2"))?;
    let limit = i64::try_from(limits::QUERY_PAGE)?;
    statement.query_and_then(params![receiver, limit], |row| message(conn, row))?.collect()
}

/// The alerts of a message, in order of their numbers.
pub fn alerts_of(conn: &Connection, message: &Message) -> Result<Vec<Alert>> {
    let mut statement = conn.prepare_cached(select_alerts!(
        "FROM messages m JOIN message_alerts h ON h.message = m.no
         JOIN alerts a ON a.drift = h.drift AND a.transition = h.transition
         WHERE m.receiver = ?1 AND m.key = ?2 ORDER BY a.no"
    ))?;
    statement.query_and_then(params![message.receiver, message.key.0], alert)?.collect()
}

/// Messages, newest first, with what they hold.
pub fn newest(conn: &Connection, limit: usize) -> Result<Vec<(Message, Vec<Alert>)>> {
    let mut statement = conn.prepare_cached(select_messages!("ORDER BY no DESC LIMIT ?1"))?;
    let limit = i64::try_from(limit.min(limits::QUERY_ROWS))?;
    let rows = statement.query_and_then([limit], |row| {
        let message = message(conn, row)?;
        let alerts = alerts_of(conn, &message)?;
        Ok((message, alerts))
    })?;
    rows.collect()
}
