//! The man page of a program: all its commands on one page, so that `/` finds everything.

use clap::{Arg, ArgAction, Command};
use clap_mangen::roff::{Inline, bold, italic, roman};

use super::page::{FIXED, Page, option};

/// A program, and what its definition does not say.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) section: &'static str,
    pub(super) command: fn() -> Command,
    /// Beside what the program says of itself.
    pub(super) description: &'static str,
    /// Sections that list something: heading, then terms and texts.
    pub(super) lists: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    pub(super) see_also: &'static str,
}

impl Program {
    /// File name and text.
    pub(super) fn page(&self) -> (String, String) {
        let command = whole((self.command)());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let about = about.split(". ").next().unwrap_or_default();
        let mut page = Page::new(self.name, self.section, &lower(about));
        let global: Vec<&Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
        let mut words: Vec<Inline> = global.iter().flat_map(|arg| word(arg)).collect();
        words.extend([italic("COMMAND"), roman(" ["), italic("ARGUMENTS"), roman("]")]);
        page.section("SYNOPSIS").synopsis(self.name, words);
        page.section("DESCRIPTION").text(self.description);
        page.section("COMMANDS");
        leaves(&command, self.name, &mut page);
        page.section("OPTIONS OF EVERY COMMAND");
        options(global.into_iter(), &mut page);
        page.term(option("-h", None).into_iter().chain([roman(", "), bold("--help")]).collect(), "Print help.");
        page.term(
            option("-V", None).into_iter().chain([roman(", "), bold("--version")]).collect(),
            "Print the version; without a command.",
        );
        page.section("EXAMPLES");
        examples(&command, &mut page, false);
        for (heading, terms) in self.lists {
            page.section(heading);
            for (term, text) in *terms {
                page.term(vec![bold(*term)], text);
            }
        }
        page.section("SEE ALSO").text(self.see_also);
        (format!("{}.{}", self.name, self.section), page.finish())
    }
}

/// With what clap adds to a definition by itself, but for the command `help`, which has no page to itself.
fn whole(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

/// Every command that can be given, and those below it.
fn leaves(command: &Command, path: &str, page: &mut Page) {
    for each in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        let path = format!("{path} {}", each.get_name());
        let own: Vec<&Arg> = each.get_arguments().filter(|arg| is_own(arg)).collect();
        // what only gathers commands is no command
        if !each.is_subcommand_required_set() {
            page.part(&path);
            if !own.is_empty() {
                page.synopsis(&path, own.iter().flat_map(|arg| word(arg)).collect()).paragraph();
            }
            let about = each.get_long_about().or_else(|| each.get_about());
            page.text(&sentence(&about.map(ToString::to_string).unwrap_or_default()));
            options(own.into_iter(), page);
            page.paragraph();
            examples(each, page, true);
        }
        leaves(each, &path, page);
    }
}

fn is_own(arg: &Arg) -> bool {
    !arg.is_hide_set() && !arg.is_global_set() && !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version)
}

/// An argument in the synopsis, with the blank behind it.
fn word(arg: &Arg) -> Vec<Inline> {
    let (left, right) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
    let repeated = matches!(arg.get_action(), ArgAction::Append) || takes_many(arg);
    let mut inlines = vec![roman(left)];
    inlines.extend(named(arg));
    inlines.push(roman(format!("{right}{} ", if repeated { "..." } else { "" })));
    inlines
}

fn takes_many(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// An argument by its name and what stands for its value.
fn named(arg: &Arg) -> Vec<Inline> {
    let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
    let value = value.unwrap_or_else(|| arg.get_id().to_string().to_uppercase());
    let takes_value = arg.get_action().takes_values();
    match arg.get_long() {
        Some(long) => option(&format!("--{long}"), takes_value.then_some(value.as_str())),
        None => vec![italic(value)],
    }
}

fn options<'a>(args: impl Iterator<Item = &'a Arg>, page: &mut Page) {
    for arg in args.filter(|arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version)) {
        let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
        // what clap cannot know of a default stands in the help
        let (help, default) = match help.split_once(" [default: ") {
            Some((help, default)) => (help.to_owned(), Some(default.trim_end_matches(']').to_owned())),
            None => (help, None),
        };
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let takes_value = arg.get_action().takes_values();
        let default = default.or_else(|| (takes_value && !defaults.is_empty()).then(|| defaults.join(" ")));
        let mut text = sentence(&help);
        let values = arg.get_possible_values();
        let values: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        if takes_value && values.iter().any(|value| !help.contains(value)) {
            text += &format!(" One of {}.", values.join(", "));
        }
        if let Some(default) = default {
            text += &format!(
                " Default: {}.",
                default.replace(' ', &FIXED.to_string()).replace(&format!("{FIXED}or{FIXED}"), " or ")
            );
        }
        page.term(named(arg), &text);
    }
}

/// The indented lines of a help text. What else stands there belongs to the command, not to its examples.
fn examples(command: &Command, page: &mut Page, with_text: bool) {
    let Some(help) = command.get_after_help().map(ToString::to_string) else { return };
    let lines: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    page.example(&lines);
    let others = help.lines().filter(|line| !line.starts_with("  ") && *line != "Examples:");
    let others = others.collect::<Vec<_>>().join("\n");
    if with_text && !others.trim().is_empty() {
        page.paragraph().text(&others);
    }
}

/// Clap takes the full stop away.
fn sentence(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
    let ended = paragraphs.map(|text| match text.ends_with(['.', '?']) {
        true => text.to_owned(),
        false => format!("{}.", text.trim_end_matches(':')),
    });
    ended.collect::<Vec<_>>().join("\n\n")
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
