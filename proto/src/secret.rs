//! A value that must not be said: it has no `Debug`, `Display` or serialisation, and is overwritten when dropped.

/// Holds a secret. Read it with [`Secret::expose`], right where it is used.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0); // keeps the writes from being dropped as dead stores
    }
}
