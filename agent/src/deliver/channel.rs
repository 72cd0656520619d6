//! From a TLS connection to a gRPC channel. The channel gets this one connection and no other: connecting, and what is
//! said when it fails, stays in our hands.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use hyper_util::rt::TokioIo;
use plumb_proto::limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// As much of the server's first words is read at once.
const FIRST_WORDS: usize = 1024;

/// What broke a connection, in words: HTTP/2 does not pass them on.
#[derive(Clone, Debug, Default)]
pub struct Broken(Arc<Mutex<Option<String>>>);

impl Broken {
    fn note(&self, error: &io::Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
    }

    /// In words, if it is broken.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Speaks HTTP/2 on a connection.
///
/// # Errors
/// The other side does not, or refuses our certificate: with TLS 1.3 that arrives behind the handshake.
pub async fn channel(mut tls: TlsStream<TcpStream>) -> anyhow::Result<(Channel, Broken)> {
    // The server speaks first (RFC 9113 section 3.4). Waiting for it costs one round trip, and lets us hear why it refuses
    // us: its alert would be lost if our next words met a closed door.
    let mut first = vec![0; FIRST_WORDS];
    let heard = tokio::time::timeout(limits::HANDSHAKE_TIME, tls.read(&mut first)).await;
    match heard.context("the collector says nothing")?.context("the collector refuses the connection")? {
        0 => bail!("the collector closes the connection without a word"),
        length => first.truncate(length),
    }
    let broken = Broken::default();
    let connection = TokioIo::new(Watched { first, tls, broken: broken.clone() });
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
    /// What was read already.
    first: Vec<u8>,
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
        if !self.first.is_empty() {
            let length = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..length]);
            self.first.drain(..length);
            return Poll::Ready(Ok(()));
        }
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
