//! A plan as text, for `query --explain` and tests.

use super::{Plan, lower};
use crate::base::value::Shown;
use crate::base::{Schema, Zone};
use crate::program::expr::{
    Aggregate, ArithOp, CompareOp, EventPattern, EventSource, Expr, ExprKind, OWN_FIELDS, OwnEvent, SetMode, Window,
};
use crate::program::typed::Program;

/// The plan of a condition, one part a line, with costs.
pub fn describe(program: &Program, condition: &Expr) -> String {
    let mut out = String::new();
    write(program, &lower(program, condition), 0, &mut out);
    out
}

fn write(program: &Program, plan: &Plan, depth: usize, out: &mut String) {
    let mut line = |text: &str| out.push_str(&format!("{}{text}\n", "  ".repeat(depth)));
    match plan {
        Plan::Always(b) => line(if *b { "everyone" } else { "nobody" }),
        Plan::Not(of) => {
            line("not");
            write(program, of, depth + 1, out);
        }
        Plan::All(parts) | Plan::Any(parts) => {
            line(if matches!(plan, Plan::All(_)) { "all of" } else { "any of" });
            parts.iter().for_each(|p| write(program, p, depth + 1, out));
        }
        Plan::Except(a, b) => {
            line("except");
            write(program, a, depth + 1, out);
            write(program, b, depth + 1, out);
        }
        Plan::Atom(atom) => line(&format!("{}  [cost {}]", show(program, &atom.expr, None), atom.cost)),
    }
}

/// An expression in the language's own words; `row` is the event whose rows `RowField` names.
pub fn show(program: &Program, expr: &Expr, row: Option<EventSource>) -> String {
    use ExprKind as K;
    let s = |e: &Expr| show(program, e, row);
    match &expr.kind {
        K::Const(value) => Shown { value, ty: &expr.ty, zone: program.policy.zone }.to_string(),
        K::Tag(id) => program.schema.tags.get(id.index()).map_or_else(String::new, |t| t.name.clone()),
        K::Partition(id) => program.partition(*id).declared.name.clone(),
        K::TriggerField(i) => format!("event.#{i}"),
        K::RowField(i) => match row {
            Some(EventSource::Declared(id)) => field_name(&program.schema, id, *i),
            _ => OWN_FIELDS.get(usize::from(*i)).copied().unwrap_or("?").to_string(),
        },
        K::LookupField { lookup, keys, field } => {
            let lookup = program.lookup(*lookup);
            let field = lookup.fields.get(usize::from(*field)).map_or("?", |f| f.name.as_str());
            format!("{}({}).{field}", lookup.declared.name, keys.iter().map(s).collect::<Vec<_>>().join(", "))
        }
        K::StepOutcome { step, outcome } => format!("{outcome:?} of step {step}").to_lowercase(),
        K::Everyone => "everyone".into(),
        K::Audience(id) => program.audience(*id).declared.name.clone(),
        K::List(id) => program.list(*id).declared.name.clone(),
        K::Not(a) => format!("not ({})", s(a)),
        K::And(a, b) => format!("({}) and ({})", s(a), s(b)),
        K::Or(a, b) => format!("({}) or ({})", s(a), s(b)),
        K::Except(a, b) => format!("({}) except ({})", s(a), s(b)),
        K::Compare { op, left, right } => format!("{} {} {}", s(left), compare(*op), s(right)),
        K::InRange { of, lo, hi } => format!("{} in {}..{}", s(of), s(lo), s(hi)),
        K::InList { of, list } => {
            let items = list.iter().map(|value| Shown { value, ty: &of.ty, zone: program.policy.zone }.to_string());
            format!("{} in [{}]", s(of), items.collect::<Vec<_>>().join(", "))
        }
        K::InWindow { of, window, yearly } => {
            let of = if *yearly { format!("yearly({})", s(of)) } else { s(of) };
            format!("{of} in {}", window_text(*window))
        }
        K::SetContains { set, mode, items } => {
            let element = if let crate::base::Type::Set(of) = &set.ty { of.as_ref() } else { &set.ty };
            let items: Vec<String> = items.iter().map(|value| Shown { value, ty: element, zone: Zone::UTC }.to_string()).collect();
            let mode = match mode {
                SetMode::One => "",
                SetMode::Any => "any ",
                SetMode::All => "all ",
            };
            format!("{} contains {mode}[{}]", s(set), items.join(", "))
        }
        K::TextContains { of, what } => format!("{} contains {}", s(of), s(what)),
        K::StartsWith { of, what } => format!("{} starts with {}", s(of), s(what)),
        K::IsMissing(a) => format!("{} is missing", s(a)),
        K::IsKnown(a) => format!("{} is known", s(a)),
        K::Coalesce(a, b) => format!("({} ?? {})", s(a), s(b)),
        K::Arith { op, left, right } => {
            let op = match op {
                ArithOp::Add => "+",
                ArithOp::Sub => "-",
                ArithOp::Mul => "*",
                ArithOp::Div => "/",
                ArithOp::Mod => "mod",
            };
            format!("({} {op} {})", s(left), s(right))
        }
        K::Neg(a) => format!("-{}", s(a)),
        K::If { when, then, otherwise } => format!("if({}, {}, {})", s(when), s(then), s(otherwise)),
        K::Call { function, args } => {
            format!("{}({})", format!("{function:?}").to_lowercase(), args.iter().map(s).collect::<Vec<_>>().join(", "))
        }
        K::Event(query) => {
            let mut text = pattern(program, &query.pattern, query.field);
            if let Some(then) = &query.then {
                text.push_str(&format!(
                    " then {}{} within {}",
                    if then.no { "no " } else { "" },
                    pattern(program, &then.next, None),
                    then.within
                ));
            }
            match query.what {
                Aggregate::Since => format!("since({text})"),
                what => format!("{}({text}, {})", format!("{what:?}").to_lowercase(), window_text(query.window)),
            }
        }
    }
}

fn compare(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}

fn field_name(schema: &Schema, event: crate::base::EventId, field: u16) -> String {
    let event = schema.events.get(event.index());
    event.and_then(|e| e.fields.get(usize::from(field))).map_or_else(String::new, |f| f.name.clone())
}

fn pattern(program: &Program, pattern: &EventPattern, field: Option<u16>) -> String {
    let mut text = match pattern.source {
        EventSource::Declared(id) => program.schema.events.get(id.index()).map_or_else(String::new, |e| e.name.clone()),
        EventSource::Own(own) => OwnEvent::ALL.iter().find(|(o, _)| *o == own).map_or("", |(_, n)| n).to_string(),
    };
    if let (Some(field), EventSource::Declared(id)) = (field, pattern.source) {
        text.push_str(&format!(".{}", field_name(&program.schema, id, field)));
    }
    if let Some(filter) = &pattern.filter {
        text.push_str(&format!(" where {}", show(program, filter, Some(pattern.source))));
    }
    text
}

fn window_text(window: Window) -> String {
    match window {
        Window::Last(l) => format!("last {l}"),
        Window::Next(l) => format!("next {l}"),
        Window::Today => "today".into(),
        Window::Yesterday => "yesterday".into(),
        Window::ThisWeek => "this week".into(),
        Window::ThisMonth => "this month".into(),
        Window::ThisYear => "this year".into(),
        Window::PreviousWeek => "previous week".into(),
        Window::PreviousMonth => "previous month".into(),
        Window::PreviousYear => "previous year".into(),
        Window::Dates(a, b) => format!("{a}..{b}"),
        Window::Since(d) => format!("since {d}"),
        Window::Ever => "ever".into(),
    }
}
