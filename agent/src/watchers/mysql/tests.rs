use crate::watcher::testing::{Stage, stage};

use super::SPEC;

/// `/proc/PID/stat`: the 4th field is the parent, the 22nd the start.
fn stat(name: &str, parent: u32) -> String {
    format!("7 ({name}) S {parent} 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n")
}

fn process(stage: Stage, pid: u32, exe: &str, words: &[&str], folder: &str) -> Stage {
    let name = exe.trim_end_matches(" (deleted)").rsplit('/').next().unwrap();
    stage
        .link(&format!("/proc/{pid}/exe"), exe)
        .link(&format!("/proc/{pid}/cwd"), folder)
        .file(&format!("/proc/{pid}/comm"), format!("{name}\n"))
        .file(&format!("/proc/{pid}/stat"), stat(name, 1))
        .file(&format!("/proc/{pid}/cmdline"), words.iter().map(|word| format!("{word}\0")).collect::<String>())
}

fn package(stage: Stage, name: &str, version: &str, file: &str) -> Stage {
    let status = format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n");
    stage.file("/var/lib/dpkg/status", status).file(&format!("/var/lib/dpkg/info/{name}.list"), format!("{file}\n"))
}

fn program(stage: Stage, path: &str, content: &str) -> Stage {
    stage.file(path, content).mode(path, 0o755)
}

fn debian() -> Stage {
    let stage = program(stage(&SPEC), "/usr/sbin/mariadbd", "\x7fELF").link("/usr/sbin/mysqld", "mariadbd");
    package(stage, "mariadb-server-core", "1:10.11.14-0+deb12u2", "/usr/sbin/mariadbd")
        .file("/etc/os-release", "ID=debian\n")
        .file(
            "/etc/mysql/my.cnf",
            "[client-server]\nsocket = /run/mysqld/mysqld.sock\n!includedir /etc/mysql/conf.d/\n",
        )
        .file("/etc/mysql/conf.d/50-server.cnf", "[mysql]\nport=1\n[mysqld]\nbind-address = 127.0.0.1 # only here\n")
        .file("/etc/mysql/conf.d/README", "[mysqld]\nport=2\n")
        .file("/var/lib/mysql/ibdata1", "12345")
}

const FACTS: &str =
    "binary=/usr/sbin/mariadbd package=mariadb-server-core package_version=1:10.11.14-0+deb12u2 provenance=debian";
const REST: &str = "listen=/run/mysqld/mysqld.sock,127.0.0.1:3306 datadir=/var/lib/mysql from /usr/sbin/mariadbd\n\
                    sample database_size_bytes{database=\"mariadb/main\"} 5\n";

#[test]
fn a_host_without_mysql_is_no_error() {
    assert_eq!(stage(&SPEC).folder("/usr/sbin").look(), "absent");
}

#[test]
fn a_server_that_runs_is_told_with_its_version_and_what_it_listens_on() {
    let stage = process(debian(), 812, "/usr/sbin/mariadbd", &["/usr/sbin/mariadbd"], "/var/lib/mysql");
    assert_eq!(
        stage.look(),
        format!(
            "fact database mariadb/main version=10.11.14 running_version=10.11.14 {FACTS} running=true restart_needed=false {REST}"
        )
    );
}

#[test]
fn a_server_that_is_installed_and_does_not_run_says_so() {
    let stage = process(debian(), 1, "/usr/lib/systemd/systemd", &["init"], "/");
    assert_eq!(stage.look(), format!("fact database mariadb/main version=10.11.14 {FACTS} running=false {REST}"));
}

#[test]
fn a_server_that_a_package_manager_has_stopped_is_not_called_stopped_for_two_minutes() {
    let stage = process(debian(), 900, "/usr/bin/dpkg", &["dpkg"], "/");
    let why = "?(it does not run, but a package manager is at work)";
    assert!(stage.look().contains(&format!(" running={why}")));
    stage.clock().advance(std::time::Duration::from_secs(121));
    assert!(stage.look().contains(" running=false "));
}

#[test]
fn a_server_is_not_called_stopped_while_the_host_is_starting() {
    let stage = process(debian(), 1, "/usr/lib/systemd/systemd", &["init"], "/").file("/proc/uptime", "9.50 12.00\n");
    assert!(stage.look().contains(" running=?(it does not run, but the host has just started) "));
    stage.write("/proc/uptime", "120.10 300.00\n");
    assert!(stage.look().contains(" running=false "));
}

#[test]
fn a_folder_that_cannot_be_looked_at_hides_no_server_but_its_own() {
    let mounts = "30 1 0:5 / /opt/tomcat rw - nfs far:/t rw\n31 1 0:6 / /opt/db rw - nfs far:/d rw\n";
    let tomcat = process(debian(), 812, "/usr/sbin/mariadbd", &["/usr/sbin/mariadbd"], "/var/lib/mysql")
        .file("/proc/self/mountinfo", mounts)
        .folder("/opt/tomcat/bin");
    let told = tomcat.look();
    assert!(told.contains("problem database /opt/tomcat/bin* /opt/tomcat/bin: on a network"), "{told}");
    assert!(!told.contains("problem database * "), "{told}");
    let own = process(stage(&SPEC), 9, "/opt/db/bin/mysqld", &["mysqld"], "/srv/db")
        .file("/proc/self/mountinfo", mounts)
        .folder("/opt/db/bin")
        .folder("/srv/db");
    let row = "fact database mysql/main version=?(/opt/db/bin: on a network";
    let told = own.look();
    assert!(told.contains(row) && told.contains(" running=true "), "{told}");
    own.remove("/proc/9/exe");
    let told = own.look();
    assert!(told.contains(row) && told.contains(" running=false "), "{told}");
}

#[test]
fn after_an_upgrade_without_a_restart_the_old_version_runs_on() {
    let stage = process(debian(), 812, "/usr/sbin/mariadbd", &["/usr/sbin/mariadbd"], "/var/lib/mysql");
    stage.look();
    stage.remove("/proc/812/exe");
    let stage = stage.link("/proc/812/exe", "/usr/sbin/mariadbd (deleted)");
    let stage = package(stage, "mariadb-server-core", "1:10.11.15-0+deb12u1", "/usr/sbin/mariadbd");
    let told = stage.look();
    assert!(told.contains("version=10.11.15 running_version=10.11.14 "), "{told}");
    assert!(told.contains("running=true restart_needed=true"), "{told}");
    stage.restart();
    let told = stage.look();
    assert!(told.contains("running_version=?(its program was replaced before it was first seen)"), "{told}");
}

#[test]
fn a_server_that_was_built_by_hand_is_known_by_its_binary() {
    let binary = "\x7fELF\0for example 10.1.1-MariaDB-log\0\x0011.4.4-MariaDB\0";
    let stage = program(stage(&SPEC), "/usr/local/mysql/bin/mariadbd", binary)
        .file("/var/lib/dpkg/status", "Package: x\n")
        .folder("/var/lib/dpkg/info");
    let stage = process(stage, 5, "/usr/local/mysql/bin/mariadbd", &["mariadbd", "--port=3310"], "/srv/db");
    assert_eq!(
        stage.look(),
        "fact database mariadb/main version=11.4.4 running_version=11.4.4 binary=/usr/local/mysql/bin/mariadbd \
         provenance=self-built running=true restart_needed=false listen=*:3310 datadir=/srv/db \
         from /usr/local/mysql/bin/mariadbd\n"
    );
}

#[test]
fn a_version_that_nothing_tells_is_unknown_and_below_a_root_no_server_is_asked() {
    let stage = program(stage(&SPEC), "/opt/mysql/bin/mysqld", "\x7fELF")
        .file("/var/lib/dpkg/status", "Package: x\n")
        .folder("/var/lib/dpkg/info");
    let stage = process(stage, 5, "/opt/mysql/bin/mysqld", &["mysqld", "--socket=/tmp/my.sock"], "/srv/db")
        .file("/tmp/my.sock", "");
    let told = stage.look();
    assert!(
        told.contains(
            "fact database mysql/main version=?(/tmp/my.sock: a server's socket, which is not asked under --root)"
        ),
        "{told}"
    );
    assert!(told.contains("running=true"), "{told}");
}

#[test]
fn several_servers_are_several_rows_and_what_ends_by_itself_is_none() {
    let exe = "/usr/sbin/mariadbd";
    let stage = process(debian(), 812, exe, &[exe], "/var/lib/mysql");
    let stage = process(stage, 813, exe, &[exe, "--defaults-group-suffix=.shop", "--datadir=/srv/shop"], "/srv/shop");
    let stage = process(stage, 814, exe, &[exe, "--port=3307", "--skip_networking"], "/srv/other");
    let stage = process(stage, 815, exe, &[exe, "--bootstrap"], "/srv/new");
    let told = stage.look();
    let keys: Vec<&str> =
        told.lines().filter_map(|line| line.strip_prefix("fact database ")?.split(' ').next()).collect();
    assert_eq!(keys, ["mariadb/3307", "mariadb/main", "mariadb/shop"]);
    assert!(told.contains("listen=/run/mysqld/mysqld.sock datadir=/srv/other"), "{told}");
}

#[test]
fn a_server_in_a_container_is_not_the_hosts() {
    let stage = process(debian(), 812, "/usr/sbin/mariadbd", &["mariadbd"], "/var/lib/mysql")
        .link("/proc/1/ns/pid", "pid:[1]")
        .link("/proc/812/ns/pid", "pid:[2]");
    assert!(stage.look().contains(" running=false "));
}

#[test]
fn option_files_that_include_each_other_come_to_an_end() {
    let stage = debian().file("/etc/my.cnf", "!include /etc/my.cnf\n!includedir /etc\n[mysqld-11.4]\nport=3399\n");
    let stage = process(stage, 812, "/usr/sbin/mariadbd", &["mariadbd"], "/var/lib/mysql");
    assert!(stage.look().contains("127.0.0.1:3399"));
}

#[test]
fn the_usual_server_is_missed_while_another_one_runs() {
    let exe = "/usr/sbin/mariadbd";
    let told = process(debian(), 814, exe, &[exe, "--port=3307"], "/srv/other").look();
    assert!(told.contains("fact database mariadb/3307 ") && told.contains("fact database mariadb/main "), "{told}");
    assert_eq!((told.matches(" running=true ").count(), told.matches(" running=false ").count()), (1, 1), "{told}");
}

#[test]
fn schemas_are_told_by_their_files_and_again_only_when_they_have_moved() {
    let stage = process(debian(), 812, "/usr/sbin/mariadbd", &["mariadbd"], "/var/lib/mysql")
        .file("/var/lib/mysql/shop/wp_options.ibd", [0; 1_000])
        .file("/var/lib/mysql/shop/wp_usermeta.ibd", [0; 500])
        .file("/var/lib/mysql/shop/db.opt", "x")
        .file("/var/lib/mysql/my@002dblog/t.MYD", "12");
    let shop = "fact database_schema mariadb/main/shop size_bytes=1501 tables=2 largest_table=wp_options \
                largest_bytes=1000 cms=wordpress from /var/lib/mysql\n";
    let blog = "fact database_schema mariadb/main/my-blog size_bytes=2 tables=1 largest_table=t largest_bytes=2 \
                from /var/lib/mysql\n";
    let size = "sample database_size_bytes{database=\"mariadb/main\"} 1508\n";
    let told = stage.look();
    assert!(told.contains(&format!("{blog}{shop}{size}")), "{told}");
    // In between nothing is measured.
    stage.write("/var/lib/mysql/shop/wp_options.ibd", [0; 1_040]);
    stage.clock().advance(std::time::Duration::from_secs(1_799));
    let told = stage.look();
    assert!(told.contains(shop) && !told.contains("sample "), "{told}");
    // By so little it has not moved.
    stage.clock().advance(std::time::Duration::from_secs(1));
    let told = stage.look();
    assert!(told.contains(shop) && told.contains("{database=\"mariadb/main\"} 1548\n"), "{told}");
    stage.write("/var/lib/mysql/shop/wp_options.ibd", [0; 1_200]);
    stage.clock().advance(std::time::Duration::from_secs(1_800));
    assert!(stage.look().contains("fact database_schema mariadb/main/shop size_bytes=1701 "));
}

#[test]
fn a_table_that_grows_without_end_is_told() {
    let stage = debian().file("/var/lib/mysql/shop/wp_options.ibd", "").file("/var/lib/mysql/shop/wp_usermeta.ibd", "");
    let log = "/var/lib/mysql/shop/wp_actionscheduler_logs.ibd";
    let stage = stage.file(log, "");
    let path = stage.host().full_path(std::path::Path::new(log));
    let file = std::fs::File::options().write(true).open(path).unwrap();
    nix::fcntl::posix_fallocate(file, 0, 300 << 20).unwrap(); // a hole would not count
    assert!(stage.look().contains(" bloat=wp_actionscheduler_logs 300 MiB cms=wordpress from "));
}

#[test]
fn a_data_folder_with_too_many_folders_hides_no_row_of_its_server() {
    let stage = (0..10_050).fold(debian(), |stage, number| stage.folder(&format!("/var/lib/mysql/s{number}")));
    let told = stage.look();
    assert!(told.starts_with("fact database mariadb/main version=10.11.14 "), "{told}");
    let problem = "problem database_schema mariadb/main/* /var/lib/mysql: more than 100000 files or 10000 folders";
    assert!(told.contains(problem) && !told.contains("sample "), "{told}");
}
