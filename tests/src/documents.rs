//! What `packaging` ships beside the programs: man pages and completions, made from the definitions of the command lines and
//! from the commented samples of the configuration. They are committed, since whoever makes packages should not need to run
//! programs for it, and a test holds them. The programs do not carry what makes them.

mod page;
mod program;
mod settings;
mod texts;

use clap_complete::{Shell, generate};

use program::Program;
use settings::Settings;

/// Every document: its path below `packaging`, and its text.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let pages = texts::PROGRAMS.iter().map(Program::page).chain(texts::SETTINGS.iter().map(Settings::page));
    let pages = pages.map(|(name, page)| (format!("man/{name}"), page));
    pages.chain(texts::PROGRAMS.iter().flat_map(completions)).collect()
}

/// Under the names by which each shell looks them up.
fn completions(program: &Program) -> Vec<(String, String)> {
    let name = program.name;
    let shells = [
        (Shell::Bash, format!("bash/{name}")),
        (Shell::Zsh, format!("zsh/_{name}")),
        (Shell::Fish, format!("fish/{name}.fish")),
    ];
    let complete = |(shell, path)| {
        let mut text = Vec::new();
        generate(shell, &mut (program.command)(), name, &mut text);
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if shell == Shell::Bash {
            text = with_hyphens(&text, name);
        }
        // some generators leave blanks at the ends of lines
        let lines: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        (format!("completions/{path}"), lines)
    };
    shells.into_iter().map(complete).collect()
}

/// For bash, clap_complete calls a command of a program with a hyphen in its name by one name where it finds it, and by
/// another where it completes it, and so completes nothing: https://github.com/clap-rs/clap/issues/6421. Where that is mended
/// this changes nothing.
fn with_hyphens(text: &str, name: &str) -> String {
    text.replace(
        &format!("{}__subcmd__", name.replace('-', "__subcmd__")),
        &format!("{}__subcmd__", name.replace('-', "__")),
    )
}
