//! Who patches a program, and whose dates therefore apply.

use std::cmp::Ordering;

use plumb_proto::time::Timestamp;

use super::Verdict;
use super::table::{Dates, Shipped};
use super::window::of_system;
use super::{Program, Unjudged, Window, at_least, products, release};
use crate::drift::version;

/// Makers' own repositories, and others that follow upstream: how they are called, and what is to be known besides.
const FOLLOW_UPSTREAM: [(&str, &str, &str); 23] = [
    ("sury", " by way of deb.sury.org", "deb.sury.org may backport some fixes after that"),
    ("remi", " by way of remi", "remi may backport some fixes after that"),
    ("cpanel", " by way of cPanel", "cPanel takes the version away some time after that"),
    ("plesk", " by way of Plesk", "Plesk ships it unpatched after that, unless longer support is paid for"),
    ("litespeed", " by way of LiteSpeed", ""),
    ("runcloud", " by way of RunCloud", ""),
    ("serverpilot", " by way of ServerPilot", ""),
    ("nodesource", " by way of NodeSource", ""),
    ("deadsnakes", " by way of deadsnakes", ""),
    ("pgdg", "", ""),
    ("mariadb", "", ""),
    ("mysql", "", ""),
    ("percona", "", ""),
    ("redis", "", ""),
    ("valkey", "", ""),
    ("keydb", "", ""),
    ("mongodb", "", ""),
    ("elastic", "", ""),
    ("opensearch", "", ""),
    ("nginx", "", ""),
    ("caddy", "", ""),
    ("microsoft", "", ""),
    ("upstream", "", ""),
];

/// Names of releases of Debian and Ubuntu.
const RELEASES: [&str; 13] = [
    "buster", "bullseye", "bookworm", "trixie", "forky", "bionic", "focal", "jammy", "noble", "oracular", "plucky",
    "questing", "resolute",
];

/// A package of the distribution itself.
pub(super) fn is_distribution(provenance: &str) -> bool {
    matches!(provenance, "debian" | "ubuntu" | "redhat" | "distribution")
}

impl Dates {
    /// The window of a program whose upstream window is known; `named`: product and cycle.
    pub(super) fn by_provenance(
        &self,
        asked: &Program<'_>,
        named: (&str, &str),
        upstream: Window,
        now: Timestamp,
    ) -> Result<Window, Unjudged> {
        let whose = || Unjudged::beside(&upstream, "", format!("who patches this {} is not known", upstream.product));
        let provenance = asked.provenance.ok_or_else(|| Unjudged { by: None, ..whose() })?;
        let system = || self.system(asked.os, asked.os_version);
        match provenance {
            "debian" | "ubuntu" => self.distribution(asked, provenance, named, upstream),
            "redhat" => match self.platform(asked, named) {
                Some(window) => {
                    let window = window?;
                    Ok(Window {
                        product: upstream.product.clone(),
                        cycle: upstream.cycle.clone(),
                        ..beside(window, &upstream)
                    })
                }
                // streams retire on dates of their own: long before the system does, and some of them before upstream's
                None => of_system(
                    upstream,
                    system(),
                    &asked.module.map_or("Red Hat".to_owned(), |stream| format!("Red Hat's stream {stream}")),
                    now,
                ),
            },
            "cloudlinux" => at_least(upstream, "CloudLinux", now),
            // there, what cPanel calls its own may be CloudLinux's hardened build
            "cpanel" if asked.os == Some("cloudlinux") => at_least(upstream, "cPanel or CloudLinux", now),
            // their builds of nginx get fixes with their own releases, whatever nginx says of its lines
            "cpanel" if named.0 == "nginx" => at_least(upstream, "cPanel", now),
            "plesk" if named.0 == "nginx" => at_least(upstream, "Plesk", now),
            "distribution" => of_system(upstream, system(), "its distribution", now),
            // made from nginx, with fixes and dates of its own
            "openresty" => {
                let reason = "until when OpenResty patches it is not in the table".to_owned();
                Err(Unjudged::beside(&upstream, "OpenResty", reason))
            }
            "self-built" => Ok(upstream.noted("nobody updates it automatically")),
            other => match FOLLOW_UPSTREAM.iter().find(|(word, ..)| *word == other) {
                Some((_, way, note)) => {
                    let window = Window { by: format!("{}{way}", upstream.by), ..upstream }.noted(note);
                    Ok(match system().ok().filter(|system| system.verdict(now) == Verdict::Ended) {
                        // makers stop building for systems that are over
                        Some(system) => window.noted(&format!(
                            "whether it is still made for {} {}, which has ended, is not known",
                            system.product, system.cycle
                        )),
                        None => window,
                    })
                }
                None => {
                    let reason = format!("nothing is known of provenance \"{}\"", other.escape_debug());
                    Err(Unjudged { by: None, ..Unjudged::beside(&upstream, "", reason) })
                }
            },
        }
    }

    /// Java has many makers, each with dates of their own. The project itself has none.
    pub(super) fn java(&self, asked: &Program<'_>, full: &str) -> Result<Window, Unjudged> {
        // up to Java 8 versions began with 1.
        let version = full.strip_prefix("1.").unwrap_or(full);
        let provenance =
            asked.provenance.ok_or_else(|| Unjudged::not_judged("nothing tells whose build of Java this is"))?;
        let build = match (products::java(provenance, asked.package), provenance) {
            (Some(build), _) => build,
            (None, "debian" | "ubuntu") => {
                let cycle = version::branch(version, 1).unwrap_or(version);
                let upstream = Window {
                    product: products::label("openjdk"),
                    cycle: cycle.to_owned(),
                    until: None,
                    is_over: false,
                    is_courtesy: false,
                    by: String::new(),
                    upstream: "not in the table".to_owned(),
                    upstream_until: None,
                    note: String::new(),
                };
                return self.distribution(asked, provenance, ("openjdk", cycle), upstream);
            }
            (None, "redhat") => "red-hat-build-of-openjdk",
            _ => return Err(Unjudged::not_judged("nothing tells whose build of Java this is")),
        };
        let label = products::label(build);
        let cycle = self.cycle(build, version).map_err(|absent| self.absent(absent, &label, version))?;
        let window = Window::upstream(build, cycle, &cycle.security)?;
        let window = window.noted(&super::longer(build, cycle));
        Ok(match provenance {
            "self-built" => window.noted("nobody updates it automatically"),
            "redhat" => window.within(&self.system(asked.os, asked.os_version)),
            _ => window,
        })
    }

    /// Debian and Ubuntu: the dates of the release that ships this cycle. A package that stayed behind from an older
    /// release gets what that release gets.
    fn distribution(
        &self,
        asked: &Program<'_>,
        distro: &str,
        (product, cycle): (&str, &str),
        upstream: Window,
    ) -> Result<Window, Unjudged> {
        let label = products::label(distro);
        let host = asked.os_version.filter(|_| asked.os == Some(distro));
        let host =
            host.ok_or_else(|| Unjudged::unknown(format!("it is not known which release of {label} this is")))?;
        if let Some(mark) = asked.package_version.and_then(foreign) {
            let reason =
                format!("its package is marked \"{mark}\", as {label} itself marks none: who patches it is not known");
            return Err(Unjudged { by: None, ..Unjudged::beside(&upstream, &label, reason) });
        }
        // what the host's own release has in another line came with an older one, if that had it
        let is_older = |row: &&Shipped| version::compare(&row.release, host) == Ordering::Less;
        let releases: Vec<&Shipped> = self.releases_with(distro, product, cycle).collect();
        let stayed = || releases.iter().rev().find(|row| is_older(row)).filter(|_| self.ships(distro, host, product));
        let shipped = match releases.iter().find(|row| row.release == host).or_else(stayed) {
            Some(shipped) => *shipped,
            None => {
                let reason = format!("that {label} {host} ships {} {cycle} is not in the table", upstream.product);
                return Err(Unjudged::beside(&upstream, &label, reason));
            }
        };
        let name = shipped.release.as_str();
        let of_release = self.cycle(distro, name).map_err(|absent| self.absent(absent, &label, name))?;
        let window = beside(release(distro, of_release)?, &upstream);
        let window = match (&of_release.extended, shipped.component == "universe") {
            // fixes of Ubuntu Pro carry its mark: where one is installed, the host gets them
            (super::End::Day(pro), is_universe) if distro == "ubuntu" && has_pro(asked) => {
                let part = if is_universe { "it is in universe, and this host" } else { "this host" };
                let by = format!("Ubuntu Pro for {name}");
                Window {
                    until: Some(*pro),
                    is_over: false,
                    by,
                    note: format!("{part} gets Ubuntu Pro's fixes"),
                    ..window
                }
            }
            (_, true) => return Err(of_universe(of_release, &window)),
            _ => window,
        };
        Ok(match name == host {
            true => window,
            false => window.noted(&format!("it is a package of {label} {name} that stayed behind on {label} {host}")),
        })
    }

    /// What belongs to the system itself on Red Hat's and lives as long; `None`: it is a stream, or not known to be none.
    fn platform(&self, asked: &Program<'_>, (product, cycle): (&str, &str)) -> Option<Result<Window, Unjudged>> {
        let major = version::branch(asked.os_version?, 1)?;
        let is_platform = |row: &Shipped| row.component.starts_with("platform") || row.component.starts_with("BaseOS");
        let is_ours = asked.module.is_none()
            && self.releases_with("rhel", product, cycle).any(|row| row.release == major && is_platform(row));
        is_ours.then(|| self.system(asked.os, asked.os_version))
    }
}

/// A mark of builds that are not the release's own: Debian's backports, which no security team looks after, and the names
/// of releases, as other makers of packages write them (`1.28.0-1~bookworm`).
fn foreign(package_version: &str) -> Option<&str> {
    let marks = package_version.match_indices(['~', '+', '.']).map(|(at, _)| &package_version[at + 1..]);
    let words = marks.map(|rest| &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())]);
    words.into_iter().find(|word| *word == "bpo" || RELEASES.contains(word))
}

fn has_pro(asked: &Program<'_>) -> bool {
    asked.package_version.is_some_and(|version| version.contains("+esm") || version.contains("~esm"))
}

/// Ubuntu's universe: after the release, security fixes come by Ubuntu Pro (esm-apps) only.
fn of_universe(release: &super::Cycle, window: &Window) -> Unjudged {
    let super::End::Day(_) = release.extended else {
        let reason = "it is in Ubuntu's universe, which nobody has promised to patch".to_owned();
        return Unjudged::beside(window, "its community", reason);
    };
    let reason = format!(
        "it is in Ubuntu's universe: patched until {} with Ubuntu Pro, by nobody who promises it without; whether this host \
         has it is not known",
        release.extended
    );
    Unjudged::beside(window, &format!("Ubuntu Pro for {}", release.name), reason)
}

/// A window of a system, for a program of it.
fn beside(window: Window, upstream: &Window) -> Window {
    Window {
        product: upstream.product.clone(),
        cycle: upstream.cycle.clone(),
        upstream: upstream.upstream.clone(),
        upstream_until: upstream.upstream_until,
        ..window
    }
}
