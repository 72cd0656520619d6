use std::path::Path;

use rusqlite::Connection;

use super::super::testing::{NOW, Scene};
use crate::enroll::ca::Authority;
use crate::serve::{authority_dir, lock_if_free, open_store};
use crate::stores::migrate::{self, copy_path};

const BEFORE: &str = "before-restore-2026-11-21T100102Z";

fn pin(folder: &Path) -> plumb_proto::record::Hash {
    Authority::open(folder, NOW).unwrap().0.pin().unwrap()
}

/// A scene whose backup is `plumb.db`, and one record more that is not in it.
fn saved() -> (Scene, String) {
    let mut scene = Scene::new();
    let file = scene.path("plumb.db");
    scene.run(&["backup", &file]).unwrap();
    scene.send();
    (scene, file)
}

/// Restoring `file` is refused, and the state is as it was.
fn refused(scene: &Scene, file: &str) -> String {
    let (links, names) = (scene.links(), scene.names());
    let told = scene.run(&["restore", file]).unwrap_err();
    assert_eq!((scene.links(), scene.names()), (links, names), "{told}");
    told
}

#[test]
fn the_state_is_what_the_backup_had_and_the_one_before_is_kept() {
    let (scene, file) = saved();
    let authority = authority_dir(scene.state());
    let before = pin(&authority);
    std::fs::remove_dir_all(&authority).unwrap();
    assert_ne!(pin(&authority), before); // as a new start made it
    scene.run(&["restore", &file]).unwrap();
    assert_eq!((scene.links(), pin(&authority)), (3, before), "the record, the backup, the restore");
    assert_eq!(scene.questions().last_done("restore").unwrap(), Some(NOW));
    assert_eq!(scene.names(), [BEFORE, "ca", "collector.db"]);
    let aside = scene.state().join(BEFORE);
    assert_eq!(open_store(&aside).unwrap().questions().unwrap().verify().unwrap(), (3, vec![]), "both records");
    assert_ne!(pin(&aside.join("ca")), before);
}

#[test]
fn nothing_of_the_keys_stays_in_the_database() {
    let (scene, file) = saved();
    scene.run(&["restore", &file]).unwrap();
    let holds = |path: &Path| std::fs::read(path).unwrap().windows(11).any(|window| window == b"PRIVATE KEY");
    assert!(holds(Path::new(&file)) && !holds(&scene.db()));
}

#[test]
fn a_lost_state_folder_is_made_anew() {
    let (scene, file) = saved();
    std::fs::remove_dir_all(scene.state()).unwrap();
    scene.run(&["restore", &file]).unwrap();
    assert_eq!((scene.links(), scene.names()), (3, ["ca", "collector.db"].map(String::from).to_vec()));
}

#[test]
fn while_a_collector_runs_it_is_refused() {
    let (scene, file) = saved();
    let lock = lock_if_free(scene.state()).unwrap().unwrap();
    let told = refused(&scene, &file);
    assert!(told.starts_with("a collector runs on ") && told.contains("systemctl stop plumb-collector"), "{told}");
    drop(lock);
    scene.run(&["restore", &file]).unwrap();
}

#[test]
fn after_an_interruption_only_what_finishes_it_works_on_the_state() {
    let (scene, file) = saved();
    std::fs::create_dir_all(scene.state().join("restore.ready/aside")).unwrap();
    let told = "a restore was interrupted: start the collector, or run restore again, to finish it";
    for command in [&["check"][..], &["token", "create"], &["backup", &scene.path("new.db")]] {
        assert_eq!(scene.run(command).unwrap_err(), told);
    }
    scene.run(&["restore", &file]).unwrap();
    scene.run(&["check"]).unwrap();
}

#[test]
fn what_is_no_backup_is_told_apart() {
    let (scene, file) = saved();
    scene.run(&["restore", &scene.path("none")]).unwrap_err();
    std::fs::write(scene.path("text"), "no database at all ".repeat(1000)).unwrap();
    let told = scene.run(&["restore", &scene.path("text")]).unwrap_err();
    assert_eq!(told, format!("{} cannot be read as a backup: file is not a database", scene.path("text")));
    std::fs::copy(scene.db(), scene.path("plain")).unwrap();
    let told = scene.run(&["restore", &scene.path("plain")]).unwrap_err();
    assert!(told.ends_with("is no backup: it lacks what `plumb-collector backup` adds to a database"), "{told}");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let told = refused(&scene, &file);
    assert!(told.contains("was written by a newer plumb (schema 99, this program knows "), "{told}");
}

#[test]
fn a_backup_that_was_changed_is_refused_and_nothing_is_touched() {
    let changes = [
        ("UPDATE plumb_backup_files SET content = x'00' WHERE name = 'root.pem'", "\"root.pem\" in it is not what was"),
        ("DELETE FROM plumb_backup_files WHERE name = 'users.key'", "authority is not whole: users.key is missing"),
        ("UPDATE plumb_backup SET format = 2", "is a backup by a newer plumb: upgrade plumb"),
        ("UPDATE audit SET who = 'nobody'", "the history in it is not what was received: audit: entry 1"),
    ];
    for (change, expected) in changes {
        let (scene, file) = saved();
        let conn = Connection::open(&file).unwrap();
        conn.execute_batch("DROP TRIGGER IF EXISTS audit_stays").unwrap();
        conn.execute_batch(change).unwrap();
        let told = refused(&scene, &file);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_history_with_faults_is_restored_when_asked_for() {
    let (scene, file) = saved();
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("DROP TRIGGER IF EXISTS audit_stays; UPDATE audit SET who = 'nobody'").unwrap();
    scene.run(&["restore", "--despite-faults", &file]).unwrap();
    assert_eq!(scene.questions().verify().unwrap().1.len(), 1);
}

#[test]
fn a_page_that_went_bad_is_found_before_anything_is_changed() {
    let (scene, file) = saved();
    let conn = Connection::open(&file).unwrap();
    let page: u32 =
        conn.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'drifts'", [], |row| row.get(0)).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = usize::try_from(page - 1).unwrap() * 4096;
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let told = refused(&scene, &file);
    assert!(told.contains("was not restored, and ") && told.contains("it is damaged: "), "{told}");
}

#[test]
fn a_backup_of_an_older_schema_is_migrated_at_the_next_start_and_copied_ahead_of_it() {
    let scene = Scene::new();
    let (file, old) = (scene.path("plumb.db"), migrate::SQLITE.len() - 1);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", scene.db().display()));
    }
    let mut conn = Connection::open(scene.db()).unwrap();
    migrate::migrate(&mut conn, &scene.db(), &migrate::SQLITE[..old]).unwrap();
    scene.run(&["backup", &file]).unwrap();
    let version =
        |conn: &Connection| conn.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(version(&conn), u32::try_from(old).unwrap(), "a backup migrates nothing");
    drop(conn);
    scene.run(&["restore", &file]).unwrap();
    assert_eq!(scene.links(), 2);
    assert!(copy_path(&scene.db(), i64::try_from(old).unwrap()).exists());
}
