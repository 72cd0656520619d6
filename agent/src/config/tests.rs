use std::fs;

use super::*;
use crate::state::testing::Folder;
use crate::watchers;

/// Mistakes of these files, without the folder in front.
fn mistakes(files: &[(&str, &str)]) -> Vec<String> {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("agent.d")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    match Config::load(&folder.path().join("agent.toml"), false, watchers::ALL) {
        Ok(_) => Vec::new(),
        Err(mistakes) => {
            let prefix = format!("{}/", folder.path().display());
            mistakes.to_string().lines().map(|line| line.replace(&prefix, "")).collect()
        }
    }
}

fn load(files: &[(&str, &str)]) -> Config {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("agent.d")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Config::load(&folder.path().join("agent.toml"), false, watchers::ALL).unwrap()
}

#[test]
fn without_a_file_the_samples_hold() {
    let config = load(&[]);
    assert_eq!(config.state_dir, Path::new("/var/lib/plumb-agent"));
    assert_eq!((config.record_every, config.spool_bytes, config.cpu_share), (Duration::from_mins(1), 64 << 20, 0.1));
    assert_eq!(config.assigned().unwrap().len(), watchers::ALL.len());
}

#[test]
fn the_state_is_found_whatever_else_is_wrong() {
    let folder = Folder::new();
    let file = folder.path().join("agent.toml");
    let of = |text: &str| {
        fs::write(&file, text).unwrap();
        Config::state_dir(&file).unwrap()
    };
    for wrong in ["cpu_share = 9\n", "spool_byte = 1\n", "[disk]\nevery = \n", "= =\n"] {
        assert_eq!(of(&format!("state_dir = \"/srv/x\"\n{wrong}")), Path::new("/srv/x"), "{wrong}");
    }
    for wrong in ["", "state_dir = \"x\"\n", "state_dir = 7\n"] {
        assert_eq!(of(wrong), Path::new("/var/lib/plumb-agent"), "{wrong}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let missing = Config::load(Path::new("/nonexistent/agent.toml"), true, watchers::ALL);
    let text = missing.err().unwrap().to_string();
    assert_eq!(text, "/nonexistent/agent.toml: No such file or directory (os error 2)");
}

#[test]
fn later_files_replace_single_settings_of_earlier_ones() {
    let config = load(&[
        ("agent.toml", "cpu_share = 0.05\n[disk]\nevery = \"30s\"\nignore_under = [\"/x\"]\n"),
        ("agent.d/10.toml", "[disk]\nevery = \"60s\"\n[php]\nenabled = false\n"),
        ("agent.d/20.toml", "[disk]\nevery = \"90s\"\n"),
        ("agent.d/30.toml~", "nonsense"),
    ]);
    assert!((config.cpu_share - 0.05).abs() < f64::EPSILON);
    let assigned = config.assigned().unwrap();
    let others = watchers::ALL.iter().map(|spec| spec.name).filter(|name| *name != "php");
    assert!(assigned.iter().map(|each| each.spec.name).eq(others));
    let disk = assigned.iter().find(|each| each.spec.name == "disk");
    assert_eq!(disk.map(|each| each.every), Some(Duration::from_secs(90)));
}

#[test]
fn every_mistake_is_told_at_once_with_file_line_and_nearest_key() {
    let text = "\nrecrod_every = \"10s\"\nspool_bytes = 5\ncpu_share = \"much\"\n[dsik]\na = 1\nb = 2\n\n[disk]\nevery = \"soon\"\nignore_type = []\n";
    assert_eq!(
        mistakes(&[("agent.toml", text), ("agent.d/a.toml", "[php]\nfolders = [1]\nenabled = 1\n")]),
        [
            "agent.d/a.toml:2: invalid type: integer `1`, expected a string",
            "agent.d/a.toml:3: enabled is of type integer, where boolean is expected",
            "agent.toml:2: unknown key recrod_every; the nearest known is record_every",
            "agent.toml:3: spool_bytes is not between 8388608 and 4294967296",
            "agent.toml:4: cpu_share is of type string, where float is expected",
            "agent.toml:6: unknown section [dsik]; the nearest known is [disk]",
            "agent.toml:10: \"soon\" is no span of time such as \"10s\", \"5m\" or \"1h\"",
            "agent.toml:11: unknown key ignore_type; the nearest known is ignore_types",
        ]
    );
}

#[test]
fn bounds_are_named() {
    let text = "record_every = \"2h\"\nstate_dir = \"here\"\ncpu_share = 1\n[disk]\nevery = \"0s\"\n";
    assert_eq!(
        mistakes(&[("agent.toml", text)]),
        [
            "agent.toml:1: record_every is not between \"1s\" and \"1h\"",
            "agent.toml:2: state_dir is not an absolute path",
            "agent.toml:3: cpu_share is not between 0.01 and 0.2",
            "agent.toml:5: every is not between \"1s\" and \"1d\"",
        ]
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let told = mistakes(&[("agent.toml", "state_dir = \"/x\"\nspool_bytes == 3\n")]);
    assert!(told[0].starts_with("agent.toml:2: "), "{told:?}");
    assert_eq!(mistakes(&[("agent.toml", "disk = 3\n")]), ["agent.toml:1: disk is a section: write [disk]"]);
    let double = mistakes(&[("agent.toml", "cpu_share = 0.1\ncpu_share = 0.1\n")]);
    assert!(double[0].starts_with("agent.toml:2: duplicate key"), "{double:?}");
}

#[test]
fn an_empty_section_is_fine_if_it_is_known() {
    assert_eq!(mistakes(&[("agent.toml", "[disk]\n")]), Vec::<String>::new());
    assert_eq!(mistakes(&[("agent.toml", "[dist]\n")]), ["agent.toml:1: unknown key dist; the nearest known is disk"]);
}

/// Run it with `PLUMB_UPDATE=1` after a sample was changed.
#[test]
fn the_shipped_file_is_all_samples_joined_and_without_mistakes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/agent.toml");
    let ought = shipped(watchers::ALL);
    if std::env::var_os("PLUMB_UPDATE").is_some() {
        fs::write(&path, &ought).unwrap();
    }
    let is = fs::read_to_string(path).unwrap_or_default();
    assert!(is == ought, "packaging/agent.toml is not all samples joined: run this test with PLUMB_UPDATE=1");
    assert_eq!(mistakes(&[("agent.toml", &ought)]), Vec::<String>::new());
}

#[test]
fn what_has_changed_since_another_configuration_begins_anew_and_the_rest_goes_on() {
    let before = load(&[("agent.toml", "[disk]\nevery = \"30s\"\n[php]\nenabled = false\n[redis]\nevery = \"1m\"\n")]);
    let text = "state_dir = \"/elsewhere\"\ncpu_share = 0.2\n[disk]\nevery = \"31s\"\n[mysql]\nenabled = false\n[redis]\nevery = \"60s\"\n";
    let changes = load(&[("agent.toml", text)]).since(&before).unwrap();
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for change in &changes.watchers {
        match change {
            Change::Keep(name) => kept.push(*name),
            Change::Take(assigned) => taken.push(assigned.spec.name),
        }
    }
    assert_eq!(taken, ["disk", "php"]);
    assert!(kept.contains(&"redis") && kept.contains(&"system") && !kept.contains(&"mysql"), "{kept:?}");
    assert_eq!(changes.later.as_deref(), Some("state_dir = \"/elsewhere\" holds after a restart"));
    assert!(before.since(&before).unwrap().later.is_none());
}
