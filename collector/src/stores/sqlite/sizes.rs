//! What takes how much of the file. Rows of many are counted, not read: their sizes are close, not exact.

use anyhow::Result;
use rusqlite::Connection;

/// Bytes of a row of the ledger with its index, measured.
const LEDGER_ROW: i64 = 190;

const KINDS: [(&str, &str); 9] = [
    ("samples of records", "SELECT coalesce(sum(length(block) + 60), 0) FROM chunks WHERE span = 0"),
    ("samples of hours", "SELECT coalesce(sum(length(block) + 60), 0) FROM chunks WHERE span = 1"),
    ("samples of days", "SELECT coalesce(sum(length(block) + 60), 0) FROM chunks WHERE span = 2"),
    ("rollups", "SELECT coalesce(sum(length(block) + 60), 0) FROM chunks WHERE span = 3"),
    ("ledger", "SELECT ?1 * count(*) FROM ledger"),
    ("packed ledger", "SELECT coalesce(sum(length(records) + 90), 0) FROM segments"),
    (
        "payloads",
        "SELECT (SELECT coalesce(sum(length(payload) + 20), 0) FROM payloads)
         + (SELECT coalesce(sum(length(payload) + 20), 0) FROM sample_payloads)",
    ),
    ("events", "SELECT coalesce(sum(length(text) + length(fields) + 90), 0) FROM events"),
    ("facts as they were", "SELECT coalesce(sum(length(fact) + length(key) + 60), 0) FROM fact_history"),
];

/// Bytes by kind, largest first; the last two are the rest and what is free.
///
/// # Errors
/// The database's.
pub fn read(conn: &Connection) -> Result<Vec<(String, u64)>> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free, page) = (number("page_count")?, number("freelist_count")?, number("page_size")?);
    let mut sizes = Vec::new();
    let mut told = 0;
    for (kind, sql) in KINDS {
        let mut statement = conn.prepare_cached(sql)?;
        let size: i64 = match statement.parameter_count() {
            0 => statement.query_row([], |row| row.get(0))?,
            _ => statement.query_row([LEDGER_ROW], |row| row.get(0))?,
        };
        told += size;
        sizes.push((kind.to_owned(), size.unsigned_abs()));
    }
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let rest = (pages - free).saturating_mul(page).saturating_sub(told).max(0);
    sizes.push(("everything else".to_owned(), rest.unsigned_abs()));
    sizes.push(("free".to_owned(), free.saturating_mul(page).unsigned_abs()));
    Ok(sizes)
}
