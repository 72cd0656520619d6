//! The half of plumb that judges: it keeps the history of many hosts, says what has drifted, and tells whom it concerns.

pub mod access;
pub mod alert;
pub mod drift;
pub mod enroll;
pub mod ingest;
pub mod listen;
pub mod store;
pub mod view;
pub mod worker;
