use std::time::Duration;

use plumb_proto::time::Timestamp;

use super::super::SPEC;
use crate::watcher::testing::{NOW, Stage, stage};

const FPM: &str = "/usr/sbin/php-fpm8.2";
const CONFIG: &str = "/etc/php/8.2/fpm/php-fpm.conf";
const TITLES: &str = "sl local rem st tx:rx tr tm uid timeout inode\n";

/// A host with a master (process 70, ten minutes old) of two pools, and the workers 71 and 72 of the first.
fn host() -> Stage {
    let host = stage(&SPEC)
        .file("/var/lib/dpkg/status", "Package: other\n")
        .folder("/var/lib/dpkg/info")
        .file(FPM, "\x7fELF\0X-Powered-By: PHP/8.2.1\0")
        .mode(FPM, 0o755)
        .file(CONFIG, "[global]\npid = /run/php/fpm.pid\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n")
        .file(
            "/etc/php/8.2/fpm/pool.d/shop.conf",
            "[shop]\nlisten = 127.0.0.1:9000\npm = static\npm.max_children = 2\n",
        )
        .file("/etc/php/8.2/fpm/pool.d/blog.conf", "[blog]\nlisten = /run/b.sock\npm = ondemand\npm.max_children = 1\n")
        .file("/etc/php/8.2/fpm/php.ini", "memory_limit = 128M\n")
        .link("/proc/70/exe", FPM)
        .file("/proc/70/cmdline", format!("php-fpm: master process ({CONFIG})\0"))
        .file("/proc/70/stat", format!("70 (php-fpm8.2) S 1{} 40000 1\n", " 7".repeat(17)))
        .file("/proc/70/task/70/children", "71 72 ")
        .file("/proc/71/cmdline", "php-fpm: pool shop\0\0\0")
        .file("/proc/72/cmdline", "php-fpm: pool shop\0\0\0")
        .file("/proc/71/status", "Name: x\nRssAnon:\t    3000 kB\n")
        .file("/proc/72/status", "Name: x\nRssAnon:\t    1000 kB\n")
        .file("/proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
        .file("/proc/uptime", "1000.00 77.00\n")
        .file("/proc/net/udp", TITLES)
        .file("/proc/net/tcp", queue(0));
    for path in
        [CONFIG, "/etc/php/8.2/fpm/pool.d/shop.conf", "/etc/php/8.2/fpm/pool.d/blog.conf", "/etc/php/8.2/fpm/php.ini"]
    {
        host.touch(path, ago(3_600));
    }
    host
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() - seconds * 1_000)
}

/// So many wait on port 9000.
fn queue(waiting: u32) -> String {
    format!(
        "{TITLES} 0: 0100007F:2328 00000000:0000 0A 00000000:{waiting:08X} 00:00000000 00000000 0 0 900 1 0 100 0 0 10 0\n"
    )
}

/// The row of a pool, from the column on.
fn row(told: &str, pool: &str, from: &str) -> String {
    let line = told.lines().find(|line| line.starts_with(&format!("fact php_pool 8.2/{pool} "))).unwrap_or(told);
    let at = line.find(&format!(" {from}=")).unwrap_or(0);
    line[at..].trim().to_owned()
}

#[test]
fn a_pool_is_told_with_its_settings_and_when_they_were_loaded() {
    let host = host();
    assert_eq!(
        row(&host.look(), "shop", "php"),
        "php=fpm/8.2 listen=127.0.0.1:9000 pm=static max_children=2 max_requests=0 \
         config=/etc/php/8.2/fpm/pool.d/shop.conf memory_limit_bytes=134217728 max_execution_time=30 \
         upload_max_filesize_bytes=2097152 post_max_size_bytes=8388608 display_errors=true expose_php=true \
         allow_url_include=false opcache=false timezone=UTC saturated=false config_changed=2026-11-21T09:00:00Z \
         config_loaded=2026-11-21T09:50:00Z reload_needed=false from /etc/php/8.2/fpm/pool.d/shop.conf"
    );
}

#[test]
fn a_queue_before_full_workers_is_told_and_its_end_too() {
    let host = host();
    let look = |seconds: u64, waiting: u32| {
        host.clock().advance(Duration::from_secs(seconds));
        host.write("/proc/net/tcp", queue(waiting));
        let told = host.look();
        let urgent = if told.contains("\nurgent\n") { "urgent " } else { "" };
        let row = row(&told, "shop", "saturated");
        format!("{urgent}{}", row.split(" config_changed").next().unwrap_or_default())
    };
    assert_eq!(look(0, 0), "saturated=false");
    assert_eq!(look(5, 7), "saturated=false");
    assert_eq!(look(1, 9), "urgent saturated=true queue=9 workers=2");
    assert_eq!(look(5, 20), "saturated=true queue=9 workers=2");
    assert_eq!(look(60, 20), "saturated=true queue=20 workers=2");
    assert_eq!(look(5, 0), "saturated=true queue=20 workers=2");
    assert_eq!(look(5, 0), "urgent saturated=false");
}

#[test]
fn a_queue_that_nobody_tells_of_is_unknown_where_it_matters_and_only_there() {
    let host = host();
    assert!(row(&host.look(), "blog", "saturated").starts_with("saturated=false "));
    host.write("/proc/70/task/70/children", "71 72 73 ");
    host.write("/proc/73/cmdline", "php-fpm: pool blog\0");
    let why = "saturated=?(UNIX sockets: asked of the kernel, which is not done under --root) ";
    assert!(row(&host.look(), "blog", "saturated").starts_with(why));
    assert!(row(&host.look(), "shop", "saturated").starts_with("saturated=false "));
    let host = host.link("/proc/1/ns/net", "net:[1]").link("/proc/70/ns/net", "net:[2]");
    let why = "saturated=?(its master is in another network namespace than the agent) ";
    assert!(row(&host.look(), "shop", "saturated").starts_with(why));
}

#[test]
fn workers_their_memory_and_what_all_would_take_are_series() {
    let host = host();
    let told = host.look();
    let samples: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("sample php_")).collect();
    // Of `blog`, which has had no worker yet, nothing is guessed.
    assert_eq!(
        samples,
        [
            "pool_workers{pool=\"8.2/blog\"} 0",
            "pool_workers{pool=\"8.2/shop\"} 2",
            "pool_listen_queue{pool=\"8.2/shop\"} 0",
            "pool_worker_memory_bytes{pool=\"8.2/shop\"} 3072000",
            "memory_if_full_bytes 6144000",
            "memory_room_bytes 9216000",
        ]
    );
    // All come together, so that none of them reads as one that could not be seen.
    host.clock().advance(Duration::from_secs(30));
    assert!(!host.look().contains("sample "));
    host.clock().advance(Duration::from_secs(31));
    let later = host.look();
    assert_eq!(later.lines().filter_map(|line| line.strip_prefix("sample php_")).collect::<Vec<_>>(), samples);
}

#[test]
fn what_one_full_pool_would_need_beside_the_others_is_remembered_for_a_day_or_until_limits_change() {
    let host = host();
    host.write("/proc/70/task/70/children", "71 72 73 ");
    host.write("/proc/73/cmdline", "php-fpm: pool blog\0");
    host.write("/proc/73/status", "RssAnon: 500 kB\n");
    let limit = |pool: &str, from: &str, limit: u32| {
        let file = format!("/etc/php/8.2/fpm/pool.d/{pool}.conf");
        host.write(&file, format!("[{pool}]\nlisten = {from}\npm = ondemand\npm.max_children = {limit}\n"));
        host.touch(&file, ago(3_600));
        // Loaded by a master that was started after that.
        host.write("/proc/70/stat", format!("70 (php-fpm8.2) S 1{} {} 1\n", " 7".repeat(17), 40_000 + limit));
    };
    let needed = |hours: u64| {
        host.clock().advance(Duration::from_secs(hours * 3_600));
        let told = host.look();
        let line = told.lines().find_map(|line| line.strip_prefix("sample php_memory_if_full_bytes "));
        line.and_then(|line| line.parse::<u64>().ok()).map(|bytes| bytes >> 10)
    };
    // What is there takes 2 x 3,000 and 500; eight more of `blog` would take more than two of `shop`.
    limit("shop", "127.0.0.1:9000", 3);
    limit("blog", "/run/b.sock", 9);
    assert_eq!(needed(0), Some(6_500 + 8 * 500));
    host.write("/proc/70/task/70/children", "71 ");
    assert_eq!(needed(1), Some(6_500 + 8 * 500), "the busiest moment of the last day");
    limit("blog", "/run/b.sock", 2);
    assert_eq!(needed(1), Some(3_000 + 2 * 3_000), "now `shop` would take the most");
    host.write("/proc/70/task/70/children", "71 72 ");
    host.write("/proc/72/status", "RssAnon: 9000 kB\n");
    assert_eq!(needed(1), Some(3 * 9_000));
    host.write("/proc/72/status", "RssAnon: 1000 kB\n");
    assert_eq!((needed(13), needed(13)), (Some(3 * 9_000), Some(3 * 3_000)), "a day has passed");
}

#[test]
fn what_sites_set_for_themselves_is_told_by_document_root() {
    let host = host()
        .file(
            "/etc/nginx/nginx.conf",
            "http {\nserver { server_name a.example; root /srv/a; location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; } }\n\
             server { server_name b.example; root /srv/b; location ~ \\.php$ { fastcgi_pass unix:/run/b.sock; } }\n\
             server { server_name c.example; root /srv/c; location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; } }\n}\n",
        )
        .file("/srv/a/.user.ini", "; mine\nmemory_limit = 512M\nauto_prepend_file = /srv/secret.php\nexpose_php = on\n")
        .file("/srv/a/below/.user.ini", "memory_limit = 1G\n")
        .file("/srv/c/.user.ini", "x".repeat(80 << 10));
    let list = |pool: &str| row(&host.look(), pool, "user_ini");
    assert!(list("shop").starts_with(
        "user_ini=/srv/a: memory_limit=512M,/srv/c: .user.ini cannot be read: bigger than 65536 bytes from "
    ));
    assert!(!list("blog").contains("user_ini"), "{}", list("blog"));
    host.write("/srv/b/.user.ini", "display_errors = on\n[HOST=x.example]\nmemory_limit = 1G\n");
    assert!(list("blog").starts_with("user_ini=/srv/b: display_errors=1 from "), "{}", list("blog"));
}

#[test]
fn of_many_sites_some_are_told_and_the_rest_is_counted() {
    let sites: String = (0..30)
        .map(|number| {
            format!("server {{ server_name s{number}.example; root /srv/{number}; location / {{ fastcgi_pass 127.0.0.1:9000; }} }}\n")
        })
        .collect();
    let host = host().file("/etc/nginx/nginx.conf", format!("http {{\n{sites}}}\n"));
    (0..30).for_each(|number| host.write(&format!("/srv/{number}/.user.ini"), "post_max_size = 1G\n"));
    let told = row(&host.look(), "shop", "user_ini");
    assert_eq!(told.matches("post_max_size=1G").count(), 19);
    assert!(told.contains(",and 11 more from "), "{told}");
}

#[test]
fn what_was_changed_and_not_loaded_is_told_with_both_values_even_by_an_agent_that_was_restarted() {
    let host = host();
    host.write("/run/php/fpm.pid", "70\n");
    host.touch("/run/php/fpm.pid", ago(120));
    host.look();
    host.write("/etc/php/8.2/fpm/php.ini", "memory_limit = 256M\nsession.name = A\n");
    host.restart();
    let expected =
        "reload_needed=true pending=memory_limit: 128M in effect, 256M on disk,other settings of php.ini were changed";
    let told = row(&host.look(), "shop", "reload_needed");
    assert_eq!(told.split(" from ").next(), Some(expected));
    host.write("/etc/php/8.2/fpm/php.ini", "memory_limit = 128M ; as before\n");
    assert!(row(&host.look(), "shop", "reload_needed").starts_with("reload_needed=false from"));
}

#[test]
fn without_a_pid_file_a_change_since_the_start_is_not_judged() {
    let host = host();
    host.look();
    host.touch("/etc/php/8.2/fpm/php.ini", ago(60));
    let why = "?(FPM writes no pid file, so whether it was reloaded since its start cannot be seen)";
    let told = row(&host.look(), "shop", "config_loaded");
    assert!(told.starts_with(&format!("config_loaded={why} reload_needed={why} from")), "{told}");
    host.write("/run/php/fpm.pid", "70");
    host.touch("/run/php/fpm.pid", ago(120));
    let blind =
        "reload_needed=true pending=php.ini was changed after it was loaded; what is in effect cannot be seen from";
    assert!(row(&host.look(), "shop", "reload_needed").starts_with(blind));
    host.touch("/run/php/fpm.pid", ago(30));
    assert!(row(&host.look(), "shop", "reload_needed").starts_with("reload_needed=false from"));
}

#[test]
fn a_pool_whose_file_cannot_be_read_any_more_is_unknown_and_no_other_is() {
    let host = host();
    host.look();
    host.write("/etc/php/8.2/fpm/pool.d/blog.conf", " ".repeat(2 << 20));
    for _ in 0..2 {
        let told = host.look();
        assert!(told.contains("fact php_pool 8.2/shop ") && !told.contains("fact php_pool 8.2/blog "), "{told}");
        let expected = "problem php_pool 8.2/blog* /etc/php/8.2/fpm/pool.d/blog.conf: bigger than 1048576 bytes\n";
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_pool_that_nobody_runs_is_told_as_it_is_configured() {
    let host = stage(&SPEC)
        .file("/proc/1/comm", "init\n")
        .file(FPM, "\x7fELF\0X-Powered-By: PHP/8.2.1\0")
        .mode(FPM, 0o755)
        .file(CONFIG, "[www]\nlisten = 9000\npm = static\npm.max_children = 2\n");
    let told = host.look();
    let row = row(&told, "www", "php");
    assert!(row.contains(" max_children=2 ") && !row.contains("saturated") && !row.contains("config_loaded"), "{row}");
    assert!(!told.contains("sample "), "{told}");
}
