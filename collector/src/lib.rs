//! The half of plumb that judges: it keeps the history of many hosts, says what has drifted, and tells whom it concerns.

pub mod alert;
pub mod drift;
pub mod nearest;
pub mod pipeline;
pub mod policy_files;
pub mod store;
pub mod view;

#[cfg(test)]
mod testing;
