use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::testing::{NOW, Scene, names};
use super::*;
use crate::stores;

#[test]
fn a_backup_is_one_private_file_that_is_a_database_and_holds_the_authority() {
    let scene = Scene::new();
    std::fs::create_dir(scene.folder.file("out")).unwrap();
    let file = scene.path("out/plumb.db");
    scene.run(&["backup", &file]).unwrap();
    assert_eq!(names(&scene.folder.file("out")), ["plumb.db"]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let conn = Connection::open(&file).unwrap();
    let mut select = conn.prepare("SELECT name FROM plumb_backup_files").unwrap();
    let held: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(held, ["hosts.key", "hosts.pem", "root.key", "root.pem", "users.key", "users.pem"]);
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete", "one file, wherever it is carried");
    assert_eq!(names(&scene.folder.file("out")), ["plumb.db"]);
}

#[test]
fn a_backup_is_noted_in_the_store_and_in_itself() {
    let scene = Scene::new();
    assert_eq!(scene.questions().last_done(ACTION).unwrap(), None);
    scene.run(&["backup", &scene.path("plumb.db")]).unwrap();
    assert_eq!(scene.questions().last_done(ACTION).unwrap(), Some(NOW));
    let mut copy = stores::open(&scene.path("plumb.db")).unwrap().questions().unwrap();
    assert_eq!(copy.last_done(ACTION).unwrap(), Some(NOW));
    assert_eq!((scene.links(), copy.verify().unwrap()), (2, (2, vec![])));
}

struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_comes_to_its_end_while_another_process_keeps_writing() {
    let mut scene = Scene::new();
    let filler = Connection::open(scene.db()).unwrap();
    filler.execute_batch("CREATE TABLE filler (b BLOB)").unwrap();
    for _ in 0..32 {
        filler.execute("INSERT INTO filler VALUES (zeroblob(1 << 20))", []).unwrap();
    }
    let (stop, db, begun) = (AtomicBool::new(false), scene.db(), Instant::now());
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let conn = Connection::open(&db).unwrap();
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                written += conn.execute("INSERT INTO filler VALUES (x'00')", []).unwrap();
                std::thread::sleep(Duration::from_millis(1)); // others write too
            }
            written
        });
        let stops = Stops(&stop); // also when what follows fails
        for number in 0..3 {
            scene.send();
            scene.run(&["backup", &scene.path(&format!("{number}.db"))]).unwrap();
        }
        drop(stops);
        writer.join().unwrap()
    });
    // a second or two; a copy that begins anew at each write takes more than a minute
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(written > 3, "the writer was held up: {written}");
    let mut last = stores::open(&scene.path("2.db")).unwrap().questions().unwrap();
    assert_eq!(last.verify().unwrap(), (4 + 3, vec![]), "four records, three backups");
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_asked_for() {
    let scene = Scene::new();
    let file = scene.path("plumb.db");
    std::fs::write(&file, "precious").unwrap();
    let told = scene.run(&["backup", &file]).unwrap_err();
    assert_eq!(told, format!("{file} is there already: give another name, or --replace"));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    scene.run(&["backup", "--replace", &file]).unwrap();
    stores::open(&file).unwrap();
    let folder = scene.run(&["backup", &scene.path("")]).unwrap_err();
    assert!(folder.ends_with("is a folder: name a file in it"), "{folder}");
    let none = scene.run(&["backup", &scene.path("none/plumb.db")]).unwrap_err();
    assert!(none.starts_with("the folder ") && none.ends_with("No such file or directory (os error 2)"), "{none}");
    assert!(scene.run(&["backup", "-"]).unwrap_err().starts_with("a backup goes to a file"));
}

#[test]
fn neither_the_state_nor_what_is_no_plain_file_is_ever_replaced() {
    let scene = Scene::new();
    std::os::unix::fs::symlink(scene.state(), scene.path("way")).unwrap();
    for name in ["state/collector.db", "way/ca/root.key", "state/new.db"] {
        let told = scene.run(&["backup", "--replace", &scene.path(name)]).unwrap_err();
        assert!(told.ends_with("is in the state folder, which it is a backup of: name a file elsewhere"), "{told}");
    }
    std::os::unix::fs::symlink(scene.db(), scene.path("link")).unwrap();
    let told = scene.run(&["backup", "--replace", &scene.path("link")]).unwrap_err();
    assert_eq!(told, format!("{} is no plain file: --replace replaces nothing else", scene.path("link")));
    assert_eq!((scene.links(), scene.names()), (1, ["ca", "collector.db"].map(String::from).to_vec()));
}

#[test]
fn what_an_interrupted_backup_left_is_cleared_and_one_that_is_being_made_is_not() {
    let scene = Scene::new();
    let (file, part) = (scene.path("plumb.db"), scene.path("plumb.db.part"));
    std::fs::write(&part, "half").unwrap();
    let other = File::open(&part).unwrap();
    other.try_lock().unwrap();
    let told = scene.run(&["backup", &file]).unwrap_err();
    assert_eq!(told, format!("another backup to {file} is being made"));
    drop(other);
    scene.run(&["backup", &file]).unwrap();
    assert!(!Path::new(&part).exists());
}

#[test]
fn no_backup_is_made_of_a_damaged_store_and_the_one_before_stays() {
    let scene = Scene::new();
    let file = scene.path("plumb.db");
    scene.run(&["backup", &file]).unwrap();
    let conn = Connection::open(scene.db()).unwrap();
    let page: u32 =
        conn.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'facts'", [], |row| row.get(0)).unwrap();
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(conn);
    let mut bytes = std::fs::read(scene.db()).unwrap();
    let at = usize::try_from(page - 1).unwrap() * 4096;
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(scene.db(), bytes).unwrap();
    let before = std::fs::read(&file).unwrap();
    let told = scene.run(&["backup", "--replace", &file]).unwrap_err();
    assert!(told.starts_with("no backup was made of ") && told.contains(": it is damaged: "), "{told}");
    assert!(std::fs::read(&file).unwrap() == before && !Path::new(&scene.path("plumb.db.part")).exists());
}

#[test]
fn a_full_disk_is_named() {
    let full = |error| format!("{:#}", super::full(error, Path::new("/mnt/plumb.db")));
    let told = "the disk of /mnt is full: nothing was left there, nothing else was changed: ";
    let sqlite = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    assert!(full(anyhow::Error::new(sqlite).context("copy")).starts_with(told));
    assert!(full(std::io::Error::from(ErrorKind::StorageFull).into()).starts_with(told));
    assert!(!full(std::io::Error::from(ErrorKind::PermissionDenied).into()).starts_with(told));
}
