//! What was intended, what is on the disk and what is in effect are three things. A renewed certificate that the web server has
//! not loaded, a php.ini that the pool has not, a lock file that nobody installed: each is one drift, which names the three.

use std::time::Duration;

use plumb_tests::eventually::eventually;
use serde_json::Value;

use crate::{Estate, named, unexpected};

/// How soon a drift must stand: a look every minute, and what its rule waits for to be sure.
const SOON: Duration = Duration::from_secs(120);
/// How soon it must be gone once it is closed.
const CLOSED: Duration = Duration::from_secs(150);

/// A change, and the one drift about it.
struct Change<'a> {
    what: &'a str,
    /// `table key` of the row that it is told of.
    subject: &'a str,
    /// What the drift must say, all of it.
    says: Vec<String>,
    /// What closes it.
    close: &'a str,
    /// What else the same hand has changed, as [`named`] does: asked about once, whatever is loaded.
    beside: &'a [&'a str],
}

/// Everything that a drift says, as one text.
fn said(drift: &Value) -> String {
    let words = ["title", "expected", "actual", "hint", "cause"];
    words.iter().filter_map(|word| drift[word].as_str()).collect::<Vec<_>>().join("\n")
}

fn about<'a>(drifts: &'a [Value], change: &Change<'_>) -> Vec<&'a Value> {
    let subject = |drift: &&Value| {
        named(drift).contains(&format!(" {} ", change.subject)) || named(drift).ends_with(change.subject)
    };
    let names = |drift: &&Value| change.says.iter().all(|word| said(drift).contains(word.as_str()));
    drifts.iter().filter(subject).filter(names).collect()
}

/// Makes each change, waits for its drift, closes it, waits until it is gone.
pub fn each_is_one_drift_that_names_the_three_until_it_is_closed(estate: &Estate, faults: &[String]) {
    let served = "openssl s_client -connect shop.example:443 -servername shop.example </dev/null 2>/dev/null";
    let print = "openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f | cut -c1-8";
    let old = estate.host.sh(&format!("{served} | {print}")).trim().to_owned();
    estate.host.sh("issue 2 89 shop.example www.shop.example");
    let new =
        estate.host.sh(&format!("cat /etc/letsencrypt/live/shop.example/fullchain.pem | {print}")).trim().to_owned();
    assert_ne!(old, new);
    let certificate = Change {
        what: "a renewed certificate that is not loaded",
        subject: "certificate shop.example:443",
        says: [&old, &new, "reload", "intended", "on disk", "in effect"].map(str::to_owned).to_vec(),
        close: "systemctl reload nginx",
        beside: &[],
    };
    stands_and_closes(estate, &certificate, faults);

    estate.host.sh("sed -i 's/^memory_limit = 128M/memory_limit = 192M/' /etc/php/8.2/fpm/php.ini");
    let settings = Change {
        what: "a setting that the pool has not loaded",
        subject: "php_pool 8.2/www",
        says: ["memory_limit", "128M", "192M", "reload", "intended", "on disk", "in effect"]
            .map(str::to_owned)
            .to_vec(),
        close: "systemctl reload php8.2-fpm",
        beside: &["changed * php_pool 8.2/www memory_limit_bytes"],
    };
    stands_and_closes(estate, &settings, faults);

    let mut faults = faults.to_vec();
    // this one was made before the host was booted, and is a fault no longer once it is closed
    let lock = Change {
        what: "a lock file that nobody installed",
        subject: "dependency_lock /srv/app/composer.lock",
        says: ["guzzlehttp/guzzle", "7.9.3", "7.8.1", "intended", "on disk", "in effect"].map(str::to_owned).to_vec(),
        close: "sed -i 's/\"version\": \"7.8.1\"/\"version\": \"7.9.3\"/; s/7.8.1.0/7.9.3.0/' /srv/app/vendor/composer/installed.json",
        beside: &[],
    };
    faults.retain(|line| !line.contains("/srv/app/composer.lock"));
    stands_and_closes(estate, &lock, &faults);
}

fn stands_and_closes(estate: &Estate, change: &Change<'_>, faults: &[String]) {
    let drifts = || estate.drifts();
    let told = eventually(change.what, SOON, drifts, |drifts| !about(drifts, change).is_empty());
    let subject = |drift: &&Value| named(drift).contains(change.subject);
    let all: Vec<String> = told.iter().filter(subject).map(said).collect();
    assert_eq!(all.len(), 1, "{}: one drift is enough: {all:#?}", change.what);
    eprintln!("{}:\n{}\n", change.what, all[0]);
    let beside: Vec<String> =
        faults.iter().cloned().chain(change.beside.iter().map(|line| (*line).to_owned())).collect();
    let others: Vec<String> = estate.drifts().iter().map(named).filter(|line| !line.contains(change.subject)).collect();
    let elsewhere: Vec<String> = beside.iter().filter(|line| !line.contains(change.subject)).cloned().collect();
    assert_eq!(unexpected(&elsewhere, &others), Vec::<String>::new(), "{}: what else is told", change.what);
    estate.host.sh(change.close);
    let left = || unexpected(&beside, &estate.open());
    eventually(&format!("{}: closed", change.what), CLOSED, left, Vec::is_empty);
    // what was changed on purpose is asked about once, and answered
    for drift in
        estate.drifts().iter().filter(|drift| change.beside.iter().any(|line| crate::like(line, &named(drift))))
    {
        let id = drift["id"].as_str().unwrap_or_default();
        let approved = estate.lab.plumb(&["approve", id]);
        assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    }
}
