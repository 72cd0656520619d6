//! Every real file system that is mounted: what it is, and how full.
//!
//! A file system that is mounted in several places is told once, at the place where all of it can be seen.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumb_proto::model::{ColumnType, Value};
use plumb_proto::untrusted::Untrusted;

use crate::host::grant::Right;
use crate::host::mounts::{Mount, OWN_TABLE, Space, SpaceError};
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, seconds};

/// The watcher `disk`.
pub const SPEC: Spec = Spec::new::<Disk>(
    "disk",
    seconds(10),
    &[&MOUNT],
    r#"
# Types of file systems that hold no data of their own, or can only be full (images).
ignore_types = [
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cramfs", "debugfs", "devfs", "devpts", "devtmpfs",
    "efivarfs", "erofs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fusectl", "hugetlbfs",
    "iso9660", "mqueue", "nfsd", "nsfs", "proc", "pstore", "ramfs", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs",
    "squashfs", "sysfs", "tracefs", "udf",
]
# Mounts at or below these folders come and go with services and containers.
ignore_under = [
    "/dev", "/proc", "/run", "/snap", "/sys", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker",
    "/var/lib/kubelet", "/var/snap",
]
"#,
);

/// Mounts that are told; what is beyond is counted.
const MAX_MOUNTS: usize = 64;
/// Percent that are left: a disk that crosses one of these, either way, is told at once. Rules have limits of their own.
const LIMITS: [u64; 6] = [15, 10, 5, 3, 1, 0];
/// Options whose values differ from one mounting to the next, or that are told in a column of their own.
const VOLATILE: [&str; 16] = [
    "ro",
    "rw",
    "addr",
    "clientaddr",
    "fd",
    "lowerdir",
    "mountaddr",
    "mountport",
    "pgrp",
    "pipe_ino",
    "port",
    "timeout",
    "upperdir",
    "uuid",
    "workdir",
    "maxproto",
];
/// Why it is not known how something is mounted.
const OWN_VIEW: &str = "the mounts of process 1 cannot be read, and those that the agent sees may be made for it alone";
/// Files that a container engine mounts into each container, from whatever disk they lie on.
const CONTAINER_FILES: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// The real file systems of the host.
const MOUNT: Table = Table {
    name: "mount",
    doc: "File systems that are mounted. Key: where.",
    columns: &[
        Column::state("device", ColumnType::Text, "What is mounted: a block device, an export, a name."),
        Column::state("fstype", ColumnType::Text, "Type of the file system."),
        Column::state("options", ColumnType::List, "Options of mount and file system, sorted; without ro and rw."),
        Column::state("read_only", ColumnType::Bool, "Whether nothing can be written to it."),
        Column::state("responding", ColumnType::Bool, "Whether it answers; a dead network mount does not."),
        Column::moving("size_bytes", ColumnType::Int, "Its size."),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    ignore_types: Vec<String>,
    ignore_under: Vec<PathBuf>,
    #[serde(skip)]
    buffer: Vec<u8>,
    #[serde(skip)]
    known: Option<(u64, Mounts)>,
    /// By mount: how far below the limits its bytes and inodes were.
    #[serde(skip)]
    levels: BTreeMap<Untrusted, [usize; 2]>,
}

/// The mounts that are told, as of one state of the table of mounts.
struct Mounts {
    told: Vec<(Mount, [(&'static str, Value); 4])>,
    rest: Vec<PathBuf>,
}

impl Watcher for Disk {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        let source = match look.host.read_mountinfo(&mut self.buffer) {
            Ok(source) => source,
            Err(error) if error.is_absent() => return Ok(Progress::Absent),
            Err(error) => return Err(error.into()),
        };
        let mut hasher = DefaultHasher::new();
        self.buffer.hash(&mut hasher);
        let state = hasher.finish();
        if self.known.as_ref().is_none_or(|(known, _)| *known != state) {
            let all = look.host.mounts()?;
            self.known = Some((state, self.choose(all)));
        }
        let Some((_, mounts)) = &self.known else { return Ok(Progress::Done) };
        let asked: Vec<&Mount> = mounts.told.iter().map(|(mount, _)| mount).collect();
        let answers = look.host.space(&asked);
        let before = std::mem::take(&mut self.levels);
        for ((mount, fields), answer) in mounts.told.iter().zip(answers) {
            let key = Untrusted::from(mount.path.as_os_str().as_bytes());
            let (what, how) = fields.split_at(2);
            look.fact(&MOUNT, key.clone(), source, what);
            if source == OWN_TABLE {
                for (column, _) in how {
                    look.unknown(&MOUNT, key.clone(), column, OWN_VIEW, Right::Processes.hint(look.host));
                }
            } else {
                look.fact(&MOUNT, key.clone(), source, how);
            }
            // One that does not answer stays where it was.
            let level = answer.as_ref().ok().map(levels).or_else(|| before.get(&key).copied());
            if let Some(level) = level {
                if before.get(&key).is_some_and(|known| *known != level) {
                    look.urgent();
                }
                self.levels.insert(key.clone(), level);
            }
            tell_space(look, &key, source, answer);
        }
        if let Some(first) = mounts.rest.first() {
            let error = format!("{} more mounts are not told: at most {MAX_MOUNTS} are", mounts.rest.len());
            look.problem(&MOUNT, first.as_os_str().as_bytes(), source, error, "ignore some with ignore_under");
        }
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        vec![PathBuf::from("/proc/self/mountinfo")]
    }
}

impl Disk {
    fn choose(&self, all: Vec<Mount>) -> Mounts {
        // A later mount hides what is mounted at the same place.
        let visible: BTreeMap<PathBuf, Mount> = all.into_iter().map(|mount| (mount.path.clone(), mount)).collect();
        let mut devices: BTreeMap<Untrusted, Mount> = BTreeMap::new();
        for mount in visible.into_values().filter(|mount| self.is_real(mount)) {
            match devices.get(&mount.device_id) {
                Some(known) if rank(known) <= rank(&mount) => {}
                _ => {
                    devices.insert(mount.device_id.clone(), mount);
                }
            }
        }
        let mut told: Vec<Mount> = devices.into_values().collect();
        told.sort_by(|one, other| one.path.cmp(&other.path));
        let rest = told.drain(told.len().min(MAX_MOUNTS)..).map(|mount| mount.path).collect();
        let with_fields = |mount: Mount| {
            let fields = fields(&mount);
            (mount, fields)
        };
        Mounts { told: told.into_iter().map(with_fields).collect(), rest }
    }

    fn is_real(&self, mount: &Mount) -> bool {
        let fstype = mount.fstype.as_bytes();
        !self.ignore_types.iter().any(|each| each.as_bytes() == fstype)
            && !self.ignore_under.iter().any(|folder| mount.path.starts_with(folder))
            && !CONTAINER_FILES.iter().any(|file| mount.path == Path::new(file))
    }
}

/// The smaller, the better a mount stands for its file system: the root (of a container too, which has a part of a file
/// system only), the whole of it, writable, near the root.
fn rank(mount: &Mount) -> (bool, usize, bool, usize, &Path) {
    let depth = |path: &Path| path.components().count();
    (mount.path != Path::new("/"), depth(&mount.inner), mount.is_read_only(), depth(&mount.path), &mount.path)
}

fn fields(mount: &Mount) -> [(&'static str, Value); 4] {
    let is_kept = |option: &&Untrusted| {
        let name = option.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
        !VOLATILE.iter().any(|each| each.as_bytes() == name)
    };
    let mut options: Vec<Untrusted> =
        mount.options.iter().chain(&mount.super_options).filter(is_kept).cloned().collect();
    options.sort_unstable();
    options.dedup();
    [
        ("device", Value::Text(mount.device.clone())),
        ("fstype", Value::Text(mount.fstype.clone())),
        ("options", Value::List(options)),
        ("read_only", Value::Bool(mount.is_read_only())),
    ]
}

/// How many of the limits the shares of available bytes and of free inodes are below.
fn levels(space: &Space) -> [usize; 2] {
    let level = |free: u64, all: u64| {
        // What is not counted has no limit.
        let below = |limit: &&u64| all > 0 && u128::from(free) * 100 <= u128::from(all) * u128::from(**limit);
        LIMITS.iter().filter(below).count()
    };
    [level(space.available, space.blocks), level(space.inodes_free, space.inodes)]
}

fn tell_space(look: &mut Look<'_>, key: &Untrusted, source: &str, answer: Result<Space, SpaceError>) {
    match answer {
        Ok(space) => {
            let size = space.blocks.saturating_mul(space.block_size);
            let size_bytes = Value::Int(i64::try_from(size).unwrap_or(i64::MAX));
            look.fact(&MOUNT, key.clone(), source, &[("responding", true.into()), ("size_bytes", size_bytes)]);
            samples(look, key, &space);
        }
        Err(error) => {
            match &error {
                SpaceError::Stuck(_) => look.fact(&MOUNT, key.clone(), source, &[("responding", false.into())]),
                _ => look.unknown(&MOUNT, key.clone(), "responding", &error, ""),
            }
            look.unknown(&MOUNT, key.clone(), "size_bytes", &error, "");
        }
    }
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53
fn samples(look: &mut Look<'_>, key: &Untrusted, space: &Space) {
    // A label is text: what is none stands escaped.
    let escaped = key.to_string();
    let labels = [("mount", key.as_text().unwrap_or(&escaped))];
    let bytes = |blocks: u64| blocks.saturating_mul(space.block_size) as f64;
    look.gauge("disk_size_bytes", &labels, bytes(space.blocks));
    look.gauge("disk_used_bytes", &labels, bytes(space.blocks.saturating_sub(space.free)));
    look.gauge("disk_free_bytes", &labels, bytes(space.free));
    look.gauge("disk_available_bytes", &labels, bytes(space.available));
    // btrfs and the like make inodes as they need them, and say zero.
    if space.inodes > 0 {
        look.gauge("disk_inodes", &labels, space.inodes as f64);
        look.gauge("disk_inodes_used", &labels, space.inodes.saturating_sub(space.inodes_free) as f64);
    }
}

#[cfg(test)]
mod tests;
