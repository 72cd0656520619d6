//! A disk that somebody else fills: under the agent, then under the collector. Both say so, both go on by themselves when
//! there is room again, and in the end every line is there once.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use plumb_tests::eventually::eventually;
use plumb_tests::lab::Lab;
use plumb_tests::needs;
use plumb_tests::numbers::{Told, Writer};

const MEBIBYTES: u32 = 16;

/// Both at work, one of them with its state on a small disk, and a hundred lines delivered.
fn lab(name: &str, on_the_disk: &str) -> (Lab, Writer) {
    let mut lab = Lab::with_lines(name, Path::new(env!("CARGO_BIN_EXE_plumb-agent-lines")));
    lab.mount(on_the_disk, MEBIBYTES);
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("host");
    lab.start_agent();
    let writer = Writer::start(&lab.lines());
    eventually("a hundred lines", Duration::from_secs(20), || Told::by(&lab), |told| told.lines() >= 100);
    (lab, writer)
}

fn fill(lab: &Lab) {
    lab.disk.as_ref().expect("a small disk").fill();
}

fn clear(lab: &Lab) {
    lab.disk.as_ref().expect("a small disk").clear();
}

fn has_event(lab: &Lab, kind: &str) -> bool {
    lab.json(&["events", "host", "--kind", kind]).as_array().is_some_and(|events| !events.is_empty())
}

fn every_line_is_there_once(lab: &Lab, total: u64) {
    eventually("the last line", Duration::from_secs(45), || Told::by(lab), |told| told.has(total));
    // what arrives twice arrives late
    std::thread::sleep(Duration::from_secs(2));
    let told = Told::by(lab);
    assert_eq!((told.lost(total), told.doubled(total)), (0, 0), "of {total}: {told:?}");
    let (sound, said) = lab.check();
    assert!(sound, "{said}");
}

#[test]
fn an_agent_on_a_full_disk_says_so_keeps_what_it_has_and_goes_on_when_there_is_room() {
    if !needs::has("a full disk under the agent", &[], true) {
        return;
    }
    let (mut lab, writer) = lab("full-agent", "agent");
    // the reserve lets it say so on a disk that is full
    fill(&lab);
    eventually("disk_full", Duration::from_secs(15), || has_event(&lab, "disk_full"), |told| *told);
    // and then there is really nothing left
    let waits = |lab: &Lab| {
        fill(lab);
        lab.agent_status()["spool"]["waits"].as_str().map(str::to_owned)
    };
    let why = eventually("the agent to pause", Duration::from_secs(30), || waits(&lab), Option::is_some);
    assert_eq!(why.as_deref(), Some("the disk of the state folder is full"));
    let check = String::from_utf8_lossy(&lab.agent(&["check"]).stdout).into_owned();
    for words in ["nothing is observed: the disk of the state folder is full", "reserve", "used up"] {
        assert!(check.contains(words), "{words:?} is not in {check}");
    }
    // killed in the middle of it, it starts all the same, and with the state that it had
    lab.kill_agent();
    lab.start_agent();
    std::thread::sleep(Duration::from_secs(3));
    assert!(lab.agent_runs(), "{}", lab.log("agent.log"));
    clear(&lab);
    eventually("observation_paused", Duration::from_secs(30), || has_event(&lab, "observation_paused"), |told| *told);
    assert!(lab.agent_runs(), "{}", lab.log("agent.log"));
    assert!(!has_event(&lab, "state_replaced"));
    every_line_is_there_once(&lab, writer.finish());
}

#[test]
fn a_collector_on_a_full_disk_acknowledges_nothing_says_so_and_goes_on_when_there_is_room() {
    if !needs::has("a full disk under the collector", &[], true) {
        return;
    }
    let (mut lab, writer) = lab("full-collector", "collector");
    let full = |lab: &Lab| {
        fill(lab);
        lab.health()
    };
    let health =
        eventually("health to say so", Duration::from_secs(30), || full(&lab), |health| health.contains(" 503 "));
    assert!(health.contains("the store takes nothing: ") && health.contains("full"), "{health}");
    // nothing is acknowledged, the host keeps it, and what is known is still told
    let before = Told::by(&lab);
    std::thread::sleep(Duration::from_secs(3));
    let after = Told::by(&lab);
    assert!(before.lines() >= 100 && after.lines() == before.lines(), "{before:?}, {after:?}");
    let kept = |status: &serde_json::Value| status["spool"]["records"].as_u64().is_some_and(|records| records >= 2);
    let status = eventually("the spool to fill", Duration::from_secs(15), || lab.agent_status(), kept);
    assert_ne!(status["connection"]["state"], "connected", "{status:#}");
    assert!(lab.log("collector.log").contains("is full"), "{}", lab.log("collector.log"));
    assert!(lab.collector_runs());
    clear(&lab);
    eventually("health", Duration::from_secs(20), || lab.health(), |health| health.contains(" 200 "));
    assert!(lab.collector_runs());
    every_line_is_there_once(&lab, writer.finish());
}

#[test]
fn a_state_that_is_damaged_while_the_disk_is_full_is_replaced_and_told_once_there_is_room() {
    if !needs::has("a damaged state on a full disk", &[], true) {
        return;
    }
    let (mut lab, writer) = lab("full-damaged", "agent");
    lab.kill_agent();
    // without its reserve, and not one byte left
    std::fs::remove_file(lab.dir.join("agent/reserve")).expect("a reserve");
    std::fs::remove_file(lab.dir.join("agent/state.db-wal")).expect("a log");
    let state = lab.dir.join("agent/state.db");
    let length = std::fs::metadata(&state).expect("a state").len();
    let rotten = vec![0x55; usize::try_from(length).expect("a small state")];
    let file = std::fs::OpenOptions::new().write(true).open(&state).expect("a state");
    file.write_all_at(&rotten, 0).expect("a rotten state");
    fill(&lab);
    lab.start_agent();
    std::thread::sleep(Duration::from_secs(7));
    assert!(lab.agent_runs(), "{}", lab.log("agent.log"));
    clear(&lab);
    eventually("state_replaced", Duration::from_secs(40), || has_event(&lab, "state_replaced"), |told| *told);
    let total = writer.finish();
    eventually("all lines", Duration::from_secs(20), || Told::by(&lab), |told| told.lost(total) == 0);
    assert!(lab.dir.join("agent/state.db.damaged").exists());
}

#[test]
fn a_backup_to_a_full_disk_says_so_and_leaves_nothing_there() {
    if !needs::has("a full disk under a backup", &[], true) {
        return;
    }
    let mut lab = Lab::new("full-backup", Path::new(env!("CARGO_BIN_EXE_plumb-agent-lines")), "", "");
    lab.mount("backups", 1);
    lab.start_collector();
    lab.collector_is_up();
    fill(&lab);
    let file = lab.path("backups/plumb.db");
    let before = std::fs::read_dir(lab.dir.join("backups")).expect("a disk").count();
    let output = lab.collector(&["backup", &file]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(" KiB free: make room there, or choose another disk"), "{said}");
    assert_eq!(std::fs::read_dir(lab.dir.join("backups")).expect("a disk").count(), before);
    clear(&lab);
    let output = lab.collector(&["backup", &file]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
