use plumb_proto::model::{Block, MetricType, Outcome, Tell};
use proptest::prelude::*;

use super::*;
use crate::testing::*;
use compare::Standing;

fn keys(view: &HostView) -> Vec<String> {
    view.tables["php"].rows.keys().map(ToString::to_string).collect()
}

fn rows(names: &[&str]) -> Vec<Fact> {
    names.iter().map(|name| fact(name, &[("binary", (*name).into())])).collect()
}

fn stale(view: &HostView, key: &str) -> Option<String> {
    view.row("php", &key.into()).unwrap().stale.clone()
}

#[test]
fn a_full_tell_closes_what_it_does_not_tell() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b"])), at(0));
    let (changes, touched) = apply(&mut view, &full("php", 2, "php", &rows(&["b", "c"])), at(1));
    assert_eq!(keys(&view), ["b", "c"]);
    assert!(changes.contains(&Change::Closed { table: "php".to_owned(), key: "a".into(), at: at(1) }));
    let touched: Vec<String> = touched.rows["php"].iter().map(ToString::to_string).collect();
    assert_eq!(touched, ["a", "c"]);
}

#[test]
fn rows_of_another_watcher_are_left_alone() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a"])), at(0));
    apply(&mut view, &full("other", 1, "php", &rows(&["b"])), at(0));
    apply(&mut view, &report("other", 2, Outcome::Absent, vec![gone("php", &["a"])]), at(1));
    assert_eq!(keys(&view), ["a"]);
}

#[test]
fn a_full_tell_may_span_reports() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b", "c", "d"])), at(0));
    let tell = |outcome, tell, names: &[&str]| report("php", 2, outcome, vec![slice("php", tell, &rows(names))]);
    apply(&mut view, &tell(Outcome::More, Tell::FullFirst, &["a"]), at(1));
    apply(&mut view, &tell(Outcome::More, Tell::Full, &["b"]), at(2));
    assert_eq!(keys(&view), ["a", "b", "c", "d"], "it has not ended yet");
    apply(&mut view, &tell(Outcome::Done, Tell::FullLast, &["e"]), at(3));
    assert_eq!(keys(&view), ["a", "b", "e"]);
}

#[test]
fn a_new_look_voids_an_unfinished_tell() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b"])), at(0));
    apply(&mut view, &report("php", 2, Outcome::More, vec![slice("php", Tell::FullFirst, &rows(&["a"]))]), at(1));
    // the end of another look's tell, whose begin was lost
    apply(&mut view, &report("php", 3, Outcome::Done, vec![slice("php", Tell::FullLast, &rows(&["a"]))]), at(2));
    assert_eq!(keys(&view), ["a", "b"]);
}

#[test]
fn a_number_of_a_look_that_an_older_epoch_used_confuses_nothing() {
    let mut view = host();
    apply(&mut view, &full("php", 5, "php", &rows(&["a", "b"])), at(0));
    let first = report("php", 5, Outcome::More, vec![slice("php", Tell::FullFirst, &rows(&["a"]))]);
    let last = report("php", 5, Outcome::Done, vec![slice("php", Tell::FullLast, &[])]);
    apply(&mut view, &first, at(1));
    apply(&mut view, &last, at(2));
    assert_eq!(keys(&view), ["a"]);
}

#[test]
fn what_a_problem_covers_becomes_unknown_and_not_gone() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["cli/8.2", "fpm/8.2", "fpm/8.3"])), at(0));
    let mut second = full("php", 2, "php", &[]);
    second.problems = vec![problem("php", "fpm/", "permission denied")];
    let (_, touched) = apply(&mut view, &second, at(1));
    assert_eq!(keys(&view), ["fpm/8.2", "fpm/8.3"]);
    assert_eq!(stale(&view, "fpm/8.2").as_deref(), Some("permission denied"));
    assert_eq!(view.row("php", &"fpm/8.2".into()).unwrap().confirmed, at(0));
    assert_eq!(touched.rows["php"].len(), 3);
    apply(&mut view, &report("php", 3, Outcome::Done, vec![]), at(2));
    assert_eq!(stale(&view, "fpm/8.2"), None, "a complete look without the problem confirms them");
    assert_eq!(view.row("php", &"fpm/8.2".into()).unwrap().confirmed, at(2));
}

#[test]
fn a_row_that_was_told_is_known_whatever_problem_its_neighbours_have() {
    let mut view = host();
    let mut first = full("php", 1, "php", &rows(&["fpm/8.2"]));
    first.problems = vec![problem("php", "fpm/", "permission denied")];
    apply(&mut view, &first, at(0));
    assert_eq!(stale(&view, "fpm/8.2"), None);
}

#[test]
fn a_problem_of_one_report_covers_the_whole_look() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b"])), at(0));
    let mut first = report("php", 2, Outcome::More, vec![slice("php", Tell::FullFirst, &rows(&["a"]))]);
    first.problems = vec![problem("php", "b", "no rights")];
    apply(&mut view, &first, at(1));
    apply(&mut view, &report("php", 2, Outcome::Done, vec![slice("php", Tell::FullLast, &[])]), at(2));
    assert_eq!(stale(&view, "b").as_deref(), Some("no rights"));
}

#[test]
fn a_look_that_failed_makes_rows_unknown_and_none_gone() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a"])), at(0));
    let mut failed = report("php", 2, Outcome::Failed, vec![]);
    failed.problems = vec![problem("", "", "panicked")];
    apply(&mut view, &failed, at(1));
    assert_eq!(stale(&view, "a").as_deref(), Some("panicked"));
    assert_eq!(view.watchers["php"].complete, Some(at(0)));
}

#[test]
fn what_is_absent_has_no_rows() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b"])), at(0));
    let mut absent = report("php", 2, Outcome::Absent, vec![]);
    absent.problems = vec![problem("php", "b", "no rights")];
    apply(&mut view, &absent, at(1));
    assert_eq!(keys(&view), ["b"]);
}

#[test]
fn since_moves_with_the_row_and_confirmed_with_every_complete_look() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a"])), at(0));
    let (changes, touched) = apply(&mut view, &report("php", 2, Outcome::Done, vec![]), at(5));
    assert_eq!(changes, [Change::Looked { watcher: "php".to_owned() }]);
    assert!(touched.rows.is_empty());
    let row = view.row("php", &"a".into()).unwrap();
    assert_eq!((row.since, row.confirmed), (at(0), at(5)));
    apply(&mut view, &delta("php", 3, "php", &[fact("a", &[("binary", "other".into())])]), at(9));
    let row = view.row("php", &"a".into()).unwrap();
    assert_eq!((row.since, row.confirmed), (at(9), at(9)));
}

fn standing(view: &HostView, key: &str, field: Option<&str>) -> Option<String> {
    let all = view.tables["php"].compare(&key.into());
    let found = all.into_iter().find(|each| each.field == field)?;
    Some(match found.standing {
        Standing::Same => "same".to_owned(),
        Standing::Differs { .. } => "differs".to_owned(),
        Standing::Appeared => "appeared".to_owned(),
        Standing::Gone => "gone".to_owned(),
        Standing::Unknown(reason) => reason.to_owned(),
    })
}

#[test]
fn there_is_no_baseline_before_the_first_complete_look() {
    let mut view = host();
    let first = report("php", 1, Outcome::More, vec![slice("php", Tell::FullFirst, &rows(&["a"]))]);
    apply(&mut view, &first, at(0));
    assert_eq!(standing(&view, "a", None), None);
    apply(&mut view, &report("php", 1, Outcome::Done, vec![slice("php", Tell::FullLast, &rows(&["b"]))]), at(1));
    assert_eq!(standing(&view, "a", None).as_deref(), Some("same"));
    assert_eq!(standing(&view, "b", Some("binary")).as_deref(), Some("same"));
}

#[test]
fn an_empty_table_has_a_baseline_too() {
    let mut view = host();
    apply(&mut view, &report("php", 1, Outcome::Absent, vec![slice("php", Tell::FullOnly, &[])]), at(0));
    apply(&mut view, &full("php", 2, "php", &rows(&["a"])), at(1));
    assert_eq!(standing(&view, "a", None).as_deref(), Some("appeared"));
}

#[test]
fn what_a_first_look_could_not_see_joins_the_baseline_when_it_is_seen() {
    let mut view = host();
    let mut first = full("php", 1, "php", &[unknown(fact("a", &[]), "binary", "no rights")]);
    first.problems = vec![problem("php", "fpm/", "no rights")];
    apply(&mut view, &first, at(0));
    apply(&mut view, &full("php", 2, "php", &rows(&["a", "fpm/8.2"])), at(1));
    assert_eq!(standing(&view, "a", Some("binary")).as_deref(), Some("same"));
    assert_eq!(standing(&view, "fpm/8.2", None).as_deref(), Some("same"));
    // the prefix has been seen now: what comes later is new
    apply(&mut view, &full("php", 3, "php", &rows(&["a", "fpm/8.2", "fpm/8.3"])), at(2));
    assert_eq!(standing(&view, "fpm/8.3", None).as_deref(), Some("appeared"));
    apply(&mut view, &delta("php", 4, "php", &[fact("a", &[("binary", "other".into())])]), at(3));
    assert_eq!(standing(&view, "a", Some("binary")).as_deref(), Some("differs"));
}

#[test]
fn a_blind_spot_that_shrinks_stays_blind_where_it_is() {
    let mut view = host();
    let look = |number, names: &[&str], hidden: &str| {
        let mut look = full("php", number, "php", &rows(names));
        look.problems = vec![problem("php", hidden, "no rights")];
        look
    };
    apply(&mut view, &look(1, &[], ""), at(0));
    apply(&mut view, &look(2, &["a"], "fpm/"), at(1));
    apply(&mut view, &full("php", 3, "php", &rows(&["a", "b", "fpm/8.2"])), at(2));
    assert_eq!(standing(&view, "a", None).as_deref(), Some("same"));
    assert_eq!(standing(&view, "b", None).as_deref(), Some("appeared"));
    assert_eq!(standing(&view, "fpm/8.2", None).as_deref(), Some("same"));
}

#[test]
fn a_column_that_comes_later_starts_its_own_baseline() {
    let mut view = host();
    let mut decl = view.tables["php"].decl.clone().unwrap();
    let removed = decl.columns.iter().position(|column| column.name == "binary").unwrap();
    let column = decl.columns.remove(removed);
    view.declare(&decl);
    apply(&mut view, &full("php", 1, "php", &[fact("a", &[])]), at(0));
    decl.columns.push(column);
    assert_eq!(view.declare(&decl), [Change::Declared { table: "php".to_owned() }]);
    assert_eq!(standing(&view, "a", Some("binary")), None, "not told yet");
    apply(&mut view, &delta("php", 2, "php", &rows(&["a"])), at(1));
    assert_eq!(standing(&view, "a", Some("binary")).as_deref(), Some("same"));
}

#[test]
fn null_is_a_value_of_the_baseline() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &[fact("a", &[])]), at(0));
    apply(&mut view, &delta("php", 2, "php", &rows(&["a"])), at(1));
    assert_eq!(standing(&view, "a", Some("binary")).as_deref(), Some("differs"));
}

#[test]
fn approving_makes_what_stands_the_baseline_and_leaves_what_is_unknown() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b", "c"])), at(0));
    let moved = fact("a", &[("binary", "moved".into()), ("package", "p".into())]);
    let hidden = unknown(fact("b", &[]), "binary", "no rights");
    apply(&mut view, &full("php", 2, "php", &[moved, hidden, fact("d", &[])]), at(1));
    let changes = view.approve(Some("php"), Some(&"a".into()), Some("binary"));
    assert_eq!(changes, [Change::Baseline { table: "php".to_owned(), key: "a".into() }]);
    assert_eq!(standing(&view, "a", Some("binary")).as_deref(), Some("same"));
    assert_eq!(standing(&view, "a", Some("package")).as_deref(), Some("differs"));
    view.approve(None, None, None);
    for (key, field) in [("a", Some("package")), ("c", None), ("d", None)] {
        assert_eq!(standing(&view, key, field).as_deref(), Some("same"), "{key}");
    }
    assert_eq!(view.tables["php"].baseline[&Untrusted::from("b")]["binary"], Some("b".into()));
    assert_eq!(standing(&view, "b", Some("binary")).as_deref(), Some("no rights"));
    assert!(view.approve(None, None, None).is_empty());
}

#[test]
fn a_table_has_an_end() {
    let mut view = host();
    let many: Vec<Fact> = (0..=plumb_proto::limits::TABLE_ROWS).map(|n| fact(&format!("{n:05}"), &[])).collect();
    apply(&mut view, &full("php", 1, "php", &many), at(0));
    assert_eq!(view.tables["php"].rows.len(), plumb_proto::limits::TABLE_ROWS);
    let problems = &view.watchers["php"].problems;
    assert_eq!((problems.len(), problems[0].key_prefix.to_string().as_str()), (1, "20000"));
}

#[test]
fn a_counter_remembers_when_it_grew_and_how_fast() {
    let mut view = host();
    let name = series("oom_kills_total", &[]);
    let block = |times: &[i64], values: &[Option<f64>]| Block {
        watcher: "system".to_owned(),
        times: times.iter().map(|second| at(*second)).collect(),
        columns: vec![(name.clone(), MetricType::Counter, values.to_vec())],
    };
    let mut touched = Touched::default();
    view.take_block(&block(&[0, 10, 20], &[Some(5.0), Some(7.0), Some(7.0)]), 1000, &mut touched);
    let sampled = view.series["oom_kills_total"][&name].clone();
    assert_eq!((sampled.at, sampled.value, sampled.risen), (at(21), Some(7.0), Some(at(11))));
    let rate = sampled.rate.unwrap();
    assert!(rate > 0.19 && rate < 0.2, "{rate}");
    view.take_block(&block(&[30, 40], &[Some(1.0), None]), 1000, &mut touched);
    let sampled = view.series["oom_kills_total"][&name].clone();
    assert_eq!((sampled.value, sampled.risen), (None, Some(at(31))), "it began anew, and not at zero");
    assert!(touched.series.contains(&name));
}

#[test]
fn series_of_epochs_long_past_make_room() {
    let mut view = host();
    let limit = plumb_proto::limits::SERIES;
    for epoch in 0..4 {
        let values: Vec<_> = (0..limit).map(|n| (series("x", &[("n", &format!("{epoch}.{n}"))]), 1.0)).collect();
        samples(&mut view, at(epoch), &values);
    }
    let left: usize = view.series.values().map(BTreeMap::len).sum();
    assert!(left <= 2 * limit);
    assert!(view.series["x"].values().all(|sampled| sampled.at >= at(2)));
}

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
        view.confirm_loaded();
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
            let mut loaded = mirror.load(&view);
            // the number of a look matters within an unfinished tell only
            let unfinished = view.watchers.values().any(|watcher| !watcher.told.is_empty());
            if !unfinished {
                for (key, row) in &mut loaded.tables.get_mut("php").unwrap().rows {
                    row.look = view.row("php", key).unwrap().look;
                }
            }
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
