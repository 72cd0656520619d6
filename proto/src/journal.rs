//! Whether a stream leads to the systemd journal, which then wants a priority in front of each line and no time.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// Whether a stream is the one that systemd named in `$JOURNAL_STREAM`, as `device:inode` (systemd.exec(5)). That it named
/// one says little: the variable is inherited, and the stream may be another since.
#[must_use]
pub fn is_journal(named: Option<&OsStr>, stream: impl AsFd) -> bool {
    let metadata = stream.as_fd().try_clone_to_owned().and_then(|stream| File::from(stream).metadata());
    metadata.is_ok_and(|meta| named == Some(OsStr::new(&format!("{}:{}", meta.dev(), meta.ino()))))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn the_journal_is_the_stream_that_systemd_named_and_no_other() {
        let (one, other) = (File::open("/dev/null").unwrap(), File::open("/dev/zero").unwrap());
        let meta = one.metadata().unwrap();
        let named = OsString::from(format!("{}:{}", meta.dev(), meta.ino()));
        assert!(is_journal(Some(&named), &one));
        assert!(!is_journal(Some(&named), &other) && !is_journal(None, &one));
    }
}
