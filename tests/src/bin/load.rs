//! What a fleet costs its collector: `load [AGENTS [MINUTES]]...` (100 4 1000 4). For each pair it lets so many simulated
//! agents report at full rate (60 series every 10 s, a record a minute, a changed fact every ten) to one collector, a program
//! of its own, and prints its processor time, memory and how long acks take. Needs the programs that `run-tests` builds,
//! by the same environment. Enrolling takes a tenth of a second a host.

use std::path::Path;
use std::time::{Duration, Instant};

use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};
use plumb_tests::load::{identities, run};

/// The first minutes: connections are made, first records are full.
const SETTLE: u64 = 2;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let pairs: Vec<(usize, u64)> = match numbers.as_slice() {
        [] => vec![(100, 4), (1000, 4)],
        words => words.chunks(2).map(|pair| (pair[0] as usize, pair.get(1).copied().unwrap_or(4))).collect(),
    };
    println!("| agents | records/s | collector cores | RSS MiB | ack p50 ms | p99 | max | broken | cpu ms a record |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (agents, minutes) in pairs {
        measure(agents, minutes);
    }
}

fn measure(agents: usize, minutes: u64) {
    let mut lab = Lab::new("load", &program("PLUMB_AGENT"), "", "");
    lab.start_collector();
    lab.collector_is_up();
    let all = identities(&lab, &lab.dir.join("identities"), agents);
    let pid = lab.collector_pid().expect("a collector");
    let mut begun = None;
    let seen = run(lab.ingest_port(), all, Duration::from_secs(60 * (SETTLE + minutes)), |minute| {
        if minute == SETTLE {
            begun = Some((Instant::now(), processor_seconds(pid)));
        }
    });
    let (at, before) = begun.expect("a begin");
    let (wall, used) = (at.elapsed().as_secs_f64(), processor_seconds(pid) - before);
    let mut acks = seen.acks;
    acks.sort_unstable();
    let at = |share: f64| {
        let place = ((acks.len() as f64 * share).ceil() as usize).clamp(1, acks.len().max(1)) - 1;
        acks.get(place).map_or(f64::NAN, |ack| ack.as_secs_f64() * 1e3)
    };
    let records = agents as f64 / 60.0 * wall;
    println!(
        "| {agents} | {:.1} | {:.3} | {:.0} | {:.1} | {:.1} | {:.1} | {} {} | {:.2} |",
        agents as f64 / 60.0,
        used / wall,
        resident_mebibytes(pid),
        at(0.5),
        at(0.99),
        at(1.0),
        seen.broken.0,
        seen.broken.1,
        used / records * 1e3,
    );
    let start = Instant::now();
    let hosts = eventually("all hosts", Duration::from_secs(60), || lab.json(&["hosts"]), |hosts| hosts.is_array());
    let listed = hosts.as_array().map_or(0, Vec::len);
    println!("`plumb hosts` on {listed} hosts: {:.2} s; {} records sent", start.elapsed().as_secs_f64(), seen.sent);
    let (held, said) = lab.check();
    println!("check: {} ({})", if held { "holds" } else { "fails" }, said.lines().last().unwrap_or_default());
}

/// User and system time (proc_pid_stat(5), fields 14 and 15; a hundred ticks a second).
fn processor_seconds(pid: u32) -> f64 {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).expect("the collector runs");
    let behind = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = behind.split(' ').skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn resident_mebibytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the collector runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
