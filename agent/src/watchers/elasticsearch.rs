//! Elasticsearch and OpenSearch: the server's version, whether it runs, where it listens and how much it holds. It is run
//! by a Java virtual machine, which has the server's folder on its command line. Nothing is said to a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::databases::{Binary, Instance, Product, Program, Server, Watched, yaml};
use crate::host::{Host, HostError};
use crate::tables::DATABASE;
use crate::watcher::{Spec, seconds};

/// The watcher `elasticsearch`.
pub const SPEC: Spec = Spec::new::<Watched<Elasticsearch>>(
    "elasticsearch",
    seconds(15),
    &[&DATABASE],
    r#"
# Folders where Elasticsearch or OpenSearch lies; `*` stands for the name of one folder. What runs is found anywhere.
folders = ["/usr/share/elasticsearch/bin", "/usr/share/opensearch/bin", "/opt/*/bin", "/usr/local/*/bin"]
"#,
);

const PROGRAM: Program = Program {
    files: &["elasticsearch", "opensearch"],
    aliases: &["java"],
    names: &["java"],
    hosted: &[("-Des.path.home=", "bin/elasticsearch"), ("-Dopensearch.path.home=", "bin/opensearch")],
    // Tools that come with it have its folder on their command line, too.
    passing: &["org.elasticsearch.plugins.PluginCli", "org.opensearch.plugins.PluginCli", "--version", "-V", "--help"],
    packages: &["elasticsearch", "opensearch"],
    mark: None,
};
const WAKE: [&str; 4] =
    ["/etc/elasticsearch", "/etc/opensearch", "/usr/share/elasticsearch/lib", "/usr/share/opensearch/lib"];
/// The first one that is free of 9200 to 9300, that is, if it is not the only one.
const PORT: &str = "9200";
const ADDRESS: &str = "127.0.0.1";
/// Bytes of a file.
const LIMIT: usize = 256 << 10;

#[derive(Default)]
struct Elasticsearch;

impl Product for Elasticsearch {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    fn wake(&self) -> &'static [&'static str] {
        &WAKE
    }

    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance> {
        let mut found: Vec<Instance> = Vec::new();
        let path_of = |server: &Server| {
            let start = |word: &String| {
                ["-Des.path.conf=", "-Dopensearch.path.conf="]
                    .iter()
                    .find_map(|each| word.strip_prefix(each).map(PathBuf::from))
            };
            server.words.iter().find_map(start)
        };
        for server in servers {
            let mut instance = instance(host, server.binary(binaries), path_of(server));
            if found.iter().any(|each| each.key == instance.key) {
                instance.key = format!("{}@{}", instance.key, server.pid);
            }
            instance.server = Some(server.clone());
            found.push(instance);
        }
        for binary in binaries {
            if !found.iter().any(|each| each.binary == binary.path) {
                let idle = instance(host, binary.path.clone(), None);
                found.extend((!found.iter().any(|each| each.key == idle.key)).then_some(idle));
            }
        }
        found
    }

    /// `8.15.0` of `lib/elasticsearch-8.15.0.jar`.
    fn beside(&self, host: &Host, binary: &Path) -> Option<String> {
        let start = format!("{}-", product(binary));
        let lib = host.real(binary.parent()?.parent()?.join("lib"), &mut |_| {})?;
        let jars = host.list(lib).ok()?.into_iter().filter_map(|entry| entry.name.into_string().ok());
        let version = |jar: &String| Some(jar.strip_prefix(&start)?.strip_suffix(".jar")?.to_owned());
        // There are others, such as elasticsearch-core-8.15.0.jar.
        jars.filter_map(|jar| version(&jar)).find(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    }
}

fn product(binary: &Path) -> &'static str {
    if binary.ends_with("opensearch") { "opensearch" } else { "elasticsearch" }
}

/// As its configuration has it: in the folder that a running one names, else where packages put it, else beside it.
fn instance(host: &Host, binary: PathBuf, told: Option<PathBuf>) -> Instance {
    let product = product(&binary);
    let home = binary.parent().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
    let is_packaged = home == Path::new("/usr/share").join(product);
    let usual = if is_packaged { Path::new("/etc").join(product) } else { home.join("config") };
    let file = told.unwrap_or(usual).join(format!("{product}.yml"));
    let read = host.read(&file, LIMIT).map(|bytes| yaml::settings(&String::from_utf8_lossy(&bytes)));
    let (settings, listen) = match read {
        Ok(settings) => (settings.clone(), Ok(listen(&settings))),
        Err(error) if error.is_absent() => (BTreeMap::new(), Ok(listen(&BTreeMap::new()))),
        Err(error) => (BTreeMap::new(), Err(why(&error))),
    };
    let port = settings.get("http.port").map_or(PORT, String::as_str);
    let data = settings.get("path.data").and_then(|folders| folders.split(',').next());
    let datadir = host.real(data.map_or_else(|| home.join("data"), |folder| home.join(folder)), &mut |_| {});
    Instance { key: format!("{product}/{port}"), binary, server: None, listen, datadir, sockets: Vec::new() }
}

fn why(error: &HostError) -> (String, &'static str) {
    (error.to_string(), error.hint())
}

/// Addresses for its clients: `http.host` wins over `network.host`; `_local_` and `_site_` stand for what the host has.
fn listen(settings: &BTreeMap<String, String>) -> Vec<String> {
    let port = settings.get("http.port").map_or(PORT, String::as_str);
    let hosts = ["http.host", "http.bind_host", "network.bind_host", "network.host"];
    let hosts = hosts.iter().find_map(|name| settings.get(*name)).map_or(ADDRESS, String::as_str);
    let at = |address: &str| match address {
        "0.0.0.0" | "::" => format!("*:{port}"),
        "_local_" => format!("{ADDRESS}:{port}"),
        address if address.contains(':') => format!("[{address}]:{port}"),
        address => format!("{address}:{port}"),
    };
    let mut found: Vec<String> = hosts.split(',').map(str::trim).filter(|each| !each.is_empty()).map(at).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watcher::testing::{Stage, stage};

    fn java(stage: Stage, pid: u32, parent: u32, words: &[&str]) -> Stage {
        stage
            .link(&format!("/proc/{pid}/exe"), "/usr/share/elasticsearch/jdk/bin/java")
            .link(&format!("/proc/{pid}/cwd"), "/")
            .file(&format!("/proc/{pid}/comm"), "java\n")
            .file(
                &format!("/proc/{pid}/stat"),
                format!("{pid} (java) S {parent} 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 47 1 1\n"),
            )
            .file(&format!("/proc/{pid}/cmdline"), words.iter().map(|word| format!("{word}\0")).collect::<String>())
    }

    fn program(stage: Stage, path: &str) -> Stage {
        stage.file(path, "#!/bin/bash\n").mode(path, 0o755)
    }

    #[test]
    fn a_host_with_other_java_is_no_error() {
        let stage = java(stage(&SPEC).folder("/usr/share"), 70, 1, &["java", "-jar", "shop.jar"]);
        assert_eq!(stage.look(), "absent");
    }

    #[test]
    fn a_server_of_its_makers_package_is_told_once_with_its_launcher() {
        let stage = program(stage(&SPEC), "/usr/share/elasticsearch/bin/elasticsearch")
            .file("/usr/share/elasticsearch/jdk/bin/java", "\x7fELF")
            .mode("/usr/share/elasticsearch/jdk/bin/java", 0o755)
            .file("/var/lib/dpkg/status", "Package: elasticsearch\nStatus: install ok installed\nVersion: 8.15.0\n\n")
            .file("/var/lib/dpkg/info/elasticsearch.list", "/usr/share/elasticsearch/bin/elasticsearch\n")
            .file(
                "/etc/elasticsearch/elasticsearch.yml",
                "path.data: /var/lib/elasticsearch\nnetwork.host: 0.0.0.0\nhttp.port: 9201\n",
            )
            .file("/var/lib/elasticsearch/indices/a/0/index/s", "123");
        let words = [
            "java",
            "-Des.path.home=/usr/share/elasticsearch",
            "-Des.path.conf=/etc/elasticsearch",
            "org.elasticsearch.Main",
        ];
        let stage = java(java(java(stage, 70, 1, &words), 71, 70, &words), 80, 1, &["java", "-jar", "shop.jar"]);
        assert_eq!(
            stage.look(),
            "fact database elasticsearch/9201 version=8.15.0 running_version=8.15.0 \
             binary=/usr/share/elasticsearch/bin/elasticsearch package=elasticsearch package_version=8.15.0 \
             provenance=elastic running=true restart_needed=false listen=*:9201 datadir=/var/lib/elasticsearch \
             from /usr/share/elasticsearch/bin/elasticsearch\n\
             sample database_size_bytes{database=\"elasticsearch/9201\"} 3\n"
        );
    }

    #[test]
    fn one_of_an_archive_is_known_by_its_jar_wherever_it_lies() {
        let stage = program(stage(&SPEC), "/srv/os/bin/opensearch")
            .file("/srv/os/lib/opensearch-core-2.16.0.jar", "")
            .file("/srv/os/lib/opensearch-2.17.1.jar", "")
            .file("/srv/os/data/x", "12")
            .file("/var/lib/dpkg/status", "Package: x\n")
            .folder("/var/lib/dpkg/info");
        let told =
            java(stage, 70, 1, &["java", "-Dopensearch.path.home=/srv/os", "org.opensearch.bootstrap.OpenSearch"])
                .look();
        let row = "fact database opensearch/9200 version=2.17.1 running_version=2.17.1 binary=/srv/os/bin/opensearch ";
        assert!(told.starts_with(row) && told.contains(" listen=127.0.0.1:9200 datadir=/srv/os/data "), "{told}");
    }

    #[test]
    fn one_that_is_installed_and_does_not_run_says_so() {
        let stage = program(stage(&SPEC), "/usr/share/opensearch/bin/opensearch").link("/proc/1/exe", "/sbin/init");
        assert!(stage.look().contains("fact database opensearch/9200 "), "{}", stage.look());
        assert!(stage.look().contains(" running=false listen=127.0.0.1:9200 "), "{}", stage.look());
    }
}
