//! What was being looked at when the process died. A watcher during whose look three processes in a row have died is
//! left alone for a day, so that one poisoned file cannot keep the agent from seeing everything else.
//!
//! A file of its own, not the database: it is written twice a look and needs no durability, since it has to survive
//! the process and not the machine. A kill from outside counts too: who did it cannot be told.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Deaths in a row that make a watcher suspect.
const DEATHS: u32 = 3;
/// How long it is left alone, in the spool's age.
const REST: Duration = Duration::from_hours(24);
/// Bytes of the name of who looks; what is known of deaths follows.
const NAME: usize = 64;
/// Bytes of the file.
const SIZE: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub struct Breadcrumb {
    file: Option<File>,
    trouble: BTreeMap<String, Trouble>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    deaths: u32,
    until: Duration,
}

impl Breadcrumb {
    /// Reads what the process before has left, and counts its death. `age` is the spool's. Without a file (the disk is
    /// full) nothing is remembered, and nothing is hindered.
    #[must_use]
    pub fn open(folder: &Path, age: Duration) -> Self {
        let mut crumb = match Self::read(&folder.join("breadcrumb")) {
            Ok((file, text)) => parse(file, &text, age),
            Err(error) => {
                tracing::warn!("no breadcrumb, so a watcher that kills the agent is not found out: {error}");
                Self { file: None, trouble: BTreeMap::new() }
            }
        };
        crumb.leave();
        crumb.write_trouble();
        crumb
    }

    fn read(path: &Path) -> io::Result<(File, String)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut text = Vec::new();
        (&mut file).take(SIZE).read_to_end(&mut text)?;
        Ok((file, String::from_utf8_lossy(&text).into_owned()))
    }

    /// A watcher begins to look.
    pub fn enter(&mut self, watcher: &str) {
        self.write(&format!("{watcher:<NAME$.NAME$}"), 0);
    }

    /// It is back.
    pub fn leave(&mut self) {
        self.write(&" ".repeat(NAME), 0);
    }

    /// It has finished a look, so it is beyond suspicion.
    pub fn finished(&mut self, watcher: &str) {
        if self.trouble.remove(watcher).is_some() {
            self.write_trouble();
        }
    }

    /// Until when, in the spool's age, a watcher is left alone, if it is now.
    #[must_use]
    pub fn skipped(&self, watcher: &str, age: Duration) -> Option<Duration> {
        self.trouble.get(watcher).map(|trouble| trouble.until).filter(|until| *until > age)
    }

    fn write(&mut self, text: &str, at: u64) {
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(text.as_bytes(), at)
        {
            tracing::debug!("breadcrumb: {error}");
        }
    }

    fn write_trouble(&mut self) {
        let line =
            |(name, trouble): (&String, &Trouble)| format!("\n{name} {} {}", trouble.deaths, trouble.until.as_millis());
        let mut text: String = self.trouble.iter().map(line).collect();
        text.push('\n');
        let rest = usize::try_from(SIZE).unwrap_or(0) - NAME;
        text.truncate(rest);
        self.write(&format!("{text:<rest$}"), NAME as u64);
    }
}

fn parse(file: File, text: &str, age: Duration) -> Breadcrumb {
    let mut lines = text.lines();
    let died = lines.next().unwrap_or_default().trim().to_owned();
    let mut trouble = BTreeMap::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let (Some(name), Some(deaths), Some(until)) = (words.next(), words.next(), words.next()) else { continue };
        let (Ok(deaths), Ok(until)) = (deaths.parse(), until.parse()) else { continue };
        if !name.is_ascii() {
            continue;
        }
        trouble.insert(name.to_owned(), Trouble { deaths, until: Duration::from_millis(until) });
    }
    if !died.is_empty() && died.is_ascii() {
        let found: &mut Trouble = trouble.entry(died).or_default();
        found.deaths = found.deaths.saturating_add(1);
        if found.deaths >= DEATHS {
            found.until = age + REST;
        }
    }
    Breadcrumb { file: Some(file), trouble }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::Folder;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn after_three_deaths_in_a_row_a_watcher_is_left_alone_for_a_day() {
        let folder = Folder::new();
        for death in 0..3 {
            let mut crumb = Breadcrumb::open(folder.path(), HOUR);
            assert_eq!(crumb.skipped("php", HOUR), None, "{death} deaths so far");
            crumb.enter("disk");
            crumb.leave();
            crumb.enter("php"); // dies here
        }
        let crumb = Breadcrumb::open(folder.path(), HOUR);
        assert_eq!(crumb.skipped("php", HOUR), Some(25 * HOUR));
        assert_eq!(crumb.skipped("disk", HOUR), None);
        drop(crumb);
        let mut crumb = Breadcrumb::open(folder.path(), 26 * HOUR);
        assert_eq!(crumb.skipped("php", 26 * HOUR), None, "the day is over");
        crumb.enter("php"); // and dies again
        drop(crumb);
        assert_eq!(Breadcrumb::open(folder.path(), 26 * HOUR).skipped("php", 26 * HOUR), Some(50 * HOUR));
    }

    #[test]
    fn a_finished_look_clears_a_watcher() {
        let folder = Folder::new();
        for _ in 0..5 {
            let mut crumb = Breadcrumb::open(folder.path(), HOUR);
            crumb.enter("php");
            crumb.leave();
            crumb.finished("php");
            crumb.enter("php");
        }
        assert_eq!(Breadcrumb::open(folder.path(), HOUR).skipped("php", HOUR), None);
    }

    #[test]
    fn garbage_in_the_file_is_no_accusation() {
        let folder = Folder::new();
        std::fs::write(folder.path().join("breadcrumb"), [b" ".repeat(64), b"\nphp x\n\xff 9 9 9".to_vec()].concat())
            .unwrap();
        let crumb = Breadcrumb::open(folder.path(), HOUR);
        assert_eq!(crumb.skipped("php", HOUR), None);
    }
}
