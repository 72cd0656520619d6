//! The agent as it is shipped: it runs no program, it sees what dpkg sees, it sees nothing of this machine under another
//! root, and it stays within its size.

use std::process::Command;
use std::time::Duration;

use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};
use plumb_tests::needs;
use serde_json::Value;

fn once(arguments: &[&str]) -> Value {
    let output =
        Command::new(program("PLUMB_AGENT")).args(["once", "--json"]).args(arguments).output().expect("the agent");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[test]
fn it_imports_no_function_that_starts_a_program() {
    if !needs::has("imports", &["nm"], false) {
        return;
    }
    let output = Command::new("nm").arg("-D").arg(program("PLUMB_AGENT")).output().expect("nm");
    let symbols = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(symbols.contains("openat") || symbols.contains("open64"), "nm shows no imports: {symbols}");
    let starts = |name: &str| {
        let name = name.split('@').next().unwrap_or_default();
        name.starts_with("exec")
            || name.starts_with("posix_spawn")
            || ["fork", "vfork", "system", "popen", "fexecve"].contains(&name)
    };
    let found: Vec<_> =
        symbols.lines().filter_map(|line| line.split(" U ").nth(1)).filter(|name| starts(name)).collect();
    assert!(found.is_empty(), "imports {found:?}");
}

#[test]
fn a_full_look_of_every_watcher_starts_no_program() {
    if !needs::has("strace", &["strace"], false) {
        return;
    }
    let trace = std::env::temp_dir().join(format!("plumb-strace-{}", std::process::id()));
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=process", "-o"])
        .arg(&trace)
        .arg(program("PLUMB_AGENT"))
        .args(["once", "--json"])
        .output()
        .expect("strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = std::fs::read_to_string(&trace).expect("a trace");
    let _ = std::fs::remove_file(&trace);
    let calls_of = |name: &str| calls.lines().filter(|line| line.contains(name)).count();
    assert_eq!(calls_of("execve("), 1, "only strace's own: {calls}");
    assert_eq!(calls_of("execveat(") + calls_of(" fork(") + calls_of("vfork("), 0, "{calls}");
    let is_clone = |line: &&str| line.contains(" clone(") || line.contains(" clone3(");
    let processes = calls.lines().filter(|line| is_clone(line) && !line.contains("CLONE_THREAD"));
    let processes: Vec<_> = processes.filter(|line| !line.contains("resumed")).collect();
    assert!(processes.is_empty(), "threads only: {processes:?}");
}

#[test]
fn php_versions_are_those_that_dpkg_knows() {
    if !needs::has("php versions", &["dpkg-query", "php8.2", "php-fpm8.2"], false) {
        return;
    }
    let seen = once(&["--watcher", "php"]);
    let rows = seen["facts"].as_array().expect("facts");
    for (key, package) in
        [("fpm/8.2", "php8.2-fpm"), ("cli/8.2", "php8.2-cli"), ("apache/8.2", "libapache2-mod-php8.2")]
    {
        let query = Command::new("dpkg-query").args(["-W", "-f=${Version}", package]).output().expect("dpkg-query");
        let package_version = String::from_utf8_lossy(&query.stdout).into_owned();
        let upstream = package_version.split(['-', '+', '~']).next().unwrap_or_default().to_owned();
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no row {key} in {seen:#}"));
        let fields = &row["fields"];
        let told = [&fields["version"], &fields["package"], &fields["package_version"]];
        assert_eq!(told, [upstream.as_str(), package, package_version.as_str()], "{row:#}");
    }
}

#[test]
fn under_an_empty_root_nothing_of_the_running_machine_appears() {
    let empty = std::env::temp_dir().join(format!("plumb-empty-{}", std::process::id()));
    std::fs::create_dir_all(&empty).expect("a folder");
    let seen = once(&["--root", &empty.display().to_string()]);
    let _ = std::fs::remove_dir(&empty);
    let known = |row: &Value| row["fields"].as_object().is_some_and(|fields| !fields.is_empty());
    let facts: Vec<_> = seen["facts"].as_array().expect("facts").iter().filter(|row| known(row)).collect();
    assert!(facts.is_empty(), "{facts:#?}");
    assert_eq!(seen["samples"], serde_json::json!([]));
    assert_eq!(seen["events"], serde_json::json!([]));
    let own_name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    assert_ne!(seen["host"]["name"].as_str().map(str::trim), Some(own_name.trim()));
}

#[test]
fn a_host_that_is_enrolled_while_its_service_runs_is_connected_when_the_command_ends() {
    let mut lab = Lab::new("enroll", &program("PLUMB_AGENT"), "[integrity]\nenabled = false\n", "");
    lab.start_collector();
    lab.collector_is_up();
    lab.start_agent();
    let status = || std::fs::read_to_string(lab.path("agent/status.json")).unwrap_or_default();
    eventually("a status", Duration::from_secs(20), status, |text| text.contains("not_enrolled"));
    let token = lab.token(&["--name", "host"]);
    let enroll = || {
        let output = lab.enroll_with(&token);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = enroll();
    assert!(said.starts_with("This host is enrolled as host ("), "{said}");
    assert!(said.contains("\nFound: "), "{said}");
    assert!(said.ends_with("Connected: this host reports to the collector.\n"), "{said}");
    let again = enroll();
    assert!(again.starts_with("This host is enrolled already, with this very token, as host ("), "{again}");
    assert!(again.contains("To enrol this host anew, make another token"), "{again}");
}

#[test]
fn its_binary_is_at_most_six_mebibytes() {
    let size = std::fs::metadata(program("PLUMB_AGENT")).expect("the agent").len();
    assert!(size <= 6 << 20, "{size} bytes");
}
