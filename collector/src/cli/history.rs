//! `plumb history HOST METRIC`: the course of a metric, as a chart, as CSV or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use jiff::{Span, SpanRelativeTo};
use plumb_proto::generated::query::{Course, HistoryPage, HistoryRequest, Label};
use serde::Serialize;

use super::chart::draw;
use super::connect::Query;
use super::events::since;
use super::label;
use super::printer::values::{at, said};
use super::printer::words::{bytes, moment, span};
use super::printer::{Printer, Style};

/// Lines of one chart.
const ROWS: usize = 8;
/// Characters beside a chart, for its values.
const MARGIN: usize = 11;
/// Charts on one screen.
const CHARTS: usize = 8;
/// The widest chart.
const WIDEST: usize = 200;

/// The course of a metric: a chart, --csv or --json
#[derive(Args)]
#[command(
    after_help = "Examples:\n  plumb history web-1 memory_available_bytes\n  plumb history web-1 disk_used_ratio --label \
                  mount=/ --since 30d\n  plumb history web-1 cpu_seconds_total --since 2h --step 1m --csv > cpu.csv\n\n\
                  Counters are shown by how much they grow in a second. With --json every command prints one JSON document."
)]
pub(super) struct Arguments {
    /// Name of the host
    host: String,
    /// Name of the metric
    metric: String,
    /// Of series with this label only; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = label)]
    label: Vec<Label>,
    /// From: a time span such as 2h or 7d, or a moment such as 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Until: likewise [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Between two points [default: so that there are 200 or fewer]
    #[arg(long, value_name = "TIME", value_parser = step)]
    step: Option<Duration>,
    /// Counters as they stand
    #[arg(long)]
    raw: bool,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

fn step(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let span = span.and_then(|span| Duration::try_from(span).ok()).filter(|span| *span >= Duration::from_secs(1));
    span.ok_or_else(|| "expected a time span of a second or more, such as 30s or 5m".to_owned())
}

/// A series as `history --json` prints it.
#[derive(Serialize)]
struct CourseJson {
    series: String,
    points: Vec<(String, Option<f64>)>,
}

pub(super) async fn run(arguments: Arguments, query: &mut Query, printer: &mut Printer) -> Result<()> {
    let now = printer.now();
    let until = arguments.until.as_deref().map_or(Ok(now), |text| since(text, now))?;
    let request = HistoryRequest {
        host: arguments.host,
        metric: arguments.metric.clone(),
        labels: arguments.label,
        since_ms: since(&arguments.since, now)?.millis(),
        until_ms: until.millis(),
        step_ms: arguments.step.and_then(|step| u64::try_from(step.as_millis()).ok()),
        raw: arguments.raw,
    };
    let page = query.history(request).await?;
    if printer.is_json() {
        printer.json_rows(page.courses.iter().map(json))?;
    } else if arguments.csv {
        printer.line(csv(&page).trim_end())?;
    } else if page.courses.iter().all(|course| course.points.is_empty()) {
        printer.note(format!("No sample of {} in this time.", arguments.metric))?;
    } else {
        charts(&page, printer, is_unicode())?;
    }
    if page.left_out > 0 {
        printer.note(format!("There are {} series more: --label NAME=VALUE chooses.", page.left_out))?;
    }
    Ok(())
}

/// By the locale (locale(7)): what is not said to be UTF-8 gets stars.
fn is_unicode() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn series(course: &Course) -> String {
    let mut name = course.name.clone();
    for (number, label) in course.labels.iter().enumerate() {
        let open = if number == 0 { "{" } else { "," };
        let _ = write!(name, "{open}{}=\"{}\"", label.name, said(&label.value).replace('"', "\\\""));
    }
    if course.labels.is_empty() { name } else { name + "}" }
}

fn json(course: &Course) -> CourseJson {
    let points = course.points.iter().map(|point| (at(point.at_ms).to_string(), point.mean));
    CourseJson { series: series(course), points: points.collect() }
}

/// One line a moment, one column a series. What a spreadsheet would take for a formula is told as text.
fn csv(page: &HistoryPage) -> String {
    let mut rows: BTreeMap<i64, Vec<Option<f64>>> = BTreeMap::new();
    for (place, course) in page.courses.iter().enumerate() {
        for point in &course.points {
            rows.entry(point.at_ms).or_insert_with(|| vec![None; page.courses.len()])[place] = point.mean;
        }
    }
    let mut text = "time".to_owned();
    page.courses.iter().for_each(|course| text += &format!(",{}", cell(&series(course))));
    text.push('\n');
    for (moment, values) in rows {
        text += &at(moment).to_string();
        for value in values {
            text.push(',');
            text += &value.map(|value| value.to_string()).unwrap_or_default();
        }
        text.push('\n');
    }
    text
}

/// A text in CSV (RFC 4180).
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn charts(page: &HistoryPage, printer: &mut Printer, unicode: bool) -> Result<()> {
    let courses: Vec<&Course> = page.courses.iter().filter(|course| !course.points.is_empty()).collect();
    for course in courses.iter().take(CHARTS) {
        chart(course, page.step_ms, printer, unicode)?;
    }
    if courses.len() > CHARTS {
        let rest = courses.len() - CHARTS;
        printer.note(format!("{rest} series more are not drawn: --label NAME=VALUE chooses, --csv has them all."))?;
    }
    Ok(())
}

fn chart(course: &Course, step_ms: u64, printer: &mut Printer, unicode: bool) -> Result<()> {
    let shown = |value: f64| shown(&course.name, course.rate, value);
    let present = || course.points.iter().filter(|point| point.mean.is_some());
    let least = present().filter_map(|point| point.least).fold(f64::INFINITY, f64::min);
    let greatest = present().filter_map(|point| point.greatest).fold(f64::NEG_INFINITY, f64::max);
    let last = present().next_back().and_then(|point| point.mean).unwrap_or(f64::NAN);
    let told = format!("last {}, min {}, max {}", shown(last), shown(least), shown(greatest));
    printer.ends(&[(&series(course), Style::Bold)], &told)?;
    let Some(width) = printer.width() else {
        // a pipe: lines that can be searched
        for point in &course.points {
            let value = point.mean.map_or_else(|| "-".to_owned(), &shown);
            printer.line(format!("{}  {value}", at(point.at_ms)))?;
        }
        return printer.line("");
    };
    let values: Vec<Option<f64>> = course.points.iter().map(|point| point.mean).collect();
    let low = values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let columns = width.saturating_sub(MARGIN + 1).clamp(10, WIDEST);
    let bar = if unicode { '│' } else { '|' };
    for (row, line) in draw(&values, (columns, ROWS), (low, high), unicode).iter().enumerate() {
        let label = match row {
            0 => shown(high),
            row if row == ROWS - 1 => shown(low),
            _ => String::new(),
        };
        printer.line(format!("{} {bar}{}", printer.styled(format!("{label:>9}"), Style::Dim), line.trim_end()))?;
    }
    let begin = moment(at(course.points.first().map_or(0, |point| point.at_ms)));
    let end = moment(at(course.points.last().map_or(0, |point| point.at_ms)));
    let step = format!("each point {}", span(Duration::from_millis(step_ms)));
    let room = columns.saturating_sub(begin.len() + end.len());
    let middle = if room >= step.len() + 2 { format!("{step:^room$}") } else { " ".repeat(room.max(1)) };
    let foot = format!("{}{begin}{middle}{end}", " ".repeat(MARGIN));
    printer.line(printer.styled(foot, Style::Dim))?;
    printer.line("")
}

/// A value for people; the name of a metric ends in its unit (OpenMetrics).
fn shown(name: &str, rate: bool, value: f64) -> String {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let second = if rate { "/s" } else { "" };
    if name.ends_with("_bytes") {
        format!("{}{second}", bytes(value))
    } else if name.ends_with("_ratio") || (rate && name.ends_with("_seconds")) {
        // seconds in a second are a share
        format!("{:.1} %", value * 100.0)
    } else if name.ends_with("_seconds") {
        format!("{} s", short(value))
    } else {
        format!("{}{second}", short(value))
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    text + unit
}

#[cfg(test)]
mod tests {
    use plumb_proto::generated::{model, query::Point};

    use super::*;
    use crate::cli::printer::testing::{NOW, printed, screen};

    fn page(label: &str) -> HistoryPage {
        let point = |(number, mean): (i64, Option<f64>)| Point {
            at_ms: NOW.millis() - 600_000 + number * 60_000,
            mean,
            least: mean,
            greatest: mean,
        };
        let values = [Some(1.0), Some(2.0), None, Some(4.0)];
        let labels = vec![model::Label { name: "mount".to_owned(), value: label.into() }];
        let points = (0..).zip(values).map(point).collect();
        let course = Course { name: "disk_used_bytes".to_owned(), labels, rate: false, points };
        HistoryPage { step_ms: 60_000, left_out: 0, courses: vec![course] }
    }

    #[test]
    fn a_chart_fits_the_terminal_and_a_gap_is_seen() {
        for width in [80, 140] {
            let text = screen(width, |printer| charts(&page("/"), printer, false).unwrap());
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.starts_with("disk_used_bytes{mount=\"/\"}"), "{text}");
            let top = text.lines().nth(1).unwrap();
            assert!(top.contains("4 B |") && top.ends_with("****") && top.contains("     "), "{text}");
        }
    }

    #[test]
    fn a_pipe_gets_a_line_a_point() {
        let (out, _) = printed(false, None, |printer| charts(&page("/"), printer, true).unwrap());
        let lines: Vec<&str> = out.lines().skip(1).collect();
        let first = lines.iter().position(|line| line.starts_with("2026-")).unwrap();
        assert!(lines[first].ends_with("  1 B") && lines[first + 2].ends_with("  -"), "{out}");
    }

    #[test]
    fn json_and_csv_have_the_gap_as_nothing() {
        let page = page("/");
        let json = serde_json::to_string(&json(&page.courses[0])).unwrap();
        assert!(json.starts_with("{\"series\":\"disk_used_bytes{mount=\\\"/\\\"}\",\"points\":[[\"2026-"), "{json}");
        assert!(json.contains("Z\",null],["), "{json}");
        let text = csv(&page);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "time,\"disk_used_bytes{mount=\"\"/\"\"}\"");
        assert!(lines[1].ends_with("Z,1") && lines[3].ends_with("Z,"), "{text}");
    }

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(cell("=cmd()"), "'=cmd()");
        assert_eq!(cell("@a,b"), "\"'@a,b\"");
        assert_eq!(cell("load1"), "load1");
    }

    #[test]
    fn the_name_tells_the_unit() {
        assert_eq!(shown("disk_used_ratio", false, 0.415), "41.5 %");
        assert_eq!(shown("cpu_seconds_total", true, 0.25), "25.0 %");
        assert_eq!(shown("forks_total", true, 12_345.0), "12.3k/s");
        assert_eq!(shown("uptime_seconds", false, 90.0), "90 s");
        assert!(shown("network_received_bytes_total", true, 2048.0).ends_with("B/s"));
    }
}
