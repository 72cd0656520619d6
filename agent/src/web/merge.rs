//! Puts together what belongs together: the plain and the encrypted half of a site, which share its first name.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::Files;
use super::{SITES, Site};
use crate::host::ErrorKind;

/// Names, addresses and logs of one site.
const EACH: usize = 256;

/// Sites by key, each once.
pub(super) fn merge(sites: Vec<Site>, files: &mut Files<'_>) -> Vec<Site> {
    let mut found: Vec<Site> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for site in sites {
        let key = site.key();
        if let Some(known) = places.get(&key).and_then(|place| found.get_mut(*place)) {
            let whole = std::mem::take(known);
            *known = join(whole, site);
            continue;
        }
        if found.len() == SITES {
            files.problem(
                Path::new(&site.config),
                ErrorKind::Io("there are more than 2000 sites: the rest is not told"),
            );
            break;
        }
        places.insert(key, found.len());
        found.push(site);
    }
    // Watchers keep them for as long as nothing changes.
    found.iter_mut().for_each(Site::shrink);
    found.shrink_to_fit();
    found
}

/// One that answers is worth more than one that only redirects, and an encrypted one more than a plain one.
fn rank(site: &Site) -> (u8, bool) {
    (site.weight, site.encrypted)
}

fn join(one: Site, other: Site) -> Site {
    let listen = united(&one.listen, &other.listen);
    let (mut best, rest) = if rank(&other) > rank(&one) { (other, one) } else { (one, other) };
    best.listen = listen;
    best.names = united(&best.names, &rest.names);
    best.tls = united(&best.tls, &rest.tls);
    best.access_logs = united(&best.access_logs, &rest.access_logs);
    best.error_logs = united(&best.error_logs, &rest.error_logs);
    best.encrypted |= rest.encrypted;
    let moved = best.docroot.is_some() && rest.docroot != best.docroot;
    let others = rest.docroot.iter().filter(|_| moved).chain(&rest.other_roots).cloned().collect::<Vec<_>>();
    best.other_roots = united(&best.other_roots, &others);
    let knows = |site: &Site, column: &str| site.unknown.iter().all(|(each, _)| *each != column);
    if best.docroot.is_none() && knows(&best, "docroot") {
        best.docroot = rest.docroot;
    }
    if best.php.is_none() && knows(&best, "php") {
        best.php = rest.php;
    }
    if best.proxy.is_none() && knows(&best, "proxy") {
        best.proxy = rest.proxy;
    }
    best.user = best.user.or(rest.user);
    for (column, why) in rest.unknown {
        let told = match column {
            "docroot" => best.docroot.is_some(),
            "php" => best.php.is_some(),
            "proxy" => best.proxy.is_some(),
            _ => false,
        };
        if !told {
            best.unknown(column, why);
        }
    }
    best
}

fn united<T: Clone + PartialEq>(one: &[T], other: &[T]) -> Vec<T> {
    let mut all: Vec<T> = one.to_vec();
    for each in other {
        if all.len() < EACH && !all.contains(each) {
            all.push(each.clone());
        }
    }
    all
}
