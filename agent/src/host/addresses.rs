//! Addresses of the machine, from files of /proc: fib_trie and route for IPv4, if_inet6 for IPv6.
//!
//! The kernel's table of local IPv4 addresses does not name interfaces. One is found by the network that is connected
//! to it; an address outside every connected network, as hosters route them to a machine, counts for the interface of
//! the default route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plumb_proto::untrusted::Untrusted;

use super::sockets::Exposure;
use super::{Host, HostError};

/// Bytes of one file; a router's table of routes is longer, and is not read.
const LIMIT: usize = 1 << 20;
/// Flags of an IPv6 address: made up for privacy, or not usable for now (the kernel's include/uapi/linux/if_addr.h).
const TEMPORARY: u32 = 0x01;
/// The scope of an address that is valid on one link only (the kernel's include/net/ipv6.h).
const LINK_LOCAL: u32 = 0x20;
/// A route that is up, and one that leads over a gateway (the kernel's include/uapi/linux/route.h).
const UP: u32 = 0x1;
const GATEWAY: u32 = 0x2;

/// An address of the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The interface that has it.
    pub interface: Untrusted,
    /// The address.
    pub address: IpAddr,
}

impl Address {
    /// From where it can be reached.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        Exposure::of(self.address)
    }
}

impl Host {
    /// Addresses of the machine, but for loopback, link-local and temporary ones; sorted.
    ///
    /// # Errors
    /// A file of /proc cannot be read, or is longer than is taken. One that is not there holds nothing.
    pub fn addresses(&self) -> Result<Vec<Address>, HostError> {
        let read = |path: &str| match self.read(path, LIMIT) {
            Err(error) if error.is_absent() => Ok(Vec::new()),
            other => other,
        };
        let routes = routes(&read("/proc/net/route")?);
        let trie = read("/proc/net/fib_trie")?;
        let mut found: Vec<Address> = local(&trie).filter_map(|address| place(&routes, address)).collect();
        found.extend(inet6(&read("/proc/net/if_inet6")?));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

struct Route {
    interface: Untrusted,
    network: u32,
    mask: u32,
}

/// Routes without a gateway, and the default route.
fn routes(text: &[u8]) -> Vec<Route> {
    let route = |line: &[u8]| {
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let interface: Untrusted = words.next()?.into();
        let mut number = |skip: usize| hexadecimal(words.nth(skip)?);
        // In the machine's own byte order, as the bytes lie in memory.
        let network = u32::from_be_bytes(number(0)?.to_ne_bytes());
        let flags = number(1)?;
        let mask = u32::from_be_bytes(number(3)?.to_ne_bytes());
        let is_default = mask == 0;
        (flags & UP != 0 && (is_default || flags & GATEWAY == 0)).then_some(Route { interface, network, mask })
    };
    text.split(|byte| *byte == b'\n').filter_map(route).collect()
}

fn place(routes: &[Route], address: Ipv4Addr) -> Option<Address> {
    let number = u32::from(address);
    let fits = routes.iter().filter(|route| number & route.mask == route.network);
    let best = fits.max_by_key(|route| route.mask)?;
    Some(Address { interface: best.interface.clone(), address: address.into() })
}

/// Addresses of the machine itself: a leaf, and below it what it stands for.
fn local(text: &[u8]) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.filter_map(move |line| {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
            return None;
        }
        let own = line == "/32 host LOCAL";
        leaf.filter(|address| own && !address.is_loopback() && !address.is_link_local())
    })
}

/// `address index prefix scope flags name`, all in hexadecimal digits (the kernel's net/ipv6/addrconf.c).
fn inet6(text: &[u8]) -> Vec<Address> {
    let address = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split_ascii_whitespace();
        let address = Ipv6Addr::from(u128::from_str_radix(words.next()?, 16).ok()?);
        let mut number = |skip: usize| hexadecimal(words.nth(skip)?.as_bytes());
        let (scope, flags) = (number(2)?, number(0)?);
        let interface = words.next()?.into();
        let lasting = flags & TEMPORARY == 0 && scope != LINK_LOCAL && !address.is_loopback();
        lasting.then_some(Address { interface, address: address.into() })
    };
    text.split(|byte| *byte == b'\n').filter_map(address).collect()
}

fn hexadecimal(word: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_belongs_to_the_network_that_is_connected_or_to_the_default_route() {
        let routes = routes(
            b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
              eth0\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
              eth1\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
              eth9\t0005000A\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        );
        let on = |text: &str| place(&routes, text.parse().unwrap()).unwrap().interface.to_string();
        assert_eq!([on("10.0.1.7"), on("203.0.113.9"), on("10.0.5.1")], ["eth1", "eth0", "eth0"]);
    }

    #[test]
    fn only_leaves_that_are_the_machines_own_are_addresses() {
        let trie = b"Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.0.1.0/24 2 0 2\n\
              \x20       |-- 10.0.1.0\n           /24 link UNICAST\n        |-- 10.0.1.7\n           /32 host LOCAL\n\
              \x20       |-- 10.0.1.255\n           /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local(trie).map(|each| each.to_string()).collect::<Vec<_>>(), ["10.0.1.7"]);
    }

    #[test]
    fn temporary_and_link_local_addresses_are_left_out() {
        let found = inet6(
            b"00000000000000000000000000000001 01 80 10 80       lo\n\
              fe80000000000000505400fffe123456 02 40 20 80     eth0\n\
              20010db8000000000000000000000007 02 40 00 80     eth0\n\
              20010db8000000001111222233334444 02 40 00 01     eth0\nbroken\n",
        );
        let found: Vec<_> = found.iter().map(|each| format!("{} {}", each.interface, each.address)).collect();
        assert_eq!(found, ["eth0 2001:db8::7"]);
    }

    proptest! {
        #[test]
        fn files_of_any_bytes_are_survived(bytes: Vec<u8>) {
            prop_assert!(routes(&bytes).len() + inet6(&bytes).len() + local(&bytes).count() <= bytes.len());
        }
    }
}
