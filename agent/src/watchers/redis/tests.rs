use crate::watcher::testing::{Stage, stage};

use super::SPEC;

fn process(stage: Stage, pid: u32, parent: u32, exe: &str, name: &str, title: &str, folder: &str) -> Stage {
    let stat = format!("7 ({name}) S {parent} 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n");
    stage
        .link(&format!("/proc/{pid}/exe"), exe)
        .link(&format!("/proc/{pid}/cwd"), folder)
        .file(&format!("/proc/{pid}/comm"), format!("{name}\n"))
        .file(&format!("/proc/{pid}/stat"), stat)
        .file(&format!("/proc/{pid}/cmdline"), format!("{title}\0\0\0\0"))
}

/// Debian's server is a link to a tool of another package.
fn debian() -> Stage {
    let version = "5:7.0.15-1~deb12u5";
    let package = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n");
    stage(&SPEC)
        .file("/usr/bin/redis-check-rdb", "\x7fELF")
        .mode("/usr/bin/redis-check-rdb", 0o755)
        .link("/usr/bin/redis-server", "redis-check-rdb")
        .file("/var/lib/dpkg/status", package("redis-server") + &package("redis-tools"))
        .file("/var/lib/dpkg/info/redis-server.list", "/usr/bin/redis-server\n")
        .file("/var/lib/dpkg/info/redis-tools.list", "/usr/bin/redis-check-rdb\n")
        .file("/etc/os-release", "ID=debian\n")
        .file(
            "/etc/redis/redis.conf",
            "# comment\nbind 127.0.0.1 -::1\nport 6379\nunixsocket /run/redis/redis.sock\ndir /var/lib/redis\n",
        )
        .file("/etc/redis/sentinel.conf", "port 26379\n")
        .file("/var/lib/redis/dump.rdb", "REDIS0009")
}

const FACTS: &str =
    "binary=/usr/bin/redis-server package=redis-server package_version=5:7.0.15-1~deb12u5 provenance=debian";
const REST: &str = "listen=/run/redis/redis.sock,127.0.0.1:6379,[::1]:6379 datadir=/var/lib/redis from /usr/bin/redis-server\n\
                    sample database_size_bytes{database=\"redis/6379\"} 9\n";

#[test]
fn a_host_without_redis_is_no_error() {
    assert_eq!(stage(&SPEC).folder("/usr/bin").file("/etc/redis/redis.conf", "port 1\n").look(), "absent");
}

#[test]
fn a_server_that_is_in_no_folder_of_its_own_does_not_hold_the_whole_machine() {
    let stage =
        process(debian(), 500, 1, "/usr/bin/redis-check-rdb", "redis-server", "/usr/bin/redis-server *:6379", "/");
    let told = stage.look();
    assert!(told.contains("running=true") && !told.contains("datadir=") && !told.contains("database_size"), "{told}");
}

#[test]
fn a_server_that_runs_is_told_and_its_snapshots_are_not() {
    let exe = "/usr/bin/redis-check-rdb";
    let title = "/usr/bin/redis-server 127.0.0.1:6379";
    let stage = process(debian(), 500, 1, exe, "redis-server", title, "/var/lib/redis");
    let stage = process(stage, 501, 500, exe, "redis-server", "redis-rdb-bgsave 127.0.0.1:6379", "/var/lib/redis");
    let stage = process(stage, 502, 1, exe, "redis-check-rdb", "redis-check-rdb /tmp/dump.rdb", "/tmp");
    assert_eq!(
        stage.look(),
        format!(
            "fact database redis/6379 version=7.0.15 running_version=7.0.15 {FACTS} running=true restart_needed=false {REST}"
        )
    );
}

#[test]
fn a_server_that_does_not_run_says_so() {
    let stage = debian().link("/proc/1/exe", "/usr/lib/systemd/systemd");
    assert_eq!(stage.look(), format!("fact database redis/6379 version=7.0.15 {FACTS} running=false {REST}"));
}

#[test]
fn several_servers_go_by_their_ports_and_sockets() {
    let exe = "/opt/valkey/bin/valkey-server";
    let stage = stage(&SPEC).file(exe, "\x7fELF").mode(exe, 0o755).file("/var/lib/dpkg/status", "Package: x\n");
    let stage = process(stage, 5, 1, exe, "valkey-server", &format!("{exe} *:6379"), "/srv/a");
    let stage = process(stage, 6, 1, exe, "valkey-server", &format!("{exe} 0.0.0.0:6380 [cluster]"), "/srv/b");
    let stage = process(stage, 7, 1, exe, "valkey-server", &format!("{exe} unixsocket:/run/shop/cache.sock"), "/srv/c");
    let told = stage.look();
    let listen = |line: &str| {
        let key = line.strip_prefix("fact database ")?.split(' ').next()?.to_owned();
        Some(format!("{key} {}", line.split("listen=").nth(1)?.split(' ').next()?))
    };
    let listens: Vec<String> = told.lines().filter_map(listen).collect();
    assert_eq!(listens, ["valkey/6379 *:6379", "valkey/6380 0.0.0.0:6380", "valkey/cache /run/shop/cache.sock"]);
    assert!(told.contains("version=?(neither a package nor the binary tells it)"), "{told}");
}
