//! One lock file, and what is installed of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use plumb_proto::time::Timestamp;

use crate::apps::json::{Fault, Json};
use crate::apps::lock::{
    Difference, Package, Packages, bundler, compare, composer, dist_info, each_line, gemspec, npm, pnpm, requirements,
    same_php, same_python, same_text, toml_packages, yarn,
};
use crate::apps::text::value;
use crate::apps::{look_at, site_packages};
use crate::host::pattern::expand;
use crate::host::{ErrorKind, Host, HostError, Kind, Meta};

/// Bytes of one file.
const FILE: u64 = 16 << 20;
/// Bytes of a small file of settings.
const SMALL: usize = 64 << 10;
/// What other managers than npm leave behind in `node_modules`.
const OTHERS: [&str; 3] = [".yarn-integrity", ".yarn-state.yml", ".modules.yaml"];
/// Folders that gems are installed in where the application has none of its own.
const GEMS: [&str; 10] = [
    "/var/lib/gems/*/specifications",
    "/usr/local/lib/ruby/gems/*/specifications",
    "/usr/local/bundle/specifications",
    "/usr/share/rubygems-integration/*/specifications",
    "/usr/lib/ruby/gems/*/specifications",
    "/usr/local/rvm/gems/*/specifications",
    "/usr/local/rbenv/versions/*/lib/ruby/gems/*/specifications",
    "/home/*/.rbenv/versions/*/lib/ruby/gems/*/specifications",
    "/home/*/.rvm/gems/*/specifications",
    "/home/*/.asdf/installs/ruby/*/lib/ruby/gems/*/specifications",
];

/// Whose lock file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Composer,
    Npm,
    Yarn,
    Pnpm,
    Pip,
    Poetry,
    Uv,
    Gem,
}

/// Names of lock files.
pub(super) const LOCKS: [(&str, Manager); 8] = [
    ("composer.lock", Manager::Composer),
    ("package-lock.json", Manager::Npm),
    ("yarn.lock", Manager::Yarn),
    ("pnpm-lock.yaml", Manager::Pnpm),
    ("requirements.txt", Manager::Pip),
    ("poetry.lock", Manager::Poetry),
    ("uv.lock", Manager::Uv),
    ("Gemfile.lock", Manager::Gem),
];

impl Manager {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Composer => "composer",
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Pnpm => "pnpm",
            Self::Pip => "pip",
            Self::Poetry => "poetry",
            Self::Uv => "uv",
            Self::Gem => "gem",
        }
    }

    /// What tells what is installed for a lock file in a folder.
    fn installed(self, host: &Host, folder: &Path, venv: Option<&Path>) -> Vec<PathBuf> {
        match self {
            Self::Composer => {
                vec![
                    folder.join("vendor/composer/installed.json"),
                    folder.join("Packages/Libraries/composer/installed.json"),
                ]
            }
            Self::Npm => {
                let modules = folder.join("node_modules");
                // npm's own list is of some other day then.
                let is_of_another = OTHERS.iter().any(|other| look_at(host, &modules.join(other)).is_ok());
                if is_of_another { Vec::new() } else { vec![modules.join(".package-lock.json")] }
            }
            Self::Yarn | Self::Pnpm => Vec::new(),
            Self::Pip | Self::Poetry | Self::Uv => venv.map_or_else(Vec::new, |venv| site_packages(host, venv)),
            Self::Gem => {
                if let Some(own) = own_gems(host, folder) {
                    return own;
                }
                let shared = GEMS.iter().flat_map(|pattern| expand(host, Path::new(pattern), &mut |_| {}));
                // What comes with Ruby itself lies one folder deeper.
                shared.flat_map(|folder| [folder.join("default"), folder]).collect()
            }
        }
    }

    /// Why it cannot be told what is installed, where nothing tells.
    fn nothing(self) -> &'static str {
        match self {
            Self::Composer => "nothing is installed beside it (no vendor/composer/installed.json)",
            Self::Npm => "nothing is installed beside it, or not by an npm of version 7 or later, which leaves a list",
            Self::Yarn | Self::Pnpm => "it is only counted",
            Self::Pip | Self::Poetry | Self::Uv => "there is no virtual environment beside it",
            Self::Gem => "no gems are installed where they are looked for",
        }
    }
}

/// Gems that the application has for itself: in `vendor/bundle`, or where its configuration says (bundle-config(1)). `None`:
/// it has none of its own.
fn own_gems(host: &Host, folder: &Path) -> Option<Vec<PathBuf>> {
    let config = bundle_config(host, folder);
    let named = value(&config, "BUNDLE_PATH", ':');
    // Deployments share the folder by a link.
    let real = look_at(host, &folder.join(named.unwrap_or("vendor/bundle"))).map(|(real, _)| real);
    let pattern = real.map(|real| format!("{}/ruby/*/specifications", real.display()));
    let found = pattern.map(|pattern| expand(host, Path::new(&pattern), &mut |_| {})).unwrap_or_default();
    (named.is_some() || !found.is_empty()).then_some(found)
}

fn bundle_config(host: &Host, folder: &Path) -> String {
    let read = look_at(host, &folder.join(".bundle/config")).and_then(|(real, _)| host.read_text(real, SMALL));
    read.unwrap_or_default()
}

/// A lock file and what tells what is installed, as they are at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    lock: (PathBuf, Meta),
    installed: Vec<(PathBuf, Meta)>,
    /// Groups of gems are left out.
    without: bool,
    /// Others use what is installed there as well, or something else is used beside it: what is not the same may be right.
    shared: bool,
}

impl State {
    /// Files in which a package manager writes down what it has installed.
    pub(super) fn records(&self) -> impl Iterator<Item = &Path> {
        self.installed.iter().filter(|(_, meta)| meta.kind == Kind::File).map(|(path, _)| path.as_path())
    }

    pub(super) fn of(host: &Host, path: &Path, manager: Manager, venv: Option<&Path>) -> Result<Self, HostError> {
        let lock = look_at(host, path)?;
        let folder = path.parent().unwrap_or(path);
        let mut installed = Vec::new();
        for place in manager.installed(host, folder, venv) {
            match look_at(host, &place) {
                Ok(found) => installed.push(found),
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        let without = manager == Manager::Gem && bundle_config(host, folder).contains("BUNDLE_WITHOUT");
        let shared = match (manager, venv) {
            (Manager::Gem, _) => own_gems(host, folder).is_none(),
            (Manager::Pip | Manager::Poetry | Manager::Uv, Some(venv)) => uses_the_systems(host, venv),
            _ => false,
        };
        Ok(Self { lock, installed, without, shared })
    }

    /// Bytes that have to be read.
    pub(super) fn bytes(&self) -> u64 {
        let all = [&self.lock].into_iter().chain(&self.installed);
        all.map(|(_, meta)| if meta.kind == Kind::File { meta.size.min(FILE) } else { 64 << 10 }).sum()
    }

    pub(super) fn changed(&self) -> Timestamp {
        self.lock.1.identity.modified()
    }

    pub(super) fn installed_at(&self) -> Option<Timestamp> {
        self.installed.iter().map(|(_, meta)| meta.identity.modified()).max()
    }
}

type Reason = (String, &'static str);

/// What is told of a lock file.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) locked: Result<usize, Reason>,
    pub(super) installed: Option<usize>,
    pub(super) difference: Result<Difference, Reason>,
    pub(super) abandoned: Vec<String>,
    /// Something could not be read.
    pub(super) failed: bool,
}

impl Lock {
    pub(super) fn read(host: &Host, manager: Manager, state: &State) -> Self {
        let mut lock = Self {
            locked: Ok(0),
            installed: None,
            difference: Err((manager.nothing().to_owned(), "")),
            abandoned: Vec::new(),
            failed: false,
        };
        let mut packages = match locked(host, manager, &state.lock.0) {
            Ok((packages, count)) => {
                lock.locked = Ok(count);
                packages
            }
            Err(error) => {
                let reason = (error.to_string(), error.hint());
                lock.failed = error.kind == ErrorKind::Denied;
                (lock.locked, lock.difference) = (Err(reason.clone()), Err(reason));
                return lock;
            }
        };
        lock.abandoned = std::mem::take(&mut packages.abandoned);
        if state.installed.is_empty() || matches!(manager, Manager::Yarn | Manager::Pnpm) {
            return lock;
        }
        for package in packages.by_name.values_mut() {
            package.optional |= state.without;
            package.loose |= state.shared;
        }
        match installed(host, manager, state, &packages) {
            Ok(installed) => {
                lock.installed = Some(installed.by_name.len());
                let is_linked = |name: &str| name.contains("node_modules/.store/");
                lock.difference = if packages.cut {
                    Err(("it names more packages than are compared".to_owned(), ""))
                } else if manager == Manager::Npm && installed.by_name.keys().any(|name| is_linked(name)) {
                    Err(("npm put the packages elsewhere than it names (install-strategy linked)".to_owned(), ""))
                } else {
                    Ok(compared(manager, &packages, &installed))
                };
            }
            Err(error) => {
                lock.failed = error.kind == ErrorKind::Denied;
                lock.difference = Err((error.to_string(), error.hint()));
            }
        }
        lock
    }
}

fn compared(manager: Manager, locked: &Packages, installed: &Packages) -> Difference {
    let same = match manager {
        Manager::Composer => same_php,
        Manager::Pip | Manager::Poetry | Manager::Uv => same_python,
        _ => same_text,
    };
    let mut difference = compare(locked, installed, same);
    if manager == Manager::Gem {
        // Groups may be left out by the environment that Bundler runs in, and the lock file does not name them.
        difference.forgive_missing();
    }
    difference
}

/// `include-system-site-packages = true` (docs.python.org, venv).
fn uses_the_systems(host: &Host, venv: &Path) -> bool {
    let config = look_at(host, &venv.join("pyvenv.cfg")).and_then(|(real, _)| host.read_text(real, SMALL));
    let config = config.unwrap_or_default();
    value(&config, "include-system-site-packages", '=').is_some_and(|yes| yes.eq_ignore_ascii_case("true"))
}

/// What a lock file names, and how many that are.
fn locked(host: &Host, manager: Manager, path: &Path) -> Result<(Packages, usize), HostError> {
    let mut found = Packages::default();
    let mut count = 0;
    match manager {
        Manager::Composer => found = json(host, path, composer)?,
        Manager::Npm => found = json(host, path, npm)?,
        Manager::Yarn => lines(host, path, &mut |line| count += usize::from(yarn(line)))?,
        Manager::Pnpm => {
            let mut section = false;
            lines(host, path, &mut |line| count += usize::from(pnpm(line, &mut section)))?;
        }
        Manager::Pip => lines(host, path, &mut |line| requirements(line, &mut found))?,
        Manager::Gem => {
            let mut section = false;
            lines(host, path, &mut |line| bundler(line, &mut section, &mut found))?;
        }
        Manager::Poetry | Manager::Uv => {
            let mut tables = toml_packages();
            lines(host, path, &mut |line| tables.line(line, &mut found))?;
            tables.end(&mut found);
        }
    }
    let count = count.max(found.by_name.len());
    Ok((found, count))
}

fn installed(host: &Host, manager: Manager, state: &State, locked: &Packages) -> Result<Packages, HostError> {
    let mut found = Packages::default();
    for (path, _) in &state.installed {
        match manager {
            Manager::Composer => return json(host, path, composer),
            Manager::Npm => return json(host, path, npm),
            _ => host.entries(path, &mut |name, _| {
                let name = name.to_str().unwrap_or_default();
                let (name, version) = match manager {
                    Manager::Gem => match gemspec(name) {
                        Some((name, version)) => (name.to_owned(), version),
                        None => return,
                    },
                    _ => match dist_info(name) {
                        Some(found) => found,
                        None => return,
                    },
                };
                // Several versions of a gem may be installed: the one that is wanted counts.
                let wanted = locked.by_name.get(name.as_str());
                let wanted = wanted.is_some_and(|package| package.versions().any(|each| each == version));
                if wanted || !found.by_name.contains_key(name.as_str()) {
                    found.add(&name, Package { version: version.into(), ..Package::default() });
                }
            })?,
        }
    }
    Ok(found)
}

fn open(host: &Host, path: &Path) -> Result<impl Read, HostError> {
    let file = host.open(path)?;
    if file.meta().size > FILE {
        return Err(ErrorKind::TooBig(FILE).at(path));
    }
    Ok(file.take(FILE))
}

fn json(host: &Host, path: &Path, parse: fn(&mut Json<'_>) -> Result<Packages, Fault>) -> Result<Packages, HostError> {
    let parsed = parse(&mut Json::new(&mut open(host, path)?));
    parsed.map_err(|_| ErrorKind::Io("not of the format that is expected there").at(path))
}

fn lines(host: &Host, path: &Path, visit: &mut dyn FnMut(&str)) -> Result<(), HostError> {
    each_line(&mut open(host, path)?, visit).map_err(|error| ErrorKind::from_io(&error).at(path))
}
