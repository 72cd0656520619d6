//! What has changed on a host, found in its history.

use plumb_proto::model::{Event, Outcome, Payload, Value};

use super::bench::{Bench, Sender, at, each_engine, event, fact, full, report};
use crate::change_set::{Change, group};

fn told(bench: &mut Bench, web: &Sender, seconds: i64) -> Vec<String> {
    let changes = bench.ask().changes(&web.host, at(seconds)).unwrap();
    let sets = group(&web.host, changes);
    sets.iter().flat_map(|set| set.items.iter().map(Change::words)).collect()
}

#[test]
fn how_a_host_was_found_is_no_change_and_what_came_after_is() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        web.send(bench, &full(1, vec![fact("fpm/8.2", "8.2.29")]));
        assert_eq!(told(bench, &web, 0), [""; 0]);
        web.send(bench, &full(10, vec![fact("fpm/8.2", "8.2.30"), fact("cli/8.2", "8.2.30")]));
        web.send(bench, &full(20, vec![fact("fpm/8.2", "8.2.31")]));
        let late = ["php cli/8.2 removed", "version of php fpm/8.2: 8.2.30 -> 8.2.31"];
        let all = ["php cli/8.2 added", "version of php fpm/8.2: 8.2.29 -> 8.2.30", late[0], late[1]];
        assert_eq!(told(bench, &web, 0), all);
        assert_eq!(told(bench, &web, 15 * 60), late);
        assert_eq!(told(bench, &web, 21 * 60), [""; 0]);
    });
}

#[test]
fn a_row_that_comes_again_is_one_that_went_and_one_that_came() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let both = || vec![fact("fpm/8.2", "8.2.29"), fact("cli/8.2", "8.2.29")];
        web.send(bench, &full(1, both()));
        web.send(bench, &full(10, vec![fact("fpm/8.2", "8.2.29")]));
        web.send(bench, &full(20, both()));
        assert_eq!(told(bench, &web, 0), ["php cli/8.2 removed", "php cli/8.2 added"]);
    });
}

#[test]
fn files_that_changed_are_among_the_changes_and_other_events_are_not() {
    each_engine(|bench| {
        let mut web = bench.enrol(1, "web1");
        let mut report = report(1, Outcome::Done, Vec::new());
        let fields = [("path".to_owned(), Value::from("/srv/a.php")), ("tree".to_owned(), Value::from("/srv"))];
        let changed = Event { fields: fields.into(), count: 3, ..event("file_changed", "/srv/a.php changed") };
        report.events = vec![event("oom_kill", "x"), changed];
        web.send(bench, &Payload { reports: vec![report], ..Payload::default() });
        let changes = bench.ask().changes(&web.host, at(0)).unwrap();
        let told: Vec<_> = changes.iter().map(|each| (each.words(), each.count, each.at)).collect();
        assert_eq!(told, [("file /srv/a.php changed".to_owned(), 3, at(5))]);
    });
}
