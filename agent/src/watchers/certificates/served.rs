//! What listeners present: which are visited, and what they said last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::host::sockets::Socket;
use crate::host::tls::{Endpoint, NOT_TLS, SILENT};
use crate::host::{ErrorKind, Host};
use crate::web::Site;
use crate::x509::{self, Certificate};

/// A listener is visited again after so long: a bit less than the time between two looks.
const AGAIN: Duration = Duration::from_secs(9 * 60);
/// One that does not speak TLS notes each visit in its logs: seldom.
const SELDOM: Duration = Duration::from_secs(3_600);
/// What is not as it should be is looked at again so soon, for so long; and so soon after that.
const SOON: Duration = Duration::from_secs(30);
const HURRY: Duration = Duration::from_secs(15 * 60);
const LATER: Duration = Duration::from_secs(120);

/// A name and a port of a site.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// Key of its row: `shop.example:443`.
    pub(super) key: String,
    /// The name that is asked for.
    pub(super) name: Option<String>,
    pub(super) endpoint: Endpoint,
    pub(super) server: &'static str,
    /// Key of the site.
    pub(super) site: String,
    /// Its names that a certificate can be for.
    pub(super) names: Vec<String>,
    /// The files that it is told to read.
    pub(super) files: Vec<PathBuf>,
    /// Why it is not visited: nobody is there.
    pub(super) shut: Option<String>,
}

impl Door {
    /// Where a site is to be visited.
    pub(super) fn of(site: &Site) -> Vec<Self> {
        if !site.encrypted {
            return Vec::new();
        }
        let is_name = |name: &&String| !name.starts_with('~') && !name.is_empty();
        let names: Vec<String> = site.names.iter().filter(is_name).cloned().collect();
        let plain = names.iter().find(|name| !name.contains('*')).cloned();
        // A visitor asks for a name below a pattern, not for the pattern.
        let below = || names.iter().find_map(|name| name.strip_prefix("*.").map(|rest| format!("www.{rest}")));
        let name = plain.or_else(below);
        // A site with a pattern that is none of these cannot be asked for.
        if name.is_none() && !site.names.is_empty() {
            return Vec::new();
        }
        let marked = site.listen.iter().any(|listen| has(listen, "ssl"));
        let mut doors: Vec<Self> = Vec::new();
        for listen in &site.listen {
            let address = listen.split(' ').next().unwrap_or_default();
            let Some(endpoint) = Endpoint::parse(address) else { continue };
            // Of those that are not marked, port 80 is spoken in the clear. Whoever expects a header of a proxy ahead of
            // everything else (`proxy_protocol`) notes each visit without it as an error.
            let encrypted = if marked { has(listen, "ssl") } else { endpoint.port() != 80 && !has(listen, "quic") };
            if !encrypted || has(listen, "proxy_protocol") {
                continue;
            }
            let key =
                format!("{}:{}", site.names.first().map_or("_", |_| name.as_deref().unwrap_or("_")), endpoint.port());
            match doors.iter_mut().find(|door| door.key == key) {
                // IPv4 and IPv6 of the same: the most general one counts.
                Some(door) => door.endpoint = better(door.endpoint, endpoint),
                None => doors.push(Self {
                    key,
                    name: name.clone(),
                    endpoint,
                    server: site.server,
                    site: site.key(),
                    names: names.clone(),
                    files: site.tls.iter().map(|tls| tls.certificate.clone()).collect(),
                    shut: None,
                }),
            }
        }
        doors
    }

    /// Why nobody is to be expected there, if so. `running`: products that run; `None`: that cannot be told.
    pub(super) fn why_shut(&self, listening: &[Socket], running: Option<&[&str]>) -> Option<String> {
        // On the same port somebody else may listen: a container, or the server that took its place.
        if running.is_some_and(|running| !running.contains(&self.server)) {
            return Some(format!("{} does not run", self.server));
        }
        (!self.endpoint.is_among(listening)).then(|| "nobody listens there".to_owned())
    }
}

/// Of two places of the same port the one that visitors are more likely to come to.
fn better(one: Endpoint, other: Endpoint) -> Endpoint {
    if one.is_loopback() != other.is_loopback() {
        return if one.is_loopback() { other } else { one };
    }
    one.min(other)
}

fn has(listen: &str, word: &str) -> bool {
    listen.split(' ').skip(1).any(|each| each == word)
}

/// What is presented at a door.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) leaf: Certificate,
    pub(super) complete: bool,
}

/// What was seen at a door last.
#[derive(Debug)]
struct Visit {
    at: Duration,
    /// What its files held then: another content calls for another visit.
    held: String,
    shown: Result<Shown, String>,
    /// What is presented is not what should be.
    differs: bool,
    /// The last visit came to nothing, and `shown` is of the one before.
    shaky: bool,
    /// Since when it is not as it should be.
    since: Option<Duration>,
}

/// All doors that are known.
#[derive(Debug, Default)]
pub(super) struct Visits {
    last: BTreeMap<String, Visit>,
    /// Listeners that did not answer, or not in TLS: until when they are left alone, and why.
    silent: BTreeMap<Endpoint, (Duration, &'static str)>,
}

impl Visits {
    /// Whether a door is to be visited: its time has come, its file has changed, or it was not as it should be.
    pub(super) fn is_due(&self, door: &Door, held: &str, now: Duration) -> bool {
        self.last.get(&door.key).is_none_or(|visit| {
            let hurries = visit.differs || visit.since.is_some_and(|since| now < since + HURRY);
            door.shut.is_some() || hurries || now >= visit.at + AGAIN || visit.held != held
        })
    }

    /// Visits a door; one that is shut is noted as such.
    pub(super) fn visit(&mut self, host: &Host, listening: &[Socket], door: &Door, held: String) {
        let now = host.clock().monotonic();
        let silent = self.silent.get(&door.endpoint).filter(|(until, _)| now < *until);
        let shown = match (&door.shut, silent) {
            (Some(why), _) => Err(why.clone()),
            (None, Some((_, why))) => Err((*why).to_owned()),
            (None, None) => {
                let presented = host.presented(door.endpoint, listening, door.name.as_deref());
                presented
                    .map_err(|error| {
                        match error.kind {
                            // Once in a look is enough for all of its names.
                            ErrorKind::Io(why) if error.kind == SILENT => {
                                self.silent.insert(door.endpoint, (now + AGAIN, why))
                            }
                            ErrorKind::Io(why) if error.kind == NOT_TLS => {
                                self.silent.insert(door.endpoint, (now + SELDOM, why))
                            }
                            _ => None,
                        };
                        error.to_string()
                    })
                    .and_then(|chain| show(&chain).map_err(|broken| broken.to_string()))
            }
        };
        self.take(door, held, shown, now);
    }

    /// Takes over what a visit has shown. A server that is restarted is away for a moment: one visit that comes to nothing
    /// is no reason to doubt what was seen before, but one to come again soon.
    fn take(&mut self, door: &Door, held: String, shown: Result<Shown, String>, now: Duration) {
        let before = self.last.remove(&door.key);
        let since = before.as_ref().and_then(|before| before.since);
        let visit = match (shown, before) {
            (Err(_), Some(before)) if before.shown.is_ok() && !before.shaky => {
                Visit { at: now, held, shaky: true, since: since.or(Some(now)), ..before }
            }
            (Err(why), _) => {
                let since = since.or(door.shut.is_some().then_some(now));
                Visit { at: now, held, shown: Err(why), differs: false, shaky: false, since }
            }
            (shown, _) => Visit { at: now, held, shown, differs: false, shaky: false, since },
        };
        self.last.insert(door.key.clone(), visit);
    }

    /// Whether it was visited, or found shut, before.
    pub(super) fn knows(&self, door: &Door) -> bool {
        self.last.contains_key(&door.key)
    }

    /// What was presented last.
    pub(super) fn shown(&self, door: &Door) -> Option<&Result<Shown, String>> {
        self.last.get(&door.key).map(|visit| &visit.shown)
    }

    /// Notes whether what is presented is what should be.
    pub(super) fn note(&mut self, door: &Door, differs: bool, now: Duration) {
        let Some(visit) = self.last.get_mut(&door.key) else { return };
        visit.differs = differs;
        visit.since = match differs || visit.shaky {
            true => visit.since.or(Some(now)),
            false => None,
        };
    }

    /// How soon it should be looked again, if sooner than usual: what is wrong was mostly wrong for a moment, and whoever
    /// mends what stays wrong wants to see it.
    pub(super) fn again(&self, now: Duration) -> Option<Duration> {
        let fresh = |visit: &Visit| visit.since.is_some_and(|since| now < since + HURRY);
        if self.last.values().any(fresh) {
            return Some(SOON);
        }
        self.last.values().any(|visit| visit.differs).then_some(LATER)
    }

    /// Forgets the others.
    pub(super) fn keep(&mut self, doors: &[Door]) {
        self.last.retain(|key, _| doors.iter().any(|door| door.key == *key));
        self.silent.retain(|endpoint, _| doors.iter().any(|door| door.endpoint == *endpoint));
    }
}

fn show(chain: &[Vec<u8>]) -> Result<Shown, x509::Broken> {
    let mut read = Vec::new();
    for (place, der) in chain.iter().take(10).enumerate() {
        match x509::parse(der) {
            Ok(certificate) => read.push(certificate),
            Err(broken) if place == 0 => return Err(broken),
            Err(_) => break,
        }
    }
    let complete = x509::is_complete(&read);
    read.into_iter().next().map(|leaf| Shown { leaf, complete }).ok_or(x509::Broken::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(names: &[&str], listen: &[&str]) -> Vec<String> {
        let owned = |all: &[&str]| all.iter().map(|each| (*each).to_owned()).collect();
        let mut site = Site::default();
        (site.server, site.encrypted, site.names, site.listen) = ("nginx", true, owned(names), owned(listen));
        let asked = |door: &Door| door.name.clone().unwrap_or_else(|| "nobody".to_owned());
        Door::of(&site)
            .iter()
            .map(|door| format!("{} asks for {} at {}", door.key, asked(door), door.endpoint))
            .collect()
    }

    #[test]
    fn a_site_is_visited_once_for_each_port_that_speaks_tls() {
        let names = ["shop.example", "www.shop.example"];
        let listen =
            ["*:80", "[::]:443 ssl", "*:443 ssl default_server", "192.0.2.7:8443 ssl", "*:443 quic", "unix:/run/x ssl"];
        assert_eq!(
            doors(&names, &listen),
            [
                "shop.example:443 asks for shop.example at port 443",
                "shop.example:8443 asks for shop.example at 192.0.2.7:8443"
            ]
        );
        assert_eq!(doors(&names, &["*:80", "*:443"]), ["shop.example:443 asks for shop.example at port 443"]);
        assert_eq!(doors(&names, &["*:443 ssl proxy_protocol"]), [""; 0], "each visit would be an error to it");
    }

    #[test]
    fn patterns_are_asked_for_by_a_name_that_they_stand_for() {
        assert_eq!(
            doors(&["*.shop.example"], &["443 ssl"]),
            ["www.shop.example:443 asks for www.shop.example at port 443"]
        );
        assert_eq!(doors(&[], &["443 ssl"]), ["_:443 asks for nobody at port 443"]);
        assert_eq!(doors(&["~^x"], &["443 ssl"]), [""; 0]);
    }

    fn door() -> Door {
        let mut site = Site::default();
        (site.server, site.encrypted, site.listen) = ("nginx", true, vec!["443 ssl".to_owned()]);
        Door::of(&site).remove(0)
    }

    fn shown() -> Result<Shown, String> {
        let (pem, _) = crate::watchers::certificates::tests::issued("Let's Encrypt", &["shop.example"], 9);
        let leaf = x509::parse(&x509::certificates(pem.as_bytes()).next().unwrap().unwrap()).unwrap();
        Ok(Shown { leaf, complete: true })
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_door_is_due_when_its_time_has_come_its_file_has_changed_or_it_differed() {
        let (door, mut visits) = (&door(), Visits::default());
        assert!(visits.is_due(door, "a", MINUTE));
        visits.take(door, "a".to_owned(), shown(), MINUTE);
        visits.note(door, false, MINUTE);
        assert!(!visits.is_due(door, "a", 9 * MINUTE) && visits.is_due(door, "a", 10 * MINUTE));
        assert!(visits.is_due(door, "b", 2 * MINUTE) && visits.again(2 * MINUTE).is_none());
        visits.note(door, true, MINUTE);
        assert!(visits.is_due(door, "a", 2 * MINUTE));
        visits.keep(&[]);
        assert!(visits.again(2 * MINUTE).is_none());
    }

    #[test]
    fn what_differs_is_looked_at_soon_and_after_a_while_less_often() {
        let (door, mut visits) = (&door(), Visits::default());
        visits.take(door, "a".to_owned(), shown(), MINUTE);
        visits.note(door, true, MINUTE);
        assert_eq!(visits.again(15 * MINUTE), Some(SOON));
        visits.note(door, true, 15 * MINUTE);
        assert_eq!(visits.again(16 * MINUTE), Some(LATER));
        visits.take(door, "a".to_owned(), shown(), 17 * MINUTE);
        visits.note(door, false, 17 * MINUTE);
        assert_eq!(visits.again(17 * MINUTE), None);
    }

    #[test]
    fn a_server_that_is_away_for_one_visit_has_presented_what_it_did_and_is_visited_again_soon() {
        let (door, mut visits) = (&door(), Visits::default());
        visits.take(door, "a".to_owned(), shown(), MINUTE);
        visits.note(door, false, MINUTE);
        let away = || Err("nobody listens there".to_owned());
        visits.take(door, "a".to_owned(), away(), 10 * MINUTE);
        visits.note(door, false, 10 * MINUTE);
        assert!(visits.shown(door).unwrap().is_ok() && visits.is_due(door, "a", 10 * MINUTE));
        assert_eq!(visits.again(10 * MINUTE), Some(SOON));
        visits.take(door, "a".to_owned(), away(), 11 * MINUTE);
        assert_eq!(visits.shown(door).unwrap().as_ref().unwrap_err(), "nobody listens there");
        assert_eq!((visits.again(24 * MINUTE), visits.again(25 * MINUTE)), (Some(SOON), None));
    }

    #[test]
    fn a_door_is_shut_when_nobody_listens_or_somebody_else_does() {
        let socket =
            |port| Socket { protocol: "tcp", address: "0.0.0.0".parse().unwrap(), port, uid: 0, inode: 1, waiting: 0 };
        let why = |port, running: Option<&[&str]>| door().why_shut(&[socket(port)], running).unwrap_or_default();
        assert_eq!(why(443, Some(&["nginx"])), "");
        assert_eq!(why(443, None), "", "who runs may be hidden");
        assert_eq!(why(443, Some(&["apache"])), "nginx does not run");
        assert_eq!(why(80, Some(&["nginx"])), "nobody listens there");
    }
}
