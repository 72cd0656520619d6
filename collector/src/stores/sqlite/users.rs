//! Users of the query port and the log of their certificates.

use anyhow::Result;
use plumb_proto::record::Hash;
use plumb_proto::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::hosts::{groups_from, groups_to};
use super::sql::{millis, time, word};
use crate::store::users::{Role, UserIssuance, UserRow};

fn user(row: &Row<'_>) -> Result<UserRow> {
    Ok(UserRow {
        name: row.get(0)?,
        role: word(row.get_ref(1)?.as_str()?, Role::parse)?,
        groups: groups_from(row.get_ref(2)?.as_str()?)?,
        key_hash: Hash(row.get(3)?),
        created: Timestamp::from_millis(row.get(4)?),
        not_after: Timestamp::from_millis(row.get(5)?),
        revoked: time(row.get(6)?),
    })
}

/// All users by name, revoked ones too.
pub fn all(conn: &Connection) -> Result<Vec<UserRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT name, role, labels, key_hash, created_ms, not_after_ms, revoked_ms FROM users ORDER BY name",
    )?;
    statement.query_and_then([], user)?.collect()
}

/// Inserts or updates.
pub fn save(conn: &Connection, user: &UserRow) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO users (name, role, labels, key_hash, created_ms, not_after_ms, revoked_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET role = ?2, labels = ?3, key_hash = ?4, created_ms = ?5, not_after_ms = ?6,
         revoked_ms = ?7",
    )?;
    statement.execute(params![
        user.name,
        user.role.as_str(),
        groups_to(&user.groups)?,
        user.key_hash.0,
        user.created.millis(),
        user.not_after.millis(),
        millis(user.revoked)
    ])?;
    Ok(())
}

/// Adds to the log.
pub fn log_issuance(conn: &Connection, issued: &UserIssuance) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO user_issuances (user, serial, key_hash, not_after_ms, issued_ms, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        issued.user,
        issued.serial,
        issued.key_hash.0,
        issued.not_after.millis(),
        issued.issued.millis(),
        issued.chain
    ])?;
    Ok(())
}
