//! What PHP's settings are, as configured on disk: built-in defaults, then php.ini, then the files on top of it in the order
//! of their names, then what a pool says. Only those settings that are told ([`KNOWN`]), and the names of extensions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use super::places::Sapi;
use super::{Pool, ini, layout};
use crate::host::pattern::expand_within;
use crate::host::{Host, HostError};

/// Bytes of one file.
const FILE: usize = 1 << 20;
/// Files on top of php.ini.
const FILES: usize = 512;
/// Extensions of one PHP.
const EXTENSIONS: usize = 256;

/// The setting that names the file that a site may have of its own ([`super::user`]); empty: none is read.
pub(super) const NAMED_BY: &str = "user_ini.filename";
/// The settings that are read, with PHP's built-in defaults (main/main.c, ext/opcache/zend_accelerator_module.c and
/// ext/date/php_date.c of its source).
pub const KNOWN: [(&str, &str); 15] = [
    ("memory_limit", "128M"),
    ("max_execution_time", "30"),
    ("upload_max_filesize", "2M"),
    ("post_max_size", "8M"),
    ("display_errors", "1"),
    ("error_log", ""),
    ("open_basedir", ""),
    ("disable_functions", ""),
    ("expose_php", "1"),
    ("allow_url_include", "0"),
    ("opcache.enable", "1"),
    ("opcache.memory_consumption", "128"),
    ("opcache.max_accelerated_files", "10000"),
    ("opcache.validate_timestamps", "1"),
    ("date.timezone", "UTC"),
];

/// Whether a setting is one of those that are read, loads an extension, or names the file that a site may have of its own.
#[must_use]
pub fn is_known(name: &str) -> bool {
    name == "extension" || name == NAMED_BY || KNOWN.iter().any(|(known, _)| *known == name)
}

/// Values by name, each as it is written, or why it is not known. What is not in it has its default.
pub type Values = BTreeMap<&'static str, Result<String, String>>;

/// What php.ini and the files on top of it say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// What they set.
    pub values: Values,
    /// Names of the extensions that they load, in small letters, without `.so`.
    pub extensions: BTreeSet<String>,
    /// How they call the file that a site may have of its own, if they say so ([`super::user`]).
    pub user_ini: Option<String>,
    /// When the newest of them was changed, and which that is.
    pub changed: Option<(Timestamp, PathBuf)>,
    /// Tells whether any other setting has changed.
    pub other: u64,
    /// What could not be read.
    pub problems: Vec<HostError>,
    /// php.ini and the folder of the others.
    pub files: Vec<PathBuf>,
}

impl Configured {
    /// Reads what a program reads at its start.
    #[must_use]
    pub fn read(host: &Host, binary: &Path, sapi: Sapi, branch: &str) -> Self {
        let mut found = Self::default();
        match layout::ini(host, binary, sapi, branch) {
            Ok(Some(path)) => found.file(host, Path::new(&path)),
            Ok(None) => {}
            Err(error) => found.unreadable(error),
        }
        let Some(folder) = layout::scanned(host, binary, sapi, branch) else { return found };
        let mut failed = Vec::new();
        let mut left = FILES;
        let mut files = expand_within(host, &folder.join("*.ini"), &mut left, &mut |error| failed.push(error));
        failed.into_iter().for_each(|error| found.unreadable(error));
        files.sort_unstable();
        found.files.push(folder);
        files.iter().for_each(|path| found.file(host, path));
        // php.ini and the folder, not each file in it.
        found.files.truncate(2);
        found
    }

    fn file(&mut self, host: &Host, path: &Path) {
        if self.files.len() < 2 {
            self.files.push(path.to_owned());
        }
        let mut text = Vec::new();
        let read = host.open(path).and_then(|mut file| {
            let changed = file.meta().identity.modified();
            if self.changed.as_ref().is_none_or(|(newest, _)| *newest < changed) {
                self.changed = Some((changed, path.to_owned()));
            }
            file.read_into(FILE, &mut text)
        });
        match read {
            Ok(()) => {}
            Err(error) if error.is_absent() => return, // gone since, or a link to what is gone
            Err(error) => return self.unreadable(error),
        }
        ini::parse(&text, &mut |section, name, value| {
            if holds_always(section) {
                self.take(name, value);
            }
        });
    }

    fn take(&mut self, name: &str, value: ini::Value) {
        if let ("extension" | "zend_extension", Ok(file)) = (name, &value) {
            if self.extensions.len() < EXTENSIONS {
                self.extensions.extend(extension(file));
            }
            return;
        }
        if let Some((known, _)) = KNOWN.iter().find(|(known, _)| *known == name) {
            self.values.insert(known, value.map_err(str::to_owned));
            return;
        }
        self.other = self.other.rotate_left(1) ^ digest(name, &value);
        if let (NAMED_BY, Ok(file)) = (name, value) {
            self.user_ini = Some(file);
        }
    }

    /// What it sets may be anything.
    fn unreadable(&mut self, error: HostError) {
        let why = error.to_string();
        self.values.extend(KNOWN.iter().map(|(name, _)| (*name, Err(why.clone()))));
        if self.problems.len() < 16 {
            self.problems.push(error);
        }
    }

    /// What holds in a pool.
    #[must_use]
    pub fn in_pool(&self, pool: &Pool) -> Values {
        let mut values = self.values.clone();
        // The words of the administrator come last.
        for kind in ["php_value", "php_flag", "php_admin_value", "php_admin_flag"] {
            for (name, _) in KNOWN {
                let directive = format!("{kind}[{name}]");
                if let Some(value) = pool.values.get(&directive) {
                    let value = match values.get(name) {
                        // Functions can only be taken away: fpm_php_zend_ini_alter_master of PHP's source.
                        Some(Ok(before)) if name == "disable_functions" && !before.is_empty() => {
                            format!("{before},{value}")
                        }
                        _ => value.clone(),
                    };
                    values.insert(name, Ok(value));
                } else if let Some(why) = pool.unknown.get(&directive) {
                    values.insert(name, Err((*why).to_owned()));
                }
            }
        }
        values
    }
}

/// A number that another name or value almost surely has not (FNV-1a): it is kept, so it must stay the same from one release
/// to the next.
#[must_use]
pub fn digest(name: &str, value: &ini::Value) -> u64 {
    let (Ok(text) | Err(text)) = value.as_deref().map_err(|why| *why);
    let bytes = name.bytes().chain([0]).chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether what stands in a section holds for all requests. Sections are words for people but for two kinds of them.
pub(super) fn holds_always(section: &str) -> bool {
    let start = section.get(..5).unwrap_or_default();
    !["PATH=", "HOST="].iter().any(|some| start.eq_ignore_ascii_case(some))
}

/// The name of an extension by the name or path of its file, such as `/usr/lib/php/20220829/redis.so`.
fn extension(file: &str) -> Option<String> {
    let name = file.rsplit('/').next()?.trim();
    let name = name.strip_suffix(".so").unwrap_or(name).to_ascii_lowercase();
    let fine = !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
    fine.then_some(name)
}

/// A setting as it is written: of those that hold, or PHP's default.
///
/// # Errors
/// Why it is not known.
pub fn value<'a>(values: &'a Values, name: &str) -> Result<&'a str, &'a str> {
    match values.get(name) {
        Some(Ok(value)) => Ok(value),
        Some(Err(why)) => Err(why),
        None => Ok(KNOWN.iter().find(|(known, _)| *known == name).map_or("", |(_, default)| default)),
    }
}

/// A number of bytes as PHP reads it (zend_ini_parse_quantity in Zend/zend_ini.c): digits, and at the very end a letter that
/// multiplies, so that `128MB` are 128 bytes and `1.5G` is one GiB. What begins with no number is zero.
#[must_use]
pub fn quantity(text: &str) -> i64 {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ if digits.starts_with('0') => (8, digits),
        _ => (10, digits),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let number = i64::from_str_radix(&digits[..end], radix).unwrap_or(if end == 0 { 0 } else { i64::MAX });
    let number = if negative { number.saturating_neg() } else { number };
    let factor = match digits[end..].bytes().last().map(|byte| byte.to_ascii_lowercase()) {
        Some(b'k') => 1 << 10,
        Some(b'm') => 1 << 20,
        Some(b'g') => 1 << 30,
        _ => 1,
    };
    number.saturating_mul(factor)
}

/// Yes or no as PHP reads it (zend_ini_parse_bool): some words, or a number that is not zero. `stdout` and `stderr` are
/// words of display_errors; FPM shows errors to visitors with either.
#[must_use]
pub fn flag(text: &str) -> bool {
    let words = ["on", "yes", "true", "stdout", "stderr"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word)) || quantity(text) != 0
}
