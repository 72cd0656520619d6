use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::SPEC;
use crate::host::mounts::Space;
use crate::watcher::testing::{Stage, stage};

const SPACE: Space = Space { block_size: 4096, blocks: 100, free: 40, available: 30, inodes: 50, inodes_free: 20 };

/// All mounts answer the same, but those whose name has `dead` in it, which never answer.
fn host(mountinfo: &str) -> Stage {
    stage(&SPEC).file("/proc/1/mountinfo", mountinfo).statvfs(Arc::new(|mount: &Path| {
        while mount.to_string_lossy().contains("dead") {
            std::thread::sleep(Duration::from_secs(60));
        }
        Ok(SPACE)
    }))
}

fn facts(told: &str) -> Vec<&str> {
    told.lines().filter_map(|line| line.strip_prefix("fact mount ")).collect()
}

#[test]
fn tells_a_file_system_and_how_full_it_is() {
    let told = host("20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n").look();
    assert_eq!(
        told,
        "fact mount / device=/dev/vda1 fstype=ext4 options=errors=remount-ro,relatime read_only=false responding=true \
         size_bytes=409600 from /proc/1/mountinfo\n\
         sample disk_size_bytes{mount=\"/\"} 409600\n\
         sample disk_used_bytes{mount=\"/\"} 245760\n\
         sample disk_free_bytes{mount=\"/\"} 163840\n\
         sample disk_available_bytes{mount=\"/\"} 122880\n\
         sample disk_inodes{mount=\"/\"} 50\n\
         sample disk_inodes_used{mount=\"/\"} 30\n"
    );
}

#[test]
fn what_holds_no_data_is_left_out() {
    let told = host(
        "1 0 254:0 / / rw - ext4 /dev/vda1 rw\n\
         2 1 0:2 / /proc rw - proc proc rw\n\
         3 1 0:3 / /run rw - tmpfs tmpfs rw,size=1k\n\
         4 1 0:4 / /tmp rw - tmpfs tmpfs rw\n\
         5 1 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro\n\
         6 1 0:6 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/x\n\
         7 1 0:7 / /runner rw - btrfs /dev/vdb rw\n",
    )
    .look();
    let keys: Vec<&str> = facts(&told).iter().filter_map(|fact| fact.split(' ').next()).collect();
    assert_eq!(keys, ["/", "/runner", "/tmp"]);
}

#[test]
fn a_container_has_its_root_and_not_the_files_that_were_mounted_into_it() {
    let told = host(
        "1 0 0:50 / / rw - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u,workdir=/w\n\
         2 1 254:0 /var/lib/docker/containers/x/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n",
    )
    .look();
    assert_eq!(
        facts(&told),
        [
            "/ device=overlay fstype=overlay options= read_only=false responding=true size_bytes=409600 from /proc/1/mountinfo"
        ]
    );
}

#[test]
fn a_file_system_in_several_places_is_told_once() {
    let told = host(
        "1 0 254:0 / / rw - ext4 /dev/vda1 rw\n\
         2 1 254:0 /srv/www /home/www ro - ext4 /dev/vda1 rw\n\
         3 1 0:33 /@home /home rw - btrfs /dev/vdb rw,subvol=/@home\n\
         4 1 0:33 / /mnt/pool rw - btrfs /dev/vdb rw,subvol=/\n",
    )
    .look();
    let keys: Vec<&str> = facts(&told).iter().filter_map(|fact| fact.split(' ').next()).collect();
    assert_eq!(keys, ["/", "/mnt/pool"]);
}

#[test]
fn the_root_of_a_container_stands_for_a_file_system_that_also_lies_elsewhere_in_it() {
    let lines =
        "1 0 254:0 /machines/web/root / rw - ext4 /dev/vda1 rw\n2 1 254:0 /shared /srv rw - ext4 /dev/vda1 rw\n";
    let told = host(lines).look();
    let keys: Vec<_> = facts(&told).iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(keys, ["/"]);
}

#[test]
fn a_file_system_that_turns_read_only_is_seen_at_the_next_look() {
    let host = host("1 0 254:0 / / rw - ext4 /dev/vda1 rw\n");
    assert!(host.look().contains("read_only=false"));
    host.write("/proc/1/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda1 ro\n");
    assert!(host.look().contains("read_only=true"));
}

#[test]
fn a_view_of_our_own_does_not_make_a_file_system_read_only() {
    let own = "1 0 254:0 / / ro,relatime - ext4 /dev/vda1 rw\n";
    let told = stage(&SPEC).file("/proc/self/mountinfo", own).statvfs(Arc::new(|_: &Path| Ok(SPACE))).look();
    let why = "?(the mounts of process 1 cannot be read, and those that the agent sees may be made for it alone)";
    let fact =
        format!("/ device=/dev/vda1 fstype=ext4 options={why} read_only={why} responding=true size_bytes=409600");
    assert_eq!(facts(&told), [format!("{fact} from /proc/self/mountinfo")]);
}

#[test]
fn a_dead_mount_is_told_as_such_and_hides_no_other() {
    let host =
        host("1 0 254:0 / / rw - ext4 /dev/vda1 rw\n2 1 0:9 / /mnt/dead rw - nfs4 nas:/x rw,addr=10.0.0.1,vers=4.2\n");
    let told = host.look();
    assert_eq!(
        facts(&told)[1],
        "/mnt/dead device=nas:/x fstype=nfs4 options=vers=4.2 read_only=false responding=false \
         size_bytes=?(the mount has not answered for 0 s) from /proc/1/mountinfo"
    );
    assert!(told.contains("sample disk_used_bytes{mount=\"/\"} 245760\n"));
    assert!(!told.contains("sample disk_used_bytes{mount=\"/mnt/dead\"}"));
    host.clock().advance(Duration::from_secs(10));
    assert!(host.look().contains("size_bytes=?(the mount has not answered for 10 s)"));
}

#[test]
fn a_host_in_a_folder_says_nothing_of_the_running_machine() {
    assert_eq!(stage(&SPEC).look(), "absent");
    let told = stage(&SPEC).file("/proc/1/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda1 rw\n").look();
    let why = "?(comes by system call, which is not asked under --root)";
    assert_eq!(
        told,
        format!(
            "fact mount / device=/dev/vda1 fstype=ext4 options= read_only=false responding={why} size_bytes={why} from /proc/1/mountinfo\n"
        )
    );
}

#[test]
fn more_mounts_than_are_told_are_counted() {
    let lines: String = (10..90).map(|at| format!("{at} 1 8:{at} / /mnt/{at} rw - ext4 /dev/sd{at} rw\n")).collect();
    let told = host(&lines).look();
    assert_eq!(facts(&told).len(), 64);
    assert!(told.ends_with("problem mount /mnt/74* /proc/1/mountinfo: 16 more mounts are not told: at most 64 are\n"));
}

#[test]
fn a_broken_table_fails_the_look() {
    assert_eq!(host("1 0 254:0 / / rw\n").look(), "failed: /proc/1/mountinfo: line 1 is not a mount: 1 0 254:0 / / rw");
}

#[test]
fn a_disk_that_fills_is_told_at_once_and_one_that_stays_full_is_not() {
    let free = Arc::new(std::sync::Mutex::new((20, 20)));
    let answer = Arc::clone(&free);
    let host = stage(&SPEC).file("/proc/1/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda1 rw\n").statvfs(Arc::new(
        move |_: &Path| {
            let (available, inodes_free) = *answer.lock().unwrap();
            Ok(Space { available, inodes_free, inodes: 100, ..SPACE })
        },
    ));
    let is_urgent = |available: u64, inodes: u64| {
        *free.lock().unwrap() = (available, inodes);
        host.look().contains("urgent\n")
    };
    assert!(!is_urgent(2, 20), "the first look is told in full anyhow");
    assert_eq!([20, 16, 15, 15, 14].map(|each| is_urgent(each, 20)), [true, false, true, false, false]);
    assert_eq!([9, 4, 0, 0, 50, 50].map(|each| is_urgent(each, 20)), [true, true, true, false, true, false]);
    assert_eq!([20, 2, 2, 20].map(|each| is_urgent(50, each)), [false, true, false, true]);
}
