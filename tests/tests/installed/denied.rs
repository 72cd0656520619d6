//! What the service of the package may not do, tried in its place: an agent with a watcher that was taken over runs as the
//! unit runs the agent. Started by hand as root, without the unit and its own locks, the same tries succeed.

use std::time::Duration;

use plumb_tests::container::{Container, in_root};
use plumb_tests::eventually::eventually;
use plumb_tests::needs;

use crate::{PROGRAMS, VERSION, debs, host};

const LIMIT: Duration = Duration::from_secs(30);
/// The planted program takes the place of the agent's, and nothing else of the unit is changed.
const UNIT: &str = r"
mkdir -p /etc/systemd/system/plumb-agent.service.d
cat > /etc/systemd/system/plumb-agent.service.d/planted.conf <<'CONF'
[Service]
ExecStart=
ExecStart=/usr/local/bin/planted run --config /etc/plumb/planted.toml
ExecPaths=/usr/local/bin/planted
CONF
systemctl daemon-reload
";

fn configure(host: &Container, folder: &str, attempt: &str, target: &str) {
    host.sh(&format!(
        "printf 'state_dir = \"{folder}\"\\n[planted]\\nattempt = \"{attempt}\"\\nanswer = \"{folder}/answer\"\\n\
         target = \"{target}\"\\n' > /etc/plumb/planted.toml; rm -f {folder}/answer {target}.made"
    ));
}

/// What the kernel answers to an attempt by root, by hand.
fn by_hand(host: &Container, attempt: &str, target: &str) -> String {
    host.sh("mkdir -p /root/free");
    configure(host, "/root/free", attempt, target);
    // a program that took its place may have ended as it liked
    let _ = host.try_sh("/usr/local/bin/planted check --config /etc/plumb/planted.toml");
    let answer = host.sh("cat /root/free/answer");
    if host.try_sh(&format!("rm {target}.made")).0 { "it ran".to_owned() } else { answer }
}

/// What it answers to an attempt by the service.
fn as_service(host: &Container, attempt: &str, target: &str) -> String {
    configure(host, "/var/lib/plumb-agent", attempt, target);
    // it may not live long enough to say that it is ready
    let _ = host.try_sh("systemctl restart plumb-agent");
    let answer = || host.try_sh("cat /var/lib/plumb-agent/answer 2>/dev/null").1;
    let decided = |answer: &String| !answer.is_empty() && (answer != "tries" || attempt == "exec");
    let answer = eventually(attempt, LIMIT, answer, decided);
    assert!(!host.try_sh(&format!("test -e {target}.made")).0, "{attempt}: something ran");
    answer
}

#[test]
fn what_the_service_may_not_do_is_refused_to_it() {
    if !needs::has("an installed host", &PROGRAMS, true) {
        return;
    }
    let mut host = host("denied", "");
    std::fs::copy(env!("CARGO_BIN_EXE_plumb-agent-planted"), host.root.join("usr/local/bin/planted")).expect("a copy");
    in_root(&host.root, "useradd -u 1500 customer");
    host.boot(&crate::packages());
    host.sh(&format!("dpkg -i {}", debs(&["plumb-agent"], VERSION)));
    host.sh(UNIT);
    host.sh("systemd-run -q --uid=customer --setenv=THEIR_SECRET=1 sleep 100000");
    let theirs = host.sh("pgrep -u customer -x sleep").trim().to_owned();

    assert_eq!(by_hand(&host, "exec", "/tmp/target"), "it ran");
    assert_eq!(as_service(&host, "exec", "/tmp/target"), "tries", "as far as the attempt, and no further");
    let killed = || host.sh("journalctl --no-pager -u plumb-agent");
    eventually("its end", LIMIT, killed, |log| log.contains("status=31/SYS"));

    let refused = [
        ("spawn", "/tmp/target"),
        ("write", "/tmp/outside"),
        ("write", "/var/lib/outside"),
        ("write", "/etc/plumb/agent.toml"),
        ("write", "/home/outside"),
        ("listen", "/nowhere"),
        ("ptrace", "/nowhere"),
        ("mount", "/mnt"),
        ("read", &format!("/proc/{theirs}/environ")),
    ];
    for (attempt, target) in refused {
        let (free, locked) = (by_hand(&host, attempt, target), as_service(&host, attempt, target));
        let denied = ["EPERM", "EACCES", "EROFS"].iter().any(|word| locked.starts_with(word));
        assert!((free == "done" || free == "it ran") && denied, "{attempt} {target}: {free}, then {locked}");
    }
    // what the kernel of a container says to root is what the container may do: outside of one, whoever may load modules
    // is told that this is none
    let locked = as_service(&host, "module", "/nowhere");
    assert!(locked.starts_with("EPERM"), "{locked}");
    assert!(!module_outside().starts_with("EPERM"), "{}", module_outside());

    for (attempt, target) in [("thread", "/nowhere"), ("write", "/var/lib/plumb-agent/inside"), ("read", "/etc/shadow")]
    {
        assert_eq!(as_service(&host, attempt, target), "done", "{attempt} {target}: what the agent needs");
    }
    host.stop();
}

/// What the kernel says to root of this machine who loads a module that is none.
fn module_outside() -> String {
    match nix::kmod::init_module(b"none", c"") {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    }
}
