//! Where applications may lie on a host: document roots of web servers, the usual folders where no server says where its
//! sites lie, and the folders that workers run in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::untrusted::Untrusted;

use super::worker::{Worker, workers};
use super::{App, find, lasting};
use crate::fpm::places::parse_name;
use crate::fpm::{self, Pools};
use crate::host::{Host, HostError};
use crate::web::{self, Php, Site, Web};

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
    /// Branches of PHP that sites run with (`8.2`), by their document roots, as far as that can be told.
    pub php: BTreeMap<PathBuf, BTreeSet<String>>,
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
        let is_fpm = |site: &Site| matches!(site.php, Some(Php::Fpm(_)));
        let pools = if configured.sites.iter().any(is_fpm) { fpm::pools(host) } else { Pools::default() };
        for site in &configured.sites {
            let branch = match &site.php {
                Some(Php::Fpm(socket)) => pools.at(host, socket).map(|pool| pool.branch.clone()),
                Some(Php::Module) => module_of(&configured, site.server),
                _ => None,
            };
            for root in site.docroot.iter().chain(&site.other_roots) {
                search.sites.entry(root.clone()).or_default().insert(site.key());
                search.php.entry(root.clone()).or_default().extend(branch.clone());
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

/// What the name of a server's module of PHP says of its branch.
fn module_of(configured: &Web, product: &str) -> Option<String> {
    let module = configured.servers.iter().find(|server| server.product == product)?.php_module.as_ref()?;
    parse_name(module.file_name()?)?.1
}

/// A path as it is told.
#[must_use]
pub fn shown(path: &Path) -> Untrusted {
    path.as_os_str().as_bytes().into()
}
