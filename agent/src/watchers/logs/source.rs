//! What there is to read: a log, what is written in it, and whom it speaks of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::extract::Extractor;
use crate::failures::Origin;

/// Formats of one log.
const MAX_FORMATS: usize = 16;

/// What is written in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// Requests that nginx answered.
    NginxAccess,
    /// Requests that Apache answered.
    ApacheAccess,
    /// What went wrong in nginx.
    NginxError,
    /// What went wrong in Apache, and in PHP as its module.
    ApacheError,
    /// What PHP itself writes.
    PhpError,
    /// What the process manager of PHP-FPM writes.
    PhpFpm,
    /// MySQL, MariaDB, Percona.
    MysqlError,
    /// PostgreSQL.
    Postgresql,
    /// Redis, Valkey.
    Redis,
    /// The kernel.
    Kernel,
    /// Services of the system.
    System,
    /// The mail server.
    Mail,
}

impl What {
    /// As the table has it, and the settings.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NginxAccess => "nginx-access",
            Self::ApacheAccess => "apache-access",
            Self::NginxError => "nginx-error",
            Self::ApacheError => "apache-error",
            Self::PhpError => "php-error",
            Self::PhpFpm => "php-fpm",
            Self::MysqlError => "mysql-error",
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
            Self::Kernel => "kernel",
            Self::System => "system",
            Self::Mail => "mail",
        }
    }

    /// Who writes about failures there; `None` for a log of requests.
    pub(super) fn origin(self) -> Option<Origin> {
        Some(match self {
            Self::NginxAccess | Self::ApacheAccess => return None,
            Self::NginxError => Origin::Nginx,
            Self::ApacheError => Origin::Apache,
            Self::PhpError => Origin::PhpError,
            Self::PhpFpm => Origin::Fpm,
            Self::MysqlError => Origin::Mysql,
            Self::Postgresql => Origin::Postgresql,
            Self::Redis => Origin::Redis,
            Self::Kernel => Origin::Kernel,
            Self::System => Origin::System,
            Self::Mail => Origin::Mail,
        })
    }
}

/// Where logs of one kind lie: `KIND PATTERN`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pattern {
    pub(super) what: What,
    pub(super) path: PathBuf,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not what is written in a log and where it lies");
        let (what, path) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let what = toml::Value::String(what.to_owned()).try_into().map_err(|_| wrong())?;
        let path = PathBuf::from(path.trim());
        if path.is_absolute() { Ok(Self { what, path }) } else { Err(wrong()) }
    }
}

/// A log that somebody names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) what: What,
    /// The site that all of it speaks of.
    pub(super) site: Option<String>,
    /// The formats of its lines, in the order in which they are tried; none is known if empty.
    pub(super) formats: Vec<Arc<Extractor>>,
    /// Who owns the configuration that names it, unless that is the system: it must be that user's log too.
    pub(super) named_by: Option<u32>,
}

/// Logs as they are named in configuration, by path.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<String, Naming>);

#[derive(Debug)]
struct Naming {
    what: What,
    sites: BTreeSet<Option<String>>,
    formats: Vec<Arc<Extractor>>,
    unclear: bool,
    named_by: Option<u32>,
}

/// One line of configuration that names a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) path: String,
    /// `None`: it has none, as a log of errors, or it is not understood.
    pub(super) format: Option<Arc<Extractor>>,
    pub(super) named_by: Option<u32>,
}

impl Named {
    /// Takes up that a site (`None`: several, or one without a name) writes to a log.
    pub(super) fn add(&mut self, named: &Entry, site: Option<String>) {
        let Entry { what, path, format, named_by } = named;
        let naming = self.0.entry(path.clone()).or_insert_with(|| Naming {
            what: *what,
            sites: BTreeSet::new(),
            formats: Vec::new(),
            unclear: false,
            named_by: *named_by,
        });
        if naming.sites.len() < 2 {
            naming.sites.insert(site); // with a second one, it is nobody's
        }
        naming.named_by = naming.named_by.or(*named_by);
        match format {
            Some(format) if naming.formats.contains(format) => {}
            Some(format) if naming.formats.len() < MAX_FORMATS => naming.formats.push(Arc::clone(format)),
            _ => naming.unclear = true,
        }
    }

    /// The logs, each once.
    pub(super) fn into_sources(self) -> impl Iterator<Item = (String, Source)> {
        self.0.into_iter().map(|(path, naming)| {
            let Naming { what, sites, formats, unclear, named_by } = naming;
            let site = if sites.len() == 1 { sites.into_iter().next().flatten() } else { None };
            let formats = if unclear { Vec::new() } else { formats };
            (path, Source { what, site, formats, named_by })
        })
    }
}
