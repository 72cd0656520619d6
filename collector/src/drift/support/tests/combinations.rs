//! Products, versions and provenances as they stand on 2026-11-21, each against the day that the tables have for it.

use super::*;

/// Product, version, provenance, system and release, and what comes out: verdict, last day, by whom, upstream's day.
const JUDGED: &[(&str, &str, &str, &str, &str, &str)] = &[
    // debian 12: extended_support_end 2028-06-30; php 8.2: 2026-12-31
    ("php", "8.2.29", "debian", "debian", "12", "supported until 2028-06-30 by Debian 12 LTS, upstream 2026-12-31"),
    ("php", "8.2.29", "self-built", "debian", "12", "ends soon until 2026-12-31 by PHP upstream, upstream 2026-12-31"),
    // php 8.1: 2025-12-31
    (
        "php",
        "8.1.31",
        "sury",
        "debian",
        "12",
        "ended until 2025-12-31 by PHP upstream by way of deb.sury.org, upstream 2025-12-31",
    ),
    // ubuntu 24.04: security_support_end 2029-05-31; php 8.3: 2027-12-31
    ("php", "8.3.6", "ubuntu", "ubuntu", "24.04", "supported until 2029-05-31 by Ubuntu 24.04, upstream 2027-12-31"),
    // php 8.4: 2028-12-31
    (
        "php",
        "8.4.1",
        "remi",
        "rocky",
        "9.4",
        "supported until 2028-12-31 by PHP upstream by way of remi, upstream 2028-12-31",
    ),
    (
        "php",
        "8.2.25",
        "cpanel",
        "almalinux",
        "8.10",
        "ends soon until 2026-12-31 by PHP upstream by way of cPanel, upstream 2026-12-31",
    ),
    (
        "php",
        "8.1.31",
        "plesk",
        "debian",
        "12",
        "ended until 2025-12-31 by PHP upstream by way of Plesk, upstream 2025-12-31",
    ),
    ("php", "8.6.0", "sury", "debian", "13", "newer than the table"),
    // debian 11: extended_support_end 2026-08-31; postgresql 13: 2025-11-13
    (
        "postgresql/13/main",
        "13.16",
        "debian",
        "debian",
        "11",
        "ended until 2026-08-31 by Debian 11 LTS, upstream 2025-11-13",
    ),
    // postgresql 16: 2028-11-09, 14: 2026-11-12
    (
        "postgresql/16/main",
        "16.6",
        "pgdg",
        "debian",
        "12",
        "supported until 2028-11-09 by PostgreSQL upstream, upstream 2028-11-09",
    ),
    (
        "postgresql/14/main",
        "14.20",
        "pgdg",
        "ubuntu",
        "22.04",
        "ended until 2026-11-12 by PostgreSQL upstream, upstream 2026-11-12",
    ),
    // ubuntu 22.04: extended_support_end 2032-04-09; in universe: mariadb 10.6
    ("mariadb/main", "10.6.18", "ubuntu", "ubuntu", "22.04", "not judged"),
    // redis 7.0: 2024-07-29
    (
        "redis/main",
        "7.0.15",
        "debian",
        "debian",
        "12",
        "supported until 2028-06-30 by Debian 12 LTS, upstream 2024-07-29",
    ),
    // mysql 8.0: 2026-04-30, 8.4: 2032-04-30
    ("mysql/main", "8.0.44", "mysql", "debian", "12", "ended until 2026-04-30 by MySQL upstream, upstream 2026-04-30"),
    ("percona/main", "8.0.39-30", "percona", "debian", "12", "not judged"),
    (
        "percona/main",
        "8.4.3-3",
        "percona",
        "debian",
        "12",
        "supported until 2032-04-30 by Percona Server, upstream 2032-04-30",
    ),
    (
        "elasticsearch/main",
        "9.5.1",
        "elastic",
        "debian",
        "12",
        "supported until no end announced by Elasticsearch upstream, upstream no end announced",
    ),
    (
        "memcached/main",
        "1.6.18",
        "debian",
        "debian",
        "12",
        "supported until 2028-06-30 by Debian 12 LTS, upstream no end announced",
    ),
    // nodejs 18: 2025-04-30
    (
        "node/18",
        "18.20.8",
        "nodesource",
        "debian",
        "12",
        "ended until 2025-04-30 by Node.js upstream by way of NodeSource, upstream 2025-04-30",
    ),
    (
        "node/18",
        "18.19.0",
        "debian",
        "debian",
        "12",
        "supported until 2028-06-30 by Debian 12 LTS, upstream 2025-04-30",
    ),
    // python 3.9: 2025-10-31; of RHEL 9's own platform, rocky-linux 9: 2032-05-31
    (
        "python/3.9@/opt/py",
        "3.9.19",
        "self-built",
        "debian",
        "12",
        "ended until 2025-10-31 by Python upstream, upstream 2025-10-31",
    ),
    (
        "python/3.9",
        "3.9.21",
        "redhat",
        "rocky",
        "9.4",
        "supported until 2032-05-31 by Rocky Linux 9, upstream 2025-10-31",
    ),
    // ruby 3.2: 2026-03-31, ubuntu 24.04 has it in main
    (
        "ruby/3.2",
        "3.2.3",
        "ubuntu",
        "ubuntu",
        "24.04",
        "supported until 2029-05-31 by Ubuntu 24.04, upstream 2026-03-31",
    ),
    // nginx 1.26: 2025-04-23, 1.28: 2026-04-14; debian 13: 2030-06-30
    ("nginx", "1.26.3", "debian", "debian", "13", "supported until 2030-06-30 by Debian 13 LTS, upstream 2025-04-23"),
    ("nginx", "1.28.0", "nginx", "debian", "13", "ended until 2026-04-14 by nginx upstream, upstream 2026-04-14"),
    (
        "apache",
        "2.4.62",
        "debian",
        "debian",
        "12",
        "supported until 2028-06-30 by Debian 12 LTS, upstream no end announced",
    ),
    ("litespeed", "6.3", "litespeed", "debian", "12", "not judged"),
];

/// The same of what sites are made of: product, kind, version.
const OF_SITES: &[(&str, &str, &str, &str)] = &[
    ("wordpress", "cms", "6.8.3", "courtesy until nothing is promised by WordPress upstream, upstream 2025-12-02"),
    ("wordpress", "cms", "7.1", "supported until no end announced by WordPress upstream, upstream no end announced"),
    ("wordpress", "cms", "7.2", "newer than the table"),
    ("drupal", "cms", "7.103", "ended until 2025-01-05 by Drupal upstream, upstream 2025-01-05"),
    ("drupal", "cms", "10.6.2", "ends soon until 2026-12-16 by Drupal upstream, upstream 2026-12-16"),
    // magento: extended_support_end, those of Adobe Commerce
    ("magento", "shop", "2.4.6-p8", "ended until 2026-08-11 by Magento upstream, upstream 2026-08-11"),
    ("magento", "shop", "2.4.7", "supported until 2027-05-31 by Magento upstream, upstream 2027-05-31"),
    ("mage-os", "shop", "1.0.5", "not judged"),
    ("symfony", "framework", "5.4.40", "supported until 2029-02-28 by Symfony upstream, upstream 2029-02-28"),
    ("django", "framework", "4.2.16", "ended until 2026-04-07 by Django upstream, upstream 2026-04-07"),
    ("rails", "framework", "8.0.1", "ended until 2026-11-07 by Rails upstream, upstream 2026-11-07"),
    ("laravel", "framework", "12.1.0", "ends soon until 2027-02-24 by Laravel upstream, upstream 2027-02-24"),
    ("typo3", "cms", "13.4.3", "supported until 2027-12-31 by TYPO3 upstream, upstream 2027-12-31"),
    ("joomla", "cms", "4.4.9", "ended until 2025-10-14 by Joomla upstream, upstream 2025-10-14"),
    ("shopware", "shop", "6.3.5", "ended until a day that is not in the table by Shopware upstream, upstream over"),
    ("prestashop", "shop", "8.2.0", "not judged"),
    ("flask", "framework", "3.0.0", "not judged"),
];

fn said(asked: &Program<'_>) -> String {
    let now = day(2026, 11, 21);
    match Dates::shipped().program(asked, now) {
        Ok(window) => format!(
            "{} until {} by {}, upstream {}",
            window.verdict(now).as_str(),
            window.last_day(),
            window.by,
            window.upstream
        ),
        Err(unjudged) => unjudged.verdict.map_or("not known", Verdict::as_str).to_owned(),
    }
}

#[test]
fn each_program_is_judged_by_who_patches_it() {
    for (product, version, provenance, os, release, expected) in JUDGED {
        let asked = Program {
            product,
            version: Some(version),
            provenance: Some(provenance),
            os: Some(os),
            os_version: Some(release),
            ..Program::default()
        };
        assert_eq!(said(&asked), *expected, "{product} {version} {provenance} {os} {release}");
    }
}

#[test]
fn what_sites_are_made_of_is_judged_by_its_makers() {
    for (product, kind, version, expected) in OF_SITES {
        let asked = Program { product, version: Some(version), kind: Some(kind), ..Program::default() };
        assert_eq!(said(&asked), *expected, "{product} {version}");
        let of_composer = Program { provenance: Some("self-built"), ..asked };
        assert_eq!(said(&of_composer), *expected, "who unpacked it changes nothing");
    }
}

#[test]
fn a_framework_is_part_of_a_project_that_nobody_updates_automatically() {
    let asked = Program { product: "symfony", version: Some("7.4.2"), kind: Some("framework"), ..Program::default() };
    let window = Dates::shipped().program(&asked, day(2026, 11, 21)).unwrap();
    assert_eq!(window.note, "part of a project: nobody updates it automatically, its maintainer has to");
}

#[test]
fn a_product_that_carries_its_own_day_is_judged_by_it() {
    let own_end = Some(day(2028, 11, 30));
    let asked =
        Program { product: "symfony", version: Some("9.4.1"), kind: Some("framework"), own_end, ..Program::default() };
    assert_eq!(said(&asked), "supported until 2028-11-30 by Symfony upstream, upstream 2028-11-30");
}

#[test]
fn universe_is_patched_for_those_who_have_ubuntu_pro() {
    let asked = Program {
        product: "mariadb",
        package_version: Some("1:10.6.18-0ubuntu0.22.04.1"),
        ..on("ubuntu", "22.04", "10.6.18", "ubuntu")
    };
    let unjudged = Dates::shipped().program(&asked, day(2026, 11, 21)).unwrap_err();
    assert_eq!(
        unjudged.told(),
        "not judged: it is in Ubuntu's universe: patched until 2032-04-09 with Ubuntu Pro, by nobody who promises it without; \
         whether this host has it is not known"
    );
    assert_eq!(unjudged.upstream_until.map(day_before).as_deref(), Some("2026-07-06"));
    let has_pro = Program { package_version: Some("1:10.6.18-0ubuntu0.22.04.1+esm1"), ..asked };
    assert_eq!(said(&has_pro), "supported until 2032-04-09 by Ubuntu Pro for 22.04, upstream 2026-07-06");
}

#[test]
fn java_is_judged_by_whose_build_it_is() {
    let java = |version, provenance, package, os, os_version| {
        let asked = Program {
            product: "java/17",
            version: Some(version),
            provenance: Some(provenance),
            package,
            os: Some(os),
            os_version: Some(os_version),
            ..Program::default()
        };
        said(&asked)
    };
    // debian ships openjdk 17 in 12; eclipse-temurin 17: 2027-10-31; red-hat-build-of-openjdk 17: 2027-12-31
    assert_eq!(
        java("17.0.13", "debian", Some("openjdk-17-jre-headless"), "debian", "12"),
        "supported until 2028-06-30 by Debian 12 LTS, upstream not in the table"
    );
    assert_eq!(
        java("17.0.13", "debian", Some("temurin-17-jdk"), "debian", "12"),
        "supported until 2027-10-31 by Eclipse Temurin upstream, upstream 2027-10-31"
    );
    assert_eq!(
        java("17.0.13", "redhat", Some("java-17-openjdk-headless"), "rocky", "9.4"),
        "supported until 2027-12-31 by Red Hat OpenJDK upstream, upstream 2027-12-31"
    );
    // red-hat-build-of-openjdk 8: 2026-11-30; oracle-jdk 26: 2026-09-18
    assert_eq!(
        java("1.8.0_432", "redhat", Some("java-1.8.0-openjdk"), "rocky", "9.4"),
        "ends soon until 2026-11-30 by Red Hat OpenJDK upstream, upstream 2026-11-30"
    );
    assert_eq!(
        java("26.0.1", "oracle-jdk", None, "rocky", "9.4"),
        "ended until 2026-09-18 by Oracle JDK upstream, upstream 2026-09-18"
    );
    assert_eq!(java("17.0.13", "self-built", None, "debian", "12"), "not judged");
}

#[test]
fn long_term_support_that_has_not_begun_is_told() {
    // nodejs 26: lts 2026-10-28
    let asked = Program { product: "node/26", ..on("debian", "12", "26.1.0", "nodesource") };
    let note = |now| Dates::shipped().program(&asked, now).unwrap().note;
    assert_eq!(note(day(2026, 10, 1)), "long-term support begins 2026-10-28");
    assert_eq!(note(day(2026, 11, 21)), "");
}
