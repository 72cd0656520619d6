use std::path::{Path, PathBuf};
use std::sync::Arc;

use plumb_proto::time::{ManualClock, Timestamp};

use super::*;
use crate::watcher::testing::{Stage, stage};
use crate::watchers;

fn staged(name: &str) -> Host {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hosts").join(name);
    Host::new(root, Arc::new(ManualClock::at(Timestamp::from_secs(0))))
}

fn empty() -> Stage {
    stage(&watchers::ALL[0])
}

fn said(packages: &[Package]) -> Vec<String> {
    packages.iter().map(|package| format!("{} {} {}", package.name, package.version, package.module)).collect()
}

#[test]
fn packages_are_found_by_name_in_each_database() {
    let php = ["php-fpm", "bind-libs", "none"];
    let mut found = said(&staged("rhel-9-remi").installed(&php).unwrap());
    found.sort();
    assert_eq!(found, ["bind-libs 32:9.16.23-24.el9_5.3 ", "php-fpm 8.2.25-1.module+el9.5.0+22477+22c04e3a php:8.2"]);
    assert_eq!(said(&staged("cpanel").installed(&["bash", "none"]).unwrap()), ["bash 4.4.20-5.el8 "]);
    assert_eq!(said(&staged("debian-12").installed(&["libc6", "php7.4-fpm"]).unwrap()), ["libc6 2.36-9+deb12u13 "]);
    assert_eq!(staged("empty").installed(&["bash"]), Err(PackagesError::NoDatabase));
}

#[test]
fn owners_are_found_whether_or_not_they_are_likely() {
    let owner = |host: &str, path: &str, likely: &[&str]| {
        let found = staged(host).owners(&[PathBuf::from(path)], likely).unwrap();
        found.into_values().map(|package| package.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    for likely in [&["many"][..], &["php"], &[]] {
        assert_eq!(owner("cpanel", "/usr/share/many/file-with-a-long-name-0150", likely), "many-files");
        assert_eq!(owner("cpanel", "/usr/share/other/file-with-a-long-name-0150", likely), "");
        assert_eq!(owner("rhel-9-remi", "/usr/sbin/php-fpm", likely), "php-fpm");
        assert_eq!(owner("rhel-9-remi", "/opt/remi/php83/root/usr/sbin/php-fpm", likely), "php83-php-fpm");
        assert_eq!(owner("debian-12", "/usr/lib/x86_64-linux-gnu/libc.so.6", likely), "libc6"); // listed under /lib
        assert_eq!(owner("debian-12", "/etc/php/7.4/fpm/php.ini", likely), ""); // removed, not purged
    }
}

#[test]
fn an_answer_is_kept_until_the_database_changes() {
    let status = |version: &str| format!("Package: php\nStatus: install ok installed\nVersion: {version}\n");
    let stage =
        empty().file("/var/lib/dpkg/status", status("1-1")).file("/var/lib/dpkg/info/php.list", "/usr/bin/php\n");
    let owner = || {
        let found = stage.host().owners(&[PathBuf::from("/usr/bin/php")], &["php"]).unwrap();
        found.into_values().map(|package| package.version.to_string()).collect::<String>()
    };
    assert_eq!(owner(), "1-1");
    stage.remove("/var/lib/dpkg/info/php.list");
    assert_eq!(owner(), "1-1"); // not read again: the database has not changed
    stage.write("/var/lib/dpkg/info/php.list", "/usr/bin/php\n");
    stage.write("/var/lib/dpkg/status", status("1-22"));
    assert_eq!(owner(), "1-22");
}

#[test]
fn a_database_that_is_not_understood_is_an_error_and_no_absence() {
    let said = |path: &str, content: &[u8]| {
        let stage = empty().file(path, content);
        stage.host().owners(&[PathBuf::from("/usr/bin/php")], &["php"]).unwrap_err().to_string()
    };
    assert_eq!(
        said("/var/lib/rpm/Packages.db", b"RpmP"),
        "/var/lib/rpm/Packages.db: rpm's database format ndb is not read"
    );
    assert_eq!(said("/var/lib/rpm/Packages", b"garbage"), "/var/lib/rpm/Packages: it ends too early");
    assert_eq!(
        said("/var/lib/rpm/rpmdb.sqlite", b"garbage, and long enough to be read as the header of a database"),
        "/var/lib/rpm/rpmdb.sqlite: file is not a database"
    );
    assert_eq!(said("/var/lib/dpkg/status", b"x"), "/var/lib/dpkg/info: not found");
}

#[test]
fn a_database_that_is_being_written_says_nothing() {
    let bytes = std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hosts/rhel-9-remi/var/lib/rpm/rpmdb.sqlite"),
    );
    let stage = empty().file("/var/lib/rpm/rpmdb.sqlite", bytes.unwrap()).file("/var/lib/rpm/rpmdb.sqlite-wal", "x");
    let asked = [PathBuf::from("/usr/sbin/php-fpm")];
    let error = stage.host().owners(&asked, &["php"]).unwrap_err();
    assert_eq!(error.to_string(), "/var/lib/rpm/rpmdb.sqlite: packages are being installed or removed");
    stage.write("/var/lib/rpm/rpmdb.sqlite-wal", "");
    assert_eq!(stage.host().owners(&asked, &["php"]).unwrap().len(), 1);
}

#[test]
fn the_version_of_what_is_packaged_stands_in_the_middle() {
    let upstream = |version: &str| {
        let (name, version) = ("php".into(), version.into());
        let package = Package { manager: Manager::Dpkg, name, version, vendor: "".into(), module: "".into() };
        package.upstream().to_string()
    };
    for (whole, expected) in [
        ("8.2.29-1~deb12u1", "8.2.29"),
        ("2:8.3.14-1+0~20241121.38+debian12~1.gbp5c2d5e", "8.3.14"),
        ("7.4.3+dfsg-4ubuntu2.18", "7.4.3"),
        ("8.3.14", "8.3.14"),
        ("3.1.7+really3.1.2-0+deb12u1", "3.1.2"),
        ("-1", ""),
        (":", ""),
    ] {
        assert_eq!(upstream(whole), expected, "{whole}");
    }
}
