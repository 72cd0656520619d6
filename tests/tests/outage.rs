//! The collector is away for thirty days, at a line a minute, and the certificates run out meanwhile. Both come back by
//! themselves, and nothing is missing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use plumb_collector::store::EventFilter;
use plumb_tests::fleet::Fleet;
use plumb_tests::lines;

const DAYS: u64 = 30;

#[test]
fn thirty_days_without_a_collector_lose_nothing_though_the_certificates_run_out() {
    let mut fleet = Fleet::start("outage");
    let mut agent = fleet.agent("away", &[(lines::SPEC, "path = \"/lines\"\n")]);
    let mut file = std::fs::File::create(agent.root().join("lines")).expect("a file");
    agent.start(true);
    writeln!(file, "0").expect("a line");
    agent.pass(5);
    let count = |fleet: &Fleet| {
        let host = fleet.host("away");
        let filter = EventFilter { kind: Some("line".into()), limit: 100_000, ..EventFilter::default() };
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for (_, row) in fleet.questions().events(&host.id, &filter).expect("events") {
            *seen.entry(row.event.text.to_string()).or_default() += row.event.count;
        }
        seen
    };
    agent.until("the first line", Duration::from_secs(60), || count(&fleet).len() == 1);

    // the collector goes; the agent looks on
    agent.stop();
    fleet.stop_collector();
    agent.start(false);
    let minutes = DAYS * 24 * 60;
    for minute in 1..=minutes {
        writeln!(file, "{minute}").expect("a line");
        fleet.clock.advance(Duration::from_secs(60));
        agent.work();
    }
    agent.stop();

    // it comes back; the agent's certificate ran out sixteen days ago
    fleet.start_collector();
    agent.start(true);
    let expected = usize::try_from(minutes + 1).expect("a count");
    agent.until("all lines", Duration::from_secs(300), || count(&fleet).len() >= expected);
    agent.stop();
    let seen = count(&fleet);
    let doubled = seen.values().filter(|count| **count != 1).count();
    assert_eq!((seen.len(), doubled), (expected, 0));
    fleet.stop_collector();
    let (links, broken) = fleet.questions().verify().expect("a check");
    assert!(links > minutes && broken.is_empty(), "{links} links, broken: {broken:?}");
}

#[test]
fn a_collector_stops_within_a_second_while_an_agent_is_connected() {
    let mut fleet = Fleet::start("stop");
    let mut agent = fleet.agent("there", &[(lines::SPEC, "path = \"/lines\"\n")]);
    std::fs::write(agent.root().join("lines"), "0\n").expect("a file");
    agent.start(true);
    agent.pass(5);
    agent.until("it is heard of", Duration::from_secs(60), || fleet.host("there").last_seen.is_some());
    let begun = Instant::now();
    fleet.stop_collector();
    let took = begun.elapsed();
    agent.stop();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
