//! Tells what was found.

use core::net::IpAddr; // what a name may be, not a way to reach it
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plumb_proto::model::Value;
use plumb_proto::untrusted::Untrusted;

use super::compare::{Kept, Three, is_newer, purpose, words};
use super::files::Held;
use super::renewal::{ACTORS, Crontabs};
use super::served::{Door, Shown};
use super::stores::Lineage;
use super::tables::{CERTIFICATE, RENEWAL};
use super::{Begun, Certificates, ROWS};
use crate::host::tls::REFUSES;
use crate::watcher::Look;
use crate::x509::Certificate;

/// What is unknown of a file that cannot be read.
const OF_CONTENT: [&str; 7] = ["subject", "issuer", "names", "key_type", "self_signed", "not_before", "not_after"];

impl Certificates {
    /// Tells who renews, as far as they have certificates here.
    pub(super) fn tell_renewals(&self, look: &mut Look<'_>, begun: &mut Begun) {
        let actors: BTreeSet<&str> = begun.lineages.iter().map(|lineage| lineage.actor).collect();
        if actors.is_empty() {
            return;
        }
        let crontabs = Crontabs::read(look.host);
        let homes: BTreeSet<&Path> = begun.lineages.iter().filter_map(Lineage::home).collect();
        let homes: Vec<PathBuf> = homes.into_iter().map(Path::to_owned).collect();
        let mut in_use: BTreeMap<&str, i64> = BTreeMap::new();
        for path in begun.used.keys() {
            let lineage = self.files.held(path).and_then(|held| self.lineage(begun, path, &held.leaf));
            lineage.into_iter().for_each(|lineage| *in_use.entry(lineage.actor).or_default() += 1);
        }
        for door in begun.doors.iter().filter(|door| door.files.is_empty()) {
            let kept = self.of_name(begun, door.server, door.name.as_deref());
            kept.into_iter().for_each(|kept| *in_use.entry(kept.actor).or_default() += 1);
        }
        for actor in ACTORS.iter().filter(|actor| actors.contains(actor.key)) {
            let key = actor.key;
            let found = actor.look(look.host, &crontabs, &homes, look.now);
            let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
            let mut fields = vec![("certificates", Value::Int(in_use.get(key).copied().unwrap_or(0)))];
            fields.extend(found.schedule.map(|text| ("schedule", Value::Text(text.into()))));
            fields.extend(found.interval.map(|seconds| ("interval_seconds", number(seconds))));
            fields.extend(found.last_run.map(|time| ("last_run", Value::Time(time))));
            fields.extend(found.enabled.map(|enabled| ("enabled", Value::Bool(enabled))));
            if let Some(Ok(missed)) = found.missed {
                fields.push(("missed", number(missed)));
                begun.missed.insert(key, missed);
            }
            look.fact(&RENEWAL, key, key, &fields);
            if let Some(Err(why)) = found.missed {
                look.unknown(&RENEWAL, key, "missed", why, "");
                look.unknown(&RENEWAL, key, "last_run", why, "");
            }
            if let Some(error) = found.hidden {
                look.unknown(&RENEWAL, key, "enabled", &error, error.hint());
                look.unknown(&RENEWAL, key, "schedule", &error, error.hint());
            }
        }
    }

    /// Tells the files that servers read, and of what nobody reads the newest.
    pub(super) fn tell_files(&mut self, look: &mut Look<'_>, begun: &mut Begun) {
        let served: BTreeSet<&PathBuf> = begun.doors.iter().flat_map(|door| &door.files).collect();
        for (path, by) in &begun.used {
            if begun.rows >= ROWS {
                break;
            }
            let sites = by.iter().map(|site| site.as_str().into()).collect();
            let mut fields = vec![("sites", Value::List(sites))];
            if by.iter().any(|by| by.contains('/')) {
                let served = served.contains(path);
                fields.push(("served", Value::Bool(served)));
                // Plesk gives the file another name at each renewal: what is presented stands for it.
                if served && is_renamed(begun, path) {
                    continue;
                }
            }
            begun.rows += usize::from(self.tell_file(look, begun, path, fields));
        }
        // Of the unused ones for the same names only one: the newest, and of those that are renewed each in its turn the
        // first, or its row would come and go.
        let mut newest: BTreeMap<(&str, &[String]), &Path> = BTreeMap::new();
        let used: BTreeSet<&PathBuf> =
            begun.used.keys().filter_map(|path| begun.lineage_at(path)).map(|lineage| &lineage.file).collect();
        for lineage in &begun.lineages {
            let path = lineage.file.as_path();
            match self.files.get(path) {
                _ if used.contains(&lineage.file) || begun.used.contains_key(path) => {}
                Some(Ok(_)) if lineage.actor == "plesk" => {} // as above; who uses it is not known here
                Some(Ok(held)) => {
                    let best = newest.entry((lineage.actor, held.leaf.names.as_slice())).or_insert(path);
                    let renewed = |path: &Path| begun.lineage_at(path).is_some_and(|lineage| lineage.is_renewed);
                    let newer = || self.files.held(best).is_some_and(|other| is_newer(&held.leaf, &other.leaf));
                    let better = match (lineage.is_renewed, renewed(best)) {
                        (true, renewed) => !renewed,
                        (false, renewed) => !renewed && newer(),
                    };
                    if better {
                        *best = path;
                    }
                }
                Some(Err(trouble)) if !trouble.is_absent() => {
                    let path: Untrusted = path.as_os_str().as_bytes().into();
                    look.problem(&CERTIFICATE, path.clone(), path, trouble, trouble.hint());
                }
                _ => {}
            }
        }
        for path in newest.into_values() {
            if begun.rows >= ROWS {
                let more = format!("more than {ROWS} certificates: the rest is not told");
                look.problem(&CERTIFICATE, "", "", more, "");
                break;
            }
            begun.rows += usize::from(self.tell_file(look, begun, path, Vec::new()));
        }
    }

    /// `false` if there is nothing to tell: that a file is missing is a fault of the configuration that names it.
    fn tell_file(&self, look: &mut Look<'_>, begun: &Begun, path: &Path, mut fields: Vec<(&str, Value)>) -> bool {
        let key: Untrusted = path.as_os_str().as_bytes().into();
        let source = key.to_string();
        fields.push(("kind", Value::Text("file".into())));
        match self.files.get(path) {
            Some(Ok(held)) => {
                says(&held.leaf, &mut fields);
                fields.extend(held.complete.map(|complete| ("chain_complete", Value::Bool(complete))));
                self.renewed(begun, self.lineage(begun, path, &held.leaf).map(|lineage| lineage.actor), &mut fields);
                look.fact(&CERTIFICATE, key, &source, &fields);
            }
            Some(Err(trouble)) if !trouble.is_absent() => {
                look.fact(&CERTIFICATE, key.clone(), &source, &fields);
                for column in OF_CONTENT {
                    look.unknown(&CERTIFICATE, key.clone(), column, trouble, trouble.hint());
                }
            }
            _ => return false,
        }
        true
    }

    fn renewed(&self, begun: &Begun, actor: Option<&'static str>, fields: &mut Vec<(&str, Value)>) {
        let Some(actor) = actor else { return };
        fields.push(("renewed_by", Value::Text(actor.into())));
        let missed = begun.missed.get(actor).and_then(|missed| i64::try_from(*missed).ok());
        fields.extend(missed.map(|missed| ("renewal_missed", Value::Int(missed))));
    }

    /// Prepares for finding the lineages that files belong to.
    pub(super) fn sort(&self, begun: &mut Begun) {
        for (at, lineage) in begun.lineages.iter().enumerate() {
            begun.places.extend(lineage.places().map(|place| (place, at)));
            let Some(kept) = self.newest(lineage).filter(|_| lineage.is_renewed) else { continue };
            let best = begun.purposes.entry(purpose(&kept.held.leaf)).or_insert(at);
            let other = self.newest(&begun.lineages[*best]);
            if other.is_some_and(|other| is_newer(&kept.held.leaf, &other.held.leaf)) {
                *best = at;
            }
        }
    }

    /// The lineage that a file belongs to: it lies there, or is a copy of it or of one that was issued for the same names.
    fn lineage<'a>(&self, begun: &'a Begun, path: &Path, leaf: &Certificate) -> Option<&'a Lineage> {
        let place = begun.lineage_at(path).filter(|lineage| lineage.is_renewed);
        let found = place.or_else(|| begun.lineages.get(*begun.purposes.get(&purpose(leaf))?))?;
        // Bought ones are kept in the same place.
        let is_issued = |by: &&str| leaf.issuer.starts_with(*by);
        let is_issued = found.actor != "autossl" || ["cPanel", "Let's Encrypt", "Sectigo"].iter().any(is_issued);
        is_issued.then_some(found)
    }

    /// The newest certificate of a lineage.
    fn newest<'a>(&'a self, lineage: &'a Lineage) -> Option<Kept<'a>> {
        let kept = |path: &'a Path| Some(Kept { held: self.files.held(path)?, path, actor: lineage.actor });
        let (live, newest) = (kept(&lineage.file), lineage.newest.as_deref().and_then(kept));
        match (live, newest) {
            (Some(live), Some(newest)) if !is_newer(&newest.held.leaf, &live.held.leaf) => Some(live),
            (live, newest) => newest.or(live),
        }
    }

    /// What a server that gets its certificates itself keeps for a name.
    fn of_name<'a>(&'a self, begun: &'a Begun, server: &str, name: Option<&str>) -> Option<Kept<'a>> {
        let actor = match server {
            "caddy" => "caddy",
            "apache" => "mod_md",
            _ => return None,
        };
        let kept = begun.lineages.iter().filter(|each| each.actor == actor).filter_map(|each| {
            let held = self.files.held(&each.file)?;
            Some(Kept { held, path: &each.file, actor })
        });
        let fits = kept.filter(|kept| name.is_some_and(|name| kept.held.leaf.covers(name)));
        fits.reduce(|best, each| if is_newer(&each.held.leaf, &best.held.leaf) { each } else { best })
    }

    /// Tells what is presented at the next door.
    pub(super) fn tell_door(&mut self, look: &mut Look<'_>, begun: &mut Begun) {
        let door = &begun.doors[begun.next];
        let key = door.key.as_str();
        let source = format!("{} at {}", door.server, door.endpoint);
        let mut fields = vec![
            ("kind", Value::Text("served".into())),
            ("server", Value::Text(door.server.into())),
            ("sites", Value::List(vec![door.site.as_str().into()])),
        ];
        let shown = match self.visits.shown(door) {
            Some(Ok(shown)) => shown.clone(),
            // Who asks for no name, or a wrong one, is turned away: so it was meant (nginx: ssl_reject_handshake).
            Some(Err(why)) if door.files.is_empty() && why.ends_with(REFUSES) => return,
            Some(Err(why)) => {
                look.fact(&CERTIFICATE, key, &source, &fields);
                for column in OF_CONTENT.iter().chain(&["differs"]) {
                    look.unknown(&CERTIFICATE, key, column, why, "");
                }
                return;
            }
            None => return,
        };
        says(&shown.leaf, &mut fields);
        fields.push(("chain_complete", Value::Bool(shown.complete)));
        // Behind a proxy of this machine nobody but that one comes, and it does not ask.
        let missing = door.names.iter().filter(|name| !door.endpoint.is_loopback() && is_missing(name, &shown.leaf));
        let missing: Vec<Untrusted> = missing.map(|name| name.as_str().into()).collect();
        if !missing.is_empty() {
            fields.push(("not_covered", Value::List(missing)));
        }
        let (why, differs) = self.compare(look, begun, door, &shown, &mut fields);
        look.fact(&CERTIFICATE, key, &source, &fields);
        if let Some(why) = why {
            look.unknown(&CERTIFICATE, key, "differs", why, "");
        }
        self.visits.note(door, differs, look.host.clock().monotonic());
    }

    /// Whether what is presented is what it should be; or why that cannot be told.
    fn compare(
        &self,
        look: &Look<'_>,
        begun: &Begun,
        door: &Door,
        shown: &Shown,
        fields: &mut Vec<(&str, Value)>,
    ) -> (Option<String>, bool) {
        let text = |path: &Path| Value::Text(path.as_os_str().as_bytes().into());
        let own = self.of_name(begun, door.server, door.name.as_deref());
        let file = match self.file_of(door, shown) {
            Some(file) => Some(file),
            None => own.filter(|_| door.files.is_empty()).map(|kept| (kept.path, kept.held)),
        };
        fields.push(("in_effect", Value::Text(words(&shown.leaf).into())));
        let Some((path, held)) = file else {
            let trouble = door.files.first().and_then(|path| match self.files.get(path) {
                Some(Err(trouble)) => Some(format!("{}: {trouble}", path.display())),
                _ => None,
            });
            // A server without a file of its own, as far as can be seen, is compared with nothing.
            return (trouble, false);
        };
        let lineage = self.lineage(begun, path, &held.leaf);
        self.renewed(begun, lineage.map(|lineage| lineage.actor), fields);
        let elsewhere =
            self.files.all().find(|(other, held)| *other != path && held.leaf.fingerprint == shown.leaf.fingerprint);
        let three = Three {
            newest: lineage.and_then(|lineage| self.newest(lineage)),
            file: (path, held),
            presented: &shown.leaf,
            elsewhere: elsewhere.map(|(path, _)| path),
            server: door.server,
            name: door.name.as_deref(),
            now: look.now,
        };
        let reason = three.reason();
        let differs = reason.is_some();
        fields.push(("file", text(path)));
        fields.push(("differs", Value::Bool(differs)));
        fields.push(("intended", Value::Text(words(three.intended()).into())));
        fields.push(("on_disk", Value::Text(words(&held.leaf).into())));
        fields.extend(reason.map(|reason| ("reason", Value::Text(reason.into()))));
        (None, differs)
    }

    /// The file of a site that what is presented stands for: it holds it, or the same kind of key, or is the first.
    fn file_of<'a>(&'a self, door: &'a Door, shown: &Shown) -> Option<(&'a Path, &'a Held)> {
        let held = || door.files.iter().filter_map(|path| Some((path.as_path(), self.files.held(path)?)));
        let kind = |leaf: &Certificate| leaf.key.split(' ').next().unwrap_or_default().to_owned();
        held()
            .find(|(_, held)| held.leaf.fingerprint == shown.leaf.fingerprint)
            .or_else(|| held().find(|(_, held)| kind(&held.leaf) == kind(&shown.leaf)))
            .or_else(|| held().next())
    }
}

/// Whether the file of a certificate gets another name with each renewal.
fn is_renamed(begun: &Begun, path: &Path) -> bool {
    begun.lineage_at(path).is_some_and(|lineage| lineage.actor == "plesk")
}

/// Whether browsers would refuse a certificate for a name of a site. Addresses and names of the local network are asked
/// for by nobody else, and a pattern may stand for no more than a few names.
fn is_missing(name: &str, leaf: &Certificate) -> bool {
    if !name.contains('.') || name.parse::<IpAddr>().is_ok() {
        return false;
    }
    match name.strip_prefix('*') {
        Some(end) => !leaf.names.iter().any(|each| each.ends_with(end)),
        None => !name.contains('*') && !leaf.covers(name),
    }
}

/// What a certificate says of itself. Its names are sorted: authorities change their order from one to the next.
fn says(certificate: &Certificate, fields: &mut Vec<(&str, Value)>) {
    let text = |text: &str| Value::Text(text.into());
    let mut names: Vec<&str> = certificate.names.iter().map(String::as_str).collect();
    names.sort_unstable();
    fields.extend([
        ("subject", text(&certificate.subject)),
        ("issuer", text(&certificate.issuer)),
        ("names", Value::List(names.into_iter().map(Into::into).collect())),
        ("key_type", text(&certificate.key)),
        ("self_signed", Value::Bool(certificate.self_signed)),
        ("not_before", Value::Time(certificate.not_before)),
        ("not_after", Value::Time(certificate.not_after)),
        ("fingerprint", text(&certificate.fingerprint)),
        ("serial", text(&certificate.serial)),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchers::certificates::tests::issued;
    use crate::x509;

    #[test]
    fn names_that_no_visitor_of_the_internet_asks_for_need_no_certificate() {
        let (pem, _) = issued("Let's Encrypt", &["shop.example", "a.wild.example"], 9);
        let leaf = x509::parse(&x509::certificates(pem.as_bytes()).next().unwrap().unwrap()).unwrap();
        for (name, missing) in [
            ("shop.example", false),
            ("www.shop.example", true),
            ("192.0.2.7", false),
            ("localhost", false),
            ("*.wild.example", false),
            ("*.other.example", true),
            ("www.*", false),
        ] {
            assert_eq!(is_missing(name, &leaf), missing, "{name}");
        }
    }
}
