//! A plan as text: what is asked of a user and in which order, with costs. Parts that are used more
//! than once stand once, under a number.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::form::{value_of_float, value_of_int};
use super::node::{
    Cond, CondId, Node, Order, Pattern, Plan, Query, TextOp, ValId, ValKind, ValueTest,
};
use super::show::{constant, row_field, window_text};
use super::{LowerError, lower};
use crate::base::{Type, Value};
use crate::program::typed::Program;
use crate::program::typed_expr::{Aggregate, EventSource, Expr};

/// The plan of a condition or value, one part a line.
pub fn describe(program: &Program, expr: &Expr) -> String {
    match lower(program, expr) {
        Ok(plan) => Text::of(program, &plan),
        Err(LowerError::TooDeep(_)) => "nested too deep\n".into(),
        Err(LowerError::Shape(_)) => "not an expression that the checker makes\n".into(),
    }
}

struct Text<'a> {
    program: &'a Program,
    plan: &'a Plan,
    /// Composite conditions that are used more than once, with their numbers.
    shared: BTreeMap<CondId, usize>,
    told: BTreeSet<CondId>,
    /// Numbers that stand in a line before their part has been told.
    mentioned: RefCell<BTreeSet<CondId>>,
    out: String,
}

impl<'a> Text<'a> {
    fn of(program: &'a Program, plan: &'a Plan) -> String {
        let mut text = Text {
            program,
            plan,
            shared: BTreeMap::new(),
            told: BTreeSet::new(),
            mentioned: RefCell::default(),
            out: String::new(),
        };
        text.count_uses();
        match plan.root {
            Node::Cond(id) => text.line(id, None, 0),
            Node::Val(id) => {
                text.out = text.value(id, None);
                text.out.push('\n');
            }
        }
        loop {
            let next = text
                .mentioned
                .borrow()
                .difference(&text.told)
                .next()
                .copied();
            match next {
                Some(id) => text.line(id, None, 0),
                None => return text.out,
            }
        }
    }

    fn count_uses(&mut self) {
        let mut uses: BTreeMap<CondId, usize> = BTreeMap::new();
        let mut open = vec![self.plan.root];
        let mut seen = BTreeSet::new();
        while let Some(node) = open.pop() {
            if let Node::Cond(id) = node {
                *uses.entry(id).or_default() += 1;
            }
            if seen.insert(node) {
                open.extend(match node {
                    Node::Cond(id) => self.plan.cond(id).parts(),
                    Node::Val(id) => self.plan.val(id).kind.parts(),
                });
            }
        }
        let composite = |id: &CondId| {
            matches!(
                self.plan.cond(*id),
                Cond::All(_) | Cond::Any(_) | Cond::If { .. } | Cond::OrElse(..)
            )
        };
        let shared: Vec<CondId> = uses
            .into_iter()
            .filter(|(id, n)| *n > 1 && composite(id))
            .map(|(id, _)| id)
            .collect();
        self.shared = shared.into_iter().zip(1..).collect();
    }

    /// A condition with its parts below it.
    fn line(&mut self, id: CondId, row: Option<EventSource>, depth: usize) {
        let indent = "  ".repeat(depth);
        let number = self
            .shared
            .get(&id)
            .map(|n| format!("#{n} "))
            .unwrap_or_default();
        if !number.is_empty() && !self.told.insert(id) {
            self.out.push_str(&format!("{indent}{}as above\n", number));
            return;
        }
        let (head, parts) = match self.plan.cond(id) {
            Cond::All(parts) => ("all of", parts.clone()),
            Cond::Any(parts) => ("any of", parts.clone()),
            Cond::Not(of) => ("not", vec![*of]),
            Cond::IsTrue(of) => ("is true", vec![*of]),
            Cond::IsDecided(of) => ("is decided", vec![*of]),
            Cond::Same(a, b) => ("same", vec![*a, *b]),
            Cond::OrElse(a, b) => ("first, or second where it is unknown", vec![*a, *b]),
            Cond::If {
                when,
                then,
                otherwise,
            } => ("if, then, else", vec![*when, *then, *otherwise]),
            Cond::Named(_, of) => return self.line(*of, row, depth),
            _ => {
                let text = self.atom(id, row);
                self.out.push_str(&format!("{indent}{text}\n"));
                return;
            }
        };
        self.out.push_str(&format!("{indent}{number}{head}\n"));
        for part in parts {
            self.line(part, row, depth + 1);
        }
    }

    /// A condition on one line.
    fn atom(&self, id: CondId, row: Option<EventSource>) -> String {
        let c = |id: &CondId| self.atom(*id, row);
        let v = |id: &ValId| self.value(*id, row);
        if let Some(number) = self.shared.get(&id) {
            self.mentioned.borrow_mut().insert(id);
            return format!("#{number}");
        }
        let many = |list: &[CondId], word: &str| {
            list.iter()
                .map(|id| format!("({})", c(id)))
                .collect::<Vec<_>>()
                .join(word)
        };
        match self.plan.cond(id) {
            Cond::Always(Some(true)) => "everyone".into(),
            Cond::Always(Some(false)) => "nobody".into(),
            Cond::Always(None) => "unknown".into(),
            Cond::List(id) => self
                .program
                .lists
                .get(id.index())
                .map_or_else(String::new, |l| l.declared.name.clone()),
            Cond::StepOutcome { step, outcome } => {
                format!("{outcome:?} of step {step}").to_lowercase()
            }
            Cond::Flag(of) => v(of),
            Cond::Not(of) => format!("not ({})", c(of)),
            Cond::All(list) => many(list, " and "),
            Cond::Any(list) => many(list, " or "),
            Cond::IsTrue(of) => format!("is_true({})", c(of)),
            Cond::IsDecided(of) => format!("({}) is known", c(of)),
            Cond::IsKnown(of) => format!("{} is known", v(of)),
            Cond::Same(a, b) => format!("({}) == ({})", c(a), c(b)),
            Cond::OrElse(a, b) => format!("({}) ?? ({})", c(a), c(b)),
            Cond::If {
                when,
                then,
                otherwise,
            } => format!("if({}, {}, {})", c(when), c(then), c(otherwise)),
            Cond::Test { of, test } => {
                format!("{} {}", v(of), self.test(test, &self.plan.val(*of).ty))
            }
            Cond::Compare { op, left, right } => {
                let op = match op {
                    Order::Eq => "==",
                    Order::Lt => "<",
                    Order::Le => "<=",
                };
                format!("{} {op} {}", v(left), v(right))
            }
            Cond::Between { of, lo, hi } => format!("{} in {}..{}", v(of), v(lo), v(hi)),
            Cond::Text {
                op: TextOp::Contains,
                of,
                what,
            } => format!("{} contains {}", v(of), v(what)),
            Cond::Text {
                op: TextOp::StartsWith,
                of,
                what,
            } => format!("{} starts with {}", v(of), v(what)),
            Cond::Did(query) => self.query(query),
            Cond::Named(_, of) => c(of),
        }
    }

    fn test(&self, test: &ValueTest, ty: &Type) -> String {
        let zone = self.plan.zone;
        let show =
            |value: Option<Value>| value.map_or_else(|| "?".into(), |v| constant(&v, ty, zone));
        let int = |n: i64| show(value_of_int(ty, n));
        let float = |n: f64| show(value_of_float(ty, n));
        let list = |items: Vec<String>| format!("in [{}]", items.join(", "));
        match test {
            ValueTest::Int { lo, hi } => match (*lo, *hi) {
                (lo, hi) if lo > hi => "never fits".into(),
                (lo, hi) if lo == hi => format!("== {}", int(lo)),
                (i64::MIN, i64::MAX) => "is any".into(),
                (i64::MIN, hi) => format!("<= {}", int(hi)),
                (lo, i64::MAX) => format!(">= {}", int(lo)),
                (lo, hi) => format!("in {}..{}", int(lo), int(hi)),
            },
            ValueTest::IntIn(ints) => list(ints.iter().map(|n| int(*n)).collect()),
            ValueTest::Float { lo, hi } => match (lo, hi) {
                (Some(lo), Some(hi)) if lo == hi && lo.included => format!("== {}", float(lo.at)),
                _ => {
                    let lo = lo.map(|e| {
                        format!("{} {}", if e.included { ">=" } else { ">" }, float(e.at))
                    });
                    let hi = hi.map(|e| {
                        format!("{} {}", if e.included { "<=" } else { "<" }, float(e.at))
                    });
                    lo.into_iter().chain(hi).collect::<Vec<_>>().join(" and ")
                }
            },
            ValueTest::FloatIn(floats) => list(floats.iter().map(|n| float(*n)).collect()),
            ValueTest::Text { lo, hi } => {
                let lo = lo
                    .as_ref()
                    .map(|e| format!("{} \"{}\"", if e.included { ">=" } else { ">" }, e.at));
                let hi = hi
                    .as_ref()
                    .map(|e| format!("{} \"{}\"", if e.included { "<=" } else { "<" }, e.at));
                lo.into_iter().chain(hi).collect::<Vec<_>>().join(" and ")
            }
            ValueTest::TextIn(texts) => list(texts.iter().map(|t| format!("\"{t}\"")).collect()),
            ValueTest::Contains(part) => format!("contains \"{part}\""),
            ValueTest::StartsWith(start) => format!("starts with \"{start}\""),
            ValueTest::Window { window, .. } => format!("in {}", window_text(*window)),
            ValueTest::Yearly(window) => format!("yearly in {}", window_text(*window)),
            ValueTest::Set { all, items } => {
                let of = if let Type::Set(of) = ty { of } else { ty };
                let items: Vec<String> = items.iter().map(|v| constant(v, of, zone)).collect();
                format!(
                    "contains {} [{}]",
                    if *all { "all" } else { "any" },
                    items.join(", ")
                )
            }
        }
    }

    fn value(&self, id: ValId, row: Option<EventSource>) -> String {
        let v = |id: &ValId| self.value(*id, row);
        let val = self.plan.val(id);
        match &val.kind {
            ValKind::Const(value) => constant(value, &val.ty, self.plan.zone),
            ValKind::Missing => "missing".into(),
            ValKind::Tag(id) | ValKind::Named(id, _) => self
                .program
                .schema
                .tags
                .get(id.index())
                .map_or_else(String::new, |t| t.name.clone()),
            ValKind::TriggerField(field) => format!("event.{}", field + 1),
            ValKind::RowField(field) => {
                row.map_or_else(String::new, |row| row_field(self.program, row, *field))
            }
            ValKind::Lookup {
                lookup,
                keys,
                field,
            } => {
                let Some(table) = self.program.lookups.get(lookup.index()) else {
                    return String::new();
                };
                let field = table
                    .fields
                    .get(usize::from(*field))
                    .map_or("?", |f| &f.name);
                format!(
                    "{}({}).{field}",
                    table.declared.name,
                    keys.iter().map(v).collect::<Vec<_>>().join(", ")
                )
            }
            ValKind::Choice { arms, otherwise } => {
                let arms: Vec<String> = arms.iter().map(|c| self.atom(*c, row)).collect();
                format!(
                    "choice({}{})",
                    arms.join("; "),
                    if *otherwise { "; otherwise" } else { "" }
                )
            }
            ValKind::Coalesce(a, b) => format!("({} ?? {})", v(a), v(b)),
            ValKind::If {
                when,
                then,
                otherwise,
            } => format!(
                "if({}, {}, {})",
                self.atom(*when, row),
                v(then),
                v(otherwise)
            ),
            ValKind::Unary(op, of) => format!("{}({})", op.name(), v(of)),
            ValKind::Binary(op, a, b) => {
                format!("{}({}, {})", op.name(), v(a), v(b))
            }
            ValKind::Event(query) => self.query(query),
        }
    }

    fn query(&self, query: &Query) -> String {
        let mut text = self.pattern(
            &query.pattern,
            query.field.as_ref().map(|(field, _)| *field),
        );
        if let Some(then) = &query.then {
            let next = self.pattern(&then.next, None);
            text.push_str(&format!(
                " then {}{next} within {}",
                if then.no { "no " } else { "" },
                then.within
            ));
        }
        match query.what {
            Aggregate::Since => format!("since({text})"),
            what => format!(
                "{}({text}, {})",
                format!("{what:?}").to_lowercase(),
                window_text(query.window)
            ),
        }
    }

    fn pattern(&self, pattern: &Pattern, field: Option<u16>) -> String {
        let mut text = match pattern.source {
            EventSource::Declared(id) => self
                .program
                .schema
                .events
                .get(id.index())
                .map_or_else(String::new, |e| e.name.clone()),
            EventSource::Own(own) => own.name().to_string(),
        };
        if let Some(field) = field {
            text.push_str(&format!(
                ".{}",
                row_field(self.program, pattern.source, field)
            ));
        }
        if let Some(filter) = pattern.filter {
            text.push_str(&format!(
                " where {}",
                self.atom(filter, Some(pattern.source))
            ));
        }
        text
    }
}
