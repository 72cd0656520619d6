//! A real web host from Debian's packages, booted: what plumb tells of it, and what each thing that goes wrong there makes.

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
/// How soon a drift must stand once its cause is there.
const SOON: Duration = Duration::from_secs(10);
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

fn events(lab: &Lab, kind: &str) -> Vec<String> {
    let all = lab.json(&["events", "webhost", "--kind", kind]);
    let text = |event: &serde_json::Value| event["text"].as_str().unwrap_or_default().to_owned();
    all.as_array().expect("events").iter().map(text).collect()
}

fn facts(lab: &Lab, table: &str) -> Vec<serde_json::Value> {
    lab.json(&["facts", table]).as_array().cloned().unwrap_or_default()
}

/// Makes trouble, waits for exactly these drifts, heals it, waits until they are gone; how long each took.
fn trouble(lab: &Lab, what: &str, makes: &[&str], make: impl FnOnce(), heal: impl FnOnce(), told: &mut String) {
    let wanted: BTreeSet<String> = makes.iter().map(|each| (*each).to_owned()).collect();
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
    let _ = writeln!(
        told,
        "{what:32} opened after {:5.1} s, closed after {:5.1} s: {makes:?}",
        opened.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
}

/// Asks the web server for a page, as a browser would.
fn get(host: &WebHost, page: &str) -> String {
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
    let mut lab = Lab::new("web-host-lab", &program("PLUMB_AGENT"), "", "");
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
    std::thread::sleep(Duration::from_secs(20));
    assert_eq!(drifts(&lab), BTreeSet::new(), "a healthy host");
    eprintln!("{}", String::from_utf8_lossy(&lab.plumb(&["host", "webhost"]).stdout));
    eprintln!("{}", String::from_utf8_lossy(&lab.plumb(&["hosts"]).stdout));
}
