//! How much a data folder holds.

use std::path::Path;

use crate::host::{Host, Kind};

/// Files that are counted; a folder with more is not told, since asking them all would cost too much.
const MAX_FILES: usize = 20_000;
/// Folders on the way down: PostgreSQL's base/OID and MySQL's schema folders are two.
const DEPTH: usize = 4;

/// Bytes in the files of a folder, as their sizes say. `None`: not all of it can be seen.
pub(super) fn of(host: &Host, folder: &Path) -> Option<f64> {
    let (mut bytes, mut files, mut whole) = (0_u64, 0, true);
    host.walk(folder, DEPTH, &mut |step| match step {
        Ok((path, Kind::File)) if files < MAX_FILES => {
            files += 1;
            match host.stat(path) {
                Ok(meta) => bytes += meta.size,
                Err(error) => whole &= error.is_absent(), // deleted since
            }
        }
        Ok((_, Kind::File)) | Err(_) => whole = false,
        Ok(_) => {}
    });
    #[allow(clippy::cast_precision_loss)] // 2^53 bytes are 8 PiB
    (whole && files > 0).then_some(bytes as f64)
}
