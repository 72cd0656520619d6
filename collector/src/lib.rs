//! The half of plumb that judges: it keeps the history of many hosts, says what has drifted, and tells whom it concerns.

pub mod alert;
pub mod audit;
pub mod cli;
pub mod config;
pub mod drift;
pub mod ledger;
pub mod nearest;
pub mod notify;
pub mod pipeline;
pub mod store;
pub mod stores;
pub mod view;
