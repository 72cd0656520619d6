//! The query port: the door for users elsewhere, each with a certificate. Off unless it is switched on.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use plumb_proto::time::Clock;
use rustls::ServerConnection;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;

use crate::access::users::{UserPeer, Users};
use crate::enroll::ca::{Authority, user_of};
use crate::listen::connection::{Admission, Connection, until_cut};
use crate::listen::{Admit, Gate, accept, tls};

/// All that the port needs besides what the local socket has.
pub struct Remote {
    /// Where it listens.
    pub listener: TcpListener,
    /// Of the collector's certificate.
    pub names: tls::Names,
    /// How many may stand in the doors.
    pub gate: Arc<Gate>,
    /// Whom to trust.
    pub authority: Arc<Authority>,
    /// Who may do what, and who is connected.
    pub users: Arc<Users>,
}

/// Knows users by their certificates.
struct Callers(Arc<Users>);

impl Admit for Callers {
    type Info = UserPeer;

    fn admit(&self, tls: &ServerConnection, _: SocketAddr) -> anyhow::Result<Admission<UserPeer>> {
        let certificate = tls.peer_certificates().and_then(<[_]>::first).context("no certificate")?;
        let certificate = user_of(certificate).context("the certificate")?;
        // Whoever may not ask is told why by the first answer; the next sweep hangs up.
        let (peer, admitted) = self.0.admit(certificate);
        let cut = Box::pin(until_cut(peer.closed.clone()));
        Ok(Admission { info: peer, cut, kept: Box::new(admitted) })
    }
}

impl Remote {
    /// Connections behind their handshakes, until `stop` becomes true; and somebody who hangs up on those who must go.
    ///
    /// # Errors
    /// The authority is damaged.
    pub(super) fn open(
        self,
        clock: Arc<dyn Clock>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<ReceiverStream<std::io::Result<Connection<UserPeer>>>> {
        let config = tls::query_config(self.authority, self.names, clock)?;
        tokio::spawn(attend(self.users.clone(), stop.clone()));
        Ok(accept(self.listener, config, self.gate, Arc::new(Callers(self.users)), stop))
    }
}

/// Hangs up on users who may not ask any more and, in the end, on all.
async fn attend(users: Arc<Users>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        let is_over = tokio::select! {
            _ = tick.tick() => false,
            // an error means that whoever could stop us has gone
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if is_over {
            return users.stop();
        }
        let users = users.clone();
        let _ = tokio::task::spawn_blocking(move || users.sweep()).await;
    }
}
