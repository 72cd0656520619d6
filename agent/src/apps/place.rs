//! From a document root to the applications that belong to it: in it, around it, and one folder below it.

use std::path::{Path, PathBuf};

use super::{App, at, look_at};
use crate::host::{Host, HostError, Kind};

/// Names of folders that a web server is pointed at while the application lies around them.
const PUBLIC: [&str; 11] =
    ["public", "web", "pub", "public_html", "htdocs", "httpdocs", "html", "www", "wwwroot", "webroot", "docroot"];
/// Folders below a document root that are looked into.
const BELOW: usize = 256;
/// Problems that are told of one document root.
const PROBLEMS: usize = 8;

/// What belongs to a document root.
#[derive(Debug, Default)]
pub struct Found {
    /// What answers at the root's own address.
    pub app: Option<App>,
    /// What lies in folders of it (`/blog`).
    pub below: Vec<App>,
    /// Folders that could not be looked at.
    pub problems: Vec<HostError>,
}

/// The name that a place keeps through deployments: `/srv/shop/current/public` for `/srv/shop/releases/7/public`, as Capistrano,
/// Deployer and Envoyer lay it out. Of a release that is not the current one, too: what still runs in it is the same
/// application.
#[must_use]
pub fn lasting(host: &Host, path: &Path) -> PathBuf {
    let is_releases = |folder: &&Path| folder.file_name().is_some_and(|name| name == "releases");
    let Some(releases) = path.ancestors().skip(1).find(is_releases) else { return path.to_owned() };
    let current = releases.with_file_name("current");
    if host.resolve_owned(&current).ok().as_deref().and_then(Path::parent) != Some(releases) {
        return path.to_owned();
    }
    let inside = path.strip_prefix(releases).unwrap_or(path).components().skip(1);
    [current.as_path()].into_iter().chain(inside.map(|part| Path::new(part.as_os_str()))).collect()
}

/// The applications that a document root belongs to. A root that is not there has none.
#[must_use]
pub fn find(host: &Host, docroot: &Path) -> Found {
    let mut found = Found::default();
    let root = match look_at(host, docroot) {
        Ok((root, meta)) if meta.kind == Kind::Folder => root,
        Ok(_) => return found,
        Err(error) => {
            found.fail(error);
            return found;
        }
    };
    found.app = found.take(at(host, &root));
    if found.app.is_none()
        && is_public(&root)
        && let Some(parent) = root.parent().filter(|parent| *parent != Path::new("/"))
    {
        found.app = found.take(at(host, parent));
    }
    for folder in folders(host, &root, &mut found) {
        // A folder of the application itself is none of its own: Bedrock's `wp`, TYPO3's `typo3`.
        let own = found.app.as_ref().is_some_and(|app| app.root == root && is_part(app.product, &folder));
        if !own && let Some(app) = found.take(at(host, &folder)) {
            found.below.push(app);
        }
    }
    for app in found.app.iter_mut().chain(&mut found.below) {
        app.root = lasting(host, &app.root);
    }
    found
}

/// The folders that lock files and the like of a document root lie in: itself, and the one around it where it is what an
/// application shows of itself.
#[must_use]
pub fn around(host: &Host, docroot: &Path) -> Vec<PathBuf> {
    let Ok((root, _)) = look_at(host, docroot) else { return Vec::new() };
    let parent = root.parent().filter(|parent| is_public(&root) && *parent != Path::new("/")).map(Path::to_owned);
    [root].into_iter().chain(parent).map(|folder| lasting(host, &folder)).collect()
}

impl Found {
    /// All applications of it.
    pub fn all(&self) -> impl Iterator<Item = &App> {
        self.app.iter().chain(&self.below)
    }

    fn take(&mut self, answer: Result<Option<App>, HostError>) -> Option<App> {
        answer.unwrap_or_else(|error| {
            self.fail(error);
            None
        })
    }

    fn fail(&mut self, error: HostError) {
        if !error.is_absent() && self.problems.len() < PROBLEMS {
            self.problems.push(error);
        }
    }
}

fn is_public(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| PUBLIC.iter().any(|each| name.eq_ignore_ascii_case(each)))
}

fn is_part(product: &str, folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match product {
        "wordpress" => matches!(name, "wp" | "app" | "wp-admin" | "wp-includes" | "wp-content"),
        "drupal" => matches!(name, "core" | "includes" | "modules" | "sites" | "themes" | "profiles" | "vendor"),
        "joomla" => matches!(name, "administrator" | "components" | "libraries" | "modules" | "plugins" | "api"),
        _ => matches!(name, "vendor" | "node_modules" | "app" | "bin" | "src" | "config" | "var" | "typo3" | "modules"),
    }
}

/// The folders below a document root, and those that links of the site's owner lead to.
fn folders(host: &Host, root: &Path, found: &mut Found) -> Vec<PathBuf> {
    let (mut folders, mut links) = (Vec::new(), Vec::new());
    let listed = host.entries(root, &mut |name, kind| match kind {
        Kind::Folder if folders.len() < BELOW => folders.push(root.join(name)),
        Kind::Link if links.len() < BELOW => links.push(root.join(name)),
        _ => {}
    });
    if let Err(error) = listed {
        found.fail(error);
    }
    // A link may lead anywhere, and what is no folder, or nothing of this owner's, is nobody's application here.
    let linked = links.iter().filter_map(|link| look_at(host, link).ok());
    folders.extend(linked.filter(|(_, meta)| meta.kind == Kind::Folder).map(|(real, _)| real));
    // A link to a folder around the root, or to one that is listed anyway.
    folders.retain(|folder| !root.starts_with(folder));
    folders.sort_unstable();
    folders.dedup();
    folders
}
