//! What rules may call beyond the language's own: versions, sizes, durations, support windows.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use cel::common::types::{CelDouble, CelString};
use cel::objects::Key;
use cel::{Context, DeclarationError, ExecutionError, FunctionContext, Value};
use plumb_proto::time::Timestamp;

use super::names::Ty;
use super::units;
use crate::drift::support::{Dates, Program, Window};
use crate::drift::version;

/// The moment that is judged, as milliseconds: bound under a name that no rule can write.
pub(super) const NOW: &str = "@now";
/// ID and VERSION_ID of the host, bound likewise; unbound where they are not known.
pub(super) const OS: &str = "@os";
/// See [`OS`].
pub(super) const OS_VERSION: &str = "@os_version";

/// Name, types of the arguments, type of the result. The walk checks calls against it.
pub(super) const SIGNATURES: &[(&str, &[Ty], Ty)] = &[
    ("version_at_least", &[Ty::Version, Ty::Version], Ty::Bool),
    ("quantity", &[Ty::Text], Ty::Num),
    ("duration", &[Ty::Text], Ty::Num),
    ("age", &[Ty::Num], Ty::Num),
    ("percent", &[Ty::Num, Ty::Num], Ty::Num),
    ("human_size", &[Ty::Num], Ty::Text),
    ("human_duration", &[Ty::Num], Ty::Text),
    ("day", &[Ty::Num], Ty::Text),
    ("support", &[Ty::Text, Ty::Map], Ty::Map),
];

/// Adds them to a context.
pub(super) fn add(context: &mut Context<'_, '_>, dates: &Arc<Dates>) -> Result<(), DeclarationError> {
    context.add_function("version_at_least", |version: Arc<String>, wanted: Arc<String>| {
        version::compare(&version, &wanted) != Ordering::Less
    })?;
    context.add_function("quantity", |text: Arc<String>| told("quantity", units::size(&text)))?;
    context
        .add_function("duration", |text: Arc<String>| told("duration", units::span(&text).map(|s| s.as_secs_f64())))?;
    context.add_function("age", age)?;
    context.add_function("percent", |part: Value, whole: Value| match (number(&part)?, number(&whole)?) {
        (_, 0.0) => Err(ExecutionError::function_error("percent", "nothing to take a share of: the whole is 0")),
        (part, whole) => Ok(Value::Float(part / whole * 100.0)),
    })?;
    context.add_function("human_size", |bytes: Value| number(&bytes).map(units::human_size).map(Value::from))?;
    context.add_function("human_duration", |span: Value| number(&span).map(units::human_span).map(Value::from))?;
    context.add_function("day", |time: Value| number(&time).map(day).map(Value::from))?;
    let dates = Arc::clone(dates);
    context.add_function("support", move |context: &FunctionContext<'_, '_>, product: Arc<String>, row: Value| {
        window(&dates, context, &product, &row)
    })
}

/// A number, whole or not.
pub(super) fn number(value: &Value) -> Result<f64, ExecutionError> {
    match value {
        #[allow(clippy::cast_precision_loss)] // exact up to 2^53
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        _ => Err(ExecutionError::unsupported_target_type(value.clone())),
    }
}

fn told(function: &str, result: Result<f64, String>) -> Result<Value, ExecutionError> {
    result.map(Value::Float).map_err(|why| ExecutionError::function_error(function, why))
}

/// The day of a moment, UTC.
fn day(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // seconds of a moment; what is beyond every calendar is told as its rim
    let (year, month, day) = Timestamp::from_secs((seconds as i64).clamp(0, 253_402_300_799)).date();
    format!("{year:04}-{month:02}-{day:02}")
}

fn age(context: &FunctionContext<'_, '_>, time: Value) -> Result<Value, ExecutionError> {
    Ok(Value::Float(millis(context)? / 1000.0 - number(&time)?))
}

/// The bound moment.
fn millis(context: &FunctionContext<'_, '_>) -> Result<f64, ExecutionError> {
    let now = context.ptx.get_variable(NOW);
    let now = now.as_ref().and_then(|now| now.downcast_ref::<CelDouble>()).map(|now| *now.inner());
    now.ok_or_else(|| context.error("no time to judge by"))
}

fn window(
    dates: &Dates,
    context: &FunctionContext<'_, '_>,
    product: &str,
    row: &Value,
) -> Result<Value, ExecutionError> {
    let cell = |name: &str| match row {
        Value::Map(row) => row.get(&Key::from(name)).cloned(),
        _ => None,
    };
    let text = |name: &str| match cell(name) {
        Some(Value::String(text)) => Some(text.as_str().to_owned()),
        _ => None,
    };
    let bound = |name: &str| {
        let value = context.ptx.get_variable(name);
        value.as_ref().and_then(|value| value.downcast_ref::<CelString>()).map(|text| text.inner().to_owned())
    };
    #[allow(clippy::cast_possible_truncation)] // milliseconds of a moment, whole and far below 2^53
    let moment = |millis: f64| Timestamp::from_millis(millis as i64);
    let now = moment(millis(context)?);
    let (os, os_version) = (bound(OS), bound(OS_VERSION));
    let (version, provenance, module) = (text("version"), text("provenance"), text("module"));
    let (package, package_version, kind) = (text("package"), text("package_version"), text("kind"));
    let found = if product == "os" {
        dates.system(os.as_deref(), os_version.as_deref())
    } else {
        let own_end = cell("support_until").and_then(|value| number(&value).ok());
        dates.program(
            &Program {
                product,
                version: version.as_deref(),
                provenance: provenance.as_deref(),
                module: module.as_deref(),
                package: package.as_deref(),
                package_version: package_version.as_deref(),
                kind: kind.as_deref(),
                own_end: own_end.map(|seconds| moment(seconds * 1000.0)),
                os: os.as_deref(),
                os_version: os_version.as_deref(),
            },
            now,
        )
    };
    found.map(|window| as_map(&window, now)).map_err(|why| context.error(why.told()))
}

/// What `support(..)` answers; the walk knows these fields by [`WINDOW`].
fn as_map(window: &Window, now: Timestamp) -> Value {
    /// Days that stand for "no end": more than any threshold of a rule.
    const FOREVER: f64 = 36_500.0;
    let without_day = if window.is_over { -1.0 } else { FOREVER };
    let fields: [(&str, Value); 6] = [
        #[allow(clippy::cast_precision_loss)] // days
        ("days_left", Value::Float(window.days_left(now).map_or(without_day, |days| days as f64))),
        ("until", window.last_day().into()),
        ("by", window.by.clone().into()),
        ("upstream", window.upstream.clone().into()),
        ("note", window.note.clone().into()),
        ("verdict", window.verdict(now).as_str().into()),
    ];
    HashMap::from(fields.map(|(name, value)| (name.to_owned(), value))).into()
}

/// Fields of a support window.
pub(super) const WINDOW: [(&str, Ty); 6] = [
    ("days_left", Ty::Num),
    ("until", Ty::Text),
    ("by", Ty::Text),
    ("upstream", Ty::Text),
    ("note", Ty::Text),
    ("verdict", Ty::Text),
];
