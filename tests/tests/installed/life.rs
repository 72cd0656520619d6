//! The life of an installed host: installed, enrolled, drifting, restarted, upgraded while the collector is away, downgraded,
//! rebooted, removed, purged.

use std::time::{Duration, Instant};

use plumb_tests::container::{Container, in_root};
use plumb_tests::eventually::eventually;
use plumb_tests::needs;

use crate::{PROGRAMS, VERSION, debs, enrolled, facts, host, json, next};

const ALL: [&str; 3] = ["plumb", "plumb-collector", "plumb-agent"];
const LIMIT: Duration = Duration::from_secs(60);
/// From the packages on the disk to the first drift on the screen.
const FIRST_DRIFT: Duration = Duration::from_secs(60);
/// A disk that is easily full.
const SMALL: &str = "mkdir -p /srv/small; echo 'tmpfs /srv/small tmpfs size=16m 0 0' >> /etc/fstab";
/// Every path of the host that a package may leave something at.
const TREE: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /var/log \
                    -o -path /var/tmp -o -path /var/cache -o -path '/var/lib/dpkg' -o -path '/etc/*-' \\) -prune -o -print | sort; \
                    getent passwd; getent group; ls /var/lib/dpkg/info | sort";

/// Open drifts, each by its rule or kind and its subject.
fn drifts(host: &Container) -> Vec<String> {
    let all = json(host, "drift");
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let line = |drift: &serde_json::Value| {
        let (rule, subject) = (&drift["rule"], &drift["subject"]);
        format!("{} {}{}", word(rule), word(&subject["key"]), word(&subject["series"]))
    };
    all.as_array().expect("drifts").iter().map(line).collect()
}

fn agent(host: &Container) -> serde_json::Value {
    // an agent that does not run says so with its exit status; what it said last is printed all the same
    serde_json::from_str(&host.try_sh("plumb-agent status --json").1).unwrap_or_default()
}

/// How often the service was started since the last boot.
fn starts(host: &Container, unit: &str) -> usize {
    let log = host.sh(&format!("journalctl --no-pager -b -o cat -u {unit}"));
    log.lines().filter(|line| line.starts_with("Started ")).count()
}

fn mounts(host: &Container) -> Vec<String> {
    let key = |row: &serde_json::Value| row["key"].as_str().unwrap_or_default().to_owned();
    facts(host, "mount").iter().map(key).filter(|key| key.starts_with("/srv/m")).collect()
}

/// True when everything that the agent wrote has arrived, and it is the version that it should be.
fn delivered(status: &serde_json::Value, version: &str) -> bool {
    let spool = &status["spool"];
    status["version"] == version
        && status["connection"]["state"] == "connected"
        && spool["written"].as_u64().is_some_and(|written| written > 0)
        && spool["records"] == 0
        && spool["acknowledged"] == spool["written"]
}

/// No record is missing, none is there twice: the chain from the first to the last holds, and nothing was declared lost.
fn whole(host: &Container) {
    let check = json_of(&host.sh("plumb-collector check --json"));
    assert_eq!(check["history"]["faults"], serde_json::json!([]), "{check}");
    let events = json(host, "events webhost");
    let lost = |event: &&serde_json::Value| {
        let kind = event["kind"].as_str().unwrap_or_default();
        ["gap", "lost", "fork", "state"].iter().any(|word| kind.contains(word))
    };
    let lost: Vec<_> = events.as_array().expect("events").iter().filter(lost).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What `systemd-analyze security` makes of a unit that runs.
fn exposure(host: &Container, unit: &str) -> f64 {
    let told = host.sh(&format!("systemd-analyze security --no-pager {unit}"));
    let line = told.lines().find(|line| line.contains("Overall exposure level")).expect("an overall level");
    line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number")
}

#[test]
fn a_host_lives_with_the_packages_from_the_first_to_the_last_day() {
    if !needs::has("an installed host", &PROGRAMS, true) {
        return;
    }
    let mut host = host("life", "");
    in_root(&host.root, SMALL);
    let (shared, next) = (crate::packages(), next());
    host.boot(&shared);
    let before = host.sh(TREE);
    let start = Instant::now();

    // the first day
    let said = host.sh(&format!("dpkg -i {}", debs(&ALL, VERSION)));
    assert!(said.contains("plumb-collector token create") && said.contains("plumb-agent is installed"), "{said}");
    let said = enrolled(&host);
    assert!(said.contains("Connected: this host reports to the collector."), "{said}");
    let first = || (json(&host, "hosts")[0]["state"].clone(), drifts(&host));
    eventually("the first report", LIMIT, first, |(state, _)| state == "ok");
    host.sh("head -c 64M /dev/zero > /srv/small/fill 2>/dev/null || true");
    let full = |drifts: &Vec<String>| drifts.iter().any(|drift| drift.contains("/srv/small"));
    eventually("the first drift", FIRST_DRIFT, || drifts(&host), full);
    let took = start.elapsed();
    eprintln!("from the packages to the first drift: {:.1} s\n{}", took.as_secs_f64(), host.sh("plumb drift"));
    assert!(took < FIRST_DRIFT);
    host.sh("rm /srv/small/fill");
    eventually("it is healed", 2 * LIMIT, || drifts(&host), Vec::is_empty);

    // as the units say
    let (agent_level, collector_level) = (exposure(&host, "plumb-agent"), exposure(&host, "plumb-collector"));
    eprintln!("systemd-analyze security: agent {agent_level}, collector {collector_level}");
    assert!(agent_level <= 2.6 && collector_level <= 1.8);
    for (unit, user) in [("plumb-agent", "plumb-agent"), ("plumb-collector", "plumb-collector")] {
        let pid = host.sh(&format!("systemctl show -P MainPID {unit}")).trim().to_owned();
        assert_eq!(host.sh(&format!("stat -c %U /proc/{pid}")).trim(), user);
        let status = host.sh(&format!("cat /proc/{pid}/status"));
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    }
    let status = agent(&host);
    assert_eq!((&status["sandbox"]["seccomp"], &status["sandbox"]["landlock"]), (&"on".into(), &"on".into()));
    assert_eq!(
        host.sh("stat -c '%a %U' /var/lib/plumb-agent /var/lib/plumb-collector"),
        "700 plumb-agent\n700 plumb-collector\n"
    );
    assert_eq!(
        host.sh("find /var/lib/plumb-agent ! -user plumb-agent; find /var/lib/plumb-collector ! -user plumb-collector"),
        ""
    );
    assert_eq!(host.sh("stat -c '%a %U %G' /run/plumb/collector.sock"), "660 plumb-collector plumb\n");

    // whoever is in the group may ask, and others may not
    host.sh("useradd -G plumb ann; useradd ben");
    assert!(host.sh("runuser -u ann -- plumb hosts").contains("webhost"));
    assert!(!host.try_sh("runuser -u ben -- plumb hosts").0);
    host.sh("userdel ann; userdel ben");

    // settings are taken over while both run
    let (agents, collectors) = (starts(&host, "plumb-agent"), starts(&host, "plumb-collector"));
    host.sh("printf '[integrity]\\nevery = \"29m\"\\n' > /etc/plumb/agent.d/mine.toml");
    host.sh("systemctl reload plumb-agent plumb-collector && systemctl is-active plumb-agent plumb-collector");
    let every = || {
        let watchers = agent(&host)["watchers"].as_array().cloned().unwrap_or_default();
        watchers.iter().find(|each| each["name"] == "integrity").and_then(|each| each["every_seconds"].as_u64())
    };
    eventually("the new setting", LIMIT, every, |every| *every == Some(29 * 60));
    assert!(host.sh("journalctl -o cat -u plumb-collector").contains("settings taken over"));
    assert_eq!((starts(&host, "plumb-agent"), starts(&host, "plumb-collector")), (agents, collectors));
    // and a restart adds nothing
    host.sh("systemctl restart plumb-agent plumb-collector");
    eventually("both after a restart", LIMIT, || agent(&host), |status| delivered(status, VERSION));
    assert_eq!((starts(&host, "plumb-agent"), starts(&host, "plumb-collector")), (agents + 1, collectors + 1));

    // an upgrade while the collector is away: what waits in the spool is still there, and arrives
    host.sh("systemctl stop plumb-collector");
    let change = |number: u32| {
        host.sh(&format!("mkdir -p /srv/m{number}; mount -t tmpfs -o size=4m tmpfs /srv/m{number}"));
        let before = agent(&host)["spool"]["records"].as_u64().unwrap_or(0);
        let waiting = || agent(&host)["spool"]["records"].as_u64().unwrap_or(0);
        eventually("a record that waits", LIMIT, waiting, |waiting| *waiting > before)
    };
    let waiting = (1..=2).map(change).max().unwrap_or(0);
    let started = starts(&host, "plumb-agent");
    host.sh(&format!("dpkg -i {}", debs(&["plumb-agent"], &next)));
    let after = eventually("the next version", LIMIT, || agent(&host), |status| status["version"] == next.as_str());
    assert_eq!(starts(&host, "plumb-agent"), started + 1, "an upgrade restarts once");
    assert!(after["spool"]["records"].as_u64().unwrap_or(0) >= waiting, "{after}");
    change(3);
    let started = starts(&host, "plumb-collector");
    host.sh(&format!("dpkg -i {}", debs(&["plumb", "plumb-collector"], &next)));
    host.sh("systemctl start plumb-collector");
    assert_eq!(starts(&host, "plumb-collector"), started + 1);
    eventually("all that waited", LIMIT, || agent(&host), |status| delivered(status, &next));
    assert_eq!(mounts(&host), (1..=3).map(|number| format!("/srv/m{number}")).collect::<Vec<_>>());
    assert!(host.sh("plumb --version").contains(&next));
    whole(&host);
    host.sh("for each in 1 2 3; do umount /srv/m$each; rmdir /srv/m$each; done");
    eventually("no mount of these any more", LIMIT, || mounts(&host), Vec::is_empty);

    // back to the version before: the same schema, so nothing is lost
    let started = [starts(&host, "plumb-agent"), starts(&host, "plumb-collector")];
    host.sh(&format!("dpkg -i {}", debs(&ALL, VERSION)));
    assert_eq!([starts(&host, "plumb-agent"), starts(&host, "plumb-collector")], started.map(|count| count + 1));
    eventually("the version before", LIMIT, || agent(&host), |status| delivered(status, VERSION));
    whole(&host);

    // a reboot
    host.stop();
    host.boot(&shared);
    eventually("the host after a reboot", LIMIT, || agent(&host), |status| delivered(status, VERSION));
    eventually("no drift of it", 2 * LIMIT, || drifts(&host), Vec::is_empty);
    whole(&host);

    // removed, and installed again: what was kept is taken up
    host.sh("dpkg -r plumb-agent plumb-collector plumb");
    assert!(!host.try_sh("systemctl is-active plumb-agent || systemctl is-active plumb-collector || pgrep plumb").0);
    host.sh(
        "test -e /var/lib/plumb-agent/state.db -a -e /var/lib/plumb-collector/collector.db -a -e /etc/plumb/agent.toml",
    );
    host.sh(&format!("dpkg -i {}", debs(&ALL, VERSION)));
    eventually("the host as it was", LIMIT, || agent(&host), |status| delivered(status, VERSION));
    whole(&host);

    // one purged, and the other does not mind; a disk of its own is not emptied, and told
    host.sh("mkdir -p /var/lib/plumb-agent/disk && mount -t tmpfs tmpfs /var/lib/plumb-agent/disk && touch /var/lib/plumb-agent/disk/theirs");
    let said = host.sh("dpkg -P plumb-agent 2>&1");
    assert!(said.contains("left as it is: what is mounted at or below /var/lib/plumb-agent"), "{said}");
    host.sh(
        "test -e /var/lib/plumb-agent/disk/theirs && umount /var/lib/plumb-agent/disk && rm -r /var/lib/plumb-agent",
    );
    host.sh("systemctl is-active plumb-collector && test -e /etc/plumb/collector.toml && plumb hosts");

    // all purged: as if it had never been there
    host.sh("dpkg -P plumb-collector plumb");
    let after = host.sh(TREE);
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(new.is_empty(), "left behind: {new:#?}");
    host.stop();
}
