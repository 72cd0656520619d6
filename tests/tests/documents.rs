//! What is committed below `packaging` beside the programs is what they give today.
//! To renew it: `PLUMB_GENERATE=1 cargo test -p plumb-tests --test documents`.

use std::path::Path;
use std::process::Command;

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
