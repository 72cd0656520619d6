//! Memcached: the server's version, whether it runs, and where it listens. It keeps nothing on the disk. Only when neither
//! package nor binary tells the version, a server with a UNIX socket is asked for it, once in its life.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::databases::{Binary, Instance, Product, Program, Refusal, Server, Watched};
use crate::host::Host;
use crate::host::binary::Mark;
use crate::tables::DATABASE;
use crate::watcher::{Spec, seconds};

/// The watcher `memcached`.
pub const SPEC: Spec = Spec::new::<Watched<Memcached>>(
    "memcached",
    seconds(15),
    &[&DATABASE],
    r#"
# Folders where the server lies; `*` stands for the name of one folder. What runs is found anywhere.
folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/*/bin", "/opt/*/bin"]
"#,
);

const PROGRAM: Program = Program {
    files: &["memcached"],
    aliases: &["memcached-debug"],
    names: &["memcached", "memcached-debug"],
    hosted: &[],
    passing: &["-V", "--version", "-h", "--help", "-i", "--license"],
    packages: &["memcached"],
    // printf(PACKAGE " " VERSION "\n") of its source
    mark: Some(Mark::Before(b"memcached ")),
};
/// Options as words of a command line (Debian), and as variables of a shell (Red Hat).
const CONFIG: &str = "/etc/memcached.conf";
const SYSCONFIG: &str = "/etc/sysconfig/memcached";
const WAKE: [&str; 3] = [CONFIG, SYSCONFIG, "/run/memcached"];
const PORT: &str = "11211";
/// Bytes of a file, and of an answer; time for it.
const LIMIT: usize = 64 << 10;
const ANSWER: usize = 256;
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Memcached;

impl Product for Memcached {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    fn wake(&self) -> &'static [&'static str] {
        &WAKE
    }

    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance> {
        let mut found: Vec<Instance> = Vec::new();
        for server in servers {
            let options = Options::of(server.words.iter().map(String::as_str));
            let mut key = options.key();
            if found.iter().any(|each| each.key == key) {
                key = format!("memcached/{}", options.listen().join(","));
            }
            found.push(options.instance(key, server.binary(binaries), Some(server.clone())));
        }
        if let (Some(binary), true) = (binaries.first(), found.is_empty()) {
            let options = configured(host);
            found.push(options.instance(options.key(), binary.path.clone(), None));
        }
        found
    }

    fn greeted(&self, host: &Host, socket: &Path) -> Option<Result<String, Refusal>> {
        let ask = || {
            let mut talk = host.talk(socket, PATIENCE, ANSWER)?;
            talk.say(b"version\r\n")?;
            talk.hear(&|said| said.iter().position(|byte| *byte == b'\n').map(|end| end + 1))
        };
        let said = ask().map_err(|error| match error.is_unanswered() {
            true => Refusal::Away(error.to_string()),
            false => Refusal::Silent(error.to_string()),
        });
        Some(said.and_then(|said| {
            version(&said).ok_or_else(|| Refusal::Silent("its answer is none of memcached".to_owned()))
        }))
    }
}

/// `1.6.18` of `VERSION 1.6.18` (doc/protocol.txt of its source).
fn version(said: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(said).ok()?.trim_end();
    let version = text.strip_prefix("VERSION ")?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
}

/// What a server is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    port: Option<String>,
    socket: Option<String>,
    addresses: Vec<String>,
}

impl Options {
    /// Of words as on its command line: `-p 11211`, `-p11211`, `--port=11211`.
    fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let (mut options, mut words) = (Self::default(), words.peekable());
        while let Some(word) = words.next() {
            let names = [("-p", "--port"), ("-s", "--unix-socket"), ("-l", "--listen")];
            for (place, (short, long)) in names.into_iter().enumerate() {
                let rest = word.strip_prefix(long).or_else(|| word.strip_prefix(short));
                let value = match rest {
                    Some("") => words.peek().copied(),
                    Some(rest) => Some(rest.trim_start_matches('=')),
                    None => continue,
                };
                let value = value.unwrap_or_default().trim_matches(['"', '\'']).to_owned();
                match place {
                    0 => options.port = Some(value),
                    1 => options.socket = Some(value),
                    _ => options.addresses.extend(value.split(',').map(str::to_owned)),
                }
                break;
            }
        }
        options
    }

    fn key(&self) -> String {
        let name = |socket: &String| Path::new(socket).file_stem().map(|name| name.to_string_lossy().into_owned());
        let socket = self.socket.as_ref().and_then(name);
        format!("memcached/{}", socket.unwrap_or_else(|| self.port().to_owned()))
    }

    fn port(&self) -> &str {
        self.port.as_deref().unwrap_or(PORT)
    }

    /// With a socket it listens on nothing else (memcached(1)).
    fn listen(&self) -> Vec<String> {
        if let Some(socket) = &self.socket {
            return vec![socket.clone()];
        }
        let port = self.port();
        let at = |address: &String| match address.matches(':').count() {
            0 => format!("{address}:{port}"),
            1 => address.clone(), // it may bring a port of its own
            _ if address.starts_with('[') => address.clone(),
            _ => format!("[{address}]:{port}"),
        };
        let mut found: Vec<String> = self.addresses.iter().map(at).collect();
        if found.is_empty() {
            found.push(format!("*:{port}"));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn instance(&self, key: String, binary: PathBuf, server: Option<Server>) -> Instance {
        let sockets = self.socket.iter().map(PathBuf::from).collect();
        Instance { key, binary, server, listen: Ok(self.listen()), datadir: None, sockets }
    }
}

/// What the next server will be told.
fn configured(host: &Host) -> Options {
    if let Ok(bytes) = host.read(CONFIG, LIMIT) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with('-'));
        return Options::of(lines.flat_map(str::split_whitespace));
    }
    let bytes = host.read(SYSCONFIG, LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let of = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    let words = of("OPTIONS").unwrap_or_default().trim_matches(['"', '\'']);
    let mut options = Options::of(words.split_whitespace());
    options.port = options.port.or_else(|| of("PORT").map(|port| port.trim_matches(['"', '\'']).to_owned()));
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watcher::testing::{Stage, stage};

    fn debian() -> Stage {
        stage(&SPEC)
            .file("/usr/bin/memcached", "\x7fELF")
            .mode("/usr/bin/memcached", 0o755)
            .file(
                "/var/lib/dpkg/status",
                "Package: memcached\nStatus: install ok installed\nVersion: 1.6.18-1+deb12u1\n\n",
            )
            .file("/var/lib/dpkg/info/memcached.list", "/usr/bin/memcached\n")
            .file("/etc/os-release", "ID=debian\n")
            .file("/etc/memcached.conf", "# memory\n-m 64\n-p 11211\n-u memcache\n-l 127.0.0.1\n-l ::1\n")
    }

    fn running(stage: Stage, words: &[&str]) -> Stage {
        stage
            .link("/proc/70/exe", "/usr/bin/memcached")
            .link("/proc/70/cwd", "/")
            .file("/proc/70/comm", "memcached\n")
            .file("/proc/70/stat", "70 (memcached) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n")
            .file("/proc/70/cmdline", words.iter().map(|word| format!("{word}\0")).collect::<String>())
    }

    const FACTS: &str =
        "binary=/usr/bin/memcached package=memcached package_version=1.6.18-1+deb12u1 provenance=debian";

    #[test]
    fn a_host_without_memcached_is_no_error() {
        assert_eq!(stage(&SPEC).folder("/usr/bin").look(), "absent");
    }

    #[test]
    fn a_server_that_runs_is_told_by_its_command_line_and_has_no_data() {
        let stage = running(debian(), &["/usr/bin/memcached", "-m", "64", "-p11212", "-l", "127.0.0.1,10.0.0.1:1"]);
        assert_eq!(
            stage.look(),
            format!(
                "fact database memcached/11212 version=1.6.18 running_version=1.6.18 {FACTS} running=true \
                 restart_needed=false listen=10.0.0.1:1,127.0.0.1:11212 from /usr/bin/memcached\n"
            )
        );
    }

    #[test]
    fn one_that_does_not_run_is_told_by_its_configuration() {
        let stage = debian().link("/proc/1/exe", "/sbin/init");
        let rest = "running=false listen=127.0.0.1:11211,[::1]:11211 from /usr/bin/memcached\n";
        assert_eq!(stage.look(), format!("fact database memcached/11211 version=1.6.18 {FACTS} {rest}"));
        stage.remove("/etc/memcached.conf");
        stage.write(SYSCONFIG, "PORT=\"11300\"\nOPTIONS=\"-s /run/memcached/m.sock\"\n");
        assert!(stage.look_because(SYSCONFIG).contains("memcached/m version=1.6.18"), "{}", stage.look());
    }

    #[test]
    fn an_answer_tells_the_version_and_nothing_else_does() {
        assert_eq!(version(b"VERSION 1.6.18\r\n").as_deref(), Some("1.6.18"));
        for said in [&b"ERROR\r\n"[..], b"VERSION \r\n", b"VERSION x", b"\xff", b""] {
            assert_eq!(version(said), None);
        }
    }
}
