//! A connection that can be hung up on from elsewhere.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::access::Closed;

/// Time to say a last word before the line is cut.
const LAST_WORD: Duration = Duration::from_secs(2);
/// The same when the collector stops: whoever wants to know why will find out.
const STOP_WORD: Duration = Duration::from_millis(300);

/// Ready when a connection is to be cut: a moment after it was closed.
pub async fn until_cut(mut closed: watch::Receiver<Option<Closed>>) {
    // an error means that the connection is gone already
    let why = closed.wait_for(Option::is_some).await.ok().and_then(|why| *why);
    tokio::time::sleep(if why == Some(Closed::Stopping) { STOP_WORD } else { LAST_WORD }).await;
}

/// What comes with a connection that may go on.
pub struct Admission<T> {
    /// What the services behind want to know; it is among the extensions of each request.
    pub info: T,
    /// Becomes ready when the connection is to be cut.
    pub cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Kept as long as the connection is there.
    pub kept: Box<dyn Any + Send>,
}

/// A connection behind its handshake.
pub struct Connection<T> {
    tls: TlsStream<TcpStream>,
    admission: Admission<T>,
    _place: OwnedSemaphorePermit,
}

impl<T> Connection<T> {
    pub(super) fn new(tls: TlsStream<TcpStream>, admission: Admission<T>, place: OwnedSemaphorePermit) -> Self {
        Self { tls, admission, _place: place }
    }
}

impl<T: Clone + Send + Sync + 'static> Connected for Connection<T> {
    type ConnectInfo = T;

    fn connect_info(&self) -> T {
        self.admission.info.clone()
    }
}

impl<T: Unpin> AsyncRead for Connection<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.admission.cut.as_mut().poll(cx).is_ready() {
            // it is not polled again behind its end
            self.admission.cut = Box::pin(std::future::ready(()));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "hung up")));
        }
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl<T: Unpin> AsyncWrite for Connection<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}
