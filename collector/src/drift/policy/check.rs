//! The walk over the syntax tree of an expression: every table, column, metric and function it names must exist, and what
//! it compares must be comparable. The CEL crate itself reports parse errors only, and `==` of two types is silently
//! false; a rule that can never hold or never fail is found here, when it is loaded.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators};

use super::functions::{SIGNATURES, WINDOW};
use super::names::{METRIC_MAPS, Names, Ty, Uses};
use super::units;
use crate::drift::support;
use plumb_proto::nearest::hint;

/// Functions of the language that rules may use: name and result.
const STANDARD: [(&str, Ty); 7] = [
    ("size", Ty::Int),
    ("startsWith", Ty::Bool),
    ("endsWith", Ty::Bool),
    ("contains", Ty::Bool),
    ("double", Ty::Num),
    ("int", Ty::Int),
    ("string", Ty::Text),
];

/// Walks an expression; answers its type, what it uses, and every mistake with the id of its node.
pub fn walk(expr: &IdedExpr, names: &Names) -> (Ty, Uses, Vec<(u64, String)>) {
    let mut walk = Walk { names, locals: Vec::new(), uses: Uses::default(), mistakes: Vec::new() };
    let ty = walk.expr(expr);
    (ty, walk.uses, walk.mistakes)
}

struct Walk<'a> {
    names: &'a Names,
    locals: Vec<String>,
    uses: Uses,
    mistakes: Vec<(u64, String)>,
}

impl Walk<'_> {
    fn expr(&mut self, node: &IdedExpr) -> Ty {
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(name) => self.ident(node, name),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                list.elements.iter().for_each(|each| {
                    self.expr(each);
                });
                Ty::List
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.expr(&entry.key);
                        self.expr(&entry.value);
                    }
                }
                Ty::Map
            }
            Expr::Comprehension(fold) => {
                self.uses.nests |= !self.locals.is_empty();
                self.expr(&fold.iter_range);
                self.expr(&fold.accu_init);
                let outer = self.locals.len();
                self.locals.extend([fold.iter_var.clone(), fold.accu_var.clone()]);
                self.locals.extend(fold.iter_var2.clone());
                for part in [&fold.loop_cond, &fold.loop_step, &fold.result] {
                    self.expr(part);
                }
                self.locals.truncate(outer);
                Ty::Any
            }
            Expr::Struct(_) | Expr::Unspecified => self.mistake(node, "not used in rules".to_owned()),
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Ty {
        match literal {
            LiteralValue::Boolean(_) => Ty::Bool,
            LiteralValue::Int(_) | LiteralValue::UInt(_) => Ty::Int,
            LiteralValue::Double(_) => Ty::Num,
            LiteralValue::String(_) => Ty::Text,
            LiteralValue::Bytes(_) => self.mistake(node, "bytes are not used in rules".to_owned()),
            LiteralValue::Null => {
                self.mistake(node, "null is never a value here: ask with has(..) whether a column is set".to_owned())
            }
        }
    }

    fn ident(&mut self, node: &IdedExpr, name: &str) -> Ty {
        if self.locals.iter().any(|local| local == name) {
            return Ty::Any;
        }
        if let Some(ty) = self.names.variables.get(name) {
            return *ty;
        }
        if self.names.row.as_ref().is_some_and(|(table, _)| table == name) {
            return Ty::Map;
        }
        if METRIC_MAPS.contains(&name) {
            return self.mistake(node, format!("`{name}` is read by name, such as {name}.load1"));
        }
        if name == "label" && self.names.labels.is_some() {
            return Ty::Map;
        }
        let row = self.names.row.iter().map(|(table, _)| table.as_str());
        let known = row.chain(self.names.variables.keys().map(String::as_str)).chain(METRIC_MAPS);
        self.mistake(node, format!("there is no `{name}` here{}", hint(name, known)))
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Ty {
        let field = select.field.as_str();
        if let Expr::Ident(name) = &select.operand.expr {
            if METRIC_MAPS.contains(&name.as_str()) && !self.names.variables.contains_key(name) {
                return self.metric(node, field);
            }
            if let Some((table, columns)) = self.names.row.as_ref().filter(|(table, _)| table == name) {
                let Some(ty) = columns.get(field) else {
                    let near = hint(field, columns.keys().map(String::as_str));
                    return self.mistake(node, format!("table `{table}` has no column `{field}`{near}"));
                };
                if select.test {
                    self.uses.asked.insert(field.to_owned());
                    return Ty::Bool;
                }
                return *ty;
            }
            if let Some(labels) = self.names.labels.as_ref().filter(|_| name == "label") {
                if !labels.contains(field) {
                    let near = hint(field, labels.iter().map(String::as_str));
                    return self.mistake(node, format!("the metric has no label `{field}`{near}"));
                }
                return if select.test { Ty::Bool } else { Ty::Text };
            }
        }
        if let Expr::Call(call) = &select.operand.expr
            && call.func_name == "support"
        {
            self.expr(&select.operand);
            let found = WINDOW.iter().find(|(name, _)| *name == field).map(|(_, ty)| *ty);
            return found.unwrap_or_else(|| {
                let near = hint(field, WINDOW.iter().map(|(name, _)| *name));
                self.mistake(node, format!("a support window has no `{field}`{near}"))
            });
        }
        let operand = self.expr(&select.operand);
        if !operand.fits(Ty::Map) {
            return self.mistake(node, format!("`.{field}` of a {}", operand.word()));
        }
        if select.test { Ty::Bool } else { Ty::Any }
    }

    fn metric(&mut self, node: &IdedExpr, name: &str) -> Ty {
        if !self.names.metrics.contains(name) {
            let near = hint(name, self.names.metrics.iter().map(String::as_str));
            return self.mistake(node, format!("there is no metric `{name}` for what this rule judges{near}"));
        }
        self.uses.metrics.insert(name.to_owned());
        if matches!(&node.expr, Expr::Select(select) if select.test) {
            self.uses.asks_metrics = true;
            return Ty::Bool;
        }
        Ty::Num
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Ty {
        let target = call.target.as_ref().map(|target| self.expr(target));
        let args: Vec<Ty> = call.args.iter().map(|arg| self.expr(arg)).collect();
        if let Some(ty) = self.operator(node, &call.func_name, &args) {
            return ty;
        }
        let name = call.func_name.as_str();
        if name.starts_with('@') {
            return Ty::Any; // of a macro
        }
        if let Some((_, wanted, result)) = SIGNATURES.iter().find(|(each, ..)| *each == name) {
            let given: Vec<Ty> = target.into_iter().chain(args).collect();
            if given.len() != wanted.len() || given.iter().zip(*wanted).any(|(given, wanted)| !given.fits(*wanted)) {
                let wanted: Vec<&str> = wanted.iter().map(|ty| ty.word()).collect();
                let given: Vec<&str> = given.iter().map(|ty| ty.word()).collect();
                return self
                    .mistake(node, format!("{name}({}) is called with ({})", wanted.join(", "), given.join(", ")));
            }
            self.uses.support |= name == "support";
            self.constant(node, call);
            return *result;
        }
        if let Some((_, result)) = STANDARD.iter().find(|(each, _)| *each == name) {
            return *result;
        }
        let known = SIGNATURES.iter().map(|(each, ..)| *each).chain(STANDARD.iter().map(|(each, _)| *each));
        self.mistake(node, format!("there is no function `{name}`{}", hint(name, known)))
    }

    /// A size, a duration or a product that is written out is read now, not when it is first needed.
    fn constant(&mut self, node: &IdedExpr, call: &CallExpr) {
        let Some(Expr::Literal(LiteralValue::String(text))) = call.args.first().map(|arg| &arg.expr) else { return };
        let read = match call.func_name.as_str() {
            "quantity" => units::size(text.inner()).map(drop),
            "duration" => units::span(text.inner()).map(drop),
            "support" if !support::knows(text.inner()) => {
                Err(format!("no support dates are known of {:?}", text.inner()))
            }
            _ => Ok(()),
        };
        if let Err(why) = read {
            self.mistake(node, why);
        }
    }

    /// The type of an operator's result; `None`: it is none.
    fn operator(&mut self, node: &IdedExpr, name: &str, args: &[Ty]) -> Option<Ty> {
        let all = |wanted: Ty| args.iter().all(|ty| ty.fits(wanted));
        let words = || args.iter().map(|ty| ty.word()).collect::<Vec<_>>().join(" and ");
        Some(match name {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                if !all(Ty::Bool) {
                    self.mistake(node, format!("`{}` needs bools, not {}", name.trim_matches('_'), words()));
                }
                Ty::Bool
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                if let [one, other] = args
                    && !one.fits(*other)
                {
                    self.mistake(node, format!("{} are never equal", words()));
                }
                Ty::Bool
            }
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => {
                if args.contains(&Ty::Version) {
                    self.mistake(node, "versions do not compare as text: use version_at_least(..)".to_owned());
                } else if !all(Ty::Num) && !all(Ty::Text) {
                    self.mistake(node, format!("{} do not compare", words()));
                }
                Ty::Bool
            }
            operators::ADD if all(Ty::Text) && args.contains(&Ty::Text) => Ty::Text,
            operators::ADD if all(Ty::List) && args.contains(&Ty::List) => Ty::List,
            operators::ADD if args.iter().all(|ty| *ty == Ty::Any) => Ty::Any,
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE => {
                if !all(Ty::Num) {
                    self.mistake(node, format!("no arithmetic with {}", words()));
                } else if args.contains(&Ty::Int) && args.contains(&Ty::Num) {
                    self.mistake(node, "columns and metrics are real numbers: reckon with 4.0 instead of 4".to_owned());
                }
                if args.contains(&Ty::Int) { Ty::Int } else { Ty::Num }
            }
            operators::IN => {
                if args.get(1).is_some_and(|ty| !ty.fits(Ty::List) && !ty.fits(Ty::Map)) {
                    self.mistake(node, format!("`in` a {}", args[1].word()));
                }
                Ty::Bool
            }
            operators::CONDITIONAL => match args {
                [condition, one, other] if condition.fits(Ty::Bool) && one.fits(*other) => *one,
                _ => self.mistake(node, "`? :` needs a bool and two of a kind".to_owned()),
            },
            operators::INDEX | operators::OPT_INDEX => Ty::Any,
            _ => return None,
        })
    }

    fn mistake(&mut self, node: &IdedExpr, what: String) -> Ty {
        self.mistakes.push((node.id, what));
        Ty::Any
    }
}
