//! Whole hosts in folders (`tests/hosts/`), each with what must be seen of it in a text beside its folder, written by hand: the
//! web servers, sites, pools, applications and certificates of the panels and distributions that keep them in their own places.

mod drifts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plumb_agent::watcher::testing::stage_at;
use plumb_agent::watchers::ALL;
use plumb_tests::inventory::{Row, differences, lines};

/// The tables that are compared whole; others are where the text has rows of them.
const TABLES: [&str; 7] =
    ["web_server", "site", "php_pool", "cms", "cms_extension", "certificate", "certificate_renewal"];

/// Version control keeps no times, so what compares them cannot be judged here.
const MOMENTS: [&str; 3] = ["config_changed", "config_loaded", "reload_needed"];

fn folder(host: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hosts").join(host)
}

/// Looks at a host with every watcher; what differs from what was expected.
fn wrong(host: &str) -> Vec<String> {
    let expected = std::fs::read_to_string(folder(host).with_extension("txt")).expect("what must be seen");
    let expected = lines(&expected, &BTreeMap::new());
    let is_asked =
        |table: &str| TABLES.contains(&table) || expected.iter().any(|line| line.starts_with(&format!("{table} ")));
    let looks = ALL.iter().map(|spec| stage_at(spec, &folder(host)).look());
    let rows = looks.flat_map(|look| look.lines().filter_map(Row::looked).collect::<Vec<_>>());
    let told: Vec<Row> = rows.filter(|row| is_asked(row.table())).map(|row| row.without(&MOMENTS)).collect();
    differences(&expected, &told)
}

fn is_seen(host: &str) {
    let wrong = wrong(host);
    assert!(wrong.is_empty(), "tests/hosts/{host}.txt (-) against what is seen (+):\n{}", wrong.join("\n"));
}

#[test]
fn cpanel_with_a_pool_for_each_site() {
    is_seen("cpanel");
}

#[test]
fn directadmin_with_php_it_built_itself() {
    is_seen("directadmin");
}

#[test]
fn plesk_with_nginx_before_apache() {
    is_seen("plesk");
}

#[test]
fn rhel_9_with_remi_beside_the_module() {
    is_seen("rhel-9-remi");
}

#[test]
fn ubuntu_24_with_the_php_of_ondrej() {
    is_seen("ubuntu-24-ondrej");
}
