//! The shipped rules of backups, over months of virtual time: by reports of the agent, and by the hourly sweep alone.

use plumb_proto::model::{ColumnType, Outcome, Role, Value};

use super::*;
use crate::drift::policy::Policy;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const KEY: &str = "/var/backups/db-*.sql.gz";

fn host_with_backups() -> Stage {
    let mut stage = stage();
    let policy = Policy::load(&[], &[]).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let detectors: Vec<Box<dyn crate::drift::detector::Detector>> = vec![Box::new(Changed), Box::new(policy)];
    stage.pipeline = Pipeline::new(detectors, Silent::default(), Duration::from_secs(86_400), stage.clock.clone());
    stage.desk.view.declare(&table(
        "backup",
        &[
            ("kind", ColumnType::Text, Role::State),
            ("location", ColumnType::Text, Role::State),
            ("newest", ColumnType::Time, Role::Moving),
            ("size", ColumnType::Int, Role::Moving),
            ("files", ColumnType::Int, Role::Moving),
            ("valid", ColumnType::Bool, Role::Moving),
            ("verdict", ColumnType::Text, Role::Moving),
            ("reason", ColumnType::Text, Role::Moving),
            ("interval_seconds", ColumnType::Int, Role::Moving),
            ("late_after_seconds", ColumnType::Int, Role::Moving),
            ("typical_size", ColumnType::Int, Role::Moving),
            ("declared", ColumnType::Bool, Role::Moving),
        ],
    ));
    stage
}

/// A backup that is written at that second.
fn backup(second: i64, size: i64, valid: Option<bool>) -> Fact {
    let verdict = match valid {
        Some(true) => "complete",
        Some(false) => "incomplete",
        None => "unknown",
    };
    let mut row = fact(
        KEY,
        &[
            ("kind", "sql.gz".into()),
            ("location", "/var/backups".into()),
            ("newest", Value::Time(at(second))),
            ("size", Value::Int(size)),
            ("files", Value::Int(7)),
            ("verdict", verdict.into()),
            ("interval_seconds", Value::Int(DAY)),
            ("late_after_seconds", Value::Int(37 * HOUR)),
            ("typical_size", Value::Int(1_000_000)),
            ("declared", false.into()),
        ],
    );
    row.fields.extend(valid.map(|valid| ("valid".to_owned(), valid.into())));
    if valid == Some(false) {
        row.fields.insert("reason".to_owned(), "the compressed stream ends too early".into());
    }
    row
}

impl Stage {
    fn now(&self) -> i64 {
        (self.clock.now().millis() - at(0).millis()) / 1000
    }

    fn says(&mut self, row: Fact) {
        let report = match self.seq {
            0 => full("backups", 1, "backup", &[row]),
            look => delta("backups", look + 1, "backup", &[row]),
        };
        let now = self.now();
        self.receive(now, report);
    }

    /// Time passes: the agent says each hour that nothing has changed, and the collector sweeps.
    fn hours(&mut self, hours: i64) {
        for _ in 0..hours {
            self.pass(3_600);
            let (now, look) = (self.now(), self.seq + 1);
            self.receive(now, report("backups", look, Outcome::Done, vec![]));
            self.pipeline.tick(&mut self.desk, &HostId([7; 16]), self.clock.now(), true).unwrap();
        }
    }

    fn live(&self) -> Vec<(&str, &str)> {
        let live = self.desk.drifts.iter().filter(|each| each.state.is_live());
        live.map(|each| (each.drift.rule.as_str(), each.drift.severity.as_str())).collect()
    }
}

#[test]
fn a_backup_each_night_says_nothing_for_two_months() {
    let mut stage = host_with_backups();
    for night in 0..60 {
        let now = stage.now();
        stage.says(backup(now, 1_000_000 + night * 1_000, Some(true)));
        stage.hours(24);
    }
    assert_eq!((stage.alerts(), stage.states()), (vec![], vec![]));
}

#[test]
fn a_missing_backup_is_told_by_time_alone_worsens_and_ends_with_the_next() {
    let mut stage = host_with_backups();
    stage.says(backup(0, 1_000_000, Some(true)));
    stage.hours(37);
    assert_eq!(stage.live(), []);
    stage.hours(1);
    assert_eq!(stage.live(), [("backup_stale", "warning")]);
    assert_eq!(stage.alerts(), [format!("opened the backup {KEY} is late")]);
    stage.hours(23);
    assert_eq!(stage.live(), [("backup_stale", "warning")]);
    stage.hours(1);
    assert_eq!(stage.live(), [("backup_stale", "critical")]);
    stage.alerts();
    let now = stage.now();
    stage.says(backup(now, 1_000_000, Some(true)));
    assert_eq!(stage.alerts(), [format!("resolved the backup {KEY} is late")]);
    assert_eq!(stage.live(), []);
    assert_eq!(stage.states().len(), 1);
}

#[test]
fn a_truncated_dump_is_one_drift_although_it_is_small_too() {
    let mut stage = host_with_backups();
    stage.says(backup(0, 1_000_000, Some(true)));
    stage.hours(10);
    let now = stage.now();
    stage.says(backup(now, 100_000, Some(false)));
    stage.hours(1);
    assert_eq!(stage.live(), [("backup_incomplete", "critical")]);
    assert_eq!(stage.alerts(), [format!("opened the newest backup of {KEY} is not whole")]);
    // while a new one is written, it is not known what is there
    let mut writing = unknown(backup(now, 100_000, None), "valid", "it is being written");
    writing.fields.remove("typical_size");
    stage.says(writing);
    stage.hours(1);
    assert_eq!(stage.live(), [("backup_incomplete", "critical")]);
    stage.says(backup(now + HOUR, 1_000_000, Some(true)));
    assert_eq!(stage.alerts(), [format!("resolved the newest backup of {KEY} is not whole")]);
    assert_eq!((stage.live(), stage.states().len()), (vec![], 1));
}

#[test]
fn a_small_backup_is_told_where_its_format_does_not_say_that_it_is_whole() {
    let mut stage = host_with_backups();
    stage.says(backup(0, 1_000_000, None));
    stage.hours(24);
    assert_eq!(stage.live(), []);
    stage.says(backup(DAY, 499_999, None));
    assert_eq!(stage.live(), [("backup_size", "warning")]);
    stage.says(backup(DAY + HOUR, 500_000, None));
    assert_eq!(stage.live(), []);
}

#[test]
fn a_series_without_a_rhythm_never_comes_late() {
    let mut stage = host_with_backups();
    let mut row = backup(0, 1_000_000, Some(true));
    row.fields.remove("interval_seconds");
    row.fields.remove("late_after_seconds");
    stage.says(row);
    stage.hours(24 * 90);
    assert_eq!(stage.states(), [""; 0]);
}

#[test]
fn a_declared_backup_without_files_is_one_drift() {
    let mut stage = host_with_backups();
    let mut row = backup(0, 1_000_000, None);
    for column in ["newest", "size", "typical_size", "verdict"] {
        row.fields.remove(column);
    }
    row.fields.extend([("files".to_owned(), Value::Int(0)), ("declared".to_owned(), true.into())]);
    stage.says(row);
    stage.hours(72);
    assert_eq!(stage.live(), [("backup_missing", "critical")]);
    let mut there = backup(72 * HOUR, 1_000_000, Some(true));
    there.fields.insert("declared".to_owned(), true.into());
    stage.says(there);
    assert_eq!((stage.live(), stage.states().len()), (vec![], 1));
}
