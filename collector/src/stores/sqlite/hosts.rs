//! Hosts, tokens and the log of issued certificates.

use anyhow::{Context, Result};
use plumb_proto::record::{Hash, HostId};
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::sql::{millis, word};
use crate::store::rows::{Groups, HostRow, HostState, Issuance, TokenRow};

/// What was last received of a host stands at its epochs, so that a record need not write here.
macro_rules! select_hosts {
    ($($rest:literal)?) => {
        concat!(
            "SELECT h.no, h.id, h.name, h.state, h.labels, h.enrolled_ms, h.seen_ms, h.skew_ms, h.build, h.generation, ",
            "(SELECT max(e.seen_ms) FROM epochs e WHERE e.host = h.no) FROM hosts h ",
            $($rest)?
        )
    };
}

fn host_row(row: &Row<'_>) -> Result<(i64, HostRow)> {
    let (hello, record): (Option<i64>, Option<i64>) = (row.get(6)?, row.get(10)?);
    let host = HostRow {
        id: HostId(row.get(1)?),
        name: row.get(2)?,
        state: word(row.get_ref(3)?.as_str()?, HostState::parse)?,
        groups: groups_from(row.get_ref(4)?.as_str()?)?,
        enrolled: Timestamp::from_millis(row.get(5)?),
        last_seen: hello.max(record).map(Timestamp::from_millis),
        skew_ms: row.get(7)?,
        build: row.get(8)?,
        generation: row.get(9)?,
    };
    Ok((row.get(0)?, host))
}

/// Labels as a JSON object.
pub fn groups_to(groups: &Groups) -> Result<String> {
    Ok(serde_json::to_string(groups)?)
}

/// From [`groups_to`].
pub fn groups_from(text: &str) -> Result<Groups> {
    serde_json::from_str(text).context("kept labels are no JSON object")
}

/// A host and its number here.
pub fn by_id(conn: &Connection, id: &HostId) -> Result<Option<(i64, HostRow)>> {
    let mut statement = conn.prepare_cached(select_hosts!("WHERE h.id = ?1"))?;
    statement.query_and_then([id.0], host_row)?.next().transpose()
}

/// The number of a host that must be there.
pub fn number(conn: &Connection, id: &HostId) -> Result<i64> {
    let mut statement = conn.prepare_cached("SELECT no FROM hosts WHERE id = ?1")?;
    statement.query_row([id.0], |row| row.get(0)).optional()?.with_context(|| format!("host {id} is not enrolled"))
}

/// A host by name, unless retired.
pub fn by_name(conn: &Connection, name: &str) -> Result<Option<HostRow>> {
    let mut statement = conn.prepare_cached(select_hosts!("WHERE h.name = ?1 AND h.state <> 'retired'"))?;
    Ok(statement.query_and_then([name], host_row)?.next().transpose()?.map(|(_, host)| host))
}

/// All hosts by name, with their numbers; retired ones only where asked for.
pub fn all(conn: &Connection, retired: bool) -> Result<Vec<(i64, HostRow)>> {
    let mut statement = conn.prepare_cached(select_hosts!("WHERE ?1 OR h.state <> 'retired' ORDER BY h.name, h.no"))?;
    statement.query_and_then([retired], host_row)?.collect()
}

/// Inserts or updates.
pub fn save(conn: &Connection, host: &HostRow) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO hosts (id, name, state, labels, enrolled_ms, seen_ms, skew_ms, build, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET name = ?2, state = ?3, labels = ?4, enrolled_ms = ?5, seen_ms = ?6, skew_ms = ?7,
         build = ?8, generation = ?9",
    )?;
    statement
        .execute(params![
            host.id.0,
            host.name,
            host.state.as_str(),
            groups_to(&host.groups)?,
            host.enrolled.millis(),
            millis(host.last_seen),
            host.skew_ms,
            host.build,
            host.generation
        ])
        .with_context(|| format!("keep host {}", host.name))?;
    Ok(())
}

/// A token.
pub fn token(conn: &Connection, id: &[u8; 16]) -> Result<Option<TokenRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, secret_hash, name, labels, uses_left, failures, expires_ms, created_ms FROM tokens WHERE id = ?1",
    )?;
    let token = |row: &Row<'_>| -> Result<TokenRow> {
        Ok(TokenRow {
            id: row.get(0)?,
            secret_hash: Hash(row.get(1)?),
            name: row.get(2)?,
            groups: groups_from(row.get_ref(3)?.as_str()?)?,
            uses_left: row.get(4)?,
            failures: row.get(5)?,
            expires: Timestamp::from_millis(row.get(6)?),
            created: Timestamp::from_millis(row.get(7)?),
        })
    };
    statement.query_and_then([id], token)?.next().transpose()
}

/// Inserts or updates.
pub fn save_token(conn: &Connection, token: &TokenRow) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO tokens (id, secret_hash, name, labels, uses_left, failures, expires_ms, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET secret_hash = ?2, name = ?3, labels = ?4, uses_left = ?5, failures = ?6,
         expires_ms = ?7, created_ms = ?8",
    )?;
    statement.execute(params![
        token.id,
        token.secret_hash.0,
        token.name,
        groups_to(&token.groups)?,
        token.uses_left,
        token.failures,
        token.expires.millis(),
        token.created.millis()
    ])?;
    Ok(())
}

macro_rules! select_issuances {
    ($rest:literal) => {
        concat!(
            "SELECT h.id, i.serial, i.generation, i.key_hash, i.not_after_ms, i.issued_ms, i.token, i.chain ",
            "FROM issuances i JOIN hosts h ON h.no = i.host ",
            $rest
        )
    };
}

fn issuance(row: &Row<'_>) -> Result<Issuance> {
    Ok(Issuance {
        host: HostId(row.get(0)?),
        serial: row.get(1)?,
        generation: row.get(2)?,
        key_hash: Hash(row.get(3)?),
        not_after: Timestamp::from_millis(row.get(4)?),
        issued: Timestamp::from_millis(row.get(5)?),
        token: row.get(6)?,
        chain: row.get(7)?,
    })
}

/// Adds to the log.
pub fn log_issuance(conn: &Connection, issued: &Issuance) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO issuances (host, serial, generation, key_hash, not_after_ms, issued_ms, token, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        number(conn, &issued.host)?,
        issued.serial,
        issued.generation,
        issued.key_hash.0,
        issued.not_after.millis(),
        issued.issued.millis(),
        issued.token,
        issued.chain
    ])?;
    Ok(())
}

/// What was issued to a host, newest first.
pub fn issuances(conn: &Connection, host: &HostId) -> Result<Vec<Issuance>> {
    let mut statement = conn.prepare_cached(select_issuances!("WHERE i.host = ?1 ORDER BY i.no DESC"))?;
    statement.query_and_then([number(conn, host)?], issuance)?.collect()
}

/// What was issued for a token, newest first.
pub fn issuances_by_token(conn: &Connection, token: &[u8; 16]) -> Result<Vec<Issuance>> {
    let mut statement = conn.prepare_cached(select_issuances!("WHERE i.token = ?1 ORDER BY i.no DESC"))?;
    statement.query_and_then([token], issuance)?.collect()
}

/// True where a host has all labels that are asked for.
pub fn has(host: &HostRow, wanted: &Groups) -> bool {
    wanted.iter().all(|(label, value)| host.groups.get(label) == Some(value))
}

/// Hosts that a filter means: one, retired or not, or all with these labels that are not retired.
pub fn chosen(conn: &Connection, one: Option<&HostId>, groups: &Groups) -> Result<Vec<(i64, HostRow)>> {
    let mut hosts = match one {
        Some(id) => by_id(conn, id)?.into_iter().collect(),
        None => all(conn, false)?,
    };
    hosts.retain(|(_, host)| has(host, groups));
    Ok(hosts)
}
