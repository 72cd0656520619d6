use std::time::Duration;

use plumb_agent::state::frames::LinkState;
use plumb_collector::store::rows::HostState;

use crate::agent::Host;
use crate::collector::Collector;
use crate::{DAY, Folder, clock, eventually};

fn connected(host: &Host) -> bool {
    matches!(host.last_state(), Some(LinkState::Connected { .. }))
}

#[test]
fn a_certificate_is_renewed_over_the_stream_around_half_of_its_life() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    let (first, id) = (host.identity(), host.enrolled.host);
    let half = first.renew_at().since(crate::NOW);
    assert!(half > DAY * 7 - DAY * 2 && half < DAY * 7 + DAY * 2, "{half:?}");
    clock.advance(half - Duration::from_secs(60));
    host.run();
    eventually("it delivers", || connected(&host));
    assert_eq!(collector.write(move |tx| tx.issuances(&id)).len(), 1);
    clock.advance(Duration::from_secs(61));
    eventually("a new certificate is in use", || host.identity().chain != first.chain);
    eventually("the collector has seen it", || collector.host(id).generation == 2);
    host.event("still here");
    eventually("it delivers with it", || host.spool().acked.0 == 1);
    assert_ne!(host.identity().key_pem().unwrap(), first.key_pem().unwrap());
}

#[test]
fn a_host_that_was_away_for_a_month_comes_back_by_itself() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.event("from long ago");
    clock.advance(DAY * 30);
    host.run();
    eventually("it delivers", || host.spool().acked.0 == 1);
    assert!(host.identity().expires() > crate::NOW + DAY * 43);
}

#[test]
fn a_collector_that_was_away_for_a_month_gets_the_backlog() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.run();
    eventually("it delivers", || connected(&host));
    let (dir, ports) = (collector.dir.clone(), collector.ports());
    collector.stop();
    for day in 0..30 {
        host.event(&format!("day {day}"));
        clock.advance(DAY);
    }
    let collector = Collector::start_at(&dir, &clock, ports);
    eventually("all has arrived", || host.spool().acked.0 == 30);
    assert_eq!(collector.head(host.enrolled.host, host.spool().epoch).0, 31);
}

#[test]
fn a_stream_ends_with_its_certificate() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    let id = host.enrolled.host;
    host.run();
    eventually("it delivers", || connected(&host));
    clock.advance(DAY * 15);
    eventually("it comes back with a new one", || collector.host(id).generation == 2);
}

#[test]
fn a_host_whose_clock_stands_still_is_told_by_the_collector_that_its_certificate_has_run_out() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    host.clock = crate::clock(); // of its own, from here on
    host.event("what time is it?");
    clock.advance(DAY * 30);
    host.run();
    eventually("it delivers", || host.spool().acked.0 == 1);
    let skew_ms = -i64::try_from((DAY * 30).as_millis()).unwrap();
    assert_eq!(collector.host(host.enrolled.host).skew_ms, skew_ms);
}

#[test]
fn a_revoked_host_gets_no_new_certificate_and_says_what_to_do() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    collector.set_state(host.enrolled.host, HostState::Revoked);
    clock.advance(DAY * 30);
    host.run();
    eventually("it is told", || host.trouble().contains("revoked") && host.trouble().contains("enrol this host again"));
    assert!(host.identity().expires() < crate::NOW + DAY * 15); // and has what it had
}

#[test]
fn a_certificate_that_ran_out_three_months_ago_needs_a_person() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    clock.advance(DAY * (14 + 91));
    host.run();
    eventually("it is told", || host.trouble().contains("too long ago"));
}

#[test]
fn a_copy_with_the_old_certificate_is_a_conflict() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let mut host = Host::enroll(&collector, &folder.sub("host"));
    let mut copy = host.copy(folder.sub("copy"));
    copy_folder(&host.dir, &copy.dir);
    clock.advance(DAY * 10);
    host.run();
    let id = host.enrolled.host;
    eventually("the host has renewed", || collector.host(id).generation == 2);
    host.stop();
    copy.run();
    eventually("the copy is refused", || copy.trouble().contains("revoked"));
    assert_eq!(collector.told(id), ["identity_conflict"]);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
