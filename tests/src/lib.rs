//! What the stories in `tests/` are told with: fleets in one process, whole programs in a folder, kill loops, web roots.

pub mod container;
pub mod documents;
pub mod eventually;
pub mod fleet;
pub mod fuzz;
pub mod inventory;
pub mod kills;
pub mod lab;
pub mod lines;
pub mod load;
pub mod log_torture;
pub mod needs;
pub mod numbers;
pub mod planted;
pub mod random;
pub mod small_disk;
pub mod trace;
pub mod web_host;
pub mod webroot;
