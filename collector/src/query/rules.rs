//! The rules in force, what a policy file would say of the hosts as they are, and conditions on rows.

use std::sync::Arc;
use std::time::Duration;

use plumb_proto::generated::{model as wire, query as pb};
use plumb_proto::model::Severity;
use plumb_proto::time::{Clock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use tonic::Status;

use super::answers::{filter_labels, optional_host, subject};
use super::rows::row;
use super::{failed, invalid};
use crate::drift::Subject;
use crate::drift::policy::{Filter, Finding, On, Policy, Rule, Source, Subjects};
use crate::drift::support::{self, Dates};
use crate::store::Questions;
use crate::view::HostView;

/// Findings that are told of a policy file.
const FINDINGS: usize = 1_000;
/// Time for trying a policy file: short of the time for an answer.
const TIME: Duration = Duration::from_secs(8);

/// All rules in force, by name.
pub(super) fn all(policy: &Policy) -> Vec<pb::Rule> {
    policy.rules().iter().map(told).collect()
}

fn told(rule: &Rule) -> pb::Rule {
    let (On::Table(on) | On::Metric(on)) = &rule.on;
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let text = |(name, value): (&String, &String)| pb::Label { name: name.clone(), value: value.clone() };
    pb::Rule {
        name: rule.name.clone(),
        file: rule.file.clone(),
        line: u32::try_from(rule.line).unwrap_or(u32::MAX),
        on: on.clone(),
        severity: severity(rule.severity),
        texts: rule.texts.iter().map(text).collect(),
        hold_ms: millis(rule.hold),
        calm_ms: millis(rule.calm),
    }
}

fn severity(severity: Severity) -> i32 {
    match severity {
        Severity::Info => wire::Severity::Info,
        Severity::Warning => wire::Severity::Warning,
        Severity::Critical => wire::Severity::Critical,
    }
    .into()
}

/// Lays a file over the rules and says what its rules find on the hosts now.
pub(super) fn test(
    questions: &mut dyn Questions,
    policy: &Policy,
    asked: pb::TestPolicyRequest,
    clock: &dyn Clock,
) -> Result<pb::TestPolicyPage, Status> {
    let declared = questions.schema().map_err(|error| failed(&error))?;
    let mut answer = pb::TestPolicyPage::default();
    let file = asked.file.clone();
    let tried = match policy.with(Source { name: asked.file, text: asked.text }, &declared) {
        Ok(tried) => tried,
        Err(mistakes) => return Ok(pb::TestPolicyPage { mistakes, ..answer }),
    };
    let (now, begun) = (clock.now(), clock.monotonic());
    let mut trial = Trial { rules: tried.rules().iter().filter(|rule| rule.file == file).collect(), found: Vec::new() };
    let mut judgements: Vec<pb::Judgement> =
        trial.rules.iter().map(|rule| pb::Judgement { rule: rule.name.clone(), ..Default::default() }).collect();
    for host in questions.hosts().map_err(|error| failed(&error))? {
        if clock.monotonic().saturating_sub(begun) > TIME {
            answer.cut = true;
            break;
        }
        let view = questions.view(&host.id).map_err(|error| failed(&error))?;
        trial.host(&tried, &view, now, &mut judgements);
    }
    let gone = policy.rules().iter().filter(|rule| tried.rules().iter().all(|other| other.name != rule.name));
    judgements.extend(gone.map(|rule| pb::Judgement { rule: rule.name.clone(), off: true, ..Default::default() }));
    answer.cut |= trial.found.len() > FINDINGS;
    trial.found.truncate(FINDINGS);
    answer.judgements = judgements;
    answer.findings = trial.found;
    Ok(answer)
}

struct Trial<'a> {
    rules: Vec<&'a Rule>,
    found: Vec<pb::Finding>,
}

impl Trial<'_> {
    fn host(&mut self, policy: &Policy, view: &HostView, now: Timestamp, judgements: &mut [pb::Judgement]) {
        let Some(subjects) = Subjects::of(view, now, policy.env(), policy.dates()) else { return };
        for (rule, judgement) in self.rules.clone().into_iter().zip(judgements) {
            let judged: Vec<(Subject, Finding)> = match &rule.on {
                On::Table(table) => {
                    let subject = |key| Subject::Row { table: table.clone(), key, field: None };
                    keys(view, table).map(|key| (subject(key.clone()), subjects.row(rule, &key))).collect()
                }
                On::Metric(metric) => {
                    let series = view.series.get(metric).into_iter().flat_map(|of_name| of_name.keys());
                    series.map(|each| (Subject::Series(each.clone()), subjects.series(rule, each))).collect()
                }
            };
            for (subject, finding) in judged {
                self.count(rule, view, &subject, finding, judgement);
            }
        }
    }

    fn count(
        &mut self,
        rule: &Rule,
        view: &HostView,
        about: &Subject,
        finding: Finding,
        judgement: &mut pb::Judgement,
    ) {
        let found = pb::Finding {
            rule: rule.name.clone(),
            host: view.host.name.clone(),
            subject: Some(subject(about)),
            ..Default::default()
        };
        let found = match finding {
            Finding::Moot => return,
            Finding::Holds | Finding::Between => {
                judgement.holds += 1;
                return;
            }
            Finding::Unknown(reason) => {
                judgement.unknown += 1;
                pb::Finding { unknown: Some(reason), ..found }
            }
            Finding::Broken { severity: how_bad, title, expected, actual, .. } => {
                judgement.broken += 1;
                pb::Finding { severity: severity(how_bad), title, expected, actual, ..found }
            }
        };
        if self.found.len() <= FINDINGS {
            self.found.push(found);
        }
    }
}

/// Rows of a table for which a condition holds, and of how many that cannot be told.
pub(super) fn filtered(
    questions: &mut dyn Questions,
    asked: &pb::FactsRequest,
    dates: &Arc<Dates>,
    now: Timestamp,
) -> Result<(Vec<pb::Row>, u32), Status> {
    let declared = questions.schema().map_err(|error| failed(&error))?;
    let filter = Filter::compile(&asked.table, &asked.r#where, &declared)
        .map_err(|mistakes| invalid(format!("--where: {}", mistakes.join("\n--where: "))))?;
    let only = optional_host(questions, &asked.host)?;
    let groups = filter_labels(&asked.groups);
    let mut hosts = questions.hosts().map_err(|error| failed(&error))?;
    hosts.retain(|host| {
        only.as_ref().is_none_or(|only| only.id == host.id) && super::limited::has(&host.groups, &groups)
    });
    let (mut rows, mut unknown) = (Vec::new(), 0);
    for host in hosts {
        let view = questions.view(&host.id).map_err(|error| failed(&error))?;
        let Some(subjects) = Subjects::of(&view, now, filter.env(), dates) else { continue };
        for key in keys(&view, &asked.table) {
            match filter.holds(&subjects, &key) {
                Some(true) => rows.extend(subjects.find(&asked.table, &key).map(|each| row(&host.name, &each))),
                Some(false) => {}
                None => unknown += 1,
            }
        }
        if rows.len() > plumb_proto::limits::QUERY_ROWS {
            break;
        }
    }
    Ok((rows, unknown))
}

/// Keys of a table's rows, also of the one that the collector makes.
fn keys<'a>(view: &'a HostView, table: &'a str) -> Box<dyn Iterator<Item = Untrusted> + 'a> {
    match table {
        support::TABLE => Box::new(Dates::keys(view)),
        name => Box::new(view.tables.get(name).into_iter().flat_map(|table| table.rows.keys().cloned())),
    }
}
