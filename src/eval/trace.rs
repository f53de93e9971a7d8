//! A condition taken apart for one user: which part is true, false or unknown, and with what
//! values.
//!
//! Named audiences, partitions and derived tags are taken apart where they are first met; later
//! they stand with their answer alone. Private values are masked.

use std::collections::BTreeSet;

use super::bind::BoundPlan;
use super::error::EvalError;
use super::eval_scope::EvalScope;
use super::lowered::Lowered;
use super::point::{Point, PointTarget};
use crate::base::Lang;
use crate::base::value::{Shown, masked};
use crate::base::{AudienceId, PartitionId, TagId, Type, UserNo, Value, Zone};
use crate::diag::{Sources, Span};
use crate::plan::node::Node;
use crate::plan::{Lowering, show};
use crate::program::typed::Program;
use crate::program::typed_expr::{Expr, ExprKind};

/// One part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pub span: Span,
    /// The audience, derived tag, partition or arm that the part is.
    pub name: Option<String>,
    /// Of a condition; `None` is unknown.
    pub truth: Option<bool>,
    /// Of a part that is no condition: what it gives, `None` for missing.
    pub value: Option<Option<String>>,
    /// What the part reads: the text as the program has it and the value, `None` for missing.
    pub values: Vec<(String, Option<String>)>,
    pub parts: Vec<Trace>,
}

pub fn trace(scope: &EvalScope, condition: &Expr, user: UserNo) -> Result<Trace, EvalError> {
    let mut drawing = Drawing {
        program: scope.program,
        lowering: Lowering::new(scope.program),
        seen: Seen::default(),
    };
    let root = drawing.lowering.node(condition)?;
    let sketch = drawing.part(condition, None)?;
    let plan = drawing.lowering.finish(root);
    let lowered = Lowered::new(plan);
    let bound = BoundPlan::new(scope, &lowered)?;
    Ok(sketch.filled(
        &mut Point::new(&bound, PointTarget::User(user)),
        bound.plan.zone,
    ))
}

/// A part before anyone is looked at.
struct Sketch<'e> {
    expr: &'e Expr,
    name: Option<String>,
    node: Node,
    private: bool,
    leaves: Vec<Leaf<'e>>,
    parts: Vec<Sketch<'e>>,
}

struct Leaf<'e> {
    name: String,
    node: Node,
    ty: &'e Type,
    private: bool,
}

/// What has been taken apart already.
#[derive(Default)]
struct Seen {
    audiences: BTreeSet<AudienceId>,
    tags: BTreeSet<TagId>,
    partitions: BTreeSet<PartitionId>,
}

struct Drawing<'e> {
    program: &'e Program,
    lowering: Lowering<'e>,
    seen: Seen,
}

impl<'e> Drawing<'e> {
    fn part(&mut self, expr: &'e Expr, name: Option<String>) -> Result<Sketch<'e>, EvalError> {
        let program = self.program;
        let inside: Option<Vec<&'e Expr>> = match &expr.kind {
            ExprKind::And(..) | ExprKind::Or(..) => {
                // `a and b and c` is one line with three parts.
                let mut list = Vec::new();
                flatten(expr, &expr.kind, &mut list);
                Some(list)
            }
            ExprKind::Not(a) => Some(vec![a]),
            ExprKind::Except(a, b) => Some(vec![a, b]),
            ExprKind::Coalesce(a, b) if expr.ty == Type::Bool => Some(vec![a, b]),
            ExprKind::If {
                when,
                then,
                otherwise,
            } if expr.ty == Type::Bool => Some(vec![when, then, otherwise]),
            _ => None,
        };
        let mut sketch = Sketch {
            expr,
            name,
            node: self.lowering.node(expr)?,
            private: false,
            leaves: Vec::new(),
            parts: Vec::new(),
        };
        match (inside, &expr.kind) {
            (Some(inside), _) => {
                for part in inside {
                    sketch.parts.push(self.part(part, None)?);
                }
            }
            (None, ExprKind::Audience(id)) => {
                if let Some(audience) = program.audiences.get(id.index())
                    && self.seen.audiences.insert(*id)
                {
                    sketch
                        .parts
                        .push(self.part(&audience.when, Some(audience.declared.name.clone()))?);
                }
            }
            (None, _) => self.leaves(expr, &mut sketch)?,
        }
        Ok(sketch)
    }

    /// The values that a part reads, and below it what they are computed from.
    fn leaves(&mut self, expr: &'e Expr, into: &mut Sketch<'e>) -> Result<(), EvalError> {
        let program = self.program;
        match &expr.kind {
            ExprKind::Const(_) | ExprKind::Everyone | ExprKind::List(_) => return Ok(()),
            ExprKind::Tag(_)
            | ExprKind::Partition(_)
            | ExprKind::LookupField { .. }
            | ExprKind::TriggerField(_)
            | ExprKind::Event(_)
            | ExprKind::StepOutcome { .. } => {
                let name = show(program, expr, None);
                if into.leaves.iter().all(|leaf| leaf.name != name) {
                    into.leaves.push(Leaf {
                        name,
                        node: self.lowering.node(expr)?,
                        ty: &expr.ty,
                        private: is_private(program, expr),
                    });
                }
            }
            // An audience inside a value, or another condition: a part of its own.
            ExprKind::Audience(_) => {
                let part = self.part(expr, None)?;
                into.parts.push(part);
                return Ok(());
            }
            _ => {}
        }
        match &expr.kind {
            ExprKind::Tag(id) => {
                if let Some(derived) = program
                    .tags
                    .get(id.index())
                    .and_then(|t| t.derived.as_ref())
                    && self.seen.tags.insert(*id)
                {
                    let mut part = self.part(derived, Some(show(program, expr, None)))?;
                    part.private = is_private(program, expr);
                    into.parts.push(part);
                }
            }
            ExprKind::Partition(id) => {
                if let Some(partition) = program.partitions.get(id.index())
                    && self.seen.partitions.insert(*id)
                {
                    let Type::Enum(names) = &partition.ty else {
                        return Ok(());
                    };
                    for (arm, name) in partition.arms.iter().zip(&names.members) {
                        let part =
                            self.part(arm, Some(format!("{}.{name}", partition.declared.name)))?;
                        into.parts.push(part);
                    }
                }
            }
            _ => {
                for child in expr.children_about_users() {
                    self.leaves(child, into)?;
                }
            }
        }
        Ok(())
    }
}

fn is_private(program: &Program, expr: &Expr) -> bool {
    let private = match &expr.kind {
        ExprKind::Tag(id) => program
            .schema
            .tags
            .get(id.index())
            .is_some_and(|t| t.private),
        _ => false,
    };
    private || matches!(expr.ty, Type::Address(_))
}

fn flatten<'e>(expr: &'e Expr, outer: &ExprKind, out: &mut Vec<&'e Expr>) {
    match (&expr.kind, outer) {
        (ExprKind::And(a, b), ExprKind::And(..)) | (ExprKind::Or(a, b), ExprKind::Or(..)) => {
            flatten(a, outer, out);
            flatten(b, outer, out);
        }
        _ => out.push(expr),
    }
}

impl Sketch<'_> {
    fn filled<'b>(self, point: &mut Point<'b>, zone: Zone) -> Trace {
        let (truth, value) = match self.node {
            Node::Cond(id) => (point.cond(id), None),
            Node::Val(_) => (
                None,
                Some(
                    point
                        .value(self.node)
                        .map(|v| shown(&v, &self.expr.ty, self.private, zone)),
                ),
            ),
        };
        let values = self
            .leaves
            .into_iter()
            .map(|leaf| {
                (
                    leaf.name,
                    point
                        .value(leaf.node)
                        .map(|v| shown(&v, leaf.ty, leaf.private, zone)),
                )
            })
            .collect();
        let parts = self
            .parts
            .into_iter()
            .map(|part| part.filled(point, zone))
            .collect();
        Trace {
            span: self.expr.span,
            name: self.name,
            truth,
            value,
            values,
            parts,
        }
    }
}

fn shown(value: &Value, ty: &Type, private: bool, zone: Zone) -> String {
    match value {
        Value::Text(text) if private => masked(text),
        _ if private => "***".into(),
        _ => Shown { value, ty, zone }.to_string(),
    }
}

impl Trace {
    /// As an indented tree: truth, the part as the program has it, the values it read.
    pub fn show(&self, sources: &Sources, lang: Lang) -> String {
        let mut out = String::new();
        self.write(sources, lang, 0, &mut out);
        out
    }

    fn write(&self, sources: &Sources, lang: Lang, depth: usize, out: &mut String) {
        let word = match (&self.value, self.truth, lang) {
            (Some(_), _, Lang::En) => "value  ",
            (None, Some(true), Lang::En) => "true   ",
            (None, Some(false), Lang::En) => "false  ",
            (None, None, Lang::En) => "unknown",
            (Some(_), _, Lang::Zh) => "值  ",
            (None, Some(true), Lang::Zh) => "真  ",
            (None, Some(false), Lang::Zh) => "假  ",
            (None, None, Lang::Zh) => "未知",
        };
        let missing = if lang == Lang::Zh {
            "缺失"
        } else {
            "missing"
        };
        let text = sources
            .slice(self.span)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let text = match &self.name {
            Some(name) => format!("{name} = {text}"),
            None => text,
        };
        let own = self
            .value
            .iter()
            .map(|v| v.as_deref().unwrap_or(missing).to_owned());
        let values = self
            .values
            .iter()
            .map(|(n, v)| format!("{n} = {}", v.as_deref().unwrap_or(missing)));
        let values: Vec<String> = own.chain(values).collect();
        let values = if values.is_empty() {
            String::new()
        } else {
            format!("    [{}]", values.join(", "))
        };
        out.push_str(&format!("{}{word}  {text}{values}\n", "  ".repeat(depth)));
        self.parts
            .iter()
            .for_each(|p| p.write(sources, lang, depth + 1, out));
    }
}
