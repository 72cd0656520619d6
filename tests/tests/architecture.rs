//! Who may import whom, and what only one module may do: checked against the source, each with its reason.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Below `part`, no line outside tests may name any of `never`, unless it names one of `but`.
struct Rule {
    part: &'static [&'static str],
    never: &'static [&'static str],
    but: &'static [&'static str],
    why: &'static str,
}

/// What several watchers share beside their contract.
const SHARED: [&str; 8] = [
    "agent/src/apps",
    "agent/src/databases",
    "agent/src/failures",
    "agent/src/fpm",
    "agent/src/provenance",
    "agent/src/tables",
    "agent/src/web",
    "agent/src/x509",
];

/// What goes past the one door to the host.
const DOOR: [&str; 5] = ["std::fs", "File::open", " nix::", "(nix::", "libc::"];

const NETWORK: [&str; 4] = ["tokio::", "tonic::", "rustls::", "std::net"];

const RULES: &[Rule] = &[
    Rule {
        part: &["proto/src"],
        never: &["plumb_agent", "plumb_collector"],
        but: &[],
        why: "proto knows nothing of what is done with it",
    },
    Rule {
        part: &["sandbox/src"],
        never: &["plumb_agent", "plumb_collector", "plumb_proto"],
        but: &[],
        why: "the locks know nothing of what runs behind them",
    },
    Rule {
        part: &["agent/src"],
        never: &["plumb_collector"],
        but: &[],
        why: "agent and collector share proto and the locks only",
    },
    Rule {
        part: &["collector/src"],
        never: &["plumb_agent"],
        but: &[],
        why: "agent and collector share proto and the locks only",
    },
    Rule {
        part: &["agent/src/watchers"],
        never: &["crate::state", "crate::deliver", "crate::config", "crate::observe", "crate::link", "crate::cli"],
        but: &[],
        why: "a watcher looks and tells; what becomes of it is not its business",
    },
    Rule {
        part: &["agent/src/watchers", "agent/src/observe"],
        never: &NETWORK,
        but: &[],
        why: "observe has no network",
    },
    Rule {
        part: &SHARED,
        never: &[
            "crate::state",
            "crate::deliver",
            "crate::config",
            "crate::observe",
            "crate::link",
            "crate::cli",
            "crate::watchers",
        ],
        but: &[],
        why: "what watchers share knows no watcher, and nothing that a watcher must not know",
    },
    Rule { part: &SHARED, never: &NETWORK, but: &[], why: "observe has no network" },
    Rule { part: &["agent/src/watchers"], never: &DOOR, but: &[], why: "the host has one door" },
    Rule { part: &SHARED, never: &DOOR, but: &[], why: "the host has one door" },
    Rule {
        part: &["agent/src/observe"],
        never: &["crate::deliver", "crate::watchers"],
        but: &[],
        why: "observe does not know which watchers exist, nor who reads its records",
    },
    Rule {
        part: &["agent/src/deliver"],
        never: &["crate::host", "crate::watcher", "crate::observe", "crate::state"],
        but: &["crate::state::frames"],
        why: "deliver has no file rights beyond its identity",
    },
    Rule {
        part: &[
            "collector/src/view",
            "collector/src/drift",
            "collector/src/alert",
            "collector/src/change_set",
            "collector/src/history",
            "collector/src/ingest/stream",
        ],
        never: &["crate::store", "crate::stores", "tokio::", "tonic::", "rusqlite", "std::net", "SystemClock"],
        but: &["crate::store::rows"],
        why: "judging is pure: no store, clock or network",
    },
    Rule {
        part: &["agent/src/kept", "collector/src/stores/dense"],
        never: &["crate::", "rusqlite", "tokio::", "tonic::", "std::net", "std::fs", "SystemClock"],
        but: &[],
        why: "a container and a coder know nothing of what is done with them",
    },
    Rule {
        part: &["collector/src/pipeline"],
        never: &["crate::stores", "crate::drift::detectors", "rusqlite", "tokio::", "tonic::"],
        but: &["crate::drift::detectors::silent"],
        why: "the pipeline knows contracts only, and silence, which it alone can time",
    },
    Rule {
        part: &["collector/src/stores", "collector/src/notify/receivers"],
        never: &["tonic::", "crate::query", "crate::ingest"],
        but: &[],
        why: "an engine or a receiver knows its contract only",
    },
    Rule {
        part: &["collector/src/cli"],
        never: &["crate::store", "crate::stores", "crate::pipeline", "rusqlite"],
        but: &[],
        why: "a command works from any machine",
    },
    Rule {
        part: &["agent/src"],
        never: &["Command::new", "libc::exec", "posix_spawn", "libc::fork"],
        but: &[],
        why: "the agent runs no program",
    },
];

/// `text` may stand in `only` alone.
const ONLY: &[(&str, &str, &[&str], &str)] = &[
    ("agent/src", "unsafe ", &["agent/src/host/sys.rs"], "system calls are made in one reviewed module"),
    ("collector/src", "unsafe ", &[], "the collector needs no unsafe code"),
    ("sandbox/src", "unsafe ", &[], "the locks need no unsafe code"),
    (
        "agent/src",
        "rustls::",
        &["agent/src/deliver", "agent/src/host/tls"],
        "TLS is spoken to the collector by deliver, and to listeners of this machine by the host's door",
    ),
    ("agent/src", "SystemTime::now", &[], "time is an argument"),
    ("collector/src", "SystemTime::now", &[], "time is an argument"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder, or a module's file with the folder beside it.
fn sources(part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let file = root().join(format!("{part}.rs"));
    if file.is_file() {
        found.push(file);
    }
    let mut folders = vec![root().join(part)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.ends_with("generated") || path.ends_with("tests") || path.ends_with("tests.rs") {
                continue; // tests enter by whatever door there is
            } else if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Code lines before the tests of a file, with their numbers.
fn lines(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).expect("a source file");
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let code = code.enumerate().map(|(number, line)| (number + 1, line.to_owned()));
    code.filter(|(_, line)| !line.trim_start().starts_with("//")).collect()
}

fn named(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn nobody_imports_what_they_must_not_know() {
    let mut found = String::new();
    for rule in RULES {
        for path in rule.part.iter().flat_map(|part| sources(part)) {
            for (number, line) in lines(&path) {
                let named_here = |text: &&&str| line.contains(**text);
                if rule.never.iter().any(|text| line.contains(text)) && !rule.but.iter().any(|text| named_here(&text)) {
                    let _ = writeln!(found, "{}:{number}: {}  ({})", named(&path), line.trim(), rule.why);
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn watchers_do_not_know_each_other() {
    let mut found = String::new();
    for path in sources("agent/src/watchers") {
        let below = named(&path);
        let own = below.trim_start_matches("agent/src/watchers/").split(['/', '.']).next().unwrap_or_default();
        for (number, line) in lines(&path) {
            let other = line.split("crate::watchers::").nth(1).is_some_and(|rest| !rest.starts_with(own));
            if other && below != "agent/src/watchers.rs" {
                let _ = writeln!(found, "{below}:{number}: {}", line.trim());
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn what_one_module_may_do_no_other_does() {
    let mut found = String::new();
    for (part, text, only, why) in ONLY {
        for path in sources(part) {
            let name = named(&path);
            for (number, line) in lines(&path) {
                if line.contains(text) && !only.contains(&name.as_str()) && !only.iter().any(|o| name.starts_with(o)) {
                    let _ = writeln!(found, "{name}:{number}: {}  ({why})", line.trim());
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn the_rules_speak_of_parts_that_exist() {
    for rule in RULES {
        for part in rule.part {
            assert!(!sources(part).is_empty(), "{part} is gone: its rule checks nothing");
        }
    }
}
