//! What plumb's agent and collector share: the words ([`model`]), the record with its chain ([`record`]), samples in
//! columns ([`columns`]), and the way onto the wire and back ([`wire`]). It knows nothing of what is done with them.

pub mod limits;
pub mod model;
pub mod secret;
pub mod time;
pub mod untrusted;
