//! Tokens: what an operator pastes on a host, once, within the hour. Only a hash of the secret part is kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{anyhow, bail};
use plumb_proto::record::{Hash, sha256};
use plumb_proto::secret::Secret;
use plumb_proto::time::Timestamp;
use plumb_proto::token::Token;
use ring::rand::{SecureRandom, SystemRandom};

use crate::store::rows::{Groups, TokenRow};

/// How long a token is good for, unless said otherwise.
pub const TTL: Duration = Duration::from_secs(60 * 60);
/// And at most.
pub const TTL_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Hosts that may enrol with one token, at most.
pub const USES_LIMIT: u32 = 10_000;
/// Wrong secrets after which a token is burned.
pub const FAILURES: u32 = 50;
/// Failed tries from one address within [`SPAN`].
const TRIES: u32 = 5;
/// The span that tries are counted in.
const SPAN: Duration = Duration::from_secs(60);
/// Addresses that are remembered; beyond, the oldest are forgotten.
const ADDRESSES: usize = 4_096;

/// What a token is to be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// The name that the host gets; its own host name where there is none.
    pub name: Option<String>,
    /// Labels that the host gets.
    pub groups: Groups,
    /// How many hosts may enrol with it.
    pub uses: u32,
    /// How long it is good for.
    pub ttl: Duration,
}

/// Makes a token: what to print once, and what to keep.
///
/// # Errors
/// It would be good for too long, for too many, for none, or for several hosts of one name; there is no randomness.
pub fn create(spec: &TokenSpec, pin: Hash, now: Timestamp) -> anyhow::Result<(Token, TokenRow)> {
    if spec.ttl.is_zero() || spec.ttl > TTL_LIMIT {
        bail!("a token is good for a second to 24 hours");
    }
    if spec.uses == 0 || spec.uses > USES_LIMIT {
        bail!("a token is good for 1 to {USES_LIMIT} hosts");
    }
    if let Some(name) = &spec.name {
        host_name(name.as_bytes())
            .ok_or_else(|| anyhow!("{name:?} is no host name: letters, digits, '.', '-', '_'"))?;
        if spec.uses > 1 {
            bail!("a token that is bound to a name is good for one host");
        }
    }
    let random = SystemRandom::new();
    let (mut id, mut secret) = ([0; 16], [0; 32]);
    random.fill(&mut id).and_then(|()| random.fill(&mut secret)).map_err(|_| anyhow!("no randomness"))?;
    let row = TokenRow {
        id,
        secret_hash: sha256(&[&secret]),
        name: spec.name.clone(),
        groups: spec.groups.clone(),
        uses_left: spec.uses,
        failures: 0,
        expires: now + spec.ttl,
        created: now,
    };
    Ok((Token { id, secret: Secret::new(secret), pin }, row))
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none of this id, or its secret is another.
    Unknown,
    /// Its time is over.
    Expired,
    /// Too many wrong secrets were presented.
    Burned,
}

/// Looks whether a secret opens a token.
///
/// # Errors
/// Why it does not.
pub fn check(row: &TokenRow, secret: &[u8], now: Timestamp) -> Result<(), Refusal> {
    if row.failures >= FAILURES {
        return Err(Refusal::Burned);
    }
    if !same(&sha256(&[secret]), &row.secret_hash) {
        return Err(Refusal::Unknown);
    }
    if now >= row.expires { Err(Refusal::Expired) } else { Ok(()) }
}

/// Takes the same time wherever two hashes differ.
fn same(a: &Hash, b: &Hash) -> bool {
    let difference = a.0.iter().zip(&b.0).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// A host name as it is kept: lower-case, of letters, digits, `.`, `-` and `_`, at most 253 long (RFC 1035).
#[must_use]
pub fn host_name(bytes: &[u8]) -> Option<String> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let begins = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    if !begins || bytes.len() > 253 || !bytes.iter().all(fits) {
        return None;
    }
    String::from_utf8(bytes.to_ascii_lowercase()).ok()
}

/// Counts failed tries by address.
#[derive(Debug, Default)]
pub struct Tries(HashMap<IpAddr, (Timestamp, u32)>);

impl Tries {
    /// Whether this address may try now.
    #[must_use]
    pub fn allowed(&self, address: IpAddr, now: Timestamp) -> bool {
        match self.0.get(&network(address)) {
            Some((since, count)) => *count < TRIES || now.since(*since) >= SPAN,
            None => true,
        }
    }

    /// A try has failed.
    pub fn failed(&mut self, address: IpAddr, now: Timestamp) {
        if self.0.len() >= ADDRESSES {
            self.0.retain(|_, (since, _)| now.since(*since) < SPAN);
        }
        if self.0.len() >= ADDRESSES
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address)
        {
            self.0.remove(&oldest);
        }
        let entry = self.0.entry(network(address)).or_insert((now, 0));
        if now.since(entry.0) >= SPAN {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

/// What counts as one address: of IPv6 the /64, which one machine can have all of.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn spec() -> TokenSpec {
        TokenSpec { name: None, groups: Groups::new(), uses: 1, ttl: TTL }
    }

    #[test]
    fn a_token_opens_its_row_within_its_time() {
        let (token, row) = create(&spec(), Hash::default(), NOW).unwrap();
        let secret = token.secret.expose();
        assert_eq!(check(&row, secret, NOW + TTL - Duration::from_secs(1)), Ok(()));
        assert_eq!(check(&row, secret, NOW + TTL), Err(Refusal::Expired));
        assert_eq!(check(&row, &[0; 32], NOW), Err(Refusal::Unknown));
        assert_eq!(check(&row, &secret[..31], NOW), Err(Refusal::Unknown));
        assert_eq!(check(&TokenRow { failures: FAILURES, ..row }, secret, NOW), Err(Refusal::Burned));
    }

    #[test]
    fn the_secret_is_not_kept() {
        let (token, row) = create(&spec(), Hash::default(), NOW).unwrap();
        assert_ne!(row.secret_hash.0, *token.secret.expose());
    }

    #[test]
    fn a_token_that_would_be_too_good_is_not_made() {
        let made = |change: fn(&mut TokenSpec)| {
            let mut spec = spec();
            change(&mut spec);
            create(&spec, Hash::default(), NOW).is_ok()
        };
        assert!(made(|spec| spec.ttl = TTL_LIMIT));
        assert!(!made(|spec| spec.ttl = TTL_LIMIT + Duration::from_secs(1)));
        assert!(!made(|spec| spec.ttl = Duration::ZERO));
        assert!(!made(|spec| spec.uses = 0));
        assert!(!made(|spec| (spec.uses, spec.name) = (2, Some("web1".into()))));
        assert!(!made(|spec| spec.name = Some("web 1".into())));
    }

    #[test]
    fn an_odd_host_name_is_none() {
        assert_eq!(host_name(b"Web-1.example"), Some("web-1.example".into()));
        for odd in [&b""[..], b"-x", b"a\n", b"a\x1b[0m", "ü".as_bytes(), &[b'a'; 254]] {
            assert_eq!(host_name(odd), None);
        }
    }

    #[test]
    fn the_sixth_failure_within_a_minute_is_not_heard() {
        let mut tries = Tries::default();
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..TRIES {
            assert!(tries.allowed(one, NOW));
            tries.failed(one, NOW);
        }
        assert!(!tries.allowed(one, NOW) && tries.allowed(two, NOW));
        assert!(tries.allowed(one, NOW + SPAN));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_memory_is_bounded() {
        let mut tries = Tries::default();
        for last in 0..TRIES {
            tries.failed(format!("2001:db8::{last}").parse().unwrap(), NOW);
        }
        assert!(!tries.allowed("2001:db8::ffff".parse().unwrap(), NOW));
        for each in 0..ADDRESSES as u32 + 50 {
            tries.failed(IpAddr::V4(each.into()), NOW);
        }
        assert!(tries.0.len() <= ADDRESSES);
    }
}
