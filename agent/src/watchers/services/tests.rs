use super::SPEC;
use crate::watcher::testing::stage;

#[test]
fn a_host_in_a_folder_tells_what_starts_with_it() {
    let told = stage(&SPEC)
        .file(
            "/usr/lib/systemd/system/nginx.service",
            "[Service]\nType=forking\n[Install]\nWantedBy=multi-user.target\n",
        )
        .file("/usr/lib/systemd/system/backup.service", "[Service]\nType=oneshot\n")
        .file("/usr/lib/systemd/system/worker@.service", "[Service]\n[Install]\nWantedBy=multi-user.target\n")
        .file("/usr/lib/systemd/system/getty@.service", "[Service]\n")
        .file("/usr/lib/systemd/system/off.service", "[Service]\n[Install]\nWantedBy=multi-user.target\n")
        .link("/etc/systemd/system/off.service", "/dev/null")
        .link("/etc/systemd/system/multi-user.target.wants/nginx.service", "/usr/lib/systemd/system/nginx.service")
        .link("/etc/systemd/system/multi-user.target.wants/web.service", "/usr/lib/systemd/system/nginx.service")
        .link("/etc/systemd/system/multi-user.target.wants/backup.service", "/usr/lib/systemd/system/backup.service")
        .link("/etc/systemd/system/multi-user.target.wants/off.service", "/usr/lib/systemd/system/off.service")
        .link("/etc/systemd/system/multi-user.target.wants/worker@2.service", "/usr/lib/systemd/system/worker@.service")
        .link("/etc/systemd/system/getty.target.wants/getty@tty1.service", "/usr/lib/systemd/system/getty@.service")
        .link("/etc/systemd/system/multi-user.target.wants/none.service", "/usr/lib/systemd/system/none.service")
        .look();
    let line = |unit: &str, enabled: &str, file: &str| {
        format!(
            "fact service {unit} active=?(comes over the system bus, which is not asked under --root) enabled={enabled} \
             restarts=0 recent_restarts=0 from /usr/lib/systemd/system/{file}\n"
        )
    };
    let expected = [
        line("nginx.service", "enabled", "nginx.service"),
        line("off.service", "masked", "off.service"),
        line("worker@2.service", "enabled", "worker@.service"),
    ];
    assert_eq!(told, expected.concat());
}

#[test]
fn a_host_without_systemd_has_no_services() {
    assert_eq!(stage(&SPEC).file("/etc/init.d/nginx", "#!/bin/sh\n").look(), "absent");
}

#[test]
fn links_in_a_circle_and_files_that_are_none_are_passed_over() {
    let told = stage(&SPEC)
        .link("/etc/systemd/system/multi-user.target.wants/a.service", "/etc/systemd/system/a.service")
        .link("/etc/systemd/system/a.service", "a.service")
        .link("/etc/systemd/system/multi-user.target.wants/b.service", "/etc/systemd/system/b.service")
        .folder("/etc/systemd/system/b.service")
        .look();
    assert_eq!(told, "");
}

#[test]
fn what_enables_a_unit_is_looked_at_again_once_systemd_has_read_everything_anew() {
    let link = "/run/systemd/generator/multi-user.target.wants/db.service";
    let file = "/usr/lib/systemd/system/db.service";
    let host = stage(&SPEC).file(file, "[Service]\n").folder("/run/systemd/generator/multi-user.target.wants");
    host.look();
    let wants = "/etc/systemd/system/multi-user.target.wants";
    assert_eq!(host.look_because(wants), "", "the generators are at work");
    let host = host.link(link, file);
    host.clock().advance(std::time::Duration::from_secs(10));
    assert!(host.look().contains("fact service db.service ") && host.look().contains(" enabled=generated "));
}
