//! `plumb rules`: what is judged, and what a policy file would say before it is put into force.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use plumb_proto::generated::query::{Finding, Judgement, Rule, TestPolicyPage, TestPolicyRequest};
use serde::Serialize;

use super::connect::Query;
use super::drift::{SubjectJson, severity, subject};
use super::printer::table::{Cell, Table, column};
use super::printer::words::count;
use super::printer::{Printer, Style};
use super::{DONE, FAILED};

/// A policy file that is sent.
const FILE: usize = 200 << 10;

/// The rules in force
///
/// A rule judges each row of a table or each series of a metric. Files in /etc/plumb/policy.d are laid over the rules that
/// ship: a rule of the same name changes the fields that it names.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  plumb rules\n  plumb rules --json | jq -r '.[].name'\n  plumb rules test my-rules.toml"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Try a policy file on all hosts as they are; nothing is changed
    ///
    /// Every mistake is told with its line, and what its rules would find now. Exit code 1 if there is a mistake.
    #[command(
        after_help = "Examples:\n  plumb rules test my-rules.toml\n  plumb rules test my-rules.toml --json | jq .findings"
    )]
    Test {
        /// The policy file
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct RuleJson<'a> {
    name: &'a str,
    file: &'a str,
    line: u32,
    on: &'a str,
    severity: &'static str,
    for_seconds: u64,
    calm_seconds: u64,
    fields: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct TestJson<'a> {
    mistakes: &'a [String],
    rules: Vec<JudgementJson<'a>>,
    findings: Vec<FindingJson<'a>>,
    cut: bool,
}

#[derive(Serialize)]
struct JudgementJson<'a> {
    rule: &'a str,
    holds: u32,
    broken: u32,
    unknown: u32,
    off: bool,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    rule: &'a str,
    host: &'a str,
    subject: SubjectJson,
    severity: Option<&'static str>,
    title: &'a str,
    expected: Option<&'a str>,
    actual: Option<&'a str>,
    unknown: Option<&'a str>,
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<u8> {
    let Some(Command::Test { file }) = arguments.command else {
        return print(&query.rules().await?, printer).map(|()| DONE);
    };
    let request = TestPolicyRequest { file: file.display().to_string(), text: read(&file)? };
    tested(&query.test_policy(request).await?, printer)
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let what = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(what)?;
    file.take(FILE as u64 + 1).read_to_string(&mut text).with_context(what)?;
    if text.len() > FILE {
        bail!("{}: larger than {FILE} bytes", path.display());
    }
    Ok(text)
}

fn text<'a>(rule: &'a Rule, field: &str) -> Option<&'a str> {
    rule.texts.iter().find(|text| text.name == field).map(|text| text.value.as_str())
}

fn print(rules: &[Rule], printer: &mut Printer) -> Result<()> {
    if printer.is_json() {
        return printer.json_rows(rules.iter().map(|rule| RuleJson {
            name: &rule.name,
            file: &rule.file,
            line: rule.line,
            on: &rule.on,
            severity: severity(rule.severity()).0,
            for_seconds: rule.hold_ms / 1000,
            calm_seconds: rule.calm_ms / 1000,
            fields: rule.texts.iter().map(|text| (text.name.as_str(), text.value.as_str())).collect(),
        }));
    }
    if rules.is_empty() {
        return printer.note("No rule is in force.");
    }
    let mut table = Table::new(&[
        column("RULE"),
        column("SEVERITY"),
        column("ON"),
        column("MUST HOLD").wraps(),
        column("FILE").spare(1),
    ]);
    for rule in rules {
        let (word, style) = severity(rule.severity());
        let condition = text(rule, "ok").unwrap_or_default();
        let condition = match text(rule, "where") {
            Some(filter) => format!("{condition}  where {filter}"),
            None => condition.to_owned(),
        };
        table.row([
            Cell::new(rule.name.clone(), Style::Bold),
            Cell::new(word, style),
            rule.on.clone().into(),
            condition.split_whitespace().collect::<Vec<_>>().join(" ").into(),
            Cell::new(format!("{}:{}", rule.file, rule.line), Style::Dim),
        ]);
    }
    printer.table(&table)
}

fn tested(page: &TestPolicyPage, printer: &mut Printer) -> Result<u8> {
    let code = if page.mistakes.is_empty() { DONE } else { FAILED };
    if printer.is_json() {
        printer.json(&TestJson {
            mistakes: &page.mistakes,
            rules: page.judgements.iter().map(judgement_json).collect(),
            findings: page.findings.iter().map(finding_json).collect(),
            cut: page.cut,
        })?;
        return Ok(code);
    }
    for mistake in &page.mistakes {
        printer.line(mistake)?;
    }
    if code == FAILED {
        printer.note(count(page.mistakes.len(), "mistake.", "mistakes."))?;
        return Ok(code);
    }
    if page.judgements.is_empty() {
        printer.note("There is no rule in this file.")?;
        return Ok(code);
    }
    let right = |title| column(title).right();
    let mut table = Table::new(&[column("RULE"), right("HOLDS"), right("BROKEN"), right("UNKNOWN"), column("")]);
    for each in &page.judgements {
        let number = |number: u32, style| {
            if number == 0 { Cell::new("-", Style::Dim) } else { Cell::new(number.to_string(), style) }
        };
        table.row([
            Cell::new(each.rule.clone(), Style::Bold),
            number(each.holds, Style::Good),
            number(each.broken, Style::Warning),
            number(each.unknown, Style::Unknown),
            if each.off { "switched off".into() } else { Cell::default() },
        ]);
    }
    printer.table(&table)?;
    if !page.findings.is_empty() {
        printer.line("")?;
        printer.table(&findings(&page.findings))?;
    }
    if page.cut {
        printer.note("More was found than is shown.")?;
    }
    printer
        .note("Nothing was changed: a file takes effect in /etc/plumb/policy.d, once the collector is restarted.")?;
    Ok(code)
}

fn findings(findings: &[Finding]) -> Table {
    let mut table = Table::new(&[
        column("HOST"),
        column("SEVERITY"),
        column("RULE").spare(1),
        column("WHAT WOULD BE TOLD").wraps(),
    ]);
    for each in findings {
        let (word, style, what) = match &each.unknown {
            Some(why) => {
                let about = about(&subject(each.subject.as_ref()));
                ("unknown", Style::Unknown, format!("{about}: {why}"))
            }
            None => {
                let (word, style) = severity(each.severity());
                (word, style, each.title.clone())
            }
        };
        table.row([
            Cell::new(each.host.clone(), Style::Bold),
            Cell::new(word, style),
            each.rule.clone().into(),
            what.into(),
        ]);
    }
    table
}

fn about(subject: &SubjectJson) -> String {
    match subject {
        SubjectJson::Row { table, key, .. } => format!("{table} {key}"),
        SubjectJson::Series { series } => series.clone(),
        SubjectJson::Watcher { watcher } => watcher.clone(),
        SubjectJson::Host {} => "the host".to_owned(),
    }
}

fn judgement_json(each: &Judgement) -> JudgementJson<'_> {
    let Judgement { rule, holds, broken, unknown, off } = each;
    JudgementJson { rule, holds: *holds, broken: *broken, unknown: *unknown, off: *off }
}

fn finding_json(each: &Finding) -> FindingJson<'_> {
    FindingJson {
        rule: &each.rule,
        host: &each.host,
        subject: subject(each.subject.as_ref()),
        severity: each.unknown.is_none().then(|| severity(each.severity()).0),
        title: &each.title,
        expected: each.expected.as_deref(),
        actual: each.actual.as_deref(),
        unknown: each.unknown.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use plumb_proto::generated::model::Severity;
    use plumb_proto::generated::query::{Label, RowSubject, Subject, subject::Kind};

    use super::*;
    use crate::cli::printer::testing::{printed, screen};

    fn rule() -> Rule {
        let text = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        Rule {
            name: "php.pinned".to_owned(),
            file: "/etc/plumb/policy.d/a.toml".to_owned(),
            line: 3,
            on: "php".to_owned(),
            severity: Severity::Warning.into(),
            texts: vec![text("ok", "php.version ==\n '8.2.29'"), text("where", "key.startsWith('fpm/')")],
            hold_ms: 60_000,
            calm_ms: 0,
        }
    }

    #[test]
    fn rules_are_listed_with_what_must_hold_and_where_they_stand() {
        assert_eq!(
            screen(120, |printer| print(&[rule()], printer).unwrap()),
            "\
RULE        SEVERITY  ON   MUST HOLD                                             FILE
php.pinned  warning   php  php.version == '8.2.29' where key.startsWith('fpm/')  /etc/plumb/policy.d/a.toml:3
"
        );
        let (out, _) = printed(true, None, |printer| print(&[rule()], printer).unwrap());
        assert!(
            out.starts_with("[\n{\"name\":\"php.pinned\",\"file\":\"/etc/plumb/policy.d/a.toml\",\"line\":3,\"on\":\"php\",\"severity\":\"warning\",\"for_seconds\":60,\"calm_seconds\":0,\"fields\":{\"ok\":"),
            "{out}"
        );
    }

    fn page() -> TestPolicyPage {
        let row = RowSubject { table: "php".to_owned(), key: b"fpm/8.2".to_vec(), field: None };
        let finding = Finding {
            rule: "php.pinned".to_owned(),
            host: "web-1".to_owned(),
            subject: Some(Subject { kind: Some(Kind::Row(row)) }),
            severity: Severity::Warning.into(),
            title: "PHP is 8.2.30".to_owned(),
            ..Finding::default()
        };
        let unknown = Finding { unknown: Some("version is not known: denied".to_owned()), ..finding.clone() };
        let judged = |rule: &str, off| Judgement { rule: rule.to_owned(), broken: 1, unknown: 1, off, holds: 0 };
        TestPolicyPage {
            judgements: vec![judged("php.pinned", false)],
            findings: vec![finding, unknown],
            ..TestPolicyPage::default()
        }
    }

    #[test]
    fn a_policy_file_is_told_by_what_it_would_find() {
        assert_eq!(
            screen(80, |printer| assert_eq!(tested(&page(), printer).unwrap(), DONE)),
            "\
RULE        HOLDS  BROKEN  UNKNOWN
php.pinned      -       1        1

HOST   SEVERITY  RULE        WHAT WOULD BE TOLD
web-1  warning   php.pinned  PHP is 8.2.30
web-1  unknown   php.pinned  php fpm/8.2: version is not known: denied
"
        );
    }

    #[test]
    fn a_mistake_fails_the_command() {
        let page = TestPolicyPage { mistakes: vec!["a.toml:2: x".to_owned()], ..TestPolicyPage::default() };
        let (out, talk) = printed(false, None, |printer| assert_eq!(tested(&page, printer).unwrap(), FAILED));
        assert_eq!((out.as_str(), talk.as_str()), ("a.toml:2: x\n", "1 mistake.\n"));
    }
}
