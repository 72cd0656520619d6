//! How values lie in BLOB columns: as protobuf messages, of plumb's own wire where it has them. They carry names, never
//! an epoch's numbers, so a row can be read without the record that brought it. No limit of the wire is checked here:
//! what was accepted once stays readable when a limit is lowered.

mod messages;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use plumb_proto::columns::{self, Packed};
use plumb_proto::dictionary::Dictionary;
use plumb_proto::generated::model as pb;
use plumb_proto::limits;
use plumb_proto::model::{Fact, Problem, Series, TableDecl, Value};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;
use prost::Message;

use crate::drift::Subject;
use crate::view::{BaselineRow, WatcherView};
use messages::{Approved, Details, Fields, Labels, NamedProblem, Owner, Owners, Reason, Subjects, Told};

fn value_to(value: &Value) -> pb::Value {
    let bytes = |text: &Untrusted| text.as_bytes().to_vec();
    let kind = match value {
        Value::Text(text) => pb::value::Kind::Text(bytes(text)),
        Value::Int(number) => pb::value::Kind::Int(*number),
        Value::Real(number) => pb::value::Kind::Real(*number),
        Value::Bool(yes) => pb::value::Kind::Bool(*yes),
        Value::Time(at) => pb::value::Kind::TimeMs(at.millis()),
        Value::Version(text) => pb::value::Kind::Version(bytes(text)),
        Value::List(items) => pb::value::Kind::List(pb::List { items: items.iter().map(bytes).collect() }),
    };
    pb::Value { kind: Some(kind) }
}

fn value_from(value: Option<pb::Value>) -> Result<Value> {
    Ok(match value.and_then(|value| value.kind).context("a value is missing")? {
        pb::value::Kind::Text(bytes) => Value::Text(bytes.into()),
        pb::value::Kind::Int(number) => Value::Int(number),
        pb::value::Kind::Real(number) => Value::Real(number),
        pb::value::Kind::Bool(yes) => Value::Bool(yes),
        pb::value::Kind::TimeMs(millis) => Value::Time(Timestamp::from_millis(millis)),
        pb::value::Kind::Version(bytes) => Value::Version(bytes.into()),
        pb::value::Kind::List(list) => Value::List(list.items.into_iter().map(Untrusted::from).collect()),
    })
}

fn named_to(fields: &BTreeMap<String, Value>) -> Vec<pb::NamedValue> {
    fields.iter().map(|(name, value)| pb::NamedValue { name: name.clone(), value: Some(value_to(value)) }).collect()
}

fn named_from(fields: Vec<pb::NamedValue>) -> Result<BTreeMap<String, Value>> {
    fields.into_iter().map(|each| Ok((each.name, value_from(each.value)?))).collect()
}

/// A fact without its key.
pub fn fact_to(fact: &Fact) -> Vec<u8> {
    let unknown = fact.unknown.iter().map(|(column, reason)| Reason { column: column.clone(), reason: reason.clone() });
    let source = fact.source.as_bytes().to_vec();
    Fields { fields: named_to(&fact.fields), source, unknown: unknown.collect() }.encode_to_vec()
}

/// A fact from its key and [`fact_to`].
pub fn fact_from(key: Vec<u8>, bytes: &[u8]) -> Result<Fact> {
    let kept = Fields::decode(bytes).context("a kept fact does not decode")?;
    Ok(Fact {
        key: key.into(),
        source: kept.source.into(),
        fields: named_from(kept.fields)?,
        unknown: kept.unknown.into_iter().map(|each| (each.column, each.reason)).collect(),
    })
}

/// Fields of an event.
pub fn fields_to(fields: &BTreeMap<String, Value>) -> Vec<u8> {
    Fields { fields: named_to(fields), ..Fields::default() }.encode_to_vec()
}

/// From [`fields_to`].
pub fn fields_from(bytes: &[u8]) -> Result<BTreeMap<String, Value>> {
    named_from(Fields::decode(bytes).context("kept fields do not decode")?.fields)
}

/// The baseline of a row.
pub fn approved_to(row: &BaselineRow) -> Vec<u8> {
    let field = |(name, value): (&String, &Option<Value>)| pb::NamedValue {
        name: name.clone(),
        value: value.as_ref().map(value_to),
    };
    Approved { fields: row.iter().map(field).collect() }.encode_to_vec()
}

/// From [`approved_to`].
pub fn approved_from(bytes: &[u8]) -> Result<BaselineRow> {
    let field = |field: pb::NamedValue| {
        let value = field.value.map(|value| value_from(Some(value))).transpose()?;
        Ok((field.name, value))
    };
    Approved::decode(bytes).context("a kept baseline does not decode")?.fields.into_iter().map(field).collect()
}

/// Whose rows of a table have a baseline, each with the key prefixes that could not be seen yet.
pub fn owners_to(owners: &BTreeMap<String, BTreeSet<Untrusted>>) -> Vec<u8> {
    let owner = |(watcher, blind): (&String, &BTreeSet<Untrusted>)| Owner {
        watcher: watcher.clone(),
        blind: blind.iter().map(|prefix| prefix.as_bytes().to_vec()).collect(),
    };
    Owners { owners: owners.iter().map(owner).collect() }.encode_to_vec()
}

/// From [`owners_to`].
pub fn owners_from(bytes: &[u8]) -> Result<BTreeMap<String, BTreeSet<Untrusted>>> {
    let owner = |owner: Owner| (owner.watcher, owner.blind.into_iter().map(Untrusted::from).collect());
    let kept = Owners::decode(bytes).context("kept owners of a baseline do not decode")?;
    Ok(kept.owners.into_iter().map(owner).collect())
}

/// Problems of a look, and how far its full tells have come.
pub fn details_to(look: &WatcherView) -> Vec<u8> {
    let named = |problem: &Problem| NamedProblem {
        table: problem.table.clone(),
        key_prefix: problem.key_prefix.as_bytes().to_vec(),
        path: problem.path.as_bytes().to_vec(),
        error: problem.error.clone(),
        hint: problem.hint.clone(),
    };
    let told = look.told.iter().map(|(table, ended)| Told { table: table.clone(), ended: *ended });
    Details { problems: look.problems.iter().map(named).collect(), told: told.collect() }.encode_to_vec()
}

/// From [`details_to`].
pub fn details_from(bytes: &[u8]) -> Result<(Vec<Problem>, BTreeMap<String, bool>)> {
    let named = |problem: NamedProblem| Problem {
        table: problem.table,
        key_prefix: problem.key_prefix.into(),
        path: problem.path.into(),
        error: problem.error,
        hint: problem.hint,
    };
    let kept = Details::decode(bytes).context("kept details of a look do not decode")?;
    let told = kept.told.into_iter().map(|each| (each.table, each.ended)).collect();
    Ok((kept.problems.into_iter().map(named).collect(), told))
}

fn label_list(series: &Series) -> Vec<pb::Label> {
    let label = |(name, value): (&String, &Untrusted)| pb::Label { name: name.clone(), value: value.as_bytes().into() };
    series.labels.iter().map(label).collect()
}

fn series_of(name: String, labels: Vec<pb::Label>) -> Series {
    Series { name, labels: labels.into_iter().map(|label| (label.name, label.value.into())).collect() }
}

/// The labels of a series.
pub fn labels_to(series: &Series) -> Vec<u8> {
    Labels { labels: label_list(series) }.encode_to_vec()
}

/// A series from its name and [`labels_to`].
pub fn series_from(name: String, labels: &[u8]) -> Result<Series> {
    Ok(series_of(name, Labels::decode(labels).context("kept labels do not decode")?.labels))
}

/// What a drift is about.
pub fn subject_to(subject: &Subject) -> Vec<u8> {
    let mut kept = Subjects::default();
    match subject {
        Subject::Row { table, key, field } => {
            (kept.table, kept.key, kept.field) = (Some(table.clone()), key.as_bytes().to_vec(), field.clone());
        }
        Subject::Series(series) => (kept.series, kept.labels) = (Some(series.name.clone()), label_list(series)),
        Subject::Watcher(name) => kept.watcher = Some(name.clone()),
        Subject::Host => {}
    }
    kept.encode_to_vec()
}

/// From [`subject_to`].
pub fn subject_from(bytes: &[u8]) -> Result<Subject> {
    let kept = Subjects::decode(bytes).context("a kept subject does not decode")?;
    Ok(match kept {
        Subjects { table: Some(table), key, field, .. } => Subject::Row { table, key: key.into(), field },
        Subjects { series: Some(name), labels, .. } => Subject::Series(series_of(name, labels)),
        Subjects { watcher: Some(name), .. } => Subject::Watcher(name),
        _ => Subject::Host,
    })
}

/// A table's declaration, in the form that dictionaries are kept in.
pub fn decl_to(table: &TableDecl) -> Result<Vec<u8>> {
    let mut alone = Dictionary::default();
    let mark = alone.mark();
    alone.declare_table(table)?;
    alone.declared_since(mark).context("a table without a declaration")
}

/// From [`decl_to`].
pub fn decl_from(bytes: &[u8]) -> Result<TableDecl> {
    let mut alone = Dictionary::default();
    alone.restore(bytes).context("a kept declaration does not decode")?;
    alone.tables().first().cloned().context("a kept declaration is empty")
}

/// Columns of samples by the host's numbers: times, then one column a series.
pub type Columns = (Vec<Timestamp>, Vec<(u32, Vec<Option<f64>>)>);

/// Samples in columns, not yet compressed.
pub fn block_to(times: &[Timestamp], columns: &[(u32, &[Option<f64>])]) -> Vec<u8> {
    let values = columns.iter().map(|(series, values)| {
        let Packed { encoding, missing, data } = columns::pack(values);
        pb::Values { series: *series, encoding, missing, data }
    });
    let times: Vec<i64> = times.iter().map(|time| time.millis()).collect();
    let times = columns::pack_times(&times);
    pb::Block { watcher: String::new(), times, values: values.collect() }.encode_to_vec()
}

/// From [`block_to`].
pub fn block_from(bytes: &[u8]) -> Result<Columns> {
    block_part_from(bytes, |_| true)
}

/// The columns of these series.
pub fn block_part_from(bytes: &[u8], is_wanted: impl Fn(u32) -> bool) -> Result<Columns> {
    let block = pb::Block::decode(bytes).context("a kept chunk does not decode")?;
    let times = columns::unpack_times(&block.times, limits::BLOCK_TIMES)?;
    let unpack = |values: pb::Values| {
        let packed = Packed { encoding: values.encoding, missing: values.missing, data: values.data };
        Ok((values.series, columns::unpack(&packed, times.len())?))
    };
    let wanted = block.values.into_iter().filter(|values| is_wanted(values.series));
    let columns = wanted.map(unpack).collect::<Result<_>>()?;
    Ok((times.into_iter().map(Timestamp::from_millis).collect(), columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::model::{ColumnDecl, ColumnType, Outcome, Role};
    use proptest::prelude::*;

    fn untrusted() -> impl Strategy<Value = Untrusted> {
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Untrusted::from)
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            untrusted().prop_map(Value::Text),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("NaN is not equal to itself", |real| !real.is_nan()).prop_map(Value::Real),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|millis| Value::Time(Timestamp::from_millis(millis))),
            untrusted().prop_map(Value::Version),
            prop::collection::vec(untrusted(), 0..4).prop_map(Value::List),
        ]
    }

    fn fields() -> impl Strategy<Value = BTreeMap<String, Value>> {
        prop::collection::btree_map("[a-z_]{0,8}", value(), 0..6)
    }

    proptest! {
        #[test]
        fn any_fact_survives(
            (key, source, fields) in (untrusted(), untrusted(), fields()),
            unknown in prop::collection::btree_map("[a-z]{0,4}", "\\PC{0,9}", 0..4),
        ) {
            let fact = Fact { key, source, fields, unknown };
            prop_assert_eq!(fact_from(fact.key.as_bytes().to_vec(), &fact_to(&fact)).unwrap(), fact);
        }

        #[test]
        fn any_fields_and_any_baseline_survive(fields in fields(), nulls in prop::collection::vec("[A-Z]{1,4}", 0..3)) {
            prop_assert_eq!(&fields_from(&fields_to(&fields)).unwrap(), &fields);
            let known = fields.into_iter().map(|(name, value)| (name, Some(value)));
            let row: BaselineRow = known.chain(nulls.into_iter().map(|name| (name, None))).collect();
            prop_assert_eq!(approved_from(&approved_to(&row)).unwrap(), row);
        }

        #[test]
        fn any_owners_survive(
            owners in prop::collection::btree_map("[a-z]{1,4}", prop::collection::btree_set(untrusted(), 0..3), 0..3),
        ) {
            prop_assert_eq!(owners_from(&owners_to(&owners)).unwrap(), owners);
        }

        #[test]
        fn any_subject_survives(
            (table, key, field) in ("[a-z]{1,9}", untrusted(), prop::option::of("[a-z]{1,9}")),
            labels in prop::collection::btree_map("[a-z]{1,4}", untrusted(), 0..3),
        ) {
            let series = Series { name: table.clone(), labels };
            prop_assert_eq!(&series_from(series.name.clone(), &labels_to(&series)).unwrap(), &series);
            let subjects =
                [Subject::Watcher(table.clone()), Subject::Row { table, key, field }, Subject::Series(series), Subject::Host];
            for subject in subjects {
                prop_assert_eq!(subject_from(&subject_to(&subject)).unwrap(), subject);
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = fact_from(Vec::new(), &bytes);
            let _ = approved_from(&bytes);
            let _ = owners_from(&bytes);
            let _ = details_from(&bytes);
            let _ = subject_from(&bytes);
            let _ = decl_from(&bytes);
            let _ = block_from(&bytes);
        }
    }

    #[test]
    fn a_look_survives_with_its_problems_and_how_far_it_has_come() {
        let problem = |key: &[u8]| Problem {
            table: "php".to_owned(),
            key_prefix: key.into(),
            path: b"/\xff".as_slice().into(),
            error: "permission denied".to_owned(),
            hint: "grant it".to_owned(),
        };
        let look = WatcherView {
            look: 7,
            at: Timestamp::from_secs(1),
            outcome: Outcome::More,
            problems: vec![problem(b"fpm/"), problem(b"")],
            complete: None,
            told: [("php".to_owned(), false), ("php_pool".to_owned(), true)].into(),
        };
        assert_eq!(details_from(&details_to(&look)).unwrap(), (look.problems, look.told));
    }

    #[test]
    fn a_declaration_survives() {
        let column = ColumnDecl {
            name: "version".to_owned(),
            kind: ColumnType::Version,
            role: Role::State,
            doc: "x".to_owned(),
        };
        let table = TableDecl { name: "php".to_owned(), doc: "PHPs.".to_owned(), columns: vec![column] };
        assert_eq!(decl_from(&decl_to(&table).unwrap()).unwrap(), table);
    }

    #[test]
    fn samples_survive_and_those_that_were_missing_stay_so() {
        let times = [1000, 2000, 3000].map(Timestamp::from_millis);
        let (first, second) = ([Some(1.0), None, Some(-0.1)], [None, None, None]);
        let bytes = block_to(&times, &[(4, &first), (7, &second)]);
        assert_eq!(block_from(&bytes).unwrap(), (times.to_vec(), vec![(4, first.to_vec()), (7, second.to_vec())]));
    }
}
