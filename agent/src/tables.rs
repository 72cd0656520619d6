//! Tables that several watchers fill. Rows belong to the watcher that tells them.

use plumb_proto::model::ColumnType;

use crate::watcher::{Column, Table};

/// Database servers: filled by `elasticsearch`, `memcached`, `mongodb`, `mysql`, `postgresql`, `redis`, `sqlite`.
pub const DATABASE: Table = Table {
    name: "database",
    doc: "Database servers. Key: product/instance; of a SQLite file of a site sqlite/path.",
    columns: &[
        Column::state("version", ColumnType::Version, "Version that is installed, as it says itself."),
        Column::state(
            "running_version",
            ColumnType::Version,
            "Version of the process that runs; differs from `version` after an upgrade without a restart.",
        ),
        Column::state("binary", ColumnType::Text, "Where the server's program lies."),
        Column::state(
            "package",
            ColumnType::Text,
            "The package it belongs to; none when nobody updates it with packages.",
        ),
        Column::state("package_version", ColumnType::Version, "Version of that package, with epoch and release."),
        Column::state(
            "provenance",
            ColumnType::Text,
            "Who patches it: a word of the table `php`, or mariadb, mysql, percona, pgdg, redis, valkey, keydb, mongodb, \
             elastic, opensearch: the makers' own packages.",
        ),
        Column::state("running", ColumnType::Bool, "Whether a process of it runs."),
        Column::moving(
            "restart_needed",
            ColumnType::Bool,
            "Whether the file of its program was replaced since the process started.",
        ),
        Column::state(
            "listen",
            ColumnType::List,
            "Addresses and sockets that it listens on, as far as they can be seen.",
        ),
        Column::state("datadir", ColumnType::Text, "Its data folder."),
        Column::moving(
            "refuses",
            ColumnType::Text,
            "What it says instead of letting anybody in: `1040 Too many connections`.",
        ),
    ],
};

/// Schemas of database servers: filled by `mysql`, `postgresql`.
pub const DATABASE_SCHEMA: Table = Table {
    name: "database_schema",
    doc: "What database servers hold, by the sizes of files, measured every half hour. Key: product/instance/schema; \
          `oid-16384` where a database's name takes a login, `(other)` for all but the biggest.",
    columns: &[
        Column::moving("size_bytes", ColumnType::Int, "Bytes of its files; told anew when moved by 5 % or 64 MiB."),
        Column::moving("tables", ColumnType::Int, "Tables in it."),
        Column::moving("largest_table", ColumnType::Text, "Its biggest table."),
        Column::moving("largest_bytes", ColumnType::Int, "Bytes of that one."),
        Column::moving(
            "bloat",
            ColumnType::List,
            "Tables that are known to grow without end, and have: logs, sessions, caches, with their sizes.",
        ),
        Column::moving("cms", ColumnType::Text, "The product that its tables look like: a word of the table `cms`."),
    ],
};

/// Logs that are read: filled by `logs` and `journal`.
pub const LOG_SOURCE: Table = Table {
    name: "log_source",
    doc: "Logs that are read. Key: the path of the file, or `journal`.",
    columns: &[
        Column::moving("format", ColumnType::Text, "What is written in it: nginx-access, php-error, mysql-error, ..."),
        Column::moving("site", ColumnType::Text, "The site that it speaks of, if it is one."),
        Column::moving("size_bytes", ColumnType::Int, "Its size when it was last looked at."),
        Column::moving("written", ColumnType::Time, "When it was last written to."),
    ],
};

/// Known failures of late: filled by `logs` and `journal`.
pub const LOG_FAILURE: Table = Table {
    name: "log_failure",
    doc: "Known failures that a log told of a short time ago. Key: kind@source; the row goes when it has been quiet for a while.",
    columns: &[
        Column::moving("kind", ColumnType::Text, "Which failure: php_fatal, database_connection, oom_kill, ..."),
        Column::moving("severity", ColumnType::Text, "How bad it is: critical, warning or info."),
        Column::moving("title", ColumnType::Text, "What it means, in words."),
        Column::moving("site", ColumnType::Text, "The site, if one is known."),
        Column::moving("source", ColumnType::Text, "The log that told of it."),
        Column::moving("text", ColumnType::Text, "A line that told of it, without secrets."),
        Column::moving("first", ColumnType::Time, "When it began."),
        Column::moving("last", ColumnType::Time, "When it was last told; written down every few minutes at most."),
        Column::moving("count", ColumnType::Int, "How often since it began, as of `last`."),
    ],
};
