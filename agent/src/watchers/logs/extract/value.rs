//! Numbers in lines.

/// What a line of an access log says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hit<'a> {
    /// The site, if lines name it.
    pub site: Option<&'a [u8]>,
    /// Status of the answer.
    pub status: u16,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Seconds that it took, if lines tell.
    pub seconds: Option<f64>,
}

/// A number of digits only, at most 15 of them, so that a float holds it too.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// As a float; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) fn decimal(number: u64) -> f64 {
    number as f64
}

/// `0.123`, or whole seconds.
pub(super) fn fraction(text: &[u8]) -> Option<f64> {
    let Some(point) = memchr::memchr(b'.', text) else { return digits(text).map(decimal) };
    let (whole, part) = (text.get(..point)?, text.get(point + 1..)?);
    let parts = 10_f64.powi(i32::try_from(part.len()).ok()?);
    Some(decimal(digits(whole)?) + decimal(digits(part)?) / parts)
}
