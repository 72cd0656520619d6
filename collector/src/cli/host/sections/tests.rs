use plumb_proto::generated::model::Label;
use plumb_proto::generated::query::{HostState, Unknown};

use super::*;
use crate::cli::facts::tests::row;
use crate::cli::host::screen;
use crate::cli::hosts::tests::host;
use crate::cli::printer::testing::{NOW, screen as on_screen};

fn word(text: &str) -> Value {
    Value::Text(text.into())
}

fn version(text: &str) -> Value {
    Value::Version(text.into())
}

fn earlier(seconds: i64) -> Value {
    Value::Time(Timestamp::from_millis(NOW.millis() - seconds * 1000))
}

fn unknown(mut row: Row, column: &str, reason: &str) -> Row {
    row.unknown.push(Unknown { column: column.to_owned(), reason: reason.to_owned() });
    row
}

fn value(name: &str, label: &str, key: &str, value: Option<f64>, rate: Option<f64>) -> Sample {
    let labels = vec![Label { name: label.to_owned(), value: key.as_bytes().to_vec() }];
    Sample { name: name.to_owned(), labels, value, rate, at_ms: NOW.millis() - 5_000 }
}

fn databases() -> Vec<Row> {
    let mysql = row(
        "database",
        "mariadb/main",
        &[
            ("version", version("10.11.14")),
            ("running_version", version("10.11.11")),
            ("package", word("mariadb-server")),
            ("package_version", version("1:10.11.14-0+deb12u2")),
            ("running", true.into()),
            ("restart_needed", true.into()),
        ],
    );
    let postgresql = row(
        "database",
        "postgresql/15/main",
        &[
            ("version", version("15.14")),
            ("running_version", version("15.14")),
            ("package", word("postgresql-15")),
            ("package_version", version("15.14-0+deb12u1")),
            ("running", false.into()),
        ],
    );
    let redis = unknown(row("database", "redis/6379", &[("package", word("redis-server"))]), "", "timed out");
    vec![mysql, postgresql, redis]
}

fn services() -> Vec<Row> {
    let service =
        |unit: &str, active: &str| row("service", unit, &[("active", word(active)), ("enabled", word("enabled"))]);
    let result = [("result", word("exit-code")), ("triggered_by", word("certbot.timer"))];
    vec![
        service("cron.service", "active"),
        service("nginx.service", "failed"),
        service("postfix.service", "inactive"),
        unknown(service("ssh.service", "active"), "active", "no answer"),
        service("php8.2-fpm.service", "active"),
        row("failed_unit", "certbot.service", &result),
        row("failed_unit", "nginx.service", &[("result", word("oom-kill"))]),
    ]
}

fn listeners() -> Vec<Row> {
    let listener = |key: &str, process: &str, exposure: &str| {
        row("listener", key, &[("process", word(process)), ("user", word("root")), ("exposure", word(exposure))])
    };
    vec![
        listener("tcp/0.0.0.0:443", "nginx", "public"),
        listener("tcp/0.0.0.0:80", "nginx", "public"),
        listener("tcp/127.0.0.1:3306", "mariadbd", "loopback"),
        unknown(listener("tcp/192.0.2.7:9100", "?", "public"), "process", "permission denied"),
        listener("tcp/10.0.0.5:22", "sshd", "private"),
        listener("tcp/[::]:443", "nginx", "public"),
        unknown(listener("udp/0.0.0.0:53", "unbound", "public"), "", "not read"),
    ]
}

fn logs() -> Vec<Row> {
    let failure = |key: &str, severity: &str, title: &str, text: &str, count: i64| {
        let times = [("first", earlier(7_200)), ("last", earlier(120)), ("count", Value::Int(count))];
        let texts = [("severity", word(severity)), ("title", word(title)), ("text", word(text))];
        row("log_failure", key, &[texts.as_slice(), times.as_slice()].concat())
    };
    vec![
        row("log_source", "/var/log/nginx/access.log", &[("format", word("nginx-access"))]),
        row("log_source", "journal", &[("format", word("journal"))]),
        failure(
            "php_fatal@/var/log/php8.2-fpm.log",
            "warning",
            "PHP ends with an error",
            "PHP Fatal error: \x1b[2J",
            12,
        ),
        failure(
            "database_connection@journal",
            "critical",
            "The database takes no connections",
            "Too many connections",
            480,
        ),
    ]
}

fn backups() -> Vec<Row> {
    let backup = |key: &str, age: i64, fields: &[(&str, Value)]| {
        let day = Value::Int(86_400);
        let told = [("newest", earlier(age)), ("size", Value::Int(1_288_490_188)), ("interval_seconds", day)];
        row("backup", key, &[told.as_slice(), fields].concat())
    };
    let late = ("late_after_seconds", Value::Int(100_000));
    let sealed = [("verdict", word("unknown")), ("reason", word("it is encrypted"))];
    let cut =
        [("valid", false.into()), ("verdict", word("incomplete")), ("reason", word("the archive ends in the middle"))];
    vec![
        backup("/var/backups/files-*.tar.gz.gpg", 40_000, &sealed),
        backup("/var/backups/mysql/shop-*.sql.gz", 30_000, &[("valid", true.into()), late.clone()]),
        backup("/var/backups/mysql/wiki-*.sql.gz", 400_000, &[("valid", true.into()), late]),
        backup("nightly", 50_000, &cut),
        unknown(row("backup", "offsite", &[]), "newest", "permission denied"),
    ]
}

fn files() -> Vec<Row> {
    let tree = |key: &str, files: i64| {
        let size = Value::Int(734_003_200);
        row("tree", key, &[("files", Value::Int(files)), ("size_bytes", size), ("mode", word("events"))])
    };
    vec![
        row("package_file", "/usr/bin/ssh", &[("package", word("openssh-client")), ("problem", word("altered"))]),
        row("package_file", "more", &[("problem", word("7 more"))]),
        tree("/etc/nginx", 61),
        unknown(tree("/var/www/shop.example.org/current", 18_231), "code_digest", "2 files cannot be read"),
    ]
}

fn whole(rows: Vec<Vec<Row>>) -> HostPart {
    HostPart {
        host: Some(host("web-1", HostState::Ok)),
        rows: rows.into_iter().flatten().collect(),
        samples: vec![
            value("database_size_bytes", "database", "mariadb/main", Some(2_147_483_648.0), None),
            value("database_size_bytes", "database", "postgresql/15/main", None, None),
            value("log_lines_total", "log_source", "journal", Some(7.0), Some(3.5)),
            value("log_lines_total", "log_source", "/var/log/nginx/access.log", Some(7.0), None),
        ],
        ..HostPart::default()
    }
}

/// The parts alone, between what every host's screen has.
fn shown(width: usize, rows: Vec<Vec<Row>>) -> String {
    let whole = whole(rows);
    let screen = on_screen(width, |printer| screen::print(&whole, printer).unwrap());
    let begin = screen.find("\n\n").map_or(0, |begin| begin + 2);
    let end = screen.find("\nNot known\n").unwrap_or(screen.len());
    screen[begin..end].to_owned()
}

fn everything() -> Vec<Vec<Row>> {
    vec![databases(), services(), listeners(), logs(), backups(), files()]
}

#[test]
fn each_subject_has_its_part_on_80_columns() {
    assert_eq!(
        shown(80, everything()),
        "\
Databases
  mariadb/main        10.11.14  still runs 10.11.11: restart it  2.0 GiB
  postgresql/15/main  15.14     NOT running                            ?
  redis/6379          ?         ? whether it runs

Services
  certbot.service  failed             exit-code, started by certbot.timer
  nginx.service    failed             oom-kill
  postfix.service  inactive
  ssh.service      ? whether it runs
  2 services run

Listeners
    80  tcp  nginx  root  0.0.0.0
   443  tcp  nginx  root  0.0.0.0, [::]
  9100  tcp  ?      root  192.0.2.7
  1 on private addresses, 1 on loopback only
  ? 1 of which it is not known who reaches them

Logs
  critical  480x  2 min ago  The database takes no   Too many connections
                             connections
  warning    12x  2 min ago  PHP ends with an error  PHP Fatal error: \\x1b[2J
  2 logs are read, at least 210 lines a minute

Backups
  nightly                           13 h ago       INCOMPLETE: the archive ends
                                                   in the middle
  /var/backups/mysql/wiki-*.sql.gz  4 d ago: late  complete
  /var/backups/files-*.tar.gz.gpg   11 h ago       not judged: it is encrypted
  offsite                           ?              not judged
  /var/backups/mysql/shop-*.sql.gz  8 h ago        complete

Files
  /usr/bin/ssh                       altered      of openssh-client
  more                               7 more
  /etc/nginx                         61 files     unchanged for 1 h
  /var/www/shop.example.org/current  18231 files  unchanged for 1 h; ? not all
                                                  of it can be read
"
    );
}

#[test]
fn a_wide_terminal_shows_more_of_each() {
    assert_eq!(
        shown(140, everything()),
        "\
Databases
  mariadb/main        10.11.14  still runs 10.11.11: restart it  2.0 GiB  mariadb-server 1:10.11.14-0+deb12u2
  postgresql/15/main  15.14     NOT running                            ?  postgresql-15 15.14-0+deb12u1
  redis/6379          ?         ? whether it runs                         redis-server?

Services
  certbot.service  failed             exit-code, started by certbot.timer
  nginx.service    failed             oom-kill
  postfix.service  inactive
  ssh.service      ? whether it runs
  2 services run

Listeners
    80  tcp  nginx  root  0.0.0.0
   443  tcp  nginx  root  0.0.0.0, [::]
  9100  tcp  ?      root  192.0.2.7
  1 on private addresses, 1 on loopback only
  ? 1 of which it is not known who reaches them

Logs
  critical  480x  2 min ago  The database takes no connections  Too many connections
  warning    12x  2 min ago  PHP ends with an error             PHP Fatal error: \\x1b[2J
  2 logs are read, at least 210 lines a minute

Backups
  nightly                           13 h ago       1.2 GiB  every 1 d      INCOMPLETE: the archive ends in the middle
  /var/backups/mysql/wiki-*.sql.gz  4 d ago: late  1.2 GiB  every 1 d      complete
  /var/backups/files-*.tar.gz.gpg   11 h ago       1.2 GiB  every 1 d      not judged: it is encrypted
  offsite                           ?                       no rhythm yet  not judged
  /var/backups/mysql/shop-*.sql.gz  8 h ago        1.2 GiB  every 1 d      complete

Files
  /usr/bin/ssh                       altered               of openssh-client
  more                               7 more
  /etc/nginx                         61 files     700 MiB  unchanged for 1 h
  /var/www/shop.example.org/current  18231 files  700 MiB  unchanged for 1 h; ? not all of it can be read
"
    );
}

#[test]
fn a_host_without_these_subjects_has_no_part_of_them() {
    assert!(all(&whole(Vec::new()), &quiet()).is_empty());
}

#[test]
fn a_part_is_short_and_says_where_the_rest_is() {
    let many = |table: &str, field: &str| -> Vec<Row> {
        (0..30).map(|number| row(table, &format!("{number:02}"), &[(field, word("failed"))])).collect()
    };
    for (table, field) in
        [("database", "x"), ("service", "active"), ("log_failure", "x"), ("backup", "x"), ("tree", "x")]
    {
        let text = shown(80, vec![many(table, field)]);
        assert!(text.contains(&format!("  and 18 more: plumb facts {table} --host web-1\n")), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), 13, "{text}");
    }
}

#[test]
fn services_that_all_run_are_one_line() {
    let running = (0..23).map(|number| row("service", &format!("{number}.service"), &[("active", word("active"))]));
    assert_eq!(shown(80, vec![running.collect()]), "Services\n  23 services run\n");
}

fn quiet() -> Printer {
    let look = crate::cli::printer::Look { json: false, width: Some(80), color: false, now: NOW };
    Printer::new(Box::new(std::io::sink()), Box::new(std::io::sink()), look)
}

fn made_of_sites() -> HostPart {
    use plumb_proto::generated::query::Support;
    let support = |verdict: &str, by: &str, last_day: &str, days_left| Support {
        verdict: verdict.to_owned(),
        by: by.to_owned(),
        last_day: last_day.to_owned(),
        days_left,
        ..Support::default()
    };
    let nginx = row(
        "web_server",
        "nginx",
        &[("version", version("1.22.1")), ("running", true.into()), ("reload_needed", true.into())],
    );
    let nginx = Row { support: Some(support("supported", "Debian 12 LTS", "2028-06-30", Some(587))), ..nginx };
    let node = row("runtime", "node/20@/opt/node", &[("version", version("20.1.0")), ("running", false.into())]);
    let node = Row { support: Some(support("ended", "Node.js upstream", "2026-04-30", Some(-205))), ..node };
    let site = row(
        "site",
        "nginx/shop.example",
        &[
            ("tls", true.into()),
            ("php_version", word("8.2")),
            ("cms", word("wordpress")),
            ("docroot", word("/srv/shop")),
        ],
    );
    let pool = row(
        "php_pool",
        "8.2/www",
        &[
            ("pm", word("dynamic")),
            ("max_children", Value::Int(5)),
            ("memory_limit_bytes", Value::Int(128 << 20)),
            ("saturated", true.into()),
        ],
    );
    let cms = row("cms", "/srv/shop", &[("product", word("wordpress")), ("version", version("6.8.1"))]);
    let cms = Row { support: Some(support("courtesy", "WordPress upstream", "nothing is promised", None)), ..cms };
    let plugin = |key: &str| row("cms_extension", key, &[("cms", word("/srv/shop")), ("name", word("x"))]);
    let until = |days: i64| Value::Time(Timestamp::from_millis(NOW.millis() + days * 86_400_000 + 1));
    let file = row("certificate", "/etc/ssl/shop.pem", &[("kind", word("file")), ("not_after", until(60))]);
    let served = [
        ("kind", word("served")),
        ("file", word("/etc/ssl/shop.pem")),
        ("not_after", until(10)),
        ("renewed_by", word("certbot")),
    ];
    let served = row("certificate", "shop.example:443", &served);
    HostPart {
        host: Some(host("web-1", HostState::Ok)),
        rows: vec![nginx, node, site, pool, cms, plugin("/srv/shop/a"), plugin("/srv/shop/b"), file, served],
        ..HostPart::default()
    }
}

#[test]
fn sites_pools_cmss_and_certificates_are_shown_in_short_with_their_support() {
    let part = |width| {
        let text = on_screen(width, |printer| screen::print(&made_of_sites(), printer).unwrap());
        text[text.find("\nPHP pools").unwrap()..].to_owned()
    };
    assert_eq!(
        part(80),
        "
PHP pools
  8.2/www  dynamic, 5 workers at most  128 MiB each  all workers are busy

Web servers and runtimes
  nginx              1.22.1  its configuration waits    patched until 2028-06-30
                             for a reload               (Debian 12 LTS)
  node/20@/opt/node  20.1.0  not running                not patched since
                                                        2026-04-30 (Node.js
                                                        upstream)

Sites
  nginx/shop.example  https  PHP 8.2  wordpress /srv/shop

Made of
  /srv/shop  wordpress  6.8.1  2 extensions  patched by WordPress upstream as a
                                             courtesy

Certificates
  until 2026-12-01  10 days  shop.example:443  renewed by certbot
"
    );
    let wide = part(140);
    for line in [
        "  nginx              1.22.1  its configuration waits for a reload  patched until 2028-06-30 (Debian 12 LTS)\n",
        "  node/20@/opt/node  20.1.0  not running                           not patched since 2026-04-30 (Node.js upstream)\n",
    ] {
        assert!(wide.contains(line), "{wide}");
    }
}

#[test]
fn one_reason_for_many_rows_is_told_once_and_runtimes_that_are_left_out_are_asked_for_as_such() {
    let runtimes = (10..24).map(|minor| {
        let key = format!("python/3.{minor}@/srv/app");
        unknown(row("runtime", &key, &[("version", version("3.9.1"))]), "running", "the host does not say")
    });
    let whole = HostPart { host: Some(host("web-1", HostState::Ok)), rows: runtimes.collect(), ..HostPart::default() };
    let text = on_screen(140, |printer| screen::print(&whole, printer).unwrap());
    assert!(text.contains("\n  and 2 more: plumb facts runtime --host web-1\n"), "{text}");
    let told = "\n  ? runtime running: python/3.10@/srv/app, python/3.11@/srv/app, python/3.12@/srv/app and 11 more  ";
    assert!(text.contains(told), "{text}");
    assert_eq!(text.matches("the host does not say").count(), 1, "{text}");
}
