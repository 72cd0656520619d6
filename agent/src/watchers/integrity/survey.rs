//! Where nothing is kept (`plumb-agent once`): which trees there are, and how much is in them. No file is read.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;

use plumb_proto::model::Value;

use super::{Integrity, TREE};
use crate::host::Kind;
use crate::watcher::{Look, Progress};

/// Entries that are counted in one look.
const ENTRIES: usize = 500_000;

impl Integrity {
    pub(super) fn survey(&self, look: &mut Look<'_>) -> Progress {
        let found = self.find_trees(look.host);
        for (name, error) in &found.problems {
            look.problem(&TREE, name.as_os_str().as_bytes(), error.path.clone(), error, error.hint());
        }
        let (mut left, mut seen) = (ENTRIES, 0);
        for tree in &found.trees {
            let (mut files, mut bytes) = (0_i64, 0_i64);
            let mut todo = VecDeque::from([tree.real.clone()]);
            let mut device = None;
            while let Some(folder) = todo.pop_front() {
                let Ok(listed) = look.host.examine(&folder, None) else { continue };
                if *device.get_or_insert(listed.meta.identity.inode().0) != listed.meta.identity.inode().0 {
                    continue;
                }
                left = left.saturating_sub(listed.items.len());
                if left == 0 {
                    break;
                }
                for item in listed.items {
                    match item.meta.kind {
                        Kind::File => {
                            files += 1;
                            bytes = bytes.saturating_add(i64::try_from(item.meta.size).unwrap_or(i64::MAX));
                        }
                        Kind::Folder => todo.push_back(folder.join(item.name)),
                        _ => {}
                    }
                }
            }
            if files == 0 {
                continue;
            }
            seen += 1;
            let key = tree.name.as_os_str().as_bytes();
            let source = tree.real.display().to_string();
            look.fact(&TREE, key, &source, &[("files", Value::Int(files)), ("size_bytes", Value::Int(bytes))]);
            let why = "files are only read by the agent that runs, which keeps what it saw";
            look.unknown(&TREE, key, "digest", why, "");
            if tree.code {
                look.unknown(&TREE, key, "code_digest", why, "");
            }
        }
        if seen == 0 && found.problems.is_empty() { Progress::Absent } else { Progress::Done }
    }
}
