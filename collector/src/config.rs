//! collector.toml. Its sample, `packaging/collector.toml`, is at once the defaults, the documentation and the shipped file.

mod reader;

use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plumb_proto::limits;
use plumb_proto::model::Severity;
use plumb_proto::secret::Secret;
use rustls::pki_types::ServerName;
use toml::de::DeTable;

use crate::drift::Kind;
use crate::notify::Pace;
use crate::notify::receivers::webhook::Webhook;
use crate::notify::receivers::{Kind as ReceiverKind, ReceiverSettings};
use crate::notify::route::{Route, Routes};
use crate::store::Keep;
use reader::{Reader, Section, labels, number, parsed, span, text, texts, yes};

/// The sample: every setting at its default, or behind a `#` where there is none.
pub const SAMPLE: &str = include_str!("../../packaging/collector.toml");
/// The shortest retention: samples are merged by days.
const DAY: Duration = Duration::from_secs(86_400);
/// Where the configuration lies.
pub const PATH: &str = "/etc/plumb/collector.toml";

/// All settings of a collector.
pub struct Config {
    /// Database, certificate authority, keys.
    pub state_dir: PathBuf,
    /// Socket of the command line.
    pub socket: PathBuf,
    /// Folders of policy files, laid over the shipped ones in this order.
    pub policy_dirs: Vec<PathBuf>,
    /// Folder of support dates that stand in for the shipped ones.
    pub support_dir: PathBuf,
    /// The name or address by which hosts reach this machine; `None`: its own host name.
    pub advertise: Option<String>,
    /// Where agents report.
    pub ingest: SocketAddr,
    /// Where hosts enrol.
    pub enroll: SocketAddr,
    /// Metrics and health.
    pub health: SocketAddr,
    /// Where users with a certificate ask from elsewhere; `None`: nowhere.
    pub query: Option<SocketAddr>,
    /// A host that was not heard of for this long is silent.
    pub silent_after: Duration,
    /// An open drift is told again after this long; zero: never.
    pub repeat_after: Duration,
    /// How long what is kept.
    pub keep: Keep,
    /// How alerts are paced.
    pub pace: Pace,
    /// Who is told.
    pub receivers: Vec<ReceiverSettings>,
    /// Who is told what.
    pub routes: Routes,
}

/// Everything that is wrong with a configuration, a line each: `file:line: what`.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Reads a file. `None`: the one at its usual place, or the defaults if there is none.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn load(path: Option<&Path>) -> Result<Self, Mistakes> {
        let place = path.unwrap_or(Path::new(PATH));
        match read(place, limits::CONFIG_FILE) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::parse(place, &text),
                Err(_) => Err(Mistakes(vec![format!("{}:1: not UTF-8 text", place.display())])),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.is_none() => Self::parse(place, ""),
            Err(error) => Err(Mistakes(vec![format!("{}: {error}", place.display())])),
        }
    }

    /// Reads settings from the text of a file.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Mistakes> {
        let sample = uncommented();
        let examples = Reader::new(Path::new("sample"), &sample).parse();
        let defaults = Reader::new(Path::new("sample"), SAMPLE).parse();
        let mut reader = Reader::new(file, text);
        let table = reader.parse();
        if reader.is_wrong() {
            // What was meant by a file that is no TOML is anybody's guess: no second error of the first.
            return Err(Mistakes(reader.mistakes()));
        }
        let config = settings(&mut reader, &table, &defaults, &examples);
        let mistakes = reader.mistakes();
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(Mistakes(mistakes)),
        }
    }
}

/// The sample with the settings behind a `#` put into force: what they show are the defaults of receivers and routes.
fn uncommented() -> String {
    let bare = |line: &'static str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    };
    SAMPLE.lines().map(bare).collect::<Vec<_>>().join("\n")
}

fn settings<'a>(
    reader: &mut Reader<'a>,
    table: &DeTable<'a>,
    defaults: &DeTable<'a>,
    examples: &DeTable<'a>,
) -> Option<Config> {
    let mut top =
        Section::top(table, defaults, &["listen", "query", "drift", "retention", "notify", "receiver", "route"]);
    let state_dir = top.get(reader, "state_dir", path);
    let socket = top.get(reader, "socket", path);
    let policy_dirs = top.get(reader, "policy_dirs", texts);
    let support_dir = top.get(reader, "support_dir", path);
    let advertise = top.get(reader, "advertise", host);
    top.end(reader);

    let mut listen = reader.section("listen", table, defaults);
    let address = || parsed::<SocketAddr>("an address and port such as \"0.0.0.0:7443\"");
    let ingest = listen.get(reader, "ingest", address());
    let enroll = listen.get(reader, "enroll", address());
    let health = listen.get(reader, "health", address());
    listen.end(reader);

    let mut remote = reader.section("query", table, defaults);
    let query = remote.get(reader, "listen", parsed::<SocketAddr>("an address and port such as \"0.0.0.0:7445\""));
    remote.end(reader);

    let mut drift = reader.section("drift", table, defaults);
    let silent_after = drift.get(reader, "silent_after", |value| at_least(Duration::from_secs(1), span(value)?));
    drift.end(reader);

    let mut retention = reader.section("retention", table, defaults);
    let mut kept = |key| retention.get(reader, key, |value| at_least(DAY, span(value)?));
    let (samples, rollups) = (kept("samples"), kept("rollups"));
    let (events, facts, drifts) = (kept("events"), kept("facts"), kept("drifts"));
    retention.end(reader);

    let mut notify = reader.section("notify", table, defaults);
    let group_wait = notify.get(reader, "group_wait", span);
    let repeat_after = notify.get(reader, "repeat_after", span);
    let give_up_after = notify.get(reader, "give_up_after", |value| at_least(Duration::from_secs(60), span(value)?));
    notify.end(reader);

    let receivers = receivers(reader, table, examples);
    let routes = routes(reader, table, &receivers);
    Some(Config {
        state_dir: state_dir?,
        socket: socket?,
        policy_dirs: policy_dirs?.into_iter().map(PathBuf::from).collect(),
        support_dir: support_dir?,
        advertise,
        ingest: ingest?,
        enroll: enroll?,
        health: health?,
        query,
        silent_after: silent_after?,
        repeat_after: repeat_after?,
        keep: Keep { samples: samples?, rollups: rollups?, events: events?, facts: facts?, drifts: drifts? },
        pace: Pace { group_wait: group_wait?, give_up_after: give_up_after? },
        receivers,
        routes,
    })
}

fn receivers<'a>(reader: &mut Reader<'a>, table: &DeTable<'a>, examples: &DeTable<'a>) -> Vec<ReceiverSettings> {
    let example = examples.get("receiver").and_then(|list| list.get_ref().get(0)?.get_ref().as_table());
    let mut receivers: Vec<ReceiverSettings> = Vec::new();
    for mut section in reader.sections("receiver", table, example) {
        let name = section.need(reader, "name", text);
        section.need(reader, "type", |value| match text(value)?.as_str() {
            "webhook" => Ok(()),
            other => Err(format!("there is no receiver of type \"{other}\"; known: webhook")),
        });
        let rate = section.get(reader, "rate", span);
        let burst = section.get(reader, "burst", |value| match number(value)? {
            0 => Err("at least 1".to_owned()),
            burst => Ok(burst),
        });
        let webhook = webhook(reader, &mut section);
        let at = section.at;
        section.end(reader);
        if let (Some(name), Some(rate), Some(burst), Some(webhook)) = (name, rate, burst, webhook) {
            if receivers.iter().any(|each| each.name == name) {
                reader.wrong(at, format!("there are two receivers with the name \"{name}\""));
            }
            receivers.push(ReceiverSettings { name, rate, burst, kind: ReceiverKind::Webhook(webhook) });
        }
    }
    receivers
}

fn webhook<'a>(reader: &mut Reader<'a>, section: &mut Section<'_, 'a>) -> Option<Webhook> {
    let optional = |section: &mut Section<'_, 'a>, reader: &mut Reader<'a>, key| {
        let has = section.has(key);
        let found = section.get(reader, key, |value| if has { Ok(Some(secret_file(value)?)) } else { Ok(None) });
        found.flatten().map(Arc::new)
    };
    let (has_url, has_file) = (section.has("url"), section.has("url_file"));
    let written = section.get(reader, "url", text).filter(|_| has_url);
    let filed = optional(section, reader, "url_file");
    let bearer = optional(section, reader, "bearer_file");
    let has_ca = section.has("ca_file");
    let ca_file = section.get(reader, "ca_file", path).filter(|_| has_ca);
    let allow_http = section.get(reader, "allow_http", yes)?;
    let allow_private = section.get(reader, "allow_private", yes)?;
    if has_url == has_file {
        reader.wrong(section.at, "[[receiver]] needs either `url` or `url_file`".to_owned());
        return None;
    }
    let url = filed.or_else(|| written.map(|url| Arc::new(Secret::new(url))))?;
    let webhook = Webhook { url, bearer, ca_file, allow_http, allow_private };
    match webhook.check() {
        Ok(()) => Some(webhook),
        Err(what) => {
            reader.wrong(section.at, format!("[[receiver]] {what}"));
            None
        }
    }
}

fn routes<'a>(reader: &mut Reader<'a>, table: &DeTable<'a>, receivers: &[ReceiverSettings]) -> Routes {
    let mut routes = Vec::new();
    for mut section in reader.sections("route", table, None) {
        let known = || receivers.iter().map(|each| each.name.as_str());
        let receiver = section.need(reader, "receiver", |value| {
            let name = text(value)?;
            if known().any(|each| each == name) {
                return Ok(name);
            }
            let meant = plumb_proto::nearest::nearest(&name, known());
            let hint = meant.map_or_else(String::new, |meant| format!(", did you mean \"{meant}\"?"));
            Err(format!("there is no receiver \"{name}\"{hint}"))
        });
        let severity = section.get(reader, "severity", |value| {
            Severity::parse(&text(value)?).ok_or_else(|| "expected info, warning or critical".to_owned())
        });
        let kinds = section.get(reader, "kind", |value| {
            let kind = |word: &String| {
                Kind::parse(word).ok_or_else(|| format!("expected changed, policy or silent, found \"{word}\""))
            };
            texts(value)?.iter().map(kind).collect::<Result<Vec<_>, _>>()
        });
        let groups = section.get(reader, "group", labels);
        section.end(reader);
        if let Some(receiver) = receiver {
            routes.push(Route {
                receiver,
                severity: severity.unwrap_or(Severity::Info),
                kinds: kinds.unwrap_or_default(),
                groups: groups.unwrap_or_default(),
            });
        }
    }
    Routes(routes)
}

/// What hosts connect to, and the certificate carries.
fn host(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    if ServerName::try_from(name.as_str()).is_ok() {
        return Ok(name);
    }
    let hint = if name.is_ascii() { "" } else { "; write letters beyond ASCII as IDNA does (xn--...)" };
    Err(format!("expected a host name or an IP address, without scheme and port, found {name:?}{hint}"))
}

fn path(value: &toml::de::DeValue<'_>) -> Result<PathBuf, String> {
    let path = PathBuf::from(text(value)?);
    if path.is_absolute() { Ok(path) } else { Err(format!("must begin with /, found \"{}\"", path.display())) }
}

fn at_least(least: Duration, span: Duration) -> Result<Duration, String> {
    if span >= least { Ok(span) } else { Err(format!("at least {} s", least.as_secs())) }
}

/// The content of a file that holds a secret, without white space around it.
fn secret_file(value: &toml::de::DeValue<'_>) -> Result<Secret, String> {
    let path = path(value)?;
    let bytes = read(&path, limits::TOKEN_FILE).map_err(|error| format!("{}: {error}", path.display()))?;
    let secret = bytes.trim_ascii();
    if secret.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(Secret::new(secret)) }
}

fn read(path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(std::io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
