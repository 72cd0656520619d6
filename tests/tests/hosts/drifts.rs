//! What is wrong with the hosts in folders, and nothing else: an agent looks at each for an hour, on a clock that stands at noon of
//! 2026-11-21, and the collector judges what it tells.

use std::collections::BTreeSet;
use std::time::Duration;

use plumb_agent::watchers::ALL;
use plumb_collector::drift::DriftState;
use plumb_collector::store::DriftFilter;
use plumb_proto::time::Clock;
use plumb_tests::fleet::Fleet;

use crate::folder;

/// From look to look, and how far the clock may run ahead of what the collector has heard.
const STEP: Duration = Duration::from_secs(30);
const AHEAD: Duration = Duration::from_secs(60);

/// Rule, severity and subject of all that stands open after an hour.
fn open(host: &str) -> BTreeSet<String> {
    let fleet = Fleet::start(&format!("drifts-{host}"));
    let all: Vec<_> = ALL.iter().map(|spec| (*spec, "")).collect();
    let mut agent = fleet.agent(host, &all).at(folder(host));
    agent.start(true);
    let mut reader = fleet.questions();
    for _ in 0..120 {
        fleet.clock.advance(STEP);
        agent.work();
        agent.until("what was seen to be heard", Duration::from_secs(60), || {
            let hosts = reader.hosts().expect("hosts");
            hosts.iter().all(|host| host.last_seen.is_some_and(|seen| fleet.clock.now().since(seen) <= AHEAD))
        });
    }
    let all = reader.drifts(&DriftFilter::default()).expect("drifts");
    let open = all.iter().filter(|each| each.state == DriftState::Open).map(|each| &each.drift);
    open.map(|drift| format!("{} {:?} {}", drift.rule, drift.severity, drift.subject)).collect()
}

/// What is wrong with a host, each with its reason.
const WRONG: [(&str, &[&str]); 5] = [
    (
        "cpanel",
        // PHP's own dates: 8.2 ends with 2026; cPanel takes it away after that
        &[
            "php_support_ends Info php cgi/8.2@/opt/cpanel/ea-php82",
            "php_support_ends Info php cli/8.2@/opt/cpanel/ea-php82",
            "php_support_ends Info php fpm/8.2@/opt/cpanel/ea-php82",
        ],
    ),
    (
        "directadmin",
        // built by custombuild, and 8.1 ended with 2025
        &[
            "php_support_ended Warning php cli/8.1@/usr/local/php81",
            "php_support_ended Warning php fpm/8.1@/usr/local/php81",
        ],
    ),
    (
        "plesk",
        &[
            // staged with 10 % of its bytes and 4 % of its inodes left
            "disk_inodes Warning mount /",
            "disk_space Warning mount /",
            // Ubuntu's standard support of 22.04 ends on 2027-04-01
            "os_support_ends Info os os",
            // PHP's built-in default, which no php.ini of Plesk's changes here
            "php_display_errors Info php_pool 8.3/erika.example@/opt/plesk/php/8.3",
            "php_display_errors Info php_pool 8.3/max.example@/opt/plesk/php/8.3",
            // 7.4 ended in 2022; Plesk ships it unpatched
            "php_support_ended Warning php cgi/7.4@/opt/plesk/php/7.4",
            "php_support_ended Warning php cli/7.4@/opt/plesk/php/7.4",
            "php_support_ended Warning php fpm/7.4@/opt/plesk/php/7.4",
        ],
    ),
    (
        "rhel-9-remi",
        &[
            "cms_debug_on Warning cms /srv/www/intra",
            // PHP's built-in default, which no php.ini of the module changes
            "php_display_errors Info php_pool 8.2/www",
            // its nginx is in no package here, so nobody patches it
            "support_ended Warning support web_server/nginx",
        ],
    ),
    (
        "ubuntu-24-ondrej",
        &[
            // its pool says so
            "php_display_errors Info php_pool 8.4/news",
            // PHP's own dates: deb.sury.org follows them
            "php_support_ends Info php cli/8.2",
            "php_support_ends Info php fpm/8.2",
        ],
    ),
];

#[test]
fn only_what_is_wrong_with_them_drifts() {
    for (host, wrong) in WRONG {
        assert_eq!(open(host), wrong.iter().map(|line| (*line).to_owned()).collect(), "{host}");
    }
}
