//! The half that sends: one connection to one collector, over mutual TLS 1.3. It is async and thin; what it decides is
//! decided by pure parts (`stream`, `backoff`). It reads no file but its identity and takes no orders: what comes back is an
//! ack, or a certificate that was asked for.

pub mod backoff;
pub mod channel;
pub mod identity;
mod session;
pub mod stream;
pub mod tls;
pub mod trusted_time;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plumb_proto::frame::{Retry, RetryCode};
use plumb_proto::time::Clock;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::{AlertDescription, CertificateError, Error};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::link::{DeliverEnd, Pulse};
use crate::state::frames::{LinkState, ToDeliver, ToObserve};
use backoff::Backoff;
use identity::Identity;
use identity::renew::{Refused, renew_expired};
use session::{End, Session};
use tls::{connect, ingest_config, split_address, tls_error};
use trusted_time::TrustedTime;

/// Port of the ingest listener, where the collector's answer names none.
const PORT: u16 = 7443;
/// A host that is not enrolled looks again this often.
const ENROLLED_YET: Duration = Duration::from_secs(5);
/// Observe answers within this time, or is asked again.
const OBSERVE_TIME: Duration = Duration::from_secs(5);
/// A sign of life is given this often.
const BEAT: Duration = Duration::from_secs(10);
/// The same trouble is told to the log again after this long.
const SAY_AGAIN: Duration = Duration::from_secs(60 * 60);

/// Delivers until `stop` becomes true (or its sender has gone) or observe hangs up. For a plain thread of its own.
///
/// # Errors
/// The async runtime cannot be made.
pub fn run(
    link: DeliverEnd,
    identity_dir: PathBuf,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let pulse = link.pulse();
    let time = Arc::new(TrustedTime::new(clock.clone()));
    let deliver = Deliver {
        link,
        dir: identity_dir,
        clock,
        time,
        stop,
        random: SystemRandom::new(),
        renew_first: false,
        tries: 0,
        said: None,
        clock_told: false,
    };
    runtime.block_on(async {
        tokio::select! {
            () = deliver.run() => {}
            () = beat(&pulse) => {}
        }
    });
    runtime.shutdown_background(); // a name look-up may still hang
    Ok(())
}

/// Gives signs of life for as long as this thread gets round to it: all that deliver waits for has a deadline of its own,
/// so what can hang is the thread.
async fn beat(pulse: &Pulse) {
    let mut beats = tokio::time::interval(BEAT);
    loop {
        beats.tick().await;
        pulse.beat();
    }
}

/// The agent's loop: connect, deliver, wait, again.
struct Deliver {
    link: DeliverEnd,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    time: Arc<TrustedTime>,
    stop: watch::Receiver<bool>,
    random: SystemRandom,
    /// The collector says that our certificate has run out, whatever our clock says.
    renew_first: bool,
    /// Connections tried: a certificate that is not proven yet is tried every other time.
    tries: u32,
    /// What was said to the log last, and when.
    said: Option<(String, Instant)>,
    /// It was said that the system clock is not believed.
    clock_told: bool,
}

/// How long to wait, and why.
enum Next {
    Stop,
    Now,
    Wait(Option<Retry>),
    After(Duration),
}

impl Deliver {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.once(&mut backoff).await {
                Next::Stop => return,
                Next::Now => backoff::part(Duration::from_secs(1), self.chance()),
                Next::After(span) => span,
                Next::Wait(asked) => backoff.failed(self.chance(), asked.as_ref()),
            };
            if self.pause(wait).await {
                return;
            }
        }
    }

    fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        // Without randomness all hosts come back at the same moment, which is bad, but not to come back is worse.
        match self.random.fill(&mut bytes) {
            Ok(()) => u32::from_be_bytes(bytes),
            Err(_) => u32::MAX,
        }
    }

    /// Waits; frames of observe are let go meanwhile. True if it is time to stop.
    async fn pause(&mut self, span: Duration) -> bool {
        let end = Instant::now() + span;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return false,
                changed = self.stop.changed() => if changed.is_err() || *self.stop.borrow() { return true },
                frame = self.link.recv() => if frame.is_none() { return true },
            }
        }
    }

    /// Tells observe and the log why there is no connection.
    async fn trouble(&mut self, why: String) {
        let again = self.said.as_ref().is_none_or(|(said, at)| *said != why || at.elapsed() > SAY_AGAIN);
        if again {
            tracing::warn!("not delivering: {why}");
            self.said = Some((why.clone(), Instant::now()));
        }
        self.link.send(ToObserve::Link(LinkState::Connecting(why))).await;
    }

    /// One connection, from its begin to its end.
    async fn once(&mut self, backoff: &mut Backoff) -> Next {
        if *self.stop.borrow() {
            return Next::Stop;
        }
        let (current, next) = match Identity::load(&self.dir) {
            Ok((None, _)) => {
                self.link.send(ToObserve::Link(LinkState::NotEnrolled)).await;
                return Next::After(ENROLLED_YET);
            }
            Ok((Some(current), next)) => (current, next),
            Err(error) => {
                self.trouble(format!("{error:#}")).await;
                return Next::Wait(None);
            }
        };
        self.tries = self.tries.wrapping_add(1);
        let identity = match next {
            Some(next) if self.tries % 2 == 1 => next,
            _ => current,
        };
        self.time.passed(plumb_proto::time::Timestamp::from_millis(identity.about.not_before_ms));
        if self.renew_first || self.time.now() >= identity.expires() {
            return self.renew(&identity).await;
        }
        let off = self.time.disagreement_ms() / 1000;
        if off != 0 && !self.clock_told {
            tracing::warn!("this host's clock is {off} s off: certificates are checked at {} instead", self.time.now());
        }
        self.clock_told = off != 0;
        let mut stop = self.stop.clone();
        let end = tokio::select! {
            end = self.connect(&identity) => end,
            () = stopped(&mut stop) => return Next::Stop,
        };
        let session = match end {
            Ok(session) => session,
            Err(error) => {
                match tls_error(&error) {
                    Some(Error::AlertReceived(AlertDescription::CertificateExpired)) => self.renew_first = true,
                    Some(Error::InvalidCertificate(
                        CertificateError::NotValidYet
                        | CertificateError::NotValidYetContext { .. }
                        | CertificateError::Expired
                        | CertificateError::ExpiredContext { .. },
                    )) => self.time.doubt(),
                    _ => {}
                }
                self.trouble(format!("{error:#}")).await;
                return Next::Wait(None);
            }
        };
        let Some(position) = self.position().await else { return Next::Stop };
        let (end, worked) = session.run(self, &identity, position).await;
        if worked {
            backoff.succeeded();
            self.said = None;
        }
        self.after(end, worked).await
    }

    async fn after(&mut self, end: End, worked: bool) -> Next {
        match end {
            End::Stop => Next::Stop,
            End::Again if worked => Next::Now,
            End::Again => Next::Wait(None), // greeting again and again helps nobody
            End::Renewed => {
                self.tries = 0; // the new one goes first
                Next::Now
            }
            End::Asked(retry) => {
                let why = match retry.code {
                    RetryCode::Revoked => {
                        "the collector has revoked this host; if that is a mistake, enrol it again: create a token there \
                         (plumb-collector token create) and run plumb-agent enroll"
                    }
                    RetryCode::Fork => {
                        "the collector knows another history of this host (restored or cloned?); a new one begins"
                    }
                    RetryCode::Gap => "the collector misses records that were sent",
                    RetryCode::Busy => "the collector is busy",
                    RetryCode::Limit => "this host sends more than the collector allows",
                };
                self.trouble(why.to_owned()).await;
                Next::Wait(Some(retry))
            }
            End::Broken(why) => {
                self.trouble(why).await;
                Next::Wait(None)
            }
        }
    }

    async fn connect(&self, identity: &Identity) -> anyhow::Result<Session> {
        let config = ingest_config(&identity.root, identity.chain.clone(), identity.key()?, self.time.clone())?;
        let (host, port) = split_address(&identity.about.ingest, PORT)?;
        let tls = connect(&host, port, &identity.about.server_name, config).await?;
        let (channel, broken) = channel::channel(tls).await?;
        Ok(Session::new(channel, broken))
    }

    /// The certificate has run out while this host was away.
    async fn renew(&mut self, identity: &Identity) -> Next {
        self.renew_first = false;
        let mut stop = self.stop.clone();
        let renewed = tokio::select! {
            renewed = renew_expired(&self.dir, identity, self.time.clone()) => renewed,
            () = stopped(&mut stop) => return Next::Stop,
        };
        match renewed {
            Ok(()) => {
                tracing::info!("the certificate had run out and was renewed");
                self.tries = 0; // the new one goes first
                Next::Now
            }
            Err(Refused::ForNow(error)) => {
                self.trouble(format!("the certificate has run out: {error:#}")).await;
                Next::Wait(None)
            }
            Err(Refused::ForGood(why)) => {
                let why = format!(
                    "the certificate has run out and the collector does not renew it: {why}; enrol this host again with a new token"
                );
                self.trouble(why).await;
                Next::Wait(Some(Retry { code: RetryCode::Revoked, after_ms: 0, resend_from: 0 }))
            }
        }
    }

    /// What can be sent. `None`: observe has gone.
    async fn position(&mut self) -> Option<crate::state::frames::Position> {
        loop {
            if !self.link.send(ToObserve::Position).await {
                return None;
            }
            let end = Instant::now() + OBSERVE_TIME;
            loop {
                match tokio::time::timeout_at(end, self.link.recv()).await {
                    Ok(Some(ToDeliver::Position(position))) => return Some(position),
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(_) => break, // the answer found no place: ask again
                }
            }
        }
    }
}

/// Waits until it is time to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender has gone, which means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
