//! One walk over all expressions of a file, for those who look at the text rather than at its
//! meaning.

use super::ast::{
    Action, Again, Arg, AtExpr, CapPeriod, Clause, ClauseKind, EventExpr, EveryPeriod, Expr,
    ExprKind, File, InSet, ItemKind, MonthDay, Piece, TagKind, TagQualifierKind, TestStepKind, Via,
    WindowKind,
};

/// Calls `visit` for every expression of the file and every expression inside one.
pub fn expressions<'f>(file: &'f File, visit: &mut dyn FnMut(&'f Expr)) {
    for item in &file.items {
        match &item.kind {
            ItemKind::Tag(tag) => {
                if let TagKind::Derived(e) = &tag.kind {
                    expr(e, visit);
                }
                for q in &tag.qualifiers {
                    if let TagQualifierKind::Fresh(e) = &q.kind {
                        expr(e, visit);
                    }
                }
            }
            ItemKind::Lookup(lookup) => lookup.fresh.iter().for_each(|e| expr(e, visit)),
            ItemKind::Place(place) => expr(&place.value, visit),
            ItemKind::Partition(partition) => partition
                .arms
                .iter()
                .filter_map(|a| a.when.as_ref())
                .for_each(|e| expr(e, visit)),
            ItemKind::Audience(audience) => expr(&audience.when, visit),
            ItemKind::Template(template) => {
                for piece in template.parts.iter().flat_map(|p| &p.text.pieces) {
                    if let Piece::Hole(e) = piece {
                        expr(e, visit);
                    }
                }
            }
            ItemKind::Campaign(campaign) => campaign.clauses.iter().for_each(|c| clause(c, visit)),
            ItemKind::Policy(policy) => policy.clauses.iter().for_each(|c| clause(c, visit)),
            ItemKind::Test(test) => test.steps.iter().for_each(|s| step(&s.kind, visit)),
            ItemKind::Event(_)
            | ItemKind::List(_)
            | ItemKind::Account(_)
            | ItemKind::Reserved { .. }
            | ItemKind::Broken { .. } => {}
        }
    }
}

fn clause<'f>(c: &'f Clause, visit: &mut dyn FnMut(&'f Expr)) {
    use ClauseKind as K;
    let all = |list: &[Option<&'f Expr>], visit: &mut dyn FnMut(&'f Expr)| {
        list.iter().flatten().for_each(|e| expr(e, visit))
    };
    match &c.kind {
        K::Value(_, e) | K::When(e) | K::Exclude { when: e, .. } | K::Holdout { share: e, .. } => {
            expr(e, visit)
        }
        K::Top { n, by } => all(&[Some(n), Some(by)], visit),
        K::Goal { event: e, within } => {
            event(e, visit);
            all(&[within.as_ref()], visit);
        }
        K::Action(a) => action(a, visit),
        K::Via(v) => via(v, visit),
        K::At { when, on } => {
            if let AtExpr::Expr(e) = when {
                expr(e, visit);
            }
            if let Some(on) = on {
                on.numbers
                    .iter()
                    .chain([&on.last, &on.of])
                    .for_each(|e| expr(e, visit));
            }
        }
        K::Every(every) => {
            match &every.period {
                EveryPeriod::Month(days) => {
                    for day in days {
                        if let MonthDay::Day(e) = day {
                            expr(e, visit);
                        }
                    }
                }
                EveryPeriod::Days(e) => expr(e, visit),
                EveryPeriod::Hour { from, to } => all(&[from.as_ref(), to.as_ref()], visit),
                EveryPeriod::Day | EveryPeriod::Weekdays(_) => {}
            }
            all(
                &[every.at.as_ref(), every.from.as_ref(), every.until.as_ref()],
                visit,
            );
        }
        K::On(on) => {
            event(&on.event, visit);
            all(&[on.wait.as_ref()], visit);
            on.unless.iter().for_each(|e| event(e, visit));
        }
        K::Again(Again::After(e) | Again::Per(e)) => expr(e, visit),
        K::Priority { value, rising } => all(&[Some(value), rising.as_ref()], visit),
        K::Cap(cap) => {
            expr(&cap.n, visit);
            if let CapPeriod::Rolling(e) = &cap.per {
                expr(e, visit);
            }
            if let Some(keep) = &cap.keep {
                all(&[Some(&keep.n), Some(&keep.priority)], visit);
            }
        }
        K::Quiet { from, to } => all(&[Some(from), Some(to)], visit),
        K::After(after) => {
            all(
                &[Some(&after.delay), after.at.as_ref(), after.cond.as_ref()],
                visit,
            );
            action(&after.action, visit);
            after.otherwise.iter().for_each(|a| action(a, visit));
        }
        K::Target(bands) => bands.iter().for_each(|b| expr(&b.at_least, visit)),
        K::For { clauses, .. } => clauses.iter().for_each(|c| clause(c, visit)),
        K::Name(..)
        | K::Names(..)
        | K::Text(..)
        | K::Texts(..)
        | K::Reserved(_)
        | K::Again(Again::Never(_) | Again::Always(_))
        | K::Broken => {}
    }
}

fn action<'f>(a: &'f Action, visit: &mut dyn FnMut(&'f Expr)) {
    match a {
        Action::Send(send) => send.via.iter().for_each(|v| via(v, visit)),
        Action::Nothing(_) => {}
        Action::Split { arms, .. } => {
            for arm in arms {
                expr(&arm.share, visit);
                action(&arm.action, visit);
            }
        }
        Action::Choose { arms, .. } => {
            for arm in arms {
                arm.when.iter().for_each(|e| expr(e, visit));
                action(&arm.action, visit);
            }
        }
    }
}

fn via<'f>(v: &'f Via, visit: &mut dyn FnMut(&'f Expr)) {
    v.routes
        .iter()
        .filter_map(|r| r.weight.as_ref())
        .for_each(|e| expr(e, visit));
}

fn step<'f>(s: &'f TestStepKind, visit: &mut dyn FnMut(&'f Expr)) {
    use TestStepKind as K;
    match s {
        K::Now(e) | K::Until(e) | K::Reaches { n: e, .. } => expr(e, visit),
        K::User(user) => user.values.iter().for_each(|(_, e)| expr(e, visit)),
        K::Users(users) => users
            .iter()
            .flat_map(|u| &u.values)
            .for_each(|(_, e)| expr(e, visit)),
        K::Event { fields, at, .. } => {
            fields.iter().for_each(|(_, e)| expr(e, visit));
            expr(at, visit);
        }
        K::Receives { at, .. } => at.iter().for_each(|e| expr(e, visit)),
        K::Matches { .. } | K::Unknown { .. } | K::ReceivesNothing { .. } | K::Broken => {}
    }
}

fn event<'f>(e: &'f EventExpr, visit: &mut dyn FnMut(&'f Expr)) {
    e.filter.iter().for_each(|f| expr(f, visit));
    for then in &e.then {
        then.filter.iter().for_each(|f| expr(f, visit));
        expr(&then.within, visit);
    }
}

/// An expression, then those inside it.
pub fn expr<'f>(e: &'f Expr, visit: &mut dyn FnMut(&'f Expr)) {
    use ExprKind as K;
    visit(e);
    match e.kind.as_ref() {
        K::Literal(_) | K::Name(_) | K::Everyone | K::Broken => {}
        K::Field { of, .. } | K::Paren(of) | K::Not { of, .. } | K::Neg(of) | K::Is { of, .. } => {
            expr(of, visit)
        }
        K::Call { args, .. } => {
            for arg in args {
                match arg {
                    Arg::Expr(e) => expr(e, visit),
                    Arg::Within(a, b) => {
                        expr(a, visit);
                        expr(b, visit);
                    }
                    Arg::Event(e) => event(e, visit),
                    Arg::Window(w) => window(&w.kind, visit),
                }
            }
        }
        K::Binary { left, right, .. } => {
            expr(left, visit);
            expr(right, visit);
        }
        K::In { of, set, .. } => {
            expr(of, visit);
            match set {
                InSet::Range(a, b) => {
                    expr(a, visit);
                    expr(b, visit);
                }
                InSet::Window(w) => window(&w.kind, visit),
                InSet::Expr(e) => expr(e, visit),
            }
        }
        K::Contains { of, what, .. } | K::StartsWith { of, what, .. } => {
            expr(of, visit);
            expr(what, visit);
        }
        K::Range(a, b) | K::Place(a, b) => {
            expr(a, visit);
            expr(b, visit);
        }
        K::List(items) => items.iter().for_each(|e| expr(e, visit)),
    }
}

fn window<'f>(w: &'f WindowKind, visit: &mut dyn FnMut(&'f Expr)) {
    match w {
        WindowKind::Dates(a, b) => {
            expr(a, visit);
            expr(b, visit);
        }
        WindowKind::Since(d) => expr(d, visit),
        WindowKind::Last(_)
        | WindowKind::Next(_)
        | WindowKind::Today
        | WindowKind::Yesterday
        | WindowKind::This(_)
        | WindowKind::Previous(_)
        | WindowKind::Ever => {}
    }
}
