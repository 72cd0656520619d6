//! The files themselves, without a host.

use std::path::Path;
use std::process::Command;

use plumb_tests::container::in_root;
use plumb_tests::needs;

use crate::{ARCHITECTURE, VERSION, host, packages};

const NAMES: [&str; 3] = ["plumb", "plumb-agent", "plumb-collector"];

/// What a command prints on both channels, and whether it went well.
fn said(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").env_remove("TMPDIR").output().expect(program);
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn deb(name: &str) -> String {
    packages().join(format!("{name}_{VERSION}_{}.deb", ARCHITECTURE[0])).display().to_string()
}

fn rpm(name: &str) -> String {
    packages().join(format!("{name}-{VERSION}-1.{}.rpm", ARCHITECTURE[1])).display().to_string()
}

fn sums() -> String {
    format!("SHA256SUMS-{VERSION}-{}", ARCHITECTURE[0])
}

#[test]
fn lintian_finds_no_error_and_rpm_finds_every_digest_right() {
    if !needs::has("what checks packages", &["lintian", "rpm", "rpmlint"], false) {
        return;
    }
    for name in NAMES {
        let (fine, told) = said("lintian", &["--allow-root", "--fail-on", "error,warning", &deb(name)]);
        assert!(fine, "{told}");
        let (fine, told) = said("rpm", &["-K", &rpm(name)]);
        assert!(fine && told.trim_end().ends_with("digests OK"), "{told}");
        // who signs is known where a release is made
        let told = said("rpmlint", &[&rpm(name)]).1;
        assert!(told.contains("1 packages and 0 specfiles checked"), "{told}");
        let errors: Vec<&str> =
            told.lines().filter(|line| line.contains(" E: ") && !line.contains(" E: no-signature")).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn programs_need_no_newer_c_library_than_2_17() {
    let programs = ["PLUMB_AGENT", "PLUMB_COLLECTOR", "PLUMB_CLI"].map(plumb_tests::lab::program);
    for program in programs {
        let (fine, told) = said("objdump", &["-T", &program.display().to_string()]);
        assert!(fine, "{told}");
        let versions = told.split("GLIBC_").skip(1).filter_map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let mut numbers = rest[..end].split('.').map(|number| number.parse::<u32>().unwrap_or(u32::MAX));
            Some((numbers.next()?, numbers.next()?))
        });
        let newest = versions.max().expect("versions of the C library");
        assert!(newest <= (2, 17), "{} needs {newest:?}", program.display());
    }
}

#[test]
fn a_package_brings_what_it_should_and_nothing_that_everybody_may_write_or_run_as_another() {
    for name in NAMES {
        let (fine, told) = said("dpkg-deb", &["--contents", &deb(name)]);
        assert!(fine, "{told}");
        for line in told.lines() {
            let mode = line.split(' ').next().unwrap_or_default();
            let owner = line.split(' ').nth(1).unwrap_or_default();
            let writable = mode.as_bytes().get(5) == Some(&b'w') || mode.as_bytes().get(8) == Some(&b'w');
            assert!(owner == "root/root" && !writable && !mode.contains(['s', 't']), "{line}");
        }
        let (fine, listed) = said(
            "rpm",
            &["-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\\n]", &rpm(name)],
        );
        assert!(fine && listed.contains(&format!("/usr/bin/{name}\n")), "{listed}");
        for line in listed.lines() {
            let mode = line.split(' ').next().unwrap_or_default();
            let writable = mode.as_bytes().get(5) == Some(&b'w') || mode.as_bytes().get(8) == Some(&b'w');
            assert!(line.contains(" root:root ") && !writable && !mode.contains(['s', 't']), "{line}");
        }
        let service = name != "plumb";
        let mut wanted = vec![
            format!("./usr/bin/{name}"),
            format!("./usr/share/bash-completion/completions/{name}"),
            format!("./usr/share/zsh/vendor-completions/_{name}"),
            format!("./usr/share/fish/vendor_completions.d/{name}.fish"),
            format!("./usr/share/doc/{name}/changelog.gz"),
            format!("./usr/share/doc/{name}/copyright"),
            format!("./usr/share/man/man{}/{name}.{0}.gz", if service { 8 } else { 1 }),
        ];
        if service {
            wanted.push(format!("./lib/systemd/system/{name}.service"));
            wanted.push(format!("./usr/lib/sysusers.d/{name}.conf"));
            wanted.push(format!("./usr/lib/tmpfiles.d/{name}.conf"));
            wanted.push(format!("./usr/share/man/man5/{name}.toml.5.gz"));
        }
        let missing: Vec<_> =
            wanted.iter().filter(|path| !told.lines().any(|line| line.ends_with(path.as_str()))).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
        let bill = std::fs::read(packages().join(format!("{name}_{VERSION}_{}.cdx.json", ARCHITECTURE[0])))
            .expect("a bill of materials");
        let bill: serde_json::Value = serde_json::from_slice(&bill).expect("JSON");
        assert_eq!(
            (&bill["bomFormat"], &bill["metadata"]["component"]["version"]),
            (&"CycloneDX".into(), &VERSION.into())
        );
        assert!(bill["components"].as_array().is_some_and(|all| all.len() > 20));
    }
    let sums = packages().join(sums());
    let folder = packages().display().to_string();
    let (fine, told) = said("sh", &["-c", &format!("cd {folder} && sha256sum --check --quiet {}", sums.display())]);
    assert!(fine, "{told}");
}

#[test]
fn packing_again_gives_the_same_bytes() {
    if !needs::has("packing", &["dh", "rpmbuild", "python3"], false) {
        return;
    }
    let out = std::env::temp_dir().join(format!("plumb-packed-{}", std::process::id()));
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/build");
    let out_text = out.display().to_string();
    // none of what another shell says about files, languages, times or compilers is in the packages
    let shell = format!(
        "umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 CFLAGS=-DOTHER RUSTFLAGS=-Cdebuginfo=2 {} --out {out_text} --version {VERSION}",
        build.display()
    );
    let (fine, told) = said("sh", &["-c", &shell]);
    assert!(fine, "{told}");
    let read = |folder: &Path| std::fs::read_to_string(folder.join(sums())).expect("sums");
    assert_eq!(read(&out), read(&packages()));
    let _ = std::fs::remove_dir_all(&out);
}

#[test]
fn the_rpm_installs_into_an_empty_root_and_is_whole_there() {
    if !needs::has("an rpm in a root of its own", &["rpm"], true) {
        return;
    }
    let root = std::env::temp_dir().join(format!("plumb-rpm-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("a folder");
    let at = root.display().to_string();
    let (fine, told) = said("rpm", &["--root", &at, "--initdb"]);
    assert!(fine, "{told}");
    for package in NAMES.map(rpm) {
        let (fine, told) = said("rpm", &["--root", &at, "-i", "--nodeps", "--noscripts", &package]);
        assert!(fine, "{package}: {told}");
    }
    let (fine, told) = said("rpm", &[&["--root", &at, "-V", "--nodeps"], &NAMES[..]].concat());
    assert!(fine && told.is_empty(), "{told}");
    let (fine, told) = said("rpm", &["--root", &at, "-q", "--configfiles", "plumb-agent", "plumb-collector"]);
    assert_eq!((fine, told.as_str()), (true, "/etc/plumb/agent.toml\n/etc/plumb/collector.toml\n"));
    for each in ["agent", "collector"] {
        assert!(root.join(format!("usr/lib/systemd/system/plumb-{each}.service")).exists());
        assert!(root.join(format!("usr/lib/systemd/system-preset/80-plumb-{each}.preset")).exists());
    }
    let (fine, told) = said("rpm", &[&["--root", &at, "-e", "--noscripts"], &NAMES[..]].concat());
    assert!(fine, "{told}");
    let left: Vec<_> = walk(&root.join("usr")).chain(walk(&root.join("etc"))).collect();
    assert!(left.is_empty(), "{left:?}");
    let _ = std::fs::remove_dir_all(&root);
}

#[test]
fn scripts_of_the_rpm_make_users_once_start_nothing_unasked_and_restart_on_an_upgrade() {
    if !needs::has("scripts of an rpm in a root of their own", &["debootstrap", "rpm", "chroot"], true) {
        return;
    }
    let host = host("rpm-scripts", "");
    in_root(
        &host.root,
        "for each in systemctl systemd-tmpfiles; do printf '#!/bin/sh\\necho %s \"$*\" >> /calls\\n' $each > /usr/local/bin/$each; \
         chmod 755 /usr/local/bin/$each; done",
    );
    for name in ["plumb-agent", "plumb-collector"] {
        // installed, upgraded (the new one's first), removed: rpm says how many there will be
        let life = [
            ("PREIN", 1),
            ("POSTIN", 1),
            ("PREIN", 2),
            ("POSTIN", 2),
            ("PREUN", 1),
            ("POSTUN", 1),
            ("PREUN", 0),
            ("POSTUN", 0),
        ];
        for (tag, count) in life {
            let script = said("rpm", &["-qp", "--qf", &format!("%{{{tag}}}"), &rpm(name)]).1;
            std::fs::write(host.root.join("script"), script).expect("a script");
            in_root(&host.root, &format!("sh -e /script {count}"));
        }
        let calls = std::fs::read_to_string(host.root.join("calls")).expect("calls");
        let expected = [
            format!("systemd-tmpfiles --create {name}.conf"),
            format!("systemctl --no-reload preset {name}.service"),
            format!("systemd-tmpfiles --create {name}.conf"),
            "systemctl daemon-reload".to_owned(),
            format!("systemctl try-restart {name}.service"),
            format!("systemctl --no-reload disable --now {name}.service"),
            "systemctl daemon-reload".to_owned(),
        ];
        assert_eq!(calls.lines().collect::<Vec<_>>(), expected, "{name}");
        std::fs::remove_file(host.root.join("calls")).expect("no calls");
        let users = std::fs::read_to_string(host.root.join("etc/passwd")).expect("users");
        let user = users.lines().filter(|line| line.starts_with(&format!("{name}:"))).collect::<Vec<_>>();
        assert!(user.len() == 1 && user[0].ends_with(&format!(":/var/lib/{name}:/sbin/nologin")), "{user:?}");
    }
}

/// Files below a folder that have to do with plumb.
fn walk(folder: &Path) -> impl Iterator<Item = String> {
    let told = said("find", &[&folder.display().to_string(), "-name", "*plumb*"]).1;
    told.lines().filter(|line| !line.starts_with("find:")).map(str::to_owned).collect::<Vec<_>>().into_iter()
}
