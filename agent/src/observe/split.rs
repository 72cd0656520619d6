//! A report in pieces that fit into records. Pieces of a full tell belong together by the number of their look.

use std::collections::BTreeMap;

use plumb_proto::model::{Event, Fact, Outcome, Problem, Report, Slice, Tell, Value};

/// Bytes of a piece, about; half of what closes a record, so that pieces fill records well.
const BYTES: usize = 32 << 10;
/// Repeated elements of a piece, about; a record may hold 10,000.
const ELEMENTS: usize = 4_000;
/// Bytes of one row or event; a bigger one is told as unknown.
const ONE: usize = 128 << 10;

/// How much something takes of a record, before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Bytes, rounded up.
    pub bytes: usize,
    /// Repeated elements.
    pub elements: usize,
}

impl std::ops::AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.elements += other.elements;
    }
}

impl Weight {
    fn of_value(value: &Value) -> usize {
        8 + match value {
            Value::Text(text) | Value::Version(text) => text.len(),
            Value::List(items) => items.iter().map(|item| item.len() + 4).sum(),
            _ => 8,
        }
    }

    fn of_fact(fact: &Fact) -> Self {
        let fields: usize = fact.fields.values().map(|value| Self::of_value(value) + 6).sum();
        let unknown: usize = fact.unknown.values().map(|reason| reason.len() + 10).sum();
        let bytes = fact.key.len() + fact.source.len() + fields + unknown + 12;
        Self { bytes, elements: 1 + fact.fields.len() + fact.unknown.len() }
    }

    fn of_event(event: &Event) -> Self {
        let fields: usize = event.fields.iter().map(|(name, value)| name.len() + Self::of_value(value) + 6).sum();
        Self { bytes: event.text.len() + event.kind.len() + fields + 32, elements: 1 + event.fields.len() }
    }

    fn of_problem(problem: &Problem) -> Self {
        let Problem { key_prefix, path, error, hint, .. } = problem;
        Self { bytes: key_prefix.len() + path.len() + error.len() + hint.len() + 24, elements: 1 }
    }

    /// Of a whole report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut sum = Self { bytes: report.watcher.len() + 32, elements: 1 };
        for slice in &report.slices {
            sum += Self { bytes: 12, elements: 1 };
            slice.facts.iter().for_each(|fact| sum += Self::of_fact(fact));
            slice.gone.iter().for_each(|key| sum += Self { bytes: key.len() + 4, elements: 1 });
        }
        report.events.iter().for_each(|event| sum += Self::of_event(event));
        report.problems.iter().for_each(|problem| sum += Self::of_problem(problem));
        sum
    }
}

/// Cuts a report into pieces; the last one ends the look as the report does, and tells its problems.
#[must_use]
pub fn split(report: Report) -> Vec<Report> {
    let Report { watcher, look, at, outcome, slices, events, problems } = report;
    let fresh = || Report {
        watcher: watcher.clone(),
        look,
        at,
        outcome: Outcome::More,
        slices: Vec::new(),
        events: Vec::new(),
        problems: Vec::new(),
    };
    let mut pieces = Pieces { done: Vec::new(), open: fresh(), weight: Weight::default(), fresh: &fresh };
    for Slice { table, tell, facts, gone } in slices {
        let mut parts = Vec::new();
        let mut part = Slice { table: table.clone(), tell, facts: Vec::new(), gone: Vec::new() };
        let mut weight = Weight::default();
        for fact in facts.into_iter().map(bounded_fact) {
            if weight.add_or_reset(Weight::of_fact(&fact)) {
                parts.push(std::mem::replace(
                    &mut part,
                    Slice { table: table.clone(), tell, facts: vec![], gone: vec![] },
                ));
            }
            part.facts.push(fact);
        }
        for key in gone {
            if weight.add_or_reset(Weight { bytes: key.len() + 4, elements: 1 }) {
                parts.push(std::mem::replace(
                    &mut part,
                    Slice { table: table.clone(), tell, facts: vec![], gone: vec![] },
                ));
            }
            part.gone.push(key);
        }
        parts.push(part);
        let last = parts.len() - 1;
        for (position, mut part) in parts.into_iter().enumerate() {
            part.tell = tell_of(tell, position == 0, position == last);
            pieces.add(Weight::of(&Report { slices: vec![part.clone()], ..fresh() }), |piece| piece.slices.push(part));
        }
    }
    for event in events.into_iter().map(bounded_event) {
        pieces.add(Weight::of_event(&event), |piece| piece.events.push(event));
    }
    let mut weight = Weight::default();
    problems.iter().for_each(|problem| weight += Weight::of_problem(problem));
    pieces.add(weight, |piece| piece.problems = problems);
    let mut pieces = pieces.finish();
    if let Some(last) = pieces.last_mut() {
        last.outcome = outcome;
    }
    pieces
}

struct Pieces<'a> {
    done: Vec<Report>,
    open: Report,
    weight: Weight,
    fresh: &'a dyn Fn() -> Report,
}

impl Pieces<'_> {
    fn add(&mut self, weight: Weight, put: impl FnOnce(&mut Report)) {
        if self.weight.add_or_reset(weight) {
            self.done.push(std::mem::replace(&mut self.open, (self.fresh)()));
        }
        put(&mut self.open);
    }

    fn finish(mut self) -> Vec<Report> {
        self.done.push(self.open);
        self.done
    }
}

impl Weight {
    /// Adds; where that would be too much, answers `true` and begins anew with what is added.
    fn add_or_reset(&mut self, more: Self) -> bool {
        let full =
            *self != Self::default() && (self.bytes + more.bytes > BYTES || self.elements + more.elements > ELEMENTS);
        if full {
            *self = Self::default();
        }
        *self += more;
        full
    }
}

fn tell_of(whole: Tell, first: bool, last: bool) -> Tell {
    match (whole, first, last) {
        (Tell::FullOnly, true, false) | (Tell::FullFirst, true, _) => Tell::FullFirst,
        (Tell::FullOnly | Tell::FullLast, false, true) | (Tell::FullLast, true, true) => Tell::FullLast,
        (Tell::FullOnly, true, true) => Tell::FullOnly,
        (Tell::Delta, ..) => Tell::Delta,
        _ => Tell::Full,
    }
}

/// A row that no record could hold is told as one that could not be read.
fn bounded_fact(fact: Fact) -> Fact {
    let Weight { bytes, .. } = Weight::of_fact(&fact);
    if bytes <= ONE {
        return fact;
    }
    let why = format!("the row has {bytes} bytes, more than a record holds");
    Fact { fields: BTreeMap::new(), unknown: [(String::new(), why)].into(), ..fact }
}

/// An event that no record could hold keeps its text.
fn bounded_event(event: Event) -> Event {
    if Weight::of_event(&event).bytes <= ONE { event } else { Event { fields: BTreeMap::new(), ..event } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_proto::model::Severity;
    use plumb_proto::time::Timestamp;

    fn report(facts: usize, size: usize, tell: Tell) -> Report {
        let fact = |number: usize| Fact {
            key: format!("{number:05}").into(),
            fields: [("n".to_owned(), Value::Text("x".repeat(size).into()))].into(),
            ..Fact::default()
        };
        let facts = (0..facts).map(fact).collect();
        let slices = vec![Slice { table: "t".to_owned(), tell, facts, gone: Vec::new() }];
        let at = Timestamp::from_secs(1);
        let problem = Problem {
            table: "t".to_owned(),
            key_prefix: "p".into(),
            path: "/".into(),
            error: "e".to_owned(),
            hint: String::new(),
        };
        Report {
            watcher: "w".to_owned(),
            look: 7,
            at,
            outcome: Outcome::Done,
            slices,
            events: Vec::new(),
            problems: vec![problem],
        }
    }

    fn tells(pieces: &[Report]) -> Vec<Tell> {
        pieces.iter().flat_map(|piece| piece.slices.iter().map(|slice| slice.tell)).collect()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let whole = report(10, 10, Tell::FullOnly);
        assert_eq!(split(whole.clone()), [whole]);
    }

    #[test]
    fn a_long_full_tell_begins_goes_on_and_ends() {
        let pieces = split(report(1000, 100, Tell::FullOnly));
        let told = tells(&pieces);
        assert!(pieces.len() > 3, "{}", pieces.len());
        assert_eq!((told.first(), told.last()), (Some(&Tell::FullFirst), Some(&Tell::FullLast)));
        assert!(told[1..told.len() - 1].iter().all(|tell| *tell == Tell::Full));
        let keys = pieces.iter().flat_map(|piece| &piece.slices).flat_map(|slice| &slice.facts).map(|fact| &fact.key);
        assert!(keys.is_sorted());
        assert!(pieces.iter().all(|piece| piece.look == 7 && Weight::of(piece).bytes <= BYTES + 100));
        let (last, before) = pieces.split_last().unwrap();
        assert_eq!((last.outcome, last.problems.len()), (Outcome::Done, 1));
        assert!(before.iter().all(|piece| piece.outcome == Outcome::More && piece.problems.is_empty()));
    }

    #[test]
    fn parts_of_parts_keep_their_meaning() {
        let told = |tell| tells(&split(report(700, 100, tell)));
        assert_eq!(told(Tell::Delta), [Tell::Delta; 3]);
        assert_eq!(told(Tell::FullFirst), [Tell::FullFirst, Tell::Full, Tell::Full]);
        assert_eq!(told(Tell::Full), [Tell::Full; 3]);
        assert_eq!(told(Tell::FullLast), [Tell::Full, Tell::Full, Tell::FullLast]);
    }

    #[test]
    fn elements_are_bounded_as_well_as_bytes() {
        let mut many = report(0, 0, Tell::Delta);
        many.slices[0].gone = (0..10_000).map(|number| format!("{number}").into()).collect();
        let pieces = split(many);
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.iter().flat_map(|piece| &piece.slices).map(|slice| slice.gone.len()).sum::<usize>(), 10_000);
    }

    #[test]
    fn a_row_that_no_record_could_hold_becomes_unknown_with_its_size() {
        let pieces = split(report(2, ONE, Tell::Delta));
        let facts: Vec<&Fact> = pieces.iter().flat_map(|piece| &piece.slices).flat_map(|slice| &slice.facts).collect();
        assert!(facts.iter().all(|fact| fact.fields.is_empty() && fact.unknown[""].contains("more than a record")));
    }

    #[test]
    fn events_are_spread_over_pieces_in_their_order() {
        let mut storm = report(0, 0, Tell::Delta);
        storm.slices.clear();
        storm.events = (0..100_u64)
            .map(|count| Event {
                at: Timestamp::from_secs(1),
                kind: "line".to_owned(),
                severity: Severity::Info,
                text: "x".repeat(2000).into(),
                fields: BTreeMap::new(),
                count,
            })
            .collect();
        let pieces = split(storm);
        assert!(pieces.len() >= 6);
        let counts: Vec<u64> = pieces.iter().flat_map(|piece| &piece.events).map(|event| event.count).collect();
        assert_eq!(counts, (0..100).collect::<Vec<_>>());
    }
}
