//! Files of packages.

use super::*;

fn md5(text: &str) -> String {
    use md5::Digest as _;
    md5::Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn host() -> Stage {
    let sums = format!(
        "{}  usr/bin/tool\n{}  usr/share/wordpress/wp-login.php\n{}  usr/share/doc/x\n",
        md5("shipped"),
        md5("<?php // core"),
        md5("documentation is not judged")
    );
    stage(&SPEC)
        .settings("sweep_hours = 0\n")
        .file("/var/lib/dpkg/status", "Package: wordpress\n")
        .file("/var/lib/dpkg/lock", "")
        .file("/var/lib/dpkg/info/wordpress.md5sums", sums)
        .file("/var/lib/dpkg/info/wordpress.list", "/usr/bin/tool\n/usr/share/wordpress/wp-login.php\n")
        .file("/usr/bin/tool", "shipped")
        .file("/usr/share/wordpress/wp-login.php", "<?php // core")
        .file("/usr/share/wordpress/mine.php", "<?php // mine")
}

/// Lines that are no trees.
fn told(stage: &Stage) -> Vec<String> {
    stage.clock().advance(Duration::from_mins(20));
    stage.look().lines().filter(|line| !line.starts_with("fact tree")).map(str::to_owned).collect()
}

#[test]
fn a_core_file_that_is_edited_is_one_row_and_one_event_until_it_is_restored() {
    let stage = host();
    assert!(told(&stage).is_empty());
    let before = column(&stage, "/usr/share/wordpress", "code_digest");
    assert_eq!(column(&stage, "/usr/share/wordpress", "code_files"), "1", "what the package owns does not count");
    stage.write("/usr/share/wordpress/wp-login.php", "<?php // evil");
    let row = "fact package_file /usr/share/wordpress/wp-login.php package=wordpress kind=code problem=altered \
               from /var/lib/dpkg/info";
    assert_eq!(told(&stage), [row, "event file_changed info /usr/share/wordpress/wp-login.php: content x1"]);
    assert_eq!(told(&stage), [row]);
    stage.restart();
    assert_eq!(told(&stage), [row]);
    assert_eq!(column(&stage, "/usr/share/wordpress", "code_digest"), before);
    stage.write("/usr/share/wordpress/wp-login.php", "<?php // core");
    assert_eq!(told(&stage), ["event file_changed info /usr/share/wordpress/wp-login.php: content x1"]);
}

#[test]
fn a_program_that_is_replaced_or_missing_is_told_at_once() {
    let stage = host();
    told(&stage);
    stage.write("/usr/bin/tool", "trojan!");
    assert_eq!(
        told(&stage),
        ["fact package_file /usr/bin/tool package=wordpress kind=program problem=altered from /var/lib/dpkg/info"]
    );
    stage.remove("/usr/bin/tool");
    assert!(told(&stage)[0].contains("problem=missing"));
}

#[test]
fn a_file_that_another_package_took_over_is_nobodys_fault() {
    let stage = host().file("/var/lib/dpkg/info/wordpress.list", "/usr/share/wordpress/wp-login.php\n");
    stage.write("/usr/bin/tool", "of another package");
    assert!(told(&stage).is_empty());
}

#[test]
fn an_upgrade_is_judged_when_it_is_over_by_the_new_digests() {
    let stage = host();
    told(&stage);
    let inode = stage.host().stat("/var/lib/dpkg/lock").unwrap().identity.inode().1;
    stage.write("/proc/locks", format!("1: POSIX  ADVISORY  WRITE 714 fd:01:{inode} 0 EOF\n"));
    stage.write("/usr/bin/tool", "upgraded");
    assert!(told(&stage).is_empty(), "the package manager is at work");
    let sums = format!("{}  usr/bin/tool\n", md5("upgraded"));
    stage.write("/var/lib/dpkg/info/wordpress.md5sums", sums);
    stage.write("/proc/locks", "");
    assert!(told(&stage).is_empty());
    stage.write("/usr/bin/tool", "trojan!!");
    assert_eq!(told(&stage).len(), 1);
}

#[test]
fn new_code_of_an_upgrade_is_no_code_of_nobody_however_the_looks_fall() {
    let stage = host().settings("discover = false\n");
    let before = column(&stage, "/usr/share/wordpress", "code_digest");
    let row = |told: String| {
        let row = told.lines().find(|line| line.starts_with("fact tree /usr/share/wordpress ")).unwrap().to_owned();
        row.split_once("code_files=").unwrap().1.to_owned()
    };
    let settled = format!("1 code_digest={before} from /usr/share/wordpress");
    let upgrade = |stage: &Stage, version: &str| {
        let name = format!("usr/share/wordpress/{version}/new.php");
        stage.write(&name, "<?php // new");
        let sums =
            format!("{}  {name}\n{}  usr/share/wordpress/wp-login.php\n", md5("<?php // new"), md5("<?php // core"));
        stage.write("/var/lib/dpkg/info/wordpress.md5sums", sums);
    };
    // What woke the look were files of the tree, not dpkg.
    upgrade(&stage, "one");
    stage.write("/var/lib/dpkg/status", "Package: wordpress\nVersion: 1\n");
    stage.clock().advance(Duration::from_secs(1));
    assert_eq!(row(stage.look()), settled);
    assert_eq!(row(stage.look()), settled);

    // It is still at work.
    let inode = stage.host().stat("/var/lib/dpkg/lock").unwrap().identity.inode().1;
    let locks = format!("1: POSIX  ADVISORY  WRITE 714 fd:01:{inode} 0 EOF\n");
    stage.write("/proc/locks", &locks);
    stage.write("/usr/share/wordpress/two/new.php", "<?php // new");
    stage.clock().advance(Duration::from_secs(600));
    let unknown = row(stage.look());
    assert!(
        unknown.ends_with("code_digest=?(packages are being changed just now) from /usr/share/wordpress"),
        "{unknown}"
    );
    upgrade(&stage, "two");
    stage.remove("/usr/share/wordpress/one/new.php");
    stage.write("/var/lib/dpkg/status", "Package: wordpress\nVersion: 2\n");
    stage.write("/proc/locks", "");
    stage.clock().advance(Duration::from_secs(600));
    assert_eq!(row(stage.look()), settled);

    // It begins and ends while a look goes on.
    stage.write("/usr/share/wordpress/x.css", "a {}");
    stage.clock().advance(Duration::from_secs(600));
    for number in 0..5_000 {
        stage.write(&format!("/usr/share/wordpress/images/{number}.png"), "x");
    }
    assert!(stage.slice().0, "there is more");
    upgrade(&stage, "three");
    stage.remove("/usr/share/wordpress/two/new.php");
    stage.write("/var/lib/dpkg/status", "Package: wordpress\nVersion: 3\n");
    assert_eq!(row(stage.look()), settled);
}

#[test]
fn of_many_altered_files_twenty_are_told_and_the_rest_is_counted() {
    let (mut sums, mut list) = (String::new(), String::new());
    for number in 0..50 {
        sums += &format!("{}  usr/lib/x/{number:02}\n", md5("shipped"));
        list += &format!("/usr/lib/x/{number:02}\n");
    }
    let stage = stage(&SPEC)
        .settings("sweep_hours = 0\n")
        .file("/var/lib/dpkg/info/x.md5sums", sums)
        .file("/var/lib/dpkg/info/x.list", list);
    let told = told(&stage);
    assert_eq!(told.len(), 21);
    assert!(told[20].starts_with("fact package_file more package=x kind=other problem=30 more files"), "{}", told[20]);
}

#[test]
fn without_dpkg_files_of_rpm_packages_are_unknown_and_not_as_they_should_be() {
    let stage = site().file("/var/lib/rpm/rpmdb.sqlite", "not empty");
    let problem = "problem package_file * /var/lib/rpm/rpmdb.sqlite: digests of rpm packages are not judged yet";
    assert_eq!(told(&stage), [problem]);
    assert_eq!(told(&stage), [problem], "it stays unknown");
}

#[test]
fn the_database_of_rpm_on_a_host_of_dpkg_says_nothing() {
    assert!(told(&host().file("/var/lib/rpm/rpmdb.sqlite", "not empty")).is_empty());
}
