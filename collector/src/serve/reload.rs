//! Settings that are taken over while the collector runs: all of a configuration, or nothing of it. What can fail is done
//! first; what then puts the settings into force cannot. Listeners stay, and so does every connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use anyhow::Result;
use plumb_proto::model::TableDecl;

use super::parts::{names, policy_sources};
use super::{Collector, STOP_TIME};
use crate::config::{Config, Mistakes};
use crate::current::Current;
use crate::drift::detectors;
use crate::drift::detectors::silent::Silent;
use crate::drift::policy::Policy;
use crate::listen::tls::Names;
use crate::notify::Told;
use crate::pipeline::Judging;
use crate::store::Keep;
use crate::support_files;
use crate::worker::Weight;

/// What takes a restart.
#[derive(PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) state_dir: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) ingest: SocketAddr,
    pub(super) enroll: SocketAddr,
    pub(super) health: SocketAddr,
    pub(super) query: Option<SocketAddr>,
}

impl Fixed {
    /// Settings that are others there, by name.
    fn differ(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("state_dir", self.state_dir == other.state_dir),
            ("socket", self.socket == other.socket),
            ("listen.ingest", self.ingest == other.ingest),
            ("listen.enroll", self.enroll == other.enroll),
            ("listen.health", self.health == other.health),
            ("query.listen", self.query == other.query),
        ];
        all.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

/// A configuration whose files were all read and found to be in order.
pub(super) struct Checked {
    pub(super) fixed: Fixed,
    pub(super) names: Vec<String>,
    pub(super) policy: Arc<Policy>,
    pub(super) judging: Judging,
    pub(super) keep: Keep,
    pub(super) told: Told,
}

impl Checked {
    /// Reads what the configuration names: policy files, files of receivers. At a start and at a reload alike.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn of(config: Config, declared: &[TableDecl]) -> Result<Self, Mistakes> {
        let sources = policy_sources(&config.policy_dirs).map_err(|error| vec![format!("rules: {error:#}")]);
        let policy = sources.and_then(|sources| Policy::load(&sources, declared));
        let told = Told::open(config.receivers, config.routes, config.pace);
        let found = support_files::read(&config.support_dir);
        let (policy, told, found) = match (policy, told, found) {
            (Ok(policy), Ok(told), Ok(found)) => (policy, told, found),
            (policy, told, found) => {
                let all = [policy.err(), found.err(), told.err()];
                return Err(Mistakes(all.into_iter().flatten().flatten().collect()));
            }
        };
        if let Some(unused) = found.unused {
            tracing::warn!("support dates: {unused}");
        }
        let policy = Arc::new(policy.judging_by(found.dates));
        Ok(Self {
            names: names(config.advertise.as_deref()),
            judging: Judging {
                detectors: detectors::all(&policy),
                silent: Silent { host: config.silent_after, ..Silent::default() },
                repeat: config.repeat_after,
            },
            policy,
            keep: config.keep,
            told,
            fixed: Fixed {
                state_dir: config.state_dir,
                socket: config.socket,
                ingest: config.ingest,
                enroll: config.enroll,
                health: config.health,
                query: config.query,
            },
        })
    }
}

/// The settings in force, as far as a reload may change them; the pipeline and the notifier hold their own.
pub(super) struct Settings {
    pub(super) fixed: Fixed,
    pub(super) names: Names,
    pub(super) rules: Arc<Current<Policy>>,
    pub(super) keep: Arc<Current<Keep>>,
}

impl Collector {
    /// Takes over the settings that `read` answers. What takes a restart stays as it is, and is told in the log.
    ///
    /// # Errors
    /// Every mistake; they are in the log as well, and nothing has changed.
    pub async fn reload(
        &self,
        read: impl FnOnce() -> Result<Config, Mistakes> + Send + 'static,
    ) -> Result<(), Mistakes> {
        let done = match self.read(read).await {
            Ok(checked) => self.take_over(checked).await.map_err(|error| Mistakes(vec![format!("{error:#}")])),
            Err(mistakes) => Err(mistakes),
        };
        match &done {
            Ok(()) => self.condition.settled(self.clock.now()),
            Err(Mistakes(lines)) => {
                for line in lines {
                    tracing::error!("reload: {line}");
                }
                tracing::error!("reload: nothing was taken over, the earlier settings stay in force");
                self.condition.refused(lines.len());
            }
        }
        done
    }

    async fn read(
        &self,
        read: impl FnOnce() -> Result<Config, Mistakes> + Send + 'static,
    ) -> Result<Checked, Mistakes> {
        let reader = self.reader.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let config = read()?;
            let declared = reader.lock().unwrap_or_else(PoisonError::into_inner).schema();
            Checked::of(config, &declared.map_err(|error| Mistakes(vec![format!("tables: {error:#}")]))?)
        });
        match tokio::time::timeout(STOP_TIME, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(Mistakes(vec!["reading the settings broke".to_owned()])),
            Err(_) => Err(Mistakes(vec![format!("the settings could not be read within {} s", STOP_TIME.as_secs())])),
        }
    }

    async fn take_over(&self, checked: Checked) -> Result<()> {
        let Checked { fixed, names, policy, judging, keep, told } = checked;
        self.authority.reread_server(&names, self.clock.now())?;
        // Directly ahead of who sends to them: alerts wait for a receiver from here on.
        let receivers = told.names();
        let begin = self
            .writer
            .call(Weight::default(), move |tx| receivers.iter().try_for_each(|name| tx.begin_receiver(name)));
        let begun = tokio::time::timeout(STOP_TIME, begin).await;
        begun.map_err(|_| anyhow::anyhow!("the store has not answered within {} s", STOP_TIME.as_secs()))??;
        self.notifier.replace(told)?;

        for name in self.settings.fixed.differ(&fixed) {
            tracing::warn!("reload: {name} takes a restart: until then it stays as it was");
        }
        let (rules, as_of) = (policy.rules().len(), policy.dates().as_of());
        tracing::info!("reload: settings taken over, {rules} rules in force, support dates as of {as_of}");
        self.settings.names.set(names);
        self.settings.keep.set(keep);
        // the rules last: what the tick then lets go is not opened again by the rules of before
        self.pipeline.judge_by(judging);
        self.settings.rules.set(policy);
        Ok(())
    }
}
