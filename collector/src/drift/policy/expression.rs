//! Expressions and templates, compiled and checked.

use cel::{Context, Env, ExecutionError, Program, Value};
use plumb_proto::untrusted::Untrusted;

use super::check::walk;
use super::names::{Names, Ty, Uses};

/// Bytes of an expression.
const LENGTH: usize = 2_048;
/// Words and signs of an expression. A chain such as `1 + 1 + ..` is read as deep as it is long, each step on the stack,
/// and the parser has a limit for brackets only.
const TOKENS: usize = 512;

/// A CEL expression that passed the walk.
#[derive(Debug)]
pub(super) struct Expression {
    program: Program,
    pub(super) ty: Ty,
    pub(super) uses: Uses,
}

impl Expression {
    /// Compiles and checks. Errors carry the line within `text`, from 0.
    pub(super) fn compile(env: &Env, text: &str, names: &Names) -> Result<Self, Vec<(usize, String)>> {
        if let Some(why) = too_big(text) {
            return Err(vec![(0, why)]);
        }
        let program = env.compile(text).map_err(|errors| {
            let line = |error: &cel::ParseError| usize::try_from(error.pos.0 - 1).unwrap_or(0);
            errors.errors.iter().map(|error| (line(error), error.msg.clone())).collect::<Vec<_>>()
        })?;
        let (ty, uses, mistakes) = walk(program.expression(), names);
        if mistakes.is_empty() {
            return Ok(Self { program, ty, uses });
        }
        let line = |id: u64| {
            let start = program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize);
            text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count()
        };
        Err(mistakes.into_iter().map(|(id, what)| (line(id), what)).collect())
    }

    pub(super) fn run(&self, context: &Context<'_, '_>) -> Result<Value, ExecutionError> {
        self.program.execute(context)
    }

    /// A condition: anything but a bool is an error.
    pub(super) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, ExecutionError> {
        match self.run(context)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(ExecutionError::UnexpectedType { got: other.type_of().to_string(), want: "bool".to_owned() }),
        }
    }
}

/// Why an expression is not even parsed. What is in its strings counts as if it stood outside of them.
fn too_big(text: &str) -> Option<String> {
    if text.len() > LENGTH {
        return Some(format!("an expression of {} bytes, at most {LENGTH}", text.len()));
    }
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let words = text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).count();
    let signs = text.chars().filter(|char| !is_word(*char) && !char.is_whitespace()).count();
    let tokens = words + signs;
    (tokens > TOKENS).then(|| format!("an expression of {tokens} words and signs, at most {TOKENS}"))
}

/// A text with `{expressions}` in it; `{{` is a brace.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Expression),
}

impl Template {
    pub(super) fn compile(env: &Env, text: &str, names: &Names) -> Result<Self, Vec<(usize, String)>> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut errors = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let line = text[..text.len() - rest.len() + at].matches('\n').count();
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{");
            let Some(end) = end else {
                errors.push((line, format!("a single `{brace}` in a text is written `{brace}{brace}`")));
                break;
            };
            parts.push(Part::Text(std::mem::take(&mut literal)));
            match Expression::compile(env, &rest[..end], names) {
                Ok(expression) => parts.push(Part::Value(expression)),
                Err(inner) => errors.extend(inner.into_iter().map(|(_, what)| (line, what))),
            }
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        if errors.is_empty() { Ok(Self(parts)) } else { Err(errors) }
    }

    /// Everything that its expressions use.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(expression) => Some(expression),
        })
    }

    /// The text. What cannot be told is told as `?`: a drift without all of its words is still a drift.
    pub(super) fn fill(&self, context: &Context<'_, '_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(expression) => match expression.run(context) {
                    Ok(value) => text.push_str(&show(&value)),
                    Err(_) => text.push('?'),
                },
            }
        }
        text
    }
}

/// A value for people, escaped.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => Untrusted::from(text.as_str()).to_string(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Value::Float(number) => format!("{number:.1}"),
        Value::Bool(yes) => yes.to_string(),
        Value::List(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        _ => "?".to_owned(),
    }
}
