//! A host as agencies keep them: two web servers, three pools, two databases' worth of sites, two WordPresses, an application
//! with lock files, certificates that certbot renews. What plumb tells of it without any configuration is compared, row by row,
//! with what was written by hand; and what it calls a drift, with the faults that were built in.
//!
//! `host/` holds the files that its operator wrote, `setup.sh` and `fill.sh` what he did, `expected.txt` what must be seen,
//! `drifts.txt` what must be told, each with its reason.

mod changes;
mod cost;
mod saturation;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use plumb_tests::container::{Container, in_root};
use plumb_tests::inventory::{Row, differences, like, lines};
use plumb_tests::lab::{Lab, program};
use plumb_tests::needs;
use plumb_tests::web_host::packaged;
use serde_json::Value;

/// The tables that are compared whole.
const TABLES: [&str; 13] = [
    "web_server",
    "site",
    "php",
    "php_pool",
    "database",
    "database_schema",
    "runtime",
    "cms",
    "cms_extension",
    "dependency_lock",
    "certificate",
    "certificate_renewal",
    "support",
];
/// From the agent's start to a complete inventory: the slowest watcher's first look, and what is told only once it has stood.
const FIRST: Duration = Duration::from_secs(240);

/// What is not in effect yet mostly is within some minutes, so the rules wait; here they do not.
const POLICY: &str = "[certificate_not_served]\nfor = \"5s\"\n[php_config_not_loaded]\nfor = \"5s\"\n\
                      [dependencies_not_installed]\nfor = \"5s\"\n";

/// A known failure in a log, such as a full pool, is over when it was quiet for a quarter of an hour; here for less.
const AGENT: &str = "[logs]\nquiet_seconds = 20\n";

/// A collector and an agent that lives on the host.
struct Estate {
    host: Container,
    lab: Lab,
}

impl Estate {
    fn rows(&self, table: &str) -> Vec<Row> {
        let rows = self.lab.json(&["facts", table]);
        rows.as_array().into_iter().flatten().map(Row::told).collect()
    }

    /// A column of a row, as text.
    fn field(&self, table: &str, key: &str, column: &str) -> String {
        let rows = self.lab.json(&["facts", table]);
        let row = rows.as_array().into_iter().flatten().find(|row| row["key"] == key).cloned().unwrap_or_default();
        match &row["fields"][column] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    fn inventory(&self) -> Vec<Row> {
        TABLES.iter().flat_map(|table| self.rows(table)).collect()
    }

    /// The open drifts, whole.
    fn drifts(&self) -> Vec<Value> {
        self.lab.json(&["drift"]).as_array().cloned().unwrap_or_default()
    }

    /// The open drifts, as "rule severity subject".
    fn open(&self) -> Vec<String> {
        let mut all: Vec<_> = self.drifts().iter().map(named).collect();
        all.sort();
        all
    }
}

/// A drift, as "rule severity subject".
fn named(drift: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subject = match &drift["subject"] {
        subject if subject["series"].is_string() => word(&subject["series"]),
        subject => format!("{} {} {}", word(&subject["table"]), word(&subject["key"]), word(&subject["field"])),
    };
    format!("{} {} {subject}", word(&drift["rule"]), word(&drift["severity"])).trim().to_owned()
}

/// What is told and not expected (`+`), and what is expected and not told (`-`). A line may have `*` in it, and stands for one.
fn unexpected(expected: &[String], told: &[String]) -> Vec<String> {
    let mut left: Vec<&String> = told.iter().collect();
    let mut all = Vec::new();
    for line in expected {
        match left.iter().position(|is| like(line, is)) {
            Some(at) => drop(left.remove(at)),
            None => all.push(format!("- {line}")),
        }
    }
    all.extend(left.into_iter().map(|line| format!("+ {line}")));
    all
}

/// Makes the host, as its operator did.
fn host() -> Container {
    let host = packaged("estate");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/estate/host/.");
    let copied = Command::new("cp").args(["-r", "--no-preserve=all"]).arg(own).arg(&host.root).status();
    assert!(copied.is_ok_and(|status| status.success()), "the operator's files");
    in_root(&host.root, include_str!("setup.sh"));
    host
}

#[test]
fn an_estate_is_told_whole_without_configuration_and_only_its_faults_are_drifts() {
    if !needs::has("an estate", &["debootstrap", "systemd-nspawn", "nsenter"], true) {
        return;
    }
    let mut host = host();
    let mut lab = Lab::new("estate-lab", &program("PLUMB_AGENT"), AGENT, "");
    std::fs::write(lab.dir.join("policy/test.toml"), POLICY).expect("a policy");
    host.boot(&lab.dir);
    host.sh(include_str!("fill.sh"));
    lab.move_into(host.leader());
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("webhost");
    let start = Instant::now();
    lab.start_agent();
    cost::of_the_first_look(&lab, start);
    let estate = Estate { host, lab };

    let packages = estate.host.sh("dpkg-query -W -f='${Package} ${Version}\\n'");
    let dpkg = packages.lines().filter_map(|line| line.split_once(' '));
    let dpkg: BTreeMap<_, _> = dpkg.map(|(package, version)| (package.to_owned(), version.to_owned())).collect();
    let expected = lines(include_str!("expected.txt"), &dpkg);
    let faults = lines(include_str!("drifts.txt"), &dpkg);
    let wrong = |told: &[Row]| [differences(&expected, told), unexpected(&faults, &estate.open())].concat();
    // what is told before everything was looked at is not whole: it may become so
    let mut told = estate.inventory();
    while start.elapsed() < FIRST && !wrong(&told).is_empty() {
        std::thread::sleep(Duration::from_secs(2));
        told = estate.inventory();
    }
    eprintln!("whole after {:.0} s:", start.elapsed().as_secs_f64());
    told.iter().for_each(|row| eprintln!("{row}"));
    eprintln!("{}", String::from_utf8_lossy(&estate.lab.plumb(&["drift"]).stdout));
    let wrong = wrong(&told);
    assert!(wrong.is_empty(), "expected.txt and drifts.txt (-) against what is told (+):\n{}", wrong.join("\n"));

    cost::afterwards(&estate.lab);
    saturation::of_a_pool_is_told_while_it_lasts(&estate);
    changes::each_is_one_drift_that_names_the_three_until_it_is_closed(&estate, &faults);
}

#[test]
fn a_fault_that_is_not_told_and_a_drift_that_is_no_fault_are_both_seen() {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let expected = text(&["cms_maintenance * cms /var/www/shop *", "* * dependency_lock /srv/app/composer.lock *"]);
    let told = text(&["cms_maintenance warning cms /var/www/shop maintenance", "changed warning tree /etc digest"]);
    assert_eq!(
        unexpected(&expected, &told),
        ["- * * dependency_lock /srv/app/composer.lock *", "+ changed warning tree /etc digest"]
    );
}
