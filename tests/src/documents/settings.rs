//! The man page of a configuration file, from its commented sample: there every setting stands at its default, below what
//! it is for. The form of the samples:
//!
//! - a comment ends at the next line that is none; right above a section or a setting it is about that one;
//! - `#name = ...` and `#[[section]]`, without a blank, are settings and sections that are not set;
//! - in a comment, `name = ...` on a line of its own is an example.

use clap_mangen::roff::bold;

use super::page::Page;

/// A configuration file.
pub(super) struct Settings {
    /// Of the page.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) description: &'static str,
    pub(super) sample: &'static str,
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) see_also: &'static str,
}

/// A default that is longer stands on lines of its own.
const ROOM: usize = 76;

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Comment above `[name]` or `[[name]]`, and that line.
    Section { comment: Vec<String>, header: String },
    /// Comment above a setting, and its lines.
    Setting { comment: Vec<String>, lines: Vec<String>, is_set: bool },
    /// A comment of its own.
    Comment(Vec<String>),
}

impl Settings {
    /// File name and text.
    pub(super) fn page(&self) -> (String, String) {
        let mut page = Page::new(self.name, "5", self.about);
        page.section("DESCRIPTION").text(self.description);
        page.section("SETTINGS");
        // sections that may come more than once are examples as a whole
        let mut repeated = false;
        for part in parts(self.sample) {
            if let Part::Section { header, .. } = &part {
                repeated = header.starts_with("[[");
            }
            show(&part, repeated, &mut page);
        }
        page.section("FILES");
        for (path, text) in self.files {
            page.term(vec![bold(*path)], text);
        }
        page.section("SEE ALSO").text(self.see_also);
        (format!("{}.5", self.name), page.finish())
    }
}

fn show(part: &Part, repeated: bool, page: &mut Page) {
    match part {
        Part::Section { comment, header } => {
            page.part(header);
            commented(comment, page);
        }
        Part::Comment(comment) => {
            page.paragraph();
            commented(comment, page);
        }
        Part::Setting { comment, lines, is_set } => {
            let (mut text, examples) = split(comment);
            if !is_set && !repeated {
                text += "\nNot set: what is shown is an example.";
            }
            match lines.as_slice() {
                [line] if line.len() <= ROOM => {
                    page.term(vec![bold(line.as_str())], &text);
                }
                [first, ..] => {
                    let name = first.split(" = ").next().unwrap_or(first);
                    page.term(vec![bold(name)], &text);
                    page.example_of_term(&lines.iter().map(String::as_str).collect::<Vec<_>>());
                }
                [] => {}
            }
            if !examples.is_empty() {
                page.term_goes_on("For example:").example_of_term(&examples);
            }
        }
    }
}

fn commented(comment: &[String], page: &mut Page) {
    let (text, examples) = split(comment);
    page.text(&text);
    if !examples.is_empty() {
        page.paragraph().example(&examples);
    }
}

/// Text, and lines that are examples.
fn split(comment: &[String]) -> (String, Vec<&str>) {
    let (examples, text): (Vec<&str>, Vec<&str>) =
        comment.iter().map(String::as_str).partition(|line| is_setting(line));
    (text.join("\n"), examples)
}

fn is_setting(line: &str) -> bool {
    let name = line.split(" = ").next().unwrap_or_default();
    name.len() < line.len() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The sample without its first paragraph, which says what a reader of the file needs to know.
fn parts(sample: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut comment: Vec<String> = Vec::new();
    let body = sample.split_once("\n\n").map_or(sample, |(_, body)| body);
    let mut lines = body.lines();
    while let Some(line) = lines.next() {
        let bare = line.strip_prefix('#').filter(|rest| rest.starts_with('[') || is_setting(rest)).unwrap_or(line);
        if let Some(text) = line.strip_prefix("# ") {
            comment.push(text.to_owned());
        } else if bare.starts_with('[') {
            parts.push(Part::Section { comment: std::mem::take(&mut comment), header: bare.to_owned() });
        } else if is_setting(bare) {
            let mut whole = vec![bare.to_owned()];
            if bare.ends_with('[') {
                whole.extend(lines.by_ref().take_while(|line| *line != "]").map(str::to_owned));
                whole.push("]".to_owned());
            }
            let is_set = bare == line;
            parts.push(Part::Setting { comment: std::mem::take(&mut comment), lines: whole, is_set });
        } else if !comment.is_empty() {
            parts.push(Part::Comment(std::mem::take(&mut comment)));
        }
    }
    if !comment.is_empty() {
        parts.push(Part::Comment(comment));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_comment_belongs_to_what_stands_right_below_it() {
        let sample = "# What it is.\n\n# Where it\n# lies.\nfolder = \"/srv\"\n\n# About all.\n\n# Who is told.\n#[[receiver]]\n\
                      #name = \"ops\"\n# Many.\nlist = [\n    1, 2,\n]\n# Nothing to set.\n";
        assert_eq!(
            parts(sample),
            [
                Part::Setting {
                    comment: owned(&["Where it", "lies."]),
                    lines: owned(&["folder = \"/srv\""]),
                    is_set: true
                },
                Part::Comment(owned(&["About all."])),
                Part::Section { comment: owned(&["Who is told."]), header: "[[receiver]]".to_owned() },
                Part::Setting { comment: vec![], lines: owned(&["name = \"ops\""]), is_set: false },
                Part::Setting {
                    comment: owned(&["Many."]),
                    lines: owned(&["list = [", "    1, 2,", "]"]),
                    is_set: true
                },
                Part::Comment(owned(&["Nothing to set."])),
            ]
        );
    }

    #[test]
    fn a_setting_in_a_comment_is_an_example() {
        let comment = owned(&["How often.", "every = \"1d\"", "Learnt = guessed."]);
        assert_eq!(split(&comment), ("How often.\nLearnt = guessed.".to_owned(), vec!["every = \"1d\""]));
    }
}
