use std::time::{Duration, Instant};

use plumb_agent::state::frames::LinkState;
use plumb_collector::store::rows::HostState;
use plumb_proto::frame::{DropReason, Item, Tombstone, WANT_DICTIONARY, WANT_STATE};
use plumb_proto::record::Hash;

use crate::agent::Host;
use crate::collector::Collector;
use crate::{Folder, clock, eventually};

fn acked(host: &Host) -> u64 {
    host.spool().acked.0
}

fn texts(collector: &mut Collector, host: &Host) -> Vec<String> {
    let events = collector.events(host.enrolled.host).into_iter().filter(|row| row.watcher == "test");
    events.map(|row| row.event.text.to_string()).collect()
}

#[test]
fn what_is_spooled_arrives_in_order_and_is_acknowledged_with_the_hash_of_its_chain() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    (1..=300).for_each(|number| host.event(&number.to_string()));
    host.run();
    eventually("300 records are acknowledged", || acked(&host) == 300);
    host.event("301");
    eventually("one more is", || acked(&host) == 301);
    let wanted: Vec<String> = (1..=301).map(|number| number.to_string()).collect();
    assert_eq!(texts(&mut collector, &host), wanted);
    let head = collector.head(host.enrolled.host, host.spool().epoch);
    assert_eq!(head, (302, host.spool().acked.1));
    assert!(matches!(host.last_state(), Some(LinkState::Connected { skew_ms: 0, .. })));
    assert_eq!(collector.host(host.enrolled.host).build, plumb_proto::VERSION);
    assert_eq!(collector.verify().1, Vec::<String>::new());
}

#[test]
fn a_collector_that_was_away_gets_everything_once() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.run();
    host.event("before");
    eventually("it is acknowledged", || acked(&host) == 1);
    let (dir, ports) = (collector.dir.clone(), collector.ports());
    collector.stop();
    host.event("meanwhile");
    eventually("the agent notices", || matches!(host.last_state(), Some(LinkState::Connecting(_))));
    let mut collector = Collector::start_at(&dir, &clock, ports);
    eventually("the rest arrives", || acked(&host) == 2);
    assert_eq!(texts(&mut collector, &host), ["before", "meanwhile"]);
}

#[test]
fn an_ack_that_was_lost_is_given_again_and_nothing_is_stored_twice() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.event("once");
    host.run();
    eventually("it is acknowledged", || acked(&host) == 1);
    host.stop();
    host.spool().acked = (0, Hash::default()); // as if the ack had never been written down
    host.run();
    eventually("it is acknowledged again", || acked(&host) == 1);
    assert_eq!(texts(&mut collector, &host), ["once"]);
}

#[test]
fn a_declared_gap_is_told_and_the_chain_goes_on_behind_it() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    (1..=5).for_each(|number| host.event(&number.to_string()));
    let Item::Record(last) = host.spool().items[3].clone() else { unreachable!() };
    let last_hash = last.hash();
    let gap = Tombstone { first: 2, last: 4, last_hash, records: 3, bytes: 1, reason: DropReason::DiskFull };
    host.spool().items.splice(1..4, [Item::Tombstone(gap)]);
    host.run();
    eventually("all is acknowledged", || acked(&host) == 5);
    assert_eq!(texts(&mut collector, &host), ["1", "5"]);
    assert_eq!(collector.told(host.enrolled.host), ["records_lost"]);
    assert_eq!(collector.verify().1, Vec::<String>::new());
}

#[test]
fn what_an_agent_no_longer_has_is_a_gap_and_it_tells_all_anew() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    (1..=5).for_each(|number| host.event(&number.to_string()));
    {
        let mut spool = host.spool();
        let Item::Record(third) = spool.items[2].clone() else { unreachable!() };
        let epoch = spool.epoch;
        spool.items.drain(..3);
        spool.position = Some(plumb_agent::state::frames::Position {
            epoch,
            first_seq: 4,
            prev_of_first: third.hash(),
            next_seq: 6,
            acked_seq: 3,
            acked_hash: third.hash(),
            dict_digest: Hash::default(),
        });
        spool.acked = (3, third.hash());
    }
    host.run();
    eventually("the rest is acknowledged", || acked(&host) == 5);
    assert_eq!(texts(&mut collector, &host), ["4", "5"]);
    assert_eq!(collector.told(host.enrolled.host), ["collector_went_back", "records_lost"]);
    assert_eq!(host.spool().want, WANT_DICTIONARY | WANT_STATE);
}

#[test]
fn a_revoked_host_is_hung_up_on_within_five_seconds_told_why_and_asks_seldom() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.run();
    eventually("it delivers", || matches!(host.last_state(), Some(LinkState::Connected { .. })));
    let revoked = Instant::now();
    collector.set_state(host.enrolled.host, HostState::Revoked);
    eventually("its stream is closed", || collector.connections.streams() == 0);
    assert!(revoked.elapsed() < Duration::from_secs(5));
    eventually("it is told", || host.trouble().contains("has revoked this host"));
    let told = host.spool().states.len();
    host.event("too late");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(host.spool().states.len(), told);
    assert_eq!(acked(&host), 0);
}

#[test]
fn a_suspended_host_comes_back_once_it_is_active() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    collector.set_state(host.enrolled.host, HostState::Suspended);
    host.event("waits");
    host.run();
    eventually("it is told to wait", || host.trouble().contains("busy"));
    host.stop();
    assert_eq!(acked(&host), 0);
    collector.set_state(host.enrolled.host, HostState::Active);
    host.run();
    eventually("it delivers", || acked(&host) == 1);
}
