//! What lies between the parts: names of this machine, policy files, the pipeline as ingest sees it.

use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use plumb_proto::limits;
use plumb_proto::time::Timestamp;

use crate::drift::policy::Source;
use crate::ingest;
use crate::pipeline::Pipeline;
use crate::store::{Incoming, Tx};

/// A record that was sealed longer ago than this comes from a backlog: people are told how its host stands once it has
/// caught up. Records are sealed once a minute at least, and an agent comes back within a minute.
const BACKLOG: Duration = Duration::from_secs(180);
/// Policy files in one folder.
const POLICY_FILES: usize = 1_000;

/// The pipeline, as ingest calls it.
pub(super) struct Taking {
    pub(super) pipeline: Arc<Pipeline>,
}

impl ingest::Pipeline for Taking {
    fn take(&self, tx: &mut dyn Tx, incoming: &Incoming<'_>) -> Result<()> {
        let sealed = Timestamp::from_millis(incoming.record.header.t_wall_ns / 1_000_000 - incoming.skew_ms);
        let caught_up = incoming.received.since(sealed) < BACKLOG;
        self.pipeline.take(tx, incoming, caught_up).map(drop)
    }
}

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
    let mut sources = Vec::new();
    for folder in folders {
        let what = || format!("policy folder {}", folder.display());
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(what),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.with_context(what)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
            ensure!(paths.len() <= POLICY_FILES, "{}: more than {POLICY_FILES} files", what());
        }
        paths.sort();
        for path in paths {
            let name = path.display().to_string();
            let mut text = String::new();
            let limit = limits::CONFIG_FILE as u64;
            let file = std::fs::File::open(&path).with_context(|| name.clone())?;
            file.take(limit + 1).read_to_string(&mut text).with_context(|| name.clone())?;
            ensure!(text.len() <= limits::CONFIG_FILE, "{name}: larger than {limit} bytes");
            sources.push(Source { name, text });
        }
    }
    Ok(sources)
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

    #[test]
    fn policy_files_are_read_by_folder_and_name_and_an_absent_folder_has_none() {
        let folder = std::env::temp_dir().join(format!("plumb-policy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in [("20.toml", "b"), ("10.toml", "a"), ("readme.txt", "c")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let sources = policy_sources(&[PathBuf::from("/nowhere/at/all"), folder.clone()]).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(sources.iter().map(|source| source.text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
