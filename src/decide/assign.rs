//! What each user would get: the arm by lottery, the branch of `choose` by condition, the channel by reach or weight.

use std::sync::Arc;

use super::DecideInput;
use super::hash::{Lottery, place};
use crate::base::{Bitmap, TemplateId, UserNo, Value};
use crate::eval::{self, EvalError};
use crate::program::typed::{Action, Arm, Campaign, Channel, ChooseArm, Route, Send, Via};

/// The end of the way through an action.
#[derive(Clone, Debug)]
pub enum Leaf<'a> {
    Send {
        template: TemplateId,
        via: &'a Via,
    },
    /// An arm of a split that sends nothing.
    Control,
    /// `choose` came to nothing.
    Nothing,
}

/// Users who take the same way.
pub struct Way<'a> {
    pub arm: Option<&'a str>,
    pub leaf: Leaf<'a>,
    pub users: Bitmap,
}

/// All ways through an action, their users disjoint and together `users`, and how many an unknown condition of `choose` sent on.
pub fn ways<'a>(
    input: &DecideInput<'a>,
    campaign: &'a Campaign,
    action: &'a Action,
    users: &Bitmap,
) -> Result<(Vec<Way<'a>>, usize), EvalError> {
    let mut out = Vec::new();
    let mut unknown = 0;
    match action {
        Action::Split(arms) => {
            for (arm, group) in split(input, campaign, arms, users) {
                let mut inner = Vec::new();
                simple(input, campaign, &arm.action, &group, &mut inner, &mut unknown)?;
                out.extend(inner.into_iter().map(|(leaf, users)| {
                    let leaf = if matches!(arm.action, Action::Nothing) { Leaf::Control } else { leaf };
                    Way { arm: Some(arm.name.as_str()), leaf, users }
                }));
            }
        }
        action => {
            let mut inner = Vec::new();
            simple(input, campaign, action, users, &mut inner, &mut unknown)?;
            out.extend(inner.into_iter().map(|(leaf, users)| Way { arm: None, leaf, users }));
        }
    }
    Ok((out, unknown))
}

/// Users by arm: an arm's places follow those of the arms before it.
fn split<'a>(input: &DecideInput, campaign: &Campaign, arms: &'a [Arm], users: &Bitmap) -> Vec<(&'a Arm, Bitmap)> {
    let mut groups: Vec<(&Arm, Bitmap)> = arms.iter().map(|a| (a, Bitmap::none(users.len()))).collect();
    let ids = input.scope.snapshot.users();
    for user in users.iter() {
        let at = place(input.seed, Lottery::Arm, &campaign.declared.name, ids.id(user).unwrap_or(""));
        let mut end = 0u32;
        for (arm, group) in &mut groups {
            end = end.saturating_add(arm.share.0);
            if at < end {
                group.insert(user);
                break;
            }
        }
    }
    groups
}

fn simple<'a>(
    input: &DecideInput<'a>,
    campaign: &'a Campaign,
    action: &'a Action,
    users: &Bitmap,
    out: &mut Vec<(Leaf<'a>, Bitmap)>,
    unknown: &mut usize,
) -> Result<(), EvalError> {
    match action {
        Action::Send(send) => out.push((leaf(campaign, send), users.clone())),
        Action::Nothing => out.push((Leaf::Nothing, users.clone())),
        Action::Choose(arms) => choose(input, campaign, arms, users, out, unknown)?,
        // The checker lets no split stand inside another action.
        Action::Split(_) => out.push((Leaf::Nothing, users.clone())),
    }
    Ok(())
}

fn leaf<'a>(campaign: &'a Campaign, send: &'a Send) -> Leaf<'a> {
    Leaf::Send { template: send.template, via: send.via.as_ref().unwrap_or(&campaign.via) }
}

fn choose<'a>(
    input: &DecideInput<'a>,
    campaign: &'a Campaign,
    arms: &'a [ChooseArm],
    users: &Bitmap,
    out: &mut Vec<(Leaf<'a>, Bitmap)>,
    unknown: &mut usize,
) -> Result<(), EvalError> {
    let mut rest = users.clone();
    let mut sent_on = Bitmap::none(users.len());
    for arm in arms {
        let taken = match &arm.when {
            None => rest.clone(),
            Some(when) => {
                let audience = eval::audience(input.scope, when)?;
                sent_on = sent_on.or(&rest.minus(&audience.known));
                rest.and(&audience.yes)
            }
        };
        rest = rest.minus(&taken);
        match &arm.action {
            Action::Send(send) => out.push((leaf(campaign, send), taken)),
            Action::Nothing | Action::Split(_) | Action::Choose(_) => out.push((Leaf::Nothing, taken)),
        }
    }
    *unknown += sent_on.count();
    if !rest.is_empty() {
        out.push((Leaf::Nothing, rest));
    }
    Ok(())
}

/// Where a message goes: the channel and the address; `None` where no channel reaches the user.
pub type Reached<'a> = Option<(&'a Channel, Arc<str>)>;

/// Which channel reaches a user, and at which address; `None` where none does. In the order of the users' numbers.
pub fn reach<'a>(input: &DecideInput, via: &'a Via, users: &Bitmap) -> Result<Vec<Reached<'a>>, EvalError> {
    let count = users.count();
    let mut best: Vec<Option<(f64, &'a Channel, Arc<str>)>> = vec![None; count];
    for route in &via.routes {
        let addresses = addresses(input, route, users)?;
        let weights: Option<Vec<Option<Value>>> = match &route.weight {
            Some(weight) => Some(eval::values(input.scope, weight, users)?),
            None => None,
        };
        for (i, address) in addresses.into_iter().enumerate() {
            let Some(address) = address else { continue };
            let weight = weights.as_ref().and_then(|w| w.get(i)).and_then(Option::as_ref).map_or(0.0, as_number);
            // The first of equal weight stays, so without weights the first that reaches.
            if best[i].as_ref().is_none_or(|(w, _, _)| weight > *w) {
                best[i] = Some((weight, &route.channel, address));
            }
        }
    }
    Ok(best.into_iter().map(|b| b.map(|(_, channel, address)| (channel, address))).collect())
}

fn addresses(input: &DecideInput, route: &Route, users: &Bitmap) -> Result<Vec<Option<Arc<str>>>, EvalError> {
    let snapshot = input.scope.snapshot;
    let Some(tag) = route.address else {
        return Ok(users.iter().map(|u| snapshot.user_id(u).map(Arc::from)).collect());
    };
    let expr = crate::program::expr::Expr {
        ty: input.scope.program.schema.tag(tag).ty.clone(),
        span: route.span,
        optional: true,
        kind: crate::program::expr::ExprKind::Tag(tag),
    };
    let texts = eval::values(input.scope, &expr, users)?;
    Ok(texts
        .into_iter()
        .map(|v| match v {
            Some(Value::Text(t)) if !t.is_empty() => Some(t),
            _ => None,
        })
        .collect())
}

/// Numbers of every kind on one scale, for weights and priorities.
pub fn as_number(value: &Value) -> f64 {
    match value {
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Int(i) => *i as f64,
        Value::Number(n) | Value::Distance(n) => *n,
        Value::Ratio(r) => f64::from(*r),
        Value::Money(m) => *m as f64 / 100.0,
        Value::Elapsed(e) => e.0 as f64 / 1e6,
        _ => 0.0,
    }
}

/// For a list of users in the order of their numbers: the entry of one of them.
pub fn positions(users: &Bitmap) -> impl Iterator<Item = (usize, UserNo)> + '_ {
    users.iter().enumerate()
}
