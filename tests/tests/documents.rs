//! What is committed below `packaging` beside the programs is what they give today.
//! To renew it: `PLUMB_GENERATE=1 cargo test -p plumb-tests --test documents`. And the bill of materials that is written for
//! each program names what cargo links into it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_committed_man_pages_and_completions_are_what_the_programs_give() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let documents = plumb_tests::documents::all();
    if std::env::var_os("PLUMB_GENERATE").is_some() {
        for (path, text) in &documents {
            let path = packaging.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder in packaging");
            std::fs::write(path, text).expect("a document is written");
        }
    }
    let is_stale =
        |(path, text): &&(String, String)| std::fs::read_to_string(packaging.join(path)).ok().as_ref() != Some(text);
    let stale: Vec<&str> = documents.iter().filter(is_stale).map(|(path, _)| path.as_str()).collect();
    assert_eq!(stale, [""; 0], "stale: run with PLUMB_GENERATE=1");
    // nothing is left of a program that is gone
    let mut extra = Vec::new();
    for folder in ["man", "completions/bash", "completions/zsh", "completions/fish"] {
        for entry in std::fs::read_dir(packaging.join(folder)).expect("a folder in packaging") {
            let path = format!("{folder}/{}", entry.expect("an entry").file_name().display());
            if !documents.iter().any(|(known, _)| *known == path) {
                extra.push(path);
            }
        }
    }
    assert_eq!(extra, [""; 0], "made by nothing");
}

/// What bash offers for the last of these words.
fn offered(words: &[&str]) -> Vec<String> {
    let script = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        function=$(complete -p "$1" | sed 's/.* -F \([^ ]*\) .*/\1/')
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/completions/bash").join(words[0]);
    let bash = Command::new("bash").args(["-c", script, "bash"]).arg(file).args(words).output().expect("bash");
    assert!(bash.status.success() && bash.stderr.is_empty(), "{}", String::from_utf8_lossy(&bash.stderr));
    String::from_utf8(bash.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values_of_every_program() {
    assert_eq!(offered(&["plumb", "dr"]), ["drift"]);
    assert_eq!(offered(&["plumb", "drift", "--severity", ""]), ["info", "warning", "critical"]);
    assert_eq!(offered(&["plumb-agent", "en"]), ["enroll"]);
    assert_eq!(offered(&["plumb-agent", "enroll", "--token"]), ["--token-file"]);
    assert_eq!(offered(&["plumb-collector", "user", "create", "ann", "--role", ""]), ["viewer", "operator", "admin"]);
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What this command prints, told from the folder of the workspace.
fn printed(command: &mut Command) -> String {
    let out =
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).output().expect("a program that starts");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

fn bill(package: &str, program: &str) -> String {
    let mut script = Command::new("packaging/sbom");
    script.args(["--package", package, "--bin", program, "--target", TARGET]);
    printed(script.env("SOURCE_DATE_EPOCH", "1700000000"))
}

/// Every string of this name among the components.
fn each(bill: &Value, wanted: impl Fn(&Value) -> Option<String>) -> BTreeSet<String> {
    bill["components"].as_array().expect("components").iter().filter_map(wanted).collect()
}

#[test]
fn the_bill_of_materials_of_a_program_names_what_cargo_links_into_it_with_its_digest() {
    let lock: toml::Table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))
        .expect("Cargo.lock")
        .parse()
        .expect("TOML");
    let text = |value: &toml::Value, key: &str| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    for (package, program) in
        [("plumb-agent", "plumb-agent"), ("plumb-collector", "plumb-collector"), ("plumb-collector", "plumb")]
    {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--target", TARGET, "--package", package]);
        let tree = printed(tree.args(["--prefix", "none", "--format", "{p}"]));
        let mut linked: BTreeSet<(String, String)> = BTreeSet::new();
        for line in tree.lines() {
            let mut words = line.split(' ');
            let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
            linked.insert((name.to_owned(), version.trim_start_matches('v').to_owned()));
        }
        assert!(linked.len() > 50, "{tree}");
        let mut expected = BTreeSet::new();
        for entry in lock["package"].as_array().expect("packages") {
            let (name, version) = (text(entry, "name").expect("a name"), text(entry, "version").expect("a version"));
            if name != package && linked.remove(&(name.clone(), version.clone())) {
                expected.insert(format!("{name} {version} {}", text(entry, "checksum").unwrap_or_default()));
            }
        }
        assert_eq!(linked.len(), 1, "the program itself is left: {linked:?}");

        let bill: Value = serde_json::from_str(&bill(package, program)).expect("JSON");
        let crates = each(&bill, |component| {
            let digest = component["hashes"][0]["content"].as_str().unwrap_or_default();
            let is_crate = component["bom-ref"].as_str()?.starts_with("pkg:cargo/");
            is_crate.then(|| {
                format!("{} {} {digest}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
            })
        });
        assert_eq!(crates, expected, "{program}");
        assert_eq!(bill["metadata"]["component"]["name"], program);
        // what the C code says of itself when it runs
        let libraries = each(&bill, |component| {
            component["cpe"].as_str().map(|cpe| cpe.split(':').skip(4).take(2).collect::<Vec<_>>().join(" "))
        });
        let sqlite = format!("sqlite {}", rusqlite::version());
        assert_eq!(libraries, BTreeSet::from([sqlite, format!("zstandard {}", zstd::zstd_safe::version_string())]));
        // every crate has its licence and its place in the graph
        let unlicensed =
            each(&bill, |component| component["licenses"][0].is_null().then(|| component["name"].to_string()));
        assert_eq!(unlicensed, BTreeSet::new());
        let mut known = each(&bill, |component| component["bom-ref"].as_str().map(str::to_owned));
        known.insert(bill["metadata"]["component"]["bom-ref"].as_str().expect("a reference").to_owned());
        let graph = bill["dependencies"].as_array().expect("a graph");
        let placed: BTreeSet<String> = graph.iter().map(|entry| entry["ref"].as_str().unwrap().to_owned()).collect();
        assert_eq!(placed, known);
    }
}

#[test]
fn the_same_tree_gives_the_same_bill_of_materials() {
    let first = bill("plumb-agent", "plumb-agent");
    assert!(first.contains(r#""timestamp": "2023-11-14T22:13:20Z""#));
    assert!(first == bill("plumb-agent", "plumb-agent"));
}
