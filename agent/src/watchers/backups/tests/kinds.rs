//! Backups that are more than one file, or lie where a program puts them.

use super::*;

#[test]
fn dated_folders_of_a_panel_are_one_series_for_each_account() {
    let stage = stage(&SPEC);
    for day in 19..22 {
        let at = ago((21 - day) * DAY + 3_600);
        put(&stage, &format!("/backup/2026-11-{day}/accounts/alice.tar.gz"), "x", at);
        put(&stage, &format!("/backup/2026-11-{day}/accounts/bob.tar.gz"), "x", at);
    }
    let told = stage.look();
    let keys: Vec<&str> = facts(&told).iter().filter_map(|fact| fact.split(' ').next()).collect();
    assert_eq!(keys, ["/backup/*/accounts/alice.tar.gz", "/backup/*/accounts/bob.tar.gz"]);
    has(&told, &["kind=tar.gz location=/backup/*/accounts newest=2026-11-21T09:00:00Z size=1 files=3"]);
}

#[test]
fn a_restic_repository_is_one_backup() {
    let stage = stage(&SPEC).folder("/srv/backup/restic/index").folder("/srv/backup/restic/keys");
    let stage = stage.file("/srv/backup/restic/config", "x").file("/srv/backup/restic/data/00/pack.gz", "x");
    for day in 0..3 {
        put(&stage, &format!("/srv/backup/restic/snapshots/{day:064}"), "x", ago(day * DAY + 3_600));
    }
    // SHA-256 of "abc" (FIPS 180-2, appendix B.1)
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    put(&stage, &format!("/srv/backup/restic/snapshots/{sum}"), "abc", ago(600));
    let told = stage.look();
    let expected = "/srv/backup/restic kind=restic location=/srv/backup newest=2026-11-21T09:50:00Z files=4 program=restic valid=true ";
    assert!(fact(&told).starts_with(expected), "{told}");
    has(&told, &["encrypted=true", "interval_seconds=86400"]);
    put(&stage, &format!("/srv/backup/restic/snapshots/{sum}"), "ab", ago(500));
    stage.clock().advance(Duration::from_secs(600));
    has(&stage.look(), &["valid=false", "reason=its newest snapshot is damaged"]);
}

#[test]
fn a_base_backup_of_postgresql_is_one_backup_by_its_manifest() {
    let stage = stage(&SPEC).file("/backup/pg/base/1/1234.gz", "x").file("/backup/pg/PG_VERSION", "15\n");
    put(&stage, "/backup/pg/backup_manifest", "{ \"Files\": [],\n\"Manifest-Checksum\": \"ab\"}\n", ago(600));
    has(fact(&stage.look()), &["/backup/pg kind=pg_basebackup", "valid=true", "program=pg_basebackup"]);
}

#[test]
fn backups_of_wordpress_plugins_are_found() {
    let stage = stage(&SPEC);
    let updraft = "/var/www/shop/wp-content/updraft/backup_2026-11-21-0200_My_Shop_0a1b2c3d4e5f-db.gz";
    put(&stage, updraft, "x", ago(600));
    has(fact(&stage.look()), &["/var/www/shop/wp-content/updraft/backup_*_My_Shop_*-db.gz kind=gz"]);
}
