//! Every CMS, shop and framework of the host with its version, its extensions, and what leaves it open or down: debugging
//! that is on, a maintenance mode that was left behind.
//!
//! By reading only: PHP is never run, and what only running it would tell is unknown. Of configuration files, which hold
//! secrets, nothing but the words true and false is kept. What was read is kept until its file changes, so a later look
//! asks for little but the state of files.

mod composer;
mod drupal;
mod extension;
mod files;
mod framework;
mod joomla;
mod python;
mod reading;
mod tell;
mod wordpress;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumb_proto::model::ColumnType;
use plumb_proto::untrusted::Untrusted;

use crate::apps::{App, Search, shown};
use crate::host::HostError;
use crate::host::packages::{DATABASES, Package, PackagesError};
use crate::host::users::Users;
use crate::provenance::System;
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};
use extension::Candidate;
use files::Files;

/// The watcher `cms`.
pub const SPEC: Spec = Spec::new::<Cms>(
    "cms",
    minutes(15),
    &[&CMS, &CMS_EXTENSION],
    r#"
# Folders where applications lie, beside the document roots of web servers and the folders that workers run in; `*` stands for
# the name of one folder.
folders = ["/usr/share/wordpress"]
"#,
);

/// Applications of one host.
const APPS: usize = 2_000;
/// Extensions of one host.
const EXTENSIONS: usize = 10_000;
/// Work of one slice of a look: some microseconds each.
const SLICE: usize = 1_500;
/// Folders that are watched: each costs the kernel memory.
const WATCHED: usize = 64;

/// Applications that sites run.
pub(super) const CMS: Table = Table {
    name: "cms",
    doc: "Content management systems, shops and frameworks. Key: the folder that it lies in; `current` stands for the release \
          that is deployed.",
    columns: &[
        Column::state("product", ColumnType::Text, "What it is: wordpress, drupal, magento, laravel, ..."),
        Column::state("kind", ColumnType::Text, "What kind of thing that is: cms, shop or framework."),
        Column::state("version", ColumnType::Version, "Its version, as its own files say."),
        Column::state(
            "package",
            ColumnType::Text,
            "The package it belongs to; none when it was put there in another way.",
        ),
        Column::state("package_version", ColumnType::Version, "Version of that package, with epoch and release."),
        Column::state("provenance", ColumnType::Text, "Who patches it: a word of the table `php`; mostly self-built."),
        Column::moving(
            "sites",
            ColumnType::List,
            "Sites that it belongs to: keys of the table `site`; folders where none is known.",
        ),
        Column::state("owner", ColumnType::Text, "Who owns its folder."),
        Column::moving("requires_php", ColumnType::Version, "The oldest PHP that it runs with, as it says itself."),
        Column::moving(
            "php_version",
            ColumnType::Version,
            "Branch of the PHP that its sites run with; the oldest where they differ.",
        ),
        Column::moving("php_fits", ColumnType::Bool, "Whether that PHP is new enough for it."),
        Column::state(
            "debug",
            ColumnType::Bool,
            "Whether it shows its insides to visitors, as its configuration says.",
        ),
        Column::moving(
            "maintenance",
            ColumnType::Time,
            "Since when it has been in maintenance mode; none when it is not.",
        ),
        Column::moving(
            "down",
            ColumnType::Bool,
            "Whether its maintenance mode turns visitors away, as far as files tell.",
        ),
        Column::state("drop_ins", ColumnType::List, "Files that replace a part of WordPress (object-cache.php, ...)."),
        Column::moving(
            "cron_disabled",
            ColumnType::Bool,
            "Whether WordPress leaves its own jobs to a cron job of the system.",
        ),
        Column::moving(
            "auto_updates",
            ColumnType::Text,
            "Updates of itself that are configured: off, minor, all, development.",
        ),
        Column::moving(
            "support_until",
            ColumnType::Time,
            "When its makers stop to mend security faults, as it says itself.",
        ),
        Column::moving(
            "maintenance_until",
            ColumnType::Time,
            "When its makers stop to mend other faults, as it says itself.",
        ),
    ],
};

/// What extends them.
pub(super) const CMS_EXTENSION: Table = Table {
    name: "cms_extension",
    doc: "Plugins, themes, modules and the like. Key: the path of its folder or file.",
    columns: &[
        Column::state("cms", ColumnType::Text, "What it extends: a key of the table `cms`."),
        Column::state(
            "product",
            ColumnType::Text,
            "Its name among all of its kind: the name of its folder, or its package.",
        ),
        Column::state(
            "kind",
            ColumnType::Text,
            "plugin, theme, must-use, drop-in, module, component, template, library or bundle.",
        ),
        Column::state("name", ColumnType::Text, "What it is called for people."),
        Column::state("version", ColumnType::Version, "Its version, as it says itself."),
        Column::moving("requires_php", ColumnType::Version, "The oldest PHP that it runs with, as it says itself."),
        Column::moving(
            "php_version",
            ColumnType::Version,
            "Branch of the PHP that its sites run with; the oldest where they differ.",
        ),
        Column::moving("php_fits", ColumnType::Bool, "Whether that PHP is new enough for it."),
        Column::moving(
            "requires_cms",
            ColumnType::Version,
            "The oldest version of what it extends, as it says itself.",
        ),
        Column::moving("update_uri", ColumnType::Text, "Where it is updated from, if not from the usual place."),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cms {
    folders: Vec<String>,
    /// What files said, as long as they stay as they are.
    #[serde(skip)]
    files: Files,
    #[serde(skip)]
    users: Users,
    #[serde(skip)]
    begun: Option<Begun>,
    /// Where document roots led in the last look.
    #[serde(skip)]
    led: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// What brings the next look forward.
    #[serde(skip)]
    watched: BTreeSet<PathBuf>,
    /// Some belong to packages, whose database is written behind their files.
    #[serde(skip)]
    packaged: bool,
}

/// A look between two slices.
struct Begun {
    search: Search,
    /// Applications, with what leads to them; `None` until all places were looked at.
    apps: Option<VecDeque<(App, Vec<PathBuf>)>>,
    extensions: VecDeque<Candidate>,
    /// Branch of PHP that an application's sites run with, by its key.
    php: BTreeMap<Untrusted, String>,
    owners: Result<BTreeMap<PathBuf, Package>, PackagesError>,
    system: System,
    told: usize,
    /// Some places could not be looked at.
    hidden: bool,
    watched: BTreeSet<PathBuf>,
}

impl Watcher for Cms {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(look)?,
        };
        self.files.work = 0;
        while self.files.work < SLICE {
            let Some(apps) = &mut begun.apps else {
                self.files.work += 50;
                if !begun.search.step(look.host) {
                    self.searched(look, &mut begun);
                }
                continue;
            };
            self.files.work += 1;
            if let Some(candidate) = begun.extensions.pop_front() {
                begun.told +=
                    usize::from(extension::tell(look, &mut self.files, &candidate, begun.php.get(&candidate.cms)));
                if begun.told >= EXTENSIONS && !begun.extensions.is_empty() {
                    let why = format!("more than {EXTENSIONS} extensions: the rest is not told");
                    look.problem(&CMS_EXTENSION, "", "", why, "");
                    begun.extensions.clear();
                }
            } else if let Some((app, led)) = apps.pop_front() {
                self.tell_app(look, &mut begun, &app, &led);
            } else {
                return Ok(self.end(begun));
            }
        }
        self.begun = Some(begun);
        Ok(Progress::More)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let databases = DATABASES.iter().filter(|_| self.packaged).map(PathBuf::from);
        self.watched.iter().cloned().chain(databases).collect()
    }
}

impl Cms {
    fn begin(&mut self, look: &mut Look<'_>) -> anyhow::Result<Begun> {
        look.host.check()?;
        self.files.begin();
        // Whose folder it is has a number then, and no name.
        let _ = self.users.refresh(look.host);
        Ok(Begun {
            search: Search::begin(look.host, &self.folders),
            apps: None,
            extensions: VecDeque::new(),
            php: BTreeMap::new(),
            owners: Ok(BTreeMap::new()),
            system: System::read(look.host),
            told: 0,
            hidden: false,
            watched: BTreeSet::new(),
        })
    }

    /// All places were looked at: what they led to comes next.
    fn searched(&mut self, look: &mut Look<'_>, begun: &mut Begun) {
        begun.hidden = !begun.search.problems.is_empty();
        for error in std::mem::take(&mut begun.search.problems) {
            self.tell_hidden(look, &error);
        }
        let mut apps: BTreeMap<App, BTreeSet<PathBuf>> = BTreeMap::new();
        for (app, roots) in begun.search.apps() {
            apps.insert(app, roots.into_iter().map(Path::to_owned).collect());
        }
        for (app, folder) in python::apps(look.host, &begun.search).into_iter().chain(framework::jars(&begun.search)) {
            apps.entry(app).or_default().insert(folder);
        }
        if apps.len() > APPS {
            look.problem(&CMS, "", "", format!("more than {APPS} applications: the rest is not told"), "");
        }
        self.led = begun
            .search
            .found
            .iter()
            .map(|(root, apps)| (root.clone(), apps.iter().map(|app| app.root.clone()).collect()))
            .filter(|(_, apps): &(PathBuf, Vec<PathBuf>)| !apps.is_empty())
            .collect();
        // Whatever lies outside of the packaged tree belongs to no package.
        let packaged: Vec<PathBuf> =
            apps.keys().filter(|app| is_packaged(&app.root)).map(tell::packaged_file).collect();
        self.packaged = !packaged.is_empty();
        if self.packaged {
            begun.owners = look.host.owners(&packaged, &["wordpress", "drupal"]);
        }
        let listed = apps.into_iter().take(APPS).map(|(app, roots)| (app, roots.into_iter().collect()));
        begun.apps = Some(listed.collect());
    }

    /// Tells that a place cannot be looked at. What was found there before is unknown; no other row is.
    fn tell_hidden(&self, look: &mut Look<'_>, error: &HostError) {
        let place = Path::new(OsStr::from_bytes(error.path.as_bytes()));
        let led = self.led.iter().filter(|(root, _)| root.starts_with(place)).flat_map(|(_, apps)| apps);
        let prefixes: BTreeSet<_> = led.map(PathBuf::as_path).chain([place]).map(shown).collect();
        for table in [&CMS, &CMS_EXTENSION] {
            for prefix in &prefixes {
                look.problem(table, prefix.clone(), error.path.clone(), &error.kind, error.hint());
            }
        }
    }

    fn end(&mut self, begun: Begun) -> Progress {
        self.files.end();
        self.watched = begun.watched.into_iter().take(WATCHED).collect();
        if begun.told == 0 && !begun.hidden { Progress::Absent } else { Progress::Done }
    }
}

/// Where packages put applications.
fn is_packaged(root: &Path) -> bool {
    root.starts_with("/usr") && !root.starts_with("/usr/local")
}

#[cfg(test)]
mod tests;
