//! A fresh Debian 12 with PHP 8.2, made by debootstrap: what `plumb drift` says of it is a list written by hand, and
//! neither a restart of the agent nor an `apt upgrade`, PHP included, adds to it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use plumb_tests::container::{debian, in_root};
use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};
use plumb_tests::needs;

/// Nothing: the packages are Debian's own, which the LTS team patches until 2028-06-30 although upstream's PHP 8.2 ends
/// 2026-12-31; nothing waits for a reboot; and a folder has no file systems or memory of its own to run out of.
const EXPECTED: [(&str, &str); 0] = [];

/// Goes with its root, and whatever is mounted there.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.0).status();
    }
}

fn made() -> Root {
    let root = Root(std::env::temp_dir().join(format!("plumb-debian-{}", std::process::id())));
    debian(&root.0, "php8.2-fpm php8.2-cli");
    root
}

fn drifts(lab: &Lab) -> Vec<(String, String)> {
    let all = lab.json(&["drift"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    all.as_array().expect("drifts").iter().map(|each| (text(&each["rule"]), text(&each["title"]))).collect()
}

fn php_version(lab: &Lab) -> String {
    let rows = lab.json(&["facts", "php"]);
    let fpm = rows.as_array().and_then(|rows| rows.iter().find(|row| row["key"] == "fpm/8.2").cloned());
    fpm.and_then(|row| row["fields"]["version"].as_str().map(str::to_owned)).unwrap_or_default()
}

#[test]
fn a_fresh_debian_12_drifts_as_expected_and_an_upgrade_adds_nothing() {
    if !needs::has("a fresh Debian 12", &["debootstrap", "chroot"], true) {
        return;
    }
    let (mirror, security) = ("http://deb.debian.org/debian", "http://deb.debian.org/debian-security");
    let root = made();
    let mut lab = Lab::new("debian", &program("PLUMB_AGENT"), "[php]\nevery = \"2s\"\n", "");
    lab.root = Some(root.0.clone());
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("debian");
    lab.start_agent();
    let before =
        eventually("PHP's version", Duration::from_secs(60), || php_version(&lab), |version| !version.is_empty());
    std::thread::sleep(Duration::from_secs(12));
    let expected: Vec<_> = EXPECTED.iter().map(|(rule, title)| ((*rule).to_owned(), (*title).to_owned())).collect();
    assert_eq!(drifts(&lab), expected);

    lab.kill_agent();
    lab.start_agent();
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(drifts(&lab), expected, "after a restart of the agent");

    let sources = format!("deb {mirror} bookworm main\ndeb {security} bookworm-security main\n");
    std::fs::write(root.0.join("etc/apt/sources.list"), sources).expect("sources");
    in_root(&root.0, "apt-get update -qq && apt-get upgrade -y -qq");
    let newer = |version: &String| !version.is_empty() && *version != before;
    eventually("the upgraded PHP", Duration::from_secs(60), || php_version(&lab), newer);
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(drifts(&lab), expected, "after an upgrade from PHP {before} to {}", php_version(&lab));
}
