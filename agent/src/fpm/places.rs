//! Where PHP lies, and what the names of its files say.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use plumb_proto::untrusted::Untrusted;

use crate::host::{Host, HostError, Kind};

/// Parts of a path that do not tell one installation from another.
const COMMON: [&str; 11] =
    ["bin", "sbin", "usr", "root", "lib", "lib64", "libexec", "modules", "apache2", "httpd", "/"];

/// How PHP is called (its server API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sapi {
    /// The process manager for FastCGI.
    Fpm,
    /// The command line.
    Cli,
    /// CGI and plain FastCGI.
    Cgi,
    /// LiteSpeed's own interface.
    Litespeed,
    /// The module of Apache.
    Apache,
}

impl Sapi {
    /// Its word, as it stands in keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fpm => "fpm",
            Self::Cli => "cli",
            Self::Cgi => "cgi",
            Self::Litespeed => "litespeed",
            Self::Apache => "apache",
        }
    }
}

/// What a file's name says: `php-fpm8.3`, `php83`, `lsphp`, `libphp8.3.so`. `None`: no name of a PHP.
#[must_use]
pub fn parse_name(name: &OsStr) -> Option<(Sapi, Option<String>)> {
    let name = name.to_str()?;
    let (sapi, rest) = if let Some(rest) = name.strip_prefix("libphp") {
        (Sapi::Apache, rest.strip_suffix(".so")?)
    } else if let Some(rest) = name.strip_prefix("php-fpm") {
        (Sapi::Fpm, rest)
    } else if let Some(rest) = name.strip_prefix("php-cgi") {
        (Sapi::Cgi, rest)
    } else if let Some(rest) = name.strip_prefix("lsphp") {
        (Sapi::Litespeed, rest)
    } else {
        (Sapi::Cli, name.strip_prefix("php")?)
    };
    let digits: Vec<char> = rest.chars().filter(|c| *c != '.').collect();
    if !digits.iter().all(char::is_ascii_digit) || digits.len() > 3 || rest.starts_with('.') || rest.ends_with('.') {
        return None;
    }
    let branch = match digits.split_first() {
        Some((major, minor)) if !minor.is_empty() => Some(format!("{major}.{}", minor.iter().collect::<String>())),
        _ => None,
    };
    Some((sapi, branch))
}

/// `8.3` of `8.3.14`.
#[must_use]
pub fn branch(version: &Untrusted) -> Option<String> {
    let mut parts = version.as_text()?.split('.');
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (major, minor) = (parts.next().filter(digits)?, parts.next()?);
    let end = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
    if end == 0 { None } else { Some(format!("{major}.{}", &minor[..end])) }
}

/// The folder that an installation has for itself; `None` for the system's own folders.
#[must_use]
pub fn prefix(path: &Path) -> Option<&Path> {
    let mut folder = path.parent()?;
    while folder.file_name().is_some_and(|name| COMMON.iter().any(|each| name == *each)) {
        folder = folder.parent()?;
    }
    (folder != Path::new("/")).then_some(folder)
}

/// Files in these folders that go by a name of PHP, all links replaced.
pub fn candidates(host: &Host, folders: &BTreeSet<PathBuf>, failed: &mut dyn FnMut(HostError)) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for folder in folders {
        let mut links = Vec::new();
        let listed = host.entries(folder, &mut |name, kind| match kind {
            Kind::File if parse_name(name).is_some() => {
                found.insert(folder.join(name));
            }
            Kind::Link if parse_name(name).is_some() => links.push(folder.join(name)),
            _ => {}
        });
        match listed {
            Err(error) if error.is_absent() => {} // a file of that name, or gone since
            Err(error) => failed(error),
            Ok(()) => found.extend(links.into_iter().filter_map(|link| host.real(link, failed))),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_sapi_and_branch() {
        let told = |name: &str| {
            parse_name(OsStr::new(name))
                .map(|(sapi, branch)| format!("{}/{}", sapi.as_str(), branch.unwrap_or_default()))
        };
        for (name, expected) in [
            ("php", "cli/"),
            ("php8.2", "cli/8.2"),
            ("php83", "cli/8.3"),
            ("php-fpm", "fpm/"),
            ("php-fpm8.10", "fpm/8.10"),
            ("php-fpm83", "fpm/8.3"),
            ("php-cgi7.4", "cgi/7.4"),
            ("lsphp", "litespeed/"),
            ("libphp8.2.so", "apache/8.2"),
            ("libphp.so", "apache/"),
            ("libphp7.so", "apache/"),
        ] {
            assert_eq!(told(name).as_deref(), Some(expected), "{name}");
        }
        for name in [
            "phpize",
            "php-config",
            "php-config8.2",
            "phpenmod",
            "phar",
            "php8.2.bak",
            "libphp.so.1",
            "php8.2.",
            "php8.3-sp",
        ] {
            assert_eq!(told(name), None, "{name}");
        }
    }

    #[test]
    fn a_prefix_is_what_tells_installations_apart() {
        for (path, expected) in [
            ("/usr/sbin/php-fpm8.2", None),
            ("/usr/lib/apache2/modules/libphp8.2.so", None),
            ("/usr/lib64/httpd/modules/libphp.so", None),
            ("/usr/local/sbin/php-fpm", Some("/usr/local")),
            ("/usr/local/php83/sbin/php-fpm83", Some("/usr/local/php83")),
            ("/opt/remi/php83/root/usr/sbin/php-fpm", Some("/opt/remi/php83")),
            ("/opt/cpanel/ea-php82/root/usr/bin/php", Some("/opt/cpanel/ea-php82")),
            ("/opt/alt/php56/usr/bin/lsphp", Some("/opt/alt/php56")),
            ("/opt/plesk/php/8.3/bin/php", Some("/opt/plesk/php/8.3")),
        ] {
            assert_eq!(prefix(Path::new(path)), expected.map(Path::new), "{path}");
        }
    }

    #[test]
    fn a_branch_is_the_first_two_numbers() {
        let told = |version: &str| branch(&version.into());
        assert_eq!(told("8.3.14").as_deref(), Some("8.3"));
        assert_eq!(told("8.4RC1").as_deref(), Some("8.4"));
        assert_eq!((told("8"), told("x.y"), told("8.")), (None, None, None));
    }
}
