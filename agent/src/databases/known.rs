//! What the login of one server has told, from visit to visit.

use std::collections::BTreeMap;
use std::time::Duration;

/// An installation of WordPress whose autoloaded options are to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the schema.
    pub schema: String,
    /// Beginning of the names of its tables.
    pub prefix: String,
}

/// What is known of one server by its login.
#[derive(Default)]
pub(super) struct Known {
    pub(super) names: BTreeMap<String, String>,
    /// When it is visited next.
    pub(super) next: Duration,
    /// Why the last visit came to nothing.
    pub(super) failed: Option<(String, &'static str)>,
    /// It lets nobody in.
    pub(super) turned: Option<String>,
    /// The last visit told samples.
    pub(super) tells: bool,
    pub(super) wanted: Vec<Wanted>,
    /// Bytes of autoloaded options by schema, as they were counted last.
    pub(super) autoload: BTreeMap<String, f64>,
    /// What was measured when `wanted` was set.
    pub(super) measured: Option<Duration>,
}
