//! The network: interfaces and their addresses, what listens on which port, and what goes through.
//!
//! Interfaces that come and go with containers and tunnels are left out (sysfs has them below `devices/virtual`), unless
//! they carry the machine's own addresses: a bridge, a bond, or the one end of a pair that a container has.
//!
//! A listener is told once it has stood for a minute, so what opens a port for a moment is no news; one that is gone is
//! told at once, and the collector gives a restart the time to bring it back. One that comes back is told at once.

mod counters;
mod interfaces;
mod listeners;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use plumb_proto::model::ColumnType;

use crate::watcher::{Column, Look, Progress, Spec, Table, Watcher, seconds};
use interfaces::Interfaces;
use listeners::Listeners;

/// The watcher `network`.
pub const SPEC: Spec = Spec::new::<Network>(
    "network",
    seconds(10),
    &[&INTERFACE, &LISTENER],
    r#"
# Ports that come and go by themselves, or are a client's: not told. `udp/68` is DHCP, 123 an NTP client's.
ignore_ports = ["udp/68", "udp/123", "udp/546", "udp/5353"]
"#,
);

/// From one look at listeners and interfaces to the next; counters are read at every look.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After something was started or stopped they are looked at again at each look for so long.
const RESTLESS: Duration = Duration::from_secs(25);
/// A listener that has gone is looked for so often at first.
const SOON: Duration = Duration::from_secs(2);
/// systemd makes and removes a link here whenever a unit starts or stops, and with it mostly a listener.
const UNITS: &str = "/run/systemd/units";

/// Where listeners are found.
const SOURCE: &str = "/proc/net";

/// Interfaces of the machine.
const INTERFACE: Table = Table {
    name: "interface",
    doc: "Network interfaces that carry the machine's traffic. Key: the name.",
    columns: &[
        Column::state(
            "operstate",
            ColumnType::Text,
            "up, down, lowerlayerdown, ...; unknown where drivers do not say.",
        ),
        Column::state("mac", ColumnType::Text, "Its hardware address, unless it was made up at boot."),
        Column::state("mtu", ColumnType::Int, "Bytes of the biggest packet."),
        Column::state(
            "addresses",
            ColumnType::List,
            "Addresses that stay, sorted; without loopback, link-local and temporary ones.",
        ),
    ],
};

/// What waits for connections or packets.
const LISTENER: Table = Table {
    name: "listener",
    doc: "Sockets that wait for others. Key: protocol/address:port.",
    columns: &[
        Column::state(
            "process",
            ColumnType::Text,
            "File name of the program that has it open; systemd while it keeps it for a service that is not running; kernel if none has.",
        ),
        Column::state("user", ColumnType::Text, "Who opened it."),
        Column::state(
            "exposure",
            ColumnType::Text,
            "From where it can be reached, by its address: public, private, loopback.",
        ),
    ],
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    ignore_ports: Vec<String>,
    #[serde(skip)]
    interfaces: Interfaces,
    #[serde(skip)]
    listeners: Listeners,
    #[serde(skip)]
    looked: Option<Duration>,
    #[serde(skip)]
    woken: Option<Duration>,
    #[serde(skip)]
    again: Option<Duration>,
    #[serde(skip)]
    buffer: Vec<u8>,
}

impl Watcher for Network {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        if look.host.stat("/proc/net/dev").is_err_and(|error| error.is_absent()) {
            return Ok(Progress::Absent);
        }
        let now = look.host.clock().monotonic();
        if !look.trigger.is_empty() {
            self.woken = Some(now);
        }
        let restless = self.woken.is_some_and(|woken| now < woken + RESTLESS);
        if restless || self.listeners.misses() || self.looked.is_none_or(|looked| now >= looked + LOOK_EVERY) {
            self.interfaces.look(look.host);
            self.listeners.look(look, &self.ignore_ports, self.woken, now);
            self.looked = Some(now);
        }
        self.again = self.listeners.misses_lately(now).then_some(SOON);
        self.interfaces.tell(look);
        self.listeners.tell(look, now);
        counters::tell(look, &self.interfaces, &mut self.buffer);
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        vec![PathBuf::from(UNITS)]
    }

    fn again(&self) -> Option<Duration> {
        self.again
    }
}

#[cfg(test)]
mod tests;
