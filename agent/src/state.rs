//! The agent's one state file, and the frames by which others ask for what is in it.

pub mod frames;
