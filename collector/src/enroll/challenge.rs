//! Nonces for renewals on the enrolment listener: each good once, for a minute, for one host.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use plumb_proto::record::HostId;
use ring::rand::{SecureRandom, SystemRandom};

/// How long a nonce is good for.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// Nonces that are remembered.
const MOST: usize = 4_096;

/// Nonces that were given out.
#[derive(Default)]
pub(super) struct Challenges(Mutex<HashMap<[u8; 32], (HostId, Duration)>>);

impl Challenges {
    /// A nonce for a host; `None` if too many are out.
    pub(super) fn give(&self, host: HostId, passed: Duration) -> anyhow::Result<Option<[u8; 32]>> {
        let mut nonce = [0; 32];
        SystemRandom::new().fill(&mut nonce).map_err(|_| anyhow!("no randomness"))?;
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= MOST {
            nonces.retain(|_, (_, at)| passed.saturating_sub(*at) < GOOD_FOR);
        }
        if nonces.len() >= MOST {
            return Ok(None);
        }
        nonces.insert(nonce, (host, passed));
        Ok(Some(nonce))
    }

    /// Takes a nonce back: true if it was given to this host and is still good.
    pub(super) fn redeem(&self, nonce: &[u8], host: HostId, passed: Duration) -> bool {
        let Ok(nonce) = <[u8; 32]>::try_from(nonce) else { return false };
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&nonce);
        given.is_some_and(|(to, at)| to == host && passed.saturating_sub(at) < GOOD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId([1; 16]);

    #[test]
    fn a_nonce_is_good_once_for_its_host_and_for_a_minute() {
        let challenges = Challenges::default();
        let give = || challenges.give(HOST, Duration::ZERO).unwrap().unwrap();
        let nonce = give();
        assert!(challenges.redeem(&nonce, HOST, Duration::from_secs(59)));
        assert!(!challenges.redeem(&nonce, HOST, Duration::from_secs(59)));
        assert!(!challenges.redeem(&give(), HostId([2; 16]), Duration::ZERO));
        assert!(!challenges.redeem(&give(), HOST, GOOD_FOR));
        assert!(!challenges.redeem(&[0; 32], HOST, Duration::ZERO));
    }

    #[test]
    fn old_ones_make_room_and_fresh_ones_do_not() {
        let challenges = Challenges::default();
        for _ in 0..MOST {
            challenges.give(HOST, Duration::ZERO).unwrap().unwrap();
        }
        assert!(challenges.give(HOST, Duration::from_secs(1)).unwrap().is_none());
        assert!(challenges.give(HOST, GOOD_FOR).unwrap().is_some());
    }
}
