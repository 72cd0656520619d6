//! Applications that sites run: which CMS, shop or framework lies in a folder, told by the files that each of them is known
//! by. A folder is listed once; only what its names make likely is asked for. Nothing is run, and no file is read here
//! but a `composer.json` or `manage.py` where names alone leave it open.

pub mod json;
pub mod lock;
pub mod php;
mod place;
mod search;
pub mod text;
mod worker;
pub mod zip;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::{Host, HostError, Kind, Meta};
pub use place::{Found, around, find, lasting};
pub use search::{Search, shown};
pub use worker::{Language, Worker, site_packages, venv_beside, workers};

/// Bytes of a file that tells one product from another.
const SMALL: usize = 256 << 10;

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct App {
    /// Where it lies, all links replaced but that of a release ([`lasting`]): the folder that holds its own files, which is not
    /// always the document root.
    pub root: PathBuf,
    /// What it is: a product word of the table `cms`.
    pub product: &'static str,
    /// What kind of thing that is: `cms`, `shop` or `framework`.
    pub kind: &'static str,
}

/// What kind of thing a product is.
#[must_use]
pub fn kind(product: &str) -> &'static str {
    match product {
        "magento" | "mage-os" | "prestashop" | "shopware" => "shop",
        "laravel" | "symfony" | "django" | "flask" | "rails" | "spring-boot" => "framework",
        _ => "cms",
    }
}

/// Where a path really leads and what lies there; links of whoever owns a site are followed to files of the same owner.
///
/// # Errors
/// See [`crate::host::ErrorKind`].
pub fn look_at(host: &Host, path: &Path) -> Result<(PathBuf, Meta), HostError> {
    let real = host.resolve_owned(path)?;
    let meta = host.stat(&real)?;
    Ok((real, meta))
}

/// A product, the name in its root folder that makes it likely, and the file that it is known by. Products that are built
/// on others stand before these.
const MARKS: [(&str, &str, &str); 24] = [
    ("wordpress", "wp-includes", "wp-includes/version.php"),
    // Bedrock and the like keep the core in a folder of its own.
    ("wordpress", "wp", "wp/wp-includes/version.php"),
    ("drupal", "core", "core/lib/Drupal.php"),
    ("drupal", "includes", "includes/bootstrap.inc"),
    ("joomla", "administrator", "administrator/manifests/files/joomla.xml"),
    ("joomla", "libraries", "libraries/src/Version.php"),
    ("magento", "bin", "bin/magento"),
    ("magento", "app", "app/Mage.php"),
    ("typo3", "typo3", "typo3/sysext/core/Classes/Information/Typo3Version.php"),
    ("typo3", "vendor", "vendor/typo3/cms-core/Classes/Information/Typo3Version.php"),
    ("prestashop", "classes", "classes/PrestaShopAutoload.php"),
    ("shopware", "vendor", "vendor/shopware/core/composer.json"),
    ("shopware", "vendor", "vendor/shopware/platform/composer.json"),
    ("shopware", "engine", "engine/Shopware/Kernel.php"),
    ("craft-cms", "vendor", "vendor/craftcms/cms/composer.json"),
    ("contao", "vendor", "vendor/contao/core-bundle/composer.json"),
    ("neos", "Packages", "Packages/Application/Neos.Neos/composer.json"),
    ("silverstripe", "vendor", "vendor/silverstripe/framework/composer.json"),
    ("laravel", "artisan", "artisan"),
    ("symfony", "bin", "bin/console"),
    ("symfony", "vendor", "vendor/symfony/framework-bundle/composer.json"),
    ("django", "manage.py", "manage.py"),
    ("rails", "config", "config/application.rb"),
    ("flask", "wsgi.py", "wsgi.py"),
];

/// The application that lies in a folder, whose path has no links.
///
/// # Errors
/// The folder cannot be listed.
pub fn at(host: &Host, folder: &Path) -> Result<Option<App>, HostError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    host.entries(folder, &mut |name, kind| {
        let known = MARKS.iter().find(|(_, first, _)| name == *first);
        if kind != Kind::Other
            && let Some((_, first, _)) = known
        {
            names.insert(first);
        }
    })?;
    let is_it = |(product, first, file): &&(&'static str, &str, &str)| {
        names.contains(first) && look_at(host, &folder.join(file)).is_ok() && proves(host, folder, product, file)
    };
    let product = MARKS.iter().find(is_it).map(|(product, _, _)| *product);
    let product = match product {
        Some("magento") if mentions(host, &folder.join("composer.json"), "mage-os/product-") => Some("mage-os"),
        other => other,
    };
    Ok(product.map(|product| App { root: folder.to_owned(), product, kind: kind(product) }))
}

/// Whether a file of a common name is what it is taken for.
fn proves(host: &Host, folder: &Path, product: &str, file: &str) -> bool {
    let says = |what: &str| mentions(host, &folder.join(file), what);
    match (product, file) {
        // Other software has folders of the same names.
        ("drupal", "includes/bootstrap.inc") => look_at(host, &folder.join("modules/system/system.info")).is_ok(),
        ("symfony", "bin/console") => look_at(host, &folder.join("vendor/symfony/http-kernel/Kernel.php")).is_ok(),
        ("laravel", _) => says("laravel") || look_at(host, &folder.join("vendor/laravel/framework")).is_ok(),
        ("django", _) => says("django"),
        ("rails", _) => says("Rails::Application"),
        ("flask", _) => says("flask") || says("Flask"),
        _ => true,
    }
}

/// Whether a small file holds a text.
fn mentions(host: &Host, file: &Path, what: &str) -> bool {
    let bytes = look_at(host, file).and_then(|(real, _)| host.read(real, SMALL));
    bytes.is_ok_and(|bytes| memchr::memmem::find(&bytes, what.as_bytes()).is_some())
}

#[cfg(test)]
mod tests;
