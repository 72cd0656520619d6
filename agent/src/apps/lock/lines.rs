//! Lock files that are read line by line, and names of files that tell a package and its version.

use std::io::{ErrorKind, Read};

use super::{Package, Packages};

/// Bytes of a line that are kept.
const LINE: usize = 4 << 10;
const BUFFER: usize = 32 << 10;

/// Hands over every line, without its end; one that is longer than 4 KiB is cut. Bytes that are no text are replaced.
///
/// # Errors
/// Reading failed.
pub fn each_line(from: &mut dyn Read, visit: &mut dyn FnMut(&str)) -> std::io::Result<()> {
    let (mut buffer, mut line) = (vec![0; BUFFER], Vec::new());
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut parts = buffer[..read].split(|byte| *byte == b'\n');
        let mut part = parts.next();
        while let Some(bytes) = part {
            line.extend_from_slice(&bytes[..bytes.len().min(LINE.saturating_sub(line.len()))]);
            part = parts.next();
            if part.is_some() {
                visit(String::from_utf8_lossy(&line).trim_end_matches('\r'));
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        visit(String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
    Ok(())
}

fn locked(version: &str, optional: bool) -> Package {
    Package { version: version.into(), optional, ..Package::default() }
}

/// The name of a Python package as all tools compare it (PEP 503).
#[must_use]
pub fn python_name(name: &str) -> String {
    let mut normal = String::new();
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.push(other.to_ascii_lowercase()),
        }
    }
    normal
}

/// One line of a file of requirements: only what is pinned to one version is kept. What holds on some systems only (behind
/// `;`) may be missing, or be there in another version for the sake of something else.
pub fn requirements(line: &str, found: &mut Packages) {
    let line = line.split(" #").next().unwrap_or_default().trim();
    let (wanted, marker) = line.split_once(';').map_or((line, false), |(wanted, _)| (wanted, true));
    let Some((name, version)) = wanted.split_once("==") else { return };
    let name = name.split('[').next().unwrap_or_default().trim();
    let version = version.trim_start_matches('=').split([' ', '\t', '\\', ',']).find(|part| !part.is_empty());
    let Some(version) = version.filter(|version| !version.contains(['*', '$'])) else { return };
    // An option, an address, or a range that has the two signs in it.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(is_name) {
        let package = Package { loose: marker, ..locked(version, marker) };
        found.add_version(&python_name(name), package);
    }
}

/// Reads `[[package]]` tables of poetry.lock and uv.lock, line by line. They name packages of all systems and groups, so any
/// may be missing, and of those in several versions any may be there. Folders of the project itself are none.
#[derive(Debug, Default)]
pub struct TomlPackages {
    name: Option<String>,
    version: Option<String>,
    own: bool,
    inside: Inside,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    Package,
    /// poetry.lock has a table of its own for where a package comes from.
    Source,
    #[default]
    Other,
}

/// Begins to read such a file.
#[must_use]
pub fn toml_packages() -> TomlPackages {
    TomlPackages::default()
}

impl TomlPackages {
    /// Takes the next line.
    pub fn line(&mut self, line: &str, found: &mut Packages) {
        if line.starts_with('[') {
            self.inside = match line.trim_end() {
                "[[package]]" => {
                    self.end(found);
                    Inside::Package
                }
                "[package.source]" => Inside::Source,
                _ => Inside::Other,
            };
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches('"');
            match (self.inside, key.trim()) {
                (Inside::Package, "name") => self.name = Some(python_name(value)),
                (Inside::Package, "version") => self.version = Some(value.to_owned()),
                (Inside::Package, "source") => {
                    let kind = value.trim_start_matches(['{', ' ']).split([' ', '=']).next();
                    self.own = matches!(kind, Some("virtual" | "editable" | "directory"));
                }
                (Inside::Source, "type") => self.own = value == "directory",
                _ => {}
            }
        }
    }

    /// Tells the last one.
    pub fn end(&mut self, found: &mut Packages) {
        if let (Some(name), Some(version), false) = (self.name.take(), self.version.take(), self.own) {
            found.add_version(&name, locked(&version, true));
        }
        self.own = false;
    }
}

/// One line of a Gemfile.lock: gems of its `specs:` stand four blanks in; what they need stands deeper. Those from a
/// repository or a folder are installed in other ways, and are left out; `section` is kept by the caller from line to line.
pub fn bundler(line: &str, section: &mut bool, found: &mut Packages) {
    if line.starts_with(|first: char| first.is_ascii_uppercase()) {
        *section = line == "GEM";
    }
    if !*section {
        return;
    }
    let Some(rest) = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' ')) else { return };
    let Some((name, version)) = rest.split_once(" (") else { return };
    // Behind a dash stands the system that it is built for: 1.16.0-x86_64-linux.
    let version = version.trim_end_matches(')').split('-').next().unwrap_or_default();
    if version.starts_with(|first: char| first.is_ascii_digit()) {
        found.add_version(name, locked(version, false));
    }
}

/// A line of yarn.lock that begins a package.
#[must_use]
pub fn yarn(line: &str) -> bool {
    line.ends_with(':') && !line.starts_with([' ', '#']) && line.contains('@')
}

/// A line of pnpm-lock.yaml within `packages:` that begins a package; `section` is kept by the caller from line to line.
pub fn pnpm(line: &str, section: &mut bool) -> bool {
    if !line.starts_with(' ') && !line.is_empty() {
        *section = line == "packages:";
        return false;
    }
    let begins = line.strip_prefix("  ").is_some_and(|rest| !rest.starts_with(' ') && rest.ends_with(':'));
    *section && begins
}

/// Name and version of `Django-4.2.7.dist-info` (packaging.python.org, recording installed projects) and of what setuptools
/// wrote before that and Debian still ships: `Django-3.2.25.egg-info`, `zope.interface-6.1-py3.11.egg-info`.
#[must_use]
pub fn dist_info(folder: &str) -> Option<(String, &str)> {
    if let Some(egg) = folder.strip_suffix(".egg-info") {
        let mut parts = egg.split('-');
        return Some((python_name(parts.next()?), parts.next()?));
    }
    let name = folder.strip_suffix(".dist-info")?;
    let (name, version) = name.rsplit_once('-')?;
    Some((python_name(name), version))
}

/// Name and version of `rack-2.2.8.gemspec` or `nokogiri-1.16.0-x86_64-linux.gemspec`.
#[must_use]
pub fn gemspec(file: &str) -> Option<(&str, &str)> {
    let whole = file.strip_suffix(".gemspec")?;
    // The version is the first part between dashes that begins with a digit and holds a point, or is the last one.
    let mut start = 0;
    while let Some(dash) = whole[start..].find('-') {
        let at = start + dash;
        let rest = &whole[at + 1..];
        let version = rest.split('-').next().unwrap_or_default();
        if version.starts_with(|first: char| first.is_ascii_digit())
            && (version.contains('.') || version.len() == rest.len())
        {
            return Some((&whole[..at], version));
        }
        start = at + 1;
    }
    None
}
