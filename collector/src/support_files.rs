//! Dates of support on disk: files of a folder that stand in for those that ship, so that they are renewed without a new
//! release. They are taken as a whole or not at all.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use crate::drift::support::{Dates, File, Files};

/// Bytes of one file: those that ship have some 150 KiB.
const LIMIT: u64 = 8 << 20;

/// The dates that are in force by what lies in a folder.
pub struct Found {
    /// By which support is judged.
    pub dates: Arc<Dates>,
    /// Why files of the folder are not used, though nothing is wrong with them.
    pub unused: Option<String>,
}

/// Reads the folder; one that is not there holds nothing, and what ships is in force.
///
/// # Errors
/// Every mistake, a line each: file, line, reason.
pub fn read(folder: &Path) -> Result<Found, Vec<String>> {
    let mut wrong = Vec::new();
    let mut file = |name: &str| {
        let path = folder.join(name);
        read_file(&path).unwrap_or_else(|error| {
            wrong.push(format!("{}: {error}", path.display()));
            None
        })
    };
    let (facts, extended, runtimes) = (file("facts.csv"), file("facts-extended.csv"), file("distro-runtimes.csv"));
    let as_of = ["SOURCE.md", "SOURCE"].into_iter().find_map(|name| as_of(&file(name)?.text));
    let both = match (facts, extended) {
        (Some(facts), Some(extended)) => Some((facts, extended)),
        (None, None) => None,
        (Some(there), None) | (None, Some(there)) => {
            wrong
                .push(format!("{}:1: facts.csv and facts-extended.csv hold the same rows: put both there", there.name));
            None
        }
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if both.is_none() && runtimes.is_none() {
        return Ok(Found { dates: Dates::shipped(), unused: None });
    }
    let dates = Dates::read(&Files { facts: both, runtimes: runtimes.clone(), as_of })?;
    // left over from before an upgrade, which brought newer ones
    if dates.as_of() < Dates::shipped().as_of() {
        let unused = format!(
            "{}: its dates, as of {}, are older than those that ship, as of {}: they are not used",
            folder.join("facts.csv").display(),
            dates.as_of(),
            Dates::shipped().as_of()
        );
        let dates = Dates::read(&Files { runtimes, ..Files::default() })?;
        return Ok(Found { dates: Arc::new(dates), unused: Some(unused) });
    }
    Ok(Found { dates: Arc::new(dates), unused: None })
}

/// The day in words such as `as of 2027-01-15`.
fn as_of(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let (_, rest) = lower.split_once("as of ")?;
    Some(rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect())
}

fn read_file(path: &Path) -> Result<Option<File>, String> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| error.to_string())?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LIMIT {
        return Err(format!("bigger than {LIMIT} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    Ok(Some(File { name: path.display().to_string(), text }))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const HEAD: &str = "product,cycle,release,active_support_end,security_support_end,latest,lts\n";
    const MORE: &str = "product,cycle,codename,extended_support_end,latest_release_date,discontinued,lts,extra\n";

    struct Folder(PathBuf);

    impl Folder {
        fn with(name: &str, files: &[(&str, String)]) -> Self {
            let path = std::env::temp_dir().join(format!("plumb-support-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            for (name, text) in files {
                fs::write(path.join(name), text).unwrap();
            }
            Self(path)
        }

        /// The day of the dates in force, how many products they have, and what is not used.
        fn told(&self) -> Result<String, Vec<String>> {
            let home = format!("{}/", self.0.display());
            let told = read(&self.0).map(|found| {
                let unused = found.unused.unwrap_or_default();
                format!("{} {} {unused}", found.dates.as_of(), if found.dates.is_shipped() { "shipped" } else { "own" })
            });
            told.map(|told| told.replace(&home, ""))
                .map_err(|wrong| wrong.iter().map(|each| each.replace(&home, "")).collect())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn facts(first: &str) -> [(&'static str, String); 2] {
        [
            ("facts.csv", format!("{first}{HEAD}php,9.0,2027-01-01,,2031-12-31,9.0.1,false\n")),
            ("facts-extended.csv", format!("{MORE}php,9.0,,,,,false,\n")),
        ]
    }

    #[test]
    fn without_files_what_ships_is_in_force() {
        assert!(read(Path::new("/nowhere/support.d")).is_ok_and(|found| found.dates.is_shipped()));
        assert_eq!(Folder::with("empty", &[]).told().as_deref(), Ok("2026-08-22 shipped "));
    }

    #[test]
    fn files_of_the_folder_stand_in_for_those_that_ship() {
        assert_eq!(Folder::with("own", &facts("# as of 2027-01-15\n")).told().as_deref(), Ok("2027-01-15 own "));
        let source =
            [facts("").as_slice(), &[("SOURCE.md", "# Dates\nAs of 2027-02-01, by us.\n".to_owned())]].concat();
        assert_eq!(Folder::with("source", &source).told().as_deref(), Ok("2027-02-01 own "));
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        let mut files = facts("# as of 2027-01-15\n");
        files[0].1.push_str("php,9.1,2027-01-01,,soon,9.1.0,false\n");
        assert_eq!(
            Folder::with("broken", &files).told(),
            Err(vec![
                "facts.csv:4: security_support_end is \"soon\", expected a day such as 2027-01-15, true, false or nothing"
                    .to_owned(),
                "facts.csv:4: php 9.1 is not in facts-extended.csv".to_owned(),
            ])
        );
        assert_eq!(
            Folder::with("half", &facts("# as of 2027-01-15\n")[..1]).told(),
            Err(vec!["facts.csv:1: facts.csv and facts-extended.csv hold the same rows: put both there".to_owned()])
        );
        assert_eq!(
            Folder::with("undated", &facts("")).told(),
            Err(vec![
                "facts.csv:1: it does not say of which day it is: begin it with a line `# as of 2027-01-15`".to_owned()
            ])
        );
    }

    #[test]
    fn dates_that_are_older_than_those_that_ship_are_left_aside() {
        assert_eq!(
            Folder::with("old", &facts("# as of 2026-01-15\n")).told().as_deref(),
            Ok(
                "2026-08-22 shipped facts.csv: its dates, as of 2026-01-15, are older than those that ship, as of 2026-08-22: \
                they are not used"
            )
        );
    }
}
