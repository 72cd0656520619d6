//! Which version a program is, and what its name says.

use std::ffi::OsStr;
use std::path::Path;

use crate::apps::text::value;
use crate::host::Host;
use crate::host::binary::{Finding, Mark};
use crate::host::packages::Package;

/// Why something cannot be told, and what can be done about it, if anything.
pub(super) type Reason = (String, &'static str);

/// Bytes of a file beside the program that names its version.
const SMALL: usize = 256 << 10;
/// What Node.js calls itself to a debugger (src/inspector_socket_server.cc of its source).
const NODE: Mark = Mark::Before(b"node.js/v");

/// What a file's name says: `node`, `python3.11`, `ruby3.1`, `java`.
pub(super) fn product_of(name: &OsStr) -> Option<&'static str> {
    let name = name.to_str()?;
    let numbered = |prefix: &str| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !rest.ends_with('.'))
    };
    Some(match name {
        "node" | "nodejs" => "node",
        "java" => "java",
        "dotnet" => "dotnet",
        _ if numbered("python") => "python",
        _ if numbered("ruby") => "ruby",
        _ => return None,
    })
}

/// `3.11` of `python3.11`.
pub(super) fn of_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let number = name.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    number.contains('.').then(|| number.to_owned())
}

/// `20` of Node.js 20.11.1, `17` of Java 17.0.9, `8` of Java 1.8.0_392, `3.11` of Python 3.11.2.
pub(super) fn branch(product: &str, version: &str) -> Option<String> {
    let mut parts = version.split(|letter: char| !letter.is_ascii_digit());
    let first = parts.next().filter(|part| !part.is_empty())?;
    let second = parts.next().filter(|part| !part.is_empty());
    Some(match (product, second) {
        ("java", Some(second)) if first == "1" => second.to_owned(),
        ("node" | "java", _) | (_, None) => first.to_owned(),
        (_, Some(second)) => format!("{first}.{second}"),
    })
}

/// The version of a program, and how many bytes of it were read.
pub(super) fn find(
    host: &Host,
    product: &str,
    path: &Path,
    package: Option<&Package>,
) -> (Result<String, Reason>, u64) {
    let above = path.parent().and_then(Path::parent);
    if product == "java" {
        // `release` lies in the folder of the JDK; a JRE may be one folder deeper.
        let folders = above.into_iter().chain(above.and_then(Path::parent));
        let release = folders.filter_map(|folder| host.read_text(folder.join("release"), SMALL).ok()).next();
        if let Some(version) = release.as_deref().and_then(|text| value(text, "JAVA_VERSION", '=')) {
            return (Ok(version.to_owned()), 0);
        }
    }
    if let Some(version) = above.and_then(managed) {
        return (Ok(version), 0);
    }
    if let Some(version) = package.map(|package| package.upstream().to_string()).filter(|version| is_version(version)) {
        return (Ok(version), 0);
    }
    if product == "python"
        && let (Some(above), Some(branch)) = (above, of_name(path))
        && let Ok(text) = host.read_text(above.join(format!("include/python{branch}/patchlevel.h")), SMALL)
        && let Some(version) = text.lines().find_map(|line| line.strip_prefix("#define PY_VERSION")?.split('"').nth(1))
    {
        return (Ok(version.to_owned()), 0);
    }
    if product == "node" {
        return match host.version_in(path, NODE) {
            (Finding::Version(version), read) => (Ok(version.to_string()), read),
            (Finding::Nothing, read) => (Err(("the program does not name its version".to_owned(), "")), read),
            (Finding::Unreadable(reason, hint), read) => (Err((reason, hint)), read),
        };
    }
    (Err(("neither a package nor a file beside the program names its version".to_owned(), "")), 0)
}

/// The version that a folder of a version manager is called after: `versions/node/v20.11.1`, `rubies/ruby-3.2.2`.
fn managed(folder: &Path) -> Option<String> {
    let is_managed =
        folder.ancestors().skip(1).take(2).any(|above| above.ends_with("versions") || above.ends_with("rubies"));
    let name = folder.file_name()?.to_str()?;
    let version = name.strip_prefix("ruby-").or_else(|| name.strip_prefix('v')).unwrap_or(name);
    (is_managed && is_version(version)).then(|| version.to_owned())
}

fn is_version(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('.')
}
