//! A local login that only reads, where one is configured: what a server says of itself, asked once a minute. It is off
//! unless configured, ends after two seconds whatever the server does, and waits longer after a failure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::known::Known;
pub use super::known::Wanted;
use super::sizes::Sizes;
use super::{Instance, Product, Refusal};
use crate::host::{Host, HostError};
use crate::tables::DATABASE_SCHEMA;
use crate::watcher::Look;

/// Time that one visit takes at most.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes that a server may say in one visit.
pub const LIMIT: usize = 1 << 20;
/// No further question of [`Wanted`] is begun after this much of a visit: the next minute has time, too.
pub const BUSY: Duration = Duration::from_millis(300);
/// Time between two visits; after a server said nothing that is understood; after it let us not in, which it counts.
const EVERY: Duration = Duration::from_secs(60);
const AFTER_SILENCE: Duration = Duration::from_secs(300);
const AFTER_DENIAL: Duration = Duration::from_secs(1_800);
/// No visit is begun after this much of a look.
const OF_A_LOOK: Duration = Duration::from_secs(2);
/// Bytes of a file with a password.
const PASSWORD: usize = 1_024;

/// Who logs in. It does not print: there is a password in it.
pub struct Login {
    /// Name of the user.
    pub user: String,
    /// Empty if the server is to know us by who we are.
    pub password: Vec<u8>,
    /// Whether the socket belongs to the server, so that the password itself may be said on it.
    pub trusted: bool,
}

/// What a server has said to who is logged in.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Connections at the moment, ours among them.
    pub connections: Option<f64>,
    /// As many as there may be.
    pub limit: Option<f64>,
    /// Statements that took long, since the server's start.
    pub slow: Option<f64>,
    /// Seconds by which a replica lags behind.
    pub lag: Option<f64>,
    /// Names of databases by their number.
    pub names: BTreeMap<String, String>,
    /// Bytes of autoloaded options of the first of [`Wanted`]; `None` where the login may not see them.
    pub autoload: Vec<Option<f64>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Logins {
    pub(super) known: BTreeMap<String, Known>,
}

impl Logins {
    /// Why a server lets nobody in, as of the last visit.
    pub(super) fn turned_away(&self, key: &str) -> Option<&str> {
        self.known.get(key)?.turned.as_deref()
    }

    /// Visits the servers whose time has come.
    pub(super) fn visit(
        &mut self,
        product: &dyn Product,
        (user, password_file): (&str, &str),
        look: &mut Look<'_>,
        (instances, sizes): (&[Instance], &Sizes),
        now: Duration,
    ) {
        self.known.retain(|key, _| instances.iter().any(|each| each.key == *key));
        let until = look.host.clock().monotonic() + OF_A_LOOK;
        for instance in instances {
            let known = self.known.entry(instance.key.clone()).or_default();
            if instance.server.is_none() {
                (known.turned, known.failed, known.tells, known.next) = (None, None, false, now); // names stand, as what it holds does
                continue;
            }
            if now >= known.next && look.host.clock().monotonic() < until {
                known.want(sizes, &instance.key);
                let said = visit(product, look.host, instance, (user, password_file), &known.wanted);
                known.take(look, &instance.key, said, now);
                if known.tells {
                    sizes.sample(look, &instance.key);
                }
            }
            if let Some((why, hint)) = &known.failed {
                // It hides no row: what the login would tell are series.
                let subject = format!("{}/(login)", instance.key);
                let why = format!("the login as `{user}` came to nothing: {why}");
                look.problem(&DATABASE_SCHEMA, subject, instance.key.as_str(), why, hint);
            }
        }
    }
}

impl Known {
    /// After each look at the sizes of its tables the options of all installations are counted anew.
    fn want(&mut self, sizes: &Sizes, key: &str) {
        let measured = sizes.measured(key);
        if measured.is_some() && measured != self.measured {
            let all = sizes.schemas(key).iter();
            let wanted = all.flat_map(|each| each.wordpress.iter().map(|prefix| (each.name.clone(), prefix.clone())));
            self.wanted = wanted.map(|(schema, prefix)| Wanted { schema, prefix }).collect();
            self.autoload.retain(|schema, _| self.wanted.iter().any(|wanted| wanted.schema == *schema));
            self.measured = measured;
        }
    }

    fn take(&mut self, look: &mut Look<'_>, key: &str, said: Result<Answer, Refusal>, now: Duration) {
        (self.turned, self.failed, self.next) = (None, None, now + EVERY);
        self.tells = said.is_ok();
        match said {
            Ok(answer) => self.tell(look, key, answer),
            Err(Refusal::Turned(why)) => self.turned = Some(why),
            Err(Refusal::Denied(why, hint)) => (self.failed, self.next) = (Some((why, hint)), now + AFTER_DENIAL),
            Err(Refusal::Silent(why)) => (self.failed, self.next) = (Some((why, "")), now + AFTER_SILENCE),
            Err(Refusal::Away(why)) => self.failed = Some((why, "")),
        }
    }

    fn tell(&mut self, look: &mut Look<'_>, key: &str, answer: Answer) {
        let labels = [("database", key)];
        for (name, value) in [
            ("database_connections", answer.connections),
            ("database_connections_limit", answer.limit),
            ("database_replication_lag_seconds", answer.lag),
        ] {
            value.into_iter().for_each(|value| look.gauge(name, &labels, value));
        }
        if let Some(slow) = answer.slow {
            look.counter("database_slow_queries_total", &labels, slow);
        }
        let done = answer.autoload.len().min(self.wanted.len());
        // Of several installations in one schema, the worst one is told.
        let mut worst: BTreeMap<String, f64> = BTreeMap::new();
        for (Wanted { schema, .. }, bytes) in self.wanted.drain(..done).zip(answer.autoload) {
            if let Some(bytes) = bytes {
                let known = worst.entry(schema).or_default();
                *known = known.max(bytes);
            }
        }
        self.autoload.extend(worst);
        for (schema, bytes) in &self.autoload {
            look.gauge("database_autoload_bytes", &[("database", key), ("schema", schema)], *bytes);
        }
        self.names = answer.names;
    }
}

fn visit(
    product: &dyn Product,
    host: &Host,
    instance: &Instance,
    (user, password_file): (&str, &str),
    wanted: &[Wanted],
) -> Result<Answer, Refusal> {
    let there = |socket: &&PathBuf| host.stat(socket).is_ok();
    let Some(socket) = instance.sockets.iter().find(there) else {
        return Err(Refusal::Away("its socket is not known, or not there".to_owned()));
    };
    let password = if password_file.is_empty() { Vec::new() } else { password(host, Path::new(password_file))? };
    let login = Login { user: user.to_owned(), password, trusted: is_its_own(host, instance, socket) };
    product.ask(host, socket, &login, wanted)
}

/// Whether a socket was made by root or by the user that the server runs as: nobody else may hear a password.
fn is_its_own(host: &Host, instance: &Instance, socket: &Path) -> bool {
    let of_server = instance.server.as_ref().and_then(|server| host.stat(format!("/proc/{}", server.pid)).ok());
    let owner = host.stat(socket).ok().map(|meta| meta.uid);
    owner == Some(0) || owner.is_some() && owner == of_server.map(|meta| meta.uid)
}

fn password(host: &Host, file: &Path) -> Result<Vec<u8>, Refusal> {
    let denied = |error: HostError| Refusal::Denied(error.to_string(), error.hint());
    let meta = host.stat(file).map_err(denied)?;
    if meta.mode & 0o007 != 0 {
        let why = format!("{}: everybody may read or write the password", file.display());
        return Err(Refusal::Denied(why, "chmod 640 it, owned by root and the group plumb-agent"));
    }
    let mut bytes = host.read(file, PASSWORD).map_err(denied)?;
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(bytes)
}
