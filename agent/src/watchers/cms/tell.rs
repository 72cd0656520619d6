//! The row of one application.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use plumb_proto::model::Value;

use super::extension;
use super::reading::Reading;
use super::{Begun, CMS, CMS_EXTENSION, Cms, composer, drupal, framework, is_packaged, joomla, python, wordpress};
use crate::apps::{App, look_at, shown};
use crate::watcher::Look;

/// Sites of one application that are told.
const SITES: usize = 50;

/// A file of an application that its package owns, if it has one.
pub(super) fn packaged_file(app: &App) -> PathBuf {
    app.root.join(if app.product == "wordpress" { "wp-includes/version.php" } else { "index.php" })
}

impl Cms {
    pub(super) fn tell_app(&mut self, look: &mut Look<'_>, begun: &mut Begun, app: &App, led: &[PathBuf]) {
        let mut reading = Reading {
            host: look.host,
            files: &mut self.files,
            app,
            now: look.now,
            fields: Vec::new(),
            unknown: Vec::new(),
            extensions: Vec::new(),
            hidden: Vec::new(),
            watched: Vec::new(),
            nothing: false,
        };
        match app.product {
            "wordpress" => wordpress::read(&mut reading),
            "drupal" => drupal::read(&mut reading),
            "joomla" => joomla::read(&mut reading),
            "django" | "flask" => python::read(&mut reading, &begun.search),
            "laravel" | "symfony" | "rails" | "spring-boot" => framework::read(&mut reading),
            _ => composer::read(&mut reading),
        }
        let Reading { fields, unknown, extensions, hidden, watched, nothing, .. } = reading;
        if nothing {
            return;
        }
        begun.told += 1;
        // The links of a deployment cannot be watched: where they lead can.
        begun.watched.extend(watched.iter().filter_map(|path| Some(look_at(look.host, path).ok()?.0)));
        let (key, source) = (shown(&app.root), shown(&app.root).to_string());
        let what = [("product", app.product.into()), ("kind", app.kind.into())];
        look.fact(&CMS, key.clone(), &source, &what);
        look.fact(&CMS, key.clone(), &source, &fields);
        // What one file could not tell another one may have told.
        let told = |column: &str| fields.iter().any(|(each, _)| *each == column);
        for (column, reason, hint) in unknown.into_iter().filter(|(column, _, _)| !told(column)) {
            look.unknown(&CMS, key.clone(), column, reason, hint);
        }
        // A root that belongs to no site that is known, and the folder of a worker, stand for themselves.
        let mut sites = BTreeSet::new();
        for root in led {
            match begun.search.sites.get(root) {
                Some(keys) => sites.extend(keys.iter().map(|key| key.as_str().into())),
                None => _ = sites.insert(shown(root)),
            }
        }
        let branches = led.iter().filter_map(|root| begun.search.php.get(root)).flatten();
        if let Some(php) = branches.min_by_key(|branch| extension::numbers(branch)).cloned() {
            look.fact(&CMS, key.clone(), &source, &[("php_version", Value::Version(php.as_str().into()))]);
            let wanted = fields.iter().find(|(column, _)| *column == "requires_php");
            if let Some((_, Value::Version(wanted))) = wanted {
                let fits = extension::fits(&php, &wanted.to_string());
                look.fact(&CMS, key.clone(), &source, &[("php_fits", fits.into())]);
            }
            begun.php.insert(key.clone(), php);
        }
        let sites = sites.into_iter().take(SITES).collect();
        look.fact(&CMS, key.clone(), &source, &[("sites", Value::List(sites))]);
        match look_at(look.host, &app.root) {
            Ok((_, meta)) => {
                let name = self.users.name(meta.uid).cloned().unwrap_or_else(|| meta.uid.to_string().into());
                look.fact(&CMS, key.clone(), &source, &[("owner", Value::Text(name))]);
            }
            Err(error) => look.unknown(&CMS, key.clone(), "owner", &error, error.hint()),
        }
        let text = key.to_string();
        if is_packaged(&app.root) {
            let package = begun.owners.as_ref().map(|owners| owners.get(&packaged_file(app)));
            begun.system.tell(look, (&CMS, &text, &source), package);
        } else {
            look.fact(&CMS, key, &source, &[("provenance", begun.system.provenance(None).into())]);
        }
        for error in hidden {
            look.problem(&CMS_EXTENSION, error.path.clone(), error.path.clone(), &error.kind, error.hint());
        }
        if extensions.len() > MOST {
            let why = format!("more than {MOST} extensions: the rest is not told");
            look.problem(&CMS_EXTENSION, shown(&app.root), shown(&app.root), why, "");
        }
        begun.extensions.extend(extensions.into_iter().take(MOST).collect::<VecDeque<_>>());
    }
}

/// Extensions of one application.
const MOST: usize = 1_000;
