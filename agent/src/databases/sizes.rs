//! Sizes of data folders and schemas, from look to look: each is measured every half hour, one after the other and in
//! slices; in between the table `database_schema` says what was found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use plumb_proto::model::Value;

use super::schema::Schema;
use super::walk::{Layout, Measured, Walk};
use super::{Instance, known::Known};
use crate::tables::DATABASE_SCHEMA;
use crate::watcher::{Look, Same};

/// Time between two looks into one data folder.
const EVERY: Duration = Duration::from_secs(1_800);
/// A size is told anew when it has moved by a twentieth, or by so much.
const MOVED: u64 = 64 << 20;

/// What is known of one server.
struct Sized {
    begun: Duration,
    bytes: Option<u64>,
    schemas: Vec<Schema>,
    missing: Option<(String, &'static str)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Sizes {
    of: BTreeMap<String, Sized>,
    walk: Option<Walk>,
    /// What was told of all schemas, as long as it stands.
    told: Option<Same>,
}

impl Sizes {
    /// Servers, their names or their folders may be others: what is told of schemas is made anew.
    pub(super) fn make_anew(&mut self) {
        self.told = None;
    }

    /// Goes on for a slice. True when there are servers that were never measured: what they hold belongs to this look.
    pub(super) fn slice(
        &mut self,
        look: &mut Look<'_>,
        instances: &[Instance],
        (layout, known): (Layout, &BTreeMap<String, Known>),
        now: Duration,
    ) -> bool {
        self.of.retain(|key, _| instances.iter().any(|each| each.key == *key));
        let is_there = |walk: &Walk| instances.iter().any(|each| each.key == walk.key);
        let walk = self.walk.take().filter(is_there).or_else(|| self.begin(instances, layout, now));
        if let Some(mut walk) = walk {
            if walk.slice(look.host) {
                let by_login = known.get(&walk.key).is_some_and(|known| known.tells);
                self.end(look, walk, by_login, now);
            } else {
                self.walk = Some(walk);
            }
        }
        self.is_first(instances)
    }

    /// Whether a server was never measured.
    pub(super) fn is_first(&self, instances: &[Instance]) -> bool {
        instances.iter().any(|each| each.datadir.is_some() && !self.of.contains_key(&each.key))
    }

    fn begin(&self, instances: &[Instance], layout: Layout, now: Duration) -> Option<Walk> {
        let due = |key: &str| self.of.get(key).is_none_or(|sized| now >= sized.begun + EVERY);
        let next =
            instances.iter().filter(|each| due(&each.key)).find_map(|each| Some((each, each.datadir.as_deref()?)));
        next.map(|(instance, folder): (&Instance, &Path)| Walk::begin(&instance.key, folder, layout))
    }

    /// Tells how much a server's data takes, as it was measured last.
    pub(super) fn sample(&self, look: &mut Look<'_>, key: &str) {
        #[allow(clippy::cast_precision_loss)] // 2^53 bytes are 8 PiB
        if let Some(bytes) = self.of.get(key).and_then(|sized| sized.bytes) {
            look.gauge("database_size_bytes", &[("database", key)], bytes as f64);
        }
    }

    /// `by_login`: a login tells samples of the server each minute, this one among them. All samples of a watcher come at
    /// the same times, and one that is left out could not be read.
    fn end(&mut self, look: &mut Look<'_>, walk: Walk, by_login: bool, now: Duration) {
        let key = walk.key.clone();
        let Measured { bytes, mut schemas, missing } = walk.measured();
        let before = self.of.remove(&key);
        let is_first = before.is_none();
        for schema in &mut schemas {
            let known = before.iter().flat_map(|sized| &sized.schemas).find(|known| known.name == schema.name);
            if let Some(known) = known.filter(|known| is_as_before(known, schema)) {
                *schema = known.clone();
            }
        }
        schemas.sort_by(|one, other| one.name.cmp(&other.name));
        self.of.insert(key.clone(), Sized { begun: now, bytes, schemas, missing });
        if !by_login || is_first {
            self.sample(look, &key);
        }
        self.told = None;
    }

    /// Schemas of a server as they were last seen.
    pub(super) fn schemas(&self, key: &str) -> &[Schema] {
        self.of.get(key).map_or(&[], |sized| &sized.schemas)
    }

    /// When a server was last measured.
    pub(super) fn measured(&self, key: &str) -> Option<Duration> {
        self.of.get(key).map(|sized| sized.begun)
    }

    /// Says what is known of all schemas.
    pub(super) fn tell(&mut self, look: &mut Look<'_>, instances: &[Instance], known: &BTreeMap<String, Known>) {
        for instance in instances {
            let Some(sized) = self.of.get(&instance.key) else { continue };
            let source = instance.datadir.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
            let names = known.get(&instance.key).map(|known| &known.names);
            let schemas = sized.schemas.iter().filter(|_| self.told.is_none());
            for schema in schemas {
                let named = names.and_then(|names| names.get(schema.name.strip_prefix("oid-")?));
                tell(look, &format!("{}/{}", instance.key, named.unwrap_or(&schema.name)), &source, schema);
            }
            if let Some((why, hint)) = &sized.missing {
                look.problem(&DATABASE_SCHEMA, format!("{}/", instance.key), source.as_str(), why, hint);
            }
        }
        match &self.told {
            Some(told) => look.tell_same(told),
            None => self.told = Some(look.same(&DATABASE_SCHEMA)),
        }
    }
}

fn tell(look: &mut Look<'_>, key: &str, source: &str, schema: &Schema) {
    let number = |bytes: u64| Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX));
    let mut fields = vec![("size_bytes", number(schema.bytes))];
    fields.extend(schema.tables.map(|tables| ("tables", number(tables))));
    if let Some((table, bytes)) = &schema.largest {
        fields.extend([("largest_table", Value::Text(table.as_str().into())), ("largest_bytes", number(*bytes))]);
    }
    if !schema.bloat.is_empty() {
        let bloat = schema.bloat.iter().map(|(table, bytes)| format!("{table} {}", human(*bytes)).into());
        fields.push(("bloat", Value::List(bloat.collect())));
    }
    fields.extend(schema.cms.map(|cms| ("cms", cms.word().into())));
    look.fact(&DATABASE_SCHEMA, key, source, &fields);
}

/// Whether a schema is told as it was: nothing but sizes differ, and these by little.
fn is_as_before(known: &Schema, now: &Schema) -> bool {
    let little = |one: u64, other: u64| {
        let moved = one.abs_diff(other);
        moved <= one / 20 && moved < MOVED
    };
    let largest = match (&known.largest, &now.largest) {
        (Some((one, bytes)), Some((other, now))) => one == other && little(*bytes, *now),
        (one, other) => one == other,
    };
    let names = |schema: &Schema| schema.bloat.iter().map(|(table, _)| table.clone()).collect::<Vec<_>>();
    largest
        && little(known.bytes, now.bytes)
        && (known.tables, known.cms, &known.wordpress) == (now.tables, now.cms, &now.wordpress)
        && names(known) == names(now)
}

/// `1.2 GiB`: tables are told from 256 MiB on.
#[allow(clippy::cast_precision_loss)]
fn human(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1_000.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1_024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(bytes: u64) -> Schema {
        Schema { name: "shop".to_owned(), bytes, tables: Some(1), ..Schema::default() }
    }

    #[test]
    fn a_size_is_told_anew_when_it_moved_by_a_twentieth_or_by_much() {
        let mib = 1 << 20;
        assert!(is_as_before(&schema(1_000 * mib), &schema(1_049 * mib)));
        assert!(!is_as_before(&schema(1_000 * mib), &schema(1_051 * mib)));
        assert!(is_as_before(&schema(10_000 * mib), &schema(10_063 * mib)));
        assert!(!is_as_before(&schema(10_000 * mib), &schema(9_936 * mib)));
        assert!(!is_as_before(&schema(mib), &Schema { tables: Some(2), ..schema(mib) }));
    }

    #[test]
    fn sizes_of_tables_are_told_in_fitting_units() {
        assert_eq!((human(256 << 20), human(1_288_490_189)), ("256 MiB".to_owned(), "1.2 GiB".to_owned()));
    }
}
