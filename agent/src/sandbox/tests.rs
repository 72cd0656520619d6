//! Each attempt is made in a process of its own: what is locked stays locked.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use super::*;
use crate::state::testing::Folder;

/// Names the folder of a child process, which locks itself up and tries what it may not.
const CHILD: &str = "PLUMB_TEST_LOCKED_FOLDER";
const TRIES: &str = "sandbox::tests::tries_in_a_process_of_its_own";

#[allow(clippy::disallowed_methods)] // a test may run programs: this one runs itself
fn child(folder: &Path, what: &str) -> Output {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", TRIES, "--nocapture"]).env(CHILD, folder).env("PLUMB_TEST_TRY", what);
    command.output().unwrap()
}

#[test]
#[allow(clippy::disallowed_methods)]
fn tries_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let outside = folder.with_extension("outside");
    std::fs::write(&outside, "before").unwrap();
    let what = std::env::var("PLUMB_TEST_TRY").unwrap();
    // the thread that stays outside Landlock is there first
    let peek = (what == "peek").then(|| crate::host::Peek::start(reader::lock).unwrap());
    let locked = if what.starts_with("reader") { Locked::nothing() } else { lock(folder) };
    let mut out = std::io::stdout();
    match what.as_str() {
        "exec" => {
            let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
        }
        "spawn" => {
            let error = std::process::Command::new("/bin/true").spawn().unwrap_err();
            writeln!(out, "spawn: {}", error.raw_os_error().unwrap()).unwrap();
        }
        "reader" => {
            let (folder, outside) = (folder.to_owned(), outside.clone());
            let tries = move || {
                reader::lock().unwrap();
                let number = |error: std::io::Error| error.raw_os_error();
                let socket = std::os::unix::net::UnixDatagram::unbound().map(drop).map_err(number);
                format!(
                    "write {:?}, append {:?}, make {:?}, folder {:?}, remove {:?}, rename {:?}, link {:?}, socket {socket:?}, read {:?}",
                    std::fs::write(&outside, "after").map_err(number),
                    std::fs::OpenOptions::new().append(true).open(&outside).map(drop).map_err(number),
                    std::fs::File::create(folder.join("made")).map(drop).map_err(number),
                    std::fs::create_dir(folder.join("folder")).map_err(number),
                    std::fs::remove_file(&outside).map_err(number),
                    std::fs::rename(&outside, folder.join("moved")).map_err(number),
                    std::os::unix::fs::symlink(&outside, folder.join("link")).map_err(number),
                    std::fs::read_to_string(&outside).unwrap(),
                )
            };
            writeln!(out, "{}", std::thread::spawn(tries).join().unwrap()).unwrap();
        }
        "reader exec" => {
            let tries = || {
                reader::lock().unwrap();
                let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
            };
            std::thread::spawn(tries).join().unwrap();
        }
        "peek" => {
            let clock = std::sync::Arc::new(plumb_proto::time::SystemClock::new());
            let alone = crate::host::Host::new("/", clock.clone());
            let host = crate::host::Host::new("/", clock).with_peek(peek);
            let parent = nix::unistd::getppid().as_raw().unsigned_abs();
            writeln!(out, "alone: {:?}", alone.exe(parent).map_err(|error| error.kind)).unwrap();
            writeln!(out, "with it: {}, landlock {}", host.exe(parent).is_ok(), locked.landlock).unwrap();
        }
        _ => {
            writeln!(out, "seccomp {}, landlock {}", locked.seccomp, locked.landlock).unwrap();
            let chroot = nix::unistd::chroot(folder);
            writeln!(out, "chroot: {chroot:?}").unwrap();
            writeln!(out, "thread: {}", std::thread::spawn(|| 7).join().unwrap()).unwrap();
            writeln!(out, "read outside: {:?}", std::fs::read_to_string(&outside).unwrap()).unwrap();
            let wrote = std::fs::write(&outside, "after").map_err(|error| error.raw_os_error());
            writeln!(out, "write outside: {wrote:?}").unwrap();
            let (one, two) = (folder.join("one"), folder.join("two"));
            std::fs::write(&one, "1").and_then(|()| std::fs::rename(&one, &two)).unwrap();
            writeln!(out, "write inside: {}", std::fs::read_to_string(&two).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_planted_execve_ends_the_process_before_anything_runs() {
    let folder = Folder::new();
    let output = child(folder.path(), "exec");
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
}

#[test]
fn a_new_process_is_refused() {
    let folder = Folder::new();
    let output = child(folder.path(), "spawn");
    assert!(String::from_utf8_lossy(&output.stdout).contains("spawn: 1\n"), "EPERM: {output:?}");
}

#[test]
fn threads_reading_and_the_own_folder_are_left() {
    let folder = Folder::new();
    let output = child(folder.path(), "rest");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let landlock = if said.contains("landlock on") { "Err(Some(13))" } else { "Ok(())" };
    for line in ["seccomp on", "chroot: Err(EPERM)", "thread: 7", "read outside: \"before\"", "write inside: 1"] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(said.contains(&format!("write outside: {landlock}")), "{said}");
    let _ = std::fs::remove_file(folder.path().with_extension("outside"));
}

#[test]
fn the_thread_outside_landlock_reads_and_can_change_nothing() {
    let folder = Folder::new();
    let output = child(folder.path(), "reader");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let no = "Err(Some(1))";
    let wanted = format!(
        "write {no}, append {no}, make {no}, folder {no}, remove {no}, rename {no}, link {no}, socket {no}, read \"before\""
    );
    assert!(said.contains(&wanted), "{said}");
    let _ = std::fs::remove_file(folder.path().with_extension("outside"));
    assert_eq!(child(folder.path(), "reader exec").status.signal(), Some(libc::SIGSYS));
}

#[test]
fn other_processes_are_seen_by_way_of_that_thread_alone() {
    let folder = Folder::new();
    let output = child(folder.path(), "peek");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("with it: true"), "{said}");
    // where the kernel has no Landlock, nothing is denied to begin with
    assert!(!said.contains("landlock on") || said.contains("alone: Err(Denied)"), "{said}");
}
