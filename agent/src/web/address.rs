//! Names of sites and addresses, as configurations of all servers write them.

/// Bytes of a name (RFC 1035, 2.3.4), with room for patterns.
const NAME: usize = 512;
/// Bytes of an address that is told.
const TARGET: usize = 1_024;

/// Names in small letters, each once, that of the key first: the first one that is no pattern. Catch-alls are no names.
pub(super) fn named<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let pattern = name.starts_with('~');
        let name = if pattern { name.to_owned() } else { name.trim_end_matches('.').to_ascii_lowercase() };
        // nginx: a leading dot is the name itself and all below it.
        let both = name.strip_prefix('.').filter(|_| !pattern).map(|bare| (bare.to_owned(), format!("*.{bare}")));
        let each = both.map_or_else(|| vec![name], |(bare, below)| vec![bare, below]);
        for name in each {
            let none = name.is_empty() || matches!(name.as_str(), "_" | "*" | "\"\"") || name.len() > NAME;
            if !none && found.len() < 256 && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    let plain = |name: &String| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if let Some(first) = found.iter().position(plain) {
        found[..=first].rotate_right(1);
    }
    found
}

/// The address of a pool: `unix:/run/x.sock` is `/run/x.sock`.
pub(super) fn local(address: &str) -> String {
    let path = address.strip_prefix("unix://").or_else(|| address.strip_prefix("unix:"));
    path.map_or_else(|| address.to_owned(), |path| format!("/{}", path.trim_start_matches('/')))
}

/// Where requests are passed to, without a user's name and password, query and fragment: these may be secrets.
pub(super) fn target(to: &str) -> String {
    let end = to.find(['?', '#']).unwrap_or(to.len());
    let mut shown = to[..end].to_owned();
    if let Some((scheme, rest)) = shown.clone().split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        if let Some((_, bare)) = host.rsplit_once('@') {
            shown = format!("{scheme}://{bare}{}", &rest[host.len()..]);
        }
    }
    shown.truncate(shown.floor_char_boundary(TARGET));
    shown
}

/// A value that was read as UTF-8: bytes that are none became a sign that stands for no byte.
pub(super) fn text(value: String) -> Result<String, String> {
    if value.contains('\u{FFFD}') { Err("it is not UTF-8 text".to_owned()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_that_is_no_pattern_leads() {
        assert_eq!(
            named(["*.b.example", "B.example.", "_", "a.example"].into_iter()),
            ["b.example", "*.b.example", "a.example"]
        );
        assert_eq!(named([".a.example"].into_iter()), ["a.example", "*.a.example"]);
        assert_eq!(named(["~^www\\d+$"].into_iter()), ["~^www\\d+$"]);
        assert!(named(["_", "", "*"].into_iter()).is_empty());
    }

    #[test]
    fn a_target_is_told_without_what_may_be_secret() {
        assert_eq!(target("http://me:secret@127.0.0.1:80/a?token=1"), "http://127.0.0.1:80/a");
        assert_eq!(target("http://backend"), "http://backend");
        assert_eq!(local("unix:/run/a.sock"), "/run/a.sock");
        assert_eq!(local("unix//run/a.sock"), "unix//run/a.sock");
        assert_eq!(local("127.0.0.1:9000"), "127.0.0.1:9000");
    }
}
