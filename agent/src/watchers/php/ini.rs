//! The php.ini that a PHP reads, by the layout it is installed in. What a site's own pool says comes on top and is not
//! looked at here.

use std::path::Path;

use super::places::{Sapi, prefix};
use crate::host::{Host, HostError};

/// `None`: there is none at any place of that layout.
pub(super) fn find(host: &Host, binary: &Path, sapi: Sapi, branch: &str) -> Result<Option<String>, HostError> {
    for path in places(binary, sapi, branch) {
        match host.stat(&path) {
            Ok(_) => return Ok(Some(path)),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn places(binary: &Path, sapi: Sapi, branch: &str) -> Vec<String> {
    let debian = match sapi {
        Sapi::Apache => "apache2",
        Sapi::Litespeed => "litespeed",
        other => other.as_str(),
    };
    let Some(prefix) = prefix(binary) else {
        return vec![format!("/etc/php/{branch}/{debian}/php.ini"), "/etc/php.ini".to_owned()];
    };
    let name = prefix.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let prefix = prefix.to_string_lossy();
    if prefix.starts_with("/opt/remi/") || prefix.starts_with("/opt/rh/") {
        return vec![format!("/etc{prefix}/php.ini")];
    }
    if prefix.starts_with("/RunCloud/") {
        return vec![format!("/etc/{name}/php.ini")];
    }
    if prefix.starts_with("/opt/sp/") {
        return vec![format!("/etc/{name}-sp/php.ini")];
    }
    vec![
        format!("{prefix}/root/etc/php.ini"),                   // cPanel
        format!("{prefix}/etc/php.ini"),                        // Plesk, CloudLinux
        format!("{prefix}/etc/php/{branch}/litespeed/php.ini"), // LiteSpeed
        format!("{prefix}/etc/php/php.ini"),                    // container images
        format!("{prefix}/lib/php.ini"),                        // DirectAdmin, PHP's own default
    ]
}
