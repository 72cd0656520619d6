//! The tables of the watcher.

use plumb_proto::model::ColumnType;

use crate::watcher::{Column, Table};

/// Every PHP of the host.
pub(super) const PHP: Table = Table {
    name: "php",
    doc: "PHP binaries. Key: sapi/branch, with @prefix when it is not installed in the system's own folders.",
    columns: &[
        Column::state("version", ColumnType::Version, "Its version, as it says itself."),
        Column::state("binary", ColumnType::Text, "Where the binary or module lies."),
        Column::state(
            "package",
            ColumnType::Text,
            "The package it belongs to; none when nobody updates it with packages.",
        ),
        Column::state("package_version", ColumnType::Version, "Version of that package, with epoch and release."),
        Column::state(
            "module",
            ColumnType::Text,
            "Module and stream that the package comes from (Red Hat), such as php:8.2.",
        ),
        Column::state(
            "provenance",
            ColumnType::Text,
            "Who patches it: debian, ubuntu, redhat, distribution (another one), sury, remi, cpanel, cloudlinux, plesk, \
             litespeed, runcloud, serverpilot, or self-built.",
        ),
        Column::state(
            "ini",
            ColumnType::Text,
            "The php.ini that it reads; none when there is none in the place for it.",
        ),
        Column::state(
            "extensions",
            ColumnType::List,
            "Extensions that its configuration loads; those that are compiled in are not among them.",
        ),
        Column::moving("running", ColumnType::Bool, "Whether a process runs it, or Apache has loaded it."),
        Column::moving(
            "restart_needed",
            ColumnType::Bool,
            "Whether its file was replaced since a process that runs it has started.",
        ),
    ],
};

/// Every pool of FPM.
pub(super) const PHP_POOL: Table = Table {
    name: "php_pool",
    doc: "Pools of PHP-FPM, with PHP's settings in each as configured on disk. Key: branch/pool, with @prefix as in `php`, or \
          with the path of its configuration when a second master runs the same program.",
    columns: &[
        Column::state("php", ColumnType::Text, "The row of table `php` that runs it."),
        Column::state("user", ColumnType::Text, "The account that it runs as."),
        Column::state("listen", ColumnType::Text, "Where it takes requests: a path, or address:port."),
        Column::state("pm", ColumnType::Text, "How workers are started: static, dynamic or ondemand."),
        Column::state("max_children", ColumnType::Int, "How many workers it may have."),
        Column::state("max_requests", ColumnType::Int, "After so many requests a worker is replaced; 0: never."),
        Column::state("status_path", ColumnType::Text, "Where it answers how it does, if that is switched on."),
        Column::state("slowlog", ColumnType::Text, "Where requests are written that take too long, if anywhere."),
        Column::state("config", ColumnType::Text, "The file that it is configured in."),
        Column::state("memory_limit_bytes", ColumnType::Int, "Memory that a request may use; -1: without limit."),
        Column::state("max_execution_time", ColumnType::Int, "Seconds that a request may compute; 0: without limit."),
        Column::state("upload_max_filesize_bytes", ColumnType::Int, "The biggest file that may be uploaded."),
        Column::state(
            "post_max_size_bytes",
            ColumnType::Int,
            "The biggest request that may be sent; 0: without limit.",
        ),
        Column::state("display_errors", ColumnType::Bool, "Whether errors are shown to visitors."),
        Column::state("error_log", ColumnType::Text, "Where errors are written, if it is set."),
        Column::state(
            "open_basedir",
            ColumnType::Text,
            "The folders that PHP may open files in, if it is bound to some.",
        ),
        Column::state("disabled_functions", ColumnType::List, "Functions that may not be called."),
        Column::state("expose_php", ColumnType::Bool, "Whether answers name PHP and its version."),
        Column::state("allow_url_include", ColumnType::Bool, "Whether code may be included from other servers."),
        Column::state("opcache", ColumnType::Bool, "Whether compiled code is kept (OPcache)."),
        Column::state("opcache_memory_bytes", ColumnType::Int, "Memory for compiled code."),
        Column::state("opcache_max_files", ColumnType::Int, "How many files compiled code is kept of."),
        Column::state(
            "opcache_validate_timestamps",
            ColumnType::Bool,
            "Whether changed files are noticed; if not, a deployment must reload FPM.",
        ),
        Column::state("timezone", ColumnType::Text, "Its time zone."),
        Column::moving(
            "saturated",
            ColumnType::Bool,
            "Whether all workers are there that may be, and visitors wait or every worker serves one.",
        ),
        Column::moving(
            "queue",
            ColumnType::Int,
            "While it is saturated: how many wait at its socket, as of the beginning or of a minute ago at most.",
        ),
        Column::moving(
            "workers",
            ColumnType::Int,
            "While it is saturated: how many workers it has, seen with `queue`.",
        ),
        Column::moving(
            "config_changed",
            ColumnType::Time,
            "When the newest file was changed that it is configured in.",
        ),
        Column::moving(
            "config_loaded",
            ColumnType::Time,
            "When the master that runs has last loaded its configuration.",
        ),
        Column::moving(
            "reload_needed",
            ColumnType::Bool,
            "Whether what is in effect is not what is configured on disk: a reload of FPM brings it in force.",
        ),
        Column::moving(
            "pending",
            ColumnType::List,
            "What a reload would change, such as `memory_limit: 128M in effect, 256M on disk`.",
        ),
        Column::moving(
            "user_ini",
            ColumnType::List,
            "What its sites set for themselves on top, such as `/var/www/shop: memory_limit=512M`: of the settings above, \
             those in .user.ini of their document roots.",
        ),
    ],
};
