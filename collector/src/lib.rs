//! The half of plumb that judges: it keeps the history of many hosts, says what has drifted, and tells whom it concerns.

pub mod access;
pub mod admin;
pub mod alert;
pub mod audit;
pub mod change_set;
pub mod cli;
pub mod condition;
pub mod config;
pub mod current;
pub mod drift;
pub mod enroll;
pub mod health;
pub mod history;
pub mod ingest;
pub mod ledger;
pub mod listen;
pub mod log;
pub mod notify;
pub mod pipeline;
pub mod policy_files;
pub mod query;
pub mod restore;
pub mod retention;
pub mod serve;
pub mod store;
pub mod stores;
pub mod support_files;
#[cfg(test)]
mod testing;
pub mod view;
pub mod worker;
