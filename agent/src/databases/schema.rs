//! What one schema holds, by the names and sizes of its files: no server is asked.

pub mod bloat;
pub mod files;

use std::collections::BTreeMap;

use bloat::Cms;

/// Tables of one schema that are told apart; of more, only the size of all is known.
const MAX_TABLES: usize = 10_000;
/// Installations of WordPress in one schema that are looked at.
const MAX_PREFIXES: usize = 8;
/// Known tables of one schema that have grown.
const MAX_BLOAT: usize = 20;

/// One schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schema {
    /// As it is called, or `oid-16384` where only SQL would tell.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// `None`: the files do not tell, or there are too many.
    pub(super) tables: Option<u64>,
    pub(super) largest: Option<(String, u64)>,
    /// Known tables that have grown, the biggest first.
    pub(super) bloat: Vec<(String, u64)>,
    pub(super) cms: Option<Cms>,
    /// Beginnings of the names of WordPress's tables in it.
    pub(super) wordpress: Vec<String>,
}

/// A schema that is being looked at, file by file.
#[derive(Default)]
pub(super) struct Counting {
    bytes: u64,
    tables: BTreeMap<Box<[u8]>, u64>,
    too_many: bool,
}

impl Counting {
    /// Takes a file of it.
    pub(super) fn file(&mut self, name: &[u8], bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        let Some(table) = files::table(name) else { return };
        if let Some(known) = self.tables.get_mut(table) {
            *known = known.saturating_add(bytes);
        } else if self.tables.len() < MAX_TABLES {
            self.tables.insert(table.into(), bytes);
        } else {
            self.too_many = true;
        }
    }

    /// All of it was seen. `None`: it is no schema, there is not one table in it.
    pub(super) fn end(self, name: String) -> Option<Schema> {
        let largest = self.tables.iter().max_by_key(|(_, bytes)| **bytes)?;
        let largest = Some((files::decoded(largest.0), *largest.1));
        let before = |end: &str| self.tables.keys().filter_map(|table| table.strip_suffix(end.as_bytes())).collect();
        let cms = bloat::guess(&before);
        let known = self.tables.iter().filter(|(table, bytes)| bloat::is_known(cms, table, **bytes));
        let mut bloat: Vec<(String, u64)> = known.map(|(table, bytes)| (files::decoded(table), *bytes)).collect();
        bloat.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        bloat.truncate(MAX_BLOAT);
        let wordpress = bloat::wordpress(&before).into_iter().take(MAX_PREFIXES).map(files::decoded).collect();
        let tables = (!self.too_many).then_some(self.tables.len() as u64);
        Some(Schema { name, bytes: self.bytes, tables, largest, bloat, cms, wordpress })
    }
}

/// The biggest schemas of a server, and what the others hold together.
#[derive(Debug, Default)]
pub(super) struct Biggest {
    pub(super) kept: Vec<Schema>,
    pub(super) others: Option<Schema>,
}

/// Schemas of one server that are told each by itself.
const MAX_SCHEMAS: usize = 50;

impl Biggest {
    /// Takes one more.
    pub(super) fn add(&mut self, schema: Schema) {
        let place = self.kept.partition_point(|each| each.bytes >= schema.bytes);
        self.kept.insert(place, schema);
        if self.kept.len() > MAX_SCHEMAS
            && let Some(smallest) = self.kept.pop()
        {
            let others = self.others.get_or_insert_with(|| Schema { name: "(other)".to_owned(), ..Schema::default() });
            others.bytes = others.bytes.saturating_add(smallest.bytes);
        }
    }

    /// All of them.
    pub(super) fn all(self) -> impl Iterator<Item = Schema> {
        self.kept.into_iter().chain(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(files: &[(&str, u64)]) -> Option<Schema> {
        let mut counting = Counting::default();
        files.iter().for_each(|(name, bytes)| counting.file(name.as_bytes(), *bytes));
        counting.end("shop".to_owned())
    }

    #[test]
    fn files_of_one_table_are_counted_together() {
        let files =
            [("db.opt", 1), ("wp_posts.frm", 2), ("wp_posts.ibd", 10), ("log.MYD", 7), ("log.MYI", 5), ("log.frm", 1)];
        let shop = schema(&files).unwrap();
        assert_eq!((shop.bytes, shop.tables, shop.largest), (26, Some(2), Some(("log".to_owned(), 13))));
    }

    #[test]
    fn a_folder_without_a_table_is_no_schema() {
        assert_eq!(schema(&[("db.opt", 1), ("x.txt", 5)]), None);
    }

    #[test]
    fn known_tables_that_have_grown_are_told_with_their_cms() {
        let gib = 1 << 30;
        let files = [
            ("wp_options.ibd", 300 << 20),
            ("wp_posts.ibd", gib),
            ("wp_usermeta.ibd", 1),
            ("wp_actionscheduler_logs.ibd", 2 * gib),
            ("wp_wfhits.ibd", 1_000),
        ];
        let shop = schema(&files).unwrap();
        assert_eq!(shop.cms, Some(Cms::Wordpress));
        let bloat: Vec<&str> = shop.bloat.iter().map(|(table, _)| table.as_str()).collect();
        assert_eq!(bloat, ["wp_actionscheduler_logs", "wp_options"]);
        assert_eq!(shop.wordpress, ["wp_"]);
    }

    #[test]
    fn more_tables_than_are_told_apart_leave_their_number_unknown() {
        let mut counting = Counting::default();
        (0..MAX_TABLES + 1).for_each(|number| counting.file(format!("t{number}.ibd").as_bytes(), 2));
        let schema = counting.end("x".to_owned()).unwrap();
        assert_eq!((schema.tables, schema.bytes), (None, 2 * (MAX_TABLES as u64 + 1)));
    }

    #[test]
    fn the_biggest_schemas_are_kept_and_the_others_are_one_sum() {
        let mut biggest = Biggest::default();
        (0..60).for_each(|bytes| biggest.add(Schema { name: format!("s{bytes}"), bytes, ..Schema::default() }));
        let all: Vec<Schema> = biggest.all().collect();
        assert_eq!((all.len(), all[0].bytes, all[49].bytes), (51, 59, 10));
        assert_eq!((all[50].name.as_str(), all[50].bytes), ("(other)", 45));
    }
}
