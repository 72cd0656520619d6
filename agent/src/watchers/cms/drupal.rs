//! Drupal 7, and 8 and later, with what was put beside the modules and themes that it comes with.

use super::extension::{Candidate, Form};
use super::files::{How, Words, add};
use super::reading::Reading;
use crate::apps::php::assignments;
use crate::apps::{look_at, shown};
use crate::host::Kind;

/// Bytes of the file that names the version.
const FILE: usize = 256 << 10;
/// Folders of modules and themes: those in `modules` of Drupal 7 are its own.
const FOLDERS: [(&str, &str); 12] = [
    ("modules/contrib", "module"),
    ("modules/custom", "module"),
    ("themes/contrib", "theme"),
    ("themes/custom", "theme"),
    ("sites/all/modules", "module"),
    ("sites/all/modules/contrib", "module"),
    ("sites/all/modules/custom", "module"),
    ("sites/all/themes", "theme"),
    ("sites/default/modules", "module"),
    ("sites/default/themes", "theme"),
    ("modules", "module"),
    ("themes", "theme"),
];

pub(super) fn read(reading: &mut Reading<'_>) {
    let old = look_at(reading.host, &reading.path("core/lib/Drupal.php")).is_err_and(|error| error.is_absent());
    reading.version(&[
        ("core/lib/Drupal.php", How::Whole(FILE, version)),
        ("includes/bootstrap.inc", How::Whole(FILE, version)),
    ]);
    let own = reading.path(if old { "includes" } else { "core/lib" });
    reading.watched.push(own);
    let folders = FOLDERS.iter().filter(|(folder, _)| !old || folder.starts_with("sites/"));
    for (folder, kind) in folders {
        let folder = reading.path(folder);
        for entry in reading.list(&folder) {
            if matches!(entry.kind, Kind::Folder | Kind::Link) {
                let (cms, path) = (shown(&reading.app.root), folder.join(&entry.name));
                reading.extensions.push(Candidate { cms, path, kind, form: Form::Info });
            }
        }
    }
}

fn version(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| match (name, value.text()) {
        ("VERSION", Some(value)) => add(words, "version", value),
        ("MINIMUM_PHP" | "DRUPAL_MINIMUM_PHP", Some(value)) => add(words, "requires_php", value),
        _ => {}
    });
}
