//! A real web host from Debian's packages, booted: what plumb tells of it, and what each thing that goes wrong there makes.

mod day;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};
use plumb_tests::needs;
use plumb_tests::web_host::WebHost;

/// A kernel that killed for want of memory is told for an hour; here for a little while, so that its end is seen, too.
const POLICY: &str = "[oom_kill]\nok = \"!has(grown.oom_kills_total) || grown.oom_kills_total > duration('20s')\"\n";
/// A known failure is over when it was quiet for a quarter of an hour; here for less.
const AGENT: &str = "[logs]\nquiet_seconds = 20\n";
/// How soon a drift must stand once its cause is there: what is polled has its next look after ten seconds, is held for five
/// in case it is a restart, and is judged within five more. What is told by events stands within a second or two.
const SOON: Duration = Duration::from_secs(25);
/// How soon a drift must be gone once it is healed: a look, and what its rule waits for to be sure.
const HEALED: Duration = Duration::from_secs(100);

/// Open drifts, as "rule severity subject".
fn drifts(lab: &Lab) -> BTreeSet<String> {
    let all = lab.json(&["drift"]);
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let subject = |drift: &serde_json::Value| match &drift["subject"] {
        subject if subject["series"].is_string() => word(&subject["series"]),
        subject => format!("{} {} {}", word(&subject["table"]), word(&subject["key"]), word(&subject["field"])),
    };
    let line = |drift: &serde_json::Value| {
        format!("{} {} {}", word(&drift["rule"]), word(&drift["severity"]), subject(drift)).trim().to_owned()
    };
    all.as_array().expect("drifts").iter().map(line).collect()
}

fn facts(lab: &Lab, table: &str) -> Vec<serde_json::Value> {
    lab.json(&["facts", table]).as_array().cloned().unwrap_or_default()
}

/// What happened behind event `after`, as "kind severity", and the number of the last one.
fn happened(lab: &Lab, after: u64) -> (BTreeSet<String>, u64) {
    let all = lab.json(&["events", "webhost", "--after", &after.to_string()]);
    let all = all.as_array().expect("events");
    let word = |event: &serde_json::Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let last = all.iter().filter_map(|event| event["number"].as_u64()).max().unwrap_or(after);
    (all.iter().map(|event| format!("{} {}", word(event, "kind"), word(event, "severity"))).collect(), last)
}

/// What a trouble makes, all of it: drifts as [`drifts`] prints them, events as [`happened`] does.
struct Makes<'a> {
    drifts: &'a [&'a str],
    events: &'a [&'a str],
}

/// Makes trouble, waits for exactly these drifts, heals it, waits until they are gone; how long each took.
fn trouble(lab: &Lab, what: &str, makes: Makes<'_>, make: impl FnOnce(), heal: impl FnOnce(), told: &mut String) {
    let set = |words: &[&str]| words.iter().map(|each| (*each).to_owned()).collect::<BTreeSet<String>>();
    let (wanted, before) = (set(makes.drifts), happened(lab, 0).1);
    let start = Instant::now();
    make();
    eventually(what, SOON, || drifts(lab), |open| wanted.is_subset(open));
    let opened = start.elapsed();
    // what else it might make has had its time by now
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(drifts(lab), wanted, "{what}");
    let start = Instant::now();
    heal();
    eventually(&format!("{what}: healed"), HEALED, || drifts(lab), BTreeSet::is_empty);
    let closed = start.elapsed();
    let events = happened(lab, before).0;
    assert_eq!(events, set(makes.events), "{what}");
    let _ = writeln!(
        told,
        "{what:28} opened after {:4.1} s, closed after {:4.1} s: {:?}, events {events:?}",
        opened.as_secs_f64(),
        closed.as_secs_f64(),
        makes.drifts,
    );
}

/// Asks the web server for a page, as a browser would.
pub fn get(host: &WebHost, page: &str) -> String {
    host.sh(&format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf \"GET {page} HTTP/1.0\\r\\nHost: shop.example\\r\\n\\r\\n\" >&3; cat <&3'"
    ))
}

#[test]
fn a_web_host_is_told_whole_and_each_trouble_makes_its_own_drift() {
    if !needs::has("a web host", &["debootstrap", "systemd-nspawn", "nsenter"], true) {
        return;
    }
    let mut host = WebHost::make("web-host");
    let mut lab = Lab::new("web-host-lab", &program("PLUMB_AGENT"), AGENT, "");
    std::fs::write(lab.dir.join("policy/test.toml"), POLICY).expect("a policy");
    host.boot(&lab.dir);
    host.sh("mkdir -p /srv/small && mount -t tmpfs -o size=16m tmpfs /srv/small");
    lab.move_into(host.leader());
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("webhost");
    lab.start_agent();
    let tables = ["mount", "os", "php", "database", "log_source", "tree", "backup", "service", "listener"];
    let missing = || tables.into_iter().filter(|table| facts(&lab, table).is_empty()).collect::<Vec<_>>();
    eventually("all seven subjects", Duration::from_secs(240), missing, Vec::is_empty);
    get(&host, "/");
    std::thread::sleep(Duration::from_secs(75)); // what listens is told once it has stood for a minute
    eprintln!("{}", String::from_utf8_lossy(&lab.plumb(&["host", "webhost"]).stdout));
    assert_eq!(drifts(&lab), BTreeSet::new(), "a healthy host");
    versions(&host, &lab);

    let mut told = String::new();
    let small = "/srv/small/fill";
    trouble(
        &lab,
        "a disk fills",
        Makes { drifts: &["disk_space critical mount /srv/small"], events: &[] },
        || drop(host.try_sh(&format!("head -c 20M /dev/zero > {small}"))),
        || drop(host.sh(&format!("rm {small}"))),
        &mut told,
    );
    trouble(
        &lab,
        "the kernel kills for memory",
        Makes { drifts: &["oom_kill warning oom_kills_total"], events: &["oom_kill critical"] },
        out_of_memory,
        || {},
        &mut told,
    );
    trouble(
        &lab,
        "MariaDB stops",
        Makes {
            drifts: &[
                "changed critical database mariadb/main running",
                "changed critical service mariadb.service active",
                "changed warning listener tcp/127.0.0.1:3306",
            ],
            events: &["service_restarted info"],
        },
        || drop(host.sh("systemctl stop mariadb")),
        || drop(host.sh("systemctl start mariadb")),
        &mut told,
    );
    trouble(
        &lab,
        "PHP fails in a site",
        Makes {
            drifts: &["log_failure warning log_failure php_undefined@/var/log/php/www-error.log"],
            events: &["php_undefined warning"],
        },
        || drop(get(&host, "/index.php?boom=1")),
        || {},
        &mut told,
    );
    let core = "/usr/share/wordpress/wp-includes/version.php";
    trouble(
        &lab,
        "a core file is edited",
        Makes {
            drifts: &[&format!("package_file_altered critical package_file {core}")],
            events: &["file_changed info"],
        },
        || drop(host.sh(&format!("cp -p {core} /root/kept; echo '// edited' >> {core}"))),
        || drop(host.sh(&format!("cp -p /root/kept {core}"))),
        &mut told,
    );
    trouble(
        &lab,
        "a file of a site is edited",
        Makes { drifts: &["changed warning tree /var/www/shop code_digest"], events: &["file_changed info"] },
        || drop(host.sh("cp -p /var/www/shop/price.php /root/kept; echo '// edited' >> /var/www/shop/price.php")),
        || drop(host.sh("cp -p /root/kept /var/www/shop/price.php")),
        &mut told,
    );
    let dump = host.sh("ls /var/backups/mysql/shop-*.sql.gz | tail -1").trim().to_owned();
    trouble(
        &lab,
        "a dump is truncated",
        Makes { drifts: &["backup_incomplete critical backup /var/backups/mysql/shop-*.sql.gz"], events: &[] },
        || drop(host.sh(&format!("cp -p {dump} /root/kept; truncate -s 300000 {dump}; touch -d '-4 minutes' {dump}"))),
        || drop(host.sh(&format!("cp -p /root/kept {dump}"))),
        &mut told,
    );
    trouble(
        &lab,
        "logs are rotated",
        Makes { drifts: &[], events: &[] },
        || drop(host.sh("logrotate -f /etc/logrotate.conf")),
        || {
            get(&host, "/");
            std::thread::sleep(Duration::from_secs(15)); // what is read wrongly then would be told by now
        },
        &mut told,
    );
    eprintln!("{told}");
    lab.kill_agent();
    day::nothing_of_a_usual_day_is_a_drift_and_a_dump_that_stays_away_is(&host);
}

/// A version 1 memory cgroup of this machine, outside of any container: the kernel kills what is in it.
fn out_of_memory() {
    let group = format!("/sys/fs/cgroup/memory/plumb-test-{}", std::process::id());
    std::fs::create_dir(&group).expect("a version 1 memory cgroup");
    std::fs::write(format!("{group}/memory.limit_in_bytes"), "20M").expect("a limit");
    let eat = format!("echo $$ > {group}/cgroup.procs; exec tail /dev/zero");
    let ended = Command::new("sh").args(["-c", &eat]).status().expect("a shell");
    assert!(!ended.success(), "it was killed");
    std::fs::remove_dir(&group).expect("an empty group");
}

/// What plumb tells of the databases is what dpkg and the servers themselves say.
fn versions(host: &WebHost, lab: &Lab) {
    let ours = |key: &str, field: &str| {
        let row = facts(lab, "database").into_iter().find(|row| row["key"] == key).expect(key);
        row["fields"][field].as_str().unwrap_or_default().to_owned()
    };
    let packaged = |package: &str| host.sh(&format!("dpkg-query -W -f='${{Version}}' {package}"));
    let said = [
        ("mariadb/main", "mariadb-server-core", "mariadb -Ne 'SELECT VERSION()'"),
        ("postgresql/15/main", "postgresql-15", "runuser -u postgres -- psql -Atc 'SHOW server_version'"),
        ("redis/6379", "redis-server", "redis-cli INFO server | sed -n 's/redis_version://p'"),
    ];
    for (key, package, command) in said {
        assert_eq!(ours(key, "package_version"), packaged(package), "{key}");
        let word = host.sh(command);
        let word = word.split([' ', '-', '\r', '\n']).next().unwrap_or_default();
        assert_eq!((ours(key, "version").as_str(), ours(key, "running_version").as_str()), (word, word), "{key}");
    }
}
