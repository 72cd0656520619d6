//! Where somebody's dates seem to apply and do not.

use super::*;

/// On 2026-11-21: how it stands, the last day and by whom, or why not; and what is noted besides.
fn said(asked: &Program<'_>) -> String {
    let now = day(2026, 11, 21);
    match Dates::shipped().program(asked, now) {
        Ok(window) => {
            format!("{} {} by {} ({})", window.verdict(now).as_str(), window.last_day(), window.by, window.note)
        }
        Err(unjudged) => unjudged.told(),
    }
}

fn of(
    product: &'static str,
    version: &'static str,
    provenance: &'static str,
    os: &'static str,
    os_version: &'static str,
) -> Program<'static> {
    Program { product, ..on(os, os_version, version, provenance) }
}

#[test]
fn a_release_that_is_not_in_the_table_gets_the_dates_of_no_other_one() {
    assert_eq!(
        said(&of("apache", "2.4.64", "ubuntu", "ubuntu", "25.10")),
        "not judged: that Ubuntu 25.10 ships Apache 2.4 is not in the table"
    );
    assert_eq!(
        said(&of("apache", "2.4.70", "debian", "debian", "14")),
        "not judged: that Debian 14 ships Apache 2.4 is not in the table"
    );
    assert_eq!(
        said(&of("node/18", "18.20.4", "debian", "debian", "11")),
        "not judged: that Debian 11 ships Node.js 18 is not in the table",
        "it cannot have stayed behind from a newer release"
    );
}

#[test]
fn backports_and_packages_of_other_makers_are_not_patched_by_the_distribution() {
    let nginx = |package_version| Program {
        package_version: Some(package_version),
        ..of("nginx", "1.26.3", "debian", "debian", "13")
    };
    assert_eq!(said(&nginx("1.26.3-3+deb13u1")), "supported 2030-06-30 by Debian 13 LTS ()");
    assert_eq!(
        said(&nginx("1.26.3-1~trixie")),
        "not judged: its package is marked \"trixie\", as Debian itself marks none: who patches it is not known"
    );
    assert!(said(&nginx("1.26.3-3~bpo13+1")).contains("marked \"bpo\""));
}

#[test]
fn streams_of_red_hat_are_not_judged_by_upstream_and_end_with_their_system() {
    assert_eq!(
        said(&of("php", "8.3.20", "redhat", "almalinux", "9.6")),
        "not judged: upstream's last day is 2027-12-31, until when Red Hat patches it is not in the table",
        "some streams retire before upstream does"
    );
    assert_eq!(
        said(&Program { module: Some("php:8.2"), ..of("php", "8.2.25", "redhat", "centos", "8") }),
        "ended 2021-12-31 by CentOS 8 ()"
    );
    assert_eq!(
        said(&of("php", "8.1.30", "distribution", "amzn", "2")),
        "ended 2026-06-30 by Amazon Linux 2 ()",
        "another distribution's, too"
    );
    let java =
        Program { package: Some("java-1.8.0-openjdk-headless"), ..of("java/8", "1.8.0_412", "redhat", "centos", "7") };
    assert_eq!(said(&java), "ended 2024-06-30 by CentOS 7 ()");
}

#[test]
fn a_host_with_ubuntu_pro_gets_its_fixes_for_main_too() {
    let php =
        Program { package_version: Some("7.4.3-4ubuntu2.29+esm2"), ..of("php", "7.4.3", "ubuntu", "ubuntu", "20.04") };
    // ubuntu 20.04: extended_support_end
    assert_eq!(said(&php), "supported 2030-04-02 by Ubuntu Pro for 20.04 (this host gets Ubuntu Pro's fixes)");
    let without = Program { package_version: Some("7.4.3-4ubuntu2.29"), ..php };
    assert!(
        said(&without).starts_with("ended 2025-05-31 by Ubuntu 20.04 (with Ubuntu Pro until"),
        "{}",
        said(&without)
    );
}

#[test]
fn the_oldest_lines_of_wordpress_get_no_fixes_any_more() {
    let wordpress = |version| {
        said(&Program { product: "wordpress", version: Some(version), kind: Some("cms"), ..Program::default() })
    };
    assert!(wordpress("4.7.30").starts_with("courtesy "), "{}", wordpress("4.7.30"));
    for version in ["4.6.29", "3.6.1"] {
        assert!(wordpress(version).starts_with("ended a day that is not in the table"), "{}", wordpress(version));
    }
    assert!(wordpress("4.6.29").contains("its last release is of 2025-07-15"), "{}", wordpress("4.6.29"));
}

#[test]
fn of_two_last_days_of_upstream_the_later_one_counts() {
    // 5.4.10 says 2025-11 itself; symfony 5.4 was prolonged to 2029-02-28 afterwards
    let symfony = |version, own| {
        let own_end = Some(own);
        Program { product: "symfony", version: Some(version), kind: Some("framework"), own_end, ..Program::default() }
    };
    assert!(said(&symfony("5.4.10", day(2025, 11, 30))).starts_with("supported 2029-02-28 "));
    assert!(said(&symfony("7.4.1", day(2030, 11, 30))).starts_with("supported 2030-11-30 "));
}

#[test]
fn what_goes_on_for_money_is_noted() {
    let boot =
        Program { product: "spring-boot", version: Some("2.7.18"), kind: Some("framework"), ..Program::default() };
    assert_eq!(
        said(&boot),
        "ended 2023-06-30 by Spring Boot upstream (longer support that is paid for: until 2029-06-30; part of a project: \
         nobody updates it automatically, its maintainer has to)"
    );
    let window = Dates::shipped().system(Some("rhel"), Some("7.9")).unwrap();
    assert_eq!(window.note, "longer support that is paid for: until 2029-05-31");
}

#[test]
fn who_patches_a_made_over_nginx_is_not_nginx() {
    assert_eq!(
        said(&of("nginx", "1.27.1.2", "openresty", "debian", "12")),
        "not judged: until when OpenResty patches it is not in the table"
    );
}

#[test]
fn builds_for_a_system_that_is_over_may_have_stopped() {
    assert_eq!(
        said(&of("php", "8.3.15", "remi", "centos", "7")),
        "supported 2027-12-31 by PHP upstream by way of remi (remi may backport some fixes after that; whether it is still \
         made for CentOS 7, which has ended, is not known)"
    );
}
