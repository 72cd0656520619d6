use super::*;

fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), text: text.to_owned() }
}

fn facts(rows: &str) -> File {
    file(
        "facts.csv",
        &format!(
            "# as of 2027-01-15\nproduct,cycle,release,active_support_end,security_support_end,latest,lts\n{rows}"
        ),
    )
}

fn extended(rows: &str) -> File {
    let head = "product,cycle,codename,extended_support_end,latest_release_date,discontinued,lts,extra";
    file("facts-extended.csv", &format!("{head}\n{rows}"))
}

fn mistakes(facts: File, extended: File) -> Vec<String> {
    Dates::read(&Files { facts: Some((facts, extended)), ..Files::default() }).err().unwrap_or_default()
}

#[test]
fn every_row_of_the_shipped_tables_reads() {
    let dates = Dates::read(&Files::default()).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let rows = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count() - 1;
    assert_eq!(dates.cycles.values().map(Vec::len).sum::<usize>(), rows(FACTS));
    assert_eq!(dates.shipped.len(), rows(SHIPPED));
    assert_eq!((dates.as_of(), dates.is_shipped()), ("2026-08-22", true));
}

#[test]
fn what_is_shipped_says_where_it_comes_from_and_under_which_licence() {
    let source = include_str!("../../../../data/support/SOURCE.md");
    for words in
        ["2026-08-22", "MIT License", "Copyright (c) 2020 endoflife.date contributors", "THE SOFTWARE IS PROVIDED"]
    {
        assert!(source.contains(words), "{words}");
    }
}

#[test]
fn the_longest_cycle_that_fits_is_taken() {
    let dates = Dates::shipped();
    assert_eq!(dates.cycle("php", "8.2.29").map(|cycle| cycle.name.as_str()), Ok("8.2"));
    assert_eq!(dates.cycle("rhel", "8.10").map(|cycle| cycle.name.as_str()), Ok("8"));
    assert_eq!(dates.cycle("magento", "2.4.6-p8").map(|cycle| cycle.name.as_str()), Ok("2.4.6"));
    assert_eq!(dates.cycle("php", "8.10.1"), Err(Absent::Newer));
    assert_eq!(dates.cycle("php", "4.4.9"), Err(Absent::Cycle));
    assert_eq!(dates.cycle("nothing", "1"), Err(Absent::Product));
}

#[test]
fn an_older_line_that_goes_on_beside_a_newer_one_is_newer_than_the_table_too() {
    let dates = Dates::shipped();
    assert_eq!(dates.cycle("elasticsearch", "8.20.1"), Err(Absent::Newer));
    assert_eq!(dates.cycle("elasticsearch", "8.5.1"), Err(Absent::Cycle));
    assert_eq!(dates.cycle("drupal", "10.7.2"), Err(Absent::Newer));
}

#[test]
fn a_table_of_ones_own_stands_in_for_the_shipped_one() {
    let files = Files {
        facts: Some((facts("php,9.0,2027-01-01,,2031-12-31,9.0.1,false\n"), extended("php,9.0,,,,,false,\"a, b\"\n"))),
        ..Files::default()
    };
    let dates = Dates::read(&files).unwrap();
    assert_eq!((dates.as_of(), dates.is_shipped(), dates.products()), ("2027-01-15", false, 1));
    assert_eq!(dates.cycle("php", "9.0.3").map(|cycle| cycle.security.to_string()), Ok("2031-12-31".to_owned()));
}

#[test]
fn a_broken_table_is_refused_with_file_line_and_reason() {
    let fine = || extended("php,9.0,,,,,false,\n");
    assert_eq!(
        mistakes(facts("php,9.0,2027-01-01,,2031-13-31,9.0.1,false\n"), fine()),
        [
            "facts.csv:3: security_support_end is \"2031-13-31\", expected a day such as 2027-01-15, true, false or nothing"
        ]
    );
    assert_eq!(mistakes(facts("php,9.0,2027-01-01\n"), fine())[0], "facts.csv:3: 3 cells instead of 7");
    assert_eq!(
        mistakes(facts("php,9.1,,,2031-12-31,,false\n"), fine()),
        ["facts.csv:3: php 9.1 is not in facts-extended.csv", "facts-extended.csv:2: php 9.0 is not in facts.csv"]
    );
    assert_eq!(
        mistakes(file("facts.csv", "<html>\n"), fine()),
        [
            "facts.csv:1: it does not say of which day it is: begin it with a line `# as of 2027-01-15`",
            "facts.csv:1: the first line must be \
             `product,cycle,release,active_support_end,security_support_end,latest,lts`",
            "facts.csv:1: it has no rows",
            "facts-extended.csv:2: php 9.0 is not in facts.csv",
        ]
    );
    let runtimes = file(
        "distro-runtimes.csv",
        "distro,release,package,upstream_cycle,component_or_stream,certainty\ndebian,12,php,8.2,main,sure\n",
    );
    let wrong = Dates::read(&Files { runtimes: Some(runtimes), ..Files::default() }).err().unwrap();
    assert_eq!(wrong, ["distro-runtimes.csv:2: certainty is \"sure\", expected high or verify"]);
}

#[test]
fn of_a_table_that_is_wrong_all_over_the_first_mistakes_are_told() {
    let rows = (0..30).map(|number| format!("php,{number},,,never,,false\n")).collect::<String>();
    let more = (0..30).map(|number| format!("php,{number},,,,,false,\n")).collect::<String>();
    let wrong = mistakes(facts(&rows), extended(&more));
    assert_eq!((wrong.len(), wrong.last().map(String::as_str)), (21, Some("and 10 more")));
}
