//! Web servers and their sites: what is installed and runs, what its configuration says, and whether it has been loaded.
//!
//! A configuration is read again only when one of its files or folders has changed. Whether something is wrong with it
//! is judged from the text: the agent runs no server to test it.

mod server;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumb_proto::model::ColumnType;
use plumb_proto::untrusted::Untrusted;

use crate::fpm::{Pools, pools};
use crate::host::binary::Finding;
use crate::host::packages::DATABASES;
use crate::host::{Host, Identity};
use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, minutes};
use crate::web::running::Reason;
use crate::web::{self, Web};

/// The watcher `web`.
pub const SPEC: Spec = Spec::new::<Watch>(
    "web",
    minutes(5),
    &[&WEB_SERVER, &SITE],
    r#"
# Nothing to set: nginx, Apache, Caddy and LiteSpeed are found where distributions and panels put them, and by what runs.
"#,
);

/// A configuration is read anew after so long, whatever seems to be the same.
const FULL: Duration = Duration::from_secs(1_800);
/// Sites that are told in one slice of a look.
const SLICE: usize = 50;
/// Folders that bring a look forward.
const WATCHED: usize = 256;

const WEB_SERVER: Table = Table {
    name: "web_server",
    doc: "Web servers. Key: product, with @prefix when it is not installed in the system's own folders.",
    columns: &[
        Column::state("version", ColumnType::Version, "Version that is installed: its package's, else its program's."),
        Column::state("binary", ColumnType::Text, "Where its program lies."),
        Column::state(
            "package",
            ColumnType::Text,
            "The package it belongs to; none when nobody updates it with packages.",
        ),
        Column::state("package_version", ColumnType::Version, "Version of that package, with epoch and release."),
        Column::state("provenance", ColumnType::Text, "Who patches it: a word of the table `php`."),
        Column::state("config", ColumnType::Text, "The file that its configuration begins with."),
        Column::state("modules", ColumnType::List, "Modules that its configuration loads."),
        Column::state("running", ColumnType::Bool, "Whether a process of it runs."),
        Column::state(
            "running_version",
            ColumnType::Version,
            "Version of the process that runs; differs from `version` after an upgrade without a restart.",
        ),
        Column::moving(
            "restart_needed",
            ColumnType::Bool,
            "Whether its program, or a module or library that it has loaded, was replaced since it started.",
        ),
        Column::moving(
            "config_ok",
            ColumnType::Bool,
            "False when something in its configuration cannot work, as far as the text tells.",
        ),
        Column::moving("config_fault", ColumnType::Text, "What in it cannot work."),
        Column::moving("config_changed", ColumnType::Time, "When the newest of its files was written."),
        Column::moving("config_loaded", ColumnType::Time, "When the server that runs loaded its configuration."),
        Column::moving("reload_needed", ColumnType::Bool, "Whether a file was changed after it was loaded."),
    ],
};

const SITE: Table = Table {
    name: "site",
    doc: "Sites of web servers. Key: server/name, or server/_@address for a catch-all without a name.",
    columns: &[
        Column::state("server", ColumnType::Text, "The product that serves it: nginx, apache, caddy, litespeed."),
        Column::state("names", ColumnType::List, "Its names."),
        Column::state("listen", ColumnType::List, "Addresses and sockets where it is listened for it."),
        Column::state("docroot", ColumnType::Text, "Its document root."),
        Column::state("tls", ColumnType::Bool, "Whether connections to it are encrypted."),
        Column::state("certificates", ColumnType::List, "Files of its certificates."),
        Column::state(
            "php",
            ColumnType::Text,
            "What runs its PHP: fpm, module, lsapi, cgi, or proxy: another web server of this host does.",
        ),
        Column::state(
            "php_socket",
            ColumnType::Text,
            "Where that takes requests: a socket, an address, a program or handler.",
        ),
        Column::state("php_pool", ColumnType::Text, "Key of the pool in the table `php_pool`."),
        Column::moving("php_version", ColumnType::Version, "Branch of its PHP."),
        Column::state("proxy", ColumnType::Text, "Where it passes requests to."),
        Column::state("cms", ColumnType::Text, "What it runs: a product of the table `cms`."),
        Column::state("cms_path", ColumnType::Text, "Key of that in the table `cms`."),
        Column::state("access_logs", ColumnType::List, "Files of its requests."),
        Column::state("error_logs", ColumnType::List, "Files of its errors."),
        Column::state(
            "panel",
            ColumnType::Text,
            "The panel that manages it: cpanel, plesk, directadmin, hestiacp, ispconfig, cloudpanel, runcloud, serverpilot.",
        ),
        Column::state("account", ColumnType::Text, "The panel's account that it belongs to."),
        Column::state("config", ColumnType::Text, "The file that describes it."),
    ],
};

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    /// What was read, and when, in monotonic time.
    #[serde(skip)]
    read: Option<(Web, Duration)>,
    /// What programs said, as long as they stay as they are.
    #[serde(skip)]
    known: BTreeMap<PathBuf, (Identity, Finding)>,
    /// What each process was known to run before its program was replaced: by process and start.
    #[serde(skip)]
    running: BTreeMap<(u32, u64), Untrusted>,
    /// What lies in document roots.
    #[serde(skip)]
    apps: site::Apps,
    /// A look that is not at its end.
    #[serde(skip)]
    begun: Option<Begun>,
}

/// A look between two slices.
struct Begun {
    /// The next site.
    next: usize,
    /// Products that are installed or run.
    products: BTreeSet<&'static str>,
    pools: Pools,
    /// Branch of the PHP that Apache loads as a module; empty if it loads none.
    module: Result<String, Reason>,
}

impl Watcher for Watch {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => match self.begin(look)? {
                Some(begun) => begun,
                None => return Ok(Progress::Absent),
            },
        };
        let Some((web, _)) = &self.read else { return Ok(Progress::Done) };
        let sites = web.sites.get(begun.next..).unwrap_or_default();
        for each in sites.iter().take(SLICE).filter(|site| begun.products.contains(site.server)) {
            site::tell(look, &mut self.apps, (web, &begun), each);
        }
        if sites.len() > SLICE {
            self.begun = Some(Begun { next: begun.next + SLICE, ..begun });
            return Ok(Progress::More);
        }
        let roots: BTreeSet<&Path> = web.sites.iter().filter_map(|site| site.docroot.as_deref()).collect();
        self.apps.keep(&roots);
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        let usual =
            ["/etc/nginx", "/etc/apache2", "/etc/httpd", "/etc/caddy", "/usr/local/lsws/conf"].map(PathBuf::from);
        let seen = self.read.iter().flat_map(|(web, _)| web.seen()).filter_map(Path::parent).map(Path::to_owned);
        let folders: BTreeSet<PathBuf> = usual.into_iter().chain(seen).collect();
        let databases = DATABASES.iter().map(PathBuf::from);
        folders.into_iter().take(WATCHED).chain(databases).collect()
    }
}

impl Watch {
    /// Tells the servers. `None`: there is none.
    fn begin(&mut self, look: &mut Look<'_>) -> anyhow::Result<Option<Begun>> {
        look.host.check()?;
        self.refresh(look.host);
        let Some((web, read)) = self.read.take() else { return Ok(None) };
        let products = self.tell_servers(look, &web);
        for problem in web.problems.iter().filter(|_| !products.is_empty()) {
            look.problem(&SITE, "", problem.path.clone(), &problem.kind, problem.hint());
        }
        let needs_pools = web.sites.iter().any(|site| matches!(site.php, Some(web::Php::Fpm(_))));
        let pools = if needs_pools { pools(look.host) } else { Pools::default() };
        let module = web.servers.iter().find_map(|server| server.php_module.as_deref());
        let module = module.map_or(Ok(String::new()), |module| self.module_branch(look.host, module));
        self.read = Some((web, read));
        Ok((!products.is_empty()).then_some(Begun { next: 0, products, pools, module }))
    }

    /// Reads what is configured, unless nothing of it has changed.
    fn refresh(&mut self, host: &Host) {
        let now = host.clock().monotonic();
        let current = |(web, read): &(Web, Duration)| now < *read + FULL && web.is_current(host);
        if !self.read.as_ref().is_some_and(current) {
            self.read = Some((web::read(host), now));
        }
    }
}

#[cfg(test)]
mod tests;
