//! Logs as Apache's configuration names them: `CustomLog`, `TransferLog`, `ErrorLog`, `LogFormat`, `Include`,
//! `VirtualHost`, `ServerName`; variables from `Define` and Debian's `envvars`.
//!
//! Sections that hold under a condition (`IfModule`, `IfDefine`, `If`) are taken as if they held: a log that is not
//! written is merely quiet. Logs that go to a program or to syslog are no files that can be followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::conf::{Conf, Text, site_name};
use super::extract::{APACHE_NICKNAMES, Extractor};
use super::source::{Entry, What};
use crate::web::apache::words;

/// A line with all that continue it.
const MAX_LINE: usize = 64 << 10;

/// Bytes of a path, and of the value of a variable.
const MAX_PATH: usize = 4_096;

/// Reads the configuration that begins at `path`.
pub(super) fn read(conf: &mut Conf<'_>, path: &Path) {
    let folder = path.parent().unwrap_or(path);
    // RHEL and cPanel have conf/httpd.conf below the server's root.
    let root = if folder.ends_with("conf") { folder.parent().unwrap_or(folder) } else { folder };
    let mut apache = Apache {
        root: root.to_owned(),
        formats: APACHE_NICKNAMES.iter().map(|(name, format)| ((*name).to_owned(), (*format).to_owned())).collect(),
        ready: BTreeMap::new(),
        plain: None,
        variables: BTreeMap::new(),
        host: None,
        whole: Vec::new(),
        hosts: Vec::new(),
    };
    apache.variables(conf, &folder.join("envvars"));
    apache.file(conf, path, 0);
    apache.close();
    let whole: Vec<Entry> = std::mem::take(&mut apache.whole).into_iter().map(|line| apache.entry(line)).collect();
    let mut whole = conf.outer(path, whole.into_iter());
    for Host { site, lines } in std::mem::take(&mut apache.hosts) {
        let own: Vec<Entry> = lines.into_iter().map(|line| apache.entry(line)).collect();
        conf.site(site.as_deref(), &own, &mut whole);
    }
    for (entry, _) in whole.iter().filter(|(_, used)| !used) {
        conf.named.add(entry, None);
    }
}

struct Apache {
    root: PathBuf,
    formats: BTreeMap<String, String>,
    /// By what is written in them; `None` for what is not understood.
    ready: BTreeMap<String, Option<Arc<Extractor>>>,
    /// The last `LogFormat` without a name, which `TransferLog` uses.
    plain: Option<Arc<str>>,
    variables: BTreeMap<String, String>,
    /// The virtual host that is being read.
    host: Option<Host>,
    whole: Vec<Line>,
    hosts: Vec<Host>,
}

#[derive(Default)]
struct Host {
    site: Option<String>,
    lines: Vec<Line>,
}

struct Line {
    what: What,
    path: String,
    format: Option<Arc<str>>,
    named_by: Option<u32>,
}

impl Apache {
    fn entry(&mut self, line: Line) -> Entry {
        let Line { what, path, format, named_by } = line;
        // Either a name, or the format itself.
        let format = format.and_then(|format| {
            let text = self.formats.get(&*format).map_or(&*format, String::as_str);
            if !self.ready.contains_key(text) {
                self.ready.insert(text.to_owned(), Extractor::apache(text).map(Arc::new));
            }
            self.ready.get(text)?.clone()
        });
        Entry { what, path, format, named_by }
    }

    /// `export APACHE_LOG_DIR=/var/log/apache2$SUFFIX`; the suffix is empty but for further instances.
    fn variables(&mut self, conf: &mut Conf<'_>, path: &Path) {
        let Some(Text { text, .. }) = conf.read(path, 0) else { return };
        for line in text.lines() {
            let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) else {
                continue;
            };
            let value = value.trim_matches(['"', '\'']).replace("${SUFFIX}", "").replace("$SUFFIX", "");
            if !value.contains(['$', '`']) && conf.has_room(path, name.len() + value.len()) {
                self.variables.insert(name.trim().to_owned(), value);
            }
        }
    }

    fn file(&mut self, conf: &mut Conf<'_>, path: &Path, depth: usize) {
        let Some(Text { text, owner }) = conf.read(path, depth) else { return };
        let mut whole = String::new();
        for line in text.lines() {
            if whole.len() + line.len() > MAX_LINE {
                conf.problem(path, "a line is longer than what is looked at");
                whole.clear();
                continue;
            }
            if let Some(begin) = line.strip_suffix('\\') {
                whole.push_str(begin);
                continue;
            }
            whole.push_str(line);
            let words = words(&whole);
            whole.clear();
            if let Some((name, arguments)) = words.split_first() {
                self.directive(conf, &name.to_ascii_lowercase(), arguments, (owner, depth));
            }
        }
    }

    fn directive(&mut self, conf: &mut Conf<'_>, name: &str, arguments: &[String], at: (Option<u32>, usize)) {
        let (named_by, depth) = at;
        match (name, arguments) {
            ("include" | "includeoptional", [pattern, ..]) => {
                let Some(pattern) = self.expanded(pattern) else {
                    return conf.problem(Path::new(pattern), "has a variable that is not known");
                };
                for path in conf.included(&self.root.join(pattern)) {
                    self.file(conf, &path, depth + 1);
                }
            }
            ("serverroot", [path, ..]) if path.len() <= MAX_PATH => self.root = PathBuf::from(path),
            ("define", [name, value, ..]) => {
                if let Some(value) = self.expanded(value)
                    && conf.has_room(Path::new(name), name.len() + value.len())
                {
                    self.variables.insert(name.clone(), value);
                }
            }
            ("logformat", [format, name, ..]) if conf.has_room(Path::new(name), format.len() + name.len()) => {
                self.formats.insert(name.clone(), format.clone());
            }
            ("logformat", [format]) => self.plain = Some(format.as_str().into()),
            ("<virtualhost", _) => {
                self.close();
                self.host = conf.has_room(&self.root, 0).then(Host::default);
            }
            ("</virtualhost>", _) => self.close(),
            ("servername", [name, ..]) => {
                let name = name.rsplit_once("://").map_or(name.as_str(), |(_, name)| name);
                let name = name.split(':').next().unwrap_or_default();
                if let Some(host) = &mut self.host {
                    host.site = site_name(name);
                }
            }
            ("customlog" | "globallog", [path, format, ..]) => {
                self.log(conf, What::ApacheAccess, path, Some(format.as_str().into()), named_by);
            }
            ("transferlog", [path, ..]) => {
                let format = self.plain.clone().unwrap_or_else(|| "common".into());
                self.log(conf, What::ApacheAccess, path, Some(format), named_by);
            }
            ("errorlog", [path, ..]) => self.log(conf, What::ApacheError, path, None, named_by),
            _ => {}
        }
    }

    fn log(&mut self, conf: &mut Conf<'_>, what: What, path: &str, format: Option<Arc<str>>, named_by: Option<u32>) {
        if path.starts_with('|') || path.starts_with("syslog") || path.starts_with("/dev/") || path.is_empty() {
            return;
        }
        let Some(path) = self.expanded(path) else {
            return conf.problem(Path::new(path), "has a variable that is not known");
        };
        let path = self.root.join(path).to_string_lossy().into_owned();
        if !conf.has_room(Path::new(&path), path.len() + format.as_ref().map_or(0, |format| format.len())) {
            return;
        }
        let lines = self.host.as_mut().map_or(&mut self.whole, |host| &mut host.lines);
        lines.push(Line { what, path, format, named_by });
    }

    fn close(&mut self) {
        self.hosts.extend(self.host.take());
    }

    /// With variables replaced; `None` if one is not known, or if it becomes longer than any path.
    fn expanded(&self, text: &str) -> Option<String> {
        let (mut found, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, next) = after.split_once('}')?;
            found.push_str(before);
            found.push_str(self.variables.get(name)?);
            rest = next;
            if found.len() > MAX_PATH {
                return None;
            }
        }
        found.push_str(rest);
        (found.len() <= MAX_PATH).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watcher::testing::{Stage, stage};
    use crate::watchers::logs::SPEC;
    use crate::watchers::logs::glob::Seen;

    fn found(stage: &Stage, path: &str) -> Vec<String> {
        let mut seen = Seen::default();
        let mut conf = Conf::new(stage.host(), &mut seen);
        read(&mut conf, Path::new(path));
        let problems = std::mem::take(&mut conf.problems);
        let sources = conf.named.into_sources().map(|(path, source)| {
            format!("{path} {} {} {}", source.what.as_str(), source.site.unwrap_or("-".into()), source.formats.len())
        });
        sources.chain(problems.into_iter().map(|(path, what)| format!("problem {}: {what}", path.display()))).collect()
    }

    #[test]
    fn debian_keeps_sites_in_files_and_folders_in_variables() {
        let stage = stage(&SPEC)
            .file("/etc/apache2/envvars", "SUFFIX=\nexport APACHE_LOG_DIR=/var/log/apache2$SUFFIX\nexport X=`id`\n")
            .file(
                "/etc/apache2/apache2.conf",
                "ErrorLog ${APACHE_LOG_DIR}/error.log\nLogFormat \"%v:%p %h %l %u %t \\\"%r\\\" %>s %O\" vhost_combined\n\
                 IncludeOptional conf-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n# ErrorLog /no\n",
            )
            .file("/etc/apache2/conf-enabled/o.conf", "CustomLog ${APACHE_LOG_DIR}/other_vhosts_access.log vhost_combined")
            .file(
                "/etc/apache2/sites-enabled/a.conf",
                "<VirtualHost *:80>\n ServerName http://A.example:80\n CustomLog \\\n ${APACHE_LOG_DIR}/a.log combined\n</VirtualHost>\n\
                 <VirtualHost *:443>\n servername a.example\n <IfModule mod_x.c>\n customlog \"/var/log/apache2/a.log\" combined env=!x\n\
                 </IfModule>\n ErrorLog /srv/a/error.log\n CustomLog \"|/usr/bin/rotatelogs /x\" combined\n CustomLog ${NO}/x common\n</VirtualHost>",
            )
            .file("/etc/apache2/sites-enabled/b.conf", "<VirtualHost *:80>\nServerName b.example\n</VirtualHost>");
        assert_eq!(
            found(&stage, "/etc/apache2/apache2.conf"),
            [
                "/srv/a/error.log apache-error a.example 0",
                "/var/log/apache2/a.log apache-access a.example 1",
                "/var/log/apache2/error.log apache-error - 0",
                "/var/log/apache2/other_vhosts_access.log apache-access b.example 1",
                "problem ${NO}/x: has a variable that is not known",
            ]
        );
    }

    #[test]
    fn a_line_or_a_variable_without_measure_is_a_problem() {
        let mut text = "Define a0 xxxxxxxxxxxxxxxx\n".to_owned();
        for number in 1..20 {
            let last = format!("${{a{}}}", number - 1);
            text.push_str(&format!("Define a{number} {}\n", last.repeat(16)));
        }
        text.push_str(&format!("CustomLog /${{a19}} common\nLogFormat \"{}\" x\nErrorLog /e", "y".repeat(1 << 20)));
        let stage = stage(&SPEC).file("/etc/apache2/apache2.conf", text);
        assert_eq!(
            found(&stage, "/etc/apache2/apache2.conf"),
            [
                "/e apache-error - 0",
                "problem /${a19}: has a variable that is not known",
                "problem /etc/apache2/apache2.conf: a line is longer than what is looked at"
            ]
        );
    }

    #[test]
    fn rhel_names_logs_below_the_servers_root() {
        let stage = stage(&SPEC)
            .file(
                "/etc/httpd/conf/httpd.conf",
                "ServerRoot \"/etc/httpd\"\nErrorLog \"logs/error_log\"\nInclude conf.d/*.conf\nLogFormat \"%{x\" broken\n\
                 <IfModule log_config_module>\nCustomLog \"logs/access_log\" combined\n</IfModule>\n",
            )
            .file("/etc/httpd/conf.d/x.conf", "CustomLog logs/x_log broken\nTransferLog logs/t_log");
        assert_eq!(
            found(&stage, "/etc/httpd/conf/httpd.conf"),
            [
                "/etc/httpd/logs/access_log apache-access - 1",
                "/etc/httpd/logs/error_log apache-error - 0",
                "/etc/httpd/logs/t_log apache-access - 1",
                "/etc/httpd/logs/x_log apache-access - 0",
            ]
        );
    }
}
