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
    Package { version: version.into(), optional, dev: false }
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
/// `;`) may be missing.
pub fn requirements(line: &str, found: &mut Packages) {
    let line = line.split(" #").next().unwrap_or_default().trim();
    let (wanted, marker) = line.split_once(';').map_or((line, false), |(wanted, _)| (wanted, true));
    let Some((name, version)) = wanted.split_once("==") else { return };
    let name = name.split('[').next().unwrap_or_default().trim();
    let version = version.trim_start_matches('=').split([' ', '\\', ',']).find(|part| !part.is_empty());
    let Some(version) = version.filter(|version| !version.contains('*')) else { return };
    if !name.is_empty() && !name.starts_with(['#', '-']) {
        found.add(&python_name(name), locked(version, marker));
    }
}

/// Reads `[[package]]` tables of poetry.lock and uv.lock, line by line. They name packages of all systems and groups, so any
/// may be missing.
#[derive(Debug, Default)]
pub struct TomlPackages {
    name: Option<String>,
    inside: bool,
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
            self.inside = line.trim_end() == "[[package]]";
            self.name = None;
        } else if self.inside
            && let Some((key, value)) = line.split_once('=')
        {
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "name" => self.name = Some(python_name(value)),
                // The project itself is one of uv's, without a version or with one that nobody installs.
                "version" => {
                    if let Some(name) = self.name.take() {
                        found.add(&name, locked(value, true));
                    }
                }
                _ => {}
            }
        }
    }
}

/// One line of a Gemfile.lock: gems of its `specs:` stand four blanks in; what they need stands deeper.
pub fn bundler(line: &str, found: &mut Packages) {
    let Some(rest) = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' ')) else { return };
    let Some((name, version)) = rest.split_once(" (") else { return };
    // Behind a dash stands the system that it is built for: 1.16.0-x86_64-linux.
    let version = version.trim_end_matches(')').split('-').next().unwrap_or_default();
    if version.starts_with(|first: char| first.is_ascii_digit()) {
        found.add(name, locked(version, false));
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

/// Name and version of `Django-4.2.7.dist-info` (packaging.python.org, recording installed projects).
#[must_use]
pub fn dist_info(folder: &str) -> Option<(String, &str)> {
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
