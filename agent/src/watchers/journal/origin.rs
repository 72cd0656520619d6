//! What wrote an entry. Only what journald found out by itself is relied on (`_SYSTEMD_UNIT`, `_TRANSPORT`): anybody may
//! call himself as he likes.

use std::borrow::Cow;

use crate::failures::Origin;
use crate::host::journal::Entry;

/// Beginnings of the names of units, or of identifiers where there is no unit.
const NAMES: [(&[u8], Origin); 13] = [
    (b"apache2", Origin::Apache),
    (b"exim", Origin::Mail),
    (b"httpd", Origin::Apache),
    (b"mariadb", Origin::Mysql),
    (b"mysql", Origin::Mysql),
    (b"nginx", Origin::Nginx),
    (b"openresty", Origin::Nginx),
    (b"percona", Origin::Mysql),
    (b"postfix", Origin::Mail),
    (b"postgres", Origin::Postgresql),
    (b"redis", Origin::Redis),
    (b"sendmail", Origin::Mail),
    (b"valkey", Origin::Redis),
];
/// Bytes of a source's name.
const NAME: usize = 100;

/// The origin of an entry; none for what is not searched: sessions of users, and plumb itself, which quotes others.
pub(super) fn of(entry: &Entry) -> Option<Origin> {
    let unit = &entry.unit;
    if entry.kernel {
        return Some(Origin::Kernel);
    }
    if unit.starts_with(b"session-") || unit.starts_with(b"user@") || unit.starts_with(b"plumb-") {
        return None;
    }
    let name = if unit.is_empty() { &entry.identifier } else { unit };
    if is_fpm(name) {
        return Some(Origin::Fpm);
    }
    let found = NAMES.iter().find(|(beginning, _)| name.starts_with(beginning)).map(|(_, origin)| *origin);
    Some(found.unwrap_or(Origin::System))
}

/// php8.2-fpm, php-fpm, php82-php-fpm, ea-php82-php-fpm, plesk-php83-fpm.
fn is_fpm(name: &[u8]) -> bool {
    let has = |piece: &[u8]| name.windows(piece.len()).any(|window| window == piece);
    has(b"php") && has(b"-fpm")
}

/// How the source of a failure is named: `journal/nginx.service`, `journal/kernel`.
pub(super) fn source(entry: &Entry) -> String {
    let name: &[u8] = match entry.kernel {
        true => b"kernel",
        false if entry.unit.is_empty() => &entry.identifier,
        false => &entry.unit,
    };
    let name: Cow<'_, str> = String::from_utf8_lossy(&name[..name.len().min(NAME)]);
    format!("journal/{name}")
}
