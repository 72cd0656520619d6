//! The columns of a pool that its configuration tells.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::super::table::PHP_POOL;
use crate::fpm::Pool;
use crate::fpm::settings::{self, Configured, Values, flag, quantity};
use crate::watcher::Look;

/// How a setting is told.
#[derive(Clone, Copy)]
enum As {
    Bytes,
    Number,
    /// A number of MiB.
    Mebibytes,
    Flag,
    Text,
    Names,
}

const SETTINGS: [(&str, &str, As); 11] = [
    ("memory_limit", "memory_limit_bytes", As::Bytes),
    ("max_execution_time", "max_execution_time", As::Number),
    ("upload_max_filesize", "upload_max_filesize_bytes", As::Bytes),
    ("post_max_size", "post_max_size_bytes", As::Bytes),
    ("display_errors", "display_errors", As::Flag),
    ("error_log", "error_log", As::Text),
    ("open_basedir", "open_basedir", As::Text),
    ("disable_functions", "disabled_functions", As::Names),
    ("expose_php", "expose_php", As::Flag),
    ("allow_url_include", "allow_url_include", As::Flag),
    ("date.timezone", "timezone", As::Text),
];
const OPCACHE: [(&str, &str, As); 3] = [
    ("opcache.memory_consumption", "opcache_memory_bytes", As::Mebibytes),
    ("opcache.max_accelerated_files", "opcache_max_files", As::Number),
    ("opcache.validate_timestamps", "opcache_validate_timestamps", As::Flag),
];
const DIRECTIVES: [(&str, &str, As); 5] = [
    ("pm", "pm", As::Text),
    ("pm.max_children", "max_children", As::Number),
    ("pm.max_requests", "max_requests", As::Number),
    ("pm.status_path", "status_path", As::Text),
    ("slowlog", "slowlog", As::Text),
];

/// Tells all that is configured of a pool.
pub(super) fn tell(
    look: &mut Look<'_>,
    pool: &Pool,
    (configured, values): (&Configured, &Values),
    php: Option<&String>,
) {
    let key = pool.key.as_str();
    let path: Untrusted = pool.config.as_os_str().as_bytes().into();
    let source = path.to_string();
    let mut row = Row { look, key, source: &source };
    row.known("config", Value::Text(path));
    if let Some(php) = php {
        row.text("php", php);
    }
    match pool.unknown.get("listen") {
        Some(why) => row.unknown("listen", why),
        None => row.text("listen", &pool.listen),
    }
    match pool.unknown.get("user") {
        Some(why) => row.unknown("user", why),
        None => row.text("user", pool.user.as_deref().unwrap_or_default()),
    }
    for (name, column, kind) in DIRECTIVES {
        match (pool.values.get(name), pool.unknown.get(name)) {
            (_, Some(why)) => row.unknown(column, why),
            (Some(text), None) => row.setting(column, text, kind),
            (None, None) if name == "pm.max_requests" => row.setting(column, "0", kind), // FPM's own default
            (None, None) => {}
        }
    }
    for (name, column, kind) in SETTINGS {
        match settings::value(values, name) {
            Ok(text) => row.setting(column, text, kind),
            Err(why) => row.unknown(column, why),
        }
    }
    opcache(&mut row, pool, configured, values);
}

fn opcache(row: &mut Row<'_, '_>, pool: &Pool, configured: &Configured, values: &Values) {
    // From PHP 8.5 on it is compiled in.
    let mut parts = pool.branch.split('.').map(str::parse::<u32>);
    let built_in =
        matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (8, 5));
    let loaded = built_in || configured.extensions.contains("opcache");
    match (settings::value(values, "opcache.enable"), configured.problems.first()) {
        (Ok(text), _) if loaded => {
            row.known("opcache", flag(text).into());
            if !flag(text) {
                return;
            }
            for (name, column, kind) in OPCACHE {
                match settings::value(values, name) {
                    Ok(text) => row.setting(column, text, kind),
                    Err(why) => row.unknown(column, why),
                }
            }
        }
        (Err(why), _) => row.unknown("opcache", why),
        (_, Some(error)) => row.unknown("opcache", &error.to_string()),
        (Ok(_), None) => row.known("opcache", false.into()),
    }
}

/// The row of one pool.
struct Row<'a, 'b> {
    look: &'a mut Look<'b>,
    key: &'a str,
    source: &'a str,
}

impl Row<'_, '_> {
    fn known(&mut self, column: &str, value: Value) {
        self.look.fact(&PHP_POOL, self.key, self.source, &[(column, value)]);
    }

    fn unknown(&mut self, column: &str, why: &str) {
        self.look.unknown(&PHP_POOL, self.key, column, why, "");
    }

    /// What is empty is not set.
    fn text(&mut self, column: &str, text: &str) {
        if !text.is_empty() {
            self.known(column, Value::Text(text.into()));
        }
    }

    fn setting(&mut self, column: &str, text: &str, kind: As) {
        match kind {
            As::Bytes | As::Number => self.known(column, quantity(text).into()),
            As::Mebibytes => self.known(column, quantity(text).saturating_mul(1 << 20).into()),
            As::Flag => self.known(column, flag(text).into()),
            As::Text => self.text(column, text),
            As::Names => {
                let names = text.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
                let names: BTreeSet<&str> = names.collect();
                if !names.is_empty() {
                    self.known(column, Value::List(names.into_iter().map(Into::into).collect()));
                }
            }
        }
    }
}
