//! Kills for want of memory, from a counter of the kernel that begins at zero with each boot.
//!
//! The cursor holds the boot and the count that were told: a kill is told once, also when the agent was away or the
//! machine was started anew meanwhile. What happened before the very first look is nobody's news.

use plumb_proto::model::{Severity, Value};

use crate::watcher::Look;

const CURSOR: &str = "oom_kills";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is known to be told and committed.
#[derive(Default)]
pub(super) struct Oom {
    boot: Option<String>,
    settled: Option<u64>,
}

impl Oom {
    pub(super) fn tell(&mut self, look: &mut Look<'_>, kills: u64) {
        if self.settled == Some(kills) {
            return; // committed as it stands: the store need not be asked
        }
        if self.boot.is_none() {
            self.boot = look.host.read_text(BOOT_ID, 64).ok().map(|id| id.trim().to_owned());
        }
        let boot = self.boot.clone().unwrap_or_default();
        let place = format!("{boot} {kills}");
        let stored = look.cursor(CURSOR);
        if stored.as_deref() == Some(place.as_bytes()) {
            self.settled = Some(kills);
            return;
        }
        if let Some(stored) = &stored {
            let text = String::from_utf8_lossy(stored);
            let told = match text.rsplit_once(' ') {
                Some((of, count)) if of == boot => count.parse().unwrap_or(0),
                _ => 0, // another boot: all since then are new
            };
            let new = kills.saturating_sub(told);
            if new > 0 {
                let now = look.now;
                let text = match new {
                    1 => "The kernel killed a process for want of memory".to_owned(),
                    more => format!("The kernel killed {more} processes for want of memory"),
                };
                let event = look.event(now, "oom_kill", Severity::Critical, text);
                event.count = new;
                event.fields.insert("boot_id".to_owned(), Value::from(boot));
            }
        }
        look.set_cursor(CURSOR, place.into_bytes());
    }
}
