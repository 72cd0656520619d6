//! Three certificates that should be one: the newest that was issued for a site, what its file holds, and what is
//! presented to visitors. Pure.

use std::path::Path;
use std::time::Duration;

use plumb_proto::time::Timestamp;

use super::files::Held;
use crate::x509::Certificate;

/// A certificate that was issued for the same names, where it lies, and who keeps it there.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) held: &'a Held,
    pub(super) path: &'a Path,
    pub(super) actor: &'static str,
}

/// What is compared.
pub(super) struct Three<'a> {
    /// The newest that somebody keeps for the site; it may be the file itself.
    pub(super) newest: Option<Kept<'a>>,
    /// What the file holds that the server is told to read.
    pub(super) file: (&'a Path, &'a Held),
    /// What is presented.
    pub(super) presented: &'a Certificate,
    /// Another file that holds what is presented.
    pub(super) elsewhere: Option<&'a Path>,
    /// The server's product.
    pub(super) server: &'a str,
    /// The name that was asked for.
    pub(super) name: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl<'a> Three<'a> {
    /// What visitors should get.
    pub(super) fn intended(&self) -> &'a Certificate {
        let file = &self.file.1.leaf;
        match self.newest {
            Some(kept) if is_newer(&kept.held.leaf, file) => &kept.held.leaf,
            _ => file,
        }
    }

    /// Why what visitors get is another one; `None` if it is the same.
    pub(super) fn reason(&self) -> Option<String> {
        let (intended, file, presented) = (self.intended(), &self.file.1.leaf, self.presented);
        let same = |one: &Certificate, other: &Certificate| one.fingerprint == other.fingerprint;
        if same(intended, presented) {
            return None;
        }
        let (path, server) = (self.file.0.display(), self.server);
        if let Some(kept) = self.newest.filter(|kept| same(&kept.held.leaf, intended) && !same(file, intended)) {
            let when = ago(self.now.since(kept.held.written));
            let (newest, actor) = (kept.path.display(), kept.actor);
            return Some(match same(file, presented) {
                true => format!("renewed by {actor} {when} in {newest}, but {path} still holds the older one"),
                false => format!("renewed by {actor} {when} in {newest}, but neither {path} nor {server} has it"),
            });
        }
        // The file is as it should be.
        if self.name.is_some_and(|name| !presented.covers(name) && file.covers(name)) {
            let other = self.elsewhere.map_or_else(|| presented.subject.clone(), |path| path.display().to_string());
            return Some(format!(
                "{server} presents another certificate ({other}): it may not have loaded this site yet"
            ));
        }
        let when = ago(self.now.since(self.file.1.written));
        if is_newer(presented, file) {
            return Some(format!(
                "the file was replaced by an older one {when}; {server} still presents the newer one"
            ));
        }
        if is_newer(file, presented) && presented.issuer == file.issuer {
            return Some(format!("renewed on disk {when}, {server} has not reloaded"));
        }
        Some(match self.elsewhere {
            Some(other) => format!("{server} presents the certificate of {}", other.display()),
            None => format!("replaced on disk {when}, {server} has not reloaded"),
        })
    }
}

/// Whether one was issued after the other.
pub(super) fn is_newer(one: &Certificate, other: &Certificate) -> bool {
    (one.not_before, one.not_after) > (other.not_before, other.not_after)
}

/// What a certificate is for.
pub(super) type Purpose = (String, String, Vec<String>);

/// The same for two that were issued by the same authority for the same names and kind of key: one is a renewal of the
/// other. Of two kinds of keys both are in use, one for old visitors.
pub(super) fn purpose(certificate: &Certificate) -> Purpose {
    let mut names = certificate.names.clone();
    names.sort_unstable();
    let kind = certificate.key.split(' ').next().unwrap_or_default();
    (certificate.issuer.clone(), kind.to_owned(), names)
}

/// A certificate in words: `until 2027-02-01, 3f9a0c11...`.
pub(super) fn words(certificate: &Certificate) -> String {
    let (year, month, day) = certificate.not_after.date();
    let print = certificate.fingerprint.get(..8).unwrap_or_default();
    format!("until {year:04}-{month:02}-{day:02}, {print}...")
}

/// In steps, so that the words do not change with every look.
fn ago(span: Duration) -> String {
    match span.as_secs() {
        0..3_600 => "within the hour".to_owned(),
        seconds @ 3_600..172_800 => format!("{}h ago", seconds / 3_600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchers::certificates::tests::issued;
    use crate::x509;

    const NOW: Timestamp = Timestamp::from_secs(1_795_255_200);

    fn held(names: &[&str], month: u8) -> Held {
        let (pem, _) = issued("Let's Encrypt", names, month);
        let der = x509::certificates(pem.as_bytes()).next().unwrap().unwrap();
        let written = NOW - Duration::from_secs(3 * 3_600);
        Held { leaf: x509::parse(&der).unwrap(), complete: Some(true), written }
    }

    /// What is said of the newest one that is kept, the one in the file, and the one presented.
    fn said(newest: Option<&Held>, file: &Held, presented: &Held) -> String {
        let path = Path::new("/etc/ssl/shop.pem");
        let live = Path::new("/etc/letsencrypt/archive/shop.example/fullchain9.pem");
        let three = Three {
            newest: newest.map(|held| Kept { held, path: live, actor: "certbot" }),
            file: (path, file),
            presented: &presented.leaf,
            elsewhere: None,
            server: "nginx",
            name: Some("shop.example"),
            now: NOW,
        };
        three.reason().unwrap_or_else(|| "the same".to_owned())
    }

    #[test]
    fn the_reason_says_who_has_not_taken_the_new_one_over() {
        let (old, new, newest) = (held(&["shop.example"], 7), held(&["shop.example"], 9), held(&["shop.example"], 11));
        let other = held(&["blog.example"], 9);
        assert_eq!(said(None, &new, &new), "the same");
        assert_eq!(said(Some(&old), &new, &new), "the same", "an old store is nobody's intention");
        assert_eq!(said(None, &new, &old), "renewed on disk 3h ago, nginx has not reloaded");
        assert_eq!(said(Some(&new), &new, &old), "renewed on disk 3h ago, nginx has not reloaded");
        let copied = "renewed by certbot 3h ago in /etc/letsencrypt/archive/shop.example/fullchain9.pem, but";
        assert_eq!(said(Some(&newest), &new, &new), format!("{copied} /etc/ssl/shop.pem still holds the older one"));
        assert_eq!(said(Some(&newest), &new, &old), format!("{copied} neither /etc/ssl/shop.pem nor nginx has it"));
        let older = "the file was replaced by an older one 3h ago; nginx still presents the newer one";
        assert_eq!(said(None, &old, &new), older);
        let elsewhere = "nginx presents another certificate (blog.example): it may not have loaded this site yet";
        assert_eq!(said(None, &new, &other), elsewhere);
    }

    #[test]
    fn a_certificate_of_another_kind_of_key_is_no_renewal() {
        let one = held(&["b.example", "a.example"], 9).leaf;
        let (mut renewed, mut other) = (one.clone(), one.clone());
        renewed.names.reverse();
        other.key = "rsa 2048".to_owned();
        assert_eq!(purpose(&one), purpose(&renewed));
        assert_ne!(purpose(&one), purpose(&other));
    }

    #[test]
    fn certificates_in_words_have_their_end_and_the_beginning_of_their_digest() {
        let mut one = held(&["shop.example"], 9).leaf;
        one.fingerprint = "3f9a0c11aabb".to_owned();
        assert_eq!(words(&one), "until 2026-11-30, 3f9a0c11...");
    }

    #[test]
    fn times_are_told_in_steps() {
        let told = |seconds| ago(Duration::from_secs(seconds));
        assert_eq!(
            (told(59), told(7_300), told(172_800)),
            ("within the hour".into(), "2h ago".into(), "2d ago".into())
        );
    }
}
