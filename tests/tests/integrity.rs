//! File integrity of a web root: scanned, edited, killed in the middle. `plumb-tests --bin integrity` does it with 120,000.

use std::path::PathBuf;
use std::time::Duration;

use plumb_tests::webroot::{self, Scanner};

struct Scene {
    base: PathBuf,
}

impl Scene {
    fn new(name: &str, files: u64) -> Self {
        let base = std::env::temp_dir().join(format!("plumb-{name}-{}", std::process::id()));
        webroot::make(&base.join("web"), files, 1);
        Self { base }
    }

    fn open(&self) -> Scanner {
        Scanner::open(&self.base.join("web"), &self.base.join("state"))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.base);
    }
}

#[test]
fn every_edit_is_found_while_it_runs_and_while_it_was_down() {
    let scene = Scene::new("edits", 2_000);
    let mut scanner = scene.open();
    scanner.finish();
    assert_eq!((scanner.files(), scanner.events().len()), (2_000, 0));
    let edits = webroot::edit(&scene.base.join("web"), 50, 7);
    let missing = scanner.until_told(&edits.paths(), Duration::from_secs(60));
    assert!(missing.is_empty(), "{missing:?}");
    drop(scanner);
    let more = webroot::edit(&scene.base.join("web"), 50, 8);
    let mut scanner = scene.open();
    scanner.finish();
    let missing = scanner.until_told(&more.paths(), Duration::ZERO);
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(scanner.events().len(), 100, "each edit is told once");
}

#[test]
fn a_scan_that_is_killed_goes_on_and_what_changed_meanwhile_is_told_once() {
    let scene = Scene::new("killed", 2_000);
    (1..=4).for_each(|round| scene.open().die_after(3 * round));
    let mut scanner = scene.open();
    scanner.finish();
    assert_eq!((scanner.files(), scanner.events().len()), (2_000, 0));
}
