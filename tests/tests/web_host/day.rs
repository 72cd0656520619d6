//! A day in the life of the web host, on a clock of our own: logs are rotated, the lease of its address is renewed, the nightly
//! dump is made, pages are asked for. Nothing of that is a drift. Then a dump stays away, and that is one.
//!
//! The agent runs in this process, on the root folder of the booted host, so that it sees its files and its processes.

use std::path::PathBuf;
use std::time::Duration;

use plumb_agent::watchers::ALL;
use plumb_collector::drift::DriftState;
use plumb_collector::store::{DriftFilter, Questions};
use plumb_proto::time::{Clock, SystemClock, Timestamp};
use plumb_tests::fleet::{Agent, Fleet};
use plumb_tests::web_host::WebHost;

use crate::get;

/// From look to look.
const STEP: Duration = Duration::from_secs(30);
/// How far the clock may run ahead of what the collector has heard: less than makes a host silent.
const AHEAD: Duration = Duration::from_secs(60);
const HOUR: u32 = 3600;

struct Day<'a> {
    host: &'a WebHost,
    fleet: Fleet,
    agent: Agent,
    reader: Box<dyn Questions>,
}

impl Day<'_> {
    /// Lets so many hours pass.
    fn hours(&mut self, hours: u32) {
        for _ in 0..hours * HOUR / 30 {
            self.fleet.clock.advance(STEP);
            self.agent.work();
            let (reader, clock) = (&mut self.reader, &self.fleet.clock);
            self.agent.until("what was seen to be heard", Duration::from_secs(60), || {
                let hosts = reader.hosts().expect("hosts");
                hosts.iter().all(|host| host.last_seen.is_some_and(|seen| clock.now().since(seen) <= AHEAD))
            });
        }
    }

    /// All drifts there ever were, as "rule state".
    fn drifts(&mut self) -> Vec<String> {
        let all = self.reader.drifts(&DriftFilter { all: true, ..DriftFilter::default() }).expect("drifts");
        all.iter().map(|each| format!("{} {:?}: {}", each.drift.rule, each.state, each.drift.title)).collect()
    }

    fn open(&mut self) -> Vec<String> {
        let all = self.reader.drifts(&DriftFilter::default()).expect("drifts");
        all.iter().filter(|each| each.state == DriftState::Open).map(|each| each.drift.rule.clone()).collect()
    }

    /// The nightly dump, as cron would have started it at this moment.
    fn dump(&self) {
        let now = self.fleet.clock.now().millis() / 1000;
        self.host.sh(&format!(
            "day=$(date -d @{now} +%F); /usr/local/sbin/nightly-dump $day; touch -d @{now} /var/backups/mysql/shop-$day.sql.gz"
        ));
    }
}

/// See the module.
pub fn nothing_of_a_usual_day_is_a_drift_and_a_dump_that_stays_away_is(host: &WebHost) {
    let now = SystemClock::default().now();
    let fleet = Fleet::start_at("day", Timestamp::from_secs(now.millis() / 1000));
    // services are asked for on the system bus of the running machine, which is not this host's
    let all: Vec<_> = ALL.iter().filter(|spec| spec.name != "services").map(|spec| (*spec, "")).collect();
    let root = PathBuf::from(format!("/proc/{}/root", host.leader()));
    let mut agent = fleet.agent("webhost", &all).at(root);
    agent.start(true);
    let reader = fleet.questions();
    let mut day = Day { host, fleet, agent, reader };

    day.hours(6);
    host.sh("logrotate -f /etc/logrotate.conf");
    get(host, "/");
    day.hours(6);
    // what a DHCP client does when it renews: a lease, and resolv.conf put in place anew
    host.sh(
        "printf 'lease { interface \"host0\"; fixed-address 192.0.2.7; }\\n' >> /var/lib/dhcp/dhclient.leases
         cat /etc/resolv.conf > /etc/resolv.conf.new; echo '# renewed' >> /etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf",
    );
    day.hours(6);
    day.dump();
    get(host, "/index.php");
    day.hours(6);
    assert_eq!(day.drifts(), Vec::<String>::new(), "a healthy day");

    // the dump of the next night does not come: late is one and a half times its rhythm, and an hour
    day.hours(34);
    assert_eq!(day.open(), ["backup_stale"], "{:?}", day.drifts());
    day.dump();
    day.hours(1);
    assert_eq!(day.open(), Vec::<String>::new(), "{:?}", day.drifts());
    assert_eq!(day.drifts().len(), 1, "{:?}", day.drifts());
}
