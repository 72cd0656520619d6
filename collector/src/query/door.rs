//! The two ways in: the local socket, and the query port. Behind both the same guard stands before the same answers.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use plumb_proto::generated::query::query_server::QueryServer;
use plumb_proto::limits;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::denied::Audited;
use super::guard::{self, Guard, Identify};
use super::readers::Readers;
use super::remote::Remote;
use super::{Parts, Service};
use crate::store::Questions;

/// A question or a decision, as it arrives: a policy file may be in it.
const REQUEST: usize = 256 << 10;
/// Streams of one connection of the command line.
const STREAMS: u32 = 8;

/// Serves the local socket and, where it is switched on, the query port, until `stop` becomes true. Both lead to the same
/// answers by the same table of roles. `readers`: doors for reading, one a question at a time.
///
/// # Errors
/// A server fails.
pub async fn serve(
    listener: UnixListener,
    remote: Option<Remote>,
    parts: Parts,
    readers: Vec<Box<dyn Questions>>,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let (clock, started) = (parts.clock.clone(), parts.clock.monotonic());
    let audited = Audited::new(parts.writer.clone(), clock.clone());
    tokio::spawn(audited.clone().attend(stop.clone()));
    let service = Arc::new(Service { parts, readers: Readers::new(readers), started });
    let local = UnixListenerStream::new(listener);
    let local = answer(service.clone(), audited.clone(), Arc::new(guard::local), local, stop.clone());
    let Some(remote) = remote else { return local.await.context("local socket") };
    let users = remote.users.clone();
    let connections = remote.open(clock, stop.clone())?;
    let identify: Identify = Arc::new(move |request| guard::remote(request, &users));
    let remote = answer(service, audited, identify, connections, stop);
    let (local, remote) = tokio::join!(local, remote);
    local.context("local socket").and(remote.context("query port"))
}

async fn answer<I, C>(
    service: Arc<Service>,
    audited: Audited,
    identify: Identify,
    incoming: I,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error>
where
    I: tokio_stream::Stream<Item = std::io::Result<C>>,
    C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
{
    Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(u32::try_from(limits::SMALL_MESSAGE).unwrap_or(u32::MAX))
        .layer(tower::layer::layer_fn(move |inner| Guard::new(inner, audited.clone(), identify.clone())))
        .add_service(QueryServer::from_arc(service).max_decoding_message_size(REQUEST))
        .serve_with_incoming_shutdown(incoming, async move {
            // an error means that whoever could stop us has gone
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}

/// Makes the folder of the local socket, if it is not there, and answers it.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(socket: &Path) -> Result<PathBuf> {
    let what = || format!("folder of the socket {}", socket.display());
    let folder = socket.parent().with_context(what)?;
    if !folder.exists() {
        std::fs::create_dir_all(folder).with_context(what)?;
        // The socket says for itself whom it lets in; they have to get to it.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).with_context(what)?;
    }
    Ok(folder.to_owned())
}

/// Makes the local socket. One that a collector before us left is replaced; one that somebody still answers on is not.
///
/// # Errors
/// Another collector runs, or the folder cannot be written to.
pub fn listen(path: &Path) -> Result<UnixListener> {
    let group = nix::unistd::Group::from_name(guard::GROUP).ok().flatten();
    listen_for(path, group.map(|group| group.gid))
}

/// Members of `group` may ask; without it, nobody but root and ourselves.
pub(crate) fn listen_for(path: &Path, group: Option<nix::unistd::Gid>) -> Result<UnixListener> {
    let what = || format!("socket {}", path.display());
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        anyhow::bail!("{}: another collector answers there", what());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(what),
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(what)?;
    // Whoever is a member may give a file of their own to a group (chown(2)): that takes no root.
    let given = group.is_some_and(|group| nix::unistd::chown(path, None, Some(group)).is_ok());
    let mode = if given { 0o660 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).with_context(what)?;
    Ok(listener)
}
