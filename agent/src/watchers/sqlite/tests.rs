use crate::watcher::testing::{Stage, stage};

use super::SPEC;

/// The first bytes of a file, as SQLite 3.40.1 writes them.
fn database() -> Vec<u8> {
    let mut bytes = [&b"SQLite format 3\0"[..], &[0; 4_080]].concat();
    bytes[96..100].copy_from_slice(&3_040_001_u32.to_be_bytes());
    bytes
}

fn site() -> Stage {
    stage(&SPEC).file("/etc/nginx/nginx.conf", "server { root /srv/shop/public; }\n").folder("/srv/shop/public")
}

#[test]
fn a_host_without_such_files_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
    assert_eq!(
        site().file("/srv/shop/public/notes.db", "not one").file("/srv/shop/public/empty.sqlite", "").look(),
        "absent"
    );
}

#[test]
fn files_in_and_beside_document_roots_are_told_with_version_and_size() {
    let stage = site()
        .file("/srv/shop/database/database.sqlite", database())
        .file("/srv/shop/database/database.sqlite-wal", "12345")
        .file("/srv/shop/public/wp-content/database/.ht.sqlite", database())
        .file("/srv/shop/public/a/b/c/too-deep.sqlite", database())
        .file("/srv/shop/public/readme.txt", database());
    assert_eq!(
        stage.look(),
        "fact database sqlite//srv/shop/public/wp-content/database/.ht.sqlite version=3.40.1 \
         from /srv/shop/public/wp-content/database/.ht.sqlite\n\
         fact database sqlite//srv/shop/database/database.sqlite version=3.40.1 from /srv/shop/database/database.sqlite\n\
         sample database_size_bytes{database=\"sqlite//srv/shop/public/wp-content/database/.ht.sqlite\"} 4096\n\
         sample database_size_bytes{database=\"sqlite//srv/shop/database/database.sqlite\"} 4101\n"
    );
}

#[test]
fn pipes_and_links_in_a_circle_are_not_opened_nor_followed() {
    let stage = site().link("/srv/shop/public/up", "..").link("/srv/shop/public/own.sqlite", "own.sqlite");
    let stage = stage.link("/srv/shop/public/passwd.db", "/etc/passwd").file("/etc/passwd", database());
    let pipe = stage.host().full_path(std::path::Path::new("/srv/shop/public/pipe.sqlite"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(stage.look(), "absent");
}

#[test]
fn more_than_is_looked_at_is_a_problem_and_takes_its_slices() {
    let stage = (0..300).fold(site(), |stage, number| stage.file(&format!("/srv/shop/public/{number}.db"), database()));
    let told = stage.look();
    assert_eq!(told.matches("fact ").count(), 200);
    let problem =
        "problem database sqlite/* /srv/shop/public: more folders or files near document roots than are looked at\n";
    assert!(told.ends_with(problem), "{told}");
    let stage = (0..9_000)
        .fold(site(), |stage, number| stage.file(&format!("/srv/shop/public/{}/{number}.x", number % 90), ""));
    assert!(stage.slices().0 > 1);
}
