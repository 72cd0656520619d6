//! Which sections hold: `IfModule`, `IfDefine`, `IfVersion`, `IfFile`, `Macro`.

use std::path::Path;

use super::Apache;
use crate::web::files::Files;

/// Modules that each build of Apache has in itself, or that Debian builds in.
const BUILT_IN: [&str; 9] = ["core", "so", "http", "log_config", "logio", "version", "unixd", "watchdog", "win32"];
/// The branch that IfVersion is asked for.
const BRANCH: (u32, u32) = (2, 4);

impl Apache {
    /// Whether what stands in a section holds. Of sections that are no conditions it does.
    pub(super) fn is_taken(&self, files: &mut Files<'_>, name: &str, arguments: &[String]) -> bool {
        match (name, arguments) {
            ("ifmodule", [module]) => negated(module, |module| self.is_loaded(module)),
            ("ifdefine", [name]) => negated(name, |name| self.defined.contains(name)),
            ("ifversion", [operator, version]) => negated(operator, |operator| fits(operator, version)),
            ("ifversion", [version]) => negated(version, |version| fits("=", version)),
            ("iffile", [path]) => negated(path, |path| {
                let path = self.expanded(path).unwrap_or_default();
                files.exists(&self.root.join(Path::new(&path))).unwrap_or(true)
            }),
            ("macro", _) => false,
            _ => true,
        }
    }

    /// By its identifier (`ssl_module`) or its file (`mod_ssl.c`).
    fn is_loaded(&self, module: &str) -> bool {
        let asked = bare(module);
        self.modules.is_empty() || BUILT_IN.contains(&asked) || self.modules.iter().any(|loaded| bare(loaded) == asked)
    }

    /// Whether one of these modules is loaded for certain.
    pub(super) fn has_module(&self, modules: &[&str]) -> bool {
        self.modules.iter().any(|loaded| modules.contains(&bare(loaded)))
    }
}

fn bare(module: &str) -> &str {
    let module = module.strip_prefix("mod_").unwrap_or(module);
    let module = module.strip_suffix(".c").or_else(|| module.strip_suffix("_module")).unwrap_or(module);
    module.strip_prefix("mpm_").unwrap_or(module)
}

fn negated(text: &str, holds: impl FnOnce(&str) -> bool) -> bool {
    match text.strip_prefix('!') {
        Some(text) => !holds(text),
        None => holds(text),
    }
}

/// Within the branch the last number is not known: it is taken to be a late one.
fn fits(operator: &str, version: &str) -> bool {
    let mut parts = version.trim_matches('/').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let asked = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let exact = parts.next().is_none();
    match operator {
        ">" => BRANCH > asked || BRANCH == asked && !exact,
        ">=" => BRANCH >= asked,
        "<" => BRANCH < asked,
        "<=" => BRANCH < asked || BRANCH == asked && exact,
        _ => BRANCH == asked && exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_compared_and_what_is_finer_is_taken_to_be_late() {
        let told: Vec<bool> =
            [(">=", "2.4"), ("<", "2.4"), (">=", "2.4.10"), ("<=", "2.4.10"), ("=", "2.2"), (">", "2.2")]
                .iter()
                .map(|(operator, version)| fits(operator, version))
                .collect();
        assert_eq!(told, [true, false, true, false, false, true]);
        assert_eq!(
            ["mod_ssl.c", "ssl_module", "mpm_event_module", "prefork.c"].map(bare),
            ["ssl", "ssl", "event", "prefork"]
        );
    }
}
