//! Making records.

use super::{Class, Encoding, Epoch, Hash, Header, Record, RecordError, bound};
use crate::limits;
use crate::time::Timestamp;

/// When and where a record is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// See [`Header::boot_id`].
    pub boot_id: [u8; 16],
    /// See [`Header::t_boot_ns`].
    pub t_boot_ns: u64,
    /// Wall time.
    pub wall: Timestamp,
}

/// Makes records; keeps its compressor's memory for the next one.
pub struct Sealer(zstd::bulk::Compressor<'static>);

impl Sealer {
    /// Level 3: with the small payloads of an agent its context is 85 KiB.
    ///
    /// # Errors
    /// There is no memory for the compressor.
    pub fn new() -> std::io::Result<Self> {
        zstd::bulk::Compressor::new(3).map(Self)
    }

    /// Compresses a payload and puts it behind the record before it.
    ///
    /// # Errors
    /// It is bigger than a record may be, or zstd fails.
    pub fn seal(
        &mut self,
        (epoch, seq, prev): (Epoch, u64, Hash),
        at: Moment,
        class: Class,
        raw: &[u8],
    ) -> Result<Record, RecordError> {
        bound("payload before compression", raw.len(), limits::RECORD_RAW)?;
        let packed = self.0.compress(raw).map_err(|_| RecordError::Header("zstd failed"))?;
        let (encoding, payload) =
            if packed.len() < raw.len() { (Encoding::Zstd, packed) } else { (Encoding::Plain, raw.to_vec()) };
        let length = |size: usize| u32::try_from(size).map_err(|_| RecordError::Header("longer than 4 GiB"));
        let header = Header {
            epoch,
            seq,
            boot_id: at.boot_id,
            t_boot_ns: at.t_boot_ns,
            t_wall_ns: at.wall.millis().saturating_mul(1_000_000),
            class,
            encoding,
            raw_len: length(raw.len())?,
            payload_len: length(payload.len())?,
        };
        Ok(Record { header, prev, payload })
    }
}
