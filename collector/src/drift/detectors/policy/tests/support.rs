//! Programs that nobody patches any more, and those that soon will not be.

use plumb_proto::model::{ColumnType, Role};

use super::*;

fn with(table_name: &str, row: Fact) -> HostView {
    let mut view = with_php(php("8.2.29", "debian"));
    let columns = [("version", ColumnType::Version, Role::State), ("provenance", ColumnType::Text, Role::State)];
    view.declare(&table(table_name, &columns));
    apply(&mut view, &full("w", 1, table_name, &[row]), at(0));
    view
}

fn row(key: &str, of: &str, provenance: &str) -> Fact {
    fact(key, &[("version", version(of)), ("provenance", provenance.into())])
}

fn drifts(view: &HostView) -> Vec<String> {
    told(&shipped(), view, at(1)).into_iter().filter(|line| line != "holds").collect()
}

#[test]
fn a_program_that_nobody_patches_any_more_is_a_drift_whatever_table_tells_of_it() {
    assert_eq!(
        drifts(&with("database", row("mysql/main", "8.0.44", "mysql"))),
        ["warning support_ended: MySQL 8.0.44 (database/mysql/main) gets no more security fixes"]
    );
    assert_eq!(
        drifts(&with("runtime", row("node/18", "18.20.8", "nodesource"))),
        ["warning support_ended: Node.js 18.20.8 (runtime/node/18) gets no more security fixes"]
    );
    let site =
        fact("/srv/shop", &[("product", "drupal".into()), ("kind", "cms".into()), ("version", version("7.103"))]);
    assert_eq!(
        drifts(&with("cms", site)),
        ["warning support_ended: Drupal 7.103 (cms//srv/shop) gets no more security fixes"]
    );
}

#[test]
fn an_end_within_90_days_is_told_ahead() {
    // 2026-12-16 is 25 days ahead, laravel 12's 2027-02-24 95
    let site = |product: &str, kind: &str, of: &str| {
        fact("/srv/shop", &[("product", product.into()), ("kind", kind.into()), ("version", version(of))])
    };
    assert_eq!(
        drifts(&with("cms", site("drupal", "cms", "10.6.1"))),
        ["info support_ends: Drupal 10.6.1 (cms//srv/shop) gets security fixes for 25 more days"]
    );
    assert_eq!(drifts(&with("cms", site("laravel", "framework", "12.0.1"))), [""; 0]);
}

#[test]
fn what_is_not_judged_newer_than_the_dates_or_a_courtesy_is_no_drift() {
    for (key, of, provenance) in [("percona/main", "8.0.39", "percona"), ("postgresql/99/main", "99.1", "pgdg")] {
        assert_eq!(drifts(&with("database", row(key, of, provenance))), [""; 0], "{key}");
    }
    let site = fact("/srv/blog", &[("product", "wordpress".into()), ("version", version("6.4.2"))]);
    assert_eq!(drifts(&with("cms", site)), [""; 0]);
}

#[test]
fn what_could_not_be_read_opens_nothing_and_closes_nothing() {
    let hidden = unknown(row("mysql/main", "8.0.44", "mysql"), "version", "permission denied");
    let told = drifts(&with("database", hidden));
    assert!(
        !told.is_empty() && told.iter().all(|line| line.contains("version is not known: permission denied")),
        "{told:?}"
    );
}

#[test]
fn the_drift_says_who_patches_both_days_and_what_to_do() {
    let view = with("database", row("mysql/main", "8.0.44", "mysql"));
    let verdicts = shipped().detect(&view, &all(&view), at(1));
    let drift = verdicts.iter().find_map(|each| if let Verdict::Drift(drift) = each { Some(drift) } else { None });
    let drift = drift.unwrap();
    assert_eq!(drift.actual.as_deref(), Some("patched by MySQL upstream until 2026-04-30"));
    assert_eq!(
        drift.hint.as_deref(),
        Some("upgrade to a newer line, with a backup that was tried: data folders do not go back")
    );
    assert_eq!(drift.subject.to_string(), "support database/mysql/main");
}

#[test]
fn a_program_that_is_gone_ends_its_drift() {
    let mut view = with("database", row("mysql/main", "8.0.44", "mysql"));
    let (_, touched) = apply(&mut view, &full("w", 2, "database", &[]), at(2));
    let verdicts = shipped().detect(&view, &touched, at(2));
    let of_support = |verdict: &Verdict| matches!(verdict, Verdict::Moot(_));
    assert!(verdicts.iter().filter(|each| of_support(each)).count() >= 2, "{verdicts:?}");
    assert!(!verdicts.iter().any(|each| matches!(each, Verdict::Drift(_))));
}

#[test]
fn a_new_release_of_the_system_judges_all_of_its_programs_anew() {
    let mut view = with("database", row("mariadb/main", "10.5.20", "debian"));
    let os = fact("os", &[("id", "debian".into()), ("version", version("13")), ("name", "Debian GNU/Linux".into())]);
    let (_, touched) = apply(&mut view, &delta("system", 2, "os", &[os]), at(2));
    let verdicts = shipped().detect(&view, &touched, at(2));
    let titles =
        verdicts.iter().filter_map(|each| if let Verdict::Drift(drift) = each { drift.actual.clone() } else { None });
    assert_eq!(
        titles.collect::<Vec<_>>(),
        [
            "patched by Debian 11 LTS until 2026-08-31; upstream until 2025-06-24; it is a package of Debian 11 that stayed \
          behind on Debian 13"
        ]
    );
}

#[test]
fn other_dates_judge_as_soon_as_they_are_in_force() {
    use crate::drift::support::{Dates, File, Files};
    let file = |name: &str, text: &str| File { name: name.to_owned(), text: text.to_owned() };
    let head = "product,cycle,release,active_support_end,security_support_end,latest,lts";
    let more = "product,cycle,codename,extended_support_end,latest_release_date,discontinued,lts,extra";
    let facts =
        file("facts.csv", &format!("# as of 2027-01-15\n{head}\nmysql,8.0,2018-04-08,,2031-01-31,8.0.50,false\n"));
    let extended = file("facts-extended.csv", &format!("{more}\nmysql,8.0,,,,,false,\n"));
    let dates = Dates::read(&Files { facts: Some((facts, extended)), ..Files::default() }).unwrap();
    let policy = shipped().judging_by(dates.into());
    let view = with("database", row("mysql/main", "8.0.44", "mysql"));
    let told = told(&policy, &view, at(1));
    assert!(!told.iter().any(|line| line.contains("MySQL")), "{told:?}");
}

#[test]
fn a_rule_of_ones_own_asks_by_the_key_of_the_program() {
    let rule = policy(
        "[r]\non = 'database'\nseverity = 'info'\nok = \"support(key, database).verdict == 'supported'\"\n\
         title = '{key}: {support(key, database).verdict}'\n",
    );
    let told = |key: &str, of: &str, by: &str| told(&rule, &with("database", row(key, of, by)), at(1));
    assert_eq!(told("mysql/main", "8.0.44", "mysql"), ["info r: mysql/main: ended"]);
    assert_eq!(told("postgresql/16/main", "16.6", "pgdg"), ["holds"]);
    assert_eq!(
        told("postgresql/99/main", "99.1", "pgdg"),
        ["unknown: PostgreSQL 99.1 is newer than the table (2026-08-22)"]
    );
}
