//! Every condition and value of a program, for whoever looks at all of them.

use super::typed::{Action, Campaign, Piece, Program, Schedule};
use super::typed_expr::{EventPattern, Expr};

/// Every expression that stands on its own in the text; what is inside it is reached by
/// [`Expr::each`].
pub fn roots(program: &Program) -> Vec<&Expr> {
    let mut out: Vec<&Expr> = Vec::new();
    out.extend(program.tags.iter().filter_map(|t| t.derived.as_ref()));
    out.extend(program.audiences.iter().map(|a| &a.when));
    out.extend(program.partitions.iter().flat_map(|p| &p.arms));
    out.extend(program.policy.excludes.iter().map(|e| &e.when));
    for template in &program.templates {
        for piece in template.parts.iter().flat_map(|p| &p.text.pieces) {
            if let Piece::Hole(expr) = piece {
                out.push(expr);
            }
        }
    }
    program
        .campaigns
        .iter()
        .for_each(|c| of_campaign(c, &mut out));
    out
}

fn of_campaign<'p>(campaign: &'p Campaign, out: &mut Vec<&'p Expr>) {
    out.push(&campaign.when);
    out.extend(campaign.top.as_ref().map(|t| &t.by));
    out.extend(campaign.priority.value.as_ref());
    out.extend(campaign.leave_when.as_ref());
    out.extend(campaign.via.routes.iter().filter_map(|r| r.weight.as_ref()));
    let pattern = |p: &'p EventPattern| p.filter.as_ref();
    out.extend(campaign.goal.as_ref().and_then(|g| pattern(&g.event)));
    match &campaign.schedule {
        Schedule::Trigger(trigger) => {
            out.extend(pattern(&trigger.event));
            out.extend(trigger.unless.as_ref().and_then(pattern));
        }
        Schedule::Dated(dated) => out.push(&dated.of),
        Schedule::OwnTime(own) => out.push(&own.at),
        Schedule::Once(_) | Schedule::Every(_) => {}
    }
    action(&campaign.action, out);
    for step in &campaign.steps {
        out.extend(step.when.as_ref());
        action(&step.action, out);
        if let Some(otherwise) = &step.otherwise {
            action(otherwise, out);
        }
    }
}

fn action<'p>(a: &'p Action, out: &mut Vec<&'p Expr>) {
    match a {
        Action::Send(send) => out.extend(
            send.via
                .iter()
                .flat_map(|v| &v.routes)
                .filter_map(|r| r.weight.as_ref()),
        ),
        Action::Nothing => {}
        Action::Split(arms) => arms.iter().for_each(|arm| action(&arm.action, out)),
        Action::Choose(arms) => {
            for arm in arms {
                out.extend(arm.when.as_ref());
                action(&arm.action, out);
            }
        }
    }
}
