//! Changes that belong together: one deploy, one upgrade, one evening of somebody's work. Pure.
//!
//! A change is a row that came, went or differs in a column that matters, or a file that was added, changed or removed. What
//! comes within a minute of what came before belongs to the same set, so that a deploy of five thousand files is one line.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::model::{Event, Value};
use plumb_proto::record::{HostId, sha256};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use crate::drift::text::clip;

/// A pause this long ends a set.
pub const GAP: Duration = Duration::from_secs(60);
/// Kinds of events that are changes, and how they are counted.
pub const FILE_EVENTS: [(&str, How); 3] =
    [("file_added", How::Added), ("file_changed", How::Changed), ("file_removed", How::Removed)];
/// What a file change stands under, as rows stand under their table.
pub const FILE: &str = "file";

/// What happened to a row or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is new.
    Added,
    /// It is other than before.
    Changed,
    /// It is gone.
    Removed,
}

impl How {
    /// The word for people and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When it was seen.
    pub at: Timestamp,
    /// The table, or [`FILE`].
    pub table: String,
    /// The row's key, or the file's path.
    pub key: Untrusted,
    /// The column that differs; `None`: the row or file as a whole.
    pub field: Option<String>,
    /// What happened.
    pub how: How,
    /// What the column was; `None`: not set, or not a matter of one column.
    pub was: Option<Value>,
    /// What it is.
    pub is: Option<Value>,
    /// The tree that a file belongs to.
    pub tree: Option<Untrusted>,
    /// For how many it stands: many files of one folder may be told together.
    pub count: u64,
}

/// Changes of one host that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeSet {
    /// Names it, as long as its first change is known.
    pub id: String,
    /// Whose.
    pub host: HostId,
    /// The first change.
    pub start: Timestamp,
    /// The last.
    pub end: Timestamp,
    /// In order of time.
    pub items: Vec<Change>,
}

/// Puts changes of a host, in any order, into sets; oldest first.
#[must_use]
pub fn group(host: &HostId, mut changes: Vec<Change>) -> Vec<ChangeSet> {
    changes.sort_by(|one, other| {
        (one.at, &one.table, &one.key, &one.field).cmp(&(other.at, &other.table, &other.key, &other.field))
    });
    let mut sets: Vec<ChangeSet> = Vec::new();
    for change in changes {
        match sets.last_mut().filter(|set| change.at.since(set.end) <= GAP) {
            Some(set) => {
                set.end = change.at;
                set.items.push(change);
            }
            None => sets.push(ChangeSet {
                id: identity(host, &change),
                host: *host,
                start: change.at,
                end: change.at,
                items: vec![change],
            }),
        }
    }
    sets
}

/// Of the host, the moment and the subject of the first change.
fn identity(host: &HostId, first: &Change) -> String {
    let field = first.field.as_deref().unwrap_or_default();
    let hash = sha256(&[
        b"plumb.change_set.1\0",
        &host.0,
        &first.at.millis().to_be_bytes(),
        first.table.as_bytes(),
        b"\0",
        first.key.as_bytes(),
        b"\0",
        field.as_bytes(),
    ]);
    hash.0[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ChangeSet {
    /// How many of each kind, such as `file_changed` or `php_changed`.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for item in &self.items {
            *counts.entry(format!("{}_{}", item.table, item.how.as_str())).or_default() += item.count;
        }
        counts
    }

    /// One line: what changed most, by name where it is little.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        let (files, rows): (Vec<&Change>, Vec<&Change>) = self.items.iter().partition(|item| item.table == FILE);
        let mut trees: BTreeMap<&[u8], BTreeMap<How, u64>> = BTreeMap::new();
        for file in &files {
            let tree = file.tree.as_ref().unwrap_or(&file.key);
            *trees.entry(tree.as_bytes()).or_default().entry(file.how).or_default() += file.count;
        }
        for row in rows.iter().take(NAMED) {
            parts.push(row.words());
        }
        if rows.len() > NAMED {
            parts.push(format!("and {} more", rows.len() - NAMED));
        }
        if let [file] = files.as_slice()
            && file.count == 1
        {
            parts.push(format!("{} {}", clip(&file.key), file.how.as_str()));
        } else {
            let more = trees.len().saturating_sub(NAMED);
            for (tree, counts) in trees.into_iter().take(NAMED) {
                let counts = counts.iter().map(|(how, count)| format!("{count} {}", how.as_str()));
                let counts = counts.collect::<Vec<_>>().join(", ");
                parts.push(format!("files in {}: {counts}", clip(Untrusted::from(tree))));
            }
            if more > 0 {
                parts.push(format!("files in {more} more"));
            }
        }
        parts.join("; ")
    }
}

/// Rows, and folders with files, that a summary names.
const NAMED: usize = 3;

impl Change {
    /// A file change, if the event tells of one.
    #[must_use]
    pub fn of_event(event: &Event) -> Option<Self> {
        let (_, how) = FILE_EVENTS.iter().find(|(kind, _)| *kind == event.kind)?;
        let text = |name: &str| match event.fields.get(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Some(Self {
            at: event.at,
            table: FILE.to_owned(),
            key: text("path")?,
            field: None,
            how: *how,
            was: None,
            is: None,
            tree: text("tree"),
            count: event.count.max(1),
        })
    }

    /// In words: "version of php fpm/8.2: 8.2.29 -> 8.2.30".
    #[must_use]
    pub fn words(&self) -> String {
        let row = format!("{} {}", self.table, clip(&self.key));
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), clip);
        match &self.field {
            Some(field) => format!("{field} of {row}: {} -> {}", value(&self.was), value(&self.is)),
            None => format!("{row} {}", self.how.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use plumb_proto::model::Severity;

    use super::*;

    const HOST: HostId = HostId([1; 16]);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_795_255_200 + seconds)
    }

    fn file(seconds: i64, path: &str, how: &str) -> Change {
        let mut event = Event::new(how, Severity::Info, path, at(seconds));
        event.fields.insert("path".to_owned(), Value::from(path));
        event.fields.insert("tree".to_owned(), Value::from("/var/www/shop"));
        Change::of_event(&event).unwrap()
    }

    fn version(seconds: i64) -> Change {
        let field = Some("version".to_owned());
        let (was, is) = (Some(Value::Version("8.2.29".into())), Some(Value::Version("8.2.30".into())));
        let (table, key) = ("php".to_owned(), "fpm/8.2".into());
        Change { at: at(seconds), table, key, field, how: How::Changed, was, is, tree: None, count: 1 }
    }

    #[test]
    fn a_deploy_of_many_files_is_one_set_and_what_comes_a_minute_later_is_another() {
        let deploy = (0..5_000).map(|number| file(number / 50, &format!("/var/www/shop/{number}.php"), "file_changed"));
        let sets = group(&HOST, deploy.chain([version(300)]).collect());
        assert_eq!(sets.len(), 2);
        assert_eq!(sets[0].summary(), "files in /var/www/shop: 5000 changed");
        assert_eq!((sets[0].start, sets[0].end), (at(0), at(99)));
        assert_eq!(sets[1].summary(), "version of php fpm/8.2: 8.2.29 -> 8.2.30");
        assert_eq!(sets[1].counts(), BTreeMap::from([("php_changed".to_owned(), 1)]));
    }

    #[test]
    fn a_single_file_is_named() {
        let sets = group(&HOST, vec![file(0, "/var/www/shop/a b.php", "file_removed")]);
        assert_eq!(sets[0].summary(), "/var/www/shop/a b.php removed");
    }

    #[test]
    fn a_set_keeps_its_name_while_it_grows_and_order_does_not_matter() {
        let (one, two) = (file(0, "/var/www/shop/a", "file_added"), version(30));
        let first = group(&HOST, vec![one.clone()]);
        let grown = group(&HOST, vec![two, one]);
        assert_eq!((grown.len(), &grown[0].id), (1, &first[0].id));
        assert_ne!(group(&HostId([2; 16]), vec![file(0, "/var/www/shop/a", "file_added")])[0].id, first[0].id);
    }

    #[test]
    fn what_is_exactly_a_gap_apart_belongs_together_and_a_moment_more_does_not() {
        let gap = i64::try_from(GAP.as_secs()).unwrap();
        assert_eq!(group(&HOST, vec![version(0), version(gap)]).len(), 1);
        assert_eq!(group(&HOST, vec![version(0), version(gap + 1)]).len(), 2);
    }

    #[test]
    fn an_event_that_is_no_change_of_a_file_is_none() {
        assert_eq!(Change::of_event(&Event::new("oom_kill", Severity::Info, "x", at(0))), None);
        assert_eq!(Change::of_event(&Event::new("file_added", Severity::Info, "no path", at(0))), None);
    }
}
