//! Files that must not change unseen: what web servers serve, configuration, and the programs of packages.
//!
//! Every folder has a row in the agent's state: its files with size, times, owner and digest. A folder is compared with its
//! row when something happened in it (inotify), and all of them are every few hours. What differs is told as an event, and
//! the row is replaced in the transaction that keeps the event: a change is told once, however often the agent dies.
//! The rows are also where a first scan goes on after a restart: a file whose row says what it says is not read again.
//!
//! Quiet on purpose: only code that no package owns is compared with the baseline, as one digest for each tree.

mod changes;
mod code;
mod compare;
mod effort;
mod entry;
mod packages;
mod reading;
mod roots;
mod scan;
mod survey;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::{ColumnType, Value};

use crate::host::grant::Right;
use crate::host::pattern::Pattern;
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};
use scan::Scan;

/// The watcher `integrity`.
pub const SPEC: Spec = Spec::new::<Integrity>(
    "integrity",
    minutes(30),
    &[&TREE, &PACKAGE_FILE],
    r#"
# Everything is gone through so often; in between, what file events tell of.
sweep_hours = 6
# Whether document roots of nginx and Apache are found by themselves.
discover = true
# Trees of websites that come on top, as far as they are there. `*` stands for any name. A tree in another one belongs to
# that one.
roots = [
    "/var/www/*", "/srv/www/*", "/srv/http", "/home/*/public_html", "/home/*/htdocs/*", "/home/*/www",
    "/var/www/vhosts/*/httpdocs", "/usr/share/wordpress", "/usr/share/phpmyadmin", "/usr/share/nginx/html",
]
# Trees of configuration: changes are events, never drift.
configuration = ["/etc"]
# Never looked at. A pattern without a slash in front stands for the last parts of a path.
ignore = ["/etc/mtab", "/etc/ld.so.cache", "/etc/adjtime", ".git/objects", ".svn/pristine"]
# Folders where programs keep what they make anew: only code in them is looked at, every few hours, and is no drift.
caches = [
    "wp-content/cache", "wp-content/w3tc-config", "var/cache", "var/page_cache", "var/view_preprocessed", "var/session",
    "storage/framework", "bootstrap/cache", "sites/*/files/php", "typo3temp", "node_modules/.cache", "cache", "tmp",
    "temp", "sessions", "templates_c", "logs",
]
# Whether files of packages are compared with the digests that dpkg keeps of them.
packages = true
"#,
)
.with_cursor();

/// Trees as a whole.
const TREE: Table = Table {
    name: "tree",
    doc: "Trees of files that are watched: document roots and configuration. Key: the folder.",
    columns: &[
        Column::moving("files", ColumnType::Int, "Regular files in it."),
        Column::moving("size_bytes", ColumnType::Int, "Bytes in them."),
        Column::moving("digest", ColumnType::Text, "One digest over path and content of every file."),
        Column::moving("mode", ColumnType::Text, "How changes are noticed: by events at once, or by sweeps only."),
        Column::moving("code_files", ColumnType::Int, "Files of code that belong to no package."),
        Column::state(
            "code_digest",
            ColumnType::Text,
            "One digest over path and content of these; not of configuration, nor of what programs make anew.",
        ),
    ],
};

/// Files of packages that are not as they should be.
const PACKAGE_FILE: Table = Table {
    name: "package_file",
    doc: "Files that differ from what their package brought, or are missing. Key: the file, or `more`.",
    columns: &[
        Column::moving("package", ColumnType::Text, "The package."),
        Column::moving("kind", ColumnType::Text, "What it is: program, library, code or other."),
        Column::moving("problem", ColumnType::Text, "What is wrong: altered, missing, or how many more are."),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Integrity {
    sweep_hours: u64,
    discover: bool,
    roots: Vec<PathBuf>,
    configuration: Vec<PathBuf>,
    ignore: Vec<Pattern>,
    caches: Vec<Pattern>,
    packages: bool,
    #[serde(skip)]
    scan: Option<Box<Scan>>,
}

impl Watcher for Integrity {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        if !look.keeps() {
            return Ok(self.survey(look));
        }
        // Memory that is not of this state (it was replaced, or a look came to nothing) is worth nothing.
        if self.scan.as_ref().is_some_and(|scan| !scan.is_of(look)) {
            self.scan = None;
        }
        let mut scan = self.scan.take().unwrap_or_else(|| Box::new(Scan::new(look)));
        let progress = scan.slice(look, self);
        self.scan = Some(scan);
        Ok(progress)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let locks = ["/var/lib/dpkg/status", "/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend"];
        if self.packages { locks.map(PathBuf::from).into() } else { Vec::new() }
    }

    fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.scan.as_ref()?.bell()
    }

    fn again(&self) -> Option<Duration> {
        self.scan.as_ref()?.again()
    }
}

/// Tells a tree as a whole; `unsettled`: which of its files belong to packages is not known just now.
fn tell_tree(look: &mut Look<'_>, tree: &tree::Tree, mode: &str, unsettled: bool) {
    let totals = &tree.totals;
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let key = tree.name.as_os_str().as_bytes();
    let mut fields = vec![
        ("files", number(totals.files)),
        ("size_bytes", number(totals.bytes)),
        ("digest", Value::Text(totals.digest().into())),
        ("mode", Value::Text(mode.into())),
    ];
    if tree.code {
        fields.push(("code_files", number(totals.code_files)));
        fields.push(("code_digest", Value::Text(totals.code_digest().into())));
    }
    let source = tree.real.display().to_string();
    look.fact(&TREE, key, &source, &fields);
    if let Some((folder, (why, hint))) = tree.problems.iter().next() {
        let why = format!("{} folders cannot be read, such as {}: {why}", tree.problems.len(), folder.display());
        let column = if tree.code { "code_digest" } else { "digest" };
        look.unknown(&TREE, key, column, why, hint);
    } else if totals.unread > 0 {
        let why = format!("{} files cannot be read", totals.unread);
        let column = if tree.code { "code_digest" } else { "digest" };
        look.unknown(&TREE, key, column, why, Right::Files.hint(look.host));
    } else if tree.code && unsettled {
        look.unknown(&TREE, key, "code_digest", "packages are being changed just now", "");
    }
}
