//! What whoever runs a site sets for it: `.user.ini` in its document root, the last layer of PHP's settings. PHP reads it at
//! requests, with no reload, and takes from it what may be set there (PHP_INI_PERDIR and PHP_INI_USER) and what the pool does
//! not lock.

use std::path::Path;

use super::settings::{Configured, KNOWN, NAMED_BY, holds_always};
use super::{Pool, ini};
use crate::host::{Host, HostError};

/// Bytes of one file.
const FILE: usize = 64 << 10;
/// What it may set, of the settings that are read: the others are the system's (PHP_INI_SYSTEM).
const SETTABLE: [&str; 9] = [
    "memory_limit",
    "max_execution_time",
    "upload_max_filesize",
    "post_max_size",
    "display_errors",
    "error_log",
    "open_basedir",
    "opcache.validate_timestamps",
    "date.timezone",
];
/// What it is called otherwise.
const USUAL: &str = ".user.ini";

/// Settings with their values as they are written, in the order of [`KNOWN`].
pub type Set = Vec<(&'static str, ini::Value)>;

/// The name of the file that PHP looks for in a pool; `None`: it looks for none.
#[must_use]
pub fn name<'a>(configured: &'a Configured, pool: &'a Pool) -> Option<&'a str> {
    let own = ["php_admin_value", "php_value"].iter().find_map(|kind| pool.values.get(&format!("{kind}[{NAMED_BY}]")));
    let name = own.or(configured.user_ini.as_ref()).map_or(USUAL, String::as_str);
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// What the file in one folder sets for a pool; nothing if it is not there.
///
/// # Errors
/// It cannot be read.
pub fn read(host: &Host, folder: &Path, name: &str, pool: &Pool) -> Result<Set, HostError> {
    let mut text = Vec::new();
    match host.read_into(folder.join(name), FILE, &mut text) {
        Ok(()) => {}
        Err(error) if error.is_absent() => return Ok(Set::new()),
        Err(error) => return Err(error),
    }
    let mut found: [Option<ini::Value>; KNOWN.len()] = [const { None }; KNOWN.len()];
    ini::parse(&text, &mut |section, name, value| {
        let is_read = |known: &str| known == name && SETTABLE.contains(&known) && holds_always(section);
        let place = KNOWN.iter().position(|(known, _)| is_read(known));
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            *slot = Some(value);
        }
    });
    let is_locked = |name: &str| {
        ["php_admin_value", "php_admin_flag"].iter().any(|kind| {
            let directive = format!("{kind}[{name}]");
            pool.values.contains_key(&directive) || pool.unknown.contains_key(&directive)
        })
    };
    let set = KNOWN.iter().zip(found).filter_map(|((name, _), value)| Some((*name, value?)));
    Ok(set.filter(|(name, _)| !is_locked(name)).collect())
}
