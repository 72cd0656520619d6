//! Sockets that wait for others, as the kernel tells or as /proc/net/{tcp,tcp6,udp,udp6} has them (the kernel's
//! Documentation/networking/proc_net_tcp.rst), and what an address means.

pub mod diag;
mod local;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::ErrorKind;
use super::{Host, HostError};
pub use local::Visitors;

/// Bytes of one of the tables that are read; of TCP only its head is, where the listening sockets stand.
const TABLE: u64 = 8 << 20;
/// Sockets that are taken.
const SOCKETS: usize = 4_096;
/// States in the tables (the kernel's include/net/tcp_states.h); an unconnected UDP socket stands as closed.
const SYN_RECV: u8 = 0x03;
const CLOSE: u8 = 0x07;
const LISTEN: u8 = 0x0a;

/// From where something can be reached, judged by its address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// From this machine only.
    Loopback,
    /// From networks that the internet does not route: RFC 1918, RFC 4193, RFC 6598, link-local.
    Private,
    /// From anywhere, as far as no firewall stands in between: a public address, or all addresses.
    Public,
}

impl Exposure {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// Of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) if address.is_loopback() => Self::Loopback,
            IpAddr::V6(address) if address.is_loopback() => Self::Loopback,
            IpAddr::V4(address) if address.is_private() || address.is_link_local() || is_shared(address) => {
                Self::Private
            }
            IpAddr::V6(address) if address.is_unique_local() || address.is_unicast_link_local() => Self::Private,
            _ => Self::Public,
        }
    }
}

/// 100.64.0.0/10, between customers and their provider (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

/// An address as it is written in configuration, without brackets.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// A socket that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where it is bound; all addresses if it is the unspecified one.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Who made it.
    pub uid: u32,
    /// Its number: `/proc/PID/fd` names it.
    pub inode: u64,
    /// Connections that wait until the program takes them (TCP), or bytes (UDP).
    pub waiting: u32,
}

impl Socket {
    /// `tcp/0.0.0.0:80`, `tcp/[::1]:25`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.address {
            IpAddr::V4(address) => format!("{}/{address}:{}", self.protocol, self.port),
            IpAddr::V6(address) => format!("{}/[{address}]:{}", self.protocol, self.port),
        }
    }

    /// From where it can be reached.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        Exposure::of(self.address)
    }
}

impl Host {
    /// Listening TCP sockets and unconnected UDP sockets of the agent's network namespace, at most some thousand.
    ///
    /// # Errors
    /// A table cannot be read. A host without /proc/net has none: not found.
    pub fn listening(&self) -> Result<Vec<Socket>, HostError> {
        let mut sockets = Vec::new();
        let tables = [("tcp", "tcp", false), ("tcp6", "tcp", true), ("udp", "udp", false), ("udp6", "udp", true)];
        for (table, protocol, v6) in tables {
            let before = sockets.len();
            if protocol == "tcp" && self.is_live() {
                match diag::listening(if v6 { libc::AF_INET6 } else { libc::AF_INET }, &mut sockets) {
                    Ok(()) => continue,
                    Err(_) => sockets.truncate(before), // a kernel without it has the table
                }
            }
            let path = format!("/proc/net/{table}");
            match self.open(&path) {
                Ok(file) => {
                    read(file, protocol, &mut sockets).map_err(|error| ErrorKind::from_io(&error).at(path.as_ref()))?
                }
                // Without IPv6 its tables are missing.
                Err(error) if error.is_absent() && v6 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sockets)
    }
}

/// Adds the waiting sockets of a table such as /proc/net/tcp. The kernel writes listening sockets ahead of all others, and only
/// as much as is read: with many connections open, the rest of the table is the expensive part.
///
/// # Errors
/// Reading failed.
pub fn read(file: impl Read, protocol: &'static str, sockets: &mut Vec<Socket>) -> std::io::Result<()> {
    let mut lines = BufReader::with_capacity(8 << 10, file.take(TABLE));
    let mut line = Vec::new();
    let mut seen = BTreeSet::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 || sockets.len() >= SOCKETS {
            return Ok(());
        }
        let Some((state, socket)) = parse(&line, protocol) else { continue }; // its first line holds titles
        match (protocol, state) {
            ("tcp", LISTEN) | ("udp", CLOSE) => {
                if seen.insert(socket.inode) || socket.inode == 0 {
                    sockets.push(socket);
                }
            }
            ("tcp", SYN_RECV) | ("udp", _) => {} // old kernels have half-open connections among the listening sockets
            _ => return Ok(()),
        }
    }
}

fn parse(line: &[u8], protocol: &'static str) -> Option<(u8, Socket)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let state = u8::from_str_radix(words.nth(1)?, 16).ok()?;
    let (_, waiting) = words.next()?.split_once(':')?;
    let waiting = u32::from_str_radix(waiting, 16).ok()?;
    let uid = words.nth(2)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((state, Socket { protocol, address: hexadecimal(address)?, port, uid, inode, waiting }))
}

/// An address as words of 32 bits in the machine's own byte order.
fn hexadecimal(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str, protocol: &'static str) -> Vec<String> {
        let mut sockets = Vec::new();
        read(text.as_bytes(), protocol, &mut sockets).unwrap();
        let line = |each: &Socket| {
            format!("{} {} uid {} inode {}", each.name(), each.exposure().as_str(), each.uid, each.inode)
        };
        sockets.iter().map(line).collect()
    }

    const TITLES: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const REST: &str = "00000000:00000000 00:00000000 00000000";

    #[test]
    fn listening_sockets_are_told_and_connections_end_the_search() {
        let text = format!(
            "{TITLES}   0: 00000000:0050 00000000:0000 0A {REST}     0        0 900 1 0 100 0 0 10 0\n\
             \x20  1: 0100007F:0CEA 00000000:0000 0A {REST}   112        0 901 1 0 100 0 0 10 0\n\
             \x20  2: 0100007F:0CEB 0100007F:9000 03 {REST}     0        0 0 1 0 100 0 0 10 0\n\
             \x20  3: 0500000A:1F90 00000000:0000 0A {REST}    33        0 902 1 0 100 0 0 10 0\n\
             \x20  4: 0100007F:0CEA 0100007F:9000 01 {REST}   112        0 903 1 0 100 0 0 10 0\n\
             \x20  5: 00000000:0051 00000000:0000 0A {REST}     0        0 904 1 0 100 0 0 10 0\n"
        );
        assert_eq!(
            names(&text, "tcp"),
            [
                "tcp/0.0.0.0:80 public uid 0 inode 900",
                "tcp/127.0.0.1:3306 loopback uid 112 inode 901",
                "tcp/10.0.0.5:8080 private uid 33 inode 902",
            ]
        );
    }

    #[test]
    fn addresses_of_ipv6_are_read_word_by_word() {
        let line = |address: &str| format!("{TITLES} 0: {address}:0019 00:00 07 {REST} 0 0 7 2\n");
        let one = |address: &str| names(&line(address), "udp").concat();
        assert_eq!(one("00000000000000000000000001000000"), "udp/[::1]:25 loopback uid 0 inode 7");
        assert_eq!(one("00000000000000000000000000000000"), "udp/[::]:25 public uid 0 inode 7");
        assert_eq!(one("000080FE00000000FF005450B0C0D0E0").split(' ').nth(1), Some("private"));
        assert_eq!(one("0000000000000000FFFF00000100007F").split(' ').nth(1), Some("loopback"), "mapped IPv4");
    }

    #[test]
    fn an_address_of_a_providers_own_network_is_private() {
        let exposure = |text: &str| Exposure::of(text.parse().unwrap()).as_str();
        assert_eq!(
            ["100.64.0.1", "100.128.0.1", "192.168.1.1", "169.254.1.1", "fd00::1", "8.8.8.8"].map(exposure),
            ["private", "public", "private", "private", "private", "public"]
        );
    }

    proptest! {
        #[test]
        fn a_table_of_any_bytes_is_survived(bytes: Vec<u8>, text in "[ 0-9A-F:\n]{0,300}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let mut sockets = Vec::new();
                prop_assert!(read(bytes, "udp", &mut sockets).is_ok());
                prop_assert!(read(bytes, "tcp", &mut sockets).is_ok());
            }
        }
    }
}
