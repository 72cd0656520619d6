//! Who renews certificates: whether and how often each of them runs, and when it did so last.
//!
//! By traces alone. A log is better evidence than the stamp of a timer, which tells that a run began, not that it came to
//! anything. A machine that was off has missed nothing: what should have run is counted from its start on.

use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use super::timing;
use crate::host::{ErrorKind, Host, Kind};

/// Bytes of a unit file, and of a crontab.
const FILE: usize = 64 << 10;
/// Crontabs that are read.
const CRONTABS: usize = 256;
/// Where unit files lie, the more important first (systemd.unit(5)).
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Crontabs of users (Debian, Red Hat), which name none.
const USERS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// Somebody who renews.
pub(super) struct Actor {
    pub(super) key: &'static str,
    /// Timers of systemd, the usual first.
    timers: &'static [&'static str],
    /// Words that all stand on its line of a crontab; none: it has no such line.
    cron: &'static [&'static str],
    /// What it writes when it runs.
    logs: &'static [&'static str],
    /// Programs that do it by themselves as long as they run.
    programs: &'static [&'static str],
}

const NONE: Actor = Actor { key: "", timers: &[], cron: &[], logs: &[], programs: &[] };

/// All that are known.
pub(super) const ACTORS: [Actor; 9] = [
    Actor {
        key: "acme.sh",
        timers: &["acme.sh.timer"],
        cron: &["acme.sh", "--cron"],
        logs: &["/root/.acme.sh/acme.sh.log"],
        ..NONE
    },
    Actor { key: "autossl", cron: &["autossl_check"], logs: &["/var/cpanel/logs/autossl"], ..NONE },
    Actor { key: "caddy", programs: &["caddy"], ..NONE },
    Actor {
        key: "certbot",
        // Debian, the snap, Red Hat
        timers: &["certbot.timer", "snap.certbot.renew.timer", "certbot-renew.timer"],
        cron: &["certbot", "renew"],
        logs: &["/var/log/letsencrypt/letsencrypt.log"],
        ..NONE
    },
    Actor { key: "dehydrated", timers: &["dehydrated.timer"], cron: &["dehydrated", " -"], ..NONE },
    Actor { key: "hestia", cron: &["v-update-letsencrypt-ssl"], ..NONE },
    Actor { key: "lego", timers: &["lego.timer", "lego-renew.timer"], cron: &["lego", "renew"], ..NONE },
    Actor { key: "mod_md", programs: &["apache2", "httpd"], ..NONE },
    Actor { key: "plesk", ..NONE },
];

/// What is known of an actor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Renewal {
    pub(super) schedule: Option<String>,
    /// Seconds from one run to the next.
    pub(super) interval: Option<u64>,
    pub(super) last_run: Option<Timestamp>,
    /// Runs that should have been since, or why that cannot be told.
    pub(super) missed: Option<Result<u64, &'static str>>,
    pub(super) enabled: Option<bool>,
    /// A place that cannot be looked at, where its schedule may be.
    pub(super) hidden: Option<crate::host::HostError>,
}

/// Lines of all crontabs, read once for all actors.
#[derive(Default)]
pub(super) struct Crontabs {
    lines: Vec<(PathBuf, String)>,
    hidden: Option<crate::host::HostError>,
}

impl Crontabs {
    pub(super) fn read(host: &Host) -> Self {
        let mut found = Self::default();
        let mut files = vec![PathBuf::from("/etc/crontab")];
        for folder in ["/etc/cron.d"].iter().chain(&USERS) {
            match host.resolve(folder).and_then(|folder| host.list(folder)) {
                Ok(entries) => {
                    let entries = entries.into_iter().filter(|entry| entry.kind == Kind::File);
                    files.extend(entries.map(|entry| Path::new(folder).join(entry.name)));
                }
                Err(error) if error.is_absent() => {}
                Err(error) => found.hidden = found.hidden.or(Some(error)),
            }
        }
        for file in files.into_iter().take(CRONTABS) {
            match host.read(&file, FILE) {
                Ok(text) => {
                    let text = String::from_utf8_lossy(&text);
                    let wanted = |line: &&str| !line.starts_with('#') && ACTORS.iter().any(|actor| actor.is_on(line));
                    let lines = text.lines().map(str::trim).filter(wanted);
                    found.lines.extend(lines.take(16).map(|line| (file.clone(), line.to_owned())));
                }
                Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::TooBig(_)) => {}
                Err(error) => found.hidden = found.hidden.or(Some(error)),
            }
        }
        found
    }
}

impl Actor {
    fn is_on(&self, line: &str) -> bool {
        !self.cron.is_empty() && self.cron.iter().all(|word| line.contains(word))
    }

    /// Looks at one. `homes`: folders of acme.sh that have certificates.
    pub(super) fn look(&self, host: &Host, crontabs: &Crontabs, homes: &[PathBuf], now: Timestamp) -> Renewal {
        let mut found = Renewal::default();
        let mut slack = 0;
        let booted = host.stat("/run/systemd/system").is_ok();
        // Of several installations one may be switched off in favour of the other.
        let mut timers: Vec<Timer> = self.timers.iter().filter_map(|name| Timer::find(host, name)).collect();
        timers.sort_by_key(|timer| !timer.enabled);
        let timer = timers.into_iter().next();
        let line = crontabs.lines.iter().find(|(_, line)| {
            // Debian's line for certbot does nothing where systemd runs, which has the timer.
            self.is_on(line) && !(booted && line.contains("-d /run/systemd/system"))
        });
        let stamp = timer.as_ref().map(|timer| format!("/var/lib/systemd/timers/stamp-{}", timer.name));
        match (timer, line) {
            // A disabled timer beside a line of a crontab leaves the work to that.
            (Some(timer), line) if timer.enabled || line.is_none() => {
                found.enabled = Some(timer.enabled);
                found.schedule = Some(format!("{}: {}", timer.name, timer.calendars.join(", ")));
                found.interval = timing::of_calendars(timer.calendars.iter().map(String::as_str));
                slack = timer.delay;
            }
            (_, Some((file, line))) => {
                found.enabled = Some(true);
                found.schedule = Some(format!("{}: {}", file.display(), fields(line)));
                found.interval = timing::of_cron(line);
                // Lines that are to spread the load wait up to the next run (certbot's own, and its documentation's).
                slack = found.interval.filter(|_| line.contains("sleep")).unwrap_or(0);
            }
            (_, None) => self.tell_itself(host, crontabs, &mut found),
        }
        let written = |path: &Path| host.stat(path).ok().map(|meta| meta.identity.modified());
        let own = homes.iter().filter(|_| self.key == "acme.sh").map(|home| home.join("acme.sh.log"));
        let logs = self.logs.iter().map(PathBuf::from).chain(own);
        // After it was rotated the next run begins it anew.
        let logs = logs.flat_map(|log| [log.with_added_extension("1"), log]);
        found.last_run = logs.filter_map(|log| written(&log)).max().or_else(|| written(stamp.as_deref()?.as_ref()));
        found.missed = found.interval.map(|interval| match found.last_run {
            Some(last) => {
                let since = now.since(last.max(start_of(host, now))).as_secs();
                Ok(since.saturating_sub(slack) / interval.max(1))
            }
            None => Err("it leaves no trace of its runs"),
        });
        found
    }

    /// Of those without a schedule that can be read.
    fn tell_itself(&self, host: &Host, crontabs: &Crontabs, found: &mut Renewal) {
        if self.key == "plesk" {
            let daily = "/etc/cron.daily/50plesk-daily"; // runs what the panel has planned for the day
            found.enabled = Some(host.stat(daily).is_ok());
            found.schedule = found.enabled.filter(|enabled| *enabled).map(|_| format!("{daily}: daily"));
            return;
        }
        if let Some(program) = self.programs.first() {
            found.schedule = Some(format!("by itself, while {program} runs"));
            let pids = host.pids().unwrap_or_default();
            let runs = |pid| host.comm(pid).is_ok_and(|name| self.programs.iter().any(|each| each.as_bytes() == name));
            // A host in a folder may have no processes to see.
            found.enabled = (!pids.is_empty()).then(|| pids.into_iter().any(runs));
            return;
        }
        match &crontabs.hidden {
            Some(error) => found.hidden = Some(error.clone()),
            None => found.enabled = Some(false),
        }
    }
}

/// The five fields of a line, or its word; what is run may hold secrets.
fn fields(line: &str) -> String {
    let most = if line.starts_with('@') { 1 } else { 5 };
    line.split_ascii_whitespace().take(most).collect::<Vec<_>>().join(" ")
}

/// When the machine started, as far as it tells (proc_uptime(5)).
fn start_of(host: &Host, now: Timestamp) -> Timestamp {
    let text = host.read_text("/proc/uptime", 128).unwrap_or_default();
    let seconds = text.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok());
    seconds.map_or(Timestamp::from_secs(0), |seconds| now - std::time::Duration::from_secs(seconds))
}

/// A timer of systemd (systemd.timer(5)).
struct Timer {
    name: &'static str,
    calendars: Vec<String>,
    /// Seconds by which a run may come later.
    delay: u64,
    enabled: bool,
}

impl Timer {
    fn find(host: &Host, name: &'static str) -> Option<Self> {
        let path = UNITS.iter().map(|folder| Path::new(folder).join(name)).find(|path| {
            host.stat(path).is_ok() || host.read_link(path).is_ok() // masked: a link to a device
        })?;
        let masked = host.read_link(&path).is_ok_and(|to| to == Path::new("/dev/null"));
        let mut found = Self { name, calendars: Vec::new(), delay: 0, enabled: false };
        let mut texts = vec![path];
        for folder in UNITS.iter().rev().map(|folder| Path::new(folder).join(format!("{name}.d"))) {
            let entries = host.resolve(&folder).and_then(|folder| host.list(folder)).unwrap_or_default();
            texts.extend(entries.into_iter().take(16).map(|entry| folder.join(entry.name)));
        }
        for text in texts.iter().filter_map(|path| host.read(path, FILE).ok()) {
            found.take(&String::from_utf8_lossy(&text));
        }
        let wanted = |folder: &str| host.read_link(Path::new(folder).join("timers.target.wants").join(name)).is_ok();
        found.enabled = !masked && UNITS.iter().any(|folder| wanted(folder));
        Some(found)
    }

    /// Takes over what a file says; an empty assignment forgets what was said before.
    fn take(&mut self, text: &str) {
        for line in text.lines().take(1_000) {
            match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("OnCalendar", "")) => self.calendars.clear(),
                Some(("OnCalendar", value)) if self.calendars.len() < 16 => self.calendars.push(value.to_owned()),
                Some(("RandomizedDelaySec", value)) => self.delay = timing::of_span(value).unwrap_or(0),
                _ => {}
            }
        }
    }
}
