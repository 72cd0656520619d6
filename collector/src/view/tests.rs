use plumb_proto::model::{Block, MetricType, Outcome, Tell};

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
    assert_eq!(touched, ["a", "b", "c"]);
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
fn a_new_epoch_voids_what_the_old_one_had_begun() {
    let mut view = host();
    apply(&mut view, &full("php", 1, "php", &rows(&["a", "b"])), at(0));
    let first = |names: &[&str]| report("php", 5, Outcome::More, vec![slice("php", Tell::FullFirst, &rows(names))]);
    apply(&mut view, &first(&["a"]), at(1));
    assert_eq!(view.begin_epoch(), [Change::Looked { watcher: "php".to_owned() }]);
    apply(&mut view, &first(&["b"]), at(2));
    apply(&mut view, &report("php", 5, Outcome::Done, vec![slice("php", Tell::FullLast, &[])]), at(3));
    assert_eq!(keys(&view), ["b"]);
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
fn what_comes_where_nothing_was_has_appeared() {
    let mut view = host();
    apply(&mut view, &report("php", 1, Outcome::Absent, vec![]), at(0));
    apply(&mut view, &delta("php", 2, "php", &rows(&["a"])), at(1));
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
fn a_host_has_so_many_watchers_and_one_too_many_is_left_out() {
    let mut view = host();
    for number in 0..WATCHERS + 9 {
        let row = fact(&format!("fpm/{number}"), &[]);
        apply(&mut view, &full(&format!("w{number}"), 1, "php", &[row]), at(0));
    }
    assert_eq!((view.watchers.len(), view.tables["php"].rows.len()), (WATCHERS, WATCHERS));
    apply(&mut view, &report("w0", 2, Outcome::Absent, vec![]), at(1));
    assert_eq!(view.tables["php"].rows.len(), WATCHERS - 1);
}

#[test]
fn a_look_with_too_many_problems_has_not_seen_the_table() {
    let mut view = host();
    let rows: Vec<Fact> = (0..400).map(|n| fact(&format!("{n:03}"), &[])).collect();
    apply(&mut view, &full("php", 1, "php", &rows), at(0));
    let mut blind = full("php", 2, "php", &[]);
    blind.outcome = Outcome::More;
    blind.problems = (0..300).map(|n| problem("php", &format!("{n:03}"), "permission denied")).collect();
    apply(&mut view, &blind, at(1));
    let mut rest = report("php", 2, Outcome::Done, vec![]);
    rest.problems = blind.problems.clone();
    apply(&mut view, &rest, at(2));
    assert_eq!(view.watchers["php"].problems.len(), 257);
    let stale = |key: &str| view.row("php", &key.into()).and_then(|row| row.stale.clone());
    assert_eq!(stale("007").as_deref(), Some("permission denied"));
    assert_eq!(stale("299").as_deref(), Some("more than 256 problems: the rest is not listed"));
    assert_eq!(view.tables["php"].rows.len(), 400, "none is gone");
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
    let times = [at(1), at(11), at(21)];
    view.take_block(&block(&[0, 10, 20], &[Some(5.0), Some(7.0), Some(7.0)]), &times, &mut touched);
    let sampled = view.series["oom_kills_total"][&name].clone();
    assert_eq!((sampled.at, sampled.value, sampled.risen), (at(21), Some(7.0), Some(at(11))));
    let rate = sampled.rate.unwrap();
    assert!(rate > 0.19 && rate < 0.2, "{rate}");
    view.take_block(&block(&[30, 40], &[Some(1.0), None]), &[at(31), at(41)], &mut touched);
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

mod properties;
