//! Every limit on what comes from outside, one constant each. Sizes in bytes unless the name says otherwise.

use std::time::Duration;

/// One message on the ingest stream.
pub const MESSAGE: usize = 1 << 20;
/// A record's payload before compression.
pub const RECORD_RAW: usize = 256 << 10;
/// A record is closed when its payload has grown this big before compression.
pub const RECORD_CLOSE: usize = 64 << 10;
/// A record's payload as sent.
pub const RECORD_PAYLOAD: usize = 256 << 10;
/// Records in one batch.
pub const BATCH_RECORDS: usize = 64;
/// Records in flight without an ack.
pub const WINDOW_RECORDS: u32 = 256;
/// Bytes in flight without an ack.
pub const WINDOW_BYTES: u32 = 1 << 20;
/// Repeated elements in one record, all lists together.
pub const ELEMENTS: usize = 10_000;
/// Largest zstd window that is opened, as a power of two.
pub const ZSTD_WINDOW_LOG: u32 = 20;
/// Hello, enrolment messages and the list of HTTP/2 headers.
pub const SMALL_MESSAGE: usize = 16 << 10;
/// One text, key, source or reason.
pub const FIELD: usize = 4 << 10;
/// Items of a list value.
pub const LIST_ITEMS: usize = 256;
/// Rows of one table of one host.
pub const TABLE_ROWS: usize = 20_000;
/// Tables of one host.
pub const TABLES: usize = 256;
/// Columns of one table.
pub const COLUMNS: usize = 128;
/// Series of one host.
pub const SERIES: usize = 4_096;
/// Labels of one series.
pub const LABELS: usize = 32;
/// Ticks in one block.
pub const BLOCK_TIMES: usize = 4_096;
/// A configuration file.
pub const CONFIG_FILE: usize = 1 << 20;
/// A token file.
pub const TOKEN_FILE: usize = 4 << 10;
/// A certificate chain in PEM.
pub const CERTIFICATE_CHAIN: usize = 16 << 10;
/// A certificate signing request in DER.
pub const CSR: usize = 8 << 10;
/// Rows that one question of the command line may return.
pub const QUERY_ROWS: usize = 100_000;
/// Rows in one message of an answer.
pub const QUERY_PAGE: usize = 1_000;
/// TLS handshakes in progress, from everywhere.
pub const HANDSHAKES: usize = 512;
/// TLS handshakes in progress from one address.
pub const HANDSHAKES_PER_ADDRESS: usize = 16;
/// Connections of one host.
pub const CONNECTIONS_PER_HOST: usize = 2;
/// Time for a handshake, and for the first message after it.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// An unacknowledged record for this long: reconnect.
pub const ACK_TIME: Duration = Duration::from_secs(30);
/// Text of an alert.
pub const ALERT_TEXT: usize = 8 << 10;
/// What is read of a receiver's answer.
pub const RECEIVER_ANSWER: usize = 64 << 10;
