use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use plumb_proto::time::Timestamp;

use super::book::{Written, read};
use super::pattern::Pattern;
use super::*;
use crate::host::Host;
use crate::watcher::testing::{NOW, print};
use crate::watcher::{Look, Told};

const ALL: [Origin; 10] = [
    Origin::PhpError,
    Origin::Nginx,
    Origin::Apache,
    Origin::Fpm,
    Origin::Mysql,
    Origin::Postgresql,
    Origin::Redis,
    Origin::Kernel,
    Origin::System,
    Origin::Mail,
];

const FATAL: &[u8] = b"[21-Nov-2026 10:01:02 UTC] PHP Fatal error:  Uncaught Exception: no in /srv/site/index.php:3";

fn kind(origin: Origin, line: &str) -> Option<&str> {
    find(origin, line.as_bytes()).map(|known| known.kind.as_str())
}

#[test]
fn every_example_is_found_as_what_it_is_and_by_no_origin_as_something_else() {
    for Written { kind: of, origins, examples, .. } in read().unwrap().failure {
        assert!(!examples.is_empty(), "{of}");
        for line in &examples {
            for origin in ALL {
                let found = kind(origin, line);
                let expected = origins.contains(&origin).then_some(of.as_str());
                assert!(
                    found == expected || found.is_none() && expected.is_none(),
                    "{of} as {origin:?}: {found:?}: {line}"
                );
            }
        }
    }
}

#[test]
fn every_pattern_is_worth_searching_for_and_every_word_is_one_that_rules_know() {
    let mut kinds = BTreeSet::new();
    for each in read().unwrap().failure {
        assert!(each.patterns.iter().chain(&each.except).all(|text| Pattern::parse(text).is_some()), "{}", each.kind);
        assert!(Severity::parse(&each.severity).is_some(), "{}: {}", each.kind, each.severity);
        assert!(!each.hint.is_empty() && !each.origins.is_empty() && !each.title.is_empty(), "{}", each.kind);
        let classes = "site_broken database capacity crash hardware compatibility integration mail";
        assert!(classes.split(' ').any(|class| class == each.class), "{}: {}", each.kind, each.class);
        assert!(kinds.insert(each.kind.clone()), "{} twice", each.kind);
    }
}

#[test]
fn noise_is_no_failure() {
    for noise in read().unwrap().noise {
        for (origin, line) in
            noise.origins.iter().flat_map(|origin| noise.examples.iter().map(move |line| (*origin, line)))
        {
            assert_eq!(kind(origin, line), None, "{origin:?}: {line}");
        }
    }
}

#[test]
fn a_pattern_is_pieces_in_their_order() {
    let pattern = |text: &str| Pattern::parse(text).unwrap();
    assert!(pattern("Class \"*\" not found").matches(b"x Class \"A\\B\" not found in"));
    assert!(!pattern("Class \"*\" not found").matches(b"\" not found Class \"A"));
    assert!(pattern(r" \*\* *@ T=remote").matches(b"1tE9 ** a@ T=remote"));
    assert!(!pattern(r" \*\* *@ T=remote").matches(b"1tE9 xx a@ T=remote"));
    assert!(Pattern::parse("six678*c").is_none());
}

#[test]
fn an_exception_takes_a_line_out() {
    assert_eq!(kind(Origin::Kernel, "I/O error, dev sda, sector 0"), Some("disk_error"));
    assert_eq!(kind(Origin::Kernel, "I/O error, dev sr0, sector 0"), None);
}

#[test]
fn a_line_of_a_gigabyte_is_searched_only_at_its_beginning() {
    let mut line = vec![b'x'; 64 << 20];
    line.extend_from_slice(FATAL);
    let began = Instant::now();
    assert!(find(Origin::PhpError, &line).is_none());
    assert!(began.elapsed() < Duration::from_secs(1));
}

struct Desk {
    host: Host,
    clock: std::sync::Arc<plumb_proto::time::ManualClock>,
}

impl Desk {
    fn new() -> Self {
        let clock = std::sync::Arc::new(plumb_proto::time::ManualClock::at(NOW));
        Self { host: Host::new("/nonexistent", clock.clone()), clock }
    }

    fn now(&self) -> Timestamp {
        self.host.clock().now()
    }

    fn tell(&self, tally: &mut Tally) -> Told {
        let mut look = Look::new(&self.host, self.now(), &[], &|_: &str| None);
        tally.tell(&mut look, &|_| None);
        look.into_told()
    }

    fn note(&self, tally: &mut Tally, line: &[u8]) {
        tally.note(find(Origin::PhpError, line).unwrap(), "/var/log/php.log", Some("shop"), line, self.now());
    }
}

#[test]
fn the_first_line_is_told_at_once_and_the_rest_every_five_minutes_until_it_is_quiet() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    assert_eq!(print(&desk.tell(&mut tally)), "");
    desk.note(&mut tally, FATAL);
    desk.note(&mut tally, FATAL);
    let row = |last: &str, count: u32| {
        format!(
            "fact log_failure php_fatal@/var/log/php.log kind=php_fatal severity=warning title=PHP stops with a fatal error \
             site=shop source=/var/log/php.log text=[21-Nov-2026 10:01:02 UTC] PHP Fatal error:  Uncaught Exception: no in \
             /srv/site/index.php:3 first=2026-11-21T10:00:00Z last={last} count={count} from /var/log/php.log\n"
        )
    };
    let counter = |count: u32| {
        format!("sample log_failures_total{{kind=\"php_fatal\",log_source=\"/var/log/php.log\"}} {count}\n")
    };
    let event = |count: u32| {
        format!(
            "event php_fatal warning [21-Nov-2026 10:01:02 UTC] PHP Fatal error:  Uncaught Exception: no in \
             /srv/site/index.php:3 x{count}\n"
        )
    };
    let first = "2026-11-21T10:00:00Z";
    assert_eq!(print(&desk.tell(&mut tally)), format!("{}{}{}", row(first, 2), counter(2), event(2)));
    for seconds in [100, 199] {
        desk.clock.advance(Duration::from_secs(seconds));
        desk.note(&mut tally, FATAL);
    }
    // Nothing of the row moves within five minutes, so that the history of facts stays small.
    assert_eq!(print(&desk.tell(&mut tally)), format!("{}{}", row(first, 2), counter(4)));
    desk.clock.advance(Duration::from_secs(1));
    desk.note(&mut tally, FATAL);
    assert_eq!(print(&desk.tell(&mut tally)), format!("{}{}{}", row("2026-11-21T10:05:00Z", 5), counter(5), event(3)));
    desk.note(&mut tally, FATAL);
    desk.clock.advance(Duration::from_secs(900));
    assert_eq!(print(&desk.tell(&mut tally)), format!("{}{}", counter(6), event(1)));
    assert_eq!(print(&desk.tell(&mut tally)), counter(6));
    desk.clock.advance(Duration::from_secs(86_400));
    assert_eq!(print(&desk.tell(&mut tally)), "");
}

#[test]
fn a_failure_is_not_over_while_its_source_cannot_be_read() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    let known = find(Origin::PhpError, FATAL).unwrap();
    let info = find(Origin::PhpError, b"PHP Deprecated:  x in /srv/a.php on line 7").unwrap();
    for source in ["readable", "denied"] {
        tally.note(known, source, None, FATAL, NOW);
        tally.note(info, source, None, b"x", NOW);
    }
    let _ = desk.tell(&mut tally);
    desk.clock.advance(Duration::from_secs(9_000));
    let unread = Unread { path: b"/denied", why: "permission denied", hint: "" };
    let mut look = Look::new(&desk.host, desk.now(), &[], &|_: &str| None);
    tally.tell(&mut look, &|source| (source == "denied").then_some(unread));
    let told = look.into_told();
    let rows: Vec<String> = told.facts.iter().map(|(_, fact)| fact.key.to_string()).collect();
    assert_eq!(rows, ["php_fatal@denied"]);
    assert!(print(&told).ends_with("\nproblem log_failure php_fatal@denied* /denied: permission denied\n"));
    assert_eq!(desk.tell(&mut tally).facts.len(), 0);
}

#[test]
fn a_tally_that_was_kept_goes_on_as_if_nobody_had_been_killed() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    for step in 0..200_u64 {
        desk.clock.advance(Duration::from_secs(step * 7 % 400));
        if step % 3 != 0 {
            desk.note(&mut tally, FATAL);
        }
        let mut revived = Tally::from_bytes(&tally.to_bytes());
        assert_eq!(revived, tally);
        assert_eq!(print(&desk.tell(&mut revived)), print(&desk.tell(&mut tally)));
        assert_eq!((revived.has_changed(), revived), (tally.has_changed(), tally.clone()));
    }
    assert_eq!(Tally::from_bytes(b"\xff{"), Tally::default());
}

#[test]
fn every_line_is_in_an_event_once() {
    let (desk, mut tally) = (Desk::new(), Tally::default().with_quiet(Duration::from_secs(60)));
    let (mut noted, mut told) = (0, 0);
    for step in 0..500_u64 {
        desk.clock.advance(Duration::from_secs(step * 13 % 90));
        if step % 2 == 0 && step < 490 {
            desk.note(&mut tally, FATAL);
            noted += 1;
        }
        told += desk.tell(&mut tally).events.iter().map(|event| event.count).sum::<u64>();
    }
    assert_eq!((told, noted), (245, 245));
}

#[test]
fn what_is_good_to_know_is_an_event_and_no_row() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    desk.note(&mut tally, b"PHP Deprecated:  x in /srv/a.php on line 7");
    let told = desk.tell(&mut tally);
    assert_eq!((told.facts.len(), told.events.len()), (0, 1));
}

#[test]
fn an_old_line_is_an_event_of_its_time_and_no_row_and_one_from_the_future_is_of_now() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    let known = find(Origin::PhpError, FATAL).unwrap();
    tally.note(known, "old", None, FATAL, NOW - Duration::from_secs(7_200));
    tally.note(known, "ahead", None, FATAL, NOW + Duration::from_secs(7_200));
    let told = desk.tell(&mut tally);
    assert_eq!(told.events.iter().map(|event| event.at).collect::<Vec<_>>(), [NOW, NOW - Duration::from_secs(7_200)]);
    let rows: Vec<String> = told.facts.iter().map(|(_, fact)| fact.key.to_string()).collect();
    assert_eq!(rows, ["php_fatal@ahead"]);
    desk.clock.advance(Duration::from_secs(900));
    assert_eq!(desk.tell(&mut tally).facts.len(), 0);
}

#[test]
fn a_failure_of_several_sites_names_none() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    let known = find(Origin::PhpError, FATAL).unwrap();
    tally.note(known, "log", Some("a"), FATAL, NOW);
    tally.note(known, "log", Some("b"), FATAL, NOW);
    assert!(!desk.tell(&mut tally).facts[0].1.fields.contains_key("site"));
}

#[test]
fn units_of_the_journal_have_rows_of_their_own_and_one_counter() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    let known = find(Origin::PhpError, FATAL).unwrap();
    for unit in ["journal/a.service", "journal/b.service"] {
        tally.note(known, unit, None, FATAL, NOW);
    }
    let told = desk.tell(&mut tally);
    assert_eq!(told.facts.len(), 2);
    let counters: Vec<String> = told.samples.iter().map(|(series, _, value)| format!("{series} {value}")).collect();
    assert_eq!(counters, ["log_failures_total{kind=\"php_fatal\",log_source=\"journal\"} 2"]);
}

#[test]
fn more_sources_than_rows_are_counted() {
    let (desk, mut tally) = (Desk::new(), Tally::default());
    let known = find(Origin::PhpError, FATAL).unwrap();
    for source in 0..tally::ROWS + 50 {
        tally.note(known, &format!("{source:04}"), None, FATAL, NOW);
    }
    let told = desk.tell(&mut tally);
    assert_eq!(told.facts.len(), tally::ROWS);
    assert!(print(&told).contains("sample log_failures_total{kind=\"other\",log_source=\"\"} 50\n"));
    // What is over makes room.
    desk.clock.advance(Duration::from_secs(1_000));
    let _ = desk.tell(&mut tally);
    tally.note(known, "new", None, FATAL, desk.now());
    assert!(print(&desk.tell(&mut tally)).contains("fact log_failure php_fatal@new "));
}
