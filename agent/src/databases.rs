//! Database servers in general: which of their programs are installed, which of them run, in which version, and what is
//! told of that in the table `database`. What is special about a product says its watcher ([`Product`]).
//!
//! A look is cheap: every few seconds the known processes are asked whether they are still there; all processes and
//! all configuration are gone through once a minute, and when something has woken the watcher.

mod find;
mod known;
pub mod login;
pub mod schema;
mod sizes;
mod tell;
mod version;
mod walk;
pub mod wire;
pub mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::binary::Mark;
use crate::host::packages::{DATABASES, Package, PackagesError};
use crate::host::{Host, pattern};
use crate::provenance::System;
use crate::tables::DATABASE;
use crate::watcher::{Look, Progress, Watcher};
use find::Found;
pub use find::{Binary, Server};
use login::{Answer, Login, Logins, Wanted};
use sizes::Sizes;
use version::Versions;
pub use walk::Layout;

/// Time between two looks at all processes and all configuration.
const FULL: Duration = Duration::from_secs(60);
/// Age of a list of processes that is new enough when something has just happened; events are heard of later than that.
const FRESH: Duration = Duration::from_millis(100);
/// Age of a list of processes that is new enough otherwise: one is read for all products, not one for each.
const SHARED: Duration = Duration::from_secs(5);
/// A server that a package manager has stopped is given so long to come back before it is called stopped.
const UPGRADE: Duration = Duration::from_secs(120);
/// A server that has stopped is looked for at every look for so long: until it is called stopped, and a bit longer.
const MISSED: Duration = Duration::from_secs(300);

/// What the program of a product looks like.
#[derive(Debug)]
pub struct Program {
    /// Names of its file where it is installed, the best one first.
    pub files: &'static [&'static str],
    /// Other names that the kernel may have for the file that runs, as the file may be a link.
    pub aliases: &'static [&'static str],
    /// Names of its processes, as the kernel has them (15 bytes at most).
    pub names: &'static [&'static str],
    /// For a program that another one runs (a virtual machine): beginnings of a word on its command line, which go before
    /// the folder that it is installed in, and the program below that folder which stands for it. Its processes are those
    /// of `aliases` and `names` that have such a word.
    pub hosted: &'static [(&'static str, &'static str)],
    /// Words on the command line of a process that is at some other work, and ends by itself.
    pub passing: &'static [&'static str],
    /// Beginnings of the names of packages that it comes in.
    pub packages: &'static [&'static str],
    /// What stands beside the version in its binary, if that can be told.
    pub mark: Option<Mark>,
}

/// One server, running or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Key of its row: `product/instance`.
    pub key: String,
    /// Its program, by the name that it is installed under.
    pub binary: PathBuf,
    /// The process, if it runs.
    pub server: Option<Server>,
    /// What it listens on as far as it can be seen, or why that cannot be told.
    pub listen: Result<Vec<String>, (String, &'static str)>,
    /// Its data folder, if it is known.
    pub datadir: Option<PathBuf>,
    /// Sockets on which it may be asked for its version when nothing else tells.
    pub sockets: Vec<PathBuf>,
}

/// A product: what only its watcher knows.
pub trait Product {
    /// Its program.
    fn program(&self) -> &'static Program;
    /// Folders and files of its own where it configures and shows itself: a change there brings a look forward.
    fn wake(&self) -> &'static [&'static str];
    /// All instances: the servers that run, and what is installed or configured and does not run.
    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance>;
    /// The version that a server has said on its socket, or what it said instead. `None`: it says nothing there.
    fn greeted(&self, _host: &Host, _socket: &Path) -> Option<Result<String, version::Refusal>> {
        None
    }
    /// The version as other files beside the program tell it, where neither its package nor itself does.
    fn beside(&self, _host: &Host, _binary: &Path) -> Option<String> {
        None
    }
    /// How it lays out its data.
    fn layout(&self) -> Layout {
        Layout::Plain
    }
    /// What a server says to somebody who logs in on its socket.
    ///
    /// # Errors
    /// It lets us not in, or says nothing that is understood.
    fn ask(&self, _: &Host, _: &Path, _: &Login, _: &[Wanted]) -> Result<Answer, Refusal> {
        Err(Refusal::Denied("there is no login for this product".to_owned(), ""))
    }
}

pub use version::Refusal;

/// The watcher of a product: its settings, and what it knows from look to look.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, bound = "P: Default")]
pub struct Watched<P> {
    /// Folders where the product may be installed; `*` stands for the name of one folder.
    folders: Vec<String>,
    /// User to log in as; empty: nobody. Products without a login have no such setting in their sample.
    #[serde(default)]
    login: String,
    /// File with that user's password; empty: there is none.
    #[serde(default)]
    password_file: String,
    #[serde(skip)]
    product: P,
    #[serde(skip)]
    databases: Databases,
}

impl<P: Product + Send> Watcher for Watched<P> {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let login = (!self.login.is_empty()).then_some((self.login.as_str(), self.password_file.as_str()));
        self.databases.poll(&self.product, (&self.folders, login), look)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let folders = self.folders.iter().map(|pattern| pattern::fixed_part(pattern));
        let all = DATABASES.iter().chain(self.product.wake()).map(PathBuf::from).chain(folders);
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The packages that programs belong to.
type Owners = Result<BTreeMap<PathBuf, Package>, PackagesError>;

/// What is known of a product's servers from look to look.
#[derive(Default)]
struct Databases {
    found: Found,
    instances: Vec<Instance>,
    /// Whose package the program of each is.
    owners: Option<Owners>,
    /// When all was gone through, in monotonic time.
    full: Option<Duration>,
    versions: Versions,
    system: System,
    sizes: Sizes,
    logins: Logins,
    /// Keys of those that let nobody in.
    refusing: BTreeSet<String>,
    /// A look goes on until all data folders were measured once.
    measuring: bool,
    /// Keys of those that ran some time.
    ran: BTreeSet<String>,
    /// Servers that do not run, and when that was first seen.
    stopped: BTreeMap<String, Duration>,
}

impl Databases {
    /// One look at all servers of a product.
    fn poll(
        &mut self,
        product: &dyn Product,
        (folders, login): (&[String], Option<(&str, &str)>),
        look: &mut Look<'_>,
    ) -> anyhow::Result<Progress> {
        look.host.check()?;
        let now = look.host.clock().monotonic();
        if self.measuring {
            // All else was told in the first slice of this look.
            if !look.trigger.is_empty() {
                self.full = None;
            }
            return Ok(self.measure(product, look, now));
        }
        let moved = !look.trigger.is_empty()
            || self.full.is_none()
            || !self.found.still_runs(look.host, &self.instances)
            || self.is_back(product, look.host, now);
        let due = self.full.is_none_or(|full| now >= full + FULL) || !look.host.is_live();
        if moved || due {
            self.go_through(product, folders, look, if moved { FRESH } else { SHARED }, now);
        }
        for error in &self.found.problems {
            // Whoever runs is found by its process, and what was seen there before stays told: no row is hidden by it.
            look.problem(&DATABASE, error.path.clone(), error.path.clone(), &error.kind, error.hint());
        }
        if self.instances.is_empty() {
            return Ok(if self.found.problems.is_empty() { Progress::Absent } else { Progress::Done });
        }
        self.tell(product, login, look, now);
        Ok(self.measure(product, look, now))
    }

    /// Goes on with the sizes of data folders. In the first look all are waited for; later ones are not held up.
    fn measure(&mut self, product: &dyn Product, look: &mut Look<'_>, now: Duration) -> Progress {
        self.measuring = self.sizes.slice(look, &self.instances, (product.layout(), &self.logins.known), now);
        if self.measuring {
            return Progress::More;
        }
        self.sizes.tell(look, &self.instances, &self.logins.known);
        Progress::Done
    }

    /// Whether one may have been started of those that stopped a while ago.
    fn is_back(&self, product: &dyn Product, host: &Host, now: Duration) -> bool {
        self.stopped.values().any(|since| now < *since + MISSED) && self.found.has_more(host, product.program(), SHARED)
    }

    /// Looks at all processes, programs and configuration anew.
    fn go_through(
        &mut self,
        product: &dyn Product,
        folders: &[String],
        look: &Look<'_>,
        max_age: Duration,
        now: Duration,
    ) {
        self.found = Found::look(look.host, product.program(), folders, max_age);
        let mut instances = product.instances(look.host, &self.found.binaries, &self.found.servers);
        // Known from before, but not found: it has stopped, as long as there is something to start again. What was only
        // installed, or only configured, is no more.
        let mut stopped = Vec::new();
        for known in self.instances.drain(..) {
            let data_is_there = known
                .datadir
                .as_ref()
                .is_none_or(|folder| look.host.stat(folder).map_or_else(|e| !e.is_absent(), |_| true));
            let can_start = self.found.hides(&known.binary).is_some()
                || self.ran.contains(&known.key)
                    && self.found.binaries.iter().any(|binary| binary.path == known.binary);
            match instances.iter_mut().find(|each| each.key == known.key) {
                // Of a stopped server configuration is all that there is; what was seen of it while it ran was better.
                Some(same) if same.server.is_none() => {
                    (same.datadir, same.listen) = (known.datadir.or(same.datadir.take()), known.listen);
                }
                None if can_start && data_is_there => stopped.push(Instance { server: None, ..known }),
                _ => {}
            }
        }
        // A program of which nothing but itself is there stands for a server that nobody has seen.
        instances.retain(|each| {
            let is_seen = each.server.is_some() || each.datadir.is_some();
            is_seen || stopped.iter().all(|known| known.binary != each.binary)
        });
        instances.append(&mut stopped);
        instances.sort_by(|one, other| one.key.cmp(&other.key));
        instances.dedup_by(|one, other| one.key == other.key);
        self.ran.extend(instances.iter().filter(|each| each.server.is_some()).map(|each| each.key.clone()));
        self.ran.retain(|key| instances.iter().any(|each| each.key == *key));
        // Package databases wake this watcher when they change, so between two of these they need not be asked.
        let programs: Vec<PathBuf> = instances.iter().map(|each| each.binary.clone()).collect();
        self.owners = Some(look.host.owners(&programs, product.program().packages));
        self.instances = instances;
        self.sizes.make_anew();
        self.full = Some(now);
        self.system = System::read(look.host);
        self.versions.forget_all_but(&self.found);
    }
}
