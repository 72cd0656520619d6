//! The pools of FPM: what is configured, read seldom, and how full they are, seen at every look.

mod columns;
mod memory;
mod page;
mod sites;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::time::Timestamp;

use super::loaded::{self, Effect};
use super::saturation::{Saturation, Seen};
use super::table::PHP_POOL;
use super::workers::Titles;
use crate::fpm::places::Sapi;
use crate::fpm::settings::Configured;
use crate::fpm::{self, Instance, Pool};
use crate::host::sockets::{Socket, Visitors};
use crate::host::{Host, HostError};
use crate::watcher::Look;

/// Time between two looks for masters that were started: where one is missing or was of late, and where all run. A list of
/// processes costs more than all else of a look.
const STARTED: Duration = Duration::from_secs(30);
const SETTLED: Duration = Duration::from_secs(300);
/// Age of a list of processes that is new enough for that.
const SHARED: Duration = Duration::from_secs(5);
/// Time between two samples of a series.
const MINUTE: Duration = Duration::from_secs(60);

/// What is known of the pools from look to look.
#[derive(Default)]
pub(super) struct Pools {
    found: fpm::Pools,
    /// How many workers each pool may have as it runs now, or why it cannot be judged; `None` of one that nobody runs.
    limits: Vec<Option<Result<u32, String>>>,
    /// By key of the pool.
    states: BTreeMap<String, Saturation>,
    titles: Titles,
    /// Where each row comes from that was told: its file, and that of its master.
    origins: BTreeMap<String, (PathBuf, PathBuf)>,
    searched: Option<Duration>,
    /// When a master was last seen to have ended.
    ended: Option<Duration>,
    sampled: Option<Duration>,
    memory: memory::Memory,
    /// Files of PHP's settings.
    files: BTreeSet<PathBuf>,
    pages: page::Pages,
    sites: sites::Sites,
}

/// Who waits at sockets, as far as it was asked.
#[derive(Default)]
struct Queues {
    local: Option<Result<BTreeMap<PathBuf, Visitors>, HostError>>,
    network: Option<Result<Vec<Socket>, HostError>>,
}

impl Pools {
    /// Reads all configuration, and tells what stands in it: `true` if there is any, or something that cannot be read. `rows`
    /// has the key of each binary's row in the table `php`.
    pub(super) fn read(&mut self, look: &mut Look<'_>, rows: &BTreeMap<PathBuf, String>) -> bool {
        self.found = fpm::pools(look.host);
        self.titles.forget();
        self.pages.forget();
        self.searched = Some(look.host.clock().monotonic());
        self.limits.clear();
        self.files.clear();
        let mut found = std::mem::take(&mut self.found);
        self.sites.find(look.host, &found);
        let instances = found.instances.iter().map(|instance| {
            let configured = Configured::read(look.host, &instance.binary, Sapi::Fpm, &instance.branch);
            (configured, loaded::when(look, instance), unseen(look.host, instance, &found))
        });
        let instances: Vec<_> = instances.collect();
        for pool in &found.pools {
            let (Some(instance), Some((configured, load, unseen))) =
                (found.instances.get(pool.instance), instances.get(pool.instance))
            else {
                continue;
            };
            let values = configured.in_pool(pool);
            let real = look.host.resolve(&instance.binary).unwrap_or_else(|_| instance.binary.clone());
            columns::tell(look, pool, (configured, &values), rows.get(&real));
            self.sites.tell(look, pool, configured);
            let own = [(pool.changed, &pool.config), (instance.changed, &instance.config)];
            let own = own.into_iter().filter_map(|(at, path)| Some((at?, path.clone())));
            let changed = own.chain(configured.changed.clone()).max_by_key(|(at, _)| *at);
            let disk = loaded::on_disk(pool, configured, &values);
            let effect = load.as_ref().and_then(|load| tell_loaded(look, pool, load, (&disk, changed.as_ref())));
            if let Some((changed, _)) = changed {
                tell_column(look, pool, "config_changed", changed.into());
            }
            let runs = instance.master.is_some() || unseen.is_some();
            let limit = || unseen.clone().map_or_else(|| limit(effect.as_ref().unwrap_or(&disk)), Err);
            self.limits.push(runs.then(limit));
        }
        self.files.extend(instances.into_iter().flat_map(|(configured, ..)| configured.files));
        self.tell_problems(look, &found);
        let keys: BTreeSet<&str> = found.pools.iter().map(|pool| pool.key.as_str()).collect();
        loaded::forget_all_but(look, &keys);
        self.states.retain(|key, _| keys.contains(key.as_str()));
        let limits = self.limits.iter().map(|limit| limit.as_ref().and_then(|limit| limit.as_ref().ok()).copied());
        self.memory.begin(&found, limits.collect());
        // All is told; looks in between ask for these only.
        for pool in &mut found.pools {
            pool.values.retain(|name, _| matches!(name.as_str(), "listen" | "pm.status_path" | "pm.status_listen"));
            pool.unknown.clear();
        }
        self.found = found;
        !self.found.pools.is_empty() || !self.found.problems.is_empty()
    }

    /// Tells what cannot be read: rows that came from there are not gone, and no other is touched.
    fn tell_problems(&mut self, look: &mut Look<'_>, found: &fpm::Pools) {
        let seen: BTreeSet<&str> = found.pools.iter().map(|pool| pool.key.as_str()).collect();
        self.origins.retain(|key, _| !seen.contains(key.as_str()));
        let mut hidden = BTreeSet::new();
        for error in &found.problems {
            let path = Path::new(OsStr::from_bytes(error.path.as_bytes()));
            let below: Vec<&String> = self
                .origins
                .iter()
                .filter(|(_, (config, main))| config.starts_with(path) || main == path)
                .map(|(key, _)| key)
                .collect();
            for key in &below {
                look.problem(&PHP_POOL, key.as_str(), error.path.clone(), &error.kind, error.hint());
            }
            if below.is_empty() {
                look.problem(&PHP_POOL, error.path.clone(), error.path.clone(), &error.kind, error.hint());
            }
            hidden.extend(below.into_iter().cloned());
        }
        self.origins.retain(|key, _| hidden.contains(key));
        for pool in &found.pools {
            if let Some(instance) = found.instances.get(pool.instance) {
                self.origins.insert(pool.key.clone(), (pool.config.clone(), instance.config.clone()));
            }
        }
    }

    /// Whether a master has ended, or may have been started: all is to be read again.
    pub(super) fn have_moved(&mut self, host: &Host, now: Duration) -> bool {
        let runs = |pid: u32, start: u64| host.birth(pid).is_ok_and(|birth| birth.start == start);
        let masters = self.found.instances.iter().filter_map(|each| each.master.as_ref());
        if !masters.clone().all(|master| runs(master.pid, master.birth.start)) {
            self.ended = Some(now);
            return true;
        }
        let is_missing = self.found.instances.iter().any(|each| each.master.is_none());
        let pause = match is_missing || self.ended.is_some_and(|ended| now < ended + SETTLED) {
            true => STARTED,
            false => SETTLED,
        };
        if self.searched.is_some_and(|searched| now < searched + pause) {
            return false;
        }
        self.searched = Some(now);
        let known: BTreeSet<u32> = masters.map(|master| master.pid).collect();
        fpm::has_other_masters(host, &known, SHARED)
    }

    /// How soon to look again, to be sure that a pool is full.
    pub(super) fn again(&self) -> Option<Duration> {
        self.states.values().filter_map(Saturation::again).min()
    }

    /// Folders and files whose change matters.
    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let instances = self.found.instances.iter();
        let own = instances
            .flat_map(|each| each.folders.iter().cloned().chain([each.config.clone()]).chain(each.pid_file.clone()));
        fpm::folders().chain(own).chain(self.files.iter().cloned())
    }

    /// Looks at workers and queues, and tells them.
    pub(super) fn look(&mut self, look: &mut Look<'_>, now: Duration) {
        if self.limits.iter().all(Option::is_none) {
            return; // nobody runs any
        }
        let workers = self.titles.workers(look.host, &self.found.instances);
        let sample = self.sampled.is_none_or(|sampled| now >= sampled + MINUTE);
        let mut counts: Vec<u32> = Vec::with_capacity(self.found.pools.len());
        let mut at_limit = false;
        for (pool, limit) in self.found.pools.iter().zip(&self.limits) {
            let count = workers.get(&(pool.instance, pool.name.clone())).map_or(0, Vec::len);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            at_limit |= matches!(limit, Some(Ok(limit)) if count >= *limit);
            counts.push(count);
        }
        let queues = if at_limit || sample {
            Queues::ask(look.host, &self.found.pools, at_limit || sample)
        } else {
            Queues::default()
        };
        let mut turned = false;
        for ((pool, limit), count) in self.found.pools.iter().zip(&self.limits).zip(counts.iter().copied()) {
            let Some(limit) = limit else { continue };
            let visitors = queues.at(pool);
            if sample {
                look.gauge("php_pool_workers", &[("pool", &pool.key)], f64::from(count));
                if let Ok(visitors) = &visitors {
                    look.gauge("php_pool_listen_queue", &[("pool", &pool.key)], f64::from(visitors.0));
                }
                // While it is full, one more who asks is one more who waits.
                let is_free = visitors
                    .as_ref()
                    .is_ok_and(|(queue, served)| *queue == 0 && served.is_some_and(|served| served < count));
                self.pages.tell(look, pool, is_free);
            }
            let seen = limit.as_ref().map_err(Clone::clone).and_then(|limit| {
                let (queue, served) = if count < *limit { (0, None) } else { visitors? };
                Ok(Seen { workers: count, limit: *limit, queue, served })
            });
            match seen {
                Ok(seen) => {
                    let state = self.states.entry(pool.key.clone()).or_default();
                    turned |= state.see(seen, now, !look.keeps());
                    let told = state.told();
                    tell_column(look, pool, "saturated", told.is_some().into());
                    if let Some(seen) = told {
                        tell_column(look, pool, "queue", i64::from(seen.queue).into());
                        tell_column(look, pool, "workers", i64::from(seen.workers).into());
                    }
                }
                Err(why) => look.unknown(&PHP_POOL, pool.key.as_str(), "saturated", why, ""),
            }
        }
        if sample {
            self.sampled = Some(now);
            self.pages.begin();
        }
        if turned {
            look.urgent();
        }
        self.memory.look(look, (now, sample), &self.found, (&workers, &counts));
    }
}

impl Queues {
    fn ask(host: &Host, pools: &[Pool], served: bool) -> Self {
        let mut wanted: BTreeSet<&Path> = BTreeSet::new();
        let mut network = false;
        for pool in pools {
            for listen in [Some(&pool.listen), pool.values.get("listen")].into_iter().flatten() {
                match listen.starts_with('/') {
                    true => _ = wanted.insert(Path::new(listen)),
                    false => network |= !listen.is_empty(),
                }
            }
        }
        let local = !wanted.is_empty();
        Self {
            local: local.then(|| host.visitors(&|path| wanted.contains(path), served)),
            network: network.then(|| host.listening()),
        }
    }

    /// Who waits at the socket of a pool, and who is served, if that can be told.
    fn at(&self, pool: &Pool) -> Result<(u32, Option<u32>), String> {
        const NOBODY: &str = "nobody listens on its socket in the network namespace of the agent";
        if let Some(local) = self.local.as_ref().filter(|_| pool.listen.starts_with('/')) {
            let sockets = local.as_ref().map_err(ToString::to_string)?;
            // It bears the path that it was bound with, links and all.
            let written = pool.values.get("listen").and_then(|written| sockets.get(Path::new(written)));
            let found = written.or_else(|| sockets.get(Path::new(&pool.listen)));
            return found.map(|each| (each.waiting, Some(each.taken))).ok_or_else(|| NOBODY.to_owned());
        }
        let sockets = self.network.as_ref().ok_or("where it listens is not known")?.as_ref();
        let sockets = sockets.map_err(ToString::to_string)?;
        let (address, port) = pool.listen.rsplit_once(':').ok_or("where it listens is not known")?;
        let everywhere = |text: &str| matches!(text, "*" | "0.0.0.0" | "[::]");
        let found =
            sockets.iter().filter(|each| each.protocol == "tcp" && Ok(each.port) == port.parse()).find(|each| {
                let own = each.name();
                let own = own.trim_start_matches("tcp/").rsplit_once(':').map_or("", |(address, _)| address);
                own == address || everywhere(own) && everywhere(address)
            });
        found.map(|each| (each.waiting, None)).ok_or_else(|| NOBODY.to_owned())
    }
}

fn tell_loaded(
    look: &mut Look<'_>,
    pool: &Pool,
    load: &loaded::Load,
    disk: (&Effect, Option<&(Timestamp, PathBuf)>),
) -> Option<Effect> {
    let loaded = loaded::compare(look, pool, load, disk);
    match loaded.at {
        Ok(at) => tell_column(look, pool, "config_loaded", at.into()),
        Err(why) => look.unknown(&PHP_POOL, pool.key.as_str(), "config_loaded", why, ""),
    }
    match loaded.pending {
        Ok(pending) => {
            tell_column(look, pool, "reload_needed", (!pending.is_empty()).into());
            if !pending.is_empty() {
                let lines = pending.iter().map(|line| line.as_str().into()).collect();
                tell_column(look, pool, "pending", Value::List(lines));
            }
        }
        Err(why) => look.unknown(&PHP_POOL, pool.key.as_str(), "reload_needed", why, ""),
    }
    loaded.effect
}

fn tell_column(look: &mut Look<'_>, pool: &Pool, column: &str, value: Value) {
    let source = pool.config.display().to_string();
    look.fact(&PHP_POOL, pool.key.as_str(), &source, &[(column, value)]);
}

/// How many workers a pool may have.
fn limit(effect: &Effect) -> Result<u32, String> {
    let limit = effect.get("pm.max_children").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0);
    limit.ok_or_else(|| "how many workers it may have is not known".to_owned())
}

/// Why the pools of a master cannot be judged, if so.
fn unseen(host: &Host, instance: &Instance, found: &fpm::Pools) -> Option<String> {
    let Some(master) = &instance.master else {
        return found.hidden.as_ref().map(|(why, _)| why.clone());
    };
    (!host.shares_network(master.pid)).then(|| "its master is in another network namespace than the agent".to_owned())
}

#[cfg(test)]
mod tests;
