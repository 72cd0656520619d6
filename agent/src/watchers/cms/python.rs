//! Django and Flask: their version is that of the package in the virtual environment that a worker runs in, or that lies
//! beside the application.

use std::path::{Path, PathBuf};

use plumb_proto::model::Value;

use super::files::{Files, How, Words, add, word};
use super::reading::Reading;
use crate::apps::lock::dist_info;
use crate::apps::{App, Language, Search, kind, lasting, look_at, shown, site_packages, venv_beside};
use crate::host::Host;

/// Bytes of a file of settings.
const FILE: usize = 256 << 10;
/// Where packages of the system lie.
const SYSTEM: [&str; 2] = ["/usr/lib/python3/dist-packages", "/usr/local/lib/python3/dist-packages"];

/// Applications that only their workers tell of: nothing in their folder has a name that is known.
pub(super) fn apps(host: &Host, search: &Search) -> Vec<(App, PathBuf)> {
    let mut apps = Vec::new();
    for worker in &search.workers {
        let known = search.found.get(&worker.folder).is_some_and(|apps| !apps.is_empty());
        if known || worker.language != Language::Python || !worker.web {
            continue;
        }
        let Some(venv) = &worker.venv else { continue };
        let mut files = Files::default();
        let product =
            ["django", "flask"].into_iter().find(|product| installed(host, &mut files, venv, product).is_some());
        let root = look_at(host, &worker.folder).map(|(real, _)| lasting(host, &real));
        if let (Some(product), Ok(root)) = (product, root) {
            apps.push((App { root, product, kind: kind(product) }, worker.folder.clone()));
        }
    }
    apps
}

pub(super) fn read(reading: &mut Reading<'_>, search: &Search) {
    let root = &reading.app.root;
    let running = search.workers.iter().filter(|worker| worker.folder.starts_with(root));
    let venv = running.filter_map(|worker| worker.venv.clone()).next().or_else(|| venv_beside(reading.host, root));
    let found = match &venv {
        Some(venv) => installed(reading.host, reading.files, venv, reading.app.product),
        None => SYSTEM
            .iter()
            .find_map(|folder| packaged(reading.host, reading.files, Path::new(folder), reading.app.product)),
    };
    match (found, venv) {
        (Some(version), _) => reading.set("version", Value::Version(version.as_str().into())),
        (None, Some(venv)) => {
            let reason = format!("it is not installed in {}", shown(&venv));
            reading.unknown.push(("version", reason, ""));
        }
        (None, None) => {
            let reason = "no virtual environment beside it, and no worker that runs in one".to_owned();
            reading.unknown.push(("version", reason, ""));
        }
    }
    if reading.app.product == "django" {
        let manage = reading.path("manage.py");
        let words = reading.take(&manage, How::Whole(FILE, settings), "debug").unwrap_or_default();
        // `manage.py` is mostly of the developer; what visitors reach begins in `wsgi.py` or `asgi.py`.
        if let Some(module) = word(&words, "settings") {
            let package = module.split('.').next().unwrap_or_default();
            let served = ["wsgi.py", "asgi.py"].iter().find_map(|file| {
                let file = reading.path(&format!("{package}/{file}"));
                let words = reading.take(&file, How::Whole(FILE, settings), "debug")?;
                word(&words, "settings").map(str::to_owned)
            });
            let module = served.unwrap_or_else(|| module.to_owned());
            let file = reading.path(&format!("{}.py", module.replace('.', "/")));
            reading.take(&file, How::Whole(FILE, debug), "debug");
        }
    }
}

fn installed(host: &Host, files: &mut Files, venv: &Path, product: &str) -> Option<String> {
    site_packages(host, venv).iter().find_map(|folder| packaged(host, files, folder, product))
}

/// Versions of both in a folder of packages, kept until something comes or goes there.
fn packaged(host: &Host, files: &mut Files, folder: &Path, product: &str) -> Option<String> {
    let worked = files.work_out(host, folder, &mut |path, words, work| {
        *work += 20;
        host.entries(path, &mut |name, _| match dist_info(name.to_str().unwrap_or_default()) {
            Some((name, version)) if name == "django" => add(words, "django", version),
            Some((name, version)) if name == "flask" => add(words, "flask", version),
            _ => {}
        })
    });
    word(worked.ok()?.0, product).map(str::to_owned)
}

/// `os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')`
fn settings(source: &[u8], words: &mut Words) {
    let text = String::from_utf8_lossy(source);
    let Some((_, rest)) = text.split_once("DJANGO_SETTINGS_MODULE") else { return };
    let module = rest.split(['"', '\'']).find(|part| part.starts_with(|first: char| first.is_ascii_alphabetic()));
    let is_module =
        |module: &&str| module.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if let Some(module) = module.filter(is_module) {
        add(words, "settings", module);
    }
}

/// Of settings, which hold secrets: the last plain `DEBUG = `, unless something behind it may say otherwise.
fn debug(source: &[u8], words: &mut Words) {
    let text = String::from_utf8_lossy(source);
    let mut last = None;
    for line in text.lines() {
        let value = line.trim_start().strip_prefix("DEBUG").and_then(|rest| rest.trim_start().strip_prefix('='));
        let value =
            value.filter(|value| !value.starts_with('=')).map(|value| value.split('#').next().unwrap_or_default());
        match value.map(str::trim) {
            // Within a condition.
            Some(_) if line.starts_with([' ', '\t']) => last = Some("?"),
            Some("True") => last = Some("true"),
            Some("False") => last = Some("false"),
            Some(_) => last = Some("?"),
            // `from .local_settings import *`
            None if last.is_some() && line.trim_start().starts_with("from ") && line.contains("import *") => {
                last = Some("?");
            }
            None => {}
        }
    }
    if let Some(value) = last {
        add(words, "debug", value);
    }
}
