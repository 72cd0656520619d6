//! What it costs to see a whole host for the first time.

use std::time::{Duration, Instant};

use plumb_tests::container::children;
use plumb_tests::eventually::eventually;
use plumb_tests::lab::Lab;
use serde_json::Value;

/// Processor time of the first look at everything.
const CPU: f64 = 2.0;
/// Most memory that one of the agent's processes had, with some room for the pages of other machines.
const RSS: u64 = 16 << 20;

/// Waits until each watcher has looked once, to the end, and prints what that took: wall time since `start`, processor time as
/// the agent tells it, the most memory as the kernel does.
pub fn of_the_first_look(lab: &Lab, start: Instant) {
    let unfinished = || {
        let status = lab.agent_status();
        let watchers = status["watchers"].as_array().cloned().unwrap_or_default();
        let waits = |each: &&Value| !matches!(each["outcome"].as_str(), Some("done" | "absent" | "failed"));
        let waiting: Vec<_> = watchers.iter().filter(waits).map(|each| each["name"].to_string()).collect();
        (status, if watchers.is_empty() { vec!["all".to_owned()] } else { waiting })
    };
    let limit = Duration::from_secs(180);
    let (status, _) =
        eventually("the first look of each watcher", limit, unfinished, |(_, waiting)| waiting.is_empty());
    let wall = start.elapsed().as_secs_f64();
    let cpu = status["cost"]["cpu_seconds"].as_f64().unwrap_or(f64::MAX);
    let peak = lab.agent_pid().map_or(0, peak);
    eprintln!("the first look at everything: {wall:.1} s, {cpu:.2} s of processor time, at most {} KiB", peak >> 10);
    let mut watchers = status["watchers"].as_array().cloned().unwrap_or_default();
    watchers
        .sort_by(|a, b| b["cpu_seconds"].as_f64().unwrap_or(0.0).total_cmp(&a["cpu_seconds"].as_f64().unwrap_or(0.0)));
    for each in &watchers {
        let spent = each["cpu_seconds"].as_f64().unwrap_or(0.0) * 1e3;
        eprintln!("  {:14} {spent:7.1} ms, {:4} rows, {}", text(&each["name"]), each["facts"], text(&each["outcome"]));
        for problem in each["problems"].as_array().into_iter().flatten() {
            eprintln!("    {}: {} ({})", text(&problem["subject"]), text(&problem["error"]), text(&problem["hint"]));
        }
    }
    assert!(peak > 0 && peak <= RSS, "{} KiB at most, and {} may be", peak >> 10, RSS >> 10);
    assert!(cpu <= CPU, "{cpu} s of processor time, and {CPU} may be");
}

/// What the agent costs afterwards, told for an hour: watched for the seconds that `PLUMB_ESTATE_SECONDS` names. A campaign, and no
/// test: it judges nothing. Looks that come less often than it lasts count as in the first look, as often as they come.
pub fn afterwards(lab: &Lab) {
    let Some(seconds) = std::env::var("PLUMB_ESTATE_SECONDS").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let before = lab.agent_status();
    std::thread::sleep(Duration::from_secs(seconds));
    let after = lab.agent_status();
    let whole = |status: &Value| status["cost"]["cpu_seconds"].as_f64().unwrap_or(f64::NAN);
    let hours = Duration::from_secs(seconds).as_secs_f64() / 3_600.0;
    eprintln!(
        "{:.2} s of processor time an hour, measured over {seconds} s; of these:",
        (whole(&after) - whole(&before)) / hours
    );
    let spent = |status: &Value, name: &Value| {
        let watchers = status["watchers"].as_array().cloned().unwrap_or_default();
        watchers.iter().find(|each| each["name"] == *name).and_then(|each| each["cpu_seconds"].as_f64()).unwrap_or(0.0)
    };
    for each in after["watchers"].as_array().into_iter().flatten() {
        let (then, now) = (spent(&before, &each["name"]), spent(&after, &each["name"]));
        eprintln!(
            "  {:14} {:6.3} s an hour, {:6.1} ms until then",
            text(&each["name"]),
            (now - then) / hours,
            then * 1e3
        );
    }
    eprintln!("memory: {}", after["cost"]);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The most memory that a process or one of those below it ever had (`VmHWM`, proc(5)). What enters the container has little.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let own = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10;
    children(pid).into_iter().map(peak).max().unwrap_or(0).max(own)
}
