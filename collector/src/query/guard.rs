//! Who asks, and who may ask what: a table from each call to the least role. What is not in the table nobody may call.
//! Denied calls are written into the audit (denied.rs).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use nix::unistd::{Gid, Group, Uid, User};
use tonic::Status;
use tonic::transport::server::UdsConnectInfo;
use tower::Service;

use super::calls::{CALLS, OF_A_GROUP};
use super::denied::Audited;
use crate::access::users::{UserPeer, Users};
use crate::store::rows::Groups;
pub(super) use crate::store::users::Role;

/// Members of this group may ask and approve.
pub(super) const GROUP: &str = "plumb";

/// What stands before a call's name in the path of its request.
const SERVICE: &str = "/plumb.query.v1.Query/";

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    name: String,
    role: Option<Role>,
    /// Limited to hosts with these labels; empty: to none.
    groups: Groups,
    /// Why there is no role, for them to read.
    why: Option<String>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Who {
    #[cfg(test)]
    pub(super) fn new(name: &str, role: Option<Role>) -> Self {
        Self { name: name.to_owned(), role, groups: Groups::new(), why: None }
    }

    /// The labels that a host must have to be seen; none: every host is.
    pub(super) fn groups(&self) -> &Groups {
        &self.groups
    }

    fn may(&self, call: &str) -> bool {
        let least = CALLS.iter().find(|(known, _)| *known == call).map(|(_, role)| *role);
        match (self.role, least) {
            (Some(role), Some(least)) => role >= least && self.is_within(call),
            _ => false,
        }
    }

    fn is_within(&self, call: &str) -> bool {
        self.groups.is_empty() || OF_A_GROUP.contains(&call)
    }

    /// Why a call was denied, for them to read.
    fn denial(&self, call: &str) -> String {
        match (&self.role, &self.why) {
            (_, Some(why)) => why.clone(),
            (Some(_), None) if !self.is_within(call) => {
                format!("{self} may not do this: it concerns more than the group that they are limited to")
            }
            (Some(role), None) => {
                let least = CALLS.iter().find(|(known, _)| *known == call).map_or(Role::Admin, |(_, role)| *role);
                let whom = match least {
                    Role::Viewer | Role::Operator => "an operator",
                    Role::Admin => "an administrator (root on the collector, or a user with the role admin)",
                };
                format!("{self} may not do this: it takes {whom}, and their role is {}", role.as_str())
            }
            (None, None) => {
                format!("{self} may not ask this collector: run plumb as root, or become a member of the group plumb")
            }
        }
    }
}

/// Knows who is at the other end of a local socket, by what the kernel says of it (SO_PEERCRED, unix(7)).
pub(super) fn local(request: &Extensions) -> Who {
    let Some(peer) = request.get::<UdsConnectInfo>().and_then(|info| info.peer_cred) else {
        return Who { name: "nobody".to_owned(), role: None, groups: Groups::new(), why: None };
    };
    let uid = Uid::from_raw(peer.uid());
    let role = if uid.is_root() || uid == Uid::effective() {
        Some(Role::Admin)
    } else {
        is_member(uid, Gid::from_raw(peer.gid())).then_some(Role::Operator)
    };
    Who { name: format!("uid {uid}"), role, groups: Groups::new(), why: None }
}

/// Knows who is at the other end of a connection to the query port: by their certificate, and by what the store says of
/// them at this moment.
pub(super) fn remote(request: &Extensions, users: &Users) -> Who {
    let Some(peer) = request.get::<UserPeer>() else {
        return Who { name: "nobody".to_owned(), role: None, groups: Groups::new(), why: None };
    };
    let name = format!("user {}", peer.certificate.name);
    match users.look_up(&peer.certificate) {
        Ok(user) => Who { name, role: Some(user.role), groups: user.groups, why: None },
        Err(why) => Who { name, role: None, groups: Groups::new(), why: Some(why) },
    }
}

fn is_member(uid: Uid, primary: Gid) -> bool {
    let Ok(Some(group)) = Group::from_name(GROUP) else { return false };
    let named = || User::from_uid(uid).ok().flatten().is_some_and(|user| group.mem.contains(&user.name));
    group.gid == primary || named()
}

/// Stands before the service: lets through who may call, with a note of who it is.
#[derive(Clone)]
pub(super) struct Guard<S> {
    inner: S,
    audited: Audited,
    identify: Identify,
}

/// Says who asks.
pub(super) type Identify = Arc<dyn Fn(&Extensions) -> Who + Send + Sync>;

impl<S> Guard<S> {
    pub(super) fn new(inner: S, audited: Audited, identify: Identify) -> Self {
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
            audited.denied(&who.name, &call, &path[..path.floor_char_boundary(256)]).await;
            Ok(Status::permission_denied(who.denial(&call)).into_http())
        })
    }
}
