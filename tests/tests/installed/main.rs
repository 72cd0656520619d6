//! Debian 12, and what is installed on it: a fresh one in a folder; the packages, and hosts that have them, booted with systemd
//! in containers.

mod denied;
mod fresh;
mod life;
mod packages;
mod rights;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plumb_tests::container::{Container, debian, in_root};
use plumb_tests::eventually::eventually;

/// What needs to be there for a booted host.
const PROGRAMS: [&str; 3] = ["debootstrap", "systemd-nspawn", "nsenter"];

/// The folder of the packages, in which each is there in two versions.
fn packages() -> PathBuf {
    let folder = std::env::var_os("PLUMB_PACKAGES");
    PathBuf::from(folder.expect("PLUMB_PACKAGES names no folder: start the tests with ./run-tests"))
}

/// The version of the source.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How Debian and RPM call what this machine is.
const ARCHITECTURE: [&str; 2] = if cfg!(target_arch = "aarch64") { ["arm64", "aarch64"] } else { ["amd64", "x86_64"] };

/// The next version, as which the same source was built too.
fn next() -> String {
    std::env::var("PLUMB_NEXT_VERSION").expect("PLUMB_NEXT_VERSION names no version: start the tests with ./run-tests")
}

/// A Debian 12 with these packages that is not booted yet, with nothing of plumb on it.
fn host(name: &str, with: &str) -> Container {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let root = std::env::temp_dir().join(format!("plumb-{name}-{}-{number}", std::process::id()));
    debian(&root, with);
    in_root(
        &root,
        "rm -f /usr/sbin/policy-rc.d; systemd-machine-id-setup 2>/dev/null; echo webhost > /etc/hostname; \
         printf '127.0.0.1 localhost webhost\\n' > /etc/hosts",
    );
    Container::new(root)
}

/// The .deb files of these packages in one version, as arguments. The next one lies apart: nobody should install it.
fn debs(packages: &[&str], version: &str) -> String {
    let folder = if version == VERSION { self::packages() } else { self::packages().join("next") };
    let path = |name: &&str| format!("{}/{name}_{version}_{}.deb", folder.display(), ARCHITECTURE[0]);
    packages.iter().map(path).collect::<Vec<_>>().join(" ")
}

/// Enrols a host at the collector that runs beside the agent, by pasting the line that it prints; what `enroll` says.
fn enrolled(host: &Container) -> String {
    let line = || host.try_sh("plumb-collector token create --name webhost 2>/dev/null");
    let (_, line) = eventually("the collector's line", Duration::from_secs(20), line, |(made, _)| *made);
    host.sh(&line)
}

/// Rows of a table, as the command line tells them.
fn facts(host: &Container, table: &str) -> Vec<serde_json::Value> {
    json(host, &format!("facts {table}")).as_array().cloned().unwrap_or_default()
}

/// What a command of `plumb` prints with --json.
fn json(host: &Container, command: &str) -> serde_json::Value {
    serde_json::from_str(&host.sh(&format!("plumb {command} --json")))
        .unwrap_or_else(|error| panic!("{command}: {error}"))
}
