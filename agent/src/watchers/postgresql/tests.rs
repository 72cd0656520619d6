use crate::watcher::testing::{Stage, stage};

use super::SPEC;

fn process(stage: Stage, pid: u32, parent: u32, words: &[&str], folder: &str) -> Stage {
    let stat = format!("7 (post) gres) S {parent} 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n");
    stage
        .link(&format!("/proc/{pid}/exe"), words[0])
        .link(&format!("/proc/{pid}/cwd"), folder)
        .file(&format!("/proc/{pid}/comm"), "postgres\n")
        .file(&format!("/proc/{pid}/stat"), stat)
        .file(&format!("/proc/{pid}/cmdline"), words.iter().map(|word| format!("{word}\0")).collect::<String>())
}

const BINARY: &str = "/usr/lib/postgresql/15/bin/postgres";

fn debian() -> Stage {
    let (etc, data) = ("/etc/postgresql/15/main", "/var/lib/postgresql/15/main");
    let config = format!(
        "data_directory = '{data}'\t# use data in another directory\n#port = 1\nport = 5433\n\
         unix_socket_directories = '/run/postgresql, /tmp'\ninclude_dir = 'conf.d'\n"
    );
    stage(&SPEC)
        .file(BINARY, "\x7fELF")
        .mode(BINARY, 0o755)
        .file(
            "/var/lib/dpkg/status",
            "Package: postgresql-15\nStatus: install ok installed\nVersion: 15.14-0+deb12u1\n",
        )
        .file("/var/lib/dpkg/info/postgresql-15.list", format!("{BINARY}\n"))
        .file("/etc/os-release", "ID=debian\n")
        .file(&format!("{etc}/postgresql.conf"), config)
        .file(&format!("{etc}/conf.d/own.conf"), "listen_addresses '10.0.0.1, ::1'\n")
        .file(&format!("{data}/PG_VERSION"), "15\n")
}

const FACTS: &str = "binary=/usr/lib/postgresql/15/bin/postgres package=postgresql-15 package_version=15.14-0+deb12u1 provenance=debian";
const REST: &str = "listen=/run/postgresql/.s.PGSQL.5433,/tmp/.s.PGSQL.5433,10.0.0.1:5433,[::1]:5433 \
                    datadir=/var/lib/postgresql/15/main from /usr/lib/postgresql/15/bin/postgres\n\
                    sample database_size_bytes{database=\"postgresql/15/main\"} 3\n";

#[test]
fn a_host_without_postgresql_is_no_error() {
    assert_eq!(stage(&SPEC).folder("/usr/lib").look(), "absent");
}

#[test]
fn a_cluster_is_one_row_whatever_its_children_do() {
    let data = "/var/lib/postgresql/15/main";
    let conf = "config_file=/etc/postgresql/15/main/postgresql.conf";
    let stage = process(debian(), 700, 1, &[BINARY, "-D", data, "-c", conf], data);
    let stage = process(stage, 701, 700, &[BINARY, "postgres: 15/main: checkpointer"], data);
    assert_eq!(
        stage.look(),
        format!(
            "fact database postgresql/15/main version=15.14 running_version=15.14 {FACTS} running=true restart_needed=false {REST}"
        )
    );
}

#[test]
fn a_cluster_that_does_not_run_says_so() {
    let stage = debian().link("/proc/1/exe", "/usr/lib/systemd/systemd");
    assert_eq!(stage.look(), format!("fact database postgresql/15/main version=15.14 {FACTS} running=false {REST}"));
}

#[test]
fn without_processes_to_see_it_is_unknown_whether_one_runs() {
    let told = debian().look();
    assert!(told.contains("running=?(no processes can be seen) "), "{told}");
}

#[test]
fn clusters_of_red_hat_and_of_postgresqls_own_packages_are_found() {
    let (old, new) = ("/usr/bin/postgres", "/usr/pgsql-16/bin/postgres");
    let content = "\x7fELFpostgres (PostgreSQL) 16.6\npostgres (PostgreSQL) 1\0";
    let stage = stage(&SPEC)
        .file(old, "\x7fELFpostgres (PostgreSQL) 13.18\n")
        .mode(old, 0o755)
        .file(new, content)
        .mode(new, 0o755);
    let stage = stage
        .file("/var/lib/dpkg/status", "Package: x\n")
        .folder("/var/lib/dpkg/info")
        .file("/var/lib/pgsql/data/PG_VERSION", "13\n")
        .file("/var/lib/pgsql/data/postgresql.conf", "port = 5434\n");
    let stage = process(stage, 9, 1, &[new, "-D", "/var/lib/pgsql/16/data/"], "/var/lib/pgsql/16/data");
    assert_eq!(
        stage.look(),
        "fact database postgresql/16/data version=16.6 running_version=16.6 binary=/usr/pgsql-16/bin/postgres \
         provenance=self-built running=true restart_needed=false datadir=/var/lib/pgsql/16/data from /usr/pgsql-16/bin/postgres\n\
         fact database postgresql/data version=13.18 binary=/usr/bin/postgres provenance=self-built running=false \
         listen=localhost:5434 datadir=/var/lib/pgsql/data from /usr/bin/postgres\n\
         sample database_size_bytes{database=\"postgresql/data\"} 15\n"
    );
}

#[test]
fn a_server_in_a_folder_of_its_own_stays_told_while_its_folder_is_there() {
    let data = "/srv/pg/data";
    let stage = process(debian(), 700, 1, &[BINARY, "-D", data], data).file("/srv/pg/data/PG_VERSION", "15\n");
    assert!(stage.look().contains("fact database postgresql/15/data "));
    stage.remove("/proc/700/exe");
    let stage = stage.link("/proc/700/exe", "/usr/bin/other");
    let told = stage.look();
    assert!(
        told.contains("fact database postgresql/15/data version=15.14") && !told.contains("running=true"),
        "{told}"
    );
    stage.remove("/srv/pg/data/PG_VERSION");
    std::fs::remove_dir(stage.host().full_path(std::path::Path::new(data))).unwrap();
    assert!(!stage.look().contains("postgresql/15/data"));
}

fn keys(told: &str) -> Vec<&str> {
    told.lines().filter_map(|line| line.strip_prefix("fact database ")?.split(' ').next()).collect()
}

fn stop(stage: Stage) -> Stage {
    stage.remove("/proc/700/exe");
    stage.link("/proc/700/exe", "/usr/bin/other")
}

#[test]
fn a_cluster_of_debian_goes_by_its_name_wherever_its_data_lies() {
    let (data, conf) = ("/srv/pg/data", "/etc/postgresql/15/main/postgresql.conf");
    let words = [BINARY, "-D", data, "-c", &format!("config_file={conf}")];
    let stage = process(debian(), 700, 1, &words, data)
        .file("/srv/pg/data/PG_VERSION", "15\n")
        .file(conf, format!("data_directory = '{data}'\n"));
    assert_eq!(keys(&stage.look()), ["postgresql/15/main"]);
    let stage = stop(stage);
    assert_eq!(keys(&stage.look()), ["postgresql/15/main"]);
    stage.remove(conf);
    std::fs::remove_dir_all(stage.host().full_path("/etc/postgresql".as_ref())).unwrap();
    assert_eq!(keys(&stage.look()), ["postgresql/15/main"], "its data is there");
}

#[test]
fn a_server_outside_every_layout_has_no_other_row_when_it_stops() {
    let (exe, data) = ("/usr/local/bin/postgres", "/srv/pg");
    let stage = stage(&SPEC).file(exe, "\x7fELF").mode(exe, 0o755).file("/srv/pg/PG_VERSION", "16\n");
    let stage = process(stage, 700, 1, &[exe, "-D", data], data);
    assert_eq!(keys(&stage.look()), ["postgresql/pg"]);
    let stage = stop(stage);
    assert_eq!(keys(&stage.look()), ["postgresql/pg"]);
    assert_eq!(keys(&stage.look()), ["postgresql/pg"]);
}

#[test]
fn a_cluster_that_never_ran_goes_with_its_configuration() {
    let stage =
        debian().file("/etc/postgresql/15/old/postgresql.conf", "data_directory = '/srv/old'\n").folder("/srv/old");
    let stage = stage.link("/proc/1/exe", "/usr/lib/systemd/systemd");
    assert_eq!(keys(&stage.look()), ["postgresql/15/main", "postgresql/15/old"]);
    std::fs::remove_dir_all(stage.host().full_path("/etc/postgresql/15/old".as_ref())).unwrap();
    assert_eq!(keys(&stage.look()), ["postgresql/15/main"]);
}
