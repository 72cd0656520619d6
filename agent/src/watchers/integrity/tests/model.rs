//! Any operations, with the agent killed in between: the index always equals the tree, and each change is told once.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::watchers::integrity::entry::Row;
use crate::watchers::integrity::tree::folder_path;

#[derive(Clone, Debug)]
enum Step {
    /// Writes a file.
    Write(u8, u8),
    /// Removes a file or folder.
    Remove(u8),
    /// Moves a file or folder.
    Move(u8, u8),
    /// A whole look.
    Look,
    /// One slice of a look.
    Slice,
    /// The agent dies, and what it did since the last commit is lost.
    Kill,
    /// The agent dies after a commit.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..24_u8, 0..4_u8).prop_map(|(path, content)| Step::Write(path, content)),
        2 => (0..24_u8).prop_map(Step::Remove),
        1 => (0..24_u8, 0..24_u8).prop_map(|(from, to)| Step::Move(from, to)),
        3 => Just(Step::Look),
        2 => Just(Step::Slice),
        1 => Just(Step::Kill),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// A few paths, some of which lie in others.
fn path(number: u8) -> String {
    let parts = ["a", "a-b", "b", "c.php"];
    let part = |shift: u8| parts[usize::from(number >> shift & 3)];
    match number / 8 {
        0 => format!("/var/www/s/{}", part(0)),
        1 => format!("/var/www/s/{}/{}", part(0), part(1)),
        _ => format!("/var/www/s/{}/{}/f", part(0), part(2)),
    }
}

/// Files with their content.
fn files(at: &Path, named: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
        let name = format!("{named}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), &name, found),
            false => drop(found.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
}

/// What a reader of the events believes to be there: path -> how often it was told since.
#[derive(Clone, Default)]
struct Reader {
    there: BTreeMap<String, Vec<u8>>,
}

impl Reader {
    /// Follows the events; each must make sense after those before it.
    fn hear(&mut self, told: &str) {
        for line in told.lines().filter_map(|line| line.strip_prefix("event ")) {
            let (kind, rest) = line.split_once(" info ").unwrap();
            let path = rest.rsplit_once(" x").unwrap().0.split(": ").next().unwrap().to_owned();
            match kind {
                "file_added" => assert!(self.there.insert(path.clone(), Vec::new()).is_none(), "{path} told twice"),
                "file_removed" => assert!(self.there.remove(&path).is_some(), "{path} was not there"),
                "file_changed" => assert!(self.there.contains_key(&path), "{path} was not there"),
                other => panic!("{other}"),
            }
        }
    }
}

fn index(stage: &Stage) -> BTreeMap<String, [u8; 16]> {
    let mut found = BTreeMap::new();
    for (key, value) in stage.kept().iter().filter(|(key, _)| key.starts_with(b"d")) {
        for entry in value.map(|row| Row::decode(row).unwrap().entries).unwrap_or_default() {
            if entry.kind == b'f' {
                let path = folder_path(key).join(String::from_utf8(entry.name).unwrap());
                found.insert(path.to_str().unwrap().to_owned(), entry.digest);
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_index_equals_the_tree_and_each_change_is_told_once(steps in steps()) {
        let stage = stage(&SPEC).settings("sweep_hours = 0\n").file("/var/www/s/first.txt", "0");
        stage.look();
        let root = stage.host().full_path("/var/www/s".as_ref());
        let mut reader = Reader::default();
        files(&root, "/var/www/s", &mut reader.there);
        let mut committed = (stage.kept(), reader.clone());
        for step in steps {
            let at = |number: u8| stage.host().full_path(path(number).as_ref());
            match step {
                Step::Write(number, content) => {
                    if at(number).parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok()) {
                        let _ = fs::write(at(number), [content; 3]);
                    }
                }
                Step::Remove(number) => {
                    let _ = fs::remove_file(at(number)).or_else(|_| fs::remove_dir_all(at(number)));
                }
                Step::Move(from, to) => drop(fs::rename(at(from), at(to))),
                Step::Look => {
                    stage.clock().advance(Duration::from_mins(20));
                    reader.hear(&stage.look());
                    committed = (stage.kept(), reader.clone());
                }
                Step::Slice => {
                    stage.clock().advance(Duration::from_secs(1));
                    reader.hear(&stage.slice().1);
                }
                Step::Kill => {
                    stage.restart();
                    stage.set_kept(committed.0.clone());
                    reader = committed.1.clone();
                }
                Step::Restart => {
                    stage.restart();
                    committed = (stage.kept(), reader.clone());
                }
            }
        }
        for _ in 0..2 {
            stage.clock().advance(Duration::from_hours(8));
            reader.hear(&stage.look());
        }
        let mut there = BTreeMap::new();
        files(&root, "/var/www/s", &mut there);
        prop_assert_eq!(reader.there.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
        let index = index(&stage);
        prop_assert_eq!(index.len(), there.len());
        for (path, content) in &there {
            prop_assert_eq!(index[path], crate::watchers::integrity::reading::digest(content), "{}", path);
        }
        // A scan from nothing comes to the same sums.
        let sums = |text: String| {
            let row = text.lines().find(|line| line.starts_with("fact tree")).map(str::to_owned);
            row.map(|row| row.split(" mode=").next().map(str::to_owned))
        };
        stage.clock().advance(Duration::from_hours(8));
        let grown = sums(stage.look());
        stage.restart();
        stage.set_kept(crate::kept::Kept::default());
        prop_assert_eq!(grown, sums(stage.look()));
    }
}
