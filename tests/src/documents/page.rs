//! A man page as it grows: sections, paragraphs, terms with their texts, examples.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// A blank at which no line may end. Roff's own sign for it is put in its place at the end: what is text here is escaped.
pub(super) const FIXED: char = '\u{a0}';

pub(super) struct Page {
    roff: Roff,
}

impl Page {
    /// Page `name` of this section; `about` is its one line.
    pub(super) fn new(name: &str, section: &str, about: &str) -> Self {
        let mut roff = Roff::new();
        let version = concat!("plumb ", env!("CARGO_PKG_VERSION"));
        // no date: it would move with every build
        roff.control("TH", [dashes(&name.to_uppercase()).as_str(), section, "\"\"", version, "plumb"]);
        // a command or a path that is parted by a hyphen cannot be copied
        roff.control("nr", ["HY", "0"]).control("nh", []).control("ad", ["l"]);
        let mut page = Self { roff };
        page.section("NAME").line(vec![roman(format!("{name} - {about}"))]);
        page
    }

    pub(super) fn section(&mut self, heading: &str) -> &mut Self {
        self.roff.control("SH", [heading]);
        self
    }

    pub(super) fn part(&mut self, heading: &str) -> &mut Self {
        self.roff.control("SS", [dashes(heading).as_str()]);
        self
    }

    /// Goes on in the paragraph.
    pub(super) fn line(&mut self, inlines: Vec<Inline>) -> &mut Self {
        self.roff.text(inlines);
        self
    }

    /// Paragraphs, which an empty line parts.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for (number, paragraph) in text.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).enumerate() {
            if number > 0 {
                self.roff.control("PP", []);
            }
            let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
            self.line(marked(&lines.join(" ")));
        }
        self
    }

    pub(super) fn paragraph(&mut self) -> &mut Self {
        self.roff.control("PP", []);
        self
    }

    /// How a command is written; lines after the first start below what follows its name.
    pub(super) fn synopsis(&mut self, name: &str, words: Vec<Inline>) -> &mut Self {
        self.roff.control("SY", [dashes(name).as_str()]);
        self.line(words);
        self.roff.control("YS", []);
        self
    }

    pub(super) fn term(&mut self, term: Vec<Inline>, text: &str) -> &mut Self {
        self.roff.control("TP", []);
        self.line(term);
        let mut paragraphs = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
        if let Some(first) = paragraphs.next() {
            self.text(first);
        }
        for paragraph in paragraphs {
            self.term_goes_on(paragraph);
        }
        self
    }

    /// A further paragraph below a term.
    pub(super) fn term_goes_on(&mut self, text: &str) -> &mut Self {
        self.roff.control("IP", []);
        self.text(text)
    }

    /// Lines as they are.
    pub(super) fn example(&mut self, lines: &[&str]) -> &mut Self {
        self.roff.control("RS", ["4"]).control("EX", []);
        lines.iter().for_each(|line| self.verbatim(line));
        self.roff.control("EE", []).control("RE", []);
        self
    }

    /// Lines as they are, below a term.
    pub(super) fn example_of_term(&mut self, lines: &[&str]) -> &mut Self {
        self.roff.control("IP", []).control("EX", []);
        lines.iter().for_each(|line| self.verbatim(line));
        self.roff.control("EE", []);
        self
    }

    fn verbatim(&mut self, line: &str) {
        self.line(vec![roman(line)]);
    }

    /// The finished page.
    pub(super) fn finish(&self) -> String {
        self.roff.render().replace(FIXED, "\\~")
    }
}

/// Text in which `this` is what is typed.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(number, part)| if number % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// What is given to a macro is not escaped for us.
fn dashes(text: &str) -> String {
    text.replace('-', "\\-")
}

/// `name` as it is typed, and what stands for a value.
pub(super) fn option(name: &str, value: Option<&str>) -> Vec<Inline> {
    let mut inlines = vec![bold(name)];
    if let Some(value) = value {
        inlines.extend([roman(FIXED), italic(value)]);
    }
    inlines
}
