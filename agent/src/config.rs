//! `agent.toml` and `agent.d/*.toml`: a few settings of the agent, and a section for each watcher, named as it is.
//!
//! Defaults are written once, in the samples, which are also the documentation and the shipped file ([`shipped`]). Every
//! mistake is told at once, with file, line and the nearest known key; with a mistake nothing is taken over.

mod file;
mod span;

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::observe::Assigned;
use crate::observe::reload::{Change, Changes};
use crate::state;
use crate::watcher::Spec;
use file::Settings;
use span::Span;

/// Where the configuration lies unless said otherwise.
pub const FILE: &str = "/etc/plumb/agent.toml";

/// What the agent itself can be told.
const SAMPLE: &str = r#"
# Records that wait, cursors and this host's identity. Elsewhere, the folder must belong to the user plumb-agent, and the unit
# must allow it: ReadWritePaths=FOLDER by `systemctl edit plumb-agent`.
state_dir = "/var/lib/plumb-agent"
# A record that holds only samples is sent when it is this old. A change or an event is sent within a second.
record_every = "60s"
# Bytes of records that are kept while the collector is away: 8 MiB (8388608) to 4 GiB (4294967296).
spool_bytes = 67108864
# Part of one processor that may be used, 0.01 to 0.2: what was used is paid for with rest.
cpu_share = 0.1
"#;

/// A configuration without mistakes.
#[derive(Clone)]
pub struct Config {
    /// Where the state lies.
    pub state_dir: PathBuf,
    /// Age at which a record of samples is closed.
    pub record_every: Duration,
    /// Bytes that records may take.
    pub spool_bytes: u64,
    /// Part of one processor that may be used.
    pub cpu_share: f64,
    /// Watchers and what they are told.
    pub watchers: Vec<Configured>,
}

/// A watcher and what it is told.
#[derive(Clone)]
pub struct Configured {
    /// How it is on the list.
    pub spec: Spec,
    /// Whether it looks.
    pub enabled: bool,
    /// Time from look to look.
    pub every: Duration,
    settings: toml::Table,
}

/// What is wrong with a line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Which file.
    pub file: PathBuf,
    /// Which line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Every mistake of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Mistake { file, line, what }) in self.0.iter().enumerate() {
            let (end, file) = (if position == 0 { "" } else { "\n" }, file.display());
            match line {
                0 => write!(f, "{end}{file}: {what}")?,
                line => write!(f, "{end}{file}:{line}: {what}")?,
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    state_dir: PathBuf,
    record_every: Span,
    spool_bytes: u64,
    cpu_share: f64,
}

impl Config {
    /// The configuration in a file and in `agent.d` beside it. Without the file the samples hold, unless it is
    /// `required`.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn load(file: &Path, required: bool, specs: &[Spec]) -> Result<Self, Mistakes> {
        Self::of(&Settings::load(file, required)?, specs)
    }

    /// The samples.
    ///
    /// # Errors
    /// A sample itself is wrong, which a test rules out for ours.
    pub fn defaults(specs: &[Spec]) -> Result<Self, Mistakes> {
        Self::of(&Settings::default(), specs)
    }

    /// Where the state lies by these files, whatever else is wrong in them: where the sample has it, if that is.
    ///
    /// # Errors
    /// As [`Config::defaults`].
    pub fn state_dir(file: &Path) -> Result<PathBuf, Mistakes> {
        let written = file::text_of("state_dir", file).map(PathBuf::from).filter(|folder| folder.is_absolute());
        written.map_or_else(|| Ok(Self::defaults(&[])?.state_dir), Ok)
    }

    fn of(settings: &Settings, specs: &[Spec]) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let sections: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        let sample = settings.sample(SAMPLE, &mut mistakes);
        settings.check_names(&sample, &sections, &mut mistakes);
        let own = settings.overlay(None, &sample, &mut mistakes);
        let own = settings.take(None, &sample, own, &mut mistakes, check_own);
        let watchers = specs.iter().filter_map(|spec| configured(settings, spec, &mut mistakes)).collect();
        match own {
            Some(Own { state_dir, record_every, spool_bytes, cpu_share }) if mistakes.is_empty() => {
                Ok(Self { state_dir, record_every: record_every.0, spool_bytes, cpu_share, watchers })
            }
            _ => {
                mistakes.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
                mistakes.dedup();
                Err(Mistakes(mistakes))
            }
        }
    }

    /// What changes for an observer that was started with the configuration `before`.
    ///
    /// # Errors
    /// As [`Config::assigned`].
    pub fn since(&self, before: &Self) -> anyhow::Result<Changes> {
        let same = |each: &Configured| {
            let old = before.watchers.iter().find(|old| old.spec.name == each.spec.name);
            old.is_some_and(|old| old.enabled && (old.every, &old.settings) == (each.every, &each.settings))
        };
        let change = |each: &Configured| match same(each) {
            true => Ok(Change::Keep(each.spec.name)),
            false => each.assign().map(Change::Take),
        };
        let watchers = self.watchers.iter().filter(|each| each.enabled).map(change);
        let moved = self.state_dir != before.state_dir;
        let later = || format!("state_dir = \"{}\" holds after a restart", self.state_dir.display());
        Ok(Changes {
            watchers: watchers.collect::<anyhow::Result<_>>()?,
            record_every: self.record_every,
            cpu_share: self.cpu_share,
            bound: self.spool_bytes,
            later: moved.then(later),
        })
    }

    /// Makes the watchers that are enabled.
    ///
    /// # Errors
    /// A watcher refuses its settings; they were tried when they were loaded.
    pub fn assigned(&self) -> anyhow::Result<Vec<Assigned>> {
        self.watchers.iter().filter(|each| each.enabled).map(Configured::assign).collect()
    }
}

impl Configured {
    fn assign(&self) -> anyhow::Result<Assigned> {
        Ok(Assigned { spec: self.spec, every: self.every, watcher: self.spec.make(self.settings.clone())? })
    }
}

fn check_own(table: toml::Table) -> Result<Own, String> {
    let own: Own = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let (least, most) = (state::BOUNDS.start(), state::BOUNDS.end());
    if !own.state_dir.is_absolute() {
        return Err("state_dir is not an absolute path".to_owned());
    }
    if !state::BOUNDS.contains(&own.spool_bytes) {
        return Err(format!("spool_bytes is not between {least} and {most}"));
    }
    if !(0.01..=0.2).contains(&own.cpu_share) {
        return Err("cpu_share is not between 0.01 and 0.2".to_owned());
    }
    own.record_every.within("record_every", Duration::from_secs(1), Duration::from_hours(1))?;
    Ok(own)
}

fn configured(settings: &Settings, spec: &Spec, mistakes: &mut Vec<Mistake>) -> Option<Configured> {
    let sample = settings.sample(&section(spec), mistakes);
    let table = settings.overlay(Some(spec.name), &sample, mistakes);
    settings.take(Some(spec.name), &sample, table, mistakes, |mut table| {
        let enabled = table.remove("enabled").and_then(|value| value.as_bool()).unwrap_or(true);
        let every = match table.remove("every") {
            Some(value) => value.try_into::<Span>().map_err(|error| error.message().to_owned())?,
            None => Span(spec.every),
        };
        every.within("every", Duration::from_secs(1), Duration::from_hours(24))?;
        spec.make(table.clone()).map_err(|error| error.message().to_owned())?;
        Ok(Configured { spec: *spec, enabled, every: every.0, settings: table })
    })
}

/// A watcher's section, as it is shipped.
fn section(spec: &Spec) -> String {
    format!("enabled = true\nevery = \"{}\"\n{}", Span(spec.every), spec.sample.trim_start_matches('\n'))
}

/// The file that is shipped: all samples, joined.
#[must_use]
pub fn shipped(specs: &[Spec]) -> String {
    let mut text = "# Settings of plumb-agent. Everything here is a default: what you leave out stays as it is.\n\
                    # Files in agent.d/ are read after this one, in the order of their names.\n"
        .to_owned();
    text += SAMPLE;
    for spec in specs {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n[{}]\n{}", spec.name, section(spec));
    }
    text
}

#[cfg(test)]
mod tests;
