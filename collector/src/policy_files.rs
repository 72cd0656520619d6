//! Policy files on disk: `*.toml` of a folder, in order of name.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use plumb_proto::limits;

use crate::drift::policy::Source;

/// Files of one folder.
const FILES: usize = 256;

/// Reads the policy files of a folder; a folder that is not there holds none.
///
/// # Errors
/// A file cannot be read, is no UTF-8, or is too big; there are too many.
pub fn read(folder: &Path) -> Result<Vec<Source>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read {}", folder.display()))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            paths.push(path);
        }
        if paths.len() > FILES {
            bail!("{}: more than {FILES} policy files", folder.display());
        }
    }
    paths.sort();
    paths.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Result<Source> {
    let mut text = String::new();
    let limit = limits::CONFIG_FILE as u64 + 1;
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(limit).read_to_string(&mut text).with_context(|| format!("read {}", path.display()))?;
    if text.len() > limits::CONFIG_FILE {
        bail!("{}: bigger than {} bytes", path.display(), limits::CONFIG_FILE);
    }
    Ok(Source { name: path.display().to_string(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_order_and_a_missing_folder_holds_none() {
        let folder = std::env::temp_dir().join(format!("plumb-policy-{}", std::process::id()));
        assert!(read(&folder).unwrap().is_empty());
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in [("b.toml", "2"), ("a.toml", "1"), ("c.toml.bak", "3")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let texts: Vec<String> = read(&folder).unwrap().into_iter().map(|source| source.text).collect();
        std::fs::write(folder.join("d.toml"), "#".repeat(limits::CONFIG_FILE + 1)).unwrap();
        let error = read(&folder).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(texts, ["1", "2"]);
        assert!(error.ends_with("d.toml: bigger than 1048576 bytes"), "{error}");
    }
}
