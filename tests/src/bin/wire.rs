//! What an agent costs on the wire: `wire [MINUTES]` (20) runs a collector and the agent on this machine and reads the
//! counters of the agent's own socket (TCP_INFO, by `ss`): all bytes of the TCP stream in both directions, the TLS
//! handshake, HTTP/2 and acks included. Prints the bytes of the first minute and the rest as bytes a day.

use std::process::Command;
use std::time::Duration;

use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};

fn main() {
    let minutes: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut lab = Lab::new("wire", &program("PLUMB_AGENT"), "", "");
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("wire");
    lab.start_agent();
    let port = lab.ingest_port();
    eventually("a connection", Duration::from_secs(60), || counters(port), |bytes| bytes.0 > 1000);
    // the first report is larger than all others: what follows is the day
    std::thread::sleep(Duration::from_secs(90));
    let first = counters(port);
    std::thread::sleep(Duration::from_secs(60) * minutes);
    let last = counters(port);
    let day = |from: u64, to: u64| (to - from) as f64 * 1440.0 / f64::from(minutes);
    println!("first 90 s: {} B out, {} B in", first.0, first.1);
    println!(
        "a day: {:.0} B out, {:.0} B in, {:.0} B in all (from {minutes} minutes)",
        day(first.0, last.0),
        day(first.1, last.1),
        day(first.0, last.0) + day(first.1, last.1)
    );
}

/// Bytes sent and received by the agent's socket.
fn counters(port: u16) -> (u64, u64) {
    let filter = format!("dport = :{port}");
    let output = Command::new("ss").args(["-tinH", "state", "established", &filter]).output().expect("ss (iproute2)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |name: &str| {
        text.split_whitespace().filter_map(|word| word.strip_prefix(name)).filter_map(|n| n.parse::<u64>().ok()).sum()
    };
    (field("bytes_sent:"), field("bytes_received:"))
}
