//! How much of the disk the spool may take, and the reserve that lets "disk full" be recorded on a full disk.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are set aside while there is room.
pub const RESERVE: u64 = 4 << 20;
/// Bytes of records that are kept however little is free.
pub const LEAST: u64 = 8 << 20;
/// Free bytes that are left to the host, at most.
const FLOOR: u64 = 512 << 20;
/// Part of the disk that is left to the host, if that is less: a twentieth.
const FLOOR_PART: u64 = 20;

/// Size of the file system that a folder lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that we could still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Asks for the room that is left.
pub type Ask = Arc<dyn Fn(&Path) -> io::Result<Room> + Send + Sync>;

/// Asks the system, by statvfs(3).
///
/// # Errors
/// As statvfs(3).
pub fn ask_system(folder: &Path) -> io::Result<Room> {
    let told = nix::sys::statvfs::statvfs(folder)?;
    // The fields are 32 bits wide on some machines.
    #[allow(clippy::useless_conversion)]
    let (block, free, all) =
        (u64::from(told.fragment_size()), u64::from(told.blocks_available()), u64::from(told.blocks()));
    Ok(Room { free: free.saturating_mul(block), total: all.saturating_mul(block) })
}

/// The disk below a state folder.
pub struct Disk {
    folder: PathBuf,
    ask: Ask,
    reserved: bool,
}

impl Disk {
    /// Sets the reserve aside if there is room for it.
    #[must_use]
    pub fn new(folder: &Path, ask: Ask) -> Self {
        let mut disk = Self { folder: folder.to_owned(), ask, reserved: false };
        disk.refill();
        disk
    }

    /// Bytes that records may take of `bound`, now that they take `used`: less than the bound when the disk is nearly
    /// full. Where the system does not tell, the bound holds.
    #[must_use]
    pub fn allowed(&self, bound: u64, used: u64) -> u64 {
        let Ok(room) = (self.ask)(&self.folder) else { return bound };
        (used + room.free).saturating_sub(floor(room)).clamp(LEAST.min(bound), bound)
    }

    /// Gives the reserve back to the file system; `false` if there is none left.
    pub fn use_reserve(&mut self) -> bool {
        std::mem::take(&mut self.reserved) && fs::remove_file(self.reserve()).is_ok()
    }

    /// Sets the reserve aside again, once there is room.
    pub fn refill(&mut self) {
        if self.reserved {
            return;
        }
        if fs::metadata(self.reserve()).is_ok_and(|meta| meta.len() == RESERVE) {
            self.reserved = true;
            return;
        }
        let enough = (self.ask)(&self.folder).is_ok_and(|room| room.free >= 2 * RESERVE);
        self.reserved = enough && self.allocate().is_ok();
        if !self.reserved {
            // Half a reserve only takes room away.
            let _ = fs::remove_file(self.reserve());
        }
    }

    /// True when the reserve is there.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.reserved
    }

    fn allocate(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.reserve())?;
        nix::fcntl::posix_fallocate(&file, 0, i64::try_from(RESERVE).unwrap_or(i64::MAX))?;
        Ok(())
    }

    fn reserve(&self) -> PathBuf {
        self.folder.join("reserve")
    }
}

fn floor(room: Room) -> u64 {
    FLOOR.min(room.total / FLOOR_PART)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::Folder;

    const GIB: u64 = 1 << 30;

    fn disk(folder: &Folder, free: u64, total: u64) -> Disk {
        Disk::new(folder.path(), Arc::new(move |_: &Path| Ok(Room { free, total })))
    }

    #[test]
    fn with_room_to_spare_the_bound_holds() {
        let folder = Folder::new();
        assert_eq!(disk(&folder, 50 * GIB, 100 * GIB).allowed(64 << 20, 0), 64 << 20);
    }

    #[test]
    fn what_is_free_below_the_floor_is_left_to_the_host_but_eight_mebibytes_are_always_kept() {
        let folder = Folder::new();
        let nearly_full = disk(&folder, (512 << 20) - (10 << 20), 100 * GIB);
        assert_eq!(nearly_full.allowed(64 << 20, 30 << 20), 20 << 20);
        assert_eq!(nearly_full.allowed(64 << 20, 12 << 20), LEAST);
        let small = disk(&folder, 20 << 20, 200 << 20); // a twentieth of it is 10 MiB
        assert_eq!(small.allowed(64 << 20, 4 << 20), 14 << 20);
    }

    #[test]
    fn the_reserve_is_given_back_once_and_set_aside_again_when_there_is_room() {
        let folder = Folder::new();
        let mut disk = disk(&folder, 50 * GIB, 100 * GIB);
        let reserve = folder.path().join("reserve");
        assert!(disk.is_reserved());
        assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVE);
        assert!(disk.use_reserve());
        assert!(!reserve.exists() && !disk.use_reserve());
        disk.refill();
        assert!(disk.is_reserved() && reserve.exists());
    }

    #[test]
    fn on_a_full_disk_there_is_no_reserve_and_no_half_of_one() {
        let folder = Folder::new();
        let disk = disk(&folder, RESERVE, 100 * GIB);
        assert!(!disk.is_reserved() && !folder.path().join("reserve").exists());
    }
}
