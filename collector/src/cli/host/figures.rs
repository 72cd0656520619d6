//! The figures of a host's screen: processor, memory, file systems, from the newest samples.

use std::collections::BTreeMap;

use plumb_proto::generated::query::{HostPart, Sample};

/// One figure: known, told as unknown, or never told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    Known(f64),
    Unknown,
    Untold,
}

impl Figure {
    pub(super) fn known(self) -> Option<f64> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// The newest value of a series without labels.
pub(super) fn figure(whole: &HostPart, name: &str) -> Figure {
    let found = whole.samples.iter().find(|sample| sample.name == name && sample.labels.is_empty());
    found.map_or(Figure::Untold, value)
}

fn value(sample: &Sample) -> Figure {
    sample.value.map_or(Figure::Unknown, Figure::Known)
}

/// A file system with its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Space {
    pub(super) size: Figure,
    pub(super) used: Figure,
    pub(super) available: Figure,
    pub(super) inodes: Figure,
    pub(super) inodes_used: Figure,
}

impl Space {
    /// How full it is for those who are not root, as df says it: what root alone may use is left out.
    pub(super) fn share(&self) -> Option<f64> {
        let (used, available) = (self.used.known()?, self.available.known()?);
        (used + available > 0.0).then(|| used / (used + available))
    }

    /// How many of its inodes are used; a file system without a fixed number has none.
    pub(super) fn inode_share(&self) -> Option<f64> {
        let (used, all) = (self.inodes_used.known()?, self.inodes.known()?);
        (all > 0.0).then(|| used / all)
    }
}

/// The file systems by mount.
pub(super) fn spaces(whole: &HostPart) -> BTreeMap<Vec<u8>, Space> {
    let mut spaces: BTreeMap<Vec<u8>, Space> = BTreeMap::new();
    for sample in whole.samples.iter().filter(|sample| sample.name.starts_with("disk_")) {
        let Some(mount) = sample.labels.iter().find(|label| label.name == "mount") else { continue };
        let none = Figure::Untold;
        let space = spaces.entry(mount.value.clone()).or_insert(Space {
            size: none,
            used: none,
            available: none,
            inodes: none,
            inodes_used: none,
        });
        match sample.name.as_str() {
            "disk_size_bytes" => space.size = value(sample),
            "disk_used_bytes" => space.used = value(sample),
            "disk_available_bytes" => space.available = value(sample),
            "disk_inodes" => space.inodes = value(sample),
            "disk_inodes_used" => space.inodes_used = value(sample),
            _ => {}
        }
    }
    spaces
}
