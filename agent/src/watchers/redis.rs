//! Redis, Valkey and KeyDB: the server's version, and whether it runs. Nothing is said to a server.

mod config;

use crate::databases::{Binary, Instance, Product, Program, Server, Watched};
use crate::host::Host;
use crate::tables::DATABASE;
use crate::watcher::{Spec, seconds};
use config::{Config, all};

/// The watcher `redis`.
pub const SPEC: Spec = Spec::new::<Watched<Redis>>(
    "redis",
    seconds(5),
    &[&DATABASE],
    r#"
# Folders where the server lies; `*` stands for the name of one folder. What runs is found anywhere.
folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/*/bin", "/opt/*/bin", "/opt/rh/*/root/usr/bin"]
"#,
);

const PROGRAM: Program = Program {
    files: &["redis-server", "valkey-server", "keydb-server"],
    // Debian and Red Hat link the server to a tool that is the same program, or the other way round.
    aliases: &[
        "redis-check-rdb",
        "redis-check-aof",
        "redis-sentinel",
        "valkey-check-rdb",
        "valkey-check-aof",
        "valkey-sentinel",
        "keydb-check-rdb",
        "keydb-check-aof",
    ],
    names: &["redis-server", "valkey-server", "keydb-server"],
    hosted: &[],
    passing: &["--version", "-v", "--help", "-h", "--test-memory", "--check-system"],
    packages: &["redis", "valkey", "keydb"],
    // The version stands alone in the binary, between the versions that commands came with.
    mark: None,
};
const WAKE: [&str; 8] = [
    "/etc/redis",
    "/etc/redis.conf",
    "/etc/valkey",
    "/etc/keydb",
    "/run/redis",
    "/run/redis_6379.pid",
    "/run/valkey",
    "/run/keydb",
];
/// The port of a server that is not told another one.
const PORT: &str = "6379";

#[derive(Default)]
struct Redis;

impl Product for Redis {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    fn wake(&self) -> &'static [&'static str] {
        &WAKE
    }

    fn instances(&self, host: &Host, binaries: &[Binary], servers: &[Server]) -> Vec<Instance> {
        let mut found: Vec<Instance> = Vec::new();
        let configs = all(host);
        for server in servers {
            let binary = server.binary(binaries);
            let product = product(&server.name);
            let (name, seen) = title(server);
            let of_file = configs.iter().find(|config| config.is_of(&seen));
            let listen = of_file.map_or_else(|| seen.clone(), |config| config.listen());
            // One that is in no folder of its own was told none: the whole machine is not its data.
            let folder = server.folder.clone().filter(|folder| folder.parent().is_some());
            let mut key = format!("{product}/{name}");
            if found.iter().any(|each| each.key == key) {
                key = format!("{product}/{}", seen.join(","));
            }
            let instance = Instance {
                key,
                binary,
                server: Some(server.clone()),
                listen: Ok(listen),
                datadir: folder,
                sockets: Vec::new(),
            };
            found.push(instance);
        }
        let Some(binary) = binaries.first() else { return found };
        let product = product(&binary.path.to_string_lossy());
        let idle = if configs.is_empty() { vec![Config::default()] } else { configs };
        for config in idle {
            let key = format!("{product}/{}", config.name());
            let hidden = config.is_hidden() && !found.is_empty(); // most probably it is what runs
            if !hidden && !found.iter().any(|each| each.key == key) {
                let datadir = config.datadir(host);
                let listen = Ok(config.listen());
                let binary = binary.path.clone();
                found.push(Instance { key, binary, server: None, listen, datadir, sockets: Vec::new() });
            }
        }
        found
    }
}

fn product(name: &str) -> &'static str {
    ["valkey", "keydb"].into_iter().find(|each| name.contains(each)).unwrap_or("redis")
}

/// What a server calls itself: `redis-server 127.0.0.1:6379`, `redis-server unixsocket:/run/redis.sock`, with
/// `[sentinel]` or `[cluster]` behind it (redisSetProcTitle in its source). A name for the instance, and what it names.
fn title(server: &Server) -> (String, Vec<String>) {
    let words = server.words.iter().flat_map(|word| word.split(' ')).skip(1);
    for word in words {
        if let Some(socket) = word.strip_prefix("unixsocket:") {
            let name = socket.rsplit('/').next().unwrap_or(socket);
            return (name.split('.').next().unwrap_or(name).to_owned(), vec![socket.to_owned()]);
        }
        if let Some((_, port)) = word.rsplit_once(':')
            && !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
        {
            return (port.to_owned(), vec![word.to_owned()]);
        }
    }
    let port = server.option(&["--port"]).unwrap_or(PORT);
    (port.to_owned(), vec![format!("*:{port}")])
}

#[cfg(test)]
mod tests;
