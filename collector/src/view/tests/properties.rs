//! What holds whatever hosts say.

use plumb_proto::model::{Outcome, Tell};
use proptest::prelude::*;

use super::*;

/// A store that writes down changes and nothing else.
#[derive(Default)]
struct Mirror {
    rows: BTreeMap<String, BTreeMap<Untrusted, Row>>,
    baseline: BTreeMap<String, BTreeMap<Untrusted, BaselineRow>>,
    baselined: BTreeMap<String, BTreeMap<String, BTreeSet<Untrusted>>>,
    watchers: BTreeMap<String, WatcherView>,
}

impl Mirror {
    fn write(&mut self, view: &HostView, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Opened(row) => {
                    self.rows.entry(row.table.clone()).or_default().insert(row.fact.key.clone(), row.clone());
                }
                Change::Closed { table, key, .. } => {
                    self.rows.entry(table.clone()).or_default().remove(key);
                }
                Change::Touched { table, key } => {
                    if let Some(row) = view.row(table, key) {
                        self.rows.entry(table.clone()).or_default().insert(key.clone(), row.clone());
                    }
                }
                Change::Baseline { table, key } => {
                    let of_table = self.baseline.entry(table.clone()).or_default();
                    match view.tables[table].baseline.get(key) {
                        Some(row) => of_table.insert(key.clone(), row.clone()),
                        None => of_table.remove(key),
                    };
                }
                Change::Baselined { table } => {
                    self.baselined.insert(table.clone(), view.tables[table].baselined.clone());
                }
                Change::Declared { .. } => {}
                Change::Looked { watcher } => {
                    self.watchers.insert(watcher.clone(), view.watchers[watcher].clone());
                }
            }
        }
    }

    /// A view as it is after a restart.
    fn load(&self, decls: &HostView) -> HostView {
        let mut view = HostView::new(host_row());
        for (name, table) in &decls.tables {
            let rows = self.rows.get(name).cloned().unwrap_or_default();
            let baseline = self.baseline.get(name).cloned().unwrap_or_default();
            let baselined = self.baselined.get(name).cloned().unwrap_or_default();
            view.tables.insert(name.clone(), TableView { decl: table.decl.clone(), rows, baseline, baselined });
        }
        view.watchers = self.watchers.clone();
        for row in view.tables.values_mut().flat_map(|table| table.rows.values_mut()) {
            let complete = self.watchers.get(&row.owner).and_then(|watcher| watcher.complete);
            if let (None, Some(complete)) = (&row.stale, complete) {
                row.confirmed = row.confirmed.max(complete);
            }
        }
        view
    }
}

fn any_fact() -> impl Strategy<Value = Fact> {
    ("[ab]/[0-3]", 0..3i64, any::<bool>()).prop_map(|(key, value, hidden)| {
        let told = fact(&key, &[("binary", format!("v{value}").into()), ("running", hidden.into())]);
        if value == 2 { unknown(told, "binary", "hidden") } else { told }
    })
}

fn any_report() -> impl Strategy<Value = plumb_proto::model::Report> {
    let tell = prop::sample::select(vec![Tell::Delta, Tell::FullFirst, Tell::Full, Tell::FullLast, Tell::FullOnly]);
    let slices = prop::collection::vec(
        (tell, prop::collection::vec(any_fact(), 0..4), prop::collection::vec("[ab]/[0-3]", 0..2)),
        0..2,
    );
    let outcome =
        prop::sample::select(vec![Outcome::Done, Outcome::Done, Outcome::More, Outcome::Absent, Outcome::Failed]);
    let problems = prop::collection::vec("[ab]/|", 0..2);
    (prop::sample::select(vec!["one", "two"]), 1..4u64, outcome, slices, problems).prop_map(
        |(watcher, look, outcome, slices, problems)| {
            let slices = slices.into_iter().map(|(tell, facts, gone)| plumb_proto::model::Slice {
                table: "php".to_owned(),
                tell,
                facts,
                gone: if tell == Tell::Delta { gone.iter().map(|key| key.as_str().into()).collect() } else { vec![] },
            });
            let mut told = report(watcher, look, outcome, slices.collect());
            told.problems = problems.iter().map(|prefix| problem("php", prefix, "no rights")).collect();
            told
        },
    )
}

proptest! {
    /// Whatever hosts say, a store that wrote down the changes knows after a restart what the view knows.
    #[test]
    fn changes_tell_a_store_everything(reports in prop::collection::vec(any_report(), 1..25)) {
        let mut view = host();
        let mut mirror = Mirror::default();
        for (second, report) in (0..).zip(&reports) {
            let (changes, _) = apply(&mut view, report, at(second));
            mirror.write(&view, &changes);
            let loaded = mirror.load(&view);
            prop_assert_eq!(&loaded, &view);
        }
    }

    /// No row ends by a look that failed, by one that has not ended, nor under a problem.
    #[test]
    fn no_row_ends_unseen(reports in prop::collection::vec(any_report(), 1..25)) {
        let mut view = host();
        for (second, report) in (0..).zip(&reports) {
            let before = view.clone();
            apply(&mut view, report, at(second));
            for (key, row) in &before.tables["php"].rows {
                let told = report.slices.iter().any(|slice| slice.facts.iter().any(|fact| fact.key == *key));
                if view.row("php", key).is_some() || told {
                    continue;
                }
                prop_assert_eq!(&row.owner, &report.watcher);
                prop_assert!(!report.problems.iter().any(|each| key.as_bytes().starts_with(each.key_prefix.as_bytes())));
                let named = report.slices.iter().any(|slice| slice.gone.contains(key));
                let ended = report.slices.iter().any(|slice| matches!(slice.tell, Tell::FullLast | Tell::FullOnly));
                prop_assert!(named || ended || report.outcome == Outcome::Absent);
            }
        }
    }

    /// A full tell means the same in one slice and in several, over several reports, with a restart in between.
    #[test]
    fn a_tell_in_parts_is_the_whole_tell(
        before in prop::collection::btree_map("[ab]/[0-3]", 0..3i64, 0..8),
        told in prop::collection::btree_map("[ab]/[0-3]", 0..3i64, 2..8),
        cut in 1..7usize,
    ) {
        let facts = |map: &BTreeMap<String, i64>| -> Vec<Fact> {
            map.iter().map(|(key, value)| fact(key, &[("binary", format!("v{value}").into())])).collect()
        };
        let told = facts(&told);
        let (head, tail) = told.split_at(cut.min(told.len()));
        let mut whole = host();
        apply(&mut whole, &full("php", 1, "php", &facts(&before)), at(0));
        let mut mirror = Mirror::default();
        let mut parts = host();
        let (changes, _) = apply(&mut parts, &full("php", 1, "php", &facts(&before)), at(0));
        mirror.write(&parts, &changes);
        apply(&mut whole, &full("php", 2, "php", &told), at(1));
        let first = report("php", 2, Outcome::More, vec![slice("php", Tell::FullFirst, head)]);
        let (changes, _) = apply(&mut parts, &first, at(1));
        mirror.write(&parts, &changes);
        let mut parts = mirror.load(&parts);
        apply(&mut parts, &report("php", 2, Outcome::Done, vec![slice("php", Tell::FullLast, tail)]), at(1));
        prop_assert_eq!(whole, parts);
    }
}
