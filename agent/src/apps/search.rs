//! Where applications may lie on a host: document roots of web servers, the usual folders where no server says where its
//! sites lie, and the folders that workers run in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::untrusted::Untrusted;

use super::worker::{Worker, workers};
use super::{App, find, lasting};
use crate::host::{Host, HostError};
use crate::web;

/// Where sites lie where no configuration of a web server tells.
const USUAL: [&str; 14] = [
    "/var/www",
    "/var/www/*",
    "/var/www/*/public",
    "/var/www/*/web",
    "/var/www/*/htdocs",
    "/var/www/*/public_html",
    "/var/www/*/current",
    "/var/www/*/current/public",
    "/var/www/vhosts/*/httpdocs",
    "/srv/www/*",
    "/usr/share/nginx/html",
    "/home/*/public_html",
    "/home/*/domains/*/public_html",
    "/home/*/htdocs/*",
];
/// Document roots that are looked at.
const ROOTS: usize = 5_000;
/// Age of a list of processes that is new enough.
const FRESH: Duration = Duration::from_secs(60);

/// A search, one document root at a time.
#[derive(Default)]
pub struct Search {
    todo: VecDeque<PathBuf>,
    /// Where a document root, or the folder of a worker, leads: the applications that were found there.
    pub found: BTreeMap<PathBuf, Vec<App>>,
    /// Sites of web servers by their document roots: keys of the table `site`.
    pub sites: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Workers that run at the moment.
    pub workers: Vec<Worker>,
    /// What could not be looked at.
    pub problems: Vec<HostError>,
}

impl Search {
    /// Begins: `folders` are patterns of places that are looked at in any case.
    #[must_use]
    pub fn begin(host: &Host, folders: &[String]) -> Self {
        let mut search = Self::default();
        let mut configured = web::read(host);
        let mut roots = configured.document_roots();
        search.problems = std::mem::take(&mut configured.problems);
        for site in &configured.sites {
            for root in site.docroot.iter().chain(&site.other_roots) {
                search.sites.entry(root.clone()).or_default().insert(site.key());
            }
        }
        // Folders that nobody but us named are not missed where they cannot be looked at.
        let expand = |patterns: &[String]| host.expand(patterns, &mut |_| {});
        if roots.is_empty() {
            roots.extend(expand(&USUAL.map(str::to_owned)));
        }
        roots.extend(expand(folders));
        search.workers = workers(host, FRESH);
        for worker in &mut search.workers {
            worker.folder = lasting(host, &worker.folder);
            worker.jar = worker.jar.take().map(|jar| lasting(host, &jar));
        }
        roots.extend(search.workers.iter().map(|worker| worker.folder.clone()));
        search.todo = roots.into_iter().take(ROOTS).collect();
        search
    }

    /// Looks at the next place; `false` where all were looked at.
    pub fn step(&mut self, host: &Host) -> bool {
        let Some(root) = self.todo.pop_front() else { return false };
        let mut found = find(host, &root);
        self.problems.append(&mut found.problems);
        let apps: Vec<App> = found.all().cloned().collect();
        self.found.insert(root, apps);
        true
    }

    /// Every application once, with the document roots that lead to it.
    #[must_use]
    pub fn apps(&self) -> BTreeMap<App, BTreeSet<&Path>> {
        let mut apps: BTreeMap<App, BTreeSet<&Path>> = BTreeMap::new();
        for (root, each) in &self.found {
            for app in each {
                apps.entry(app.clone()).or_default().insert(root);
            }
        }
        apps
    }
}

/// A path as it is told.
#[must_use]
pub fn shown(path: &Path) -> Untrusted {
    path.as_os_str().as_bytes().into()
}
