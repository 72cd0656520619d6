//! What a rule sees of a host: one row or one series, its metrics, the time; and why something is not known.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cel::{Context, Env, ExecutionError, Value};
use plumb_proto::model::{ColumnDecl, Series, Severity, Value as Column};
use plumb_proto::time::Timestamp;
use plumb_proto::untrusted::Untrusted;

use super::functions::{self, NOW, OS, OS_VERSION};
use super::rule::{On, Rule};
use crate::drift::support::{self, Dates};
use crate::drift::text::{clip, said};
use crate::view::{HostView, Row, Sampled};

/// A value older than this is not known any more: samples come every 10 s and are sent every minute.
const FRESH: Duration = Duration::from_secs(600);
/// A series that had no value for so long, while its host speaks, has ended.
const ENDED: Duration = Duration::from_secs(86_400);

/// Rows or series of one host, judged one by one.
pub struct Subjects<'a> {
    host: &'a HostView,
    now: Timestamp,
    root: Context<'static, 'static>,
    dates: Arc<Dates>,
}

/// What a rule says of one subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It holds, but not far enough to close what is open.
    Between,
    /// It does not.
    Broken {
        /// How bad.
        severity: Severity,
        /// Open at once, without waiting.
        at_once: bool,
        /// One line.
        title: String,
        /// What it should be.
        expected: Option<String>,
        /// What it is.
        actual: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// It cannot be told, and why.
    Unknown(String),
    /// There is nothing to be judged.
    Moot,
}

/// Which values an evaluation has, and the reasons for those it has not.
struct Scope<'a> {
    row: Option<&'a Row>,
    columns: &'a [ColumnDecl],
    metrics: [HashMap<String, Value>; 3],
    reasons: BTreeMap<String, String>,
}

impl<'a> Subjects<'a> {
    /// Of a host, as it stands at `now`. `None` only if a function's name were taken, which a test excludes.
    #[must_use]
    pub fn of(host: &'a HostView, now: Timestamp, env: &Arc<Env>, dates: &Arc<Dates>) -> Option<Self> {
        let mut root = Context::with_env(Arc::clone(env));
        functions::add(&mut root, dates).ok()?;
        #[allow(clippy::cast_precision_loss)] // milliseconds stay far below 2^53
        root.add_variable_from_value(NOW, Value::Float(now.millis() as f64));
        let os = host.tables.get("os").and_then(|table| table.rows.values().next());
        for (variable, column) in [(OS, "id"), (OS_VERSION, "version")] {
            if let Some(value) =
                os.filter(|row| row.unknown(column).is_none()).and_then(|row| row.fact.fields.get(column))
            {
                root.add_variable_from_value(variable, to_cel(value));
            }
        }
        root.add_variable_from_value("host", host.host.name.as_str());
        let groups: HashMap<String, String> = host.host.groups.clone().into_iter().collect();
        root.add_variable_from_value("group", groups);
        Some(Self { host, now, root, dates: Arc::clone(dates) })
    }

    /// A row as it is judged: the host's, or the collector's own that is derived from them.
    #[must_use]
    pub fn find(&self, table: &str, key: &Untrusted) -> Option<Cow<'a, Row>> {
        match table {
            support::TABLE => self.dates.row(self.host, key, self.now).map(Cow::Owned),
            _ => self.host.row(table, key).map(Cow::Borrowed),
        }
    }

    /// Judges a row.
    #[must_use]
    pub fn row(&self, rule: &Rule, key: &Untrusted) -> Finding {
        let On::Table(table) = &rule.on else { return Finding::Moot };
        let row = self.find(table, key);
        let Some(row) = row.as_deref() else { return Finding::Moot };
        if let Some(reason) = row.stale.as_ref().or_else(|| row.fact.unknown.get("")) {
            return Finding::Unknown(said(reason));
        }
        if let Some((column, reason)) = rule.uses.asked.iter().find_map(|each| Some((each, row.unknown(each)?))) {
            return Finding::Unknown(format!("{column} is not known: {}", said(reason)));
        }
        let mut context = self.root.new_inner_scope();
        let known = row.fact.fields.iter().map(|(column, value)| (column.clone(), to_cel(value)));
        context.add_variable_from_value(table.as_str(), known.collect::<HashMap<_, _>>());
        context.add_variable_from_value("key", raw(key));
        let scope = self.scope(rule, Some(row), None);
        self.judge(rule, context, &scope)
    }

    /// Judges a series.
    #[must_use]
    pub fn series(&self, rule: &Rule, series: &Series) -> Finding {
        let Some(sampled) = self.host.series.get(&series.name).and_then(|of_name| of_name.get(series)) else {
            return Finding::Moot;
        };
        if self.now.since(sampled.at) >= ENDED
            && self.host.host.last_seen.is_some_and(|seen| seen.since(sampled.at) >= ENDED)
        {
            return Finding::Moot;
        }
        let value = match fresh(&series.name, Some(sampled), self.now) {
            Ok((sampled, value)) => (sampled, value),
            Err(reason) => return Finding::Unknown(reason),
        };
        let mut context = self.root.new_inner_scope();
        context.add_variable_from_value("value", value.1);
        let labels = series.labels.iter().map(|(label, value)| (label.clone(), raw(value)));
        context.add_variable_from_value("label", labels.collect::<HashMap<_, _>>());
        let scope = self.scope(rule, None, Some(series));
        self.judge(rule, context, &scope)
    }

    /// Reads the metrics that a rule uses: with the labels of what is judged, or without any.
    fn scope<'s>(&'s self, rule: &Rule, row: Option<&'s Row>, series: Option<&'s Series>) -> Scope<'s> {
        let decl = row.and_then(|row| self.host.tables.get(&row.table)).and_then(|table| table.decl.as_ref());
        let columns = match row {
            Some(row) if row.table == support::TABLE => support::columns(),
            _ => decl.map_or([].as_slice(), |decl| &decl.columns),
        };
        let mut scope = Scope { row, columns, metrics: Default::default(), reasons: BTreeMap::new() };
        for name in &rule.uses.metrics {
            let labels = match (row, series) {
                (Some(row), _) => BTreeMap::from([(row.table.clone(), row.fact.key.clone())]),
                (None, Some(series)) => series.labels.clone(),
                (None, None) => BTreeMap::new(),
            };
            let of_name = self.host.series.get(name);
            let find = |labels| of_name.and_then(|all| all.get(&Series { name: name.clone(), labels }));
            let sampled = find(labels).or_else(|| find(BTreeMap::new()));
            match fresh(name, sampled, self.now) {
                Err(reason) => {
                    scope.reasons.insert(name.clone(), reason);
                }
                Ok((sampled, value)) => {
                    scope.metrics[0].insert(name.clone(), Value::Float(value));
                    scope.metrics[1].extend(sampled.rate.map(|rate| (name.clone(), Value::Float(rate))));
                    let grown = sampled.risen.map(|at| self.now.since(at).as_secs_f64());
                    scope.metrics[2].extend(grown.map(|ago| (name.clone(), Value::Float(ago))));
                }
            }
        }
        scope
    }

    fn judge<'p>(&'p self, rule: &Rule, mut context: Context<'p, 'static>, scope: &Scope<'_>) -> Finding {
        // with has(grown.x), a metric that is not known must not read as one that never moved
        if let Some(reason) = scope.reasons.values().next().filter(|_| rule.uses.asks_metrics) {
            return Finding::Unknown(reason.clone());
        }
        for (map, values) in super::names::METRIC_MAPS.iter().zip(scope.metrics.clone()) {
            context.add_variable_from_value(*map, values);
        }
        let mut failed = BTreeMap::new();
        let lets: Vec<_> = rule.lets.iter().map(|(name, expression)| (name, expression.run(&context))).collect();
        for (name, value) in lets {
            match value {
                Ok(value) => context.add_variable_from_value(name.as_str(), value),
                Err(error) => {
                    failed.insert(name.as_str(), scope.reason(rule, &error, &BTreeMap::new()));
                }
            }
        }
        let unknown = |error: ExecutionError| Finding::Unknown(scope.reason(rule, &error, &failed));
        self.conclude(rule, &context).unwrap_or_else(unknown)
    }

    fn conclude(&self, rule: &Rule, context: &Context<'_, '_>) -> Result<Finding, ExecutionError> {
        if let Some(filter) = &rule.filter
            && !filter.holds(context)?
        {
            return Ok(Finding::Moot);
        }
        if rule.ok.holds(context)? {
            let is_clear = rule.clear.as_ref().map_or(Ok(true), |clear| clear.holds(context))?;
            return Ok(if is_clear { Finding::Holds } else { Finding::Between });
        }
        let critical = rule.critical.as_ref().map_or(Ok(false), |critical| critical.holds(context))?;
        let text =
            |template: &Option<super::expression::Template>| template.as_ref().map(|each| clip(each.fill(context)));
        Ok(Finding::Broken {
            severity: if critical { Severity::Critical } else { rule.severity },
            at_once: critical,
            title: clip(rule.title.fill(context)),
            expected: text(&rule.expected),
            actual: text(&rule.actual),
            hint: text(&rule.hint),
        })
    }
}

impl Scope<'_> {
    /// Why an expression has no result, in words.
    fn reason(&self, rule: &Rule, error: &ExecutionError, failed: &BTreeMap<&str, String>) -> String {
        match error {
            ExecutionError::NoSuchKey(name) => self.missing(name),
            ExecutionError::UndeclaredReference(name) => {
                failed.get(name.as_str()).cloned().unwrap_or_else(|| self.missing(name))
            }
            ExecutionError::FunctionError { message, .. } => said(message),
            other => format!("rule {} does not work out: {}", rule.name, said(&other.to_string())),
        }
    }

    fn missing(&self, name: &str) -> String {
        if let Some(reason) = self.reasons.get(name) {
            return reason.clone();
        }
        if self.metrics[0].contains_key(name) {
            return format!("how {name} moves is not known yet");
        }
        match self.row {
            Some(row) if row.unknown(name).is_some() => {
                format!("{name} is not known: {}", said(row.unknown(name).unwrap_or_default()))
            }
            Some(row) if self.columns.iter().any(|column| column.name == name) => {
                format!("{name} of {} {} is not set", row.table, clip(&row.fact.key))
            }
            _ => format!("the host has no group {name}"),
        }
    }
}

/// The newest value of a series, if it can be relied on.
fn fresh<'a>(name: &str, sampled: Option<&'a Sampled>, now: Timestamp) -> Result<(&'a Sampled, f64), String> {
    let sampled = sampled.ok_or_else(|| format!("there is no {name} yet"))?;
    if now.since(sampled.at) > FRESH {
        return Err(format!("{name} has had no value since {}", sampled.at));
    }
    let value = sampled.value.ok_or_else(|| format!("{name} could not be read"))?;
    Ok((sampled, value))
}

/// Text for comparing: as it came if it is UTF-8, escaped otherwise.
fn raw(text: &Untrusted) -> Value {
    Value::from(text.as_text().map_or_else(|| text.to_string(), str::to_owned))
}

/// A column's value for CEL. Times are seconds since 1970.
pub(super) fn to_cel(value: &Column) -> Value {
    match value {
        Column::Text(text) | Column::Version(text) => raw(text),
        #[allow(clippy::cast_precision_loss)] // exact up to 2^53; all numbers are real, so that they mix
        Column::Int(number) => Value::Float(*number as f64),
        Column::Real(number) => Value::Float(*number),
        Column::Bool(yes) => Value::Bool(*yes),
        #[allow(clippy::cast_precision_loss)] // milliseconds stay far below 2^53
        Column::Time(at) => Value::Float(at.millis() as f64 / 1000.0),
        Column::List(items) => Value::List(Arc::new(items.iter().map(raw).collect())),
    }
}
