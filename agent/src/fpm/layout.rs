//! Where a PHP has its php.ini and the files that come on top of it, by the layout it is installed in.

use std::path::{Path, PathBuf};

use super::places::{Sapi, prefix};
use crate::host::{Host, HostError, Kind};

/// Names of the folder whose files come on top of php.ini, beside it (`--with-config-file-scan-dir` of each maker).
const SCANNED: [&str; 4] = ["conf.d", "php.d", "php.conf.d", "mods-available"];

/// `None`: there is none at any place of that layout.
///
/// # Errors
/// It cannot be looked for.
pub fn ini(host: &Host, binary: &Path, sapi: Sapi, branch: &str) -> Result<Option<String>, HostError> {
    for path in places(binary, sapi, branch) {
        match host.stat(&path) {
            Ok(_) => return Ok(Some(path)),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The folder whose files come on top of php.ini, if there is one.
pub(super) fn scanned(host: &Host, binary: &Path, sapi: Sapi, branch: &str) -> Option<PathBuf> {
    let folders =
        places(binary, sapi, branch).into_iter().filter_map(|path| Path::new(&path).parent().map(Path::to_owned));
    let all = folders.flat_map(|folder| {
        let lsws = folder.ancestors().nth(1).map(Path::to_owned).filter(|_| sapi == Sapi::Litespeed);
        SCANNED.iter().map(move |name| folder.join(name)).chain(lsws.map(|folder| folder.join("mods-available")))
    });
    all.into_iter().find(|folder| host.stat(folder).is_ok_and(|meta| meta.kind == Kind::Folder))
}

fn places(binary: &Path, sapi: Sapi, branch: &str) -> Vec<String> {
    let debian = match sapi {
        Sapi::Apache => "apache2",
        Sapi::Litespeed => "litespeed",
        other => other.as_str(),
    };
    let Some(prefix) = prefix(binary) else {
        let short = branch.replace('.', "");
        let major = branch.split('.').next().unwrap_or_default();
        return vec![
            format!("/etc/php/{branch}/{debian}/php.ini"),
            "/etc/php.ini".to_owned(),
            format!("/etc/php{short}/php.ini"),          // Alpine
            format!("/etc/php{major}/{debian}/php.ini"), // SUSE
            "/etc/php/php.ini".to_owned(),               // Arch
        ];
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
