//! A small file system in memory, which a test fills to the brim. It needs root, and goes with its value.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// See the module.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts `mebibytes` at a folder, which is made.
    ///
    /// # Panics
    /// It cannot be mounted.
    #[must_use]
    pub fn mount(folder: &Path, mebibytes: u32) -> Self {
        std::fs::create_dir_all(folder).expect("a folder to mount at");
        let options = format!("size={mebibytes}m,mode=0700");
        mount(Some("plumb-tests"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).expect("mount");
        Self { folder: folder.to_owned() }
    }

    /// Lets a file of somebody else's take all that is left; may be called again for what has become free since.
    ///
    /// # Panics
    /// It fails otherwise than by being full.
    pub fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler()).expect("a file to fill with");
        let fill = |file: &mut File, block: &[u8]| loop {
            match file.write_all(block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("fill: {error}"),
            }
        };
        [64 << 10, 4 << 10, 1].into_iter().for_each(|size| fill(&mut file, &vec![0x55; size]));
    }

    /// Takes that file away.
    ///
    /// # Panics
    /// It is not there.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("the filler removed");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.folder, MntFlags::MNT_DETACH) {
            eprintln!("unmount {}: {error}", self.folder.display());
        }
    }
}
