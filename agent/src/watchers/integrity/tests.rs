//! Whole looks at staged hosts.

mod model;
mod packages;

use std::fs;
use std::time::Duration;

use super::SPEC;
use crate::watcher::testing::{Stage, stage};

fn site() -> Stage {
    stage(&SPEC)
        .settings("sweep_hours = 0\n")
        .file("/var/www/shop/index.php", "<?php echo 1;")
        .file("/var/www/shop/style.css", "a {}")
        .file("/var/www/shop/wp-content/uploads/2026/a.jpg", "picture")
        .file("/var/www/shop/wp-content/cache/page.html", "made")
        .file("/etc/hosts", "127.0.0.1 localhost")
}

/// Time passes, so that folders are looked at at once; then what is told, but for the trees.
fn events(stage: &Stage) -> Vec<String> {
    stage.clock().advance(Duration::from_mins(20));
    stage.look().lines().filter(|line| line.starts_with("event ")).map(str::to_owned).collect()
}

/// A column of a tree.
fn column(stage: &Stage, tree: &str, column: &str) -> String {
    stage.clock().advance(Duration::from_mins(20));
    let text = stage.look();
    let row = text.lines().find(|line| line.starts_with(&format!("fact tree {tree} "))).unwrap_or_default().to_owned();
    let value = row.split(&format!(" {column}=")).nth(1).unwrap_or_default();
    value.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn the_first_scan_tells_trees_and_no_event() {
    let stage = site();
    let text = stage.look();
    assert!(!text.contains("event file"), "{text}");
    let shop =
        text.lines().find(|line| line.starts_with("fact tree /var/www/shop files=3 size_bytes=24 digest=")).unwrap();
    assert!(shop.contains("mode=events code_files=1 code_digest="), "{shop}");
    let etc = text.lines().find(|line| line.starts_with("fact tree /etc files=1 ")).unwrap();
    assert!(!etc.contains("code"), "{etc}");
    assert!(events(&stage).is_empty());
}

#[test]
fn trees_that_may_be_named_where_nothing_can_be_read_are_unknown_and_are_not_forgotten() {
    let conf = "/etc/nginx/nginx.conf";
    let stage = stage(&SPEC)
        .settings("sweep_hours = 0\n")
        .file(conf, "server { root /data/shop; }")
        .file("/data/shop/index.php", "<?php echo 1;");
    assert!(stage.look().contains("fact tree /data/shop "));
    let text = "server { root /data/shop; }".to_owned() + &" ".repeat(9 << 20);
    stage.write(conf, text);
    stage.restart();
    stage.clock().advance(Duration::from_mins(20));
    let told = stage.look();
    assert!(told.contains(&format!("problem tree * {conf}: {conf}: bigger than 8388608 bytes\n")), "{told}");
    stage.write("/data/shop/index.php", "<?php echo 2;");
    stage.write(conf, "server { root /data/shop; }");
    stage.restart();
    assert!(events(&stage).iter().any(|event| event.contains("/data/shop/index.php")));
}

#[test]
fn a_change_is_told_once_with_what_changed() {
    let stage = site();
    stage.look();
    stage.write("/var/www/shop/index.php", "<?php echo 2;");
    stage.write("/var/www/shop/new.txt", "x");
    stage.remove("/var/www/shop/style.css");
    stage.write("/etc/hosts", "127.0.0.1 localhost bad");
    let told = events(&stage);
    assert_eq!(
        told,
        [
            "event file_changed info /etc/hosts: content x1",
            "event file_changed info /var/www/shop/index.php: content x1",
            "event file_added info /var/www/shop/new.txt x1",
            "event file_removed info /var/www/shop/style.css x1",
        ]
    );
    assert!(events(&stage).is_empty());
    stage.restart();
    assert!(events(&stage).is_empty());
}

#[test]
fn a_file_that_was_only_touched_or_rewritten_as_it_was_is_no_event() {
    let stage = site();
    stage.look();
    stage.write("/var/www/shop/index.php", "<?php echo 1;");
    stage.write("/etc/hosts", "127.0.0.1 localhost");
    assert!(events(&stage).is_empty());
}

#[test]
fn code_is_compared_with_the_baseline_and_nothing_else() {
    let stage = site();
    let before = column(&stage, "/var/www/shop", "code_digest");
    let all = column(&stage, "/var/www/shop", "digest");
    stage.write("/var/www/shop/wp-content/uploads/2026/b.jpg", "another");
    stage.write("/var/www/shop/style.css", "b {}");
    stage.write("/var/www/shop/wp-content/cache/page.html", "made anew");
    stage.write("/var/www/shop/wp-content/cache/x/view.php", "<?php made");
    assert_eq!(column(&stage, "/var/www/shop", "code_digest"), before);
    assert_ne!(column(&stage, "/var/www/shop", "digest"), all);
    stage.write("/var/www/shop/wp-content/uploads/2026/b.php", "<?php evil");
    let after = column(&stage, "/var/www/shop", "code_digest");
    assert_ne!(after, before);
    stage.remove("/var/www/shop/wp-content/uploads/2026/b.php");
    assert_eq!(column(&stage, "/var/www/shop", "code_digest"), before);
}

#[test]
fn changes_while_the_agent_was_down_are_told_and_those_of_a_lost_record_again() {
    let stage = site();
    stage.look();
    let kept = stage.kept();
    stage.restart();
    stage.write("/var/www/shop/lib/deep/new.php", "<?php");
    fs::remove_dir_all(stage.host().full_path("/var/www/shop/wp-content".as_ref())).unwrap();
    let told = events(&stage);
    assert_eq!(
        told,
        [
            "event file_removed info /var/www/shop/wp-content/uploads/2026/a.jpg x1",
            "event file_added info /var/www/shop/lib/deep/new.php x1",
        ]
    );
    stage.set_kept(kept);
    let mut again = events(&stage);
    again.sort();
    assert_eq!(again.len(), 2, "{again:?}");
}

#[test]
fn links_pipes_and_what_they_lead_to_do_no_harm() {
    let stage = site().link("/var/www/shop/all", "/").link("/var/www/shop/loop", "loop").file("/secret/key", "x");
    nix::unistd::mkfifo(&stage.host().full_path("/var/www/shop/pipe".as_ref()), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = stage.look();
    assert!(text.contains("fact tree /var/www/shop files=3 "), "{text}");
    fs::remove_file(stage.host().full_path("/var/www/shop/all".as_ref())).unwrap();
    std::os::unix::fs::symlink("/secret", stage.host().full_path("/var/www/shop/all".as_ref())).unwrap();
    assert_eq!(events(&stage), ["event file_changed info /var/www/shop/all: content x1"]);
}

#[test]
fn mode_and_owner_are_told_and_a_moved_folder_is_looked_through() {
    let stage = site().file("/var/www/shop/a/one.txt", "1").mode("/var/www/shop/index.php", 0o644);
    stage.look();
    let at = |path: &str| stage.host().full_path(path.as_ref());
    fs::set_permissions(at("/var/www/shop/index.php"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    assert_eq!(events(&stage), ["event file_changed info /var/www/shop/index.php: mode x1"]);
    fs::rename(at("/var/www/shop/a"), at("/var/www/shop/b")).unwrap();
    let mut told = events(&stage);
    told.sort();
    let added = "event file_added info /var/www/shop/b/one.txt x1";
    assert_eq!(told, [added, "event file_removed info /var/www/shop/a/one.txt x1"]);
    stage.write("/var/www/shop/b/one.txt", "2");
    assert_eq!(events(&stage), ["event file_changed info /var/www/shop/b/one.txt: content x1"]);
}

#[test]
fn a_flood_of_changes_in_one_folder_is_one_event() {
    let stage = site();
    stage.look();
    (0..2_500).for_each(|number| stage.write(&format!("/var/www/shop/many/{number}.txt"), "x"));
    let told = events(&stage);
    let sum = "event files_changed info /var/www/shop/many: 2500 files, 2500 added, 0 changed, 0 removed x2500";
    assert_eq!(told, [sum]);
}

#[test]
fn a_tree_keeps_its_name_when_the_link_to_it_leads_to_a_new_release() {
    let stage = stage(&SPEC)
        .settings("sweep_hours = 0\n")
        .file("/srv/app/1/index.php", "one")
        .file("/srv/app/2/index.php", "two")
        .link("/srv/app/current", "1")
        .settings("roots = [\"/srv/app/current\"]");
    let before = column(&stage, "/srv/app/current", "code_digest");
    fs::remove_file(stage.host().full_path("/srv/app/current".as_ref())).unwrap();
    std::os::unix::fs::symlink("2", stage.host().full_path("/srv/app/current".as_ref())).unwrap();
    let told = events(&stage);
    assert!(told.iter().any(|line| line.contains("/srv/app/current/index.php: content")), "{told:?}");
    assert_ne!(column(&stage, "/srv/app/current", "code_digest"), before);
}

#[test]
fn trees_that_swallow_others_and_give_them_back_count_what_is_in_them() {
    let roots = |roots: &str| {
        let stage = site().file("/var/www/blog/index.php", "blog");
        stage.settings(&format!("roots = [{roots}]\n"))
    };
    let stage = roots(r#""/var/www/*""#);
    stage.look();
    let mut kept = stage.kept();
    // The operator changes the roots: another agent goes on with what is kept.
    for (names, trees) in [
        (r#""/var/www/*", "/var/www""#, "/var/www files=4"),
        (r#""/var/www/*""#, "/var/www/blog files=1 /var/www/shop files=3"),
        (r#""/var/www/shop/wp-content/uploads""#, "/var/www/shop/wp-content/uploads files=1"),
        (r#""/var/www/shop""#, "/var/www/shop files=3"),
    ] {
        let (after, fresh) = (roots(names), roots(names));
        after.set_kept(kept);
        let told =
            |stage: &Stage| stage.look().lines().filter(|line| !line.contains("/etc")).collect::<Vec<_>>().join("\n");
        let (text, expected) = (told(&after), told(&fresh));
        let facts = text.lines().filter_map(|line| line.strip_prefix("fact tree ")?.split(" size").next());
        assert_eq!(facts.collect::<Vec<_>>().join(" "), trees);
        assert_eq!(text, expected);
        kept = after.kept();
    }
}

#[test]
fn a_tree_to_which_a_link_in_another_leads_is_called_by_its_place() {
    let stage = site().file("/opt/blog/index.php", "blog").link("/var/www/shop/blog", "/opt/blog");
    let stage = stage.settings(r#"roots = ["/var/www/*", "/var/www/shop/blog"]"#);
    let text = stage.look();
    assert!(text.contains("fact tree /opt/blog files=1 "), "{text}");
    stage.clock().advance(Duration::from_hours(8));
    assert_eq!(text, stage.look());
    stage.clock().advance(Duration::from_hours(8));
    assert_eq!(text, stage.look());
}

#[test]
fn a_folder_that_cannot_be_listed_makes_the_tree_unknown_and_removes_nothing() {
    let deep = format!("/var/www/shop{}", "/d".repeat(70));
    let stage = site().folder(&deep);
    let text = stage.look();
    assert!(text.contains("code_digest=?(1 folders cannot be read, such as /var/www/shop/d"), "{text}");
}

#[test]
fn what_lies_below_a_mount_that_may_hang_is_unknown_and_not_removed_until_it_is_ignored() {
    let stage = site();
    let before = column(&stage, "/var/www/shop", "code_digest");
    let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / /var/www/shop/wp-content/uploads rw - nfs4 s:/x rw\n";
    stage.write("/proc/1/mountinfo", mounts);
    stage.host().mounts().unwrap(); // as `disk` does when something is mounted
    stage.remove("/var/www/shop/wp-content/uploads/2026/a.jpg"); // as if it were another folder
    assert!(events(&stage).is_empty());
    let why = "?(1 folders cannot be read, such as /var/www/shop/wp-content/uploads: on a network or user-space file \
               system, which is not touched because it may hang; name the folder in `ignore` if it is no part of the site)";
    stage.restart();
    let text = stage.look();
    assert!(text.contains(&format!("code_files=1 code_digest={why}")), "{text}");
    stage.write("/proc/1/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    assert_eq!(events(&stage), ["event file_removed info /var/www/shop/wp-content/uploads/2026/a.jpg x1"]);
    assert_eq!(column(&stage, "/var/www/shop", "code_digest"), before);

    let ignoring = site().settings("ignore = [\"wp-content/uploads\"]").file("/proc/1/mountinfo", mounts);
    assert_eq!(column(&ignoring, "/var/www/shop", "code_digest"), before);
}
