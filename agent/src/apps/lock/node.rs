//! `package-lock.json` of npm, versions 1 to 3, and `node_modules/.package-lock.json`, which npm 7 and later leave behind.

use super::{Package, Packages};
use crate::apps::json::{Event, Fault, Json};

/// Bytes of a folder's path.
const FOLDER: usize = 4_096;

/// Reads either file, by the folder that each package is installed in (`node_modules/a/node_modules/b`).
///
/// # Errors
/// It is not JSON, or not of this format.
pub fn npm(json: &mut Json<'_>) -> Result<Packages, Fault> {
    let (mut found, mut old) = (Packages::default(), Packages::default());
    if json.need()? != Event::Object {
        return Err(json.fault("no list of packages"));
    }
    while json.need()? == Event::Key {
        let key = json.text().to_owned();
        match (key.as_str(), json.need()?) {
            ("packages", Event::Object) => packages(json, &mut found)?,
            ("dependencies", Event::Object) => dependencies(json, "", &mut old)?,
            (_, event) => json.skip(event)?,
        }
    }
    // Version 2 says everything twice.
    Ok(if found.by_name.is_empty() { old } else { found })
}

/// A map from folders to packages (versions 2 and 3).
fn packages(json: &mut Json<'_>, found: &mut Packages) -> Result<(), Fault> {
    while json.need()? == Event::Key {
        let folder = json.text().to_owned();
        match json.need()? {
            // The project itself, and folders of it that it uses as packages.
            Event::Object if folder.contains("node_modules/") => package(json, &folder, found)?,
            event => json.skip(event)?,
        }
    }
    Ok(())
}

/// A map from names to packages, which may hold such maps themselves (version 1). [`Json`] bounds how deep.
fn dependencies(json: &mut Json<'_>, below: &str, found: &mut Packages) -> Result<(), Fault> {
    while json.need()? == Event::Key {
        let folder = format!("{below}node_modules/{}", json.text());
        match json.need()? {
            // Longer than any path (PATH_MAX of limits.h): thousands of such names would fill the memory.
            Event::Object if folder.len() > FOLDER => {
                found.cut = true;
                json.skip(Event::Object)?;
            }
            Event::Object => package(json, &folder, found)?,
            event => json.skip(event)?,
        }
    }
    Ok(())
}

fn package(json: &mut Json<'_>, folder: &str, found: &mut Packages) -> Result<(), Fault> {
    let (mut package, mut link) = (Package::default(), false);
    while json.need()? == Event::Key {
        let key = json.text().to_owned();
        let event = json.need()?;
        let yes = event == Event::Word && json.text() == "true";
        match (key.as_str(), event) {
            ("version", Event::Text) => package.version = json.text().into(),
            ("dev", _) if yes => package.dev = true,
            // What is bundled lies in its parent's archive; peers may be left to others.
            ("optional" | "devOptional" | "peer" | "bundled" | "inBundle", _) if yes => package.optional = true,
            ("link", _) if yes => link = true,
            ("os" | "cpu" | "libc", event) => {
                package.optional = true;
                json.skip(event)?;
            }
            ("dependencies", Event::Object) => dependencies(json, &format!("{folder}/"), found)?,
            (_, event) => json.skip(event)?,
        }
    }
    // A link has no version of its own; packages from elsewhere name an address for one.
    if !link && package.version.starts_with(|first: char| first.is_ascii_digit()) {
        found.add(folder, package);
    }
    Ok(())
}
