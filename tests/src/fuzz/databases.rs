//! What database servers say, write and are configured with.

use super::{Target, made, text};

pub const TARGETS: &[Target] = &[
    Target {
        name: "mysql-packets",
        run: |bytes| {
            use plumb_agent::databases::wire::mysql;
            made((mysql::length(bytes), mysql::handshake(bytes), mysql::step(bytes), mysql::columns(bytes)));
            made((mysql::error(bytes), mysql::column(bytes), mysql::row(bytes)));
        },
        seeds: &[
            b"\n5.5.5-10.11.14-MariaDB\0\x08\0\0\0abcdefgh\0\xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0x\0",
            b"\xfecaching_sha2_password\0nonce\0",
            b"\xff\x15\x04#28000Access denied",
            b"\x03def\0\0\0\x04Name\0\x0c",
            b"\x01a\xfb\0\xfc\x02\0xy",
        ],
    },
    Target {
        name: "postgresql-messages",
        run: |bytes| {
            use plumb_agent::databases::wire::postgresql;
            made((postgresql::length(bytes), postgresql::message(bytes)));
        },
        seeds: &[
            b"D\0\0\0\x10\0\x02\0\0\0\x0216\xff\xff\xff\xff",
            b"E\0\0\0\x1cSFATAL\0C53300\0Mtoo many\0\0",
            b"R\0\0\0\x08\0\0\0\0",
        ],
    },
    Target {
        name: "sqlite-header",
        run: |bytes| made(plumb_agent::databases::wire::sqlite::version(bytes)),
        seeds: &[&SQLITE],
    },
    Target {
        name: "table-files",
        run: |bytes| {
            use plumb_agent::databases::schema::files;
            made((files::table(bytes), files::decoded(bytes)));
        },
        seeds: &[b"my@002dshop", b"sales#P#p2026#SP#s1.ibd", b"FTS_0000000000000437_CONFIG.ibd"],
    },
    Target {
        name: "yaml-settings",
        run: |bytes| made(plumb_agent::databases::yaml::settings(&text(bytes))),
        seeds: &[b"net:\n  port: 27018\n  bindIp: [a, b]\npath.data:\n  - /a\n", b"dbpath=/srv\n"],
    },
];

/// The header of a file that SQLite 3.40.1 has written.
const SQLITE: [u8; 100] = {
    let (mut header, mut at) = ([0; 100], 0);
    while at < 16 {
        header[at] = b"SQLite format 3\0"[at];
        at += 1;
    }
    [header[97], header[98], header[99]] = [0x2e, 0x63, 0x01];
    header
};
