//! `composer.lock` and `vendor/composer/installed.json`: nearly the same format.

use super::{Package, Packages};
use crate::apps::json::{Event, Fault, Json};

/// Extensions of one application that are kept.
const EXTENSIONS: usize = 1_000;
/// Abandoned packages that are kept.
const ABANDONED: usize = 20;

/// An extension of a CMS or shop that Composer has installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its package: `vendor/name`.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// What kind of extension: a word of the table `cms_extension`.
    pub kind: &'static str,
}

/// Types of packages that are extensions, and what is part of the product itself.
const TYPES: [(&str, &str, &[&str]); 12] = [
    ("magento2-module", "module", &["magento/", "mage-os/"]),
    ("magento2-theme", "theme", &["magento/", "mage-os/"]),
    ("shopware-platform-plugin", "plugin", &["shopware/"]),
    ("typo3-cms-extension", "module", &["typo3/"]),
    ("contao-bundle", "bundle", &["contao/core-bundle"]),
    ("symfony-bundle", "bundle", &["symfony/"]),
    ("craft-plugin", "plugin", &[]),
    ("neos-plugin", "plugin", &[]),
    ("silverstripe-vendormodule", "module", &["silverstripe/"]),
    ("silverstripe-module", "module", &["silverstripe/"]),
    ("silverstripe-theme", "theme", &[]),
    ("prestashop-module", "module", &[]),
];

/// Reads either file. Composer 1 wrote a plain list of what is installed.
///
/// # Errors
/// It is not JSON, or not of this format.
pub fn composer(json: &mut Json<'_>) -> Result<Packages, Fault> {
    let mut found = Packages::default();
    match json.need()? {
        Event::List => packages(json, false, &mut found)?,
        Event::Object => {
            while json.need()? == Event::Key {
                let key = json.text().to_owned();
                let event = json.need()?;
                match (key.as_str(), event) {
                    ("packages", Event::List) => packages(json, false, &mut found)?,
                    ("packages-dev", Event::List) => packages(json, true, &mut found)?,
                    // Of what is installed: whether `--no-dev` was given.
                    ("dev", Event::Word) => found.with_dev = Some(json.text() == "true"),
                    (_, event) => json.skip(event)?,
                }
            }
        }
        _ => return Err(json.fault("no list of packages")),
    }
    Ok(found)
}

fn packages(json: &mut Json<'_>, dev: bool, found: &mut Packages) -> Result<(), Fault> {
    loop {
        match json.need()? {
            Event::End => return Ok(()),
            Event::Object => package(json, dev, found)?,
            event => json.skip(event)?,
        }
    }
}

fn package(json: &mut Json<'_>, dev: bool, found: &mut Packages) -> Result<(), Fault> {
    let (mut name, mut version, mut reference) = (String::new(), String::new(), String::new());
    let (mut kind, mut abandoned) = (String::new(), None);
    while json.need()? == Event::Key {
        let key = json.text().to_owned();
        let event = json.need()?;
        match (key.as_str(), event) {
            ("name", Event::Text) => name = json.text().to_owned(),
            ("version", Event::Text) => version = json.text().to_owned(),
            ("type", Event::Text) => kind = json.text().to_owned(),
            ("abandoned", Event::Text) => abandoned = Some(json.text().to_owned()),
            ("abandoned", Event::Word) if json.text() == "true" => abandoned = Some(String::new()),
            ("source", Event::Object) => reference = of_source(json)?,
            (_, event) => json.skip(event)?,
        }
    }
    if name.is_empty() {
        return Ok(());
    }
    // A branch is named the same after every commit; Composer tells them apart in this way, too.
    if (version.starts_with("dev-") || version.ends_with("-dev")) && reference.is_char_boundary(7) {
        version = format!("{version} {}", &reference[..7]);
    }
    if let Some(instead) = abandoned.filter(|_| found.abandoned.len() < ABANDONED) {
        found.abandoned.push(if instead.is_empty() { name.clone() } else { format!("{name}: use {instead}") });
    }
    let known = TYPES.iter().find(|(each, _, _)| *each == kind);
    if let Some((_, kind, own)) = known
        && found.extensions.len() < EXTENSIONS
        && !own.iter().any(|own| name.starts_with(own))
    {
        let (name, version) = (name.as_str().into(), version.as_str().into());
        found.extensions.push(Extension { name, version, kind });
    }
    found.add(&name, Package { version: version.into(), dev, ..Package::default() });
    Ok(())
}

fn of_source(json: &mut Json<'_>) -> Result<String, Fault> {
    let mut reference = String::new();
    while json.need()? == Event::Key {
        let wanted = json.text() == "reference";
        match json.need()? {
            Event::Text if wanted => reference = json.text().to_owned(),
            event => json.skip(event)?,
        }
    }
    Ok(reference)
}
