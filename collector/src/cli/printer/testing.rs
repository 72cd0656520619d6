//! A printer whose words can be read back.

use std::io::Write;
use std::sync::{Arc, Mutex};

use plumb_proto::time::Timestamp;

use super::{Look, Printer};

/// The moment at which these tests stand: 2026-11-21T10:01:02Z.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_255_262);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What `print` wrote to stdout and to stderr.
pub(crate) fn printed(json: bool, width: Option<usize>, print: impl FnOnce(&mut Printer)) -> (String, String) {
    let (out, talk) = (Page::default(), Page::default());
    let look = Look { json, width, color: false, now: NOW };
    let mut printer = Printer::new(Box::new(out.clone()), Box::new(talk.clone()), look);
    print(&mut printer);
    printer.finish().unwrap();
    (out.text(), talk.text())
}

/// What `print` wrote to a terminal of `width`; no line may be longer.
pub(crate) fn screen(width: usize, print: impl FnOnce(&mut Printer)) -> String {
    let (out, _) = printed(false, Some(width), print);
    for line in out.lines() {
        assert!(line.chars().count() <= width, "longer than {width}: {line}");
    }
    out
}
