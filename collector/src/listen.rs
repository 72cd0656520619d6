//! The doors: an accept loop of our own with a permit before each accept, TLS 1.3 only, no tickets and no resumption (a
//! resumed session would skip revocation and expiry), and everything that takes long cut off.

pub mod connection;
pub mod tls;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use plumb_proto::limits;
use rustls::{ServerConfig, ServerConnection};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use crate::enroll::token::network;
use connection::Connection;

/// Connections that are through with their handshake and wait for the server behind.
const READY: usize = 64;
/// A peer that acknowledges nothing for this long is gone (TCP_USER_TIMEOUT, tcp(7)).
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is probed after this long.
const KEEPALIVE: Duration = Duration::from_secs(150);
/// And again after this long.
const PROBE: Duration = Duration::from_secs(10);
/// How long a refused one may take to read why.
const LINGER: Duration = Duration::from_secs(1);
/// A pause after the system refused a connection.
const BREATH: Duration = Duration::from_millis(200);

/// `host:port`, with brackets where an address needs them.
#[must_use]
pub(crate) fn with_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// What all doors share: how many may stand in them.
pub struct Gate {
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    /// Given back to the system when it has no descriptor left, so that a connection can be taken and closed instead of
    /// being announced for ever.
    reserve: Mutex<Option<File>>,
}

impl Gate {
    /// Three quarters of the descriptors that the system allows may be connections.
    ///
    /// # Errors
    /// The limit cannot be read.
    pub fn new() -> io::Result<Arc<Self>> {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let connections = usize::try_from(soft / 4 * 3).unwrap_or(usize::MAX).clamp(16, Semaphore::MAX_PERMITS);
        if connections < 1_024 {
            tracing::warn!("only {soft} open files are allowed: at most {connections} connections (ulimit -n)");
        }
        Ok(Arc::new(Self {
            handshakes: Arc::new(Semaphore::new(limits::HANDSHAKES)),
            connections: Arc::new(Semaphore::new(connections)),
            addresses: Mutex::default(),
            reserve: Mutex::new(File::open("/dev/null").ok()),
        }))
    }

    /// A place for a handshake with this address, if it has not too many.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<FromAddress> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_insert(0);
        if *count >= limits::HANDSHAKES_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(FromAddress { gate: self.clone(), address })
    }

    /// Takes one connection with the reserve descriptor and closes it.
    async fn turn_away(&self, listener: &TcpListener) {
        let had = self.reserve.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
        if had {
            let _ = tokio::time::timeout(BREATH, listener.accept()).await;
        }
        *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) = File::open("/dev/null").ok();
    }
}

/// A handshake in progress.
struct FromAddress {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Drop for FromAddress {
    fn drop(&mut self) {
        let mut addresses = self.gate.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// Says who a connection is from; what it returns stays with the connection.
pub trait Admit: Send + Sync + 'static {
    /// What the services behind want to know.
    type Info: Clone + Send + Sync + 'static;

    /// Looks at a connection whose handshake is done. An error closes it, and is logged.
    ///
    /// # Errors
    /// Why it may not go on.
    fn admit(&self, tls: &ServerConnection, address: SocketAddr) -> anyhow::Result<connection::Admission<Self::Info>>;
}

/// Accepts until `stop` becomes true; what comes through is to be served.
pub fn accept<A: Admit>(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    gate: Arc<Gate>,
    admit: Arc<A>,
    mut stop: watch::Receiver<bool>,
) -> ReceiverStream<io::Result<Connection<A::Info>>> {
    let (ready, connections) = mpsc::channel(READY);
    let acceptor = TlsAcceptor::from(config);
    tokio::spawn(async move {
        tokio::select! {
            () = accept_loop(listener, acceptor, gate, admit, ready) => {}
            // an error means that whoever could stop us has gone
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn accept_loop<A: Admit>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    gate: Arc<Gate>,
    admit: Arc<A>,
    ready: mpsc::Sender<io::Result<Connection<A::Info>>>,
) {
    loop {
        let (Ok(handshake), Ok(place)) =
            (gate.handshakes.clone().acquire_owned().await, gate.connections.clone().acquire_owned().await)
        else {
            return; // the semaphores are never closed
        };
        match listener.accept().await {
            Ok((tcp, address)) => {
                let Some(from) = gate.enter(network(address.ip())) else {
                    tracing::warn!("{address}: too many handshakes at once from there");
                    continue;
                };
                let (acceptor, admit, ready) = (acceptor.clone(), admit.clone(), ready.clone());
                tokio::spawn(async move {
                    let connection = shake_hands(tcp, address, acceptor, admit.as_ref(), place).await;
                    drop((handshake, from));
                    match connection {
                        // an error means that the server behind has stopped
                        Ok(connection) => drop(ready.send(Ok(connection)).await),
                        Err(error) => tracing::info!("{address}: {error:#}"),
                    }
                });
            }
            Err(error) => {
                tracing::error!("no connection can be accepted: {error}");
                if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
                    gate.turn_away(&listener).await;
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn shake_hands<A: Admit>(
    tcp: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    admit: &A,
    place: OwnedSemaphorePermit,
) -> anyhow::Result<Connection<A::Info>> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(&tcp);
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(PROBE))?;
    let tls = tokio::time::timeout(limits::HANDSHAKE_TIME, acceptor.accept(tcp).into_fallible()).await;
    let tls = match tls.map_err(|_| anyhow::anyhow!("no TLS handshake within {:?}", limits::HANDSHAKE_TIME))? {
        Ok(tls) => tls,
        Err((error, tcp)) => {
            let _ = tokio::time::timeout(LINGER, linger(tcp)).await;
            return Err(anyhow::anyhow!("TLS handshake: {error}"));
        }
    };
    let admission = admit.admit(tls.get_ref().1, address)?;
    Ok(Connection::new(tls, admission, place))
}

/// Lets the other side read why it was refused: a socket that is closed while something unread lies in it takes back what
/// was sent (RFC 9293 section 3.6.1).
async fn linger(mut tcp: TcpStream) {
    let _ = tcp.shutdown().await;
    let mut unread = [0; 1024];
    while matches!(tcp.read(&mut unread).await, Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        assert_eq!(with_port("plumb.example.org", 7443), "plumb.example.org:7443");
        assert_eq!(with_port("2001:db8::1", 7443), "[2001:db8::1]:7443");
        assert_eq!(with_port("192.0.2.1", 7443), "192.0.2.1:7443");
    }
}
