use super::*;

#[test]
fn a_damaged_state_is_set_aside_and_the_new_one_says_what_it_followed() {
    let folder = Folder::new();
    let mut state = open(&folder);
    append(&mut state, report("x"), MINUTE).unwrap();
    let old = state.position().unwrap();
    drop(state);
    let db = Connection::open(folder.path().join("state.db")).unwrap();
    db.execute_batch("UPDATE records SET hash = zeroblob(32)").unwrap();
    drop(db);
    let state = open(&folder);
    let begin = state.begins().unwrap();
    assert_eq!((begin.old_epoch, begin.old_seq), (old.epoch.0, 1));
    assert!(begin.reason.contains("not the one that was written"), "{}", begin.reason);
    assert_ne!(state.position().unwrap().epoch, old.epoch);
    assert!(folder.path().join("state.db.damaged").exists());
}

#[test]
fn garbage_in_place_of_a_state_is_set_aside() {
    for garbage in [b"not a database, but long enough to have a header of one hundred bytes or so".repeat(3), {
        let mut page = b"SQLite format 3\0".to_vec();
        page.resize(8192, 0x55);
        page
    }] {
        let folder = Folder::new();
        std::fs::write(folder.path().join("state.db"), &garbage).unwrap();
        let mut state = open(&folder);
        assert_eq!(state.begins().unwrap().old_epoch, [0; 16]);
        append(&mut state, report("x"), MINUTE).unwrap();
        assert_eq!(std::fs::read(folder.path().join("state.db.damaged")).unwrap(), garbage);
    }
}

#[test]
fn a_newer_state_is_set_aside_with_a_clear_word() {
    let folder = Folder::new();
    drop(open(&folder));
    Connection::open(folder.path().join("state.db")).unwrap().execute_batch("PRAGMA user_version = 3").unwrap();
    let reason = open(&folder).begins().unwrap().reason.clone();
    assert_eq!(reason, "state.db was written by a newer plumb-agent (format 3, this one knows 2)");
}

#[test]
fn an_agent_that_is_downgraded_tells_which_records_it_cannot_send() {
    let folder = Folder::new();
    let mut state = open(&folder);
    (0..3).for_each(|_| append(&mut state, report("x"), MINUTE).unwrap());
    let old = state.position().unwrap();
    drop(state);
    let db = Connection::open(folder.path().join("state.db")).unwrap();
    // A format may have more than is known here.
    db.execute_batch("PRAGMA user_version = 3; ALTER TABLE identity ADD COLUMN later TEXT NOT NULL DEFAULT ''")
        .unwrap();
    drop(db);
    let mut state = open(&folder);
    let begin = state.begins().unwrap().clone();
    assert_eq!((begin.old_epoch, begin.old_seq), (old.epoch.0, old.next_seq - 1));
    assert!(
        begin.reason.ends_with("; 3 records that were not acknowledged are in state.db.damaged"),
        "{}",
        begin.reason
    );
    append(&mut state, report("x"), MINUTE).unwrap();
    drop(state);
    // Whoever looks for them finds them there, and the new spool goes on from start to start.
    let db = Connection::open(folder.path().join("state.db.damaged")).unwrap();
    let kept: i64 = db.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    assert_eq!(u64::try_from(kept).unwrap(), old.next_seq - 1);
    assert!(open(&folder).begins().is_none());
}

#[test]
fn another_database_is_not_taken_for_a_state() {
    let folder = Folder::new();
    Connection::open(folder.path().join("state.db")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    assert_eq!(open(&folder).begins().unwrap().reason, "state.db is not a state of plumb-agent");
}

#[test]
fn a_second_agent_on_the_same_folder_is_refused() {
    let folder = Folder::new();
    let state = open(&folder);
    let second = database::open(folder.path(), Duration::from_millis(20));
    assert!(matches!(second, Err(StateError::InUse)));
    verify(&state);
}

#[test]
fn what_was_set_aside_is_taken_back_whole_where_no_new_one_could_be_made() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("state.db"), "old").unwrap();
    std::fs::write(path("state.db-wal"), "old log").unwrap();
    database::set_aside(folder.path()).unwrap();
    assert!(!path("state.db").exists() && !path("state.db-wal").exists());
    std::fs::write(path("state.db"), "half").unwrap();
    std::fs::write(path("state.db-journal"), "half").unwrap();
    database::take_back(folder.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(path(name)).ok();
    assert_eq!(read("state.db").zip(read("state.db-wal")), Some(("old".to_owned(), "old log".to_owned())));
    assert!(!path("state.db-journal").exists() && !path("state.db.damaged").exists());
}
