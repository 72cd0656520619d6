//! What is said to a server and what it says, as bytes: no server is needed to read or to test it.

pub mod mysql;
pub mod postgresql;
pub mod sqlite;
