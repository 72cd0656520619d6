use super::SPEC;
use crate::watcher::testing::{NOW, Stage, stage};
use plumb_proto::time::Timestamp;

const NGINX: &str = "/usr/sbin/nginx";
const CONF: &str = "/etc/nginx/nginx.conf";
const MAIN: &str = "http { include sites-enabled/*; }";

/// A host with nginx installed by nobody's package.
fn host() -> Stage {
    stage(&SPEC)
        .file("/var/lib/dpkg/status", "Package: other\n")
        .folder("/var/lib/dpkg/info")
        .file("/proc/1/comm", "init\n")
        .file("/proc/uptime", "10000.00 1.00\n")
        .file(NGINX, "\x7fELF\0/etc/nginx/nginx.conf\0nginx version: nginx/1.22.1\0")
        .mode(NGINX, 0o755)
        .file(CONF, MAIN)
}

/// A process of nginx that started so many seconds after boot.
fn process(stage: Stage, pid: u32, parent: u32, start: u32, title: &str) -> Stage {
    let folder = format!("/proc/{pid}");
    stage
        .link(&format!("{folder}/exe"), NGINX)
        .file(&format!("{folder}/comm"), "nginx\n")
        .file(&format!("{folder}/cmdline"), format!("{title}\0"))
        .file(&format!("{folder}/maps"), "7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libssl.so.3\n")
        .file(
            &format!("{folder}/stat"),
            format!("{pid} (nginx) S {parent}{} {} 0\n", " 0".repeat(17), u64::from(start) * 100),
        )
}

/// Runs since 1,000 seconds after boot, and loaded its configuration anew at 9,000: 1,000 seconds ago.
fn running() -> Stage {
    let host = process(host(), 50, 1, 1_000, "nginx: master process /usr/sbin/nginx");
    let host = process(host, 51, 50, 1_000, "nginx: worker process is shutting down");
    process(host, 52, 50, 9_000, "nginx: worker process")
}

fn before(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() - seconds * 1_000)
}

fn has(told: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(told.contains(word), "{word} in {told}"));
}

#[test]
fn a_host_without_a_web_server_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
    // What a package left behind when it was removed serves nothing.
    assert_eq!(
        stage(&SPEC).file("/proc/1/comm", "init\n").file(CONF, "http { server { root /srv; } }").look(),
        "absent"
    );
}

#[test]
fn a_server_that_is_installed_is_told_with_its_version_and_its_sites() {
    let host = host().file("/etc/nginx/sites-enabled/a", "server { server_name a.example; root /srv/a; }");
    host.touch(CONF, before(50));
    host.touch("/etc/nginx/sites-enabled/a", before(70));
    assert_eq!(
        host.look(),
        "fact web_server nginx version=1.22.1 binary=/usr/sbin/nginx provenance=self-built config=/etc/nginx/nginx.conf \
         running=false config_ok=true config_changed=2026-11-21T09:59:10Z from /etc/nginx/nginx.conf\n\
         fact site nginx/a.example server=nginx names=a.example listen=*:80 docroot=/srv/a tls=false \
         config=/etc/nginx/sites-enabled/a from /etc/nginx/sites-enabled/a\n"
    );
}

#[test]
fn what_was_changed_after_the_workers_started_was_not_loaded() {
    let host = running();
    host.touch(CONF, before(2_000));
    let told = host.look();
    has(&told, &[" running=true running_version=1.22.1 restart_needed=false ", " reload_needed=false "]);
    // The worker that shuts down is of an older configuration.
    has(&told, &[" config_loaded=2026-11-21T09:43:20Z "]);
    host.touch(CONF, before(999));
    has(&host.look(), &[" reload_needed=false "]);
    host.touch(CONF, before(900));
    has(&host.look(), &[" reload_needed=true "]);
}

#[test]
fn a_server_that_replaces_itself_is_told_by_the_one_that_stays() {
    let host = running();
    host.remove("/proc/50/exe");
    host.write(NGINX, "\x7fELF\0nginx version: nginx/1.26.3\0");
    let host = host.link("/proc/50/exe", "/usr/sbin/nginx (deleted)");
    host.write("/proc/52/cmdline", "nginx: worker process is shutting down\0");
    let host = process(host, 60, 50, 9_500, "nginx: master process /usr/sbin/nginx");
    let host = process(host, 61, 60, 9_500, "nginx: worker process");
    host.touch(CONF, before(600));
    let told = host.look();
    has(&told, &[" running_version=1.26.3 restart_needed=false ", " config_loaded=2026-11-21T09:51:40Z "]);
    has(&told, &[" reload_needed=false "]);
}

#[test]
fn times_that_lie_ahead_say_nothing_of_what_was_loaded() {
    let host = running();
    host.touch(CONF, before(-600));
    has(&host.look(), &[" reload_needed=?(one of its files carries a time that has not come yet"]);
    host.touch(CONF, before(600));
    host.write("/proc/uptime", "500.00 1.00\n");
    has(&host.look(), &[" config_loaded=?(by the uptime that the system tells, its processes are still to be started"]);
}

#[test]
fn a_program_or_library_that_was_replaced_asks_for_a_restart() {
    let host = running();
    has(&host.look(), &[" running_version=1.22.1 restart_needed=false "]);
    host.write("/proc/50/maps", "7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libssl.so.3 (deleted)\n");
    has(&host.look(), &[" restart_needed=true "]);
    host.write("/proc/50/maps", "7f00-7f01 rw-s 00000000 00:01 12 /dev/zero (deleted)\n");
    has(&host.look(), &[" restart_needed=false "]);
    host.remove("/proc/50/exe");
    host.write(NGINX, "\x7fELF\0nginx version: nginx/1.26.3\0");
    let host = host.link("/proc/50/exe", "/usr/sbin/nginx (deleted)");
    has(&host.look(), &[" version=1.26.3 ", " running_version=1.22.1 restart_needed=true "]);
}

#[test]
fn what_cannot_work_is_told_and_goes_when_it_is_repaired() {
    let host = host().file("/etc/nginx/sites-enabled/a", "server { server_name a.example;");
    has(&host.look(), &[" config_ok=false config_fault=/etc/nginx/sites-enabled/a: a block is not closed "]);
    host.write("/etc/nginx/sites-enabled/a", "server { server_name a.example; }");
    has(&host.look(), &[" config_ok=true "]);
    host.write(CONF, "http { include gone.conf; }");
    has(&host.look(), &["config_fault=/etc/nginx/nginx.conf: includes /etc/nginx/gone.conf, which is missing "]);
}

#[test]
fn a_configuration_that_cannot_be_read_leaves_what_it_says_unknown() {
    let host = host().file(CONF, "# ".repeat(5 << 20));
    let told = host.look();
    has(&told, &[" config_ok=?(its configuration cannot be read) "]);
    has(&told, &["problem site * /etc/nginx/nginx.conf: bigger than 8388608 bytes\n"]);
}

#[test]
fn a_site_is_told_with_the_pool_of_its_php_and_its_application() {
    let host = host()
        .file("/usr/sbin/php-fpm8.2", "\x7fELF\0X-Powered-By: PHP/8.2.1\0")
        .mode("/usr/sbin/php-fpm8.2", 0o755)
        .file("/etc/php/8.2/fpm/php-fpm.conf", "include=/etc/php/8.2/fpm/pool.d/*.conf\n")
        .file("/etc/php/8.2/fpm/pool.d/www.conf", "[www]\nuser = www-data\nlisten = /run/php/php8.2-fpm.sock\npm = static\npm.max_children = 2\n")
        .file("/srv/a/wp-includes/version.php", "<?php $wp_version = '6.7';")
        .file(
            "/etc/nginx/sites-enabled/a",
            "server { server_name a.example; root /srv/a; location ~ \\.php$ { fastcgi_pass unix:/run/php/php8.2-fpm.sock; } }
             server { server_name b.example; location ~ \\.php$ { fastcgi_pass unix:/run/gone.sock; } }
             server { server_name c.example; root /srv/$host; }",
        );
    let told = host.look();
    has(
        &told,
        &[
            " php=fpm php_socket=/run/php/php8.2-fpm.sock php_pool=8.2/www php_version=8.2 cms=wordpress cms_path=/srv/a ",
        ],
    );
    has(&told, &[" php_pool=?(no pool of PHP-FPM on this host is configured to answer at /run/gone.sock) "]);
    has(&told, &[" docroot=?(it depends on the variable $host) "]);
}

#[test]
fn a_site_that_another_server_of_the_host_runs_is_told_so() {
    let host = host()
        .file("/usr/sbin/apache2", "\x7fELF\0Apache/2.4.62 (Debian)\0")
        .mode("/usr/sbin/apache2", 0o755)
        .file(
            "/etc/apache2/apache2.conf",
            "<VirtualHost *:8080>\nServerName a.example\nAddHandler application/x-httpd-ea-php81 .php\n</VirtualHost>\n",
        )
        .file("/etc/nginx/sites-enabled/a", "server { server_name a.example; location / { proxy_pass http://127.0.0.1:8080; } }");
    let told = host.look();
    has(&told, &["fact web_server apache version=2.4.62 "]);
    has(
        &told,
        &[
            "site nginx/a.example server=nginx names=a.example listen=*:80 tls=false php=proxy proxy=http://127.0.0.1:8080 ",
        ],
    );
    has(&told, &[" php=cgi php_socket=application/x-httpd-ea-php81 php_version=8.1 "]);
}

#[test]
fn a_site_of_apaches_module_has_the_branch_of_that() {
    let host = host()
        .file("/usr/sbin/httpd", "\x7fELF\0Apache/2.4.62\0")
        .mode("/usr/sbin/httpd", 0o755)
        .file("/etc/httpd/modules/libphp.so", "\x7fELF\0X-Powered-By: PHP/8.3.14\0")
        .file(
            "/etc/httpd/conf/httpd.conf",
            "LoadModule php_module modules/libphp.so\nAddType application/x-httpd-php .php\n\
             <VirtualHost *:80>\nServerName a.example\n</VirtualHost>\n",
        );
    has(&host.look(), &[" php=module php_version=8.3 "]);
    host.write(
        "/etc/httpd/conf/httpd.conf",
        "LoadModule php_module /usr/lib/libphp8.2.so\nAddType application/x-httpd-php .php\n\
         <VirtualHost *:80>\nServerName a.example\n</VirtualHost>\n",
    );
    has(&host.look(), &[" php=module php_version=8.2 "]);
    host.write(
        "/etc/httpd/conf/httpd.conf",
        "LoadModule php_module modules/libphp9.so\nAddType application/x-httpd-php .php\n\
         <VirtualHost *:80>\nServerName a.example\n</VirtualHost>\n",
    );
    has(&host.look(), &[" php=module ", " php_version=?(/etc/httpd/modules/libphp9.so: "]);
}

#[test]
fn many_sites_are_told_in_slices() {
    let sites: String = (0..120).map(|n| format!("server {{ server_name s{n}.example; }}\n")).collect();
    let (slices, told) = host().file("/etc/nginx/sites-enabled/all", sites).slices();
    assert_eq!((slices, told.lines().count()), (3, 121));
}

#[test]
fn folders_of_what_is_included_bring_a_look_forward() {
    let host = host().file("/srv/conf/x.conf", "").file("/etc/nginx/sites-enabled/a", "include /srv/conf/*.conf;");
    let _ = host.look();
    assert!(host.wakes().iter().any(|path| path.as_os_str() == "/srv/conf"));
}
