//! How long a difference has to last before it is a drift: what a restart changes comes back by itself.

use std::time::Duration;

/// By table and column; no column: a row that is gone.
pub(super) fn of(table: &str, field: Option<&str>) -> Duration {
    Duration::from_secs(match (table, field) {
        ("service", Some("active")) => 5,
        // While systemd reads its files anew, what its generators made is not there.
        ("service", Some("enabled")) => 60,
        // As long as its service is given: a server that does not listen again by then is missed already.
        ("listener", _) => 5,
        // A link that goes down and up, or a lease that is asked for anew.
        ("interface", _) => 60,
        // An updater takes the folder away before it puts the new one there, and files are half written for a moment: the next
        // look, a quarter of an hour later, sees the whole.
        ("cms" | "cms_extension" | "dependency_lock", None) | ("cms" | "cms_extension", Some("version" | "debug")) => {
            20 * 60
        }
        // Certbot puts its challenge into the configuration and takes it out again, and panels and editors write files
        // anew: for a moment sites are missing, or are other ones.
        ("site", _) => 120,
        // One package of a server is replaced by another: removed before the next is unpacked.
        ("web_server", None) => 120,
        // Upgrades and panels write configuration anew: for a moment files are half of themselves, or links lead nowhere. A
        // master that only its process tells of is not there while it is restarted.
        ("php_pool", None) | ("php", Some("extensions")) => 120,
        ("php_pool", Some(_)) => 10,
        _ => 0,
    })
}
