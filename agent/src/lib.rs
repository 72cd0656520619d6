//! Plumb's agent: observes a host, and delivers what it saw. A library too, so that tests can run one in-process.

pub mod apps;
pub mod cli;
pub mod config;
pub mod databases;
pub mod deliver;
pub mod failures;
pub mod fpm;
pub mod host;
pub mod kept;
pub mod link;
pub mod log;
pub mod manager;
pub mod observe;
pub mod provenance;
pub mod sandbox;
pub mod state;
pub mod status;
pub mod tables;
pub mod watcher;
pub mod watchers;
pub mod web;
pub mod x509;
