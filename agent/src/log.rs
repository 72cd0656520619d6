//! Talk, on standard error: one line for each event, with the priority in front that the journal understands
//! (sd-daemon(3), "<N>"). Libraries below speak of themselves too; only their warnings are passed on.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use plumb_proto::journal::is_journal;
use plumb_proto::untrusted::Untrusted;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// See the module.
struct Log {
    prefixed: bool,
    spans: AtomicU64,
}

/// Begins to log. Later calls change nothing.
pub fn start() {
    let prefixed = is_journal(std::env::var_os("JOURNAL_STREAM").as_deref(), std::io::stderr());
    // Fails only if it was begun before.
    let _ = tracing::subscriber::set_global_default(Log { prefixed, spans: AtomicU64::new(1) });
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("plumb");
        *metadata.level() <= if ours { Level::INFO } else { Level::WARN }
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::INFO)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let text = line(event, self.prefixed);
        // Nowhere to complain to.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn line(event: &Event<'_>, prefixed: bool) -> String {
    let (priority, word) = match *event.metadata().level() {
        Level::ERROR => (3, "error: "),
        Level::WARN => (4, "warning: "),
        Level::INFO => (6, ""),
        _ => (7, ""),
    };
    let mut text = Text(String::new());
    event.record(&mut text);
    // What is quoted in it may come from the host or the net, and must not begin a line of its own.
    let said = Untrusted::from(text.0);
    if prefixed { format!("<{priority}>{said}\n") } else { format!("{word}{said}\n") }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            Log { prefixed: true, spans: AtomicU64::new(1) }.enabled(metadata)
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(line(event, true));
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_line_carries_its_priority_and_quotes_cannot_begin_another() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            tracing::error!(target: "plumb_agent", "cannot read {}", "a\n<0>panic\x1b[2J");
            tracing::info!(target: "plumb_agent", records = 3, "sent");
            tracing::debug!(target: "plumb_agent", "not told");
            tracing::info!(target: "h2", "not told either");
            tracing::warn!(target: "h2", "told");
        });
        assert_eq!(
            *lines.0.lock().unwrap(),
            ["<3>cannot read a\\n<0>panic\\x1b[2J\n", "<6>sent records=3\n", "<4>told\n"]
        );
    }
}
