use super::SPEC;
use crate::watcher::testing::{Stage, stage};

fn host() -> Stage {
    stage(&SPEC)
        .file("/etc/os-release", "ID=debian\n")
        .file("/var/lib/dpkg/status", "Package: other\n")
        .folder("/var/lib/dpkg/info")
        .file("/proc/1/comm", "init\n")
        .link("/proc/1/exe", "/usr/lib/systemd/systemd")
}

fn with(host: Stage, path: &str, text: &str) -> Stage {
    host.file(path, text).mode(path, 0o755)
}

fn packaged(host: Stage, path: &str, package: &str, version: &str) -> Stage {
    with(host, path, "\x7fELF")
        .file("/var/lib/dpkg/status", format!("Package: {package}\nStatus: install ok installed\nVersion: {version}\n"))
        .file(&format!("/var/lib/dpkg/info/{package}.list"), format!("{path}\n"))
}

#[test]
fn a_host_without_any_is_no_error() {
    assert_eq!(host().look(), "absent");
}

#[test]
fn a_package_tells_version_and_provenance() {
    for (path, package, version, expected) in [
        (
            "/usr/bin/python3.11",
            "python3.11-minimal",
            "3.11.2-6+deb12u6",
            "python/3.11 version=3.11.2 provenance=debian",
        ),
        (
            "/usr/bin/python3.12",
            "python3.12-minimal",
            "3.12.7-1+jammy1",
            "python/3.12 version=3.12.7 provenance=deadsnakes",
        ),
        ("/usr/bin/node", "nodejs", "20.20.2-1nodesource1", "node/20 version=20.20.2 provenance=nodesource"),
        ("/usr/bin/ruby2.7", "ruby2.7", "2.7.8-1bbox1~jammy1", "ruby/2.7 version=2.7.8 provenance=brightbox"),
        (
            "/usr/lib/jvm/temurin-17-jdk/bin/java",
            "temurin-17-jdk",
            "17.0.9.0.0+9-0",
            "java/17 version=17.0.9.0.0 provenance=adoptium",
        ),
    ] {
        let look = packaged(host(), path, package, version).look();
        let (key, rest) = expected.split_once(' ').unwrap();
        let (told, provenance) = rest.split_once(' ').unwrap();
        assert_eq!(
            look,
            format!(
                "fact runtime {key} {told} binary={path} package={package} package_version={version} {provenance} running=false from {path}\n"
            )
        );
    }
}

#[test]
fn links_and_several_names_are_one_program() {
    let host = packaged(host(), "/usr/bin/python3.11", "python3.11-minimal", "3.11.2-6")
        .link("/usr/bin/python3", "python3.11")
        .link("/usr/bin/python", "/usr/bin/python3");
    assert_eq!(host.look().lines().count(), 1, "{}", host.look());
}

#[test]
fn folders_of_version_managers_and_files_beside_the_program_tell_the_version() {
    let release = "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"1.8.0_392\"\n";
    for (path, file, text, expected) in [
        (
            "/home/web/.nvm/versions/node/v20.11.1/bin/node",
            "/x",
            "",
            "node/20@/home/web/.nvm/versions/node/v20.11.1 version=20.11.1 ",
        ),
        (
            "/home/web/.rbenv/versions/3.2.2/bin/ruby",
            "/x",
            "",
            "ruby/3.2@/home/web/.rbenv/versions/3.2.2 version=3.2.2 ",
        ),
        (
            "/usr/local/rvm/rubies/ruby-3.1.4/bin/ruby",
            "/x",
            "",
            "ruby/3.1@/usr/local/rvm/rubies/ruby-3.1.4 version=3.1.4 ",
        ),
        ("/usr/lib/jvm/jdk8/bin/java", "/usr/lib/jvm/jdk8/release", release, "java/8 version=1.8.0_392 "),
        (
            "/usr/local/bin/python3.9",
            "/usr/local/include/python3.9/patchlevel.h",
            "#define PY_VERSION      \t\"3.9.18\"\n",
            "python/3.9@/usr/local version=3.9.18 ",
        ),
        (
            "/usr/local/bin/python3.8",
            "/x",
            "",
            "python/3.8@/usr/local version=?(neither a package nor a file beside the program names its version) ",
        ),
    ] {
        let look = with(host().file(file, text), path, "\x7fELF").look();
        assert!(
            look.starts_with(&format!("fact runtime {expected}")) && look.contains(" provenance=self-built "),
            "{look}"
        );
    }
    let node = with(host(), "/opt/node-v18/bin/node", "\x7fELF\0node.js/v18.19.0\0").look();
    assert!(node.starts_with("fact runtime node/18@/opt/node-v18 version=18.19.0 "), "{node}");
}

#[test]
fn what_runs_is_found_anywhere_and_one_that_was_replaced_needs_a_restart() {
    let path = "/srv/app/node/bin/node";
    let host = with(host(), path, "\x7fELF\0node.js/v22.1.0\0").link("/proc/7/exe", path);
    assert!(host.look().contains(" running=true restart_needed=false "), "{}", host.look());
    let host = host.link("/proc/8/exe", &format!("{path} (deleted)"));
    assert!(host.look().contains(" running=true restart_needed=true "), "{}", host.look());
}

#[test]
fn tools_of_the_system_are_no_applications_that_need_a_restart() {
    let path = "/usr/bin/python3.11";
    let restart = |script: &str, folder: &str| {
        let host = packaged(host(), path, "python3.11-minimal", "3.11.2-6+deb12u9")
            .link("/proc/7/exe", &format!("{path} (deleted)"))
            .link("/proc/7/cwd", folder)
            .file("/proc/7/cmdline", format!("/usr/bin/python3\0-u\0{script}\0"));
        host.look().contains(" running=true restart_needed=true ")
    };
    assert!(!restart("/usr/share/unattended-upgrades/unattended-upgrade-shutdown", "/"));
    assert!(restart("/usr/bin/gunicorn", "/srv/shop"));
    assert!(restart("/opt/shop/server.py", "/"));
    assert!(restart("/usr/local/bin/server", "/"));
}

#[test]
fn what_ran_and_lies_there_still_is_not_gone() {
    let path = "/srv/app/node/bin/node";
    let host = with(host(), path, "\x7fELF\0node.js/v22.1.0\0").link("/proc/7/exe", path);
    assert!(host.look().contains(" running=true "), "{}", host.look());
    host.remove("/proc/7/exe");
    host.clock().advance(std::time::Duration::from_secs(120));
    assert!(host.look().contains("node/22@/srv/app/node version=22.1.0 "), "{}", host.look());
    host.remove(path);
    assert_eq!(host.look(), "absent");
}

#[test]
fn each_version_of_dotnet_is_told() {
    let shared = "/usr/lib/dotnet/shared/Microsoft.NETCore.App";
    let host = with(host(), "/usr/lib/dotnet/dotnet", "\x7fELF")
        .folder(&format!("{shared}/8.0.11"))
        .folder(&format!("{shared}/6.0.36"))
        .link("/proc/9/exe", "/usr/lib/dotnet/dotnet");
    let look = host.look();
    assert!(look.contains("fact runtime dotnet/6.0 version=6.0.36 "), "{look}");
    assert!(look.contains("fact runtime dotnet/8.0 version=8.0.11 "), "{look}");
    assert_eq!(look.matches("running=?(which of the versions runs cannot be told)").count(), 2, "{look}");
}
