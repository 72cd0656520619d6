use std::time::Duration;

use super::SPEC;
use crate::watcher::testing::{Stage, stage};

const DEV: &str = "Inter-|   Receive                                                |  Transmit\n\
    \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
    \x20   lo: 500 5 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n\
    \x20 eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n\
    \x20veth1: 7 7 0 0 0 0 0 0 7 7 0 0 0 0 0 0\n";
const ROUTE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n\
    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n\
    docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n";
const TRIE: &str = "Main:\n     |-- 192.0.2.10\n        /32 host LOCAL\n     |-- 172.17.0.1\n        /32 host LOCAL\n";
const TITLES: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

fn interface(stage: Stage, name: &str, folder: &str, mac: &str) -> Stage {
    let folder = format!("/sys/devices/{folder}/net/{name}");
    stage
        .file(&format!("{folder}/operstate"), "up\n")
        .file(&format!("{folder}/address"), format!("{mac}\n"))
        .file(&format!("{folder}/mtu"), "1500\n")
        .link(&format!("/sys/class/net/{name}"), &folder.replacen("/sys", "../..", 1))
}

fn table(lines: &[(&str, u32, u64)]) -> String {
    let line = |(socket, uid, inode): &(&str, u32, u64)| {
        let (address, state) = socket.split_once(' ').unwrap();
        format!(" 0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 1\n")
    };
    TITLES.to_owned() + &lines.iter().map(line).collect::<String>()
}

fn host() -> Stage {
    let stage = stage(&SPEC)
        .file("/proc/net/dev", DEV)
        .file("/proc/net/route", ROUTE)
        .file("/proc/net/fib_trie", TRIE)
        .file("/proc/net/udp", table(&[("00000000:0044 07", 0, 20), ("00000000:A000 07", 0, 21)]))
        .file("/etc/passwd", "root:x:0:0::/:\nmysql:x:112:112::/:\n")
        .link("/proc/700/exe", "/usr/sbin/mariadbd")
        .link("/proc/700/fd/12", "socket:[31]")
        .link("/proc/700/fd/1", "/dev/null")
        .file("/proc/net/tcp", table(&[("0100007F:0CEA 0A", 112, 31)]));
    let stage = interface(stage, "lo", "virtual", "00:00:00:00:00:00");
    let stage = interface(stage, "veth1", "virtual", "aa:00:00:00:00:01");
    let stage = interface(stage, "docker0", "virtual", "aa:00:00:00:00:02");
    interface(stage, "eth0", "pci0000:00/0000:00:03.0", "52:54:00:12:34:56")
}

fn facts(told: &str) -> Vec<&str> {
    told.lines().filter(|line| !line.starts_with("sample ")).collect()
}

fn keys(told: &str) -> Vec<String> {
    let key = |line: &&str| Some(line.strip_prefix("fact listener ")?.split(' ').next()?.to_owned());
    facts(told).iter().filter_map(key).collect()
}

const ETH0: &str =
    "fact interface eth0 operstate=up mac=52:54:00:12:34:56 mtu=1500 addresses=192.0.2.10 from /sys/class/net";
const DATABASE: &str = "fact listener tcp/127.0.0.1:3306 process=mariadbd user=mysql exposure=loopback from /proc/net";

#[test]
fn interfaces_listeners_and_traffic_are_told_and_what_comes_with_containers_is_not() {
    let told = host()
        .file("/proc/net/sockstat", "sockets: used 90\nTCP: inuse 5 orphan 1 tw 2 alloc 9 mem 1\nUDP: inuse 4 mem 2\n")
        .file("/proc/sys/net/netfilter/nf_conntrack_count", "50\n")
        .file("/proc/sys/net/netfilter/nf_conntrack_max", "200\n")
        .look();
    let expected = [
        ETH0,
        DATABASE,
        "sample network_receive_bytes_total{interface=\"eth0\"} 1000",
        "sample network_transmit_bytes_total{interface=\"eth0\"} 2000",
        "sample network_errors_total{interface=\"eth0\"} 4",
        "sample network_drops_total{interface=\"eth0\"} 6",
        "sample tcp_sockets{state=\"open\"} 5",
        "sample tcp_sockets{state=\"orphaned\"} 1",
        "sample tcp_sockets{state=\"time_wait\"} 2",
        "sample conntrack_entries 50",
        "sample conntrack_used_ratio 0.25",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn in_a_container_the_end_of_the_pair_is_its_interface() {
    let stage = stage(&SPEC).file("/proc/net/dev", "").file("/proc/net/route", ROUTE).file("/proc/net/fib_trie", TRIE);
    let told =
        interface(stage.file("/proc/net/tcp", "").file("/proc/net/udp", ""), "eth0", "virtual", "aa:00:00:00:00:03");
    assert!(told.look().starts_with("fact interface eth0 operstate=up"));
}

#[test]
fn a_listener_is_told_once_it_has_stood_for_a_minute_and_gone_at_once() {
    let host = host();
    let look = |seconds: u64| {
        host.clock().advance(Duration::from_secs(seconds));
        host.look()
    };
    assert_eq!(facts(&look(0)), [ETH0, DATABASE]);
    host.write("/proc/net/tcp", table(&[("0100007F:0CEA 0A", 112, 31), ("00000000:1F90 0A", 0, 40)]));
    assert_eq!(facts(&look(60)), [ETH0, DATABASE]);
    let web = "fact listener tcp/0.0.0.0:8080 process=?(no process has it open that can be found) user=root \
               exposure=public from /proc/net";
    assert_eq!(facts(&look(60)), [ETH0, web, DATABASE]);
    // After some tries it counts as the kernel's own.
    look(60);
    assert!(look(60).contains("tcp/0.0.0.0:8080 process=kernel"));
    host.write("/proc/net/tcp", table(&[("00000000:1F90 0A", 0, 40)]));
    assert_eq!(facts(&look(60)).len(), 2, "the database listens no more");
}

#[test]
fn a_server_that_was_restarted_is_the_same_listener() {
    let host = host();
    host.look();
    host.write("/proc/net/tcp", table(&[("0100007F:0CEA 0A", 112, 99)]));
    std::os::unix::fs::symlink("socket:[99]", host.host().full_path("/proc/700/fd/13".as_ref())).unwrap();
    host.clock().advance(Duration::from_secs(60));
    assert_eq!(facts(&host.look()), [ETH0, DATABASE]);
}

#[test]
fn a_socket_that_systemd_keeps_is_its_own_only_while_nobody_answers_there() {
    let host = host().link("/proc/1/exe", "/usr/lib/systemd/systemd").link("/proc/1/fd/35", "socket:[31]");
    let process = |told: String| {
        host.clock().advance(Duration::from_secs(60));
        facts(&told)[1].split(' ').nth(3).unwrap().to_owned()
    };
    assert_eq!(process(host.look()), "process=mariadbd");
    std::fs::remove_dir_all(host.host().full_path("/proc/700".as_ref())).unwrap();
    assert_eq!(process(host.look()), "process=systemd", "it has stopped, and the port is still open");
    let folder = host.host().full_path("/proc/700/fd".as_ref());
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("socket:[31]", folder.join("12")).unwrap();
    std::os::unix::fs::symlink("/usr/sbin/mariadbd", folder.with_file_name("exe")).unwrap();
    let told = host.look_because("/run/systemd/units/invocation:mariadb.service");
    assert_eq!(process(told), "process=mariadbd", "somebody asked");
}

#[test]
fn sockets_of_systemd_are_looked_into_once_a_minute_however_much_is_started() {
    let host = host().link("/proc/1/exe", "/usr/lib/systemd/systemd").link("/proc/1/fd/35", "socket:[31]");
    std::fs::remove_dir_all(host.host().full_path("/proc/700".as_ref())).unwrap();
    let told = |told: String| facts(&told)[1].split(' ').nth(3).unwrap().to_owned();
    assert_eq!(told(host.look()), "process=systemd");
    let host = host.link("/proc/700/fd/12", "socket:[31]").link("/proc/700/exe", "/usr/sbin/mariadbd");
    host.clock().advance(Duration::from_secs(40));
    assert_eq!(told(host.look_because("/run/systemd/units/invocation:cron.service")), "process=systemd");
    host.clock().advance(Duration::from_secs(60));
    assert_eq!(told(host.look()), "process=mariadbd", "it was started since it was asked for");
}

#[test]
fn a_port_that_was_taken_by_chance_is_not_told_unless_the_world_can_reach_it() {
    let lines = [
        ("0100007F:A000 0A", 0, 50),
        ("00000000:A001 0A", 0, 51),
        ("0100007F:8124 0A", 112, 52),
        ("00000000:A002 0A", 0, 53),
        ("00000000:A003 0A", 0, 54),
    ];
    let host = host()
        .link("/proc/800/exe", "/usr/sbin/proftpd")
        .link("/proc/800/fd/3", "socket:[51]")
        .link("/proc/801/exe", "/usr/sbin/rpc.statd")
        .link("/proc/801/fd/3", "socket:[53]");
    host.write("/proc/net/tcp", table(&lines));
    for _ in 0..5 {
        // 40962 is another one after the next boot, and so is 40963, which is the kernel's own
        assert_eq!(keys(&host.look()), ["tcp/0.0.0.0:40961", "tcp/127.0.0.1:33060"]);
        host.clock().advance(Duration::from_secs(60));
    }
}

#[test]
fn a_host_without_a_network_in_proc_is_no_error() {
    assert_eq!(stage(&SPEC).file("/etc/passwd", "").look(), "absent");
}

#[test]
fn tables_that_cannot_be_read_are_problems_and_hide_nothing_else() {
    let host = host();
    host.remove("/proc/net/tcp");
    let host = host.folder("/proc/net/tcp");
    let told = host.look();
    assert_eq!(facts(&told), [ETH0, "problem listener * /proc/net/tcp: /proc/net/tcp: not a regular file"]);
}

const WAITS: &str = "problem listener tcp/127.0.0.1:3306* /proc/net: it does not listen, but ";
const UNIT: &str = "/run/systemd/units/invocation:mariadb.service";

#[test]
fn a_listener_that_comes_back_is_told_at_once_even_by_another_agent() {
    let host = host();
    host.look();
    let (there, gone) = (table(&[("0100007F:0CEA 0A", 112, 31)]), table(&[]));
    host.write("/proc/net/tcp", &gone);
    assert_eq!(facts(&host.look_because(UNIT)), [ETH0], "nothing gives it time");
    host.write("/proc/net/tcp", &there);
    host.clock().advance(Duration::from_secs(2));
    assert_eq!(facts(&host.look()), [ETH0, DATABASE], "it was looked for");
    host.write("/proc/net/tcp", &gone);
    host.clock().advance(Duration::from_secs(60));
    host.look();
    host.restart();
    host.look();
    host.write("/proc/net/tcp", &there);
    assert_eq!(facts(&host.look_because(UNIT)), [ETH0, DATABASE]);
}

#[test]
fn after_a_boot_listeners_that_were_there_before_it_are_waited_for() {
    let host = host();
    host.look();
    host.restart();
    host.write("/proc/net/tcp", table(&[]));
    host.write("/proc/uptime", "8.10 9.00\n");
    let waits = format!("{WAITS}the host has just started");
    assert_eq!(facts(&host.look()), [ETH0, waits.as_str()]);
    host.clock().advance(Duration::from_secs(10));
    assert_eq!(facts(&host.look()), [ETH0, waits.as_str()]);
    host.write("/proc/uptime", "121.00 9.00\n");
    host.clock().advance(Duration::from_secs(10));
    assert_eq!(facts(&host.look()), [ETH0], "it is gone");
    host.restart();
    host.write("/proc/uptime", "8.10 9.00\n");
    assert_eq!(facts(&host.look()), [ETH0], "it was gone before the next boot");
}

#[test]
fn a_listener_is_waited_for_while_a_package_manager_is_at_work_but_not_for_ever() {
    let host = host().file("/proc/900/comm", "dpkg\n");
    host.look();
    host.write("/proc/net/tcp", table(&[]));
    let waits = format!("{WAITS}a package manager is at work");
    assert_eq!(facts(&host.look_because(UNIT)), [ETH0, waits.as_str()]);
    host.clock().advance(Duration::from_secs(119));
    assert_eq!(facts(&host.look()), [ETH0, waits.as_str()]);
    host.clock().advance(Duration::from_secs(1));
    assert_eq!(facts(&host.look()), [ETH0]);
}
