use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use plumb_proto::time::{ManualClock, Timestamp};

use super::*;
use crate::state::testing::Folder;

fn host(files: &[(&str, &str)]) -> (Folder, Host) {
    let folder = Folder::new();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
    (folder, host)
}

fn told(host: &Host, docroot: &str) -> String {
    let found = find(host, Path::new(docroot));
    let apps: Vec<String> = found.all().map(|app| format!("{} {}", app.product, app.root.display())).collect();
    let problems = found.problems.iter().map(ToString::to_string);
    apps.into_iter().chain(problems).collect::<Vec<_>>().join(", ")
}

#[test]
fn each_product_is_known_by_its_files() {
    for (files, docroot, expected) in [
        (&[("srv/a/wp-includes/version.php", "")][..], "/srv/a", "wordpress /srv/a"),
        (&[("srv/a/web/wp/wp-includes/version.php", "")], "/srv/a/web", "wordpress /srv/a/web"),
        (&[("srv/a/web/core/lib/Drupal.php", "")], "/srv/a/web", "drupal /srv/a/web"),
        (&[("srv/a/includes/bootstrap.inc", ""), ("srv/a/modules/system/system.info", "")], "/srv/a", "drupal /srv/a"),
        (&[("srv/a/administrator/manifests/files/joomla.xml", "")], "/srv/a", "joomla /srv/a"),
        (&[("srv/a/bin/magento", ""), ("srv/a/pub/index.php", "")], "/srv/a/pub", "magento /srv/a"),
        (
            &[
                ("srv/a/bin/magento", ""),
                ("srv/a/composer.json", "{\"require\":{\"mage-os/product-community-edition\":\"1.0\"}}"),
            ],
            "/srv/a",
            "mage-os /srv/a",
        ),
        (
            &[("srv/a/vendor/typo3/cms-core/Classes/Information/Typo3Version.php", ""), ("srv/a/public/index.php", "")],
            "/srv/a/public",
            "typo3 /srv/a",
        ),
        (&[("srv/a/classes/PrestaShopAutoload.php", "")], "/srv/a", "prestashop /srv/a"),
        (
            &[
                ("srv/a/vendor/shopware/core/composer.json", ""),
                ("srv/a/bin/console", ""),
                ("srv/a/public/index.php", ""),
            ],
            "/srv/a/public",
            "shopware /srv/a",
        ),
        (
            &[("srv/a/vendor/craftcms/cms/composer.json", ""), ("srv/a/web/index.php", "")],
            "/srv/a/web",
            "craft-cms /srv/a",
        ),
        (&[("srv/a/vendor/contao/core-bundle/composer.json", "")], "/srv/a", "contao /srv/a"),
        (
            &[("srv/a/Packages/Application/Neos.Neos/composer.json", ""), ("srv/a/Web/index.php", "")],
            "/srv/a/Web",
            "neos /srv/a",
        ),
        (&[("srv/a/vendor/silverstripe/framework/composer.json", "")], "/srv/a", "silverstripe /srv/a"),
        (
            &[("srv/a/artisan", "#!/usr/bin/env php\n// laravel"), ("srv/a/public/index.php", "")],
            "/srv/a/public",
            "laravel /srv/a",
        ),
        (
            &[("srv/a/bin/console", ""), ("srv/a/vendor/symfony/http-kernel/Kernel.php", ""), ("srv/a/public/x", "")],
            "/srv/a/public",
            "symfony /srv/a",
        ),
        (&[("srv/a/manage.py", "import django\n")], "/srv/a", "django /srv/a"),
        (
            &[("srv/a/config/application.rb", "class A < Rails::Application"), ("srv/a/public/x", "")],
            "/srv/a/public",
            "rails /srv/a",
        ),
        (&[("srv/a/index.html", "")], "/srv/a", ""),
        (&[("srv/a/core/x", ""), ("srv/a/bin/console", ""), ("srv/a/manage.py", "")], "/srv/a", ""),
    ] {
        let (_folder, host) = host(files);
        assert_eq!(told(&host, docroot), expected, "{docroot} {files:?}");
    }
}

#[test]
fn an_application_in_a_folder_of_the_site_is_found_beside_the_sites_own() {
    let (_folder, host) = host(&[
        ("srv/a/administrator/manifests/files/joomla.xml", ""),
        ("srv/a/blog/wp-includes/version.php", ""),
        ("srv/a/old/deep/wp-includes/version.php", ""),
    ]);
    assert_eq!(told(&host, "/srv/a"), "joomla /srv/a, wordpress /srv/a/blog");
}

#[test]
fn a_release_behind_links_is_found_under_its_lasting_name() {
    let (folder, host) = host(&[("srv/a/releases/7/artisan", "laravel"), ("srv/a/releases/7/public/index.php", "")]);
    symlink("releases/7", folder.path().join("srv/a/current")).unwrap();
    assert_eq!(told(&host, "/srv/a/current/public"), "laravel /srv/a/current");
}

#[test]
fn links_that_turn_in_a_circle_and_files_for_folders_end() {
    let (folder, host) = host(&[("srv/a/wp-includes/version.php", ""), ("srv/file", "")]);
    symlink(".", folder.path().join("srv/a/loop")).unwrap();
    symlink("around", folder.path().join("srv/around")).unwrap();
    assert_eq!(told(&host, "/srv/a"), "wordpress /srv/a");
    assert_eq!(told(&host, "/srv/around"), "/srv/around: too many links");
    assert_eq!(told(&host, "/srv/file"), "");
    assert_eq!(told(&host, "/srv/none"), "");
}

#[test]
fn an_application_keeps_its_name_when_a_new_release_is_deployed() {
    let (folder, host) = host(&[
        ("srv/a/releases/1/artisan", "laravel"),
        ("srv/a/releases/2/artisan", "laravel"),
        ("srv/a/releases/1/public/index.php", ""),
        ("srv/a/releases/2/public/index.php", ""),
        ("srv/b/releases/1/artisan", "laravel"),
    ]);
    let current = folder.path().join("srv/a/current");
    for release in ["releases/1", "releases/2"] {
        let _ = fs::remove_file(&current);
        symlink(release, &current).unwrap();
        assert_eq!(told(&host, "/srv/a/current/public"), "laravel /srv/a/current");
        let folders = around(&host, Path::new("/srv/a/current/public"));
        assert_eq!(folders, [Path::new("/srv/a/current/public"), Path::new("/srv/a/current")]);
    }
    // A worker of the release before.
    assert_eq!(lasting(&host, Path::new("/srv/a/releases/1")), Path::new("/srv/a/current"));
    // Nothing is deployed that way, or elsewhere.
    assert_eq!(told(&host, "/srv/b/releases/1"), "laravel /srv/b/releases/1");
    symlink("/srv/a/releases/1", folder.path().join("srv/b/current")).unwrap();
    assert_eq!(told(&host, "/srv/b/releases/1"), "laravel /srv/b/releases/1");
}
