//! Certificates: in the files that servers are told to read, in the stores of those who renew them, and as they are
//! presented to visitors; and whether those who renew them still do.
//!
//! A renewed file changes nothing until the server has loaded it, so what counts is asked of the server: by a TLS
//! handshake with listeners of this machine, as a visitor would begin it ([`crate::host::tls`]). Mail servers note each
//! such visit in their logs, so of these only the files are looked at.

mod compare;
mod files;
mod renewal;
mod served;
mod stores;
mod tables;
mod tell;
pub mod timing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::sockets::Socket;
use crate::host::{Host, HostError};
use crate::watcher::{Look, Progress, Spec, Watcher, minutes};
use crate::web::{self, Site, Web, running};
use compare::Purpose;
use files::Files;
use served::{Door, Visits};
use stores::Lineage;
use tables::{CERTIFICATE, RENEWAL};

/// The watcher `certificates`.
pub const SPEC: Spec = Spec::new::<Certificates>(
    "certificates",
    minutes(10),
    &[&CERTIFICATE, &RENEWAL],
    r#"
# Asks the TLS listeners of this machine which certificate they present.
handshakes = true
"#,
);

/// Files that are read in one slice of a look.
const FILES: usize = 64;
/// Listeners that are visited in one slice.
const VISITS: usize = 4;
/// Rows of the table `certificate`.
const ROWS: usize = 500;
/// Names and ports that are visited.
const DOORS: usize = 500;
/// Files that a change of brings the next look forward.
const WATCHED: usize = 100;
/// No other listener is visited in a slice that took so long.
const SLICE: Duration = Duration::from_millis(50);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificates {
    handshakes: bool,
    #[serde(skip)]
    files: Files,
    #[serde(skip)]
    visits: Visits,
    #[serde(skip)]
    web: Option<Web>,
    #[serde(skip)]
    begun: Option<Begun>,
    /// Files of the last look that servers are told to read, and the newest of each lineage.
    #[serde(skip)]
    watched: BTreeSet<PathBuf>,
    /// How soon it wants to look again.
    #[serde(skip)]
    again: Option<Duration>,
}

/// A look between two slices.
#[derive(Default)]
struct Begun {
    lineages: Vec<Lineage>,
    /// Lineages by their places, and by what they are for.
    places: BTreeMap<PathBuf, usize>,
    purposes: BTreeMap<Purpose, usize>,
    /// Files that a server is told to read, with who is.
    used: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Files still to be read.
    todo: VecDeque<PathBuf>,
    /// All doors, and those still to be told.
    doors: Vec<Door>,
    next: usize,
    listening: Vec<Socket>,
    rows: usize,
    /// Runs that those who renew have missed.
    missed: BTreeMap<&'static str, u64>,
    has_told: bool,
}

impl Watcher for Certificates {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => match self.begin(look)? {
                Some(begun) => begun,
                None => return Ok(Progress::Absent),
            },
        };
        let more = self.go_on(look, &mut begun);
        if more {
            self.begun = Some(begun);
            return Ok(Progress::More);
        }
        self.again = self.visits.again(look.host.clock().monotonic());
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let stores = stores::WATCHED.iter().map(PathBuf::from);
        let timers = Path::new("/etc/systemd/system/timers.target.wants").to_owned();
        stores.chain([timers]).chain(self.watched.iter().cloned()).collect()
    }

    fn again(&self) -> Option<Duration> {
        self.again
    }
}

impl Certificates {
    /// Finds what there is. `None`: nothing.
    fn begin(&mut self, look: &mut Look<'_>) -> anyhow::Result<Option<Begun>> {
        look.host.check()?;
        let mut failed: Vec<HostError> = Vec::new();
        let lineages = stores::lineages(look.host, &mut |error| failed.push(error));
        let mail = stores::of_mail(look.host, &mut |error| failed.push(error));
        if self.web.as_ref().is_none_or(|web| !web.is_current(look.host)) {
            self.web = Some(web::read(look.host));
        }
        let sites = self.web.as_ref().map_or(&[][..], |web| &web.sites);
        let mut used: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for site in sites {
            for tls in &site.tls {
                used.entry(tls.certificate.clone()).or_default().insert(site.key());
            }
        }
        for (path, server) in mail {
            used.entry(path).or_default().insert(server.to_owned());
        }
        let mut doors: Vec<Door> = Vec::new();
        let mut listening = Vec::new();
        if self.handshakes && look.host.is_live() && sites.iter().any(|site| site.encrypted) {
            match look.host.listening() {
                Ok(sockets) => listening = sockets,
                Err(error) => failed.push(error),
            }
            doors = self.doors(look.host, sites, &listening);
        }
        self.tell_limits(look, &failed, doors.len());
        doors.truncate(DOORS);
        self.visits.keep(&doors);
        if lineages.is_empty() && used.is_empty() && doors.is_empty() {
            return Ok(if failed.is_empty() { None } else { Some(Begun { has_told: true, ..Begun::default() }) });
        }
        let all = || used.keys().chain(lineages.iter().flat_map(|each| [&each.file].into_iter().chain(&each.newest)));
        let todo: BTreeSet<PathBuf> = all().cloned().collect();
        self.files.keep(&todo);
        self.watched = used.keys().take(WATCHED).cloned().collect();
        Ok(Some(Begun { lineages, used, todo: todo.into_iter().collect(), doors, listening, ..Begun::default() }))
    }

    /// Names and ports where somebody can be visited, and those where somebody could be before: a server that is down for
    /// a moment, or still starting, takes nothing away. That one which should run does not is told elsewhere.
    fn doors(&self, host: &Host, sites: &[Site], listening: &[Socket]) -> Vec<Door> {
        let masters = running::masters(host).ok();
        let running = masters.map(|all| all.iter().map(|master| master.product).collect::<Vec<_>>());
        let mut settles = None; // asked once, if at all
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut doors: Vec<Door> = Vec::new();
        for mut door in sites.iter().flat_map(Door::of) {
            let known = self.visits.knows(&door);
            door.shut = door.why_shut(listening, running.as_deref());
            if let Some(why) = door.shut.as_mut().filter(|_| !known) {
                let Some(settles) = *settles.get_or_insert_with(|| host.settles()) else { continue };
                *why = format!("{why}, but {settles}");
            }
            match places.get(&door.key).and_then(|place| doors.get_mut(*place)) {
                // Of two servers for the same name and port the one that is there counts.
                Some(known) if known.shut.is_some() && door.shut.is_none() => *known = door,
                Some(_) => {}
                None => {
                    places.insert(door.key.clone(), doors.len());
                    doors.push(door);
                }
            }
        }
        doors
    }

    /// What could not be looked at: rows that may be missing are unknown, not gone.
    fn tell_limits(&self, look: &mut Look<'_>, failed: &[HostError], doors: usize) {
        let web = self.web.iter().flat_map(|web| &web.problems);
        for error in failed.iter().chain(web).take(16) {
            look.problem(&CERTIFICATE, error.path.clone(), error.path.clone(), &error.kind, error.hint());
        }
        if doors > DOORS {
            look.problem(
                &CERTIFICATE,
                "",
                "",
                format!("more than {DOORS} sites with TLS: the rest is not visited"),
                "",
            );
        }
    }

    /// Goes on for a slice; `true` if there is more.
    fn go_on(&mut self, look: &mut Look<'_>, begun: &mut Begun) -> bool {
        if !begun.todo.is_empty() {
            let now = begun.todo.len().min(FILES);
            begun.todo.drain(..now).for_each(|path| self.files.read(look.host, &path));
            return true;
        }
        if !begun.has_told {
            begun.has_told = true;
            self.sort(begun);
            self.tell_renewals(look, begun);
            self.tell_files(look, begun);
            return begun.next < begun.doors.len();
        }
        let (mut visits, until) = (0, look.host.clock().monotonic() + SLICE);
        while begun.next < begun.doors.len()
            && visits < VISITS
            && (visits == 0 || look.host.clock().monotonic() < until)
        {
            visits += usize::from(self.knock(look.host, begun));
            self.tell_door(look, begun);
            begun.next += 1;
        }
        begun.next < begun.doors.len()
    }

    /// Visits the next door, if it is due.
    fn knock(&mut self, host: &Host, begun: &Begun) -> bool {
        let door = &begun.doors[begun.next];
        let held = door.files.iter().filter_map(|path| self.files.held(path));
        let held: String = held.map(|held| held.leaf.fingerprint.as_str()).collect();
        let due = self.visits.is_due(door, &held, host.clock().monotonic());
        if due {
            self.visits.visit(host, &begun.listening, door, held);
        }
        due && door.shut.is_none()
    }
}

impl Begun {
    /// The lineage that a file lies in.
    fn lineage_at(&self, path: &Path) -> Option<&Lineage> {
        let stem = path.with_extension("");
        let at = path.parent().and_then(|folder| self.places.get(folder)).or_else(|| self.places.get(&stem));
        self.lineages.get(*at?)
    }
}

#[cfg(test)]
mod tests;
