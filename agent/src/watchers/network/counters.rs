//! What goes through: bytes, errors and drops by interface, sockets by state, use of connection tracking.

use plumb_proto::untrusted::Untrusted;

use super::INTERFACE;
use super::interfaces::Interfaces;
use crate::watcher::Look;

/// Bytes of one file of /proc.
const LIMIT: usize = 1 << 20;
const DEVICES: &str = "/proc/net/dev";
const SOCKETS: &str = "/proc/net/sockstat";
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const TRACKED_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

pub(super) fn tell(look: &mut Look<'_>, interfaces: &Interfaces, buffer: &mut Vec<u8>) {
    if read(look, DEVICES, buffer) {
        for name in interfaces.names() {
            if let Some(numbers) = device(buffer, name) {
                traffic(look, name, &numbers);
            }
        }
    }
    if read(look, SOCKETS, buffer) {
        // `alloc` is left out: it is `inuse` with a few more.
        for (word, state) in [("inuse", "open"), ("orphan", "orphaned"), ("tw", "time_wait")] {
            if let Some(count) = socket_count(buffer, word) {
                look.gauge("tcp_sockets", &[("state", state)], count);
            }
        }
    }
    // Without connection tracking there is nothing to tell.
    let mut number = |path: &str| {
        look.host.read_into(path, LIMIT, buffer).ok()?;
        real(buffer.trim_ascii())
    };
    if let (Some(count), Some(max)) = (number(TRACKED), number(TRACKED_MAX).filter(|max| *max > 0.0)) {
        look.gauge("conntrack_entries", &[], count);
        look.gauge("conntrack_used_ratio", &[], count / max);
    }
}

/// False when it is not there, or cannot be read, which is told.
fn read(look: &mut Look<'_>, path: &'static str, buffer: &mut Vec<u8>) -> bool {
    match look.host.read_into(path, LIMIT, buffer) {
        Ok(()) => true,
        Err(error) => {
            if !error.is_absent() {
                look.problem(&INTERFACE, path, path, &error, error.hint());
            }
            false
        }
    }
}

fn traffic(look: &mut Look<'_>, name: &Untrusted, numbers: &[f64; 16]) {
    let escaped = name.to_string();
    let labels = [("interface", name.as_text().unwrap_or(&escaped))];
    let [received, _, errors_in, drops_in, _, _, _, _, sent, _, errors_out, drops_out, ..] = numbers;
    look.counter("network_receive_bytes_total", &labels, *received);
    look.counter("network_transmit_bytes_total", &labels, *sent);
    look.counter("network_errors_total", &labels, errors_in + errors_out);
    look.counter("network_drops_total", &labels, drops_in + drops_out);
}

/// The numbers behind `eth0:` (proc_net(5)).
fn device(text: &[u8], name: &Untrusted) -> Option<[f64; 16]> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.trim_ascii_start().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b":")
    })?;
    let mut numbers = [0.0; 16];
    let mut words = words(line);
    for number in &mut numbers {
        *number = real(words.next()?)?;
    }
    Some(numbers)
}

/// Of the row `TCP: inuse 5 orphan 0 tw 2 alloc 9 mem 1`.
fn socket_count(text: &[u8], name: &str) -> Option<f64> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"TCP:"))?;
    let mut words = words(line);
    words.find(|word| *word == name.as_bytes())?;
    real(words.next()?)
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53
fn real(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse::<u64>().ok().map(|number| number as f64)
}
