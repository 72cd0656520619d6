//! Rows that are new, changed or gone since the last look of one watcher.
//!
//! Only a hash of each row is remembered, and only in memory: after a restart everything is told whole once, which also
//! mends whatever the collector has missed.

use plumb_proto::limits;
use plumb_proto::model::{Fact, Problem, Slice, Tell, Value};
use plumb_proto::record::sha256;

use crate::watcher::{Same, Table};

/// Half of a SHA-256: two rows that differ are taken for the same once in 2^64 changes.
type RowHash = [u8; 16];

/// See the module.
#[derive(Debug)]
pub struct Delta {
    tables: Vec<Memory>,
    full: bool,
    /// Rows that stood as they are in the last slice.
    same: Vec<Same>,
}

/// What was told of one table.
#[derive(Debug)]
struct Memory {
    table: &'static Table,
    /// By key.
    rows: Vec<Row>,
    /// A piece of a full tell has left in this look.
    begun: bool,
    /// There were more rows than a table may have.
    overflowed: bool,
}

#[derive(Debug)]
struct Row {
    key: Box<[u8]>,
    hash: RowHash,
    seen: bool,
}

impl Delta {
    /// Nothing was told yet: the first look is told in full.
    #[must_use]
    pub fn new(tables: &[&'static Table]) -> Self {
        let memory = |table: &&'static Table| Memory { table, rows: Vec::new(), begun: false, overflowed: false };
        Self { tables: tables.iter().map(memory).collect(), full: true, same: Vec::new() }
    }

    /// The look that begins next is told in full.
    pub fn forget(&mut self) {
        self.full = true;
    }

    /// A look begins.
    pub fn begin(&mut self) {
        for memory in &mut self.tables {
            (memory.begun, memory.overflowed) = (false, false);
            if self.full {
                memory.rows.clear();
            }
            memory.rows.iter_mut().for_each(|row| row.seen = false);
        }
    }

    /// Takes rows that stand as they are, before [`Delta::tell`]: those that stood so in the last slice are seen, and need
    /// not be compared one by one. Answers the others, which are to be told.
    pub fn stands(&mut self, same: Vec<Same>) -> Vec<(&'static Table, Fact)> {
        let mut fresh = Vec::new();
        for each in &same {
            let known = !self.full && self.same.iter().any(|known| known.is(each));
            for (table, fact) in each.rows() {
                let memory = self.tables.iter_mut().find(|memory| memory.table.name == table.name);
                let row = memory.filter(|_| known).and_then(|memory| memory.row(fact));
                match row {
                    Some(row) => row.seen = true,
                    None => fresh.push((*table, fact.clone())),
                }
            }
        }
        self.same = same;
        fresh
    }

    /// Nothing of it is on this host: an empty full tell.
    pub fn absent(&mut self) {
        self.same.clear();
        self.tables.iter_mut().for_each(|memory| memory.rows.clear());
        self.full = false;
    }

    /// Takes what was seen, and answers what is to be told. With the `last` rows of a look, rows that were not seen are
    /// gone, unless a problem covers them.
    pub fn tell(&mut self, facts: Vec<(&'static Table, Fact)>, last: Option<&[Problem]>) -> Vec<Slice> {
        let mut by_table: Vec<Vec<Fact>> = self.tables.iter().map(|_| Vec::new()).collect();
        for (table, fact) in facts {
            let place = self.tables.iter().position(|memory| memory.table.name == table.name);
            debug_assert!(place.is_some(), "table {} is not in the watcher's Spec", table.name);
            if let Some(facts) = place.and_then(|place| by_table.get_mut(place)) {
                facts.push(fact);
            }
        }
        let full = self.full;
        let told = self.tables.iter_mut().zip(by_table);
        let slices = told.filter_map(|(memory, mut facts)| {
            facts.sort_by(|a, b| a.key.cmp(&b.key)); // stable order: neighbours compress well
            if full { memory.tell_all(facts, last.is_some()) } else { memory.tell_changes(facts, last) }
        });
        let slices = slices.collect();
        if last.is_some() {
            self.full = false;
        }
        slices
    }

    /// Tables of which there were more rows than are told; the rest is not known.
    pub fn overflowed(&self) -> impl Iterator<Item = &'static Table> {
        self.tables.iter().filter(|memory| memory.overflowed).map(|memory| memory.table)
    }

    /// How many rows stand.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|memory| memory.rows.len()).sum()
    }
}

impl Memory {
    fn tell_all(&mut self, mut facts: Vec<Fact>, last: bool) -> Option<Slice> {
        facts.retain(|fact| {
            let hash = hash(fact);
            self.keep(fact, hash)
        });
        let tell = match (self.begun, last) {
            (false, true) => Tell::FullOnly,
            (true, true) => Tell::FullLast,
            (_, false) if facts.is_empty() => return None,
            (false, false) => Tell::FullFirst,
            (true, false) => Tell::Full,
        };
        self.begun = true;
        Some(Slice { table: self.table.name.to_owned(), tell, facts, gone: Vec::new() })
    }

    fn tell_changes(&mut self, mut facts: Vec<Fact>, last: Option<&[Problem]>) -> Option<Slice> {
        facts.retain(|fact| {
            let hash = hash(fact);
            match self.row(fact) {
                Some(row) if row.hash == hash => {
                    row.seen = true;
                    false
                }
                _ => self.keep(fact, hash),
            }
        });
        let mut gone = Vec::new();
        if let Some(problems) = last {
            let covers = |problem: &Problem, key: &[u8]| {
                problem.table == self.table.name && key.starts_with(problem.key_prefix.as_bytes())
            };
            // What overflowed may be there still.
            let whole = !self.overflowed;
            self.rows.retain(|row| {
                let stays = row.seen || !whole || problems.iter().any(|problem| covers(problem, &row.key));
                if !stays {
                    gone.push(row.key.as_ref().into());
                }
                stays
            });
        }
        let silent = facts.is_empty() && gone.is_empty();
        (!silent).then(|| Slice { table: self.table.name.to_owned(), tell: Tell::Delta, facts, gone })
    }

    fn row(&mut self, fact: &Fact) -> Option<&mut Row> {
        self.place(fact).ok().and_then(|place| self.rows.get_mut(place))
    }

    fn place(&self, fact: &Fact) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.key.as_ref().cmp(fact.key.as_bytes()))
    }

    /// Remembers a row as told; `false` if there is no room for it.
    fn keep(&mut self, fact: &Fact, hash: RowHash) -> bool {
        match self.place(fact) {
            Ok(place) => {
                if let Some(row) = self.rows.get_mut(place) {
                    (row.hash, row.seen) = (hash, true);
                }
            }
            Err(_) if self.rows.len() >= limits::TABLE_ROWS => {
                self.overflowed = true;
                return false;
            }
            Err(place) => self.rows.insert(place, Row { key: fact.key.as_bytes().into(), hash, seen: true }),
        }
        true
    }
}

/// Over all parts of a row but its key, each with its length in front, so that no two rows read the same.
fn hash(fact: &Fact) -> RowHash {
    let mut bytes = Vec::with_capacity(256);
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    };
    put(fact.source.as_bytes());
    put(&fact.fields.len().to_le_bytes());
    for (name, value) in &fact.fields {
        put(name.as_bytes());
        match value {
            Value::Text(text) => (put(b"t"), put(text.as_bytes())).1,
            Value::Version(text) => (put(b"v"), put(text.as_bytes())).1,
            Value::Int(number) => (put(b"i"), put(&number.to_le_bytes())).1,
            Value::Real(number) => (put(b"r"), put(&number.to_bits().to_le_bytes())).1,
            Value::Bool(yes) => put(if *yes { b"+" } else { b"-" }),
            Value::Time(at) => (put(b"@"), put(&at.millis().to_le_bytes())).1,
            Value::List(items) => {
                put(&items.len().to_le_bytes());
                items.iter().for_each(|item| put(item.as_bytes()));
            }
        }
    }
    for (name, reason) in &fact.unknown {
        put(name.as_bytes());
        put(reason.as_bytes());
    }
    let mut half = RowHash::default();
    half.copy_from_slice(&sha256(&[&bytes]).0[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::model::ColumnType;

    static MOUNT: Table =
        Table { name: "mount", doc: "", columns: &[crate::watcher::Column::state("n", ColumnType::Int, "")] };
    static OTHER: Table = Table { name: "other", doc: "", columns: &[] };

    fn fact(key: &str, number: i64) -> (&'static Table, Fact) {
        let fields = [("n".to_owned(), Value::Int(number))].into();
        (&MOUNT, Fact { key: key.into(), fields, ..Fact::default() })
    }

    fn problem(prefix: &str) -> Problem {
        let (error, hint) = ("stuck".to_owned(), String::new());
        Problem { table: "mount".to_owned(), key_prefix: prefix.into(), path: prefix.into(), error, hint }
    }

    /// One look with these rows, as `how:+told-gone`.
    fn look(delta: &mut Delta, rows: &[(&str, i64)], problems: &[Problem]) -> String {
        delta.begin();
        let facts = rows.iter().map(|(key, number)| fact(key, *number)).collect();
        print(delta.tell(facts, Some(problems)))
    }

    fn print(slices: Vec<Slice>) -> String {
        let mut text = String::new();
        for slice in slices.iter().filter(|slice| slice.table == "mount") {
            text += &format!("{:?}:", slice.tell);
            slice.facts.iter().for_each(|fact| text += &format!("+{}", fact.key));
            slice.gone.iter().for_each(|key| text += &format!("-{key}"));
        }
        text
    }

    #[test]
    fn the_first_look_is_told_whole_then_only_what_is_new_changed_or_gone() {
        let mut delta = Delta::new(&[&MOUNT]);
        assert_eq!(look(&mut delta, &[("/b", 1), ("/a", 1)], &[]), "FullOnly:+/a+/b");
        assert_eq!(look(&mut delta, &[("/a", 1), ("/b", 1)], &[]), "");
        assert_eq!(look(&mut delta, &[("/a", 2), ("/c", 1)], &[]), "Delta:+/a+/c-/b");
        assert_eq!(look(&mut delta, &[("/c", 1), ("/a", 2)], &[]), "");
        assert_eq!(delta.rows(), 2);
        delta.forget();
        assert_eq!(look(&mut delta, &[("/a", 2)], &[]), "FullOnly:+/a");
        assert_eq!(look(&mut delta, &[("/a", 2)], &[]), "");
    }

    #[test]
    fn rows_that_stand_are_told_once_and_whole_when_all_is_and_are_gone_when_they_stand_no_more() {
        let clock = std::sync::Arc::new(plumb_proto::time::ManualClock::at(plumb_proto::time::Timestamp::from_secs(1)));
        let host = crate::host::Host::new("/nonexistent", clock);
        let nothing = |_: &str| -> Option<Vec<u8>> { None };
        let made = |number: i64| {
            let mut look = crate::watcher::Look::new(&host, plumb_proto::time::Timestamp::from_secs(1), &[], &nothing);
            ["/a", "/b"].iter().for_each(|key| look.fact(&MOUNT, *key, "x", &[("n", Value::Int(number))]));
            look.same(&MOUNT)
        };
        let mut delta = Delta::new(&[&MOUNT]);
        let mut look = |same: &[&Same], forget: bool| {
            if forget {
                delta.forget();
            }
            delta.begin();
            let facts = delta.stands(same.iter().map(|same| (*same).clone()).collect());
            let fresh = facts.len();
            (fresh, print(delta.tell(facts, Some(&[]))))
        };
        let (one, other) = (made(1), made(2));
        assert_eq!(look(&[&one], false), (2, "FullOnly:+/a+/b".to_owned()));
        assert_eq!(look(&[&one], false), (0, String::new()));
        assert_eq!(look(&[&one], true), (2, "FullOnly:+/a+/b".to_owned()));
        assert_eq!(look(&[&other], false), (2, "Delta:+/a+/b".to_owned()));
        assert_eq!(look(&[&other], false), (0, String::new()));
        assert_eq!(look(&[], false), (0, "Delta:-/a-/b".to_owned()));
        assert_eq!(look(&[&other], false), (2, "Delta:+/a+/b".to_owned()));
    }

    #[test]
    fn a_table_without_rows_is_told_empty_in_full() {
        let mut delta = Delta::new(&[&MOUNT, &OTHER]);
        delta.begin();
        let slices = delta.tell(vec![fact("/", 1)], Some(&[]));
        assert_eq!(slices.iter().map(|slice| slice.facts.len()).collect::<Vec<_>>(), [1, 0]);
        assert!(slices.iter().all(|slice| slice.tell == Tell::FullOnly));
    }

    #[test]
    fn a_row_under_a_problem_is_not_gone_until_a_look_without_it() {
        let mut delta = Delta::new(&[&MOUNT]);
        look(&mut delta, &[("/", 1), ("/nfs/a", 1), ("/tmp", 1)], &[]);
        assert_eq!(look(&mut delta, &[("/", 1)], &[problem("/nfs")]), "Delta:-/tmp");
        assert_eq!(look(&mut delta, &[("/", 1)], &[problem("")]), "");
        assert_eq!(look(&mut delta, &[("/", 1)], &[]), "Delta:-/nfs/a");
    }

    #[test]
    fn a_look_in_slices_tells_what_is_gone_at_its_end() {
        let mut delta = Delta::new(&[&MOUNT]);
        delta.begin();
        assert_eq!(print(delta.tell(Vec::new(), None)), "");
        assert_eq!(print(delta.tell(vec![fact("/a", 1)], None)), "FullFirst:+/a");
        assert_eq!(print(delta.tell(vec![fact("/b", 1)], None)), "Full:+/b");
        assert_eq!(print(delta.tell(vec![], Some(&[]))), "FullLast:");
        delta.begin();
        assert_eq!(print(delta.tell(vec![fact("/b", 2)], None)), "Delta:+/b");
        assert_eq!(print(delta.tell(vec![fact("/c", 1)], Some(&[]))), "Delta:+/c-/a");
    }

    #[test]
    fn a_look_that_broke_off_is_followed_by_a_full_one() {
        let mut delta = Delta::new(&[&MOUNT]);
        look(&mut delta, &[("/a", 1), ("/b", 1)], &[]);
        delta.begin();
        delta.tell(vec![fact("/a", 2)], None);
        delta.forget();
        assert_eq!(look(&mut delta, &[("/a", 2)], &[]), "FullOnly:+/a");
    }

    #[test]
    fn a_change_of_source_value_type_or_reason_is_a_change() {
        let base = fact("/", 1).1;
        let mut others = vec![Fact { source: "x".into(), ..base.clone() }, Fact { fields: [].into(), ..base.clone() }];
        others.push(Fact { fields: [("n".to_owned(), Value::Real(1.0))].into(), ..base.clone() });
        others.push(Fact { unknown: [("m".to_owned(), "why".to_owned())].into(), ..base.clone() });
        assert!(others.iter().all(|other| hash(other) != hash(&base)));
        assert_eq!(hash(&base), hash(&base.clone()));
    }

    #[test]
    fn more_rows_than_a_table_may_have_are_not_told_and_none_counts_as_gone() {
        let mut delta = Delta::new(&[&MOUNT]);
        let rows = |from: usize, count: usize| -> Vec<(&'static Table, Fact)> {
            (from..from + count).map(|number| fact(&format!("/{number:06}"), 1)).collect()
        };
        delta.begin();
        let told = delta.tell(rows(0, limits::TABLE_ROWS + 5), Some(&[]));
        assert_eq!((told[0].facts.len(), delta.overflowed().count()), (limits::TABLE_ROWS, 1));
        delta.begin();
        assert_eq!(delta.tell(rows(10, limits::TABLE_ROWS), Some(&[])), []);
        delta.begin();
        assert_eq!(delta.tell(rows(0, 3), Some(&[]))[0].gone.len(), limits::TABLE_ROWS - 3);
    }
}
