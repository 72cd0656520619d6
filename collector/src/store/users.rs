//! Users of the query port, as the store keeps them.

use plumb_proto::record::Hash;
use plumb_proto::time::Timestamp;

use super::rows::Groups;

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Ask.
    Viewer,
    /// Approve.
    Operator,
    /// Decide about hosts and receivers.
    Admin,
}

impl Role {
    /// The word in the database, in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// From its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|each| each.as_str() == word)
    }
}

/// Somebody who may ask from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The name, which the certificate carries.
    pub name: String,
    /// What they may do. It stands here alone: no certificate and no request says it.
    pub role: Role,
    /// Only hosts with all these labels are theirs; empty: every host.
    pub groups: Groups,
    /// SHA-256 of the SubjectPublicKeyInfo of their one certificate: an older one of the same name is nobody's.
    pub key_hash: Hash,
    /// When they were made.
    pub created: Timestamp,
    /// Until when the certificate is valid.
    pub not_after: Timestamp,
    /// Since when it is accepted no more.
    pub revoked: Option<Timestamp>,
}

/// A certificate that was issued to a user; the log of them only grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIssuance {
    /// To whom.
    pub user: String,
    /// Serial number of the certificate.
    pub serial: Vec<u8>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_hash: Hash,
    /// Valid until.
    pub not_after: Timestamp,
    /// When it was issued.
    pub issued: Timestamp,
    /// What was handed out, PEM.
    pub chain: Vec<u8>,
}
