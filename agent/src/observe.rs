//! x
pub mod breadcrumb;
pub mod budget;
pub mod delta;
pub mod pending;
pub mod schedule;
pub mod split;
pub mod wake;
