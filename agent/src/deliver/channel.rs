//! From a TLS connection to a gRPC channel. The channel gets this one connection and no other: connecting, and what is
//! said when it fails, stays in our hands.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use plumb_proto::limits;
use rustls::{AlertDescription, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// What broke a connection, kept because HTTP/2 passes on the words but not the error.
#[derive(Clone, Debug, Default)]
pub struct Broken(Arc<Mutex<Option<(String, Option<AlertDescription>)>>>);

impl Broken {
    fn note(&self, error: &io::Error) {
        let alert = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Error::AlertReceived(alert)) => Some(*alert),
            _ => None,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((error.to_string(), alert));
    }

    /// In words, if it is broken.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(words, _)| words.clone())
    }

    /// The alert with which the other side refused us (RFC 8446 section 6): with TLS 1.3 it arrives behind the handshake.
    #[must_use]
    pub fn alert(&self) -> Option<AlertDescription> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|(_, alert)| *alert)
    }
}

/// Speaks HTTP/2 on a connection.
///
/// # Errors
/// The other side does not.
pub async fn channel(tls: TlsStream<TcpStream>) -> anyhow::Result<(Channel, Broken)> {
    let broken = Broken::default();
    let connection = TokioIo::new(Watched { tls, broken: broken.clone() });
    // No HTTP/2 ping: a record a minute and its ack within 30 s prove more, TCP probes an idle line, and pings alone would
    // cost a third of the day's bytes.
    let endpoint = Endpoint::from_static("https://collector")
        .http2_max_header_list_size(u32::try_from(limits::SMALL_MESSAGE).unwrap_or(u32::MAX))
        .buffer_size(16);
    let channel = endpoint.connect_with_connector(Once(Some(connection))).await;
    match channel {
        Ok(channel) => Ok((channel, broken)),
        Err(error) => Err(anyhow::anyhow!("HTTP/2: {}", broken.words().unwrap_or_else(|| chain(&error)))),
    }
}

/// An error with its causes, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Hands out its connection once.
struct Once<T>(Option<T>);

impl<T: Send + 'static> tower::Service<Uri> for Once<T> {
    type Response = T;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<T>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    }
}

/// A connection that remembers what broke it.
struct Watched {
    tls: TlsStream<TcpStream>,
    broken: Broken,
}

impl Watched {
    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome {
            self.broken.note(error);
        }
        outcome
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.tls).poll_read(cx, buf);
        self.note(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tls).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.tls).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
