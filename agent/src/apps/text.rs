//! Small texts that extensions describe themselves in: headers of WordPress, `key: value` and `key = value` files, the few
//! elements of XML that manifests use. Each takes any text, in one pass.

/// Bytes of a value that are kept.
const VALUE: usize = 512;

/// The values of a header of WordPress (`get_file_data` in its functions.php): `Plugin Name: Shop` behind nothing but
/// blanks and the signs of a comment; the first of each name counts. Names are compared without regard to case.
pub fn header(text: &str, names: &[&'static str], found: &mut dyn FnMut(&'static str, &str)) {
    let mut left: Vec<&'static str> = names.to_vec();
    for line in text.split(['\n', '\r']) {
        let line = line.strip_prefix("<?php").unwrap_or(line);
        let line = line.trim_start_matches([' ', '\t', '/', '*', '#', '@']);
        let fits = |name: &&'static str| {
            line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
                && line[name.len()..].starts_with(':')
        };
        let Some(place) = left.iter().position(fits) else { continue };
        let name = left.swap_remove(place);
        // A comment may end behind it.
        let value = &line[name.len() + 1..];
        let end = value.find("*/").or_else(|| value.find("?>")).unwrap_or(value.len());
        found(name, short(value[..end].trim()));
        if left.is_empty() {
            break;
        }
    }
}

/// The value of the first line `name SIGN value` that begins in the first column; quotes around it are taken off.
#[must_use]
pub fn value<'a>(text: &'a str, name: &str, sign: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.trim_start().strip_prefix(sign)?.trim();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next()?,
            _ => value.split(" #").next()?.trim_end(),
        };
        (!value.is_empty()).then(|| short(value))
    })
}

/// What stands in the first element of a name, without its CDATA; elements in it are left as they are.
#[must_use]
pub fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = open_tag(xml, name)?;
    let end = rest.find("</")?;
    let text = rest[..end].trim();
    let text = text.strip_prefix("<![CDATA[").and_then(|text| text.strip_suffix("]]>")).unwrap_or(text).trim();
    (!text.is_empty()).then(|| short(text))
}

/// An attribute of the first element of a name.
#[must_use]
pub fn attribute<'a>(xml: &'a str, name: &str, attribute: &str) -> Option<&'a str> {
    let (inner, _) = open_tag(xml, name)?;
    let mut rest = inner;
    while let Some(at) = rest.find(attribute) {
        let free = rest[..at].ends_with(char::is_whitespace);
        let behind = rest[at + attribute.len()..].trim_start();
        if free && let Some(value) = behind.strip_prefix('=') {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            return value[1..].split(quote).next().map(short);
        }
        rest = &rest[at + attribute.len()..];
    }
    None
}

/// What stands within the first tag of a name, and all behind it.
fn open_tag<'a>(xml: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut rest = xml;
    loop {
        let at = rest.find('<')?;
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map(|end| &comment[end + 3..])?;
        } else if let Some(inner) = rest.strip_prefix(name)
            && inner.starts_with(|next: char| next.is_whitespace() || next == '>')
        {
            let end = inner.find('>')?;
            return Some((&inner[..end], &inner[end + 1..]));
        }
    }
}

fn short(value: &str) -> &str {
    &value[..value.floor_char_boundary(VALUE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(text: &str) -> String {
        let mut told = Vec::new();
        header(text, &["Plugin Name", "Version", "Requires PHP"], &mut |name, value| {
            told.push(format!("{name}={value}"))
        });
        told.sort();
        told.join(" ")
    }

    #[test]
    fn headers_are_read_as_wordpress_reads_them() {
        let expected = "Plugin Name=Shop Requires PHP=7.4 Version=1.2";
        for text in [
            "<?php\n/*\nPlugin Name: Shop\nVersion: 1.2\nRequires PHP: 7.4\n*/",
            "<?php\r\n/**\r\n * Plugin Name:  Shop \r\n * version:1.2\r\n * Requires PHP: 7.4\r\n */",
            "<?php /* Plugin Name: Shop */\n# Version: 1.2 ?>\n// Requires PHP: 7.4\nVersion: 9",
        ] {
            assert_eq!(plugin(text), expected, "{text}");
        }
        assert_eq!(plugin("<?php // The Plugin Name: no\n$x = 'Version: 2';\nVersion\n"), "");
        assert_eq!(plugin("Plugin Name: \u{fffd}é\n"), "Plugin Name=\u{fffd}é");
    }

    #[test]
    fn values_of_lines_lose_their_quotes() {
        let yaml = "name: 'Views'\ntype: module\n  version: nested\nversion: '8.x-1.2' # packaged\ncore_version_requirement: ^10 || ^11\nempty:\n";
        assert_eq!(value(yaml, "name", ':'), Some("Views"));
        assert_eq!(value(yaml, "version", ':'), Some("8.x-1.2"));
        assert_eq!(value(yaml, "core_version_requirement", ':'), Some("^10 || ^11"));
        assert_eq!((value(yaml, "empty", ':'), value(yaml, "project", ':')), (None, None));
        assert_eq!(value("version = \"7.x-3.2\"\n", "version", '='), Some("7.x-3.2"));
        assert_eq!(value("JAVA_VERSION=\"17.0.15\"", "JAVA_VERSION", '='), Some("17.0.15"));
    }

    #[test]
    fn elements_and_attributes_of_manifests_are_found() {
        let xml = "<?xml version=\"1.0\"?>\n<!-- <version>0</version> -->\n<extension type='component' method=\"upgrade\">\n\
                   <name><![CDATA[com_shop]]></name><versions/><version>4.1</version></extension>";
        assert_eq!(element(xml, "version"), Some("4.1"));
        assert_eq!(element(xml, "name"), Some("com_shop"));
        assert_eq!(attribute(xml, "extension", "type"), Some("component"));
        assert_eq!(attribute(xml, "extension", "method"), Some("upgrade"));
        assert_eq!((attribute(xml, "extension", "hod"), element(xml, "none")), (None, None));
        for broken in ["<", "<version", "<version>", "<version>1", "<!--", "<extension type=", "<extension type=>"] {
            assert_eq!((element(broken, "version"), attribute(broken, "extension", "type")), (None, None), "{broken}");
        }
    }
}
