//! Opening a file of a log: only what may be trusted to be one.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::Open;
use crate::host::{ErrorKind, Host, HostError, HostFile};
use crate::watchers::logs::conf::is_system;
use crate::watchers::logs::cursor::Place;
use crate::watchers::logs::rotated;

/// Opens a log. Whoever may put files into its folder, or names it in configuration of their own, must not make the
/// agent read what they could not: the file must be theirs, or the system's own in a folder that only they write to.
///
/// # Errors
/// It cannot be opened, or is not to be trusted.
pub(super) fn open(host: &Host, path: &Path, named_by: Option<u32>) -> Result<HostFile, HostError> {
    let file = host.open(path)?;
    let uid = file.meta().uid;
    let fits = match named_by {
        Some(owner) => uid == owner,
        None => {
            let folder = host.stat(file.path().parent().unwrap_or(Path::new("/")))?;
            let guarded = is_system(host, folder.uid) && folder.mode & 0o002 == 0;
            guarded || uid == folder.uid || is_system(host, uid)
        }
    };
    if fits { Ok(file) } else { Err(ErrorKind::Io("belongs to somebody who may not have a log there").at(path)) }
}

/// A file that is read from its beginning.
pub(super) fn at_start(mut file: HostFile) -> Open {
    let meta = file.meta();
    let (device, inode) = meta.identity.inode();
    let head = rotated::head(&mut file);
    let place = Place::start(device, inode, head, meta.identity.modified().millis());
    Open { place, file: Some(file) }
}

/// Passes over what is in a file. A line that has begun is not counted.
pub(super) fn to_end(place: &mut Place, file: &mut HostFile) {
    let size = rotated::size(file);
    let mut last = [0];
    let read = size > 0 && file.seek(SeekFrom::Start(size - 1)).is_ok() && file.read_exact(&mut last).is_ok();
    place.skipping = read && last != *b"\n";
    place.offset = size;
    place.tail = rotated::tail(file, size);
}
