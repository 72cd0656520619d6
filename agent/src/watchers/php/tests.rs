use super::SPEC;
use crate::watcher::testing::{Stage, stage};

const STATUS: &str = "/var/lib/dpkg/status";

fn binary(version: &str) -> String {
    format!("\x7fELF\0Content-type\0X-Powered-By: PHP/{version}\0")
}

fn host() -> Stage {
    stage(&SPEC).file(STATUS, "Package: other\n").folder("/var/lib/dpkg/info").file("/proc/1/comm", "init\n")
}

fn with(host: Stage, path: &str, content: &str) -> Stage {
    host.file(path, content).mode(path, 0o755)
}

#[test]
fn a_host_without_php_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
    let wrapper = with(host(), "/usr/bin/php", "#!/bin/sh\nexec docker run php\n");
    assert_eq!(wrapper.look(), "");
}

#[test]
fn what_the_binary_says_goes_before_what_the_package_says() {
    let host = with(host(), "/usr/sbin/php-fpm8.2", &binary("8.2.30"))
        .file(STATUS, "Package: php8.2-fpm\nStatus: install ok unpacked\nVersion: 8.2.29-1\n")
        .file("/var/lib/dpkg/info/php8.2-fpm.list", "/usr/sbin/php-fpm8.2\n");
    assert_eq!(
        host.look(),
        "fact php fpm/8.2 version=8.2.30 binary=/usr/sbin/php-fpm8.2 package=php8.2-fpm package_version=8.2.29-1 \
         provenance=distribution running=false from /usr/sbin/php-fpm8.2\n"
    );
}

#[test]
fn a_binary_is_read_again_only_when_it_changed() {
    let host = with(host(), "/usr/bin/php", &binary("8.2.1"));
    assert!(host.look().contains(" version=8.2.1 "));
    assert!(host.look().contains(" version=8.2.1 "));
    host.write("/usr/bin/php", binary("8.2.12"));
    assert!(host.look().contains(" version=8.2.12 "));
    host.remove("/usr/bin/php");
    assert_eq!(host.look(), "absent");
}

#[test]
fn what_runs_is_found_wherever_it_lies() {
    let path = "/home/shop/php/sbin/php-fpm";
    let host = with(host(), path, &binary("8.1.0")).link("/proc/77/exe", path);
    assert_eq!(
        host.look(),
        format!(
            "fact php fpm/8.1@/home/shop/php version=8.1.0 binary={path} provenance=self-built running=true \
             restart_needed=false from {path}\n"
        )
    );
}

#[test]
fn a_binary_replaced_while_it_runs_still_runs() {
    let host =
        with(host(), "/usr/sbin/php-fpm8.2", &binary("8.2.30")).link("/proc/77/exe", "/usr/sbin/php-fpm8.2 (deleted)");
    assert!(host.look().contains(" running=true restart_needed=true "));
}

#[test]
fn a_module_that_was_replaced_since_apache_loaded_it_needs_a_restart() {
    let module = "/usr/lib/apache2/modules/libphp8.2.so";
    let maps = |end: &str| format!("7f00-7f01 r-xp 00000000 08:01 77    {module}{end}\n");
    let host =
        host().file(module, binary("8.2.1")).link("/proc/77/exe", "/usr/sbin/apache2").file("/proc/77/maps", maps(""));
    assert!(host.look().contains(" running=true restart_needed=false "));
    host.write("/proc/77/maps", maps(" (deleted)"));
    assert!(host.look().contains(" running=true restart_needed=true "));
}

#[test]
fn what_a_container_runs_is_not_the_hosts() {
    let host = with(host(), "/usr/local/sbin/php-fpm", &binary("8.2.1"))
        .link("/proc/77/exe", "/usr/local/sbin/php-fpm")
        .link("/proc/1/ns/pid", "pid:[1]")
        .link("/proc/77/ns/pid", "pid:[2]");
    assert!(host.look().contains(" running=false "));
}

#[test]
fn without_processes_it_is_not_known_what_runs() {
    let path = "/usr/bin/php";
    let host = with(stage(&SPEC), path, &binary("8.2.1"));
    let why = "?(there is no package database of dpkg or rpm)";
    assert_eq!(
        host.look(),
        format!(
            "fact php cli/8.2 version=8.2.1 binary={path} package={why} package_version={why} provenance={why} \
             running=?(no processes can be seen) from {path}\n"
        )
    );
}

#[test]
fn what_is_too_big_to_be_read_asks_for_no_right() {
    let module = "/usr/lib/apache2/modules/libphp8.2.so";
    let host = with(host(), module, &binary("8.2.1"))
        .link("/proc/812/exe", "/usr/sbin/apache2")
        .file("/proc/812/maps", "x".repeat((4 << 20) + 1));
    let told = host.look();
    assert!(told.contains(" running=?(/proc/812/maps: bigger than 4194304 bytes) from "), "{told}");
}

#[test]
fn one_binary_with_several_names_is_told_once() {
    let host = with(host(), "/usr/local/php83/bin/php83", &binary("8.3.1"))
        .link("/usr/local/bin/php", "/usr/local/php83/bin/php83")
        .link("/usr/bin/php", "/usr/local/bin/php");
    let told = host.look();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("fact php cli/8.3@/usr/local/php83 "), "{told}");
}

#[test]
fn two_of_a_kind_in_one_place_are_told_apart() {
    let host = with(with(host(), "/usr/bin/php", &binary("8.3.1")), "/usr/bin/php8.3", &binary("8.3.2"));
    let told = host.look();
    let keys: Vec<&str> = told.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(keys, ["cli/8.3", "cli/8.3@/usr/bin/php8.3"]);
}

#[test]
fn a_binary_that_cannot_be_read_is_unknown_and_hides_no_other() {
    if nix::unistd::geteuid().is_root() {
        return; // root reads everything
    }
    let host =
        with(with(host(), "/usr/bin/php8.2", &binary("8.2.1")), "/usr/bin/php8.3", "").mode("/usr/bin/php8.3", 0o111);
    let told = host.look();
    assert!(told.contains("fact php cli/8.2 version=8.2.1 "), "{told}");
    assert!(
        told.contains(
            "fact php cli/8.3 version=?(/usr/bin/php8.3: permission denied; needs CAP_DAC_READ_SEARCH: \
             `plumb-agent check` prints the line that grants it) "
        ),
        "{told}"
    );
}

#[test]
fn a_link_that_leads_out_of_the_system_is_a_problem() {
    let host = host().link("/usr/bin/php", "php");
    assert_eq!(host.look(), "problem php /usr/bin/php* /usr/bin/php: too many links\n");
}

#[test]
fn what_cannot_be_looked_at_any_more_is_unknown_and_no_other_is() {
    let host = with(with(host(), "/usr/bin/php8.2", &binary("8.2.1")), "/usr/bin/php8.3", &binary("8.3.1"));
    assert_eq!(host.look().matches("fact php ").count(), 2);
    host.remove("/usr/bin/php8.2");
    let host = host.link("/usr/bin/php8.2", "php8.2");
    for _ in 0..2 {
        let told = host.look();
        assert!(told.contains("fact php cli/8.3 ") && !told.contains("problem php * "), "{told}");
        assert!(told.contains("problem php cli/8.2* /usr/bin/php8.2: too many links\n"), "{told}");
    }
}

#[test]
fn big_binaries_are_read_in_slices() {
    let padding = "x".repeat(9 << 20);
    let host = ["8.1", "8.2", "8.3"].iter().fold(host(), |host, branch| {
        with(host, &format!("/usr/bin/php{branch}"), &(padding.clone() + &binary(&format!("{branch}.9"))))
    });
    let (slices, told) = host.slices();
    assert_eq!(slices, 2);
    assert_eq!(told.matches("fact php cli/").count(), 3, "{told}");
}
