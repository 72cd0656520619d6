//! More visitors than a pool has workers: it is told while it lasts, with how many wait.

use std::time::{Duration, Instant};

use plumb_tests::eventually::eventually;

use crate::Estate;

/// How soon a pool without a free worker must be told.
const SOON: Duration = Duration::from_secs(15);
/// How soon it must be told that it is over.
const OVER: Duration = Duration::from_secs(75);
const POOL: &str = "8.2/shop";
/// As many as `pm.max_children` of the pool, and three who wait.
const VISITORS: u32 = 8;

/// Visits a page that takes its time, through nginx, more often than the pool can answer.
pub fn of_a_pool_is_told_while_it_lasts(estate: &Estate) {
    let busy = || (estate.field("php_pool", POOL, "saturated"), estate.field("php_pool", POOL, "queue"));
    let visit = "curl -sk --max-time 60 -o /dev/null 'https://shop.example/sleep.php?s=24' &";
    let start = Instant::now();
    estate.host.sh(&format!("for each in $(seq {VISITORS}); do {visit} done >/dev/null 2>&1"));
    let full = |told: &(String, String)| *told == ("true".to_owned(), "3".to_owned());
    eventually("a pool without a free worker", SOON, busy, full);
    let told = start.elapsed().as_secs_f64();
    let drifts = || estate.open().into_iter().filter(|line| line.contains(POOL)).collect::<Vec<_>>();
    let made = eventually("a drift about it", SOON, drifts, |drifts| !drifts.is_empty());
    eprintln!(
        "a saturated pool was told after {told:.1} s, and made {made:?} after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    let over = |(saturated, _): &(String, String)| saturated == "false";
    eventually("workers that are free again", OVER, busy, over);
    // PHP-FPM says so in its log, too: that is over once it was quiet
    let drifts =
        || estate.open().into_iter().filter(|line| line.contains(POOL) || line.contains("log_failure")).collect();
    eventually("no drift about it any more", OVER, drifts, Vec::<String>::is_empty);
    eprintln!("that it is over was told after {:.1} s", start.elapsed().as_secs_f64());
}
