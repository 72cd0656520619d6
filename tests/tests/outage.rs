//! The collector is away for thirty days, at a line a minute, and the certificates run out meanwhile; or it is lost, and
//! comes back from a backup. All come back by themselves, and nothing is missing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plumb_collector::store::EventFilter;
use plumb_tests::fleet::{Agent, Fleet};
use plumb_tests::lab::{Lab, program};
use plumb_tests::lines;
use plumb_tests::needs;

const DAYS: u64 = 30;

/// How often each line of a host was told.
fn told(fleet: &Fleet, host: &str) -> BTreeMap<String, u64> {
    let host = fleet.host(host);
    let filter = EventFilter { kind: Some("line".into()), limit: 100_000, ..EventFilter::default() };
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (_, row) in fleet.questions().events(&host.id, &filter).expect("events") {
        *seen.entry(row.event.text.to_string()).or_default() += row.event.count;
    }
    seen
}

#[test]
fn thirty_days_without_a_collector_lose_nothing_though_the_certificates_run_out() {
    let mut fleet = Fleet::start("outage");
    let mut agent = fleet.agent("away", &[(lines::SPEC, "path = \"/lines\"\n")]);
    let mut file = std::fs::File::create(agent.root().join("lines")).expect("a file");
    agent.start(true);
    writeln!(file, "0").expect("a line");
    agent.pass(5);
    let count = |fleet: &Fleet| told(fleet, "away");
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

const NAMES: [&str; 2] = ["one", "two"];

/// Lets each agent find `lines` lines more, and works until the collector has told all that were ever written.
fn write_on(fleet: &Fleet, agents: &mut [Agent], written: &mut usize, lines: usize) {
    for agent in &*agents {
        let file = std::fs::File::options().create(true).append(true).open(agent.root().join("lines"));
        let mut file = file.expect("a file");
        (*written..*written + lines).for_each(|line| writeln!(file, "{line}").expect("a line"));
    }
    *written += lines;
    all_told(fleet, agents, *written);
}

fn all_told(fleet: &Fleet, agents: &mut [Agent], written: usize) {
    for (agent, name) in agents.iter_mut().zip(NAMES) {
        let begun = Instant::now();
        while told(fleet, name).len() < written {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name} has not told all of {written} lines");
            agent.pass(1);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_collector_that_is_lost_comes_back_from_a_backup_with_all_that_was_told_after_it() {
    let mut fleet = Fleet::start("lost");
    let mut agents = NAMES.map(|name| fleet.agent(name, &[(lines::SPEC, "path = \"/lines\"\n")]));
    agents.iter_mut().for_each(|agent| agent.start(true));
    let mut written = 0;
    write_on(&fleet, &mut agents, &mut written, 50);

    let backup = fleet.dir.join("plumb.db").display().to_string();
    std::thread::scope(|scope| {
        let made = scope.spawn(|| fleet.operator(&["backup", &backup]));
        while !made.is_finished() {
            write_on(&fleet, &mut agents, &mut written, 5);
        }
        assert_eq!(made.join().expect("a backup"), 0);
    });
    write_on(&fleet, &mut agents, &mut written, 50);
    let identities = NAMES.map(|name| fleet.host(name).id);

    // it dies, and its state with it; the agents run on
    fleet.stop_collector();
    std::fs::remove_dir_all(fleet.dir.join("collector")).expect("a state folder");
    assert_eq!(fleet.operator(&["restore", &backup]), 0);
    assert!(NAMES.iter().all(|name| told(&fleet, name).len() < written), "the backup is older than what was told");
    fleet.start_collector();
    all_told(&fleet, &mut agents, written);
    agents.iter_mut().for_each(Agent::stop);
    fleet.stop_collector();

    for name in NAMES {
        let seen = told(&fleet, name);
        assert_eq!((seen.len(), seen.values().filter(|count| **count != 1).count()), (written, 0), "{name}");
    }
    assert_eq!(NAMES.map(|name| fleet.host(name).id), identities);
    let (_, broken) = fleet.questions().verify().expect("a check");
    assert_eq!(broken, Vec::<String>::new());
}

/// Everything below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(each) = folders.pop() {
        for entry in std::fs::read_dir(&each).expect("a folder") {
            let path = entry.expect("an entry").path();
            folders.extend(path.is_dir().then(|| path.clone()));
            found.push(path);
        }
    }
    found
}

#[test]
fn what_root_restores_belongs_to_the_collectors_user() {
    const USER: u32 = 65_534;
    if !needs::has("a state folder of another user", &[], true) {
        return;
    }
    let mut lab = Lab::new("restore-owner", &program("PLUMB_AGENT"), "", "");
    lab.start_collector();
    lab.collector_is_up();
    let file = lab.path("plumb.db");
    let made = lab.collector(&["backup", &file]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let running = lab.collector(&["restore", &file]);
    assert_eq!(running.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&running.stderr).contains("stop it first, with `systemctl stop plumb-collector`"));
    lab.kill_collector();

    // the packages run it as a user of its own; what lies there is root's still, as after a start by hand
    let state = lab.dir.join("collector");
    std::os::unix::fs::chown(&state, Some(USER), Some(USER)).expect("another owner");
    let restored = lab.collector(&["restore", &file, "--json"]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let foreign: Vec<_> =
        below(&state).into_iter().filter(|path| path.metadata().expect("a file").uid() != USER).collect();
    assert_eq!(foreign, Vec::<PathBuf>::new());
    let told: serde_json::Value = serde_json::from_slice(&restored.stdout).expect("JSON");
    let aside = told["set_aside"].as_str().map(Path::new).expect("a folder that was set aside");
    assert!(aside.join("collector.db").is_file() && aside.join("ca/root.key").is_file());

    // lost altogether, the folder is root's: on this machine there is no user of the packages
    std::fs::remove_dir_all(&state).expect("a state folder");
    assert!(lab.collector(&["restore", &file]).status.success());
    let (sound, said) = lab.check();
    assert!(sound && said.contains("last backup    "), "{said}");
}
