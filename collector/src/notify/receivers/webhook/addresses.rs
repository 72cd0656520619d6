//! Which addresses a webhook may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Looks a name up and refuses what must not be reached. The connection is made to what it answers and to nothing else.
#[derive(Debug)]
pub(super) struct Guard {
    inner: DefaultResolver,
    private: bool,
    loopback: bool,
}

impl Guard {
    /// `private`: the operator allows private networks. `loopback`: the address names this machine outright.
    pub(super) fn new(private: bool, loopback: bool) -> Self {
        Self { inner: DefaultResolver::default(), private, loopback }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.private || !is_private(address) || (self.loopback && address.to_canonical().is_loopback())
    }
}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        match found.iter().find(|each| !self.allows(each.ip())) {
            None => Ok(found),
            Some(refused) => Err(ureq::Error::Io(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                format!("{} is in a private network: set allow_private = true to allow it", refused.ip()),
            ))),
        }
    }
}

/// True if a host as written in an address is this machine, whatever a name server says.
pub(super) fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// True for every address that is not out in the internet: IANA's special-purpose registries (RFC 6890), IPv6 forms that
/// carry an IPv4 address (mapped; NAT64, RFC 6052; 6to4, RFC 3056) by what they carry.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_private_v4(mapped);
    }
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_private_v4(v4(high, low)),
        // Global unicast is 2000::/3; 2001:db8::/32 is documentation.
        [first, second, ..] => (first & 0xe000) != 0x2000 || (first == 0x2001 && second == 0xdb8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_out_in_the_internet_is_private_in_every_spelling() {
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "240.0.0.1",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "::10.0.0.1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["9.9.9.9", "172.32.0.1", "100.128.0.1", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::909:909"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn this_machine_is_reached_only_if_it_is_named_outright() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(!Guard::new(false, is_loopback_name("innocent.example.org")).allows(loopback));
        for named in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"] {
            assert!(Guard::new(false, is_loopback_name(named)).allows(loopback), "{named}");
        }
        assert!(!Guard::new(false, true).allows("10.0.0.1".parse().unwrap()));
        assert!(Guard::new(true, false).allows("10.0.0.1".parse().unwrap()));
    }
}
