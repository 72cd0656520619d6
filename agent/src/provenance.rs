//! Who patches a program, judged by the package it belongs to: one vocabulary for all tables with a column `provenance`.

use plumb_proto::model::Value;

use crate::host::Host;
use crate::host::packages::{Manager, Package, PackagesError};
use crate::watcher::{Look, Table};

/// Bytes of os-release.
const OS_RELEASE: usize = 64 << 10;
/// Names of packages that only one maker uses.
const NAMES: [(&str, &str); 32] = [
    ("plesk-php", "plesk"),
    ("ea-php", "cpanel"),
    ("ea-apache", "cpanel"),
    ("alt-php", "cloudlinux"),
    ("lsphp", "litespeed"),
    ("sp-php", "serverpilot"),
    ("sp-nginx", "serverpilot"),
    ("sp-apache", "serverpilot"),
    // web servers; distributions have none of that name
    ("sw-nginx", "plesk"),
    ("openlitespeed", "litespeed"),
    ("openresty", "openresty"),
    ("nginx-plus", "nginx"),
    // the makers' own repositories of database servers; distributions write these names in another way
    ("MariaDB-", "mariadb"),
    ("mysql-community-", "mysql"),
    ("mysql-commercial-", "mysql"),
    ("percona-", "percona"),
    ("Percona-", "percona"),
    ("keydb", "keydb"),
    ("redis-stack", "redis"),
    ("valkey-bundle", "valkey"),
    ("mongodb-org", "mongodb"),
    ("elasticsearch", "elastic"),
    ("opensearch", "opensearch"),
    // other languages of the panels
    ("plesk-", "plesk"),
    ("ea-", "cpanel"),
    ("alt-python", "cloudlinux"),
    ("alt-nodejs", "cloudlinux"),
    ("alt-ruby", "cloudlinux"),
    // builds of Java
    ("temurin-", "adoptium"),
    ("adoptopenjdk-", "adoptium"),
    ("zulu", "azul"),
    ("msopenjdk-", "microsoft"),
];
/// Marks in versions of packages that only one maker uses: MariaDB's, PostgreSQL's (apt.postgresql.org and
/// yum.postgresql.org), Redis's (packages.redis.io), NodeSource's and Brightbox's (Ruby) own repositories.
const MARKS: [(&str, &str); 6] = [
    ("+maria~", "mariadb"),
    (".pgdg", "pgdg"),
    ("PGDG", "pgdg"),
    ("rl1~", "redis"),
    ("nodesource", "nodesource"),
    ("bbox1", "brightbox"),
];
/// How the archive deadsnakes marks its builds of Python: with the release of Ubuntu that each is for.
const DEADSNAKES: [&str; 4] = ["+bionic", "+focal", "+jammy", "+noble"];
/// Systems whose packages are those of Red Hat, built once more.
const REDHAT: [&str; 9] =
    ["rhel", "centos", "almalinux", "rocky", "ol", "cloudlinux", "eurolinux", "virtuozzo", "miraclelinux"];

/// What the system's own packages are called after.
#[derive(Clone, Default)]
pub struct System {
    distribution: &'static str,
}

impl System {
    /// Reads which system this is; one that does not say is "another distribution".
    #[must_use]
    pub fn read(host: &Host) -> Self {
        let release =
            ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| host.read_text(path, OS_RELEASE).ok());
        let release = release.unwrap_or_default();
        let id = release.lines().find_map(|line| line.strip_prefix("ID=")).unwrap_or_default().trim();
        let distribution = match id.trim_matches(['"', '\'']) {
            "debian" => "debian",
            "ubuntu" => "ubuntu",
            id if REDHAT.contains(&id) => "redhat",
            _ => "distribution",
        };
        Self { distribution }
    }

    /// One of the words that the column `provenance` of the table declares.
    #[must_use]
    pub fn provenance(&self, package: Option<&Package>) -> &'static str {
        let Some(package) = package else { return "self-built" };
        let (name, version) = (text(package.name.as_bytes()), text(package.version.as_bytes()));
        if let Some((_, maker)) = NAMES.iter().find(|(start, _)| name.starts_with(start)) {
            return maker;
        }
        if let Some((_, maker)) = MARKS.iter().find(|(mark, _)| version.contains(mark)) {
            return maker;
        }
        let runcloud = name
            .strip_prefix("php")
            .is_some_and(|rest| rest.split('-').next().is_some_and(|branch| branch.ends_with("rc")));
        let runcloud = runcloud || matches!(&*name, "nginx-rc" | "apache2-rc");
        let python = name.starts_with("python") || name.starts_with("libpython");
        match package.manager {
            _ if runcloud => "runcloud",
            _ if name.contains("amazon-corretto") => "corretto",
            Manager::Dpkg if python && DEADSNAKES.iter().any(|mark| version.contains(mark)) => "deadsnakes",
            // Builds from Git for Debian and Ubuntu; `~deb12u1` alone is Debian's own security update.
            Manager::Dpkg if version.contains("deb.sury.org") || version.contains("+0~") && version.contains("gbp") => {
                "sury"
            }
            _ if name.starts_with("nginx") && is_of_nginx(package.manager, &version) => "nginx",
            _ if name == "caddy" && is_of_caddy(package, &version) => "caddy",
            // EPEL lies beside the system and is patched by Fedora's people.
            Manager::Rpm if self.distribution == "redhat" && package.vendor.as_bytes() == b"Fedora Project" => {
                "distribution"
            }
            Manager::Rpm if version.contains(".remi") || text(package.vendor.as_bytes()).starts_with("Remi") => "remi",
            _ => self.distribution,
        }
    }

    /// Tells the columns `package`, `package_version` and `provenance` of a row.
    pub fn tell(
        &self,
        look: &mut Look<'_>,
        (table, key, source): (&'static Table, &str, &str),
        package: Result<Option<&Package>, &PackagesError>,
    ) {
        match package {
            Ok(package) => {
                if let Some(package) = package {
                    let version = Value::Version(package.version.clone());
                    let fields = [("package", package.name.clone().into()), ("package_version", version)];
                    look.fact(table, key, source, &fields);
                }
                look.fact(table, key, source, &[("provenance", self.provenance(package).into())]);
            }
            Err(error) => {
                for column in ["package", "package_version", "provenance"] {
                    look.unknown(table, key, column, error, error.hint());
                }
            }
        }
    }
}

/// nginx.org writes the release that a build is for behind its own number: `1.28.0-1~bookworm`, `1.28.0-1.el9.ngx`.
/// Distributions write numbers there (`~deb12u1`, `~bpo12+1`).
fn is_of_nginx(manager: Manager, version: &str) -> bool {
    match manager {
        Manager::Dpkg => version
            .rsplit_once('~')
            .is_some_and(|(_, release)| !release.is_empty() && release.bytes().all(|byte| byte.is_ascii_lowercase())),
        Manager::Rpm => version.ends_with(".ngx"),
    }
}

/// Caddy's own repositories: on Cloudsmith without a revision of Debian's, on Copr by the name of its group.
fn is_of_caddy(package: &Package, version: &str) -> bool {
    match package.manager {
        Manager::Dpkg => !version.contains('-'),
        Manager::Rpm => text(package.vendor.as_bytes()).contains("@caddy"),
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(distribution: &'static str, manager: Manager, name: &str, version: &str) -> &'static str {
        let (name, version) = (name.into(), version.into());
        let package = Package { manager, name, version, vendor: "".into(), module: "".into() };
        System { distribution }.provenance(Some(&package))
    }

    #[test]
    fn a_package_tells_who_patches_it() {
        for (system, name, version, expected) in [
            ("debian", "php8.2-fpm", "8.2.29-1~deb12u1", "debian"),
            ("debian", "php8.3-fpm", "8.3.14-1+0~20241121.38+debian12~1.gbp5c2d5e", "sury"),
            ("ubuntu", "php8.3-fpm", "8.3.6-0ubuntu0.24.04.5", "ubuntu"),
            ("ubuntu", "php8.4-cli", "8.4.1-5+ubuntu24.04.1+deb.sury.org+1", "sury"),
            ("ubuntu", "ea-php82-php-fpm", "8.2.25-1.1", "cpanel"),
            ("debian", "plesk-php83-fpm", "8.3.14-1", "plesk"),
            ("debian", "lsphp83", "8.3.14-1+bookworm", "litespeed"),
            ("ubuntu", "php83rc", "8.3.14-1", "runcloud"),
            ("distribution", "php8.3-fpm", "8.3.6-0", "distribution"),
            ("debian", "mariadb-server-core", "1:10.11.14-0+deb12u2", "debian"),
            ("debian", "mariadb-server-core", "1:11.4.4+maria~deb12", "mariadb"),
            ("ubuntu", "mysql-server-core-8.0", "8.0.40-0ubuntu0.24.04.1", "ubuntu"),
            ("ubuntu", "mysql-community-server-core", "8.4.3-1ubuntu24.04", "mysql"),
            ("ubuntu", "percona-server-server", "8.0.39-30-1.jammy", "percona"),
            ("debian", "postgresql-16", "16.6-1.pgdg120+1", "pgdg"),
            ("debian", "redis-tools", "6:7.4.1-1rl1~bookworm1", "redis"),
            ("debian", "mongodb-org-server", "7.0.5", "mongodb"),
            ("debian", "elasticsearch", "8.15.0", "elastic"),
            ("debian", "nodejs", "20.20.2-1nodesource1", "nodesource"),
            ("debian", "nodejs", "18.19.0+dfsg-6~deb12u2", "debian"),
            ("ubuntu", "python3.12", "3.12.7-1+jammy1", "deadsnakes"),
            ("ubuntu", "python3.12", "3.12.3-1ubuntu0.3", "ubuntu"),
            ("debian", "temurin-25-jdk", "25.0.3.0.0+9-0", "adoptium"),
            ("debian", "java-17-amazon-corretto-jdk", "1:17.0.9.8-1", "corretto"),
            ("debian", "openjdk-17-jre-headless", "17.0.15+6-1~deb12u1", "debian"),
            ("ubuntu", "ruby2.7", "2.7.8-1bbox1~jammy1", "brightbox"),
            ("debian", "nginx", "1.28.0-1~bookworm", "nginx"),
            ("ubuntu", "nginx", "1.28.0-1~noble", "nginx"),
            ("debian", "nginx-plus", "33-1~bookworm", "nginx"),
            ("debian", "nginx", "1.22.1-9+deb12u2", "debian"),
            ("debian", "nginx", "1.26.3-3~bpo12+1", "debian"),
            ("ubuntu", "nginx-core", "1.18.0-6ubuntu14.4", "ubuntu"),
            ("ubuntu", "nginx", "1.26.0-1+ubuntu22.04.1+deb.sury.org+1", "sury"),
            ("ubuntu", "openresty", "1.27.1.1-1~jammy1", "openresty"),
            ("ubuntu", "sw-nginx", "1.26.2.2-v.ubuntu.22.04+p18.0.66.0", "plesk"),
            ("ubuntu", "ea-nginx", "1.26.2-11.11", "cpanel"),
            ("ubuntu", "ea-apache24", "2.4.62-11.1", "cpanel"),
            ("ubuntu", "nginx-rc", "1.27.2-1+ubuntu22.04", "runcloud"),
            ("ubuntu", "sp-nginx", "1.27.2-1", "serverpilot"),
            ("ubuntu", "openlitespeed", "1.8.2-1+jammy", "litespeed"),
            ("debian", "apache2-bin", "2.4.62-1~deb12u2", "debian"),
            ("debian", "caddy", "2.8.4", "caddy"),
            ("debian", "caddy", "2.6.2-5", "debian"),
        ] {
            assert_eq!(told(system, Manager::Dpkg, name, version), expected, "{name} {version}");
        }
        for (name, version, expected) in [
            ("php-fpm", "8.0.30-1.el9_2", "redhat"),
            ("php83-php-fpm", "8.3.14-1.el9.remi", "remi"),
            ("php-fpm", "8.3.14-1.module_php.8.3.el9.remi", "remi"),
            ("ea-php82-php-fpm", "8.2.25-1.1.1.cpanel", "cpanel"),
            ("alt-php83", "8.3.14-1.el8", "cloudlinux"),
            ("plesk-php83-fpm", "8.3.14-1redhat.9", "plesk"),
            ("mariadb-server", "3:10.5.27-1.el9_5", "redhat"),
            ("MariaDB-server", "11.4.4-1.el9", "mariadb"),
            ("postgresql16-server", "16.6-1PGDG.rhel9", "pgdg"),
            ("redis", "6.2.17-1.el9.remi", "remi"),
            ("nginx", "1:1.20.1-20.el9", "redhat"),
            ("nginx", "1:1.28.0-1.el9.ngx", "nginx"),
            ("ea-apache24", "2.4.62-11.11.1.cpanel", "cpanel"),
            ("openresty", "1.27.1.1-1.el9", "openresty"),
        ] {
            assert_eq!(told("redhat", Manager::Rpm, name, version), expected, "{name} {version}");
        }
    }

    #[test]
    fn a_repository_beside_the_systems_is_told_by_its_maker() {
        let told = |vendor: &str| {
            let (name, version) = ("caddy".into(), "2.8.4-1.el9".into());
            let package = Package { manager: Manager::Rpm, name, version, vendor: vendor.into(), module: "".into() };
            System { distribution: "redhat" }.provenance(Some(&package))
        };
        assert_eq!(told("Fedora Copr - group @caddy"), "caddy");
        assert_eq!(told("Fedora Project"), "distribution");
        assert_eq!(told("Red Hat, Inc."), "redhat");
    }

    #[test]
    fn what_no_package_owns_was_built_by_somebody() {
        assert_eq!(System { distribution: "debian" }.provenance(None), "self-built");
    }
}
