//! What sites set for themselves: `.user.ini` in the document roots that a pool serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::super::table::PHP_POOL;
use crate::fpm::settings::Configured;
use crate::fpm::{self, Pool, user};
use crate::host::Host;
use crate::watcher::Look;
use crate::web::{self, Php};

/// Time between two readings of what web servers serve: sites come and go seldom, and a host may have very many.
const SITES: Duration = Duration::from_secs(3_600);
/// Folders that are told of one pool, and looked into.
const TOLD: usize = 20;
const FOLDERS: usize = 1_000;
/// Characters of one value.
const VALUE: usize = 200;

/// Which document roots belong to which pool.
#[derive(Default)]
pub(super) struct Sites {
    /// By key of the pool.
    roots: BTreeMap<String, BTreeSet<PathBuf>>,
    read: Option<Duration>,
}

impl Sites {
    /// Finds them, unless that was done not long ago.
    pub(super) fn find(&mut self, host: &Host, found: &fpm::Pools) {
        let now = host.clock().monotonic();
        if found.pools.is_empty() || (host.is_live() && self.read.is_some_and(|read| now < read + SITES)) {
            return;
        }
        self.read = Some(now);
        self.roots.clear();
        for site in web::read(host).sites {
            if let (Some(Php::Fpm(socket)), Some(root)) = (site.php, site.docroot)
                && let Some(pool) = found.at(host, &socket)
            {
                self.roots.entry(pool.key.clone()).or_default().insert(root);
            }
        }
    }

    /// Tells what the sites of a pool set.
    pub(super) fn tell(&self, look: &mut Look<'_>, pool: &Pool, configured: &Configured) {
        let (Some(roots), Some(name)) = (self.roots.get(&pool.key), user::name(configured, pool)) else { return };
        let mut told: Vec<Untrusted> = Vec::new();
        let mut more = 0_usize;
        for root in roots.iter().take(FOLDERS) {
            let said = match user::read(look.host, root, name, pool) {
                Ok(set) if set.is_empty() => continue,
                Ok(set) => set.into_iter().map(|(name, value)| setting(name, value)).collect::<Vec<_>>().join(", "),
                Err(error) => format!("{name} cannot be read: {}", error.kind),
            };
            match told.len() < TOLD - 1 {
                true => told.push(format!("{}: {said}", root.display()).into()),
                false => more += 1,
            }
        }
        if more > 0 {
            told.push(format!("and {more} more").into());
        }
        if !told.is_empty() {
            let source = pool.config.display().to_string();
            look.fact(&PHP_POOL, pool.key.as_str(), &source, &[("user_ini", Value::List(told))]);
        }
    }
}

fn setting(name: &str, value: Result<String, &'static str>) -> String {
    match value {
        Ok(value) => format!("{name}={}", value.chars().take(VALUE).collect::<String>()),
        Err(why) => format!("{name}=? ({why})"),
    }
}
