use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use plumb_proto::time::{ManualClock, Timestamp};

use super::*;

/// A folder that is removed in the end, and a host whose root is `root/` in it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("plumb-host-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let place = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(place.0.join("root/etc")).unwrap();
        fs::write(place.0.join("outside"), "outside").unwrap();
        fs::write(place.0.join("root/etc/inside"), "inside").unwrap();
        place
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn host(&self) -> Host {
        Host::new(self.root(), Arc::new(ManualClock::at(Timestamp::from_secs(0))))
    }

    fn link(&self, path: &str, target: &str) {
        symlink(target, self.root().join(path)).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said<T>(result: Result<T, HostError>) -> String {
    result.err().map_or_else(|| "fine".to_owned(), |error| error.to_string())
}

/// Both ways through the door must agree, so each test of it runs on both.
fn both_ways(check: impl Fn(&Place, &Host)) {
    for long_way in [false, true] {
        let place = Place::new();
        let host = place.host();
        host.root.take_the_long_way(long_way);
        check(&place, &host);
    }
}

#[test]
fn a_file_is_read_up_to_the_limit_and_not_beyond() {
    both_ways(|_, host| {
        assert_eq!(host.read("/etc/inside", 6).unwrap(), b"inside");
        assert_eq!(host.read("/etc/inside", 7).unwrap(), b"inside");
        assert_eq!(said(host.read("/etc/inside", 5)), "/etc/inside: bigger than 5 bytes");
        assert!(host.read("/etc/none", 5).unwrap_err().is_absent());
        assert!(host.read("/etc/inside/none", 5).unwrap_err().is_absent());
    });
}

#[test]
fn no_link_and_no_dots_lead_out_of_the_root() {
    both_ways(|place, host| {
        let outside = place.0.join("outside");
        place.link("etc/absolute", outside.to_str().unwrap());
        place.link("etc/relative", "../../outside");
        place.link("etc/dots", "../../../../../../../../etc/inside");
        place.link("up", "..");
        for path in ["/etc/absolute", "/etc/relative", "/../outside", "/etc/../../outside", "/up/outside"] {
            assert!(host.read(path, 64).unwrap_err().is_absent(), "{path}");
        }
        assert_eq!(host.read("/etc/dots", 64).unwrap(), b"inside");
        assert_eq!(host.read("/up/etc/inside", 64).unwrap(), b"inside");
        assert_eq!(host.read("/etc/../etc/./inside", 64).unwrap(), b"inside");
    });
}

#[test]
fn links_lead_to_where_they_point_below_the_root() {
    both_ways(|place, host| {
        place.link("etc/link", "/etc/inside");
        place.link("folder", "etc");
        assert_eq!(host.read("/folder/link", 64).unwrap(), b"inside");
        assert_eq!(host.resolve("/folder/link").unwrap(), Path::new("/etc/inside"));
        assert_eq!(host.read_link("/folder/link").unwrap(), Path::new("/etc/inside"));
        assert_eq!(said(host.open_by("/folder/link", Links::Never)), "/folder/link: a link, which is not followed");
        assert_eq!(said(host.list("/folder")), "/folder: a link, which is not followed");
        place.link("etc/loop", "loop");
        assert_eq!(said(host.read("/etc/loop", 64)), "/etc/loop: too many links");
    });
}

#[test]
fn a_link_of_a_process_is_read_and_never_followed() {
    both_ways(|place, host| {
        fs::create_dir_all(place.root().join("proc/7")).unwrap();
        place.link("proc/7/root", "/");
        place.link("proc/self", "7");
        place.link("proc/7/exe", "/etc/inside (deleted)");
        let path = "/proc/self/root/etc/inside";
        assert_eq!(said(host.read(path, 64)), format!("{path}: a link, which is not followed"));
        assert_eq!(host.read_link("/proc/self/root").unwrap(), Path::new("/"));
        let exe = host.exe(7).unwrap();
        assert_eq!((exe.path.as_path(), exe.replaced), (Path::new("/etc/inside"), true));
    });
}

#[test]
fn a_link_that_is_put_in_place_at_any_moment_leads_nowhere() {
    both_ways(|place, host| {
        place.link("etc/trap", "../../outside");
        place.link("trap", "..");
        let (root, stop) = (place.root(), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for (one, other) in [("etc/trap", "etc/inside"), ("trap", "etc")] {
                        use nix::fcntl::{RenameFlags, renameat2};
                        let (one, other) = (root.join(one), root.join(other));
                        renameat2(
                            nix::fcntl::AT_FDCWD,
                            &one,
                            nix::fcntl::AT_FDCWD,
                            &other,
                            RenameFlags::RENAME_EXCHANGE,
                        )
                        .ok();
                    }
                }
            });
            let mut read = 0;
            for _ in 0..5_000 {
                if let Ok(bytes) = host.read("/etc/inside", 64) {
                    assert_eq!(bytes, b"inside");
                    read += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(read > 0);
        });
    });
}

#[test]
fn somebodys_link_leads_only_to_that_persons_own_files() {
    if !nix::unistd::geteuid().is_root() {
        return; // only root can give files away
    }
    both_ways(|place, host| {
        let (site, other) = (12_345, 23_456);
        let own = |path: &str, uid| std::os::unix::fs::lchown(place.root().join(path), Some(uid), None).unwrap();
        fs::write(place.root().join("mine"), "mine").unwrap();
        own("mine", site);
        for (name, target, owner) in [
            ("to-mine", "mine", site),
            ("to-system", "etc/inside", site),
            ("strange", "mine", other),
            ("roots", "mine", 0),
        ] {
            place.link(name, target);
            own(name, owner);
        }
        let by_site = Links::Trusted(Some(site));
        let foreign = |path: &str, link: u32, target: u32| {
            format!("{path}: a link of uid {link} on the way to a file of uid {target} is not followed")
        };
        assert_eq!(said(host.open_by("/to-mine", by_site)), "fine");
        assert_eq!(said(host.open_by("/roots", by_site)), "fine");
        assert_eq!(said(host.open_by("/to-system", by_site)), foreign("/to-system", site, 0));
        assert_eq!(said(host.open_by("/strange", by_site)), foreign("/strange", other, other));
        assert_eq!(said(host.open("/to-mine")), foreign("/to-mine", site, site));
        assert_eq!(said(host.open("/roots")), foreign("/roots", 0, site));
        assert_eq!(said(host.open("/mine")), "fine"); // no link, no question
    });
}

#[test]
fn what_hangs_or_acts_when_opened_is_not_opened() {
    both_ways(|place, host| {
        nix::unistd::mkfifo(&place.root().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::net::UnixListener::bind(place.root().join("socket")).unwrap();
        fs::create_dir(place.root().join("dev")).unwrap();
        fs::write(place.root().join("dev/watchdog"), "").unwrap();
        for path in ["/fifo", "/socket", "/etc", "/", "/dev/watchdog"] {
            assert_eq!(said(host.read(path, 64)), format!("{path}: not a regular file"));
        }
        assert_eq!(host.stat("/fifo").unwrap().kind, Kind::Other);
    });
}

#[test]
fn the_agents_own_state_is_not_there_by_any_name() {
    let place = Place::new();
    fs::create_dir_all(place.root().join("var/lib/own")).unwrap();
    fs::write(place.root().join("var/lib/own/state.db"), "secret").unwrap();
    place.link("alias", "var/lib/own");
    let host = place.host().without(Path::new("/alias"));
    for path in ["/var/lib/own/state.db", "/alias/state.db", "/var/lib/../lib/own/state.db"] {
        assert_eq!(said(host.read(path, 64)), format!("{path}: the agent's own state is not observed"));
    }
    assert_eq!(said(host.read("/var/lib/owner", 64)), "/var/lib/owner: not found");
    let mut met = Vec::new();
    host.walk("/var", 9, &mut |step| {
        met.push(step.map_or_else(|error| error.to_string(), |(path, _)| path.display().to_string()))
    });
    assert_eq!(met, ["/var/lib", "/var/lib/own", "/var/lib/own: the agent's own state is not observed"]);
}

#[test]
fn what_lies_on_a_mount_that_may_hang_is_not_touched() {
    both_ways(|place, host| {
        fs::create_dir_all(place.root().join("proc/1")).unwrap();
        fs::create_dir_all(place.root().join("mnt/nfs")).unwrap();
        fs::write(place.root().join("mnt/nfs/file"), "x").unwrap();
        let lines = "1 0 0:1 / / rw - nfs server:/ rw\n2 1 0:2 / /mnt/nfs rw - nfs4 server:/x rw\n";
        fs::write(place.root().join("proc/1/mountinfo"), lines).unwrap();
        place.link("alias", "/mnt/nfs");
        assert_eq!(host.mounts().unwrap().len(), 2);
        let why = "on a network or user-space file system, which is not touched because it may hang";
        assert_eq!(said(host.read("/mnt/nfs/file", 64)), format!("/mnt/nfs/file: {why}"));
        assert_eq!(said(host.read("/alias/file", 64)), format!("/alias/file: {why}"));
        assert_eq!(said(host.read("/etc/inside", 64)), "fine"); // the root itself has to be trusted
        // Nor is the place itself asked when the folder is listed that it is in.
        fs::create_dir_all(place.root().join("mnt/disk")).unwrap();
        let folder = host.examine("/mnt".as_ref(), None).unwrap();
        assert_eq!(folder.items.iter().map(|item| item.name.as_os_str()).collect::<Vec<_>>(), ["disk"]);
        assert_eq!(folder.mounts, ["nfs"]);
        let names = host.list("/mnt").unwrap();
        assert_eq!(names.iter().map(|entry| entry.name.as_os_str()).collect::<Vec<_>>(), ["disk", "nfs"]);
    });
}

#[test]
fn a_walk_goes_as_deep_as_it_is_told_and_through_no_link() {
    let place = Place::new();
    for folder in ["srv/a/x", "srv/b/x/deep"] {
        fs::create_dir_all(place.root().join(folder)).unwrap();
        fs::write(place.root().join(folder).join("VERSION"), "1").unwrap();
    }
    place.link("srv/loop", "/srv");
    let host = place.host();
    assert_eq!(host.find("/srv", 2, "VERSION").unwrap(), [Path::new("/srv/a/x/VERSION")]);
    assert_eq!(host.find("/srv", 3, "VERSION").unwrap().len(), 2);
    assert_eq!(host.find("/none", 3, "VERSION").unwrap().len(), 0);
    assert_eq!(said(host.find("/etc/inside", 3, "VERSION")), "fine");
}

#[test]
fn a_root_that_is_not_there_is_no_empty_host() {
    let host = Host::new("/nowhere/at/all", Arc::new(ManualClock::at(Timestamp::from_secs(0))));
    let error = host.read("/etc/inside", 64).unwrap_err();
    assert_eq!(error.to_string(), "/etc/inside: the root folder cannot be opened: No such file or directory");
    assert!(!error.is_absent());
    assert_eq!(said(host.check()), "/nowhere/at/all: the root folder cannot be opened: No such file or directory");
}

#[test]
fn what_comes_by_system_call_is_unknown_below_a_root_unless_staged() {
    let place = Place::new();
    assert!(!place.host().is_live());
    assert_eq!((place.host().system().uname(), place.host().name()), (None, None));
    fs::write(place.root().join("etc/hostname"), "# name\nweb9\n").unwrap();
    assert_eq!(place.host().name().as_deref(), Some("web9"));
    let stage = "[uname]\nnodename = \"web1\"\nrelease = \"6.1\"\nmachine = \"riscv64\"\n";
    fs::write(place.root().join(".plumb-stage.toml"), stage).unwrap();
    let host = place.host();
    assert_eq!(host.name().as_deref(), Some("web1"));
    assert_eq!(host.system().uname().map(|uname| uname.machine).as_deref(), Some("riscv64"));
}

#[test]
fn the_running_machine_is_seen_through_the_same_door() {
    let host = Host::new("/", Arc::new(ManualClock::at(Timestamp::from_secs(0))));
    assert!(host.is_live());
    assert!(host.read("/proc/self/mountinfo", 1 << 20).unwrap().len() > 10); // a link, and a file of size zero
    let own = host.exe(std::process::id()).unwrap();
    assert_eq!(own.path, std::env::current_exe().unwrap());
    assert!(host.pids().unwrap().contains(&std::process::id()));
    let (meta, real) = (host.stat("/").unwrap(), fs::metadata("/").unwrap());
    assert_eq!((meta.kind, meta.uid, meta.identity.inode()), (Kind::Folder, real.uid(), (real.dev(), real.ino())));
    assert_eq!(host.full_path(Path::new("/etc")), Path::new("/etc"));
}

#[test]
fn a_name_that_would_forge_a_line_is_printed_escaped() {
    let place = Place::new();
    assert_eq!(said(place.host().read("/a\n\x1b[2Jb", 64)), r"/a\n\x1b[2Jb: not found");
}
