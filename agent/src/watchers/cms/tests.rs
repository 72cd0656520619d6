mod hostile;
mod products;

use super::SPEC;
use crate::watcher::testing::{Stage, stage};

const NGINX: &str = "/etc/nginx/nginx.conf";

/// A host whose web server has these document roots.
fn host(roots: &[&str]) -> Stage {
    let server = |root: &&str| format!("server {{ server_name {}.example; root {root}; }}\n", root.replace('/', ""));
    let servers = format!("http {{\n{}}}\n", roots.iter().map(server).collect::<String>());
    stage(&SPEC).file(NGINX, servers).file("/etc/passwd", "root:x:0:0::/:\n").file("/etc/os-release", "ID=debian\n")
}

/// The lines of a table, without what says nothing of what is tested.
fn told(text: &str, table: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with(&format!("fact {table} ")) || !line.starts_with("fact "));
    let short = lines.map(|line| {
        let line = line.split(" from ").next().unwrap_or_default();
        let words = line.split(' ').filter(|word| !word.starts_with("sites=nginx/"));
        let line = words.collect::<Vec<_>>().join(" ");
        line.replace(&format!("fact {table} "), "").replace(" owner=root", "").replace(" provenance=self-built", "")
    });
    short.collect()
}

fn wordpress(host: Stage, root: &str) -> Stage {
    host.file(
        &format!("{root}/wp-includes/version.php"),
        "<?php\n$wp_version = '6.4.3';\n$required_php_version = '7.0.0';\n",
    )
    .file(&format!("{root}/wp-settings.php"), "<?php\n")
}

#[test]
fn a_host_without_applications_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
    assert_eq!(host(&["/srv/site"]).file("/srv/site/index.html", "").look(), "absent");
}

#[test]
fn wordpress_tells_its_version_its_extensions_and_its_switches() {
    let plugin = "<?php\n/*\nPlugin Name: Shop\nVersion: 8.5.1\nRequires at least: 6.3\nRequires PHP: 7.4\n*/";
    let host = wordpress(host(&["/srv/a"]), "/srv/a")
        .file(
            "/srv/a/wp-config.php",
            "<?php\ndefine('DB_PASSWORD', 'geheim');\ndefine('WP_DEBUG', true);\ndefine('DISABLE_WP_CRON', 1);\n\
             define('WP_AUTO_UPDATE_CORE', 'minor');",
        )
        .file("/srv/a/wp-content/plugins/index.php", "<?php // Silence is golden.")
        .file("/srv/a/wp-content/plugins/shop/aaa.php", "<?php\n")
        .file("/srv/a/wp-content/plugins/shop/main.php", plugin)
        .file("/srv/a/wp-content/plugins/hello.php", "<?php\n/*\nPlugin Name: Hello\n*/")
        .file("/srv/a/wp-content/plugins/stray.php", "<?php\n")
        .file("/srv/a/wp-content/plugins/empty/readme.txt", "")
        .file("/srv/a/wp-content/mu-plugins/always.php", "<?php\n")
        .file("/srv/a/wp-content/themes/x/style.css", "/*\nTheme Name: X\nVersion: 1.2\nUpdate URI: false\n*/")
        .file("/srv/a/wp-content/object-cache.php", "<?php\n/* Plugin Name: Redis Cache\n * Version: 2.5.0 */");
    let look = host.look();
    assert!(!look.contains("geheim"));
    assert!(look.contains(" sites=nginx/srva.example "), "{look}");
    assert_eq!(
        told(&look, "cms"),
        ["/srv/a product=wordpress kind=cms version=6.4.3 requires_php=7.0.0 debug=true down=false \
          drop_ins=object-cache.php cron_disabled=true auto_updates=minor"]
    );
    assert_eq!(
        told(&look, "cms_extension"),
        [
            "/srv/a/wp-content/object-cache.php cms=/srv/a product=object-cache kind=drop-in name=Redis Cache version=2.5.0",
            "/srv/a/wp-content/plugins/hello.php cms=/srv/a product=hello kind=plugin name=Hello",
            "/srv/a/wp-content/plugins/shop cms=/srv/a product=shop kind=plugin name=Shop version=8.5.1 requires_php=7.4 \
             requires_cms=6.3",
            "/srv/a/wp-content/mu-plugins/always.php cms=/srv/a product=always kind=must-use",
            "/srv/a/wp-content/themes/x cms=/srv/a product=x kind=theme name=X version=1.2 update_uri=false",
        ]
    );
    let wakes = host.wakes();
    assert!(wakes.iter().any(|path| path.ends_with("wp-content/plugins")), "{wakes:?}");
}

#[test]
fn what_wants_a_newer_php_than_its_sites_run_with_is_told() {
    let plugin = |wanted: &str| format!("<?php\n/*\nPlugin Name: P\nRequires PHP: {wanted}\n*/");
    let server =
        "http { server { server_name a.example; root /srv/a; location ~ \\.php$ { fastcgi_pass unix:/run/a.sock; } } }";
    let host = wordpress(host(&[]).file(NGINX, server), "/srv/a")
        .file("/usr/sbin/php-fpm8.2", "X-Powered-By: PHP/8.2.29\0")
        .mode("/usr/sbin/php-fpm8.2", 0o755)
        .file("/etc/php/8.2/fpm/php-fpm.conf", "[a]\nlisten = /run/a.sock\n")
        .file("/srv/a/wp-content/plugins/old.php", plugin("8.2.40"))
        .file("/srv/a/wp-content/plugins/new.php", plugin("8.10"));
    let look = host.look();
    assert!(told(&look, "cms")[0].contains("requires_php=7.0.0 php_version=8.2 php_fits=true"), "{look}");
    let extensions = told(&look, "cms_extension");
    let of = |name: &str| extensions.iter().find(|line| line.contains(name)).cloned().unwrap_or_default();
    assert!(of("new.php").contains("php_version=8.2 php_fits=false"), "{look}");
    assert!(of("old.php").contains("php_version=8.2 php_fits=true"), "only the branch of it is known: {look}");
}

#[test]
fn what_only_running_would_tell_is_unknown() {
    let host = wordpress(host(&["/srv/a"]), "/srv/a")
        .file("/srv/a/wp-config.php", "<?php define('WP_DEBUG', (bool) getenv('DEBUG'));")
        .file("/srv/a/wp-includes/version.php", "<?php $wp_version = file_get_contents('v');");
    assert_eq!(
        told(&host.look(), "cms"),
        ["/srv/a product=wordpress kind=cms version=?(/srv/a/wp-includes/version.php names no version) \
          debug=?(its configuration works it out when it runs) down=false drop_ins= cron_disabled=false"]
    );
}

#[test]
fn wordpress_that_writes_down_its_faults_and_shows_none_is_no_debugging() {
    for (config, expected) in [
        ("define('WP_DEBUG', true); define('WP_DEBUG_LOG', true); define('WP_DEBUG_DISPLAY', false);", "debug=false "),
        ("define('WP_DEBUG', true); define('WP_DEBUG_DISPLAY', true);", "debug=true "),
        ("define('WP_DEBUG', true); define('WP_DEBUG_DISPLAY', null);", "debug=?("),
        ("define('WP_DEBUG', false); define('WP_DEBUG_DISPLAY', null);", "debug=false "),
        // the usual way to tell hosts apart
        ("if (getenv('DEV')) { define('WP_DEBUG', true); } else { define('WP_DEBUG', false); }", "debug=?("),
        ("if (!defined('WP_DEBUG')) { define('WP_DEBUG', false); }", "debug=false "),
    ] {
        let host = wordpress(host(&["/srv/a"]), "/srv/a").file("/srv/a/wp-config.php", format!("<?php {config}"));
        let line = told(&host.look(), "cms").remove(0);
        assert!(line.contains(expected), "{config}: {line}");
    }
}

#[test]
fn a_deployment_changes_no_name() {
    let host = wordpress(host(&["/srv/a/current"]), "/srv/a/releases/1")
        .file("/srv/a/releases/1/wp-content/plugins/shop/shop.php", "<?php\n/*\nPlugin Name: Shop\nVersion: 1\n*/")
        .link("/srv/a/current", "releases/1");
    let look = host.look();
    assert!(look.contains("fact cms /srv/a/current product=wordpress "), "{look}");
    assert!(look.contains("fact cms_extension /srv/a/current/wp-content/plugins/shop cms=/srv/a/current "), "{look}");
    let wakes = host.wakes();
    assert!(wakes.contains(&"/srv/a/releases/1/wp-content/plugins".into()), "{wakes:?}");
}

#[test]
fn an_update_that_broke_off_is_told_since_when() {
    let host = wordpress(host(&["/srv/a"]), "/srv/a").file("/srv/a/.maintenance", "<?php $upgrading = 1795254000; ?>");
    let line = |host: &Stage| told(&host.look(), "cms").remove(0);
    // twenty minutes: WordPress answers again
    assert!(line(&host).contains(" maintenance=2026-11-21T09:40:00Z down=false "), "{}", line(&host));
    host.write("/srv/a/.maintenance", "<?php $upgrading = 1795255000;");
    assert!(line(&host).contains(" maintenance=2026-11-21T09:56:40Z down=true "), "{}", line(&host));
    host.write("/srv/a/.maintenance", "<?php $upgrading = time();");
    assert!(line(&host).contains(" down=true "), "{}", line(&host));
    host.remove("/srv/a/.maintenance");
    assert!(line(&host).contains(" down=false ") && !line(&host).contains("maintenance="), "{}", line(&host));
}

#[test]
fn a_core_in_a_folder_of_its_own_is_one_application() {
    let host = wordpress(host(&["/srv/b/web"]), "/srv/b/web/wp")
        .file("/srv/b/web/wp-config.php", "<?php require_once dirname(__DIR__) . '/config/application.php';")
        .file(
            "/srv/b/config/application.php",
            "<?php Config::define('WP_DEBUG_DISPLAY', false); Config::define('DISABLE_WP_CRON', env('X') ?: false);",
        )
        .file("/srv/b/web/app/plugins/one/one.php", "<?php /* Plugin Name: One\nVersion: 1 */");
    let look = host.look();
    assert_eq!(
        told(&look, "cms"),
        ["/srv/b/web product=wordpress kind=cms version=6.4.3 requires_php=7.0.0 debug=false down=false \
          drop_ins= cron_disabled=?(its configuration works it out when it runs)"]
    );
    assert_eq!(told(&look, "cms_extension").len(), 1, "{look}");
}

#[test]
fn one_packaged_tree_of_several_sites_has_the_plugins_of_each() {
    let root = "/usr/share/wordpress";
    let host = wordpress(host(&[]), root)
        .file("/usr/share/wordpress/index.php", "")
        .file(
            "/usr/share/wordpress/wp-config.php",
            "<?php if (!defined('WP_AUTO_UPDATE_CORE'))\n    define('WP_AUTO_UPDATE_CORE', false);\n\
             if (!defined('WP_CONTENT_DIR'))\n define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');",
        )
        .file("/etc/wordpress/config-a.example.php", "<?php define('WP_DEBUG', false);")
        .file(
            "/etc/wordpress/config-b.example.php",
            "<?php define('WP_CONTENT_DIR', '/srv/b/wp-content'); define('WP_DEBUG', true);",
        )
        .file(
            "/usr/share/wordpress/wp-content/plugins/akismet/akismet.php",
            "<?php\n/*\nPlugin Name: Akismet\nVersion: 5.0.2\n*/",
        )
        .link("/var/lib/wordpress/wp-content/plugins/akismet", "/usr/share/wordpress/wp-content/plugins/akismet")
        .file("/srv/b/wp-content/plugins/own.php", "<?php // Plugin Name: Own")
        .file(
            "/var/lib/dpkg/status",
            "Package: wordpress\nStatus: install ok installed\nVersion: 6.1.9+dfsg1-0+deb12u1\n",
        )
        .file("/var/lib/dpkg/info/wordpress.list", "/usr/share/wordpress/wp-includes/version.php\n");
    let look = host.look();
    assert_eq!(
        told(&look, "cms"),
        [
            "/usr/share/wordpress product=wordpress kind=cms version=6.4.3 package=wordpress package_version=6.1.9+dfsg1-0+deb12u1 \
          provenance=debian sites=/usr/share/wordpress requires_php=7.0.0 debug=true down=false drop_ins= \
          cron_disabled=false auto_updates=off"
        ]
    );
    let plugins: Vec<String> =
        told(&look, "cms_extension").iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(plugins, ["/var/lib/wordpress/wp-content/plugins/akismet", "/srv/b/wp-content/plugins/own.php"]);
    let wakes = host.wakes();
    assert!(wakes.iter().any(|path| path.ends_with("dpkg/status")), "{wakes:?}");
}

#[test]
fn what_did_not_change_is_not_read_again_and_what_changed_is() {
    let plugin = "/srv/a/wp-content/plugins/one/one.php";
    let host = wordpress(host(&["/srv/a"]), "/srv/a").file(plugin, "<?php /* Plugin Name: One\nVersion: 1.0 */");
    assert!(host.look().contains(" version=1.0 "));
    assert!(host.look().contains(" version=1.0 "));
    host.write(plugin, "<?php /* Plugin Name: One\nVersion: 1.1 */");
    assert!(host.look().contains(" version=1.1 "));
    host.remove(plugin);
    assert!(!host.look().contains("cms_extension"));
}
