//! The status pages of pools, where they are switched on and may be asked: how many workers serve somebody. A pool that does
//! not answer is left alone until all configuration is read again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fpm::{Pool, comparable, status};
use crate::watcher::Look;

/// Time that a pool has to answer, and all pools of one look together.
const PATIENCE: Duration = Duration::from_millis(200);
const TOGETHER: Duration = Duration::from_millis(400);

#[derive(Default)]
pub(super) struct Pages {
    /// Pools that have not answered.
    silent: BTreeSet<String>,
    /// Time that has gone into waiting since the look began.
    waited: Duration,
}

impl Pages {
    /// All pools may be asked again.
    pub(super) fn forget(&mut self) {
        self.silent.clear();
    }

    /// The next look may wait anew.
    pub(super) fn begin(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// Tells what the page of a pool says. On the pool's own socket it is asked only while a worker of it is free; the
    /// socket for the page alone (pm.status_listen) answers at any time.
    pub(super) fn tell(&mut self, look: &mut Look<'_>, pool: &Pool, is_free: bool) {
        let Some(path) = pool.values.get("pm.status_path").filter(|path| path.starts_with('/')) else { return };
        let apart = pool.values.get("pm.status_listen").filter(|listen| !listen.is_empty());
        let socket = apart.map_or_else(|| pool.listen.clone(), |listen| comparable(look.host, listen));
        let is_asked = socket.starts_with('/') && (apart.is_some() || is_free);
        if !is_asked || self.waited >= TOGETHER || self.silent.contains(&pool.key) {
            return;
        }
        let Some(request) = status::request(path) else { return };
        let begun = look.host.clock().monotonic();
        let said = look.host.answer(&socket, &request, PATIENCE, &status::is_whole);
        self.waited += look.host.clock().monotonic().saturating_sub(begun);
        let Some(mut status) = said.ok().and_then(|said| status::answer(&said)) else {
            // Mostly its socket lets only the web server in, which is as it should be: nothing to be told.
            self.silent.insert(pool.key.clone());
            return;
        };
        if apart.is_none() {
            // The one that answered waits again.
            (status.active, status.idle) = (status.active.saturating_sub(1), status.idle.saturating_add(1));
        }
        let pool = [("pool", pool.key.as_str())];
        look.gauge("php_pool_workers_active", &pool, f64::from(status.active));
        look.gauge("php_pool_workers_idle", &pool, f64::from(status.idle));
        #[allow(clippy::cast_precision_loss)] // nobody has 2^53 slow requests
        look.counter("php_pool_slow_requests_total", &pool, status.slow as f64);
    }
}
