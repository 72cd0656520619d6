use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use plumb_proto::time::{ManualClock, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::host::Host;

/// A folder with one file in it, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(content: &[u8]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("plumb-journal-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder.write(content);
        folder
    }

    fn write(&self, content: &[u8]) {
        use std::io::{Seek, Write};
        let open = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.0.join("j"));
        let mut file = open.unwrap();
        file.rewind().unwrap();
        file.write_all(content).unwrap();
        file.set_len(u64::try_from(content.len()).unwrap()).unwrap();
    }

    fn open(&self) -> Result<Journal, JournalError> {
        let host = Host::new(&self.0, Arc::new(ManualClock::at(Timestamp::from_secs(0))));
        Journal::open(host.open("/j").unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Files made by systemd-journal-remote 252 from a known export.
fn fixture(name: &str) -> Vec<u8> {
    static READ: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    READ.lock().unwrap().entry(name.to_owned()).or_insert_with(|| unpack(name)).clone()
}

fn unpack(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/journal/{name}.journal.zst", env!("CARGO_MANIFEST_DIR"));
    zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap()
}

fn all(journal: &mut Journal) -> Vec<Result<Entry, JournalError>> {
    let (mut found, mut entry) = (Vec::new(), Entry::default());
    loop {
        match journal.step(&mut entry, |_, _| true) {
            Ok(Step::Entry) => found.push(Ok(entry.clone())),
            Ok(Step::Unreadable(error)) => found.push(Err(error)),
            Ok(Step::End) => return found,
            Err(error) => {
                found.push(Err(error));
                return found;
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn both_layouts_read_alike() {
    for name in ["regular", "compact"] {
        let mut journal = Folder::new(&fixture(name)).open().unwrap();
        assert_eq!((journal.header().compact, journal.header().entries), (name == "compact", 10));
        let entries: Vec<Entry> = all(&mut journal).into_iter().map(Result::unwrap).collect();
        let short: Vec<String> = entries
            .iter()
            .map(|e| {
                let end = e.message.len().min(20);
                let priority = e.priority.unwrap();
                format!("{} {priority} {} {} {}", e.seqnum, text(&e.identifier), text(&e.unit), text(&e.message[..end]))
            })
            .collect();
        assert_eq!(
            short,
            [
                "1 6 systemd init.scope Started php8.2-fpm.s",
                "2 3 kernel  Out of memory: Kille",
                "3 4 php-fpm8.2 php8.2-fpm.service [pool shop] server r",
                "4 3 mariadbd mariadb.service 2026-11-21 10:01:02 ",
                "5 3 bob session-3.scope No space left on dev",
                "6 6 sshd ssh.service Failed password for ",
                "7 4 app app.service first line\nPHP Fatal",
                "8 6 app app.service \0\u{1}\u{fffd}binary\0",
                "9 6 big big.service xxxxxxxxxxxxxxxxxxxx",
                "10 3 cut cut.service No space left on dev",
            ]
        );
        assert_eq!(entries.iter().map(|entry| entry.kernel).filter(|kernel| *kernel).count(), 1);
        assert_eq!(entries[0].realtime, 1_795_254_000_000_000);
        // Compressed with zstd, and longer than what is kept.
        assert_eq!((entries[8].message.len(), entries[9].message.len()), (FIELD - "MESSAGE=".len(), 3_024));
        assert!(entries.iter().all(|entry| entry.unreadable == 0));
    }
}

#[test]
fn many_arrays_are_followed_and_any_entry_is_gone_to_by_its_number() {
    let mut journal = Folder::new(&fixture("many")).open().unwrap();
    let entries: Vec<Entry> = all(&mut journal).into_iter().map(Result::unwrap).collect();
    let messages: Vec<String> = entries.iter().map(|entry| text(&entry.message)).collect();
    assert_eq!(messages, (0..300).map(|number| format!("line {number:06}")).collect::<Vec<_>>());
    for number in [0, 299, 3, 150] {
        journal.go_to(number);
        let mut entry = Entry::default();
        assert_eq!(journal.step(&mut entry, |_, _| true), Ok(Step::Entry));
        assert_eq!((entry.seqnum, journal.place()), (number + 1, number + 1));
    }
}

/// The same file as it was when it had fewer entries: the number of entries is written last.
fn younger(file: &[u8], entries: u64) -> Vec<u8> {
    let mut file = file.to_vec();
    file[152..160].copy_from_slice(&entries.to_le_bytes());
    file
}

#[test]
fn a_file_that_grows_is_read_on() {
    let whole = fixture("many");
    let folder = Folder::new(&younger(&whole, 3));
    let mut journal = folder.open().unwrap();
    let mut seen = all(&mut journal).len();
    assert_eq!(seen, 3);
    for entries in [3, 4, 77, 300] {
        folder.write(&younger(&whole, entries));
        assert_eq!(journal.refresh().unwrap().entries, entries);
        seen += all(&mut journal).len();
        assert_eq!(u64::try_from(seen).unwrap(), entries);
    }
}

#[test]
fn what_is_no_journal_or_a_newer_one_says_so() {
    assert_eq!(Folder::new(b"").open().err(), Some(JournalError::NotAJournal));
    assert_eq!(Folder::new(&[0; 4096]).open().err(), Some(JournalError::NotAJournal));
    let mut newer = fixture("compact");
    newer[13] = 1;
    assert!(matches!(Folder::new(&newer).open(), Err(JournalError::Unsupported(_))));
    let short = &fixture("compact")[..100];
    assert!(matches!(Folder::new(short).open(), Err(JournalError::Damaged(_))));
}

#[test]
fn a_file_that_is_truncated_while_it_is_read_kills_nobody() {
    let whole = fixture("many");
    let folder = Folder::new(&whole);
    let mut journal = folder.open().unwrap();
    folder.write(&whole[..4_096]);
    assert!(journal.refresh().is_ok());
    assert!(all(&mut journal).iter().all(Result::is_err));
    folder.write(b"");
    assert_eq!(journal.refresh().err(), Some(JournalError::NotAJournal));
}

#[test]
fn an_array_that_leads_back_to_itself_has_an_end() {
    let mut whole = fixture("many");
    let first = usize::try_from(Folder::new(&whole).open().unwrap().header().first_array).unwrap();
    for target in [u64::try_from(first).unwrap(), 0, 8, u64::MAX, u64::MAX - 7] {
        whole[first + 16..first + 24].copy_from_slice(&target.to_le_bytes());
        let found = all(&mut Folder::new(&whole).open().unwrap());
        assert!(found.len() < 300 && found.last().unwrap().is_err(), "{target}");
    }
}

#[test]
fn a_field_that_is_compressed_in_another_way_is_counted_and_the_others_are_read() {
    let mut whole = fixture("compact");
    // Objects begin at multiples of eight: type 1 (data), flag 4 (zstd).
    let packed: Vec<usize> =
        (272..whole.len() - 16).step_by(8).filter(|at| whole[*at..at + 8] == [1, 4, 0, 0, 0, 0, 0, 0]).collect();
    assert!(!packed.is_empty());
    packed.iter().for_each(|at| whole[at + 1] = 2);
    let entries: Vec<Entry> = all(&mut Folder::new(&whole).open().unwrap()).into_iter().map(Result::unwrap).collect();
    let unreadable: Vec<u64> = entries.iter().filter(|entry| entry.unreadable == 1).map(|entry| entry.seqnum).collect();
    assert_eq!(unreadable, [9, 10]);
    assert_eq!(text(&entries[8].unit), "big.service");
}

/// A file and the places worth damaging: nearly all of it is hash tables and holes, so the header and what is not zero.
fn aim(compact: bool) -> (Vec<u8>, &'static [usize]) {
    static USED: [OnceLock<Vec<usize>>; 2] = [OnceLock::new(), OnceLock::new()];
    let file = fixture(if compact { "compact" } else { "regular" });
    let used = USED[usize::from(compact)]
        .get_or_init(|| (0..file.len()).filter(|at| *at < 272 || file[*at] != 0).collect::<Vec<usize>>());
    (file, used)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn flipped_bytes_never_panic_and_never_hang(
        compact: bool,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (mut file, used) = aim(compact);
        for (at, byte) in flips {
            file[*at.get(used)] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let folder = Folder::new(&file);
        if let Ok(mut journal) = folder.open() {
            let found = all(&mut journal);
            prop_assert!(u64::try_from(found.len()).unwrap() <= journal.header().entries + 1);
        }
    }
}
