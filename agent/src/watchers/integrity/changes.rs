//! What changed in one folder, as events.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use plumb_proto::model::{Severity, Value};
use plumb_proto::untrusted::Untrusted;

use super::entry::Entry;
use super::reading::hex;
use crate::watcher::Look;

/// Changes of one folder that are told one by one; of more, only how many.
const MOST: usize = 2_000;
/// As much of a folder where programs keep what they make anew.
const MOST_OF_CACHE: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Changes {
    listed: Vec<(Option<Entry>, Option<Entry>)>,
    added: usize,
    changed: usize,
    removed: usize,
}

impl Changes {
    /// Notes what became of an entry, if it is worth telling.
    pub(super) fn note(&mut self, before: Option<Entry>, after: Option<&Entry>) {
        // Folders that come and go are told by what is in them.
        let both_folders = before.as_ref().is_some_and(Entry::is_folder) && after.is_some_and(Entry::is_folder);
        let before = before.filter(|entry| both_folders || !entry.is_folder());
        let after = after.filter(|entry| both_folders || !entry.is_folder());
        match (&before, after) {
            (None, None) => return,
            (None, Some(_)) => self.added += 1,
            (Some(_), None) => self.removed += 1,
            (Some(before), Some(after)) if differences(before, after).is_empty() => return,
            _ => self.changed += 1,
        }
        if self.listed.len() < MOST {
            self.listed.push((before, after.cloned()));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.added + self.changed + self.removed
    }

    /// Tells them.
    pub(super) fn tell(&self, look: &mut Look<'_>, tree: &Path, folder: &Path, cache: bool) {
        let most = if cache { MOST_OF_CACHE } else { MOST };
        if self.count() > most {
            return self.sum_up(look, tree, folder);
        }
        for (before, after) in &self.listed {
            let Some(entry) = after.as_ref().or(before.as_ref()) else { continue };
            let path = [folder.as_os_str().as_bytes(), b"/", &entry.name].concat();
            let (kind, differences) = match (before, after) {
                (Some(before), Some(after)) => ("file_changed", differences(before, after)),
                (None, _) => ("file_added", Vec::new()),
                (_, None) => ("file_removed", Vec::new()),
            };
            let text = if differences.is_empty() {
                path.clone()
            } else {
                [&path[..], b": ", differences.join(", ").as_bytes()].concat()
            };
            let event = look.event(look.now, kind, Severity::Info, text);
            let mut put = |name: &str, value: Value| drop(event.fields.insert(name.to_owned(), value));
            put("path", Value::Text(path.into()));
            put("tree", Value::Text(tree.as_os_str().as_bytes().into()));
            if !differences.is_empty() {
                put("changed", Value::List(differences.iter().map(|each| Untrusted::from(*each)).collect()));
            }
            for (entry, when) in [(before, "before"), (after, "after")] {
                let Some(entry) = entry else { continue };
                put(&format!("size_{when}"), Value::Int(i64::try_from(entry.size).unwrap_or(i64::MAX)));
                // The digest of a short secret would tell the secret.
                if entry.kind != b'f' || (entry.mode & 0o004 != 0 && !entry.unread) {
                    put(&format!("digest_{when}"), Value::Text(hex(&entry.digest).into()));
                }
                if differences.contains(&"mode") {
                    put(&format!("mode_{when}"), Value::Text(format!("{:04o}", entry.mode).into()));
                }
                if differences.contains(&"owner") {
                    put(&format!("owner_{when}"), Value::Text(format!("{}:{}", entry.uid, entry.gid).into()));
                }
            }
        }
    }

    fn sum_up(&self, look: &mut Look<'_>, tree: &Path, folder: &Path) {
        let Self { added, changed, removed, .. } = *self;
        let words = format!(": {} files, {added} added, {changed} changed, {removed} removed", self.count());
        let text = [folder.as_os_str().as_bytes(), words.as_bytes()].concat();
        let count = self.count() as u64;
        let event = look.event(look.now, "files_changed", Severity::Info, text);
        event.count = count;
        let mut put = |name: &str, value: Value| drop(event.fields.insert(name.to_owned(), value));
        put("path", Value::Text(folder.as_os_str().as_bytes().into()));
        put("tree", Value::Text(tree.as_os_str().as_bytes().into()));
        for (name, number) in [("added", added), ("changed", changed), ("removed", removed)] {
            put(name, Value::Int(i64::try_from(number).unwrap_or(i64::MAX)));
        }
    }
}

/// In what an entry is another one now; times and inode alone do not count.
fn differences(before: &Entry, after: &Entry) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut note = |name, yes: bool| found.extend(yes.then_some(name));
    note("type", before.kind != after.kind);
    note("content", before.kind == after.kind && before.digest != after.digest && !after.unread && !before.unread);
    note("mode", before.mode != after.mode && after.kind != b'l');
    note("owner", (before.uid, before.gid) != (after.uid, after.gid));
    note("unreadable", after.unread && !before.unread);
    found
}
