//! Parsers that read what others wrote, each with seeds of the right shape: `tests/fuzz.rs` runs them on seeds and mutants,
//! `tests/fuzz/run` under libFuzzer, which looks for paths that nothing has taken yet.

// Paths, since the program of tests/fuzz takes this file from another folder.
#[path = "fuzz/apps.rs"]
mod apps;
#[path = "fuzz/databases.rs"]
mod databases;
#[path = "fuzz/host.rs"]
mod host;
#[path = "fuzz/web.rs"]
mod web;

/// A parser and what it usually reads.
pub struct Target {
    /// What it reads: also a folder's name, so letters, digits, `_` and `-` only.
    pub name: &'static str,
    /// Reads it: any bytes are taken or refused; a panic or a hang is a fault.
    pub run: fn(&[u8]),
    /// Well-formed beginnings.
    pub seeds: &'static [&'static [u8]],
}

/// All of them.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    [apps::TARGETS, databases::TARGETS, host::TARGETS, web::TARGETS].into_iter().flatten()
}

/// For parsers of texts: bytes that are no text are replaced, as where files are read.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Takes what a parser made, so that nothing of the parser is left out as useless.
fn made<T>(value: T) {
    drop(std::hint::black_box(value));
}
