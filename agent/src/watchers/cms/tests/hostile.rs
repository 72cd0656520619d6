use std::os::unix::ffi::OsStrExt;

use super::{host, told, wordpress};

#[test]
fn a_fifo_links_in_circles_and_bytes_that_are_no_text_harm_no_other() {
    let fifo = |host: &crate::watcher::testing::Stage, path: &str| {
        let path = host.host().full_path(path.as_ref());
        let made = nix::unistd::mkfifo(path.as_path(), nix::sys::stat::Mode::S_IRWXU);
        assert!(made.is_ok(), "{made:?}");
    };
    let host = wordpress(wordpress(host(&["/srv/a", "/srv/b"]), "/srv/b"), "/srv/a")
        .link("/srv/a/wp-content/plugins/loop", "loop")
        .link("/srv/a/wp-content/themes", "themes")
        .file("/srv/a/wp-content/plugins/bytes/bytes.php", b"<?php /* Plugin Name: \xff\xfe\nVersion: 1\xff */");
    host.remove("/srv/a/wp-includes/version.php");
    fifo(&host, "/srv/a/wp-includes/version.php");
    let look = host.look();
    let lines = told(&look, "cms");
    assert!(lines[0].contains(" version=?(/srv/a/wp-includes/version.php: not a regular file) "), "{lines:?}");
    assert!(lines[1].contains("/srv/b product=wordpress kind=cms version=6.4.3 "), "{lines:?}");
    assert!(look.contains("problem cms_extension /srv/a/wp-content/plugins/loop* "), "{look}");
    assert!(look.contains("problem cms_extension /srv/a/wp-content/themes* "), "{look}");
    assert!(look.contains(" name=\u{fffd}\u{fffd} version=1\u{fffd} "), "{look}");
}

#[test]
fn huge_files_are_not_read_to_their_end() {
    let host = wordpress(host(&["/srv/a", "/srv/m"]), "/srv/a")
        .file(
            "/srv/a/wp-content/plugins/big/big.php",
            [b"<?php /* Plugin Name: Big\nVersion: 1 */".as_slice(), &vec![b'x'; 10 << 20]].concat(),
        )
        .file("/srv/m/bin/magento", "")
        .file("/srv/m/vendor/composer/installed.json", "")
        .file("/srv/m/composer.json", "");
    for path in ["/srv/m/vendor/composer/installed.json", "/srv/a/wp-config.php"] {
        let file = std::fs::File::create(host.host().full_path(path.as_ref())).unwrap();
        file.set_len(1 << 30).unwrap();
    }
    let look = host.look();
    assert!(look.contains(" name=Big version=1 "), "{look}");
    assert!(look.contains(" debug=?(/srv/a/wp-config.php: bigger than 262144 bytes) "), "{look}");
    assert!(look.contains(" version=?(/srv/m/vendor/composer/installed.json: bigger than 16777216 bytes) "), "{look}");
}

#[test]
fn nested_brackets_end_and_are_not_read_again() {
    let host = host(&["/srv/m"])
        .file("/srv/m/bin/magento", "")
        .file("/srv/m/vendor/composer/installed.json", "[".repeat(100_000));
    for _ in 0..2 {
        let look = host.look();
        assert!(
            look.contains(
                " version=?(/srv/m/vendor/composer/installed.json: not of the format that is expected there) "
            ),
            "{look}"
        );
    }
}

#[test]
fn ten_thousand_plugins_are_bounded_and_said_to_be() {
    let mut host = wordpress(wordpress(host(&["/srv/a", "/srv/b"]), "/srv/a"), "/srv/b")
        .file("/srv/b/wp-content/plugins/one.php", "<?php /* Plugin Name: One */");
    for number in 0..10_000 {
        host = host.file(&format!("/srv/a/wp-content/plugins/p{number}.php"), "<?php /* Plugin Name: P */");
    }
    let (slices, look) = host.slices();
    assert!(slices > 3, "{slices}");
    assert_eq!(look.matches("fact cms_extension ").count(), 1_001);
    assert!(look.contains("problem cms_extension /srv/a* /srv/a: more than 1000 extensions: the rest is not told\n"));
    assert!(look.contains("fact cms_extension /srv/b/wp-content/plugins/one.php "));
}

#[test]
fn names_that_are_no_text_are_told_as_they_are() {
    let name = std::ffi::OsStr::from_bytes(b"p\xff.php");
    let host = wordpress(host(&["/srv/a"]), "/srv/a").folder("/srv/a/wp-content/plugins");
    let path = host.host().full_path("/srv/a/wp-content/plugins".as_ref()).join(name);
    std::fs::write(path, "<?php /* Plugin Name: Odd */").unwrap();
    assert!(host.look().contains(" name=Odd "));
}
