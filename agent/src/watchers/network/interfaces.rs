//! Which interfaces there are, from sysfs (the kernel's Documentation/ABI/testing/sysfs-class-net).

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::INTERFACE;
use crate::host::addresses::Address;
use crate::host::sockets::Exposure;
use crate::host::{Host, HostError};
use crate::watcher::Look;

const FOLDER: &str = "/sys/class/net";
/// Bytes of one attribute.
const ATTRIBUTE: usize = 4 << 10;
/// Interfaces that are told.
const MAX_INTERFACES: usize = 32;
/// An address that the kernel made up (the kernel's include/uapi/linux/netdevice.h, NET_ADDR_RANDOM).
const MADE_UP: &[u8] = b"1";
/// Names of interfaces that container engines, hypervisors and tunnels make, even when they carry addresses.
const OTHERS: [&[u8]; 14] = [
    b"br-",
    b"cali",
    b"cilium",
    b"cni",
    b"docker",
    b"dummy",
    b"flannel",
    b"lxcbr",
    b"lxdbr",
    b"podman",
    b"tailscale",
    b"tap",
    b"veth",
    b"virbr",
];

/// The interfaces that are told, as of the last look.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    told: BTreeMap<Untrusted, Vec<(&'static str, Value)>>,
    problems: Vec<HostError>,
}

impl Interfaces {
    /// Names of those that are told.
    pub(super) fn names(&self) -> impl Iterator<Item = &Untrusted> {
        self.told.keys()
    }

    pub(super) fn look(&mut self, host: &Host) {
        (self.told, self.problems) = (BTreeMap::new(), Vec::new());
        let entries = match host.list(FOLDER) {
            Ok(entries) => entries,
            Err(error) if error.is_absent() => return,
            Err(error) => return self.problems.push(error),
        };
        let addresses = host.addresses().map_err(|error| self.problems.push(error.clone())).ok();
        // In a container every interface is a virtual one, and looks like those that come with containers.
        let is_container = !entries.iter().any(|entry| !is_virtual(host, &entry.name));
        for entry in entries {
            let name = Untrusted::from(entry.name.as_bytes());
            let own: Vec<&Address> = addresses.iter().flatten().filter(|address| address.interface == name).collect();
            let is_public = own.iter().any(|address| address.exposure() == Exposure::Public);
            let is_other = OTHERS.iter().any(|prefix| name.as_bytes().starts_with(prefix));
            let counts = !is_virtual(host, &entry.name) || is_public || !own.is_empty() && (is_container || !is_other);
            if !counts || name.as_bytes() == b"lo" || self.told.len() >= MAX_INTERFACES {
                continue;
            }
            let mut fields = attributes(host, &Path::new(FOLDER).join(&entry.name));
            if addresses.is_some() {
                let texts = own.iter().map(|address| Untrusted::from(address.address.to_string()));
                fields.push(("addresses", Value::List(texts.collect())));
            }
            self.told.insert(name, fields);
        }
    }

    pub(super) fn tell(&self, look: &mut Look<'_>) {
        for (name, fields) in &self.told {
            look.fact(&INTERFACE, name.clone(), FOLDER, fields);
            if !fields.iter().any(|(column, _)| *column == "addresses") {
                look.unknown(&INTERFACE, name.clone(), "addresses", "the addresses of the machine cannot be read", "");
            }
        }
        for error in &self.problems {
            look.problem(&INTERFACE, "", error.path.clone(), error, error.hint());
        }
    }
}

/// True for one that no device of the machine stands behind.
fn is_virtual(host: &Host, name: &std::ffi::OsStr) -> bool {
    let link = host.read_link(Path::new(FOLDER).join(name));
    link.is_ok_and(|link| link.as_os_str().as_bytes().windows(9).any(|part| part == b"/virtual/"))
}

fn attributes(host: &Host, folder: &Path) -> Vec<(&'static str, Value)> {
    // An interface may go while it is looked at, and some have no such attribute: a column that is not set.
    let read = |name: &str| host.read(folder.join(name), ATTRIBUTE).ok().map(|text| text.trim_ascii().to_vec());
    let mut fields = Vec::new();
    fields.extend(read("operstate").map(|state| ("operstate", Value::Text(state.into()))));
    let made_up = read("addr_assign_type").is_some_and(|kind| kind == MADE_UP);
    let mac = read("address").filter(|mac| !made_up && !mac.is_empty());
    fields.extend(mac.map(|mac| ("mac", Value::Text(mac.into()))));
    let mtu = read("mtu").and_then(|mtu| std::str::from_utf8(&mtu).ok()?.parse::<i64>().ok());
    fields.extend(mtu.map(|mtu| ("mtu", Value::Int(mtu))));
    fields
}
