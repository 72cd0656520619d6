//! Who asks, and who may ask what: a table from each call to the least role. What is not in the table nobody may call.
//! Denied calls are written into the audit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use nix::unistd::{Gid, Group, Uid, User};
use plumb_proto::time::Clock;
use plumb_proto::untrusted::Untrusted;
use tonic::Status;
use tonic::transport::server::UdsConnectInfo;
use tower::Service;

use crate::store::rows::AuditEntry;
use crate::worker::{Weight, Writer};

/// Members of this group may ask and approve.
pub(super) const GROUP: &str = "plumb";

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// Ask.
    Viewer,
    /// Approve.
    Operator,
    /// Decide about hosts and receivers.
    Admin,
}

/// The least role for each call.
pub(super) const CALLS: [(&str, Role); 14] = [
    ("Hosts", Role::Viewer),
    ("Host", Role::Viewer),
    ("Drifts", Role::Viewer),
    ("Facts", Role::Viewer),
    ("Events", Role::Viewer),
    ("Schema", Role::Viewer),
    ("Alerts", Role::Viewer),
    ("Approve", Role::Operator),
    ("RenameHost", Role::Admin),
    ("GroupHost", Role::Admin),
    ("RetireHost", Role::Admin),
    ("RevokeHost", Role::Admin),
    ("TestReceiver", Role::Admin),
    ("History", Role::Viewer),
];

/// What stands before a call's name in the path of its request.
const SERVICE: &str = "/plumb.query.v1.Query/";

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    name: String,
    role: Option<Role>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Who {
    #[cfg(test)]
    pub(super) fn new(name: &str, role: Option<Role>) -> Self {
        Self { name: name.to_owned(), role }
    }

    fn may(&self, call: &str) -> bool {
        let least = CALLS.iter().find(|(known, _)| *known == call).map(|(_, role)| *role);
        match (self.role, least) {
            (Some(role), Some(least)) => role >= least,
            _ => false,
        }
    }
}

/// Knows who is at the other end of a local socket, by what the kernel says of it (SO_PEERCRED, unix(7)).
pub(super) fn local(request: &Extensions) -> Who {
    let Some(peer) = request.get::<UdsConnectInfo>().and_then(|info| info.peer_cred) else {
        return Who { name: "nobody".to_owned(), role: None };
    };
    let uid = Uid::from_raw(peer.uid());
    let role = if uid.is_root() || uid == Uid::effective() {
        Some(Role::Admin)
    } else {
        is_member(uid, Gid::from_raw(peer.gid())).then_some(Role::Operator)
    };
    Who { name: format!("uid {uid}"), role }
}

fn is_member(uid: Uid, primary: Gid) -> bool {
    let Ok(Some(group)) = Group::from_name(GROUP) else { return false };
    let named = || User::from_uid(uid).ok().flatten().is_some_and(|user| group.mem.contains(&user.name));
    group.gid == primary || named()
}

/// Writes denied calls down.
#[derive(Clone)]
pub(super) struct Audited {
    pub(super) writer: Writer,
    pub(super) clock: Arc<dyn Clock>,
}

impl Audited {
    async fn denied(&self, who: &Who, path: &str) {
        tracing::warn!("{who} may not call {path:?}");
        let entry = AuditEntry {
            at: self.clock.now(),
            who: who.name.clone(),
            action: "denied".to_owned(),
            subject: Untrusted::from(path),
            allowed: false,
            detail: String::new(),
        };
        if let Err(error) = self.writer.call(Weight::default(), move |tx| tx.audit(&entry)).await {
            tracing::error!("a denied call is not in the audit: {error:#}");
        }
    }
}

/// Stands before the service: lets through who may call, with a note of who it is.
#[derive(Clone)]
pub(super) struct Guard<S> {
    inner: S,
    audited: Audited,
    identify: fn(&Extensions) -> Who,
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S, audited: Audited, identify: fn(&Extensions) -> Who) -> Self {
        Self { inner, audited, identify }
    }
}

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let who = (self.identify)(request.extensions());
        let path = request.uri().path().to_owned();
        let call = path.strip_prefix(SERVICE).unwrap_or_default().to_owned();
        if who.may(&call) {
            request.extensions_mut().insert(who);
            // The one that said it is ready is the one to be called.
            let next = self.inner.clone();
            return Box::pin(std::mem::replace(&mut self.inner, next).call(request));
        }
        let audited = self.audited.clone();
        Box::pin(async move {
            audited.denied(&who, &path[..path.floor_char_boundary(256)]).await;
            let text = match who.role {
                Some(_) => format!("{who} may not do this: it takes an administrator (root on the collector)"),
                None => format!(
                    "{who} may not ask this collector: run plumb as root, or become a member of the group plumb"
                ),
            };
            Ok(Status::permission_denied(text).into_http())
        })
    }
}
