//! What of its configuration a master has loaded, and when. FPM says neither. It writes its pid file at its start and
//! whenever it has loaded its configuration anew (SIGUSR2: it executes itself, mostly under the same number), so the file's
//! time tells when; and what was on disk then is what is in effect: it is kept as soon as it is seen unchanged since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use plumb_proto::time::Timestamp;

use crate::fpm::settings::{self, Configured, Values};
use crate::fpm::{Instance, Pool};
use crate::host::Host;
use crate::watcher::Look;

/// Ticks of the kernel in a second, as it tells them to programs (USER_HZ, time(7)).
const TICKS: u64 = 100;
/// A pid file that is older than its process by no more than this was written by it: the kernel counts in coarse ticks.
const COARSE: i64 = 1_000;
/// Bytes of what is kept of one pool.
const KEPT: usize = 16 << 10;
/// Differences that are told of one pool.
const PENDING: usize = 32;
/// What the keys of kept rows begin with.
const PREFIX: &str = "pool ";

/// Names and values, as they are or were in effect.
pub(super) type Effect = BTreeMap<String, String>;

/// What is known of a pool that a master runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// When the configuration was loaded, or why that cannot be told.
    pub(super) at: Result<Timestamp, &'static str>,
    /// What a reload would change, or why that cannot be told.
    pub(super) pending: Result<Vec<String>, &'static str>,
    /// What is in effect, if it is known.
    pub(super) effect: Option<Effect>,
}

/// A start of a master, or a reload.
pub(super) struct Load {
    /// Tells it from others.
    identity: String,
    /// When it was.
    at: Timestamp,
    /// Whether it surely was the last one: without a pid file only the start is known.
    is_last: bool,
}

/// When a master has last loaded its configuration; `None` if that cannot be told, or none runs.
pub(super) fn when(look: &Look<'_>, instance: &Instance) -> Option<Load> {
    let master = instance.master.as_ref()?;
    let started = started(look.host, look.now, master.birth.start)?;
    let written = instance.pid_file.as_ref().and_then(|path| {
        let text = look.host.read_text(path, 64).ok()?;
        let ours = text.trim().parse() == Ok(master.pid);
        ours.then(|| look.host.stat(path).ok())?.map(|meta| meta.identity.modified())
    });
    Some(match written {
        Some(at) if at.millis() >= started.millis() - COARSE => {
            Load { identity: format!("written {}", at.millis()), at, is_last: true }
        }
        _ => {
            let identity = format!("started {} {}", master.pid, master.birth.start);
            Load { identity, at: started, is_last: false }
        }
    })
}

fn started(host: &Host, now: Timestamp, ticks: u64) -> Option<Timestamp> {
    let uptime = host.read_text("/proc/uptime", 256).ok()?;
    let (seconds, rest) = uptime.split_whitespace().next()?.split_once('.')?;
    let uptime = seconds.parse::<i64>().ok()? * 1_000 + rest.parse::<i64>().ok()? * 10;
    let born = i64::try_from(ticks.saturating_mul(1_000 / TICKS)).ok()?;
    Some(Timestamp::from_millis(now.millis() - uptime + born))
}

/// What is configured on disk: what is known of it.
pub(super) fn on_disk(pool: &Pool, configured: &Configured, values: &Values) -> Effect {
    let mut effect = Effect::new();
    for (name, _) in settings::KNOWN {
        if let Ok(value) = settings::value(values, name) {
            effect.insert(name.to_owned(), word(name, value));
        }
    }
    let own = pool.values.iter().filter(|(name, _)| !name.contains('['));
    effect.extend(own.map(|(name, value)| (name.clone(), line(value))));
    effect.extend(configured.extensions.iter().map(|name| (format!("extension {name}"), "loaded".to_owned())));
    effect.insert("other settings of php.ini".to_owned(), format!("{:x}", configured.other));
    effect.insert(format!("other settings of {}", file_name(pool)), format!("{:x}", pool.other));
    effect
}

/// Compares what is in effect with what is on disk.
pub(super) fn compare(
    look: &mut Look<'_>,
    pool: &Pool,
    load: &Load,
    (disk, changed): (&Effect, Option<&(Timestamp, PathBuf)>),
) -> Loaded {
    let newer = |than: Timestamp| changed.filter(|(changed, _)| *changed > than);
    let key = format!("{PREFIX}{}", pool.key).into_bytes();
    let kept = look.kept(&key).and_then(|row| read(&row)).filter(|kept| kept.0 == load.identity);
    // The time of a start is reckoned anew at each look and differs by some hundredths of a second.
    let at = kept.as_ref().map_or(load.at, |(_, at, _)| *at);
    if !load.is_last && newer(at).is_some() {
        let why = "FPM writes no pid file, so whether it was reloaded since its start cannot be seen";
        return Loaded { at: Err(why), pending: Err(why), effect: None };
    }
    let effect = match kept {
        Some((_, _, effect)) => effect,
        None => {
            let effect = newer(at).is_none().then(|| disk.clone());
            look.keep(key, write(load, effect.as_ref()));
            effect
        }
    };
    let pending = match (&effect, newer(at)) {
        (Some(effect), _) => differing(effect, disk),
        (None, Some((_, path))) => {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            vec![format!("{name} was changed after it was loaded; what is in effect cannot be seen")]
        }
        (None, None) => Vec::new(),
    };
    Loaded { at: Ok(at), pending: Ok(pending), effect }
}

/// Forgets what was kept of pools that are not there any more.
pub(super) fn forget_all_but(look: &mut Look<'_>, pools: &BTreeSet<&str>) {
    let mut at = PREFIX.as_bytes().to_vec();
    while let Some((key, _)) = look.kept_after(&at) {
        let Some(name) = key.strip_prefix(PREFIX.as_bytes()) else { return };
        if !std::str::from_utf8(name).is_ok_and(|name| pools.contains(name)) {
            look.drop_kept(key.clone());
        }
        at = key;
    }
}

fn differing(effect: &Effect, disk: &Effect) -> Vec<String> {
    let names: BTreeSet<&String> = effect.keys().chain(disk.keys()).collect();
    let mut told = Vec::new();
    for name in names {
        let (before, after) = (effect.get(name), disk.get(name));
        // Of a setting that is not known on one side nothing can be said.
        let is_setting = settings::KNOWN.iter().any(|(known, _)| known == name);
        if before == after || is_setting && (before.is_none() || after.is_none()) {
            continue;
        }
        told.push(if name.starts_with("other ") {
            if before.is_none() || after.is_none() {
                continue; // the file was renamed
            }
            format!("{name} were changed")
        } else {
            let shown = |value: Option<&String>| match value.map(String::as_str) {
                None | Some("") => "none".to_owned(),
                Some(value) => value.to_owned(),
            };
            format!("{name}: {} in effect, {} on disk", shown(before), shown(after))
        });
        if told.len() == PENDING {
            break;
        }
    }
    told
}

/// A value as people write it.
fn word(name: &str, value: &str) -> String {
    let flags = ["display_errors", "expose_php", "allow_url_include", "opcache.enable", "opcache.validate_timestamps"];
    match flags.contains(&name) {
        true if settings::flag(value) => "on".to_owned(),
        true => "off".to_owned(),
        false => line(value),
    }
}

fn line(value: &str) -> String {
    value.replace(['\n', '\t'], " ")
}

fn file_name(pool: &Pool) -> std::borrow::Cow<'_, str> {
    pool.config.file_name().unwrap_or_default().to_string_lossy()
}

/// A line that tells which load it was and when, then one for each value; without any if they are not known.
fn write(load: &Load, effect: Option<&Effect>) -> Vec<u8> {
    let mut text = format!("{}\t{}\n", load.identity, load.at.millis());
    for (name, value) in effect.into_iter().flatten() {
        text.extend([name, "\t", value, "\n"]);
    }
    if text.len() > KEPT {
        text.truncate(text.find('\n').map_or(0, |end| end + 1));
    }
    text.into_bytes()
}

fn read(bytes: &[u8]) -> Option<(String, Timestamp, Option<Effect>)> {
    let mut pairs = std::str::from_utf8(bytes).ok()?.lines().filter_map(|line| line.split_once('\t'));
    let (identity, at) = pairs.next()?;
    let at = Timestamp::from_millis(at.parse().ok()?);
    let effect: Effect = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some((identity.to_owned(), at, (!effect.is_empty()).then_some(effect)))
}
