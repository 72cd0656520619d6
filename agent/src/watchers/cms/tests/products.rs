use super::{host, told};
use crate::watcher::testing::Stage;

fn of(files: &[(&str, &str)], docroot: &str) -> Vec<String> {
    let host =
        files.iter().fold(host(&[docroot]), |host: Stage, (path, text)| host.file(&format!("/srv/a/{path}"), text));
    let look = host.look();
    let mut lines = told(&look, "cms");
    lines.extend(told(&look, "cms_extension").into_iter().filter(|line| line.contains(" cms=")));
    lines.into_iter().map(|line| line.replace("/srv/a", "")).collect()
}

const INSTALLED: &str = "vendor/composer/installed.json";

#[test]
fn drupal_of_both_generations() {
    assert_eq!(
        of(
            &[
                (
                    "core/lib/Drupal.php",
                    "<?php class Drupal { const VERSION = '10.2.3'; const MINIMUM_PHP = '8.1.0'; }"
                ),
                (
                    "modules/contrib/views_x/views_x.info.yml",
                    "name: 'Views X'\ntype: module\ncore_version_requirement: ^10\nversion: '8.x-1.2'\n"
                ),
                ("modules/README.txt", ""),
            ],
            "/srv/a"
        ),
        [
            " product=drupal kind=cms version=10.2.3 requires_php=8.1.0",
            "/modules/contrib/views_x cms= product=views_x kind=module name=Views X version=8.x-1.2 requires_cms=^10"
        ]
    );
    assert_eq!(
        of(
            &[
                ("includes/bootstrap.inc", "<?php\ndefine('VERSION', '7.98');\ndefine('DRUPAL_MINIMUM_PHP', '5.2.4');"),
                ("modules/system/system.info", "name = System\n"),
                ("sites/all/modules/ctools/ctools.info", "name = Chaos tools\ncore = 7.x\nversion = \"7.x-1.21\"\n"),
            ],
            "/srv/a"
        ),
        [
            " product=drupal kind=cms version=7.98 requires_php=5.2.4",
            "/sites/all/modules/ctools cms= product=ctools kind=module name=Chaos tools version=7.x-1.21 requires_cms=7.x"
        ]
    );
}

#[test]
fn joomla_without_what_comes_with_it() {
    let own = "<extension type=\"component\"><name>com_content</name><author>Joomla! Project</author><version>4.0.0</version></extension>";
    assert_eq!(
        of(
            &[
                (
                    "administrator/manifests/files/joomla.xml",
                    "<?xml version=\"1.0\"?><extension type=\"file\"><version>4.4.3</version></extension>"
                ),
                ("index.php", "<?php define('JOOMLA_MINIMUM_PHP', '7.2.5');"),
                (
                    "configuration.php",
                    "<?php class JConfig { public $offline = false; public $password = 'geheim'; public $debug = true; }"
                ),
                ("administrator/components/com_content/content.xml", own),
                (
                    "administrator/components/com_shop/shop.xml",
                    "<extension type=\"component\"><name>Shop</name><author>A</author><version>2.1</version></extension>"
                ),
                (
                    "plugins/system/cache2/cache2.xml",
                    "<extension type=\"plugin\"><name>Cache 2</name><version>1.0</version></extension>"
                ),
            ],
            "/srv/a"
        ),
        [
            " product=joomla kind=cms version=4.4.3 requires_php=7.2.5 debug=true down=false",
            "/administrator/components/com_shop cms= product=com_shop kind=component name=Shop version=2.1",
            "/plugins/system/cache2 cms= product=cache2 kind=plugin name=Cache 2 version=1.0",
        ]
    );
}

#[test]
fn shops_that_composer_installs() {
    let installed = r#"{"packages":[{"name":"magento/product-community-edition","version":"2.4.6-p3","type":"metapackage"},
        {"name":"magento/module-tax","version":"100.4","type":"magento2-module"},
        {"name":"acme/pay","version":"1.4.0","type":"magento2-module"}],"dev":false}"#;
    assert_eq!(
        of(
            &[
                ("bin/magento", ""),
                (INSTALLED, installed),
                ("pub/index.php", ""),
                ("app/etc/env.php", "<?php return ['crypt' => ['key' => 'geheim'], 'MAGE_MODE' => 'developer'];")
            ],
            "/srv/a/pub"
        ),
        [
            " product=magento kind=shop version=2.4.6-p3 debug=true down=false",
            "/vendor/acme/pay cms= product=acme/pay kind=module version=1.4.0",
        ]
    );
    let shopware = r#"{"packages":[{"name":"shopware/core","version":"v6.5.8.2"}]}"#;
    assert_eq!(
        of(
            &[
                ("vendor/shopware/core/composer.json", "{}"),
                (INSTALLED, shopware),
                (
                    "custom/plugins/Pay/composer.json",
                    r#"{"require":{"version":"9"},"name":"acme/pay","version":"3.0.1"}"#
                )
            ],
            "/srv/a"
        ),
        [
            " product=shopware kind=shop version=6.5.8.2",
            "/custom/plugins/Pay cms= product=Pay kind=plugin name=acme/pay version=3.0.1",
        ]
    );
    assert_eq!(
        of(
            &[
                ("classes/PrestaShopAutoload.php", ""),
                (
                    "app/AppKernel.php",
                    "<?php class AppKernel extends Kernel { const VERSION = '1.7.8.11'; const MAJOR_VERSION_STRING = '1.7'; }"
                ),
                ("config/defines.inc.php", "<?php if (!defined('_PS_MODE_DEV_')) { define('_PS_MODE_DEV_', true); }"),
                (
                    "modules/pay/config.xml",
                    "<module><name>pay</name><displayName><![CDATA[Pay]]></displayName><version><![CDATA[1.0.2]]></version></module>"
                ),
            ],
            "/srv/a"
        ),
        [
            " product=prestashop kind=shop version=1.7.8.11 debug=true",
            "/modules/pay cms= product=pay kind=module name=Pay version=1.0.2",
        ]
    );
}

#[test]
fn systems_that_composer_installs() {
    for (files, expected) in [
        (
            &[(
                "vendor/typo3/cms-core/Classes/Information/Typo3Version.php",
                "<?php class Typo3Version { protected const VERSION = '12.4.10'; protected const BRANCH = '12.4'; }",
            )][..],
            " product=typo3 kind=cms version=12.4.10",
        ),
        (
            &[
                ("vendor/craftcms/cms/composer.json", "{}"),
                (
                    "vendor/craftcms/cms/src/config/app.php",
                    "<?php return ['id' => 'CraftCMS', 'version' => '4.5.10', 'schemaVersion' => '4.5.3.0'];",
                ),
                (".env", "CRAFT_DEV_MODE=true\nCRAFT_SECURITY_KEY=geheim\n"),
            ],
            " product=craft-cms kind=cms version=4.5.10 debug=true",
        ),
        (
            &[
                ("vendor/contao/core-bundle/composer.json", "{}"),
                (INSTALLED, r#"[{"name":"contao/core-bundle","version":"4.13.35","type":"contao-bundle"}]"#),
            ],
            " product=contao kind=cms version=4.13.35",
        ),
        (
            &[
                ("Packages/Application/Neos.Neos/composer.json", "{}"),
                (
                    "Packages/Libraries/composer/installed.json",
                    r#"{"packages":[{"name":"neos/neos","version":"8.3.4"}]}"#,
                ),
            ],
            " product=neos kind=cms version=8.3.4",
        ),
        (
            &[("vendor/silverstripe/framework/composer.json", "{}")],
            " product=silverstripe kind=cms version=?(/vendor/composer/installed.json is not there)",
        ),
    ] {
        assert_eq!(of(files, "/srv/a"), [expected]);
    }
}

#[test]
fn frameworks_in_php() {
    let laravel = "vendor/laravel/framework/src/Illuminate/Foundation/Application.php";
    assert_eq!(
        of(
            &[
                ("artisan", "#!/usr/bin/env php"),
                (laravel, "<?php class Application {\n    const VERSION = '10.48.2';\n}"),
                (".env", "APP_NAME=x\nAPP_KEY=base64:geheim\nAPP_DEBUG=true # for now\n"),
                ("public/index.php", ""),
            ],
            "/srv/a/public"
        ),
        [" product=laravel kind=framework version=10.48.2 debug=true down=false"]
    );
    // put together: what .env says does not count
    let cached = "<?php return array('app' => array('name' => 'x', 'env' => 'production', 'debug' => false), 'x' => array('debug' => true));";
    let lines = of(
        &[
            ("artisan", ""),
            (laravel, "<?php const VERSION = '11.0.1';"),
            (".env", "APP_DEBUG=true"),
            ("bootstrap/cache/config.php", cached),
        ],
        "/srv/a",
    );
    assert_eq!(lines, [" product=laravel kind=framework version=11.0.1 debug=false down=false"]);
    let kernel = "<?php abstract class Kernel { public const VERSION = '6.4.2'; public const END_OF_MAINTENANCE = '11/2026'; public const END_OF_LIFE = '12/2027'; }";
    assert_eq!(
        of(
            &[
                ("bin/console", ""),
                ("vendor/symfony/http-kernel/Kernel.php", kernel),
                (".env", "APP_ENV=dev\nAPP_SECRET=geheim\n"),
                (".env.local", "APP_ENV=prod\nAPP_DEBUG=0\n")
            ],
            "/srv/a"
        ),
        [" product=symfony kind=framework version=6.4.2 debug=false support_until=2027-12-31T23:59:59Z \
          maintenance_until=2026-11-30T23:59:59Z"]
    );
}

#[test]
fn a_laravel_that_is_down_says_since_when() {
    let host = host(&["/srv/a"]).file("/srv/a/artisan", "laravel").file("/srv/a/storage/framework/down", "{}");
    host.touch("/srv/a/storage/framework/down", plumb_proto::time::Timestamp::from_secs(1_795_250_000));
    assert!(host.look().contains(" maintenance=2026-11-21T08:33:20Z down=true "));
}

#[test]
fn applications_of_workers_are_found_by_where_they_run() {
    let python = |host: Stage, pid: u32, folder: &str, words: &str| {
        host.link(&format!("/proc/{pid}/exe"), "/usr/bin/python3.11")
            .link(&format!("/proc/{pid}/cwd"), folder)
            .file(&format!("/proc/{pid}/cmdline"), words)
    };
    let host = host(&[])
        .file(
            "/srv/shop/manage.py",
            "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nimport django\n",
        )
        .file("/srv/shop/shop/settings.py", "SECRET_KEY = 'geheim'\nDEBUG = True\n")
        .file("/srv/venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n")
        .file("/srv/venv/lib/python3.11/site-packages/Django-4.2.7.dist-info/METADATA", "")
        .file("/srv/api/app.py", "")
        .file("/srv/api/.venv/pyvenv.cfg", "")
        .file("/srv/api/.venv/lib/python3.11/site-packages/flask-3.0.0.dist-info/METADATA", "")
        .file("/srv/rails/config/application.rb", "class A < Rails::Application")
        .file("/srv/rails/Gemfile.lock", "GEM\n  specs:\n    rails (7.1.2)\n      rack (>= 2)\n")
        .link("/proc/9/exe", "/usr/bin/ruby3.1")
        .link("/proc/9/cwd", "/srv/rails");
    let host = python(host, 7, "/srv/shop", "/srv/venv/bin/python3\0/srv/venv/bin/gunicorn\0shop.wsgi\0");
    let host = python(host, 8, "/srv/api", "python3\0/usr/bin/gunicorn\0app:app\0");
    assert_eq!(
        told(&host.look(), "cms"),
        [
            "/srv/api product=flask kind=framework version=3.0.0 sites=/srv/api",
            "/srv/rails product=rails kind=framework version=7.1.2 sites=/srv/rails",
            "/srv/shop product=django kind=framework version=4.2.7 sites=/srv/shop debug=true",
        ]
    );
}

#[test]
fn a_jar_that_runs_names_the_spring_boot_in_it() {
    let manifest = "Manifest-Version: 1.0\r\nSpring-Boot-Version: 3.2.1\r\n";
    let java = |host: Stage, pid: u32, jar: &str| {
        host.link(&format!("/proc/{pid}/exe"), "/usr/lib/jvm/java-17/bin/java")
            .link(&format!("/proc/{pid}/cwd"), "/opt/shop")
            .file(&format!("/proc/{pid}/cmdline"), format!("java\0-Xmx1g\0-jar\0{jar}\0--port=1\0"))
    };
    let host = host(&[]).file("/opt/shop/app.jar", archive(manifest)).file("/opt/shop/other.jar", archive("A: b\n"));
    let host = java(java(host, 7, "app.jar"), 8, "/opt/shop/other.jar");
    assert_eq!(
        told(&host.look(), "cms"),
        ["/opt/shop/app.jar product=spring-boot kind=framework version=3.2.1 sites=/opt/shop"]
    );
    host.write("/opt/shop/app.jar", "no archive");
    assert_eq!(
        told(&host.look(), "cms"),
        [
            "/opt/shop/app.jar product=spring-boot kind=framework version=?(/opt/shop/app.jar: not a ZIP archive) sites=/opt/shop"
        ]
    );
}

/// A jar with nothing but a manifest, not compressed.
fn archive(manifest: &str) -> Vec<u8> {
    const NAME: &[u8] = b"META-INF/MANIFEST.MF";
    let four = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    let common = [&[0; 10], &four(manifest.len())[..], &four(manifest.len()), &[20, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04\x14\0\0\0", &common[..], NAME, manifest.as_bytes()].concat();
    let central = [b"PK\x01\x02\x14\0\x14\0\0\0", &common[..], &[0; 14], NAME].concat();
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &four(central.len())[..], &four(local.len()), &[0, 0]].concat();
    [local, central, end].concat()
}

#[test]
fn what_symfony_is_told_for_this_host_counts_before_what_is_the_same_on_all() {
    let line = |files: &[(&str, &str)]| {
        let kernel = [("vendor/symfony/framework-bundle/composer.json", "{}")];
        let files = kernel.iter().chain(files);
        let host = files.fold(host(&["/srv/a"]), |host, (path, text)| host.file(&format!("/srv/a/{path}"), text));
        told(&host.look(), "cms").remove(0)
    };
    for (files, expected) in [
        (&[(".env", "APP_ENV=dev\n"), (".env.local", "APP_ENV=prod\n")][..], " debug=false"),
        (&[(".env", "APP_ENV=prod\n"), (".env.local", "APP_ENV=dev\n")], " debug=true"),
        (&[(".env.local", "APP_ENV=dev\n")], " debug=true"),
        (&[(".env", "APP_ENV=prod\n")], " debug=false"),
        // as a checkout has it: the service may set APP_ENV
        (&[(".env", "APP_ENV=dev\n")], " debug=?(.env, which is the same on all hosts, says yes"),
        (&[(".env", "APP_ENV=dev\n"), (".env.local.php", "<?php return ['APP_ENV' => 'prod'];")], " debug=false"),
    ] {
        assert!(line(files).contains(expected), "{files:?}: {}", line(files));
    }
}

#[test]
fn settings_of_django_are_those_that_visitors_reach() {
    let setting =
        |module: &str| format!("os.environ.setdefault('DJANGO_SETTINGS_MODULE', '{module}')\nimport django\n");
    let line = |wsgi: Option<&str>, settings: &str| {
        let host = host(&["/srv/a"])
            .file("/srv/a/manage.py", setting("config.settings.local"))
            .file("/srv/a/config/settings/local.py", "DEBUG = True\n")
            .file("/srv/a/config/settings/production.py", settings);
        let host = wsgi.iter().fold(host, |host, module| host.file("/srv/a/config/wsgi.py", setting(module)));
        told(&host.look(), "cms").remove(0)
    };
    let served = Some("config.settings.production");
    for (wsgi, settings, expected) in [
        (None, "DEBUG = False\n", " debug=true"),
        (served, "DEBUG = False\n", " debug=false"),
        (served, "DEBUG = True\nDEBUG = False  # at last\n", " debug=false"),
        (served, "DEBUG = True\nfrom .secrets import *\n", " debug=?("),
        (served, "DEBUG = True\nif X:\n    DEBUG = False\n", " debug=?("),
        (served, "from .base import *\nDEBUG = False\nTEMPLATE_DEBUG = True\n", " debug=false"),
    ] {
        assert!(line(wsgi, settings).contains(expected), "{settings}: {}", line(wsgi, settings));
    }
}
