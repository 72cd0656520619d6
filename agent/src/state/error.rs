//! Why the state could not be kept, as far as the caller has a choice.

use std::io;

use plumb_proto::record::RecordError;
use rusqlite::ErrorCode;

/// What went wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The spool is at its bound, and all that is left in it may not be dropped. Try again when something was
    /// acknowledged.
    #[error("the spool is full of facts and events that nobody has fetched")]
    SpoolFull,
    /// The disk is full. Try again later.
    #[error("the disk of the state folder is full")]
    DiskFull,
    /// Another process holds it.
    #[error("another plumb-agent is running on this state folder")]
    InUse,
    /// It is not what it should be: set it aside.
    #[error("{0}")]
    Damaged(String),
    /// The medium failed: open it anew, and if that fails too, set it aside.
    #[error("{0}")]
    Io(String),
    /// The folder or the file cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// What was to be kept is no record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            Some(
                ErrorCode::PermissionDenied | ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::OutOfMemory,
            ) => Self::Unusable(error.to_string()),
            Some(ErrorCode::SystemIoFailure) => Self::Io(error.to_string()),
            // A file that is none of ours, or rows that do not fit their columns: trying again will not mend it.
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<io::Error> for StateError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Unusable(error.to_string()),
        }
    }
}
