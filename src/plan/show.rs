//! Expressions as text, in the language's own words: for plans and for `why`.

use crate::base::value::Shown;
use crate::base::{Type, Value, Zone};
use crate::program::typed::Program;
use crate::program::typed_expr::{
    Aggregate, ArithOp, CompareOp, EventPattern, EventSource, Expr, ExprKind, OWN_FIELDS, SetMode,
    Window,
};

/// A value as the language writes it.
pub fn constant(value: &Value, ty: &Type, zone: Zone) -> String {
    match (value, ty) {
        (Value::Text(_) | Value::Enum(_), _) => format!("\"{}\"", Shown { value, ty, zone }),
        _ => Shown { value, ty, zone }.to_string(),
    }
}

/// An expression in the language's own words; `row` is the event whose rows `RowField` names.
pub fn show(program: &Program, expr: &Expr, row: Option<EventSource>) -> String {
    use ExprKind as K;
    let s = |e: &Expr| show(program, e, row);
    match &expr.kind {
        K::Const(value) => constant(value, &expr.ty, program.policy.zone),
        K::Tag(id) => program
            .schema
            .tags
            .get(id.index())
            .map_or_else(String::new, |t| t.name.clone()),
        K::Partition(id) => program
            .partitions
            .get(id.index())
            .map_or_else(String::new, |p| p.declared.name.clone()),
        // Which event the trigger is, the expression does not know.
        K::TriggerField(i) => format!("event.{}", i + 1),
        K::RowField(i) => row.map_or_else(String::new, |row| row_field(program, row, *i)),
        K::LookupField {
            lookup,
            keys,
            field,
        } => {
            let Some(lookup) = program.lookups.get(lookup.index()) else {
                return String::new();
            };
            let field = lookup
                .fields
                .get(usize::from(*field))
                .map_or("?", |f| f.name.as_str());
            format!(
                "{}({}).{field}",
                lookup.declared.name,
                keys.iter().map(s).collect::<Vec<_>>().join(", ")
            )
        }
        K::StepOutcome { step, outcome } => format!("{outcome:?} of step {step}").to_lowercase(),
        K::Everyone => "everyone".into(),
        K::Audience(id) => program
            .audiences
            .get(id.index())
            .map_or_else(String::new, |a| a.declared.name.clone()),
        K::List(id) => program
            .lists
            .get(id.index())
            .map_or_else(String::new, |l| l.declared.name.clone()),
        K::Not(a) => format!("not ({})", s(a)),
        K::And(a, b) => format!("({}) and ({})", s(a), s(b)),
        K::Or(a, b) => format!("({}) or ({})", s(a), s(b)),
        K::Except(a, b) => format!("({}) except ({})", s(a), s(b)),
        K::Compare { op, left, right } => format!("{} {} {}", s(left), compare(*op), s(right)),
        K::InRange { of, lo, hi } => format!("{} in {}..{}", s(of), s(lo), s(hi)),
        K::InList { of, list } => {
            let items = list
                .iter()
                .map(|value| constant(value, &of.ty, program.policy.zone));
            format!("{} in [{}]", s(of), items.collect::<Vec<_>>().join(", "))
        }
        K::InWindow { of, window, yearly } => {
            let of = if *yearly {
                format!("yearly({})", s(of))
            } else {
                s(of)
            };
            format!("{of} in {}", window_text(*window))
        }
        K::SetContains { set, mode, items } => {
            let element = if let Type::Set(of) = &set.ty {
                of.as_ref()
            } else {
                &set.ty
            };
            let items: Vec<String> = items
                .iter()
                .map(|value| constant(value, element, program.policy.zone))
                .collect();
            match mode {
                SetMode::One => format!("{} contains {}", s(set), items.join(", ")),
                SetMode::Any => format!("{} contains any [{}]", s(set), items.join(", ")),
                SetMode::All => format!("{} contains all [{}]", s(set), items.join(", ")),
            }
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
        K::If {
            when,
            then,
            otherwise,
        } => format!("if({}, {}, {})", s(when), s(then), s(otherwise)),
        // Conversions that nobody wrote.
        K::ToNumber(a) | K::MemberName(a) => s(a),
        K::Call { function, args } => {
            format!(
                "{}({})",
                function.usage.name,
                args.iter().map(s).collect::<Vec<_>>().join(", ")
            )
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
                what => format!(
                    "{}({text}, {})",
                    format!("{what:?}").to_lowercase(),
                    window_text(query.window)
                ),
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

/// The name of a field of an event, the program's own events included.
pub fn row_field(program: &Program, source: EventSource, field: u16) -> String {
    let at = usize::from(field);
    match source {
        EventSource::Declared(id) => {
            let event = program.schema.events.get(id.index());
            event
                .and_then(|e| e.fields.get(at))
                .map_or_else(String::new, |f| f.name.clone())
        }
        EventSource::Own(_) => OWN_FIELDS.get(at).copied().unwrap_or_default().to_string(),
    }
}

fn pattern(program: &Program, pattern: &EventPattern, field: Option<u16>) -> String {
    let mut text = match pattern.source {
        EventSource::Declared(id) => program
            .schema
            .events
            .get(id.index())
            .map_or_else(String::new, |e| e.name.clone()),
        EventSource::Own(own) => own.name().to_string(),
    };
    if let Some(field) = field {
        text.push_str(&format!(".{}", row_field(program, pattern.source, field)));
    }
    if let Some(filter) = &pattern.filter {
        text.push_str(&format!(
            " where {}",
            show(program, filter, Some(pattern.source))
        ));
    }
    text
}

pub fn window_text(window: Window) -> String {
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
