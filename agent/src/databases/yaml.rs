//! Settings in YAML, as far as servers use it for theirs: names below names, and lists of plain words. What is more than that
//! is passed over.

use std::collections::BTreeMap;

/// Settings of one file.
const MOST: usize = 1_000;
/// Bytes of a whole name: a longer one is none that is asked for, and is cut.
const NAME: usize = 256;

/// Each setting by its whole name, `net.port`; the items of a list have commas between them. Flat names (`path.data: x`)
/// and old files with `name = value` are read, too.
#[must_use]
pub fn settings(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    // Names that the next lines are below, and how far these are indented.
    let mut above: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        let rest = line.trim_start();
        if rest.is_empty() || rest.starts_with(['#', '%']) || rest == "---" || found.len() >= MOST {
            continue;
        }
        let indent = line.len() - rest.len();
        if let Some(item) = rest.strip_prefix("- ") {
            // Items may stand as far left as the name of their list.
            above.retain(|(of, _)| *of <= indent);
            if let Some((_, name)) = above.last() {
                let list = found.entry(name.clone()).or_default();
                if !list.is_empty() {
                    list.push(',');
                }
                list.push_str(plain(item));
            }
            continue;
        }
        above.retain(|(of, _)| *of < indent);
        let Some((name, value)) =
            rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, ""))).or_else(|| rest.split_once('='))
        else {
            continue;
        };
        let name = plain(name);
        let mut whole = above.last().map_or_else(|| name.to_owned(), |(_, above)| format!("{above}.{name}"));
        whole.truncate(whole.floor_char_boundary(NAME));
        let value = value.trim();
        if value.is_empty() {
            above.push((indent, whole));
            continue;
        }
        let list = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
        let value = match list {
            Some(list) => list.split(',').map(plain).collect::<Vec<_>>().join(","),
            None => plain(value).to_owned(),
        };
        found.insert(whole, value);
    }
    found
}

fn plain(word: &str) -> &str {
    word.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        settings(text).iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn names_below_names_flat_names_and_old_files_are_read() {
        let text = "# x\nstorage:\n  dbPath: /srv/db # here\n  wiredTiger:\n    engineConfig: {}\nnet:\n  port: 27018\n  bindIp: '127.0.0.1,::1'\n";
        let expected = [
            "net.bindIp=127.0.0.1,::1",
            "net.port=27018",
            "storage.dbPath=/srv/db",
            "storage.wiredTiger.engineConfig={}",
        ];
        assert_eq!(told(text), expected);
        assert_eq!(
            told("path.data: \"/srv/es\"\nnetwork.host: [_local_, 10.0.0.1]\n"),
            ["network.host=_local_,10.0.0.1", "path.data=/srv/es"]
        );
        assert_eq!(told("path:\n  data:\n    - /a\n    - /b\nnet:\n- x\n"), ["net=x", "path.data=/a,/b"]);
        assert_eq!(
            told("dbpath=/var/lib/mongodb\nbind_ip = 127.0.0.1\n"),
            ["bind_ip=127.0.0.1", "dbpath=/var/lib/mongodb"]
        );
    }

    #[test]
    fn a_long_name_is_not_held_with_each_setting_below_it() {
        let text = format!(
            "{}:\n{}net:\n  port: 1\n",
            "x".repeat(100_000),
            (0..500).map(|n| format!(" {n}: y\n")).collect::<String>()
        );
        let found = settings(&text);
        assert!(found.keys().map(String::len).sum::<usize>() < 1_000, "{}", found.len());
        assert_eq!(found.get("net.port").map(String::as_str), Some("1"));
    }

    #[test]
    fn what_is_no_setting_is_passed_over() {
        assert_eq!(told("---\n- a\n:\n: :\n\t- b\n  - c: d\nword\n=\u{0}"), ["=\u{0}"]);
    }
}
