//! Who holds a file locked (proc_locks(5)).

use std::path::Path;

use super::Host;

/// Bytes of the table that are read.
const LIMIT: usize = 1 << 20;

impl Host {
    /// True when a process holds a POSIX or flock lock on one of these files. Where that cannot be told, none does.
    #[must_use]
    pub fn is_locked(&self, files: &[&str]) -> bool {
        let inodes: Vec<u64> = files
            .iter()
            .filter_map(|file| self.stat(Path::new(file)).ok())
            .map(|meta| meta.identity.inode().1)
            .collect();
        let table = if inodes.is_empty() { None } else { self.read_text("/proc/locks", LIMIT).ok() };
        table.is_some_and(|table| table.lines().filter_map(inode).any(|inode| inodes.contains(&inode)))
    }
}

/// Of a line such as `1: POSIX  ADVISORY  WRITE 714 fd:01:131085 0 EOF`. The device is left out: of some file systems
/// stat(2) tells another one.
fn inode(line: &str) -> Option<u64> {
    let holder = !line.contains("->"); // a waiting process is marked so
    line.split_whitespace().nth(5).filter(|_| holder)?.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_names_the_inode_that_is_held() {
        assert_eq!(inode("1: POSIX  ADVISORY  WRITE 714 fd:01:131085 0 EOF"), Some(131_085));
        assert_eq!(inode("1: -> POSIX  ADVISORY  WRITE 9 fd:01:131085 0 EOF"), None);
        assert_eq!(inode("what is this"), None);
    }
}
