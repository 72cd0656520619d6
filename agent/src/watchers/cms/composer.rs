//! Shops and systems that Composer installs (Magento, Mage-OS, TYPO3, Shopware, Contao, Craft, Neos, Silverstripe), and
//! PrestaShop: versions from what Composer left behind, or from the file that names it.

use std::io::Read;

use super::extension::{Candidate, Form};
use super::files::{How, Words, add, constant};
use super::framework::env;
use super::reading::Reading;
use crate::apps::json::{Fault, Json};
use crate::apps::lock::composer;
use crate::apps::php::assignments;
use crate::apps::shown;
use crate::host::Kind;

/// Bytes of a source file that names a version.
const FILE: usize = 256 << 10;
/// Packages whose version is that of the product, the best one first.
const CORES: [(&str, &str); 11] = [
    ("magento", "magento/product-enterprise-edition"),
    ("magento", "magento/product-community-edition"),
    ("mage-os", "mage-os/product-community-edition"),
    ("typo3", "typo3/cms-core"),
    ("shopware", "shopware/core"),
    ("shopware", "shopware/platform"),
    ("craft-cms", "craftcms/cms"),
    ("contao", "contao/core-bundle"),
    ("neos", "neos/neos"),
    ("silverstripe", "silverstripe/recipe-cms"),
    ("silverstripe", "silverstripe/framework"),
];
/// Kinds of extensions among packages.
const KINDS: [&str; 4] = ["module", "theme", "plugin", "bundle"];

pub(super) fn read(reading: &mut Reading<'_>) {
    let vendor = if reading.app.product == "neos" { "Packages/Libraries" } else { "vendor" };
    let list = reading.path(vendor).join("composer/installed.json");
    reading.watched.push(reading.path(vendor).join("composer"));
    // Told below: its words are no columns.
    let words = reading.take(&list, How::Stream(installed), "version").unwrap_or_default();
    let named = |core: &str| {
        words
            .iter()
            .filter(|(name, _)| *name == "core")
            .find_map(|(_, text)| text.strip_prefix(core)?.strip_prefix(' '))
    };
    let cores = CORES.iter().filter(|(product, _)| *product == reading.app.product);
    let version = cores.filter_map(|(_, core)| named(core)).next();
    if let Some(version) = version {
        let version = version.trim_start_matches('v').to_owned();
        reading.set("version", plumb_proto::model::Value::Version(version.as_str().into()));
        reading.unknown.retain(|(column, _, _)| *column != "version");
    }
    for (kind, text) in &words {
        let Some(kind) = KINDS.into_iter().find(|each| each == kind) else { continue };
        let Some((name, version)) = text.split_once(' ') else { continue };
        let (cms, path) = (shown(&reading.app.root), reading.path(vendor).join(name));
        let form = Form::Known { name: name.into(), version: version.into() };
        reading.extensions.push(Candidate { cms, path, kind, form });
    }
    let by_file: &[(&str, How)] = match reading.app.product {
        "typo3" => &[
            ("typo3/sysext/core/Classes/Information/Typo3Version.php", How::Whole(FILE, constant)),
            ("vendor/typo3/cms-core/Classes/Information/Typo3Version.php", How::Whole(FILE, constant)),
        ],
        "prestashop" => &[
            ("src/Core/Version.php", How::Whole(FILE, constant)),
            ("app/AppKernel.php", How::Whole(FILE, constant)),
            ("config/settings.inc.php", How::Whole(FILE, constant)),
        ],
        "craft-cms" => &[("vendor/craftcms/cms/src/config/app.php", How::Whole(FILE, constant))],
        "shopware" => &[("engine/Shopware/Kernel.php", How::Whole(FILE, constant))],
        "magento" => &[("app/Mage.php", How::Whole(FILE, magento_1))],
        _ => &[],
    };
    if version.is_none() {
        match by_file {
            [] if words.is_empty() && reading.unknown.is_empty() => {
                reading.unknown.push(("version", format!("{} is not there", shown(&list)), ""));
            }
            _ => reading.version(by_file),
        }
    }
    by_product(reading);
}

fn by_product(reading: &mut Reading<'_>) {
    match reading.app.product {
        "magento" | "mage-os" => {
            reading.switched_off_by("var/.maintenance.flag");
            let file = reading.path("app/etc/env.php");
            reading.take(&file, How::Whole(FILE, mode), "debug");
        }
        "prestashop" => {
            let file = reading.path("config/defines.inc.php");
            reading.take(&file, How::Whole(FILE, mode), "debug");
            folders(reading, "modules", "module", |path| Form::Manifest(path.join("config.xml")));
        }
        "craft-cms" => {
            let file = reading.path(".env");
            reading.take(&file, How::Whole(FILE, env), "debug");
        }
        "typo3" => folders(reading, "typo3conf/ext", "module", |_| Form::Emconf),
        "shopware" => folders(reading, "custom/plugins", "plugin", |_| Form::Composer),
        _ => {}
    }
}

fn folders(reading: &mut Reading<'_>, folder: &str, kind: &'static str, form: fn(&std::path::Path) -> Form) {
    let folder = reading.path(folder);
    for entry in reading.list(&folder) {
        if matches!(entry.kind, Kind::Folder | Kind::Link) {
            let (cms, path) = (shown(&reading.app.root), folder.join(&entry.name));
            let form = form(&path);
            reading.extensions.push(Candidate { cms, path, kind, form });
        }
    }
}

fn installed(from: &mut dyn Read, words: &mut Words) -> Result<(), Fault> {
    let packages = composer(&mut Json::new(from))?;
    for (_, core) in CORES {
        if let Some(package) = packages.by_name.get(core) {
            words.push(("core", format!("{core} {}", package.version).into()));
        }
    }
    for extension in packages.extensions {
        words.push((extension.kind, format!("{} {}", extension.name, extension.version).into()));
    }
    Ok(())
}

/// Magento 1 names each part (`Mage::getVersionInfo`).
fn magento_1(source: &[u8], words: &mut Words) {
    let mut parts: Vec<String> = Vec::new();
    assignments(source, &mut |name, value| {
        if matches!(name, "major" | "minor" | "revision" | "patch")
            && let Some(value) = value.text().filter(|_| parts.len() < 4)
        {
            parts.push(value.to_owned());
        }
    });
    if parts.len() == 4 {
        add(words, "version", &parts.join("."));
    }
}

/// Of a configuration, which holds secrets: whether it is that of a developer.
fn mode(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| match name {
        "MAGE_MODE" => add(words, "debug", if value.text() == Some("developer") { "true" } else { "false" }),
        "_PS_MODE_DEV_" => {
            add(words, "debug", value.is_true().map_or("?", |yes| if yes { "true" } else { "false" }));
        }
        _ => {}
    });
}
