//! The course of a metric, as it is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use plumb_proto::generated::query as pb;
use plumb_proto::model::MetricType;
use plumb_proto::nearest::nearest;
use plumb_proto::time::Timestamp;
use tonic::Status;

use super::answers::{chunks, host_named, series_labels};
use super::{failed, invalid};
use crate::history::{Asked, Line, POINTS, Span};
use crate::store::Questions;

/// Answers in pages; the first tells the step even if there is no series.
pub(super) fn pages(questions: &mut dyn Questions, asked: &pb::HistoryRequest) -> Result<Vec<pb::HistoryPage>, Status> {
    let host = host_named(questions, &asked.host)?;
    let (since, until) = (Timestamp::from_millis(asked.since_ms), Timestamp::from_millis(asked.until_ms));
    if until <= since {
        return Err(invalid("the end of the time asked for lies before its begin"));
    }
    let step = asked.step_ms.map(Duration::from_millis);
    if step.is_some_and(|step| until.since(since).as_millis() / step.as_millis().max(1) > POINTS as u128) {
        return Err(invalid(format!("more than {POINTS} points: take a longer --step or a shorter time")));
    }
    let labels: BTreeMap<String, String> =
        asked.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
    let question = Asked { metric: asked.metric.clone(), labels, since, until, step, raw: asked.raw };
    let history = questions.history(&host.id, &question).map_err(|error| failed(&error))?;
    if history.lines.is_empty() {
        return Err(none(&question, &history.known));
    }
    let left_out = u32::try_from(history.left_out).unwrap_or(u32::MAX);
    let step_ms = u64::try_from(history.step.as_millis()).unwrap_or(u64::MAX);
    let courses = history.lines.iter().map(|line| course(line, asked.raw)).collect();
    Ok(chunks(courses, |courses| pb::HistoryPage { step_ms, left_out, courses }))
}

/// There is no such series: which ones were perhaps meant.
fn none(asked: &Asked, known: &[String]) -> Status {
    if known.contains(&asked.metric) {
        return Status::not_found(format!("no series of {} has these labels", asked.metric));
    }
    let meant = nearest(&asked.metric, known.iter().map(String::as_str)).map(str::to_owned);
    let hint = match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None if known.is_empty() => "it has sent no samples yet".to_owned(),
        None => format!("it has {}", known.join(", ")),
    };
    Status::not_found(format!("the host has no metric \"{}\": {hint}", asked.metric.escape_default()))
}

fn course(line: &Line, raw: bool) -> pb::Course {
    let point = |(at, span): &(Timestamp, Option<Span>)| pb::Point {
        at_ms: at.millis(),
        mean: span.map(|span| span.mean),
        least: span.map(|span| span.least),
        greatest: span.map(|span| span.greatest),
    };
    pb::Course {
        name: line.series.name.clone(),
        labels: series_labels(&line.series),
        rate: line.kind == MetricType::Counter && !raw,
        points: line.points.iter().map(point).collect(),
    }
}
