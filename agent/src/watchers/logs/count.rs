//! Requests by site: counted for good, in the cursor; how long they took, for the time from one telling to the next.

use plumb_proto::time::Timestamp;
use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

use super::conf::site_name;
use super::extract::Hit;
use crate::watcher::Look;

/// Sites that are counted apart; what is beyond is counted together, as [`OTHER`]: nothing is lost then, so a host with
/// more sites has no problem.
const MAX_SITES: usize = 100;
/// The site of what belongs to none, or to one that cannot be told.
pub(super) const NONE: &str = "_";
/// All further sites.
pub(super) const OTHER: &str = "(other)";
/// A site without requests for so many seconds makes room for another.
const FORGET: i64 = 7 * 86_400;
/// Classes of status (RFC 9110, 15), and what is none.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
/// Quantiles that are told, with their label.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99")];
/// A quantile is off by this part of it at most; with so many buckets that spans 1 ms to far more than an hour.
const ACCURACY: f64 = 0.02;
const BUCKETS: u32 = 512;
/// Seconds that count as none.
const LEAST: f64 = 0.000_1;

/// All sites, in the order in which they were met.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Sites(Vec<Site>);

#[derive(Serialize, Deserialize)]
struct Site {
    name: String,
    requests: [u64; CLASSES.len()],
    bytes: u64,
    /// When it had its last request, in seconds.
    #[serde(default)]
    last: i64,
    /// Not kept: it is of the last minute.
    #[serde(skip)]
    seconds: Option<DDSketch>,
}

impl Sites {
    pub(super) fn decode(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The place of a site. `hint` is where it mostly is. What is no name of a site is none.
    pub(super) fn place(&mut self, name: &[u8], hint: usize) -> usize {
        let is = |site: &Site| site.name.as_bytes().eq_ignore_ascii_case(name);
        if self.0.get(hint).is_some_and(is) {
            return hint;
        }
        if let Some(at) = self.0.iter().position(is) {
            return at;
        }
        let ours = [NONE, OTHER].into_iter().find(|ours| ours.as_bytes() == name).map(str::to_owned);
        let named = ours.or_else(|| std::str::from_utf8(name).ok().and_then(site_name));
        match named {
            None => self.place(NONE.as_bytes(), 0),
            Some(named) if named.as_bytes() != name => self.place(named.as_bytes(), hint), // written in another way
            Some(named) if self.0.len() >= MAX_SITES && named != OTHER && named != NONE => {
                self.place(OTHER.as_bytes(), MAX_SITES)
            }
            Some(name) => {
                self.0.push(Site { name, requests: [0; CLASSES.len()], bytes: 0, last: 0, seconds: None });
                self.0.len() - 1
            }
        }
    }

    /// Counts a request.
    pub(super) fn add(&mut self, place: usize, hit: &Hit<'_>, now: Timestamp) {
        let Some(site) = self.0.get_mut(place) else { return };
        site.last = now.millis() / 1_000;
        let class = usize::from(hit.status / 100).wrapping_sub(1).min(CLASSES.len() - 1);
        if let Some(count) = site.requests.get_mut(class) {
            *count += 1;
        }
        site.bytes = site.bytes.saturating_add(hit.bytes);
        if let Some(seconds) = hit.seconds {
            let fresh = || DDSketch::new(Config::new(ACCURACY, BUCKETS, LEAST));
            site.seconds.get_or_insert_with(fresh).add(seconds);
        }
    }

    /// Forgets sites without requests; `true` if there were any.
    pub(super) fn forget(&mut self, now: Timestamp) -> bool {
        let before = self.0.len();
        self.0.retain(|site| (now.millis() / 1_000).saturating_sub(site.last) < FORGET);
        self.0.len() != before
    }

    /// Tells all that was met so far, and the times since the last telling.
    pub(super) fn tell(&mut self, look: &mut Look<'_>) {
        for site in &mut self.0 {
            for (status, count) in CLASSES.iter().zip(site.requests).filter(|(_, count)| *count > 0) {
                look.counter("requests_total", &[("site", &site.name), ("status", status)], number(count));
            }
            if site.requests.iter().any(|count| *count > 0) {
                look.counter("response_bytes_total", &[("site", &site.name)], number(site.bytes));
            }
            let Some(sketch) = site.seconds.take() else { continue };
            for (quantile, label) in QUANTILES {
                if let Ok(Some(seconds)) = sketch.quantile(quantile) {
                    look.gauge("request_seconds", &[("site", &site.name), ("quantile", label)], seconds);
                }
            }
        }
    }
}

/// As a sample; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watcher::testing::NOW;

    fn hit(status: u16, bytes: u64, seconds: f64) -> Hit<'static> {
        Hit { site: None, status, bytes, seconds: Some(seconds) }
    }

    #[test]
    fn sites_beyond_the_limit_are_counted_together() {
        let mut sites = Sites::default();
        for number in 0..MAX_SITES + 50 {
            let at = sites.place(format!("s{number}.example").as_bytes(), 0);
            sites.add(at, &hit(200, 1, 0.1), NOW);
        }
        assert_eq!(sites.0.len(), MAX_SITES + 1);
        assert_eq!((sites.0[MAX_SITES].name.as_str(), sites.0[MAX_SITES].requests[1]), (OTHER, 50));
        assert_eq!(sites.place(b"S7.example", 3), 7);
    }

    #[test]
    fn counts_are_kept_and_times_are_not() {
        let mut sites = Sites::default();
        let at = sites.place(b"a", 0);
        for status in [100, 200, 204, 301, 404, 500, 599, 600, 99, 0] {
            sites.add(at, &hit(status, 10, 0.1), NOW);
        }
        let kept = Sites::decode(&sites.encode());
        assert_eq!((kept.0[0].requests, kept.0[0].bytes), ([1, 2, 1, 1, 2, 3], 100));
        assert!(kept.0[0].seconds.is_none());
        assert!(Sites::decode(b"damaged").0.is_empty());
    }

    #[test]
    fn quantiles_are_off_by_two_percent_at_most() {
        let mut sites = Sites::default();
        let at = sites.place(b"a", 0);
        (1..=10_000_u32).for_each(|n| sites.add(at, &hit(200, 0, f64::from(n) / 1000.0), NOW));
        let sketch = sites.0[0].seconds.take().unwrap();
        for (quantile, expected) in [(0.5, 5.0), (0.95, 9.5), (0.99, 9.9)] {
            let told = sketch.quantile(quantile).unwrap().unwrap();
            assert!((told / expected - 1.0).abs() < 0.021, "{quantile}: {told}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_site_is_none_and_each_name_has_one_place() {
        let mut sites = Sites::default();
        let long = "x".repeat(300);
        for name in ["_", "a\u{202e}b", "a\"b", "../x", "", long.as_str()] {
            assert_eq!(sites.place(name.as_bytes(), 0), 0, "{name}");
        }
        assert_eq!(sites.place(b"\xff", 0), 0);
        for name in ["Shop.example", "shop.example.", "SHOP.EXAMPLE"] {
            assert_eq!(sites.place(name.as_bytes(), 0), 1, "{name}");
        }
        let names: Vec<&str> = sites.0.iter().map(|site| site.name.as_str()).collect();
        assert_eq!(names, [NONE, "shop.example"]);
    }

    #[test]
    fn a_site_without_requests_makes_room() {
        let mut sites = Sites::default();
        for number in 0..=MAX_SITES {
            let at = sites.place(format!("s{number}.example").as_bytes(), 0);
            sites.add(at, &hit(200, 1, 0.1), NOW);
        }
        assert!(sites.0.iter().any(|site| site.name == OTHER));
        let later = NOW + std::time::Duration::from_secs(7 * 86_400 - 1);
        let at = sites.place(b"s7.example", 0);
        sites.add(at, &hit(200, 1, 0.1), later);
        assert!(!sites.forget(later));
        assert!(sites.forget(later + std::time::Duration::from_secs(1)));
        assert_eq!((sites.0.len(), sites.0[0].requests[1]), (1, 2));
        assert_eq!(sites.place(b"new.example", 0), 1);
    }
}
