use super::*;
use crate::testing::table;
use plumb_proto::model::{ColumnType, Role};

fn load(text: &str) -> Result<Policy, Vec<String>> {
    Policy::load_only(&[Source { name: "my.toml".to_owned(), text: text.to_owned() }], &[])
}

/// The one mistake of a rule.
fn mistake(text: &str) -> String {
    let mut errors = load(text).err().unwrap_or_default();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

fn on_php(ok: &str) -> String {
    format!("[r]\non = 'php'\nseverity = 'info'\nok = \"{ok}\"\ntitle = 't'\n")
}

#[test]
fn the_shipped_rules_load() {
    let policy = Policy::load(&[], &[]).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert!(policy.rules().len() >= 10);
}

#[test]
fn an_expression_that_would_overflow_the_stack_is_refused_and_the_longest_that_is_not_is_read() {
    let chain = |with: &str, links: usize| vec!["true"; links].join(with);
    assert_eq!(
        mistake(&on_php(&chain("&&", 200))),
        "my.toml:4: rule `r`, ok: an expression of 598 words and signs, at most 512"
    );
    assert_eq!(
        mistake(&on_php(&chain("+", 40_000))),
        "my.toml:4: rule `r`, ok: an expression of 199999 bytes, at most 2048"
    );
    assert!(load(&on_php(&chain("&&", 170))).is_ok());
    for (with, links) in [("+", 256), (" in ", 256), ("==", 170), (".x.", 128), ("?true:", 128), ("[0]+", 100)] {
        assert!(!load(&on_php(&chain(with, links))).err().unwrap_or_default().concat().contains("at most"), "{with}");
    }
}

#[test]
fn a_wrong_name_is_told_with_its_place_and_the_nearest_one() {
    for (ok, expected) in [
        (
            "php.verison == '8.2'",
            "my.toml:4: rule `r`, ok: table `php` has no column `verison`; do you mean `version`?",
        ),
        ("phq.version == '8.2'", "my.toml:4: rule `r`, ok: there is no `phq` here; do you mean `php`?"),
        (
            "metric.laod1 < 5.0",
            "my.toml:4: rule `r`, ok: there is no metric `laod1` for what this rule judges; do you mean `load1`?",
        ),
        (
            "metric.disk_size_bytes < 5.0",
            "my.toml:4: rule `r`, ok: there is no metric `disk_size_bytes` for what this rule judges",
        ),
        (
            "version_at_lest(php.version, '8')",
            "my.toml:4: rule `r`, ok: there is no function `version_at_lest`; do you mean `version_at_least`?",
        ),
        ("php.version.matches('8')", "my.toml:4: rule `r`, ok: there is no function `matches`"),
        (
            "support('php', php).day_left > 0",
            "my.toml:4: rule `r`, ok: a support window has no `day_left`; do you mean `days_left`?",
        ),
        ("label.mount == '/'", "my.toml:4: rule `r`, ok: there is no `label` here"),
    ] {
        assert_eq!(mistake(&on_php(ok)), expected);
    }
    assert_eq!(
        mistake("[r]\non = 'phpp'\nseverity = 'info'\nok = 'true'\ntitle = 't'\n"),
        "my.toml:2: rule `r`, on: there is no table or metric `phpp`; do you mean `php`?"
    );
}

#[test]
fn what_can_never_be_true_is_a_mistake() {
    for (ok, expected) in [
        ("php.version < '8.10'", "versions do not compare as text: use version_at_least(..)"),
        ("php.running == 'yes'", "bool and text are never equal"),
        ("php.module == null", "null is never a value here: ask with has(..) whether a column is set"),
        ("php.binary", "must be true or false, such as `php.version == '8.2.29'`"),
        ("php.binary > 5", "text and whole number do not compare"),
        ("php.running + 1 == 2", "no arithmetic with bool and whole number"),
        ("metric.load1 * 4 > 5", "columns and metrics are real numbers: reckon with 4.0 instead of 4"),
        ("support('phpp', php).days_left > 0.0", "no support dates are known of \"phpp\""),
        ("php.binary && true", "`&&` needs bools, not text and bool"),
        ("version_at_least(php.running, '8')", "version_at_least(version, version) is called with (bool, version)"),
        ("version_at_least(php.version)", "version_at_least(version, version) is called with (version)"),
        (
            "duration('5 years') > 1.0",
            "\"5 years\" is no duration: write numbers with s, m, h, d or w, such as 90d or 1h 30m",
        ),
    ] {
        let expected = expected.replace("(bool, version)", "(bool, text)");
        assert_eq!(mistake(&on_php(ok)), format!("my.toml:4: rule `r`, ok: {expected}"), "{ok}");
    }
}

#[test]
fn a_rule_is_tried_before_it_judges() {
    // the walk does not know what a list holds; the trial finds out
    let text = "[r]\non = 'mount'\nseverity = 'info'\nok = 'mount.options.all(o, o > 5)'\ntitle = 't'\n";
    assert!(mistake(text).starts_with("my.toml:1: rule `r`, ok: "), "{}", mistake(text));
}

#[test]
fn every_mistake_is_told_at_once() {
    let errors = load("[a]\non = 'php'\nseverity = 'bad'\nok = 'x'\ntitel = 't'\nfor = 'long'\n").err().unwrap();
    let expected = [
        "my.toml:5: rule `a`: there is no field `titel`; do you mean `title`?",
        "my.toml:3: rule `a`, severity: `bad` is not one of info, warning, critical",
        "my.toml:4: rule `a`, ok: there is no `x` here",
        "my.toml:1: rule `a`: `title` is missing",
        "my.toml:6: rule `a`, for: \"long\" is no duration: write numbers with s, m, h, d or w, such as 90d or 1h 30m",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn what_is_no_toml_and_no_cel_says_where() {
    assert!(mistake("[a\n").starts_with("my.toml:1: "));
    let text = "[r]\non = 'php'\nseverity = 'info'\ntitle = 't'\nok = '''\ntrue &&\n  && true'''\n";
    assert!(mistake(text).starts_with("my.toml:7: rule `r`, ok: "), "{}", mistake(text));
    let text = "[r]\non = 'php'\nseverity = 'info'\ntitle = 't'\nok = '''\ntrue &&\n  php.nothing == 'a' '''\n";
    assert_eq!(mistake(text), "my.toml:7: rule `r`, ok: table `php` has no column `nothing`");
}

#[test]
fn a_text_with_a_wrong_expression_is_a_mistake() {
    let text = "[r]\non = 'php'\nseverity = 'info'\nok = 'true'\ntitle = 'PHP {php.verion} {{ok}}'\n";
    assert_eq!(mistake(text), "my.toml:5: rule `r`, title: table `php` has no column `verion`; do you mean `version`?");
    let text = "[r]\non = 'php'\nseverity = 'info'\nok = 'true'\ntitle = 'a } b'\n";
    assert_eq!(mistake(text), "my.toml:5: rule `r`, title: a single `}` in a text is written `}}`");
}

#[test]
fn a_later_file_changes_single_fields_and_switches_rules_off() {
    let mine = "[disk_space]\nfor = '1h'\n[swap]\nenabled = false\n";
    let source = Source { name: "/etc/plumb/policy.d/mine.toml".to_owned(), text: mine.to_owned() };
    let policy = Policy::load(std::slice::from_ref(&source), &[]).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let disk = policy.rules().iter().find(|rule| rule.name == "disk_space").unwrap();
    assert_eq!(disk.hold.as_secs(), 3600);
    assert!(policy.rules().iter().all(|rule| rule.name != "swap"));
    let wrong = Source { text: "[disk_space]\nok = 'mount.fstyp == \"ext4\"'\n".to_owned(), ..source };
    let errors = Policy::load(&[wrong], &[]).err().unwrap();
    assert_eq!(
        errors,
        [
            "/etc/plumb/policy.d/mine.toml:2: rule `disk_space`, ok: table `mount` has no column `fstyp`; do you mean `fstype`?"
        ]
    );
}

#[test]
fn rules_may_name_tables_that_hosts_have_declared() {
    let text = "[r]\non = 'forum'\nseverity = 'info'\nok = \"forum.product == 'discourse'\"\ntitle = 't'\n";
    let source = Source { name: "my.toml".to_owned(), text: text.to_owned() };
    let declared = table("forum", &[("product", ColumnType::Text, Role::State)]);
    assert!(Policy::load(&[source], &[declared]).is_ok());
    assert_eq!(mistake(text), "my.toml:2: rule `r`, on: there is no table or metric `forum`");
}

#[test]
fn the_guide_names_every_field_and_every_function() {
    let guide = include_str!("../../../../packaging/policy/README.md");
    let functions = functions::SIGNATURES.iter().map(|(name, ..)| *name);
    for name in source::FIELDS.into_iter().chain(functions).chain(names::METRIC_MAPS) {
        assert!(guide.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
fn the_rule_of_the_guide_loads() {
    let guide = include_str!("../../../../packaging/policy/README.md");
    let rule = guide.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(load(rule).is_ok_and(|policy| policy.rules().len() == 1));
}
