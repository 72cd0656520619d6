//! The tables that this watcher fills.

use plumb_proto::model::ColumnType;

use crate::watcher::{Column, Table};

/// Certificates.
pub(super) const CERTIFICATE: Table = Table {
    name: "certificate",
    doc: "Certificates. Key: the path of the file, or name:port of what is presented to visitors there.",
    columns: &[
        Column::state("kind", ColumnType::Text, "file, or served: what is presented to visitors."),
        Column::state("subject", ColumnType::Text, "Its common name."),
        Column::state("issuer", ColumnType::Text, "The authority that issued it."),
        Column::state("names", ColumnType::List, "Names and addresses that it is for."),
        Column::state("key_type", ColumnType::Text, "Its kind of key: rsa 2048, ecdsa p-256, ed25519."),
        Column::state("self_signed", ColumnType::Bool, "Whether nobody but itself vouches for it."),
        Column::moving("not_before", ColumnType::Time, "From when it is valid."),
        Column::moving("not_after", ColumnType::Time, "Until when it is valid."),
        Column::moving("fingerprint", ColumnType::Text, "SHA-256 of it."),
        Column::moving("serial", ColumnType::Text, "Its serial number."),
        Column::moving(
            "chain_complete",
            ColumnType::Bool,
            "Whether the certificates of its authorities come with it; none for a file that holds no other.",
        ),
        Column::moving("sites", ColumnType::List, "Sites that it is configured for, and postfix and dovecot."),
        Column::moving(
            "served",
            ColumnType::Bool,
            "Of a file that a site uses: whether what is presented is told, too.",
        ),
        Column::state("renewed_by", ColumnType::Text, "Who renews it: a key of certificate_renewal."),
        Column::moving("renewal_missed", ColumnType::Int, "Runs that whoever renews it has missed."),
        Column::moving("server", ColumnType::Text, "Who presents it: nginx, apache, caddy, litespeed."),
        Column::moving("file", ColumnType::Text, "The file that the server is told to read."),
        Column::moving("differs", ColumnType::Bool, "Whether visitors get another one than they should."),
        Column::moving("intended", ColumnType::Text, "The newest one that was issued for it."),
        Column::moving("on_disk", ColumnType::Text, "What the file holds."),
        Column::moving("in_effect", ColumnType::Text, "What visitors get."),
        Column::moving("reason", ColumnType::Text, "Why it differs."),
        Column::moving("not_covered", ColumnType::List, "Names of the site that it is not for."),
    ],
};

/// Who renews certificates.
pub(super) const RENEWAL: Table = Table {
    name: "certificate_renewal",
    doc: "Who renews certificates. Key: certbot, acme.sh, autossl, plesk, hestia, caddy, lego, dehydrated, mod_md.",
    columns: &[
        Column::state("schedule", ColumnType::Text, "When it runs: its timer, or its line of a crontab."),
        Column::moving("interval_seconds", ColumnType::Int, "Time from one run to the next."),
        Column::moving("last_run", ColumnType::Time, "When it ran last."),
        Column::moving("missed", ColumnType::Int, "Runs that should have been since, but were not."),
        Column::state("enabled", ColumnType::Bool, "Whether it runs by itself."),
        Column::moving("certificates", ColumnType::Int, "Certificates in use that it renews."),
    ],
};
