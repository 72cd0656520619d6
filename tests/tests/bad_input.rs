//! Bad input to whole programs: tokens, configurations, state files. Each is refused or set aside with a clear message,
//! and nothing is lost over it. What comes over the network is in `network/hostile.rs`.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use plumb_tests::eventually::eventually;
use plumb_tests::lab::Lab;
use plumb_tests::numbers::{Told, Writer};
use rusqlite::Connection;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

fn agent() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_plumb-agent-lines"))
}

fn with_collector(name: &str) -> Lab {
    let mut lab = Lab::with_lines(name, agent());
    lab.start_collector();
    lab.collector_is_up();
    lab
}

/// A host at work of which at least thirty lines have arrived.
fn at_work(name: &str) -> (Lab, Writer) {
    let mut lab = with_collector(name);
    lab.enroll("host");
    lab.start_agent();
    let writer = Writer::start(&lab.lines());
    eventually("thirty lines", LIMIT, || Told::by(&lab), |told| told.lines() >= 30);
    (lab, writer)
}

/// It could not do its job, and said why in these words, on stderr only.
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

fn hosts(lab: &Lab) -> usize {
    lab.json(&["hosts"]).as_array().expect("hosts").len()
}

#[test]
fn an_expired_token_is_refused_and_the_operator_told_to_make_a_new_one() {
    let lab = with_collector("expired");
    let token = lab.token(&["--name", "host", "--ttl", "1s"]);
    std::thread::sleep(Duration::from_millis(1100));
    refused(&lab.enroll_with(&token), &["the token has expired", "create a new one"]);
    assert_eq!(hosts(&lab), 0);
    assert!(!lab.dir.join("agent/identity/current").exists());
}

#[test]
fn a_used_token_is_refused_to_another_key_and_the_operator_sees_it() {
    let lab = with_collector("used");
    let token = lab.token(&["--name", "host"]);
    assert!(lab.enroll_with(&token).status.success());
    fs::write(lab.dir.join("other.toml"), format!("state_dir = \"{}\"\n", lab.path("other"))).expect("a configuration");
    refused(&lab.enroll_as("other.toml", &token), &["used by another key", "look at the collector's events"]);
    let events = lab.json(&["events", "host"]);
    let event = events.as_array().expect("events").iter().find(|event| event["kind"] == "token_reused");
    assert_eq!(event.expect("token_reused")["severity"], "critical", "{events:#}");
    assert_eq!(hosts(&lab), 1);
    assert!(!lab.dir.join("other/identity/current").exists());
}

#[test]
fn what_is_no_token_is_refused_before_anything_is_sent() {
    let lab = Lab::with_lines("garbage", agent());
    // there is no collector: a connection that is tried would be told as such
    let long = "v1.".repeat(2000);
    for garbage in ["hello", "v1.00.11.22", "\u{1b}[31mred", long.as_str()] {
        refused(&lab.enroll_with(garbage), &["there is no token in standard input"; 0]);
        let said = String::from_utf8_lossy(&lab.enroll_with(garbage).stderr).into_owned();
        assert!(said.contains("is no token") || said.contains("there is no token"), "{said}");
        assert!(!said.contains(garbage) && !said.contains('\u{1b}'), "what was given is not repeated: {said}");
    }
    refused(&lab.enroll_with(""), &["there is no token in standard input"]);
}

#[test]
fn an_unknown_key_in_the_agents_configuration_is_named_with_file_line_and_nearest_key() {
    let lab = Lab::with_lines("agent-key", agent());
    let file = lab.path("agent.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    let lines = text.lines().count();
    fs::write(&file, format!("{text}mots = 5\n")).expect("a configuration");
    let told = format!("{file}:{}: unknown key mots; the nearest known is most", lines + 1);
    refused(&lab.agent(&["run"]), &[told.as_str()]);
    // an agent that runs has settings of before: its status is shown, and the mistake beside it
    let status = lab.agent(&["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains(&told), "{status:?}");
    assert!(!lab.dir.join("agent").exists(), "nothing was done");
    // check shows the mistake beside all the rest, as data
    let output = lab.agent(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let check: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let mistake = &check["configuration"][0];
    assert_eq!((mistake["file"].as_str(), mistake["line"].as_u64()), (Some(file.as_str()), Some(lines as u64 + 1)));
}

#[test]
fn an_unknown_key_in_the_collectors_configuration_is_named_with_file_line_and_nearest_key() {
    let lab = Lab::with_lines("collector-key", agent());
    let file = lab.path("collector.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    fs::write(&file, format!("polic_dirs = []\n{text}")).expect("a configuration");
    let told = format!("{file}:1: unknown key `polic_dirs`, did you mean `policy_dirs`?");
    for command in [&["serve"][..], &["check"], &["token", "create"]] {
        refused(&lab.collector(command), &[told.as_str()]);
    }
    assert!(!lab.dir.join("collector").exists(), "nothing was done");
}

#[test]
fn wrong_usage_ends_with_two_and_leaves_stdout_alone() {
    let lab = Lab::with_lines("usage", agent());
    for output in [lab.agent(&["rnu"]), lab.collector(&["serv"]), lab.plumb(&["hots"])] {
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("unrecognized subcommand")
        );
    }
}

/// Stops the agent, spoils its state, starts it: says why the state was replaced, and shows that nothing is lost. What the
/// new state cannot know it tells again, so lines may be there twice, as records of another epoch.
fn after_spoiling_state(name: &str, spoil: impl FnOnce(&Path)) -> (Lab, String) {
    let (mut lab, writer) = at_work(name);
    lab.kill_agent();
    spoil(&lab.dir.join("agent/state.db"));
    lab.start_agent();
    let replaced = |lab: &Lab| lab.json(&["events", "host", "--kind", "state_replaced"]);
    let some = |events: &Value| events.as_array().is_some_and(|events| !events.is_empty());
    let events = eventually("state_replaced", LIMIT, || replaced(&lab), some);
    assert_eq!(events[0]["severity"], "critical", "{events:#}");
    let total = writer.finish();
    let told = eventually("all lines", LIMIT, || Told::by(&lab), |told| told.lost(total) == 0);
    assert_eq!(told.lines(), total, "and none that nobody wrote");
    let (sound, said) = lab.check();
    assert!(sound, "{said}");
    assert!(lab.agent_runs() && lab.dir.join("agent/state.db.damaged").exists());
    (lab, events[0]["text"].as_str().expect("a text").to_owned())
}

#[test]
fn a_state_of_garbage_is_set_aside_with_a_critical_event_and_the_agent_goes_on() {
    let garbage = b"this is no database, and it is longer than a page of one ".repeat(200);
    let (lab, why) = after_spoiling_state("state-garbage", |path| {
        checkpoint(path);
        fs::write(path, &garbage).expect("garbage");
    });
    assert!(why.contains("set aside") && why.contains("not a database"), "{why}");
    assert_eq!(fs::read(lab.dir.join("agent/state.db.damaged")).expect("kept"), garbage);
}

#[test]
fn a_state_with_rotten_pages_is_set_aside_with_a_critical_event_and_the_agent_goes_on() {
    let (_, why) = after_spoiling_state("state-rotten", |path| {
        checkpoint(path);
        rot(path);
    });
    assert!(why.contains("malformed"), "{why}");
}

#[test]
fn a_state_of_a_newer_agent_is_set_aside_untouched_with_a_critical_event() {
    let (lab, why) = after_spoiling_state("state-newer", |path| {
        Connection::open(path).expect("a state").pragma_update(None, "user_version", 99).expect("a newer format");
    });
    assert!(why.contains("written by a newer plumb-agent (format 99, this one knows "), "{why}");
    let kept = Connection::open(lab.dir.join("agent/state.db.damaged")).expect("kept");
    let records: i64 = kept.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).expect("records");
    assert!(records > 0);
}

/// Brings all of a database into its one file: what is spoiled there would else be healed from its log.
fn checkpoint(path: &Path) {
    let db = Connection::open(path).expect("a database");
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
}

/// Overwrites every page behind the first with what a disk might give back.
fn rot(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("a database");
    let pages = file.metadata().expect("a size").len() / 4096;
    assert!(pages > 4, "too small to rot: {pages} pages");
    (1..pages).for_each(|page| file.write_all_at(&[0x55; 4096], page * 4096).expect("a rotten page"));
}

/// A lab at work whose collector was stopped, with all of its database in one file, which is returned.
fn stopped_collector(name: &str) -> (Lab, Writer, PathBuf) {
    let (mut lab, writer) = at_work(name);
    lab.kill_collector();
    let path = lab.dir.join("collector/collector.db");
    checkpoint(&path);
    (lab, writer, path)
}

/// Each command refuses this database in these words, and leaves it as it is. With the good one in its place again,
/// everything arrives that was said meanwhile.
fn is_refused_and_left((mut lab, writer, path): (Lab, Writer, PathBuf), good: &[u8], words: &[&str]) {
    let spoiled = fs::read(&path).expect("a spoiled store");
    for command in [&["serve"][..], &["check"], &["token", "create"]] {
        let output = lab.collector(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("store"), "nothing is said to be in order");
        for word in words.iter().chain(&["collector.db"]) {
            assert!(said.contains(word), "{command:?}: {word:?} is not in {said}");
        }
        assert!(fs::read(&path).expect("a spoiled store") == spoiled, "{command:?} has changed it");
    }
    assert!(lab.agent_runs());
    fs::write(&path, good).expect("a backup");
    lab.start_collector();
    lab.collector_is_up();
    let total = writer.finish();
    eventually("the last line", Duration::from_secs(45), || Told::by(&lab), |told| told.has(total));
    let told = Told::by(&lab);
    assert_eq!((told.lost(total), told.doubled(total)), (0, 0), "of {total}: {told:?}");
    let (sound, said) = lab.check();
    assert!(sound, "{said}");
}

#[test]
fn a_store_of_a_newer_collector_is_refused_and_left_as_it_is() {
    let (lab, writer, path) = stopped_collector("store-newer");
    let good = fs::read(&path).expect("a store");
    Connection::open(&path).expect("a store").pragma_update(None, "user_version", 99).expect("a newer schema");
    let words = ["was written by a newer plumb (schema 99, this program knows ", "upgrade plumb, or restore a backup"];
    is_refused_and_left((lab, writer, path), &good, &words);
}

#[test]
fn a_store_of_garbage_is_refused_and_left_as_it_is() {
    let (lab, writer, path) = stopped_collector("store-garbage");
    let good = fs::read(&path).expect("a store");
    fs::write(&path, b"this is no database, and it is longer than a page of one ".repeat(200)).expect("garbage");
    is_refused_and_left((lab, writer, path), &good, &["is damaged or no database", "restore a backup"]);
}

#[test]
fn a_store_with_rotten_pages_is_not_called_sound() {
    let (lab, writer, path) = stopped_collector("store-rotten");
    let good = fs::read(&path).expect("a store");
    rot(&path);
    is_refused_and_left((lab, writer, path), &good, &["is damaged or no database", "restore a backup"]);
}

#[test]
fn a_store_with_one_rotten_page_anywhere_is_not_called_sound() {
    let (lab, writer, path) = stopped_collector("store-one-page");
    assert!(writer.finish() > 0);
    let good = fs::read(&path).expect("a store");
    let free: i64 = Connection::open(&path)
        .expect("a store")
        .query_row("PRAGMA freelist_count", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(free, 0, "a page that holds nothing may rot");
    let mut sound = Vec::new();
    for page in 0..good.len() / 4096 {
        let mut rotten = good.clone();
        rotten[page * 4096..(page + 1) * 4096].fill(0x55);
        fs::write(&path, rotten).expect("a rotten store");
        let (is_sound, said) = lab.check();
        sound.extend(is_sound.then_some(page));
        assert!(is_sound || said.contains("damaged") || said.contains("malformed"), "page {page}: {said}");
    }
    assert_eq!(sound, [0; 0], "of {} pages", good.len() / 4096);
}
