//! A rule is tried on samples before it judges a host: with every column known, with each one missing, with values large
//! and small. What is unknown may come out; that something does not fit together may not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::{Context, Env, ExecutionError, Value};

use super::functions::{self, NOW, OS, OS_VERSION};
use super::names::{METRIC_MAPS, Names, Ty};
use super::rule::Rule;
use crate::drift::support::Dates;

/// What goes wrong with a rule, by field.
pub(super) fn run(rule: &Rule, names: &Names, env: &Arc<Env>) -> Vec<String> {
    let mut wrong = BTreeMap::new();
    for variant in [0, 1, 2] {
        let columns = names.row.iter().flat_map(|(_, columns)| columns.keys());
        let missing: Vec<Option<&String>> = std::iter::once(None).chain(columns.map(Some)).collect();
        for without in missing {
            match context(rule, names, env, variant, without) {
                Ok(context) => try_out(rule, &context, &mut wrong),
                Err((field, what)) => {
                    wrong.entry(field).or_insert(what);
                }
            }
        }
    }
    wrong.into_iter().map(|(field, what)| format!("{field}: {what}")).collect()
}

fn try_out(rule: &Rule, context: &Context<'_, '_>, wrong: &mut BTreeMap<&'static str, String>) {
    for (field, expression) in rule.conditions() {
        if let Err(error) = expression.holds(context)
            && !is_unknown(&error)
        {
            wrong.entry(field).or_insert(error.to_string());
        }
    }
    for (field, template) in [("title", Some(&rule.title)), ("expected", rule.expected.as_ref())]
        .into_iter()
        .chain([("actual", rule.actual.as_ref()), ("hint", rule.hint.as_ref())])
    {
        for expression in template.into_iter().flat_map(super::expression::Template::expressions) {
            if let Err(error) = expression.run(context)
                && !is_unknown(&error)
            {
                wrong.entry(field).or_insert(error.to_string());
            }
        }
    }
}

/// Errors that say that something is not known. Everything else is the rule's own.
fn is_unknown(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NoSuchKey(_) | ExecutionError::UndeclaredReference(_) | ExecutionError::FunctionError { .. }
    )
}

fn context(
    rule: &Rule,
    names: &Names,
    env: &Arc<Env>,
    variant: usize,
    without: Option<&String>,
) -> Result<Context<'static, 'static>, (&'static str, String)> {
    let mut context = Context::with_env(Arc::clone(env));
    functions::add(&mut context, &Dates::shipped()).map_err(|error| ("ok", error.to_string()))?;
    context.add_variable_from_value(NOW, Value::Float(1.8e12));
    context.add_variable_from_value(OS, "debian");
    context.add_variable_from_value(OS_VERSION, "12");
    for (name, ty) in &names.variables {
        if !rule.lets.contains_key(name) {
            context.add_variable_from_value(name.as_str(), sample(*ty, variant));
        }
    }
    if let Some((table, columns)) = &names.row {
        let known = columns.iter().filter(|(column, _)| Some(*column) != without);
        let row: HashMap<String, Value> = known.map(|(column, ty)| (column.clone(), sample(*ty, variant))).collect();
        context.add_variable_from_value(table.as_str(), row);
    }
    if let Some(labels) = &names.labels {
        let labels: BTreeMap<_, _> = labels.iter().map(|label| (label.clone(), sample(Ty::Text, variant))).collect();
        context.add_variable_from_value("label", labels.into_iter().collect::<HashMap<_, _>>());
    }
    for map in METRIC_MAPS {
        let values = names.metrics.iter().map(|metric| (metric.clone(), sample(Ty::Any, variant)));
        context.add_variable_from_value(map, values.collect::<HashMap<_, _>>());
    }
    for (name, expression) in &rule.lets {
        match expression.run(&context) {
            Ok(value) => context.add_variable_from_value(name.as_str(), value),
            Err(error) if is_unknown(&error) => {}
            Err(error) => return Err(("let", format!("{name}: {error}"))),
        }
    }
    Ok(context)
}

/// A value of a type; metrics (`Any`) are real numbers.
fn sample(ty: Ty, variant: usize) -> Value {
    match ty {
        Ty::Bool => Value::Bool(variant != 0),
        Ty::Num | Ty::Any => Value::Float([0.0, 1.0, 1e12][variant]),
        Ty::Int => Value::Int([0, 1, 1 << 40][variant]),
        Ty::Text => Value::from(["", "ext4", "/srv/x"][variant]),
        Ty::Version => Value::from(["8.2.29", "1", "99.1"][variant]),
        Ty::List => Value::List(Arc::new(vec![Value::from("x"); variant])),
        Ty::Map => HashMap::<String, Value>::new().into(),
    }
}
