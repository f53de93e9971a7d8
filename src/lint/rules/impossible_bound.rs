//! `impossible-bound`: a comparison that a tag's type decides once and for all, such as `age > 200`
//! of an `int 0..120`.

use crate::base::{Msg, Type, Value};
use crate::diag::{Code, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::typed_expr::{CompareOp, Expr, ExprKind};
use crate::program::walk;

pub static RULE: Rule = Rule {
    code: Code::lint("impossible-bound", include_str!("impossible_bound.md")),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    for root in walk::roots(cx.program) {
        root.each(&mut |e| look(cx, e, out));
    }
}

/// Between which numbers a value of the type lies.
fn bounds(e: &Expr) -> Option<(f64, f64)> {
    match (&e.kind, &e.ty) {
        (ExprKind::Call { function, args }, _) => (function.facts.bounds)(&args.first()?.ty),
        (ExprKind::Event(query), Type::Int { .. }) if query.field.is_none() => {
            Some((0.0, f64::INFINITY))
        }
        (
            ExprKind::Tag(_) | ExprKind::RowField(_) | ExprKind::TriggerField(_),
            Type::Int { lo, hi },
        ) => Some((
            lo.map_or(f64::NEG_INFINITY, |n| n as f64),
            hi.map_or(f64::INFINITY, |n| n as f64),
        )),
        (ExprKind::Tag(_) | ExprKind::RowField(_) | ExprKind::TriggerField(_), Type::Ratio) => {
            Some((0.0, 1.0))
        }
        _ => None,
    }
}

fn number(e: &Expr) -> Option<f64> {
    match &e.kind {
        ExprKind::Const(Value::Int(i)) => Some(*i as f64),
        ExprKind::Const(Value::Number(n)) => Some(*n),
        ExprKind::Const(Value::Ratio(r)) => Some(f64::from(*r)),
        // An int that is compared with a number is read as one.
        ExprKind::ToNumber(of) => number(of),
        _ => None,
    }
}

fn look(cx: &LintContext, e: &Expr, out: &mut Findings) {
    let verdict = match &e.kind {
        ExprKind::Compare { op, left, right } => match (bounds(unwrapped(left)), number(right)) {
            (Some(b), Some(n)) => decided(*op, b, n).map(|always| (always, unwrapped(left))),
            _ => None,
        },
        ExprKind::InRange { of, lo, hi } => match (bounds(unwrapped(of)), number(lo), number(hi)) {
            (Some((least, most)), Some(lo), Some(hi)) if hi < least || lo > most => {
                Some((false, unwrapped(of)))
            }
            (Some((least, most)), Some(lo), Some(hi)) if lo <= least && most <= hi => {
                Some((true, unwrapped(of)))
            }
            _ => None,
        },
        _ => None,
    };
    let Some((always, of)) = verdict else { return };
    let name = cx.sources.slice(of.span);
    let range = bounds(of).map_or(String::new(), |(lo, hi)| {
        match (lo.is_finite(), hi.is_finite(), &of.ty) {
            (_, _, Type::Ratio) => "0%..100%".into(),
            (true, true, _) => format!("{lo}..{hi}"),
            (true, false, _) => format!("{lo}.."),
            (false, true, _) => format!("..{hi}"),
            (false, false, _) => String::new(),
        }
    });
    let message: Msg = if always {
        msg!(
            "this is always true of a known value: `{name}` lies in {range}",
            "只要有值就恒为真：`{name}` 的范围是 {range}"
        )
    } else {
        msg!(
            "this is never true: `{name}` lies in {range}",
            "此条件永不成立：`{name}` 的范围是 {range}"
        )
    };
    out.push(Finding::new(&RULE.code, e.span, message).help(msg!(
        "compare with a value inside the range",
        "请与范围内的值比较"
    )));
}

/// A value behind the conversion that the checker put around it.
fn unwrapped(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::ToNumber(of) => of,
        _ => e,
    }
}

/// What the bounds alone decide.
fn decided(op: CompareOp, (least, most): (f64, f64), n: f64) -> Option<bool> {
    let (never, always) = match op {
        CompareOp::Eq => (n < least || n > most, least == most && n == least),
        CompareOp::Ne => (least == most && n == least, n < least || n > most),
        CompareOp::Lt => (least >= n, most < n),
        CompareOp::Le => (least > n, most <= n),
        CompareOp::Gt => (most <= n, least > n),
        CompareOp::Ge => (most < n, least >= n),
    };
    match (never, always) {
        (true, _) => Some(false),
        (_, true) => Some(true),
        _ => None,
    }
}
