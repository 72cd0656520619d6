//! What plumb's agent and collector share: the words ([`model`]), the record with its chain ([`record`]), samples in
//! columns ([`columns`]), and the way onto the wire and back ([`wire`], [`frame`]). It knows nothing of what is done with them.

pub mod columns;
pub mod dictionary;
pub mod frame;
pub mod id;
pub mod journal;
pub mod limits;
pub mod model;
pub mod nearest;
pub mod record;
pub mod secret;
pub mod time;
pub mod token;
pub mod untrusted;
pub mod wire;

/// The version of these programs: that of the package that they are built for, as `PLUMB_VERSION` names it when they are
/// compiled, else the version of the source.
pub const VERSION: &str = match option_env!("PLUMB_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Generated from the `.proto` files, committed, never edited: `tests/generated.rs` holds it to them.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod generated {
    pub mod model {
        include!("generated/plumb.model.v1.rs");
    }
    pub mod ingest {
        include!("generated/plumb.ingest.v1.rs");
    }
    pub mod enroll {
        include!("generated/plumb.enroll.v1.rs");
    }
    pub mod query {
        include!("generated/plumb.query.v1.rs");
    }
}
