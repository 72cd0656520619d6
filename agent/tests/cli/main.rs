//! The program as a whole: what it prints, how it exits, and how it starts and stops. Hosts are folders here, so nothing
//! depends on the machine that runs the tests.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests of programs run programs

mod scene;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scene::{Scene, err, json, out};

#[test]
fn wrong_usage_exits_with_two_and_help_is_no_error() {
    let scene = Scene::new();
    for args in [vec!["once", "--nonsense"], vec!["once", "--watcher", "dsik"]] {
        let output = scene.run(&args);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{args:?}");
    }
    let names: Vec<&str> = plumb_agent::watchers::ALL.iter().map(|spec| spec.name).collect();
    let told = format!("there is no watcher dsik; there are {}", names.join(", "));
    assert!(err(&scene.run(&["once", "--watcher", "dsik"])).contains(&told));
    let help = Command::new(env!("CARGO_BIN_EXE_plumb-agent")).arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    for word in ["run", "once", "check", "enroll", "status", "--root"] {
        assert!(out(&help).contains(word), "{word}");
    }
}

#[test]
fn nothing_of_this_machine_is_seen_in_an_empty_folder() {
    let scene = Scene::new();
    let output = scene.run(&["once", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let seen = json(&output);
    let nothing = serde_json::json!({"name": null, "os": null, "version": null, "kernel": null, "arch": null});
    assert_eq!(seen["host"], nothing);
    for list in ["facts", "samples", "events"] {
        assert_eq!(seen[list], serde_json::json!([]), "{list}");
    }
    assert!(fs::read_dir(scene.0.join("host")).unwrap().count() == 1, "it wrote nothing");
}

#[test]
fn a_host_that_is_not_there_is_an_error() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.0.join("host")).unwrap();
    let output = scene.run(&["once"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(err(&output).contains("the root folder cannot be opened: No such file"), "{}", err(&output));
}

#[test]
fn what_a_host_says_cannot_act_on_the_terminal() {
    let scene = Scene::new();
    scene.write("host/etc/hostname", "web1\n");
    scene.write("host/etc/os-release", "ID=debian\nNAME=\"Evil\u{1b}[2J\u{202e}OS\"\nVERSION_ID=\"12\"\n");
    for args in [vec!["once"], vec!["once", "--json"]] {
        let text = out(&scene.run(&args));
        assert!(text.contains("web1") && text.contains("Evil"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
    }
    let os = json(&scene.run(&["once", "--json", "--watcher", "system"]));
    assert_eq!(os["host"]["os"].as_str().map(|name| name.contains("Evil")), Some(true));
    assert_eq!(os["facts"][0]["unknown"]["kernel"], "comes by system call, which is not asked under --root");
}

#[test]
fn a_page_is_no_wider_than_the_terminal() {
    let scene = Scene::new();
    scene.write("host/etc/os-release", "ID=debian\nNAME=\"A system with a name that goes on for quite a while\"\n");
    for width in [80, 140] {
        let output = scene.command(&["once"]).env("COLUMNS", width.to_string()).output().unwrap();
        let longest = out(&output).lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width, "{longest} of {width}\n{}", out(&output));
    }
}

#[test]
fn every_mistake_in_the_configuration_is_told_and_nothing_starts() {
    let scene = Scene::new();
    scene.write("agent.toml", "spool_byte = 5\n[disk]\nevery = 7\n");
    let output = scene.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    assert!(text.contains("agent.toml:1: unknown key spool_byte; the nearest known is spool_bytes"), "{text}");
    assert!(text.contains("agent.toml:3: every is of type integer, where string is expected"), "{text}");
    assert!(!scene.state().exists());
    let check = scene.run(&["check", "--json"]);
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(json(&check)["configuration"][0]["line"], 1);
}

#[test]
fn an_agent_says_how_it_is_and_stops_when_it_is_asked_to() {
    let scene = Scene::new();
    let before = scene.run(&["status", "--json"]);
    assert_eq!((before.status.code(), out(&before).as_str()), (Some(1), "{\"running\":false}\n"));
    let agent = scene.start();
    let output = scene.run(&["status", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let status = json(&output);
    assert_eq!((&status["running"], &status["connection"]["state"]), (&true.into(), &"not_enrolled".into()));
    assert_eq!(status["sandbox"]["seccomp"], "on");
    assert!(out(&scene.run(&["status"])).contains("this host is not enrolled: run plumb-agent enroll"));
    let check = json(&scene.run(&["check", "--json"]));
    assert_eq!(check["service"]["running"], true);
    let ended = agent.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", err(&ended));
    assert!(err(&ended).starts_with("<6>sandbox: seccomp on, landlock "), "{}", err(&ended));
    let after = json(&scene.run(&["status", "--json"]));
    assert_eq!((&after["running"], &after["stopped"]), (&false.into(), &true.into()));
}

#[test]
fn the_service_manager_hears_from_behind_the_sandbox_that_the_agent_is_ready_alive_and_stopping() {
    let scene = Scene::new();
    let socket = scene.0.join("notify");
    let ear = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = scene.command(&["run"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "30000000").env_remove("WATCHDOG_PID");
    let agent = scene.spawn(command);
    let mut buffer = [0; 4096];
    let mut heard = Vec::new();
    let mut hear = |last: &str| {
        while heard.last().is_none_or(|word| word != last) {
            let length = ear.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {heard:?}"));
            heard.push(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned());
        }
        heard.clone()
    };
    let words = hear("STATUS=observing; not enrolled: run plumb-agent enroll");
    assert_eq!(words[0], "READY=1");
    hear("WATCHDOG=1");
    let ended = agent.stop();
    assert!(err(&ended).contains("sandbox: seccomp on"), "{}", err(&ended));
    hear("STOPPING=1");
}

#[test]
fn a_running_agent_reads_its_configuration_again_when_asked_and_keeps_the_old_one_over_a_mistake() {
    let scene = Scene::new();
    let socket = scene.0.join("notify");
    let ear = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = scene.command(&["run"]);
    command.env("NOTIFY_SOCKET", &socket);
    let agent = scene.spawn(command);
    let hear = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = ear.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if String::from_utf8_lossy(&buffer[..length]).starts_with(wanted) {
                return;
            }
        }
    };
    hear("READY=1");
    let reload = |config: &str| {
        scene.write("agent.toml", &format!("state_dir = \"{}\"\n{config}", scene.state().display()));
        kill(Pid::from_raw(i32::try_from(agent.0.id()).unwrap()), Signal::SIGHUP).unwrap();
        hear("RELOADING=1\nMONOTONIC_USEC=");
        hear("READY=1");
    };
    let every = || {
        // Not by the command: it reads the configuration, mistakes and all.
        let text = fs::read(scene.state().join("status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let watchers = status["watchers"].as_array().unwrap().clone();
        watchers.iter().find(|each| each["name"] == "php").map(|each| each["every_seconds"].clone())
    };
    reload("[php]\nevery = \"77s\"\n");
    let seconds = |seconds: u32| Some(serde_json::Value::from(seconds));
    let end = Instant::now() + Duration::from_secs(20);
    while every() != seconds(77) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(every(), seconds(77));
    reload("[php]\nevery = 3\n");
    hear("STATUS=the configuration has mistakes, the one before holds: ");
    assert_eq!(every(), seconds(77));
    reload("[php]\nenabled = false\n");
    hear("STATUS=observing");
    assert_eq!(every(), None);
    let ended = agent.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", err(&ended));
    assert!(err(&ended).contains("agent.toml:3: "), "{}", err(&ended));
}

#[test]
fn only_the_owner_can_read_the_state() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    drop(scene.start());
    for entry in fs::read_dir(scene.state()).unwrap().map(|entry| entry.unwrap().path()).chain([scene.state()]) {
        let mode = fs::metadata(&entry).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", entry.display());
    }
}

#[test]
fn a_second_agent_on_the_same_state_is_told_so() {
    let scene = Scene::new();
    let first = scene.start();
    let second = scene.run(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(err(&second).contains("another plumb-agent is running on this state folder"), "{}", err(&second));
    drop(first);
}

#[test]
fn a_corrupt_or_newer_state_is_set_aside_with_a_clear_word_and_the_agent_runs() {
    type Spoil = fn(&Path);
    let garbage: Spoil = |path| fs::write(path, "this is no database at all".repeat(100)).unwrap();
    let newer: Spoil = |path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute_batch("PRAGMA user_version = 99").unwrap();
    };
    let cases: [(Spoil, &str); 2] = [
        (garbage, "<3>the state is set aside as state.db.damaged, a new one begins: file is not a database"),
        (newer, "state.db was written by a newer plumb-agent (format 99, this one knows 2)"),
    ];
    for (spoil, word) in cases {
        let scene = Scene::new();
        scene.start().stop();
        spoil(&scene.state().join("state.db"));
        let ended = scene.start().stop();
        assert!(err(&ended).contains(word), "{}", err(&ended));
        assert!(scene.state().join("state.db.damaged").exists());
    }
}

#[test]
fn a_token_is_asked_for_by_file_and_what_is_none_is_refused() {
    let scene = Scene::new();
    scene.write("token", " \n");
    let file = scene.0.join("token");
    let args = ["enroll", "--collector", "https://127.0.0.1:1", "--token-file", file.to_str().unwrap()];
    let output = scene.run(&args);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("there is no token in"), "{}", err(&output));
    scene.write("token", "nonsense\n");
    scene.write("host/etc/hostname", "web1\n");
    let output = scene.run(&args);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("this is no token"), "{}", err(&output));
}

#[test]
fn what_root_makes_when_it_enrols_belongs_to_the_owner_of_the_state_folder() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    if !nix::unistd::geteuid().is_root() {
        return; // only root makes files for others
    }
    let scene = Scene::new();
    // The owner comes through to its folder, as it does to /var/lib.
    fs::set_permissions(&scene.0, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(scene.state()).unwrap();
    fs::set_permissions(scene.state(), fs::Permissions::from_mode(0o700)).unwrap();
    chown(scene.state(), Some(54_321), Some(54_322)).unwrap();
    scene.write("host/etc/hostname", "web1\n");
    scene.write("token", &format!("v1.{}.{}.{}\n", "0a".repeat(16), "0b".repeat(32), "0c".repeat(32)));
    fs::set_permissions(scene.0.join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let file = scene.0.join("token");
    let args = ["enroll", "--collector", "https://127.0.0.1:1", "--token-file", file.to_str().unwrap()];
    let output = scene.run(&args);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("refused"), "{}", err(&output));
    let identity = scene.state().join("identity");
    for path in [identity.clone(), identity.join("enroll.key")] {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o077), (54_321, 54_322, 0), "{}", path.display());
    }
    // A link that the owner has put there leads root nowhere.
    fs::remove_dir_all(&identity).unwrap();
    let elsewhere = scene.0.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &identity).unwrap();
    let output = scene.run(&args);
    assert!(err(&output).contains("ermission denied"), "{}", err(&output));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_service_that_may_not_look_into_processes_is_told_which_line_lets_it() {
    let scene = Scene::new();
    scene.start().stop();
    let file = scene.state().join("status.json");
    let mut status: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    status["watchers"][0]["withheld"] = serde_json::json!({ "CAP_SYS_PTRACE": 2 });
    fs::write(&file, status.to_string()).unwrap();
    let check = json(&scene.run(&["check", "--json"]));
    assert_eq!(check["grants"][0]["capability"], "CAP_SYS_PTRACE");
    assert!(check["service"]["rights"]["sys_ptrace"].is_boolean());
    let page = out(&scene.command(&["check"]).env("COLUMNS", "60").output().unwrap());
    let line = page.lines().find(|line| line.starts_with("mkdir -p /etc/systemd/system/plumb-agent.service.d && "));
    assert!(line.is_some_and(|line| line.ends_with("systemctl restart plumb-agent")), "{page}");
}

#[test]
fn the_service_of_this_machine_is_not_that_of_a_host_in_a_folder() {
    let scene = Scene::new();
    let check = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb-agent"));
        out(&command.args(args).arg("--root").arg(scene.0.join("host")).output().unwrap())
    };
    let document: serde_json::Value = serde_json::from_str(&check(&["check", "--json"])).unwrap();
    assert_eq!((&document["service"], &document["grants"]), (&serde_json::Value::Null, &serde_json::json!([])));
    assert!(!check(&["check"]).contains("service\n"));
}

#[test]
fn a_mistake_in_the_configuration_hides_nothing_of_an_agent_at_work() {
    let scene = Scene::new();
    let agent = scene.start();
    scene.write("agent.toml", &format!("state_dir = \"{}\"\ncpu_shar = 0.1\n", scene.state().display()));
    let output = scene.run(&["status"]);
    assert_eq!(output.status.code(), Some(0), "it runs");
    let page = out(&output);
    assert!(page.contains(" running since ") && page.contains("agent.toml:2: unknown key cpu_shar"), "{page}");
    assert_eq!(json(&scene.run(&["status", "--json"]))["configuration"][0]["line"], 2);
    assert_eq!(json(&scene.run(&["check", "--json"]))["service"]["running"], true);
    drop(agent);
}
