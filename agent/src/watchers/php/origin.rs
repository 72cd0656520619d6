//! Who patches a PHP, judged by the package it belongs to.

use crate::host::Host;
use crate::host::packages::{Manager, Package};

/// Bytes of os-release.
const OS_RELEASE: usize = 64 << 10;
/// Names of packages that only one maker uses.
const NAMES: [(&str, &str); 6] = [
    ("plesk-php", "plesk"),
    ("ea-php", "cpanel"),
    ("ea-apache", "cpanel"),
    ("alt-php", "cloudlinux"),
    ("lsphp", "litespeed"),
    ("sp-php", "serverpilot"),
];
/// Systems whose packages are those of Red Hat, built once more.
const REDHAT: [&str; 9] =
    ["rhel", "centos", "almalinux", "rocky", "ol", "cloudlinux", "eurolinux", "virtuozzo", "miraclelinux"];

/// What the system's own packages are called after.
#[derive(Default)]
pub(super) struct System {
    distribution: &'static str,
}

impl System {
    pub(super) fn read(host: &Host) -> Self {
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

    /// One of the words that the column `provenance` declares.
    pub(super) fn provenance(&self, package: Option<&Package>) -> &'static str {
        let Some(package) = package else { return "self-built" };
        let (name, version) = (text(package.name.as_bytes()), text(package.version.as_bytes()));
        if let Some((_, maker)) = NAMES.iter().find(|(start, _)| name.starts_with(start)) {
            return maker;
        }
        let runcloud = name
            .strip_prefix("php")
            .is_some_and(|rest| rest.split('-').next().is_some_and(|branch| branch.ends_with("rc")));
        match package.manager {
            _ if runcloud => "runcloud",
            // Builds from Git for Debian and Ubuntu; `~deb12u1` alone is Debian's own security update.
            Manager::Dpkg if version.contains("deb.sury.org") || version.contains("+0~") && version.contains("gbp") => {
                "sury"
            }
            Manager::Rpm if version.contains(".remi") || text(package.vendor.as_bytes()).starts_with("Remi") => "remi",
            _ => self.distribution,
        }
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
        ] {
            assert_eq!(told("redhat", Manager::Rpm, name, version), expected, "{name} {version}");
        }
    }

    #[test]
    fn what_no_package_owns_was_built_by_somebody() {
        assert_eq!(System { distribution: "debian" }.provenance(None), "self-built");
    }
}
