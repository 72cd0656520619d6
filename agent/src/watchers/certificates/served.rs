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
                Some(door) => door.endpoint = door.endpoint.min(endpoint),
                None => doors.push(Self {
                    key,
                    name: name.clone(),
                    endpoint,
                    server: site.server,
                    site: site.key(),
                    names: names.clone(),
                    files: site.tls.iter().map(|tls| tls.certificate.clone()).collect(),
                }),
            }
        }
        doors
    }
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
    differs: bool,
}

/// All doors that are known.
#[derive(Debug, Default)]
pub(super) struct Visits {
    last: BTreeMap<String, Visit>,
    /// Listeners that did not answer, or not in TLS: until when they are left alone, and why.
    shut: BTreeMap<Endpoint, (Duration, &'static str)>,
}

impl Visits {
    /// Whether a door is to be visited: its time has come, its file has changed, or it differed.
    pub(super) fn is_due(&self, door: &Door, held: &str, now: Duration) -> bool {
        self.last.get(&door.key).is_none_or(|visit| now >= visit.at + AGAIN || visit.held != held || visit.differs)
    }

    /// Visits a door.
    pub(super) fn visit(&mut self, host: &Host, listening: &[Socket], door: &Door, held: String) {
        let now = host.clock().monotonic();
        let shown = match self.shut.get(&door.endpoint).filter(|(until, _)| now < *until) {
            Some((_, why)) => Err((*why).to_owned()),
            None => {
                let presented = host.presented(door.endpoint, listening, door.name.as_deref());
                presented
                    .map_err(|error| {
                        match error.kind {
                            // Once in a look is enough for all of its names.
                            ErrorKind::Io(why) if error.kind == SILENT => {
                                self.shut.insert(door.endpoint, (now + AGAIN, why))
                            }
                            ErrorKind::Io(why) if error.kind == NOT_TLS => {
                                self.shut.insert(door.endpoint, (now + SELDOM, why))
                            }
                            _ => None,
                        };
                        error.to_string()
                    })
                    .and_then(|chain| show(&chain).map_err(|broken| broken.to_string()))
            }
        };
        self.last.insert(door.key.clone(), Visit { at: now, held, shown, differs: false });
    }

    /// What was presented last.
    pub(super) fn shown(&self, door: &Door) -> Option<&Result<Shown, String>> {
        self.last.get(&door.key).map(|visit| &visit.shown)
    }

    /// Notes whether what is presented is what should be.
    pub(super) fn note(&mut self, door: &Door, differs: bool) {
        if let Some(visit) = self.last.get_mut(&door.key) {
            visit.differs = differs;
        }
    }

    /// Whether any differs.
    pub(super) fn any_differs(&self) -> bool {
        self.last.values().any(|visit| visit.differs)
    }

    /// Forgets the others.
    pub(super) fn keep(&mut self, doors: &[Door]) {
        self.last.retain(|key, _| doors.iter().any(|door| door.key == *key));
        self.shut.retain(|endpoint, _| doors.iter().any(|door| door.endpoint == *endpoint));
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

    #[test]
    fn a_door_is_due_when_its_time_has_come_its_file_has_changed_or_it_differed() {
        let mut site = Site::default();
        (site.server, site.encrypted, site.listen) = ("nginx", true, vec!["443 ssl".to_owned()]);
        let door = &Door::of(&site)[0];
        let mut visits = Visits::default();
        let minute = Duration::from_secs(60);
        assert!(visits.is_due(door, "a", minute));
        let visit = Visit { at: minute, held: "a".to_owned(), shown: Err(String::new()), differs: false };
        visits.last.insert(door.key.clone(), visit);
        assert!(!visits.is_due(door, "a", 9 * minute) && visits.is_due(door, "a", 10 * minute));
        assert!(visits.is_due(door, "b", 2 * minute) && !visits.any_differs());
        visits.note(door, true);
        assert!(visits.is_due(door, "a", 2 * minute) && visits.any_differs());
        visits.keep(&[]);
        assert!(!visits.any_differs());
    }
}
