//! Which files are code, and where programs keep what they make anew.

use std::path::Path;

use crate::host::pattern::Pattern;

/// Endings of files that a web server runs, that steer it, or that run in visitors' browsers.
const ENDINGS: [&str; 16] = [
    "cgi", "htaccess", "inc", "js", "mjs", "module", "phar", "php", "php5", "php7", "php8", "phtml", "pl", "py", "rb",
    "user.ini",
];
/// Folders for what visitors and editors bring: scripts for browsers are content there, programs are not.
const CONTENT: [&str; 4] = ["uploads", "files", "media", "assets"];

/// True if a file of this name is code.
pub(super) fn is_code(folder: &Path, name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let ending = name[dot + 1..].to_ascii_lowercase();
    if name == b".user.ini" {
        return true;
    }
    let script = matches!(ending.as_slice(), b"js" | b"mjs");
    let is_content = || folder.components().any(|part| CONTENT.iter().any(|each| part.as_os_str() == *each));
    ENDINGS.iter().any(|each| each.as_bytes() == ending) && !(script && is_content())
}

/// True if a path is one of those that `patterns` stand for.
pub(super) fn is_any(patterns: &[Pattern], path: &Path) -> bool {
    patterns.iter().any(|pattern| pattern.matches(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_or_a_browser_runs_is_code() {
        let site = Path::new("/srv/site/wp-content/uploads/2026");
        for (name, code) in [
            ("index.php", true),
            ("SHELL.PHP", true),
            (".htaccess", true),
            (".user.ini", true),
            ("my.ini", false),
            ("photo.php.jpg", false),
            ("app.js", false),
            ("README", false),
        ] {
            assert_eq!(is_code(site, name.as_bytes()), code, "{name}");
        }
        assert!(is_code(Path::new("/srv/site/js"), b"app.js"));
    }
}
