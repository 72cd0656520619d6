use std::fs;
use std::path::Path;
use std::sync::Arc;

use plumb_proto::time::{ManualClock, Timestamp};

use super::{Php, Web, read};
use crate::host::Host;
use crate::state::testing::Folder;

mod apache;
mod caddy;
mod everyday;
mod hostile;
mod litespeed;
mod nginx;
mod panels;

/// A host in a folder.
pub(super) struct Scene {
    pub(super) folder: Folder,
    pub(super) host: Host,
}

impl Scene {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        for (path, text) in files {
            write(folder.path(), path, text.as_bytes());
        }
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        Self { folder, host }
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        write(self.folder.path(), path, bytes);
    }

    pub(super) fn read(&self) -> Web {
        read(&self.host)
    }
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What is read of these files: a line for each site, fault and problem.
pub(super) fn told(files: &[(&str, &str)]) -> String {
    print(&Scene::of(files).read())
}

/// `KEY word=value ...`, with what is set only.
pub(super) fn print(web: &Web) -> String {
    let mut lines: Vec<String> = web.sites.iter().map(line).collect();
    for server in &web.servers {
        lines.extend(server.faults.iter().map(|fault| format!("fault {}: {fault}", server.key())));
    }
    lines.extend(web.problems.iter().map(|problem| format!("problem {problem}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn line(site: &super::Site) -> String {
    let mut words = vec![site.key()];
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            words.push(format!("{name}={value}"));
        }
    };
    let paths =
        |paths: &[std::path::PathBuf]| paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(",");
    add("names", site.names.get(1..).unwrap_or_default().join(","));
    add("listen", site.listen.join(","));
    add("docroot", site.docroot.iter().map(|path| path.display().to_string()).collect());
    add("other", paths(&site.other_roots));
    add("tls", if site.encrypted { "yes".to_owned() } else { String::new() });
    let pair = |tls: &super::Tls| {
        let key = tls.key.as_ref().map_or_else(String::new, |key| format!("+{}", key.display()));
        format!("{}{key}", tls.certificate.display())
    };
    add("certificates", site.tls.iter().map(pair).collect::<Vec<_>>().join(","));
    add(
        "php",
        match &site.php {
            Some(Php::Fpm(to)) => format!("fpm:{to}"),
            Some(Php::Module) => "module".to_owned(),
            Some(Php::Lsapi(to)) => format!("lsapi:{to}"),
            Some(Php::Cgi(to)) => format!("cgi:{to}"),
            None => String::new(),
        },
    );
    add("proxy", site.proxy.clone().unwrap_or_default());
    add("access", paths(&site.access_logs));
    add("error", paths(&site.error_logs));
    add("panel", site.panel.unwrap_or_default().to_owned());
    add("account", site.account.clone().unwrap_or_default());
    for (column, why) in &site.unknown {
        add(&format!("{column}?"), why.clone());
    }
    words.join(" ")
}
