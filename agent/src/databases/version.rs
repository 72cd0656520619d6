//! Which version is installed, and which one runs: by the package, else by the binary, else in the server's own words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plumb_proto::untrusted::Untrusted;

use super::find::{Binary, Found, Server};
use super::{Instance, Product};
use crate::host::binary::Finding;
use crate::host::packages::Package;
use crate::host::{Host, Identity};

/// What a server says instead of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It lets nobody in, in its own words: that is a finding.
    Turned(String),
    /// It cannot be asked, or is not understood.
    Silent(String),
}

/// What tells a process from all others.
type Born = (u32, u64);

/// What binaries and servers have said, as long as they stay as they are.
#[derive(Default)]
pub(super) struct Versions {
    files: BTreeMap<PathBuf, (Identity, Finding)>,
    /// What each process was known to run before its program was replaced.
    running: BTreeMap<Born, Untrusted>,
    /// Each process is asked once.
    asked: BTreeMap<Born, Result<String, Refusal>>,
}

impl Versions {
    /// The installed version. `Ok(None)`: nothing is installed any more.
    pub(super) fn installed(
        &mut self,
        (product, host): (&dyn Product, &Host),
        instance: &Instance,
        binary: Option<&Binary>,
        package: Option<&Package>,
    ) -> Result<Option<Untrusted>, (String, &'static str)> {
        if let Some(package) = package {
            return Ok(Some(package.upstream()));
        }
        let Some(binary) = binary else { return Ok(None) };
        let mut reason = ("neither a package nor the binary tells it".to_owned(), "");
        if let Some(mark) = product.program().mark {
            let known = self.files.get(&binary.real).filter(|(identity, _)| *identity == binary.identity);
            let finding = known.map(|(_, finding)| finding.clone()).unwrap_or_else(|| {
                let (finding, _) = host.version_in(&binary.real, mark);
                if !matches!(finding, Finding::Unreadable(_)) {
                    self.files.insert(binary.real.clone(), (binary.identity, finding.clone()));
                }
                finding
            });
            match finding {
                Finding::Version(version) => return Ok(Some(version)),
                Finding::Nothing => {}
                Finding::Unreadable(why) => reason = (why, "run the agent as root or grant it CAP_DAC_READ_SEARCH"),
            }
        }
        match instance
            .server
            .as_ref()
            .filter(|server| !server.replaced)
            .and_then(|server| self.asked(product, host, server, instance))
        {
            Some(Ok(version)) => Ok(Some(version.as_str().into())),
            Some(Err(Refusal::Turned(why) | Refusal::Silent(why))) => Err((why, "")),
            None => Err(reason),
        }
    }

    /// The version that a process runs; call it after [`Versions::installed`].
    pub(super) fn running(
        &mut self,
        server: &Server,
        installed: Option<&Untrusted>,
    ) -> Result<Untrusted, &'static str> {
        let born = (server.pid, server.birth.start);
        if server.replaced {
            return self.running.get(&born).cloned().ok_or("its program was replaced before it was first seen");
        }
        // In the middle of an upgrade the files may be new and the package database old, never the other way round.
        let version = installed.ok_or("the version of its program is not known")?;
        self.running.insert(born, version.clone());
        Ok(version.clone())
    }

    /// What a server has said when it was asked in this look for the first time, if it let nobody in.
    pub(super) fn turned_away(&self, server: &Server) -> Option<&str> {
        match self.asked.get(&(server.pid, server.birth.start)) {
            Some(Err(Refusal::Turned(why))) => Some(why),
            _ => None,
        }
    }

    /// Whether a server was asked already.
    pub(super) fn was_asked(&self, server: &Server) -> bool {
        self.asked.contains_key(&(server.pid, server.birth.start))
    }

    pub(super) fn forget_all_but(&mut self, found: &Found) {
        let runs = |born: &Born| found.servers.iter().any(|server| (server.pid, server.birth.start) == *born);
        self.running.retain(|born, _| runs(born));
        self.asked.retain(|born, _| runs(born));
        self.files.retain(|path, _| found.binaries.iter().any(|binary| binary.real == *path));
    }

    fn asked(
        &mut self,
        product: &dyn Product,
        host: &Host,
        server: &Server,
        instance: &Instance,
    ) -> Option<Result<String, Refusal>> {
        let born = (server.pid, server.birth.start);
        if let Some(said) = self.asked.get(&born) {
            return Some(said.clone());
        }
        let there = |socket: &&PathBuf| host.stat(socket).is_ok();
        let socket: &Path = instance.sockets.iter().find(there)?;
        let said = product.greeted(host, socket)?;
        self.asked.insert(born, said.clone());
        Some(said)
    }
}
