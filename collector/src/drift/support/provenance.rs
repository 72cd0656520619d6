//! Who patches a program, and whose dates therefore apply.

use plumb_proto::time::Timestamp;

use super::table::{Dates, Shipped};
use super::{Program, Unjudged, Window, at_least, products, release};
use crate::drift::version;

/// Makers' own repositories, and others that follow upstream: how they are called, and what is to be known besides.
const FOLLOW_UPSTREAM: [(&str, &str, &str); 23] = [
    ("sury", " by way of deb.sury.org", ""),
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
                // streams of modules retire on dates of their own, long before the system does
                None => at_least(upstream, asked.module.unwrap_or("Red Hat"), now),
            },
            "cloudlinux" => at_least(upstream, "CloudLinux", now),
            // there, what cPanel calls its own may be CloudLinux's hardened build
            "cpanel" if asked.os == Some("cloudlinux") => at_least(upstream, "cPanel or CloudLinux", now),
            // their builds of nginx get fixes with their own releases, whatever nginx says of its lines
            "openresty" => at_least(upstream, "OpenResty", now),
            "cpanel" if named.0 == "nginx" => at_least(upstream, "cPanel", now),
            "plesk" if named.0 == "nginx" => at_least(upstream, "Plesk", now),
            "distribution" => at_least(upstream, "its distribution", now),
            "self-built" => Ok(upstream.noted("nobody updates it automatically")),
            other => match FOLLOW_UPSTREAM.iter().find(|(word, ..)| *word == other) {
                Some((_, way, note)) => Ok(Window { by: format!("{}{way}", upstream.by), ..upstream }.noted(*note)),
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
            asked.provenance.ok_or_else(|| Unjudged::not_judged("whose build of Java this is is not known"))?;
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
            _ => return Err(Unjudged::not_judged("whose build of Java this is is not known")),
        };
        let label = products::label(build);
        let cycle = self.cycle(build, version).map_err(|absent| self.absent(absent, &label, version))?;
        let window = Window::upstream(build, cycle, &cycle.security)?;
        Ok(if provenance == "self-built" { window.noted("nobody updates it automatically") } else { window })
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
        let releases: Vec<&Shipped> = self.releases_with(distro, product, cycle).collect();
        let shipped = match releases.iter().find(|row| row.release == host).or(releases.last()) {
            Some(shipped) => *shipped,
            None => {
                let reason = format!("no release of {label} in the table ships {} {cycle}", upstream.product);
                return Err(Unjudged::beside(&upstream, &label, reason));
            }
        };
        let name = shipped.release.as_str();
        let of_release = self.cycle(distro, name).map_err(|absent| self.absent(absent, &label, name))?;
        let window = beside(release(distro, of_release)?, &upstream);
        let window = if shipped.component == "universe" { of_universe(asked, of_release, window)? } else { window };
        Ok(match name == host {
            true => window,
            false => window.noted(format!("it is a package of {label} {name} that stayed behind on {label} {host}")),
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

/// Ubuntu's universe: after the release, security fixes come by Ubuntu Pro (esm-apps) only.
fn of_universe(asked: &Program<'_>, release: &super::Cycle, window: Window) -> Result<Window, Unjudged> {
    let super::End::Day(pro) = release.extended else {
        let reason = "it is in Ubuntu's universe, which nobody has promised to patch".to_owned();
        return Err(Unjudged::beside(&window, "its community", reason));
    };
    let by = format!("Ubuntu Pro for {}", release.name);
    // fixes of Ubuntu Pro carry its mark: where one is installed, the host gets them
    if asked.package_version.is_some_and(|version| version.contains("+esm")) {
        return Ok(
            Window { until: Some(pro), by, ..window }.noted("it is in universe, and this host gets Ubuntu Pro's fixes")
        );
    }
    let reason = format!(
        "it is in Ubuntu's universe: patched until {} with Ubuntu Pro, by nobody who promises it without; whether this host \
         has it is not known",
        release.extended
    );
    Err(Unjudged::beside(&window, &by, reason))
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
