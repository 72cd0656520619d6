//! The file: whose it is, what is said when it is bad, how it is opened; and what is kept in memory of it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::types::Value;

use super::super::Sqlite;
use super::super::testing::Folder;
use super::{Bench, number};
use crate::store::Store;
use crate::store::rows::HostRow;
use crate::stores::contract::bench::{Sender, commit, fact, full, host_row};

#[test]
fn another_writer_makes_the_cached_views_load_anew() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &full(1, vec![]));
    let mut command = Sqlite::open(&bench.folder.file("db")).unwrap();
    let renamed = HostRow { name: "other".to_owned(), ..host_row(1, "web1") };
    command.commit(&mut |tx| tx.save_host(&renamed)).unwrap();
    assert_eq!(bench.view(&web).host.name, "other");
}

#[test]
fn a_full_cache_drops_the_host_that_was_not_used_for_longest() {
    let folder = Folder::empty();
    let mut bench = Bench { store: Sqlite::open_with(&folder.file("db"), 40_000).unwrap(), folder };
    let mut hosts: Vec<Sender> = (1..=3).map(|digit| bench.enrol(digit)).collect();
    for look in 1..=3 {
        for host in &mut hosts {
            bench.send(host, &full(look, vec![fact("fpm/8.2", &format!("8.2.{look}"))]));
        }
        assert!(bench.store.cache.peek(&hosts[0].host).is_none());
        assert!(bench.store.cache.peek(&hosts[1].host).is_some());
    }
    let mut reader = bench.store.questions().unwrap();
    for host in &hosts {
        assert_eq!(bench.view(host), reader.view(&host.host).unwrap());
    }
}

#[test]
fn a_host_of_many_rows_takes_the_room_of_many_hosts() {
    let folder = Folder::empty();
    let mut bench = Bench { store: Sqlite::open_with(&folder.file("db"), 100_000).unwrap(), folder };
    let mut hosts: Vec<Sender> = (1..=4).map(|digit| bench.enrol(digit)).collect();
    let mut cached = |bench: &mut Bench, number: usize, rows: usize| {
        let rows = (0..rows).map(|row| fact(&format!("fpm/{row}"), "8.2")).collect();
        let look = hosts[number].next;
        bench.send(&mut hosts[number], &full(look, rows));
        bench.view(&hosts[number]);
        hosts.iter().filter(|host| bench.store.cache.peek(&host.host).is_some()).count()
    };
    assert_eq!([0, 1, 2].map(|number| cached(&mut bench, number, 1)), [1, 2, 3]);
    assert_eq!(cached(&mut bench, 3, 40), 1);
    assert_eq!(cached(&mut bench, 3, 1), 1);
    assert_eq!(cached(&mut bench, 0, 1), 2);
}

#[test]
fn the_file_is_its_owners_alone_and_so_are_its_companions() {
    let mut bench = Bench::new();
    bench.enrol(1);
    for name in ["db", "db-wal", "db-shm"] {
        let mode = std::fs::metadata(bench.folder.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_damaged_file_is_named_and_left_as_it_is() {
    let folder = Folder::empty();
    let path = folder.file("db");
    std::fs::write(&path, [7; 8192]).unwrap();
    let error = Sqlite::open(&path).err().unwrap().to_string();
    let told = "is damaged or no database: it was left as it is; restore a backup: `plumb-collector restore FILE`";
    assert_eq!(error, format!("{} {told}", path.display()));
    assert_eq!(std::fs::read(&path).unwrap(), [7; 8192]);
}

#[test]
fn a_page_that_went_bad_is_an_error_and_never_an_answer() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    let facts = (0..2000).map(|i| fact(&format!("fpm/{i}"), "8.2.29")).collect();
    bench.send(&mut web, &full(1, facts));
    let path = bench.folder.file("db");
    let root = number(&bench.by_hand(), "SELECT rootpage FROM sqlite_schema WHERE name = 'facts'");
    drop(bench.store);
    overwrite(&path, usize::try_from(root - 1).unwrap() * 4096, &[0xa5; 4096]);
    let mut store = Sqlite::open(&path).unwrap();
    let error = store.commit(&mut |tx| tx.view(&web.host).map(drop)).unwrap_err();
    assert!(format!("{error:#}").ends_with("database disk image is malformed"), "{error:#}");
    let mut reader = store.questions().unwrap();
    assert!(reader.view(&web.host).is_err());
    assert_eq!(reader.hosts().unwrap().len(), 1);
    let record = web.seal(&full(2, vec![]));
    store.commit(&mut |tx| web.take(tx, &record).map(drop)).unwrap_err();
    let head = commit(&mut store, |tx| tx.head(&web.host, &web.epoch)).unwrap();
    assert_eq!(head.unwrap().next_seq, 2);
}

fn overwrite(path: &Path, at: usize, with: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::empty();
    let path = folder.file("none/db");
    let error = Sqlite::open(&path).err().unwrap();
    let told = format!("open {}: No such file or directory (os error 2)", path.display());
    assert_eq!(format!("{error:#}"), told);
}

#[test]
fn every_connection_is_set_up_for_hostile_files_and_full_durability() {
    let bench = Bench::new();
    let set = |name: &str| bench.store.conn.pragma_query_value(None, name, |row| row.get::<_, Value>(0)).unwrap();
    let number = |number: i64| Value::Integer(number);
    assert_eq!(set("journal_mode"), Value::Text("wal".to_owned()));
    assert_eq!((set("synchronous"), set("mmap_size")), (number(2), number(0)));
    assert_eq!((set("trusted_schema"), set("cell_size_check")), (number(0), number(1)));
    assert_eq!((set("foreign_keys"), set("busy_timeout")), (number(1), number(5000)));
    bench.store.conn.execute_batch("PRAGMA writable_schema = ON").unwrap();
    bench.store.conn.execute("UPDATE sqlite_schema SET sql = ''", []).unwrap_err();
}

#[test]
fn the_bundled_engine_is_at_or_above_the_floor() {
    assert!(rusqlite::version_number() >= 3_051_003, "SQLite before 3.51.3 may damage a WAL that is reset");
}

#[test]
fn a_full_disk_takes_nothing_and_once_there_is_room_the_same_record_is_taken() {
    let mut bench = Bench::new();
    let mut web = bench.enrol(1);
    bench.send(&mut web, &full(1, vec![]));
    let before = bench.view(&web);
    let facts = (0..2000).map(|i| fact(&format!("fpm/{i}"), "8.2.29")).collect();
    let record = web.seal(&full(2, facts));
    let room = |bench: &Bench, pages: i64| bench.store.conn.pragma_update(None, "max_page_count", pages).unwrap();
    room(&bench, number(&bench.store.conn, "PRAGMA page_count") + 4);
    let error = bench.store.commit(&mut |tx| web.take(tx, &record).map(drop)).unwrap_err();
    assert!(format!("{error:#}").contains("database or disk is full"), "{error:#}");
    assert_eq!(bench.view(&web), before);
    assert_eq!(bench.store.questions().unwrap().view(&web.host).unwrap(), before);
    room(&bench, 100_000);
    bench.store.commit(&mut |tx| web.take(tx, &record).map(drop)).unwrap();
    assert_eq!((bench.view(&web).tables["php"].rows.len(), bench.verify()), (2000, (2, String::new())));
}

#[test]
fn a_touch_changes_nothing_and_is_written_all_the_same() {
    let mut bench = Bench::new();
    let web = bench.enrol(1);
    let path = bench.folder.file("db-wal");
    let size = || std::fs::metadata(&path).unwrap().len();
    let (before, view) = (size(), bench.view(&web));
    bench.store.commit(&mut |_| Ok(())).unwrap();
    assert_eq!(size(), before, "an empty transaction writes nothing, so it says nothing of the disk");
    bench.store.commit(&mut |tx| tx.touch()).unwrap();
    assert!(size() > before);
    assert_eq!(bench.view(&web), view);
}
