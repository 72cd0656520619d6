//! Laravel, Symfony, Rails and Spring Boot.

use std::io::Read;
use std::path::PathBuf;

use plumb_proto::time::Timestamp;

use super::files::{How, Words, add, constant, word};
use super::reading::Reading;
use crate::apps::json::Fault;
use crate::apps::lock::each_line;
use crate::apps::php::{Value, assignments};
use crate::apps::{App, Search, kind, shown, text, zip};
use crate::host::ErrorKind;

/// Bytes of a source file or a configuration.
const FILE: usize = 256 << 10;
/// Bytes of a configuration that was put together into one file.
const CACHED: usize = 2 << 20;
/// Bytes of the manifest of a jar.
const MANIFEST: usize = 64 << 10;

pub(super) fn read(reading: &mut Reading<'_>) {
    match reading.app.product {
        "laravel" => laravel(reading),
        "symfony" => symfony(reading),
        "rails" => reading.version(&[("Gemfile.lock", How::Stream(gemfile))]),
        _ => spring_boot(reading),
    }
}

/// Jars that run: whether Spring Boot made them is seen when they are read.
pub(super) fn jars(search: &Search) -> Vec<(App, PathBuf)> {
    let jar = |worker: &crate::apps::Worker| Some((worker.jar.clone()?, worker.folder.clone()));
    let jars = search.workers.iter().filter_map(jar);
    jars.map(|(root, folder)| (App { root, product: "spring-boot", kind: kind("spring-boot") }, folder)).collect()
}

fn laravel(reading: &mut Reading<'_>) {
    reading.watched.push(reading.path("vendor/composer"));
    reading
        .version(&[("vendor/laravel/framework/src/Illuminate/Foundation/Application.php", How::Whole(FILE, constant))]);
    reading.switched_off_by("storage/framework/down");
    // Once the configuration is put together, .env is not read any more.
    let (cached, file) = (reading.path("bootstrap/cache/config.php"), reading.path(".env"));
    if reading.take(&cached, How::Whole(CACHED, cached_debug), "debug").is_none() {
        reading.take(&file, How::Whole(FILE, env), "debug");
    }
}

fn symfony(reading: &mut Reading<'_>) {
    reading.watched.push(reading.path("vendor/composer"));
    reading.version(&[("vendor/symfony/http-kernel/Kernel.php", How::Whole(FILE, kernel))]);
    let dump = reading.path(".env.local.php");
    if reading.take(&dump, How::Whole(FILE, dumped), "debug").is_some() {
        return;
    }
    // Each name for itself: that of the local file before the one that all share.
    let (mut debug, mut mode, mut shared) = (None, None, false);
    for file in [".env.local", ".env"] {
        let path = reading.path(file);
        match reading.files.read(reading.host, &path, How::Whole(FILE, env)) {
            Ok((words, _)) => {
                shared = file == ".env" && debug.is_none() && mode.is_none();
                debug = debug.or_else(|| word(words, "debug").map(str::to_owned));
                mode = mode.or_else(|| word(words, "mode").map(str::to_owned));
            }
            Err(error) if error.is_absent() => {}
            Err(error) => return reading.fail("debug", &error),
        }
    }
    match debug.or(mode.map(|mode| if mode == "developer" { "true".to_owned() } else { "false".to_owned() })) {
        // It is one for all hosts, and those that serve set their environment.
        Some(value) if shared && value == "true" => {
            let reason = ".env, which is the same on all hosts, says yes; the environment of PHP may say otherwise";
            reading.unknown.push((
                "debug",
                reason.to_owned(),
                "set APP_ENV in .env.local, or run `composer dump-env prod`",
            ));
        }
        Some(value) => match value.parse::<bool>() {
            Ok(value) => reading.set("debug", value),
            Err(_) => reading.unknown.push(("debug", "its configuration works it out when it runs".to_owned(), "")),
        },
        None => {}
    }
}

/// Of a file of settings for the environment, which holds secrets: whether it is that of a developer.
pub(super) fn env(source: &[u8], words: &mut Words) {
    let text = String::from_utf8_lossy(source);
    for line in text.lines() {
        let line = line.trim_start().trim_start_matches("export ");
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']).to_ascii_lowercase();
        let judged = match value.as_str() {
            "true" | "(true)" | "1" | "yes" | "on" => "true",
            "false" | "(false)" | "0" | "no" | "off" | "" | "null" => "false",
            _ => "?",
        };
        match name.trim_end() {
            "APP_DEBUG" | "CRAFT_DEV_MODE" | "DEV_MODE" => add(words, "debug", judged),
            // Symfony alone goes by it.
            "APP_ENV" => {
                add(words, "mode", if matches!(value.as_str(), "dev" | "test") { "developer" } else { "other" });
            }
            _ => {}
        }
    }
}

/// `.env.local.php`, as `composer dump-env` writes it.
fn dumped(source: &[u8], words: &mut Words) {
    let mut developer = false;
    assignments(source, &mut |name, value| match name {
        "APP_DEBUG" => add(words, "debug", value.is_true().map_or("?", |yes| if yes { "true" } else { "false" })),
        "APP_ENV" => developer = value.text().is_some_and(|mode| matches!(mode, "dev" | "test")),
        _ => {}
    });
    add(words, "debug", if developer { "true" } else { "false" });
}

/// In what `artisan config:cache` writes, `debug` of the application stands behind its `env`; others have one as well.
fn cached_debug(source: &[u8], words: &mut Words) {
    let mut behind_env = false;
    assignments(source, &mut |name, value: &Value| {
        if name == "debug" && behind_env {
            add(words, "debug", value.is_true().map_or("?", |yes| if yes { "true" } else { "false" }));
        }
        behind_env = name == "env";
    });
}

fn kernel(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| {
        let Some(value) = value.text() else { return };
        match name {
            "VERSION" => add(words, "version", value),
            "END_OF_MAINTENANCE" => end_of(value, "maintenance_until", words),
            "END_OF_LIFE" => end_of(value, "support_until", words),
            _ => {}
        }
    });
}

/// `07/2026`: to the end of that month, in seconds since 1970.
fn end_of(value: &str, column: &'static str, words: &mut Words) {
    let parts = value.split_once('/').and_then(|(month, year)| Some((month.parse::<u32>().ok()?, year.parse().ok()?)));
    let next = parts.map(
        |(month, year): (u32, i64)| {
            if month == 12 { (year.saturating_add(1), 1) } else { (year, month.saturating_add(1)) }
        },
    );
    if let Some(next) = next.and_then(|(year, month)| Timestamp::from_date(year, month, 1)) {
        add(words, column, &(next.millis() / 1000 - 1).to_string());
    }
}

fn gemfile(from: &mut dyn Read, words: &mut Words) -> Result<(), Fault> {
    // What can be read stands: a line tells one gem.
    let _ = each_line(from, &mut |line| {
        if let Some(version) = line.strip_prefix("    rails (").and_then(|rest| rest.strip_suffix(')')) {
            add(words, "version", version);
        }
    });
    Ok(())
}

fn spring_boot(reading: &mut Reading<'_>) {
    let jar = reading.app.root.clone();
    let host = reading.host;
    let worked = reading.files.work_out(host, &jar, &mut |path, words, work| {
        *work += 50;
        let manifest = zip::entry(&mut host.open(path)?, "META-INF/MANIFEST.MF", MANIFEST);
        let manifest = manifest.map_err(|what| ErrorKind::Io(what).at(path))?.unwrap_or_default();
        if let Some(version) = text::value(&String::from_utf8_lossy(&manifest), "Spring-Boot-Version", ':') {
            words.push(("version", version.into()));
        }
        Ok(())
    });
    match worked.map(|(words, _)| word(words, "version").map(str::to_owned)) {
        Ok(Some(version)) => reading.set("version", plumb_proto::model::Value::Version(version.as_str().into())),
        // Some other program in Java.
        Ok(None) => reading.nothing = true,
        Err(error) if error.is_absent() => reading.nothing = true,
        Err(error) => reading.unknown.push(("version", format!("{}: {}", shown(&jar), error.kind), error.hint())),
    }
}
