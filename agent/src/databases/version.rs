//! Which version is installed, and which one runs: by the package, else by the binary, else in the server's own words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::untrusted::Untrusted;

use super::find::{Binary, Found, Server};
use super::{Instance, Product};
use crate::host::binary::{Finding, LIMIT};
use crate::host::packages::Package;
use crate::host::{Host, Identity};

/// What a server says instead of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It lets nobody in, in its own words: that is a finding.
    Turned(String),
    /// It knows us not, or wants what we do not have: why, and what would help.
    Denied(String, &'static str),
    /// It says nothing, or is not understood.
    Silent(String),
    /// There was nobody to be asked: it may be later.
    Away(String),
}

/// A server that says nothing takes a second; in one look no more than so many do.
const MAX_WAITS: usize = 5;
/// A server that lets nobody in is asked again after so long.
const AGAIN: Duration = Duration::from_secs(60);

/// What tells a process from all others.
type Born = (u32, u64);

/// What binaries and servers have said, as long as they stay as they are.
#[derive(Default)]
pub(super) struct Versions {
    files: BTreeMap<PathBuf, (Identity, Finding)>,
    /// What each process was known to run before its program was replaced.
    running: BTreeMap<Born, Untrusted>,
    /// Each process is asked once, when it lets us connect; one that lets nobody in is asked again, to know when it does.
    asked: BTreeMap<Born, (Duration, Result<String, Refusal>)>,
    /// When this look began, in monotonic time.
    now: Duration,
    /// Servers that kept us waiting in this look.
    waited: usize,
}

impl Versions {
    /// A look begins.
    pub(super) fn begin(&mut self, now: Duration) {
        (self.waited, self.now) = (0, now);
    }

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
                let (finding, read) = host.version_in(&binary.real, mark);
                // One that was read as far as is ever read will say no more the next time.
                if !matches!(finding, Finding::Unreadable(..)) || read >= LIMIT {
                    self.files.insert(binary.real.clone(), (binary.identity, finding.clone()));
                }
                finding
            });
            match finding {
                Finding::Version(version) => return Ok(Some(version)),
                Finding::Nothing => {}
                Finding::Unreadable(why, hint) => reason = (why, hint),
            }
        }
        if let Some(version) = product.beside(host, &binary.path) {
            return Ok(Some(version.as_str().into()));
        }
        match instance
            .server
            .as_ref()
            .filter(|server| !server.replaced)
            .and_then(|server| self.asked(product, host, server, instance))
        {
            Some(Ok(version)) => Ok(Some(version.as_str().into())),
            Some(Err(Refusal::Turned(why) | Refusal::Silent(why) | Refusal::Away(why))) => Err((why, "")),
            Some(Err(Refusal::Denied(why, hint))) => Err((why, hint)),
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

    /// What a server has said when it was last asked, if it let nobody in.
    pub(super) fn turned_away(&self, server: &Server) -> Option<&str> {
        match self.asked.get(&(server.pid, server.birth.start)) {
            Some((_, Err(Refusal::Turned(why)))) => Some(why),
            _ => None,
        }
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
        match self.asked.get(&born) {
            Some((at, Err(Refusal::Turned(_)))) if self.now >= *at + AGAIN => {}
            Some((_, said)) => return Some(said.clone()),
            None => {}
        }
        let there = |socket: &&PathBuf| host.stat(socket).is_ok();
        let socket: &Path = instance.sockets.iter().find(there)?;
        if self.waited >= MAX_WAITS {
            return Some(Err(Refusal::Away("not asked yet: others keep the agent waiting".to_owned())));
        }
        let said = product.greeted(host, socket)?;
        self.waited += usize::from(matches!(said, Err(Refusal::Silent(_))));
        if !matches!(said, Err(Refusal::Away(_))) {
            self.asked.insert(born, (self.now, said.clone()));
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::databases::Program;
    use crate::host::binary::Mark;
    use crate::host::proc::Birth;
    use crate::state::testing::Folder;

    const PROGRAM: Program = Program {
        files: &["based"],
        aliases: &[],
        names: &["based"],
        hosted: &[],
        passing: &[],
        packages: &[],
        mark: Some(Mark::Before(b"based version ")),
    };

    /// Answers each time as it was told, and counts how often it was asked.
    struct Asked {
        times: Cell<usize>,
        answer: fn(usize) -> Result<String, Refusal>,
    }

    impl Asked {
        fn answering(answer: fn(usize) -> Result<String, Refusal>) -> Self {
            Self { times: Cell::new(0), answer }
        }
    }

    impl Product for Asked {
        fn program(&self) -> &'static Program {
            &PROGRAM
        }

        fn wake(&self) -> &'static [&'static str] {
            &[]
        }

        fn instances(&self, _: &Host, _: &[Binary], _: &[Server]) -> Vec<Instance> {
            Vec::new()
        }

        fn greeted(&self, _: &Host, _: &Path) -> Option<Result<String, Refusal>> {
            self.times.set(self.times.get() + 1);
            Some((self.answer)(self.times.get()))
        }
    }

    fn scene(size: u64) -> (Folder, Host, Instance, Binary) {
        let folder = Folder::new();
        std::fs::File::create(folder.path().join("based")).unwrap().set_len(size).unwrap();
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let binary =
            Binary { path: "/based".into(), real: "/based".into(), identity: host.stat("/based").unwrap().identity };
        let server = Server {
            pid: 7,
            birth: Birth { parent: 1, start: 1 },
            exe: "/based".into(),
            hosted: None,
            replaced: false,
            name: "based".to_owned(),
            words: Vec::new(),
            folder: None,
        };
        let instance = Instance {
            key: "based/main".to_owned(),
            binary: "/based".into(),
            server: Some(server),
            listen: Ok(Vec::new()),
            datadir: None,
            sockets: vec!["/based".into()],
        };
        (folder, host, instance, binary)
    }

    #[test]
    fn a_server_that_let_nobody_connect_is_asked_again_and_then_no_more() {
        let (_folder, host, instance, binary) = scene(10);
        let late = |time| if time > 1 { Ok("7.1".to_owned()) } else { Err(Refusal::Away("not yet".to_owned())) };
        let (mut versions, product) = (Versions::default(), Asked::answering(late));
        let mut ask = || versions.installed((&product, &host), &instance, Some(&binary), None);
        assert_eq!(ask(), Err(("not yet".to_owned(), "")));
        assert_eq!((ask(), ask()), (Ok(Some("7.1".into())), Ok(Some("7.1".into()))));
        assert_eq!(product.times.get(), 2);
    }

    #[test]
    fn a_server_that_lets_nobody_in_is_asked_again_after_a_minute() {
        let (_folder, host, instance, binary) = scene(10);
        let full = |time| if time > 1 { Ok("7.1".to_owned()) } else { Err(Refusal::Turned("1040 full".to_owned())) };
        let (mut versions, product) = (Versions::default(), Asked::answering(full));
        let server = instance.server.as_ref().unwrap();
        let mut ask = |seconds| {
            versions.begin(Duration::from_secs(seconds));
            let told = versions.installed((&product, &host), &instance, Some(&binary), None);
            (told.is_ok(), versions.turned_away(server).map(str::to_owned))
        };
        let refused = (false, Some("1040 full".to_owned()));
        assert_eq!((ask(0), ask(59), ask(60)), (refused.clone(), refused, (true, None)));
        assert_eq!(product.times.get(), 2);
    }

    #[test]
    fn a_look_waits_for_five_silent_servers_and_the_next_one_for_the_others() {
        let (_folder, host, instance, binary) = scene(10);
        let (mut versions, product) =
            (Versions::default(), Asked::answering(|_| Err(Refusal::Silent("nothing".to_owned()))));
        let mut ask_all = || {
            versions.begin(Duration::ZERO);
            for pid in 1..=7 {
                let server = instance.server.clone().map(|server| Server { pid, ..server });
                let instance = Instance { server, ..instance.clone() };
                versions.installed((&product, &host), &instance, Some(&binary), None).unwrap_err();
            }
            product.times.get()
        };
        assert_eq!((ask_all(), ask_all(), ask_all()), (5, 7, 7));
    }

    #[test]
    fn a_binary_that_tells_nothing_in_all_that_is_ever_read_of_it_is_read_once() {
        let (folder, host, instance, binary) = scene(LIMIT + 1);
        let instance = Instance { server: None, ..instance };
        let late = |time| if time > 1 { Ok("7.1".to_owned()) } else { Err(Refusal::Away("not yet".to_owned())) };
        let (mut versions, product) = (Versions::default(), Asked::answering(late));
        let mut ask = || versions.installed((&product, &host), &instance, Some(&binary), None);
        let first = ask();
        std::fs::remove_file(folder.path().join("based")).unwrap();
        assert_eq!(ask(), first);
    }
}
