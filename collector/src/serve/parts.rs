//! Names of this machine, and the policy files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::drift::policy::Source;
use crate::policy_files;

/// The name by which hosts reach this machine: as configured, or its own.
#[must_use]
pub fn advertised(configured: Option<&str>) -> String {
    let own = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    configured.map(str::to_owned).filter(|name| !name.is_empty()).unwrap_or_else(own)
}

/// The names that the collector's certificate carries: the advertised one first, then this machine as it knows itself.
pub(super) fn names(configured: Option<&str>) -> Vec<String> {
    let mut names = vec![advertised(configured)];
    for own in ["localhost", "127.0.0.1", "::1"] {
        if names[0] != own {
            names.push(own.to_owned());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// `host:port`, with brackets where an address needs them.
#[must_use]
pub(crate) fn with_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

pub(super) fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// Reads policy files: folder by folder, in the order of their names. A folder that is not there has none.
///
/// # Errors
/// One cannot be read.
pub fn policy_sources(folders: &[PathBuf]) -> Result<Vec<Source>> {
    let of_folders = folders.iter().map(|folder| policy_files::read(folder)).collect::<Result<Vec<_>>>()?;
    Ok(of_folders.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        assert_eq!(with_port("plumb.example.org", 7443), "plumb.example.org:7443");
        assert_eq!(with_port("2001:db8::1", 7443), "[2001:db8::1]:7443");
        assert_eq!(with_port("192.0.2.1", 7443), "192.0.2.1:7443");
    }

    #[test]
    fn the_certificate_carries_the_advertised_name_first() {
        assert_eq!(names(Some("plumb.example.org")), ["plumb.example.org", "localhost", "127.0.0.1", "::1"]);
        assert_eq!(names(Some("127.0.0.1")), ["127.0.0.1", "localhost", "::1"]);
        assert!(!names(None)[0].is_empty());
    }
}
