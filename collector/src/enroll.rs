//! How hosts get their certificates.

pub mod ca;
