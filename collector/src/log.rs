//! Talk of `plumb-collector serve`, on standard error. Under systemd each line begins with its priority, which the journal
//! understands (sd-daemon(3), "<N>"), and has no time of its own: the journal notes it.

use std::fmt;

use plumb_proto::journal::is_journal;
use plumb_proto::untrusted::Untrusted;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Begins to log. To be called once.
pub fn start() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(LevelFilter::INFO).with_ansi(false);
    if is_journal(std::env::var_os("JOURNAL_STREAM").as_deref(), std::io::stderr()) {
        log.event_format(Journal).init();
    } else {
        log.with_target(false).init();
    }
}

/// As the journal wants a line.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let mut said = String::new();
        context.format_fields(Writer::new(&mut said), event)?;
        // What is quoted in it may come from a host or the net, and must not begin a line of its own.
        writeln!(writer, "<{priority}>{}", Untrusted::from(said))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_for_the_journal_carries_its_priority_and_quotes_cannot_begin_another() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).event_format(Journal);
        tracing::subscriber::with_default(log.finish(), || {
            tracing::error!("host {} cannot be judged", "a\n<0>panic\r");
            tracing::info!(hosts = 3, "listening");
        });
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said, "<3>host a\\n<0>panic\\r cannot be judged\n<6>listening hosts=3\n");
    }
}
