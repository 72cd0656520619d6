//! What servers tell of themselves to somebody who logs in, and what of it shows on the disk.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use plumb_agent::watcher::Told;
use plumb_proto::model::Fact;
use plumb_tests::needs;

use super::{
    Cluster, ONE_AT_A_TIME, Place, Running, Watching, aborted, mariadb, number, query, row_of, said, sample, told,
};

fn schema<'a>(told: &'a Told, end: &str) -> Option<&'a Fact> {
    let rows = told.facts.iter().filter(|(table, _)| table.name == "database_schema");
    rows.map(|(_, fact)| fact).find(|fact| fact.key.to_string().ends_with(end))
}

fn problems(told: &Told) -> String {
    told.problems.iter().map(|each| format!("{}: {}; {}\n", each.path, each.error, each.hint)).collect()
}

fn has_mariadb() -> bool {
    needs::has("MariaDB", &["mariadbd", "mariadb-install-db", "mariadb"], true)
}

/// A WordPress with 100 KB of autoloaded options, and some megabytes of another table.
const SHOP: &str = "CREATE DATABASE `my-shop`; USE `my-shop`; \
    CREATE TABLE wp_options (option_value LONGTEXT, autoload VARCHAR(20)); CREATE TABLE wp_usermeta (id INT); \
    INSERT INTO wp_options VALUES (REPEAT('x', 60000), 'yes'), (REPEAT('x', 40000), 'auto'), (REPEAT('x', 5000), 'no'); \
    CREATE TABLE `wp_häuser` (t LONGTEXT) ENGINE=InnoDB; INSERT INTO `wp_häuser` VALUES (REPEAT('y', 8000000));";

#[test]
fn mariadb_tells_a_login_by_unix_socket_what_it_tells_itself() {
    if !has_mariadb() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new("mariadb-login", "mysql");
    let mut server = mariadb(&place, "/usr/sbin/mariadbd", &["--max-connections=77"]);
    query(&place, SHOP);
    // Known by the user that the test runs as.
    query(&place, "ALTER USER root@localhost IDENTIFIED VIA unix_socket");
    let before = aborted(&place);
    let mut watching = Watching::set("mysql", "login = 'root'");
    let first = watching.whole();
    assert_eq!(problems(&first), "");
    assert_eq!(sample(&first, "database_connections_limit", None), Some(77.0));
    assert!(sample(&first, "database_connections", None).is_some_and(|connections| connections >= 1.0));
    assert_eq!(sample(&first, "database_slow_queries_total", None), Some(0.0));
    // Not before the sizes are known, from which the names of its tables are: a minute later.
    assert_eq!(sample(&first, "database_autoload_bytes", None), None);
    let shop = schema(&first, "/my-shop").expect("a row");
    assert_eq!((told(shop, "tables"), told(shop, "cms")), ("3".to_owned(), "wordpress".to_owned()));
    let size = "SELECT SUM(FILE_SIZE) FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME LIKE 'my@002dshop/%'";
    let size: f64 = query(&place, size).parse().expect("a number");
    let ours = number(shop, "size_bytes");
    assert!(ours >= size && ours < size + 100_000.0, "{ours} of files, {size} of tables");
    assert!(sample(&first, "database_size_bytes", None).is_some_and(|all| all > ours));
    watching.later(61);
    let second = watching.whole();
    assert_eq!(sample(&second, "database_autoload_bytes", Some(("schema", "my-shop"))), Some(100_000.0));
    watching.later(61);
    let third = watching.whole();
    // All come together, so that none of them reads as one that could not be seen.
    assert!(sample(&third, "database_connections", None).is_some());
    assert_eq!(sample(&third, "database_size_bytes", None), sample(&first, "database_size_bytes", None));
    assert_eq!(sample(&third, "database_autoload_bytes", Some(("schema", "my-shop"))), Some(100_000.0));
    assert_eq!(aborted(&place), before, "every visit ends as it should");
    let told = problems(&Watching::set("mysql", "login = 'nobody'").whole());
    assert!(told.contains("the login as `nobody` came to nothing: error 1045: Access denied"), "{told}");
    assert!(told.contains("create the user as the sample of `login` in agent.toml says"), "{told}");
    server.stop();
}

#[test]
fn mariadb_tells_a_login_by_password_and_nobody_else() {
    if !has_mariadb() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new("mariadb-password", "mysql");
    let mut server = mariadb(&place, "/usr/sbin/mariadbd", &[]);
    query(&place, SHOP);
    query(&place, "CREATE USER plumb@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('se cret')");
    query(&place, "GRANT SELECT (option_value, autoload) ON `my-shop`.wp_options TO plumb@localhost");
    let file = place.at("password");
    std::fs::write(&file, "se cret\n").expect("a file");
    said(&["chmod", "640", &file]);
    let settings = format!("login = 'plumb'\npassword_file = '{file}'");
    let mut watching = Watching::set("mysql", &settings);
    let first = watching.whole();
    assert_eq!(problems(&first), "");
    assert!(sample(&first, "database_connections", None).is_some());
    watching.later(61);
    let autoload = sample(&watching.whole(), "database_autoload_bytes", Some(("schema", "my-shop")));
    assert_eq!(autoload, Some(100_000.0), "with no right but on two columns");
    std::fs::write(&file, "wrong\n").expect("a file");
    let told = problems(&Watching::set("mysql", &settings).whole());
    assert!(told.contains("error 1045: Access denied for user 'plumb'@'localhost'"), "{told}");
    said(&["chmod", "644", &file]);
    let told = problems(&Watching::set("mysql", &settings).whole());
    assert!(told.contains("everybody may read or write the password; chmod 640 it"), "{told}");
    server.stop();
}

#[test]
fn a_mariadb_whose_connections_are_all_taken_is_one_that_refuses() {
    if !has_mariadb() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new("mariadb-full", "mysql");
    let mut server = mariadb(&place, "/usr/sbin/mariadbd", &["--max-connections=10"]);
    query(&place, "ALTER USER root@localhost IDENTIFIED VIA unix_socket");
    let client = |_| {
        let socket = place.at("s.sock");
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-uroot", "-S", &socket]).stdin(Stdio::piped());
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a client"))
    };
    let clients: Vec<Running> = (0..12).map(client).collect();
    std::thread::sleep(Duration::from_secs(2));
    let mut watching = Watching::set("mysql", "login = 'root'");
    let data = place.at("data");
    let refuses = |told: Told| row_of(told, &data).map(|fact| super::told(&fact, "refuses")).expect("a row");
    let first = watching.whole();
    let events: Vec<String> = first.events.iter().map(|event| event.text.to_string()).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(refuses(first), "1040 Too many connections");
    drop(clients);
    std::thread::sleep(Duration::from_secs(2));
    watching.later(61);
    assert_eq!(refuses(watching.whole()), "None");
    server.stop();
}

#[test]
fn postgresql_tells_a_login_by_peer_what_it_tells_itself() {
    let Some(cluster) = Cluster::start("postgresql-login") else { return };
    cluster.query("CREATE ROLE root LOGIN");
    cluster.query("CREATE DATABASE shop");
    cluster.run(
        "psql",
        &["-h", &cluster.place.at(""), "-d", "shop", "-c", "CREATE TABLE t AS SELECT generate_series(1, 200000)"],
    );
    cluster.query("CHECKPOINT");
    let size: f64 = cluster.query("SELECT pg_database_size('shop')").parse().expect("a number");
    let oid = cluster.query("SELECT oid FROM pg_database WHERE datname = 'shop'");
    // Its initdb trusts everybody on the socket: here the socket alone must do.
    let rules = format!("{}/pg_hba.conf", cluster.data());
    std::fs::write(&rules, "local all postgres trust\nlocal all all peer\n").expect("rules");
    cluster.query("SELECT pg_reload_conf()");
    let without = Watching::new("postgresql").whole();
    let row = schema(&without, &format!("/oid-{oid}")).expect("a row");
    let ours = number(row, "size_bytes");
    assert!((ours - size).abs() < 0.02 * size, "{ours} of files, {size} as it says");
    let told = Watching::set("postgresql", "login = 'root'").whole();
    assert_eq!(problems(&told), "");
    assert!(schema(&told, "/shop").is_some());
    assert!(sample(&told, "database_connections", None).is_some_and(|connections| connections >= 1.0));
    assert_eq!(sample(&told, "database_connections_limit", None), Some(100.0));
    assert_eq!(sample(&told, "database_replication_lag_seconds", None), None);
    let denied = problems(&Watching::set("postgresql", "login = 'nobody-else'").whole());
    assert!(denied.contains("error 28000: Peer authentication failed for user \"nobody-else\""), "{denied}");
    cluster.stop();
}

#[test]
fn a_false_server_that_trickles_or_talks_nonsense_costs_two_seconds_and_harms_no_other() {
    if !has_mariadb() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new("mariadb-false", "mysql");
    let mut server = mariadb(&place, "/usr/sbin/mariadbd", &[]);
    for (pause, word) in [(100, &b"\x50"[..]), (0, b"\xff\xff\xff\xff\xff\xff\xff\xff"), (1, b"\x01\0\0\0\n")] {
        let socket = place.at("s.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            for mut visitor in listener.incoming().flatten().take(1) {
                while visitor.write_all(word).is_ok() {
                    std::thread::sleep(Duration::from_millis(pause));
                }
            }
        });
        let begun = Instant::now();
        let told = Watching::set("mysql", "login = 'plumb'").whole();
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(problems(&told).contains("came to nothing"), "{}", problems(&told));
        let row = row_of(told, &place.at("data")).expect("a row");
        assert_eq!(super::told(&row, "running"), "true");
    }
    server.stop();
}
