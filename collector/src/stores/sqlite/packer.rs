//! Blobs that are worth compressing.

use anyhow::{Context, Result, bail};

/// Opens what [`Packer::pack`] closed.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::decompress(packed, UNPACKED).context("a kept blob does not decompress")
}

/// The largest blob that is compressed: what one record declares or samples is smaller.
const UNPACKED: usize = 16 << 20;

/// Compresses blobs, and keeps the memory for that.
pub struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// Level 3, as records have it.
    pub fn new() -> Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(3)?))
    }

    /// One zstd frame.
    pub fn pack(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        if raw.len() > UNPACKED {
            bail!("{} B are too many for one blob, at most {UNPACKED}", raw.len());
        }
        Ok(self.0.compress(raw)?)
    }
}
