//! How much a data folder holds, and each schema in it: by the sizes of its files, a slice at a time.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::schema::{Biggest, Counting, Schema, files};
use crate::host::{Host, HostError, Kind, Meta};

/// How a product lays out its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Files of no known order; their sum is told.
    Plain,
    /// A folder for each schema, and in it files for each table.
    Mysql,
    /// A folder `base/OID` for each database.
    Postgresql,
}

/// Files and folders that are met in one data folder; one with more is not told, since asking them all would cost too much.
const MAX_FILES: usize = 100_000;
/// Of no known order it may be anything: the folder that a server was started in by hand.
const MAX_PLAIN: usize = 20_000;
/// Folders that wait to be looked at: their paths are kept in memory.
const MAX_FOLDERS: usize = 10_000;
/// Folders on the way down. PostgreSQL's `base/OID` are two, Elasticsearch's shards six.
const DEPTH: usize = 8;
/// A slice ends when it has met so many entries, or took so long.
const ENTRIES: usize = 4_096;
const SLICE: Duration = Duration::from_millis(30);
/// Databases that come with every cluster (template0, template1, postgres) have numbers below it: FirstNormalObjectId of
/// access/transam.h.
const FIRST_OID: u32 = 16_384;
/// Schemas of MySQL's own, which hold next to nothing.
const OWN_SCHEMAS: [&str; 3] = ["performance_schema", "sys", "information_schema"];

/// A data folder that is being looked at.
pub(super) struct Walk {
    /// Key of the server.
    pub(super) key: String,
    root: PathBuf,
    layout: Layout,
    todo: Vec<(PathBuf, usize)>,
    met: usize,
    bytes: u64,
    biggest: Biggest,
    failed: Option<HostError>,
    too_many: bool,
}

/// What a walk has found.
pub(super) struct Measured {
    /// Bytes in all files, if all could be seen.
    pub(super) bytes: Option<u64>,
    pub(super) schemas: Vec<Schema>,
    /// Why something is missing, and what would help.
    pub(super) missing: Option<(String, &'static str)>,
}

impl Walk {
    pub(super) fn begin(key: &str, root: &Path, layout: Layout) -> Self {
        let todo = vec![(root.to_owned(), 0)];
        let (root, biggest) = (root.to_owned(), Biggest::default());
        Self { key: key.to_owned(), root, layout, todo, met: 0, bytes: 0, biggest, failed: None, too_many: false }
    }

    /// Goes on for a slice; true when it has come to its end.
    pub(super) fn slice(&mut self, host: &Host) -> bool {
        let (until, before) = (host.clock().monotonic() + SLICE, self.met);
        while let Some((folder, depth)) = self.todo.pop() {
            self.folder(host, &folder, depth);
            self.too_many |= self.met > self.most();
            if self.too_many {
                self.todo.clear();
            }
            if self.met - before >= ENTRIES || host.clock().monotonic() >= until {
                break;
            }
        }
        self.todo.is_empty()
    }

    /// After its end.
    pub(super) fn measured(self) -> Measured {
        let whole = !self.too_many && self.failed.is_none() && self.met > 0;
        let missing = match self.failed {
            _ if self.layout == Layout::Plain => None,
            _ if self.too_many => {
                Some((format!("more than {MAX_FILES} files or {MAX_FOLDERS} folders: its size is not told"), ""))
            }
            Some(error) => Some((error.to_string(), error.hint())),
            None => None,
        };
        Measured { bytes: whole.then_some(self.bytes), schemas: self.biggest.all().collect(), missing }
    }

    fn most(&self) -> usize {
        if self.layout == Layout::Plain { MAX_PLAIN } else { MAX_FILES }
    }

    fn folder(&mut self, host: &Host, folder: &Path, depth: usize) {
        let schema = self.schema_of(folder, depth);
        let (mut counting, mut sum, mut met, mut deeper) = (Counting::default(), 0_u64, 0, Vec::new());
        let room = MAX_FOLDERS.saturating_sub(self.todo.len());
        let mut no_room = false;
        let read = host.each(folder, &mut |name, meta| {
            met += 1;
            match meta.kind {
                Kind::File => {
                    let size = taken(meta);
                    sum = sum.saturating_add(size);
                    if schema.is_some() && self.layout == Layout::Mysql {
                        counting.file(name.as_bytes(), size);
                    }
                }
                // Links lead to other places, and the folders behind them are not ours to measure.
                Kind::Folder if depth < DEPTH && deeper.len() < room => deeper.push((folder.join(name), depth + 1)),
                Kind::Folder => no_room = true,
                Kind::Link | Kind::Other => {}
            }
        });
        self.too_many |= no_room;
        self.todo.append(&mut deeper);
        self.met = self.met.saturating_add(met);
        self.bytes = self.bytes.saturating_add(sum);
        match (read, schema) {
            (Ok(()), Some(name)) => match self.layout {
                Layout::Mysql => counting.end(name).into_iter().for_each(|schema| self.biggest.add(schema)),
                _ => self.biggest.add(Schema { name, bytes: sum, ..Schema::default() }),
            },
            (Ok(()), None) => {}
            (Err(error), _) if error.is_absent() => {} // dropped since
            (Err(error), _) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    /// The schema that a folder holds, if it holds one.
    fn schema_of(&self, folder: &Path, depth: usize) -> Option<String> {
        let name = folder.file_name()?;
        match self.layout {
            // What MySQL keeps beside the schemas begins with what their names cannot hold.
            Layout::Mysql if depth == 1 && !name.as_bytes().starts_with(b"#") => {
                let name = files::decoded(name.as_bytes());
                (!OWN_SCHEMAS.contains(&name.as_str())).then_some(name)
            }
            Layout::Postgresql if depth == 2 && folder.parent() == Some(&self.root.join("base")) => {
                let oid: u32 = name.to_str()?.parse().ok()?;
                (oid >= FIRST_OID).then(|| format!("oid-{oid}"))
            }
            _ => None,
        }
    }
}

/// What a file takes on the disk, without its holes: pages that InnoDB has compressed leave some. Small files may lie
/// beside their names, and take no block.
fn taken(meta: &Meta) -> u64 {
    if meta.size <= 4_096 { meta.size } else { meta.size.min(meta.allocated) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use plumb_proto::time::{ManualClock, Timestamp};

    use super::*;
    use crate::state::testing::Folder;

    fn measured(folder: &Folder, layout: Layout) -> (usize, Measured) {
        let host = Host::new(folder.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))));
        let mut walk = Walk::begin("x", Path::new("/"), layout);
        let mut slices = 1;
        while !walk.slice(&host) {
            slices += 1;
        }
        (slices, walk.measured())
    }

    fn write(folder: &Folder, path: &str, bytes: usize) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; bytes]).unwrap();
    }

    fn told(measured: &Measured) -> Vec<(&str, u64)> {
        measured.schemas.iter().map(|each| (each.name.as_str(), each.bytes)).collect()
    }

    #[test]
    fn each_folder_with_tables_is_a_schema_and_the_rest_counts_for_the_server_only() {
        let folder = Folder::new();
        for (path, bytes) in [
            ("ibdata1", 1_000),
            ("#innodb_redo/#ib_redo1", 500),
            ("my@002dshop/t.ibd", 50),
            ("blog/t.MYD", 7),
            ("blog/t.MYI", 3),
            ("sys/sys_config.ibd", 20),
            ("lost+found/x", 1),
        ] {
            write(&folder, path, bytes);
        }
        let (_, measured) = measured(&folder, Layout::Mysql);
        assert_eq!(measured.bytes, Some(1_581));
        assert_eq!(told(&measured), [("my-shop", 50), ("blog", 10)]);
    }

    #[test]
    fn holes_in_files_take_no_room() {
        let folder = Folder::new();
        write(&folder, "shop/a.ibd", 65_536);
        let sparse = fs::File::options().write(true).open(folder.path().join("shop/a.ibd")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        let (_, measured) = measured(&folder, Layout::Mysql);
        assert!(measured.bytes.is_some_and(|bytes| (65_536..1 << 20).contains(&bytes)), "{:?}", measured.bytes);
        assert_eq!(told(&measured)[0].1, measured.bytes.unwrap());
    }

    #[test]
    fn databases_of_postgresql_are_known_by_their_number() {
        let folder = Folder::new();
        for (path, bytes) in [
            ("base/16384/112", 5),
            ("base/5/112", 1),
            ("base/13010/112", 2),
            ("base/pgsql_tmp/1", 2),
            ("pg_wal/0001", 11),
        ] {
            write(&folder, path, bytes);
        }
        let (_, measured) = measured(&folder, Layout::Postgresql);
        assert_eq!((measured.bytes, told(&measured)), (Some(21), vec![("oid-16384", 5)]));
    }

    #[test]
    fn links_in_a_circle_and_pipes_are_not_followed_nor_counted() {
        let folder = Folder::new();
        write(&folder, "shop/t.ibd", 9);
        symlink("..", folder.path().join("shop/up")).unwrap();
        symlink("/", folder.path().join("root")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("shop/pipe.ibd"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (_, measured) = measured(&folder, Layout::Mysql);
        assert_eq!((measured.bytes, told(&measured)), (Some(9), vec![("shop", 9)]));
    }

    #[test]
    fn a_folder_with_too_many_files_comes_to_an_end_in_slices_and_has_no_size() {
        let folder = Folder::new();
        for part in 0..4 {
            let part = folder.path().join(format!("p{part}"));
            fs::create_dir(&part).unwrap();
            (0..5_100).for_each(|file| drop(fs::File::create(part.join(format!("{file}.ibd"))).unwrap()));
        }
        let (slices, plain) = measured(&folder, Layout::Plain);
        assert!((4..=6).contains(&slices), "{slices}");
        assert!(plain.bytes.is_none() && plain.missing.is_none());
        // Where schemas are told, more is looked at.
        let (_, of_schemas) = measured(&folder, Layout::Mysql);
        assert_eq!((of_schemas.bytes, of_schemas.schemas.len()), (Some(0), 4));
    }
}
