//! What each matched user would get, whatever the gates say: the arm by lottery, the branch of
//! `choose` by condition.

use super::lottery::Lottery;
use super::{DecideInput, ask};
use crate::base::{Bitmap, TemplateId};
use crate::eval::EvalError;
use crate::program::typed::{Action, Arm, Campaign, ChooseArm, Via};

/// The end of a way through an action.
#[derive(Clone, Copy, Debug)]
pub enum Leaf<'a> {
    Send {
        template: TemplateId,
        via: &'a Via,
    },
    /// An arm of a split that sends nothing.
    Control,
    /// `choose` or `else` came to nothing.
    Nothing,
}

/// Users who take the same way.
pub struct Assignment<'a> {
    pub arm: Option<&'a str>,
    pub leaf: Leaf<'a>,
    pub users: Bitmap,
}

/// All ways of a run. Their users are disjoint.
#[derive(Default)]
pub struct Assignments<'a> {
    pub all: Vec<Assignment<'a>>,
    /// Users whom `choose` passed on because a condition was unknown.
    pub choose_unknown: usize,
}

impl<'a> Assignments<'a> {
    /// Leads the users through an action.
    pub fn lead(
        &mut self,
        input: &DecideInput,
        campaign: &'a Campaign,
        action: &'a Action,
        users: Bitmap,
    ) -> Result<(), EvalError> {
        match action {
            Action::Split(arms) => {
                for (arm, users) in split(input, campaign, arms, &users) {
                    match &arm.action {
                        Action::Nothing => self.all.push(Assignment {
                            arm: Some(&arm.name),
                            leaf: Leaf::Control,
                            users,
                        }),
                        action => self.simple(input, campaign, Some(&arm.name), action, users)?,
                    }
                }
                Ok(())
            }
            action => self.simple(input, campaign, None, action, users),
        }
    }

    fn simple(
        &mut self,
        input: &DecideInput,
        campaign: &'a Campaign,
        arm: Option<&'a str>,
        action: &'a Action,
        users: Bitmap,
    ) -> Result<(), EvalError> {
        match action {
            Action::Choose(arms) => self.choose(input, campaign, arm, arms, users),
            action => {
                self.all.push(Assignment {
                    arm,
                    leaf: leaf(campaign, action),
                    users,
                });
                Ok(())
            }
        }
    }

    /// First true; unknown continues to the next and is counted; those whom nothing takes get
    /// nothing.
    fn choose(
        &mut self,
        input: &DecideInput,
        campaign: &'a Campaign,
        arm: Option<&'a str>,
        arms: &'a [ChooseArm],
        users: Bitmap,
    ) -> Result<(), EvalError> {
        let mut rest = users;
        let mut passed_on = Bitmap::none(rest.len());
        for choice in arms {
            let taken = match input.scope.campaign(input.campaign).arm(choice.span) {
                None => rest.clone(),
                Some(when) => {
                    let audience = ask::audience(input.scope, when, &rest)?;
                    passed_on = passed_on.or(&rest.minus(&audience.known));
                    audience.yes
                }
            };
            rest = rest.minus(&taken);
            self.all.push(Assignment {
                arm,
                leaf: leaf(campaign, &choice.action),
                users: taken,
            });
        }
        self.choose_unknown += passed_on.count();
        self.all.push(Assignment {
            arm,
            leaf: Leaf::Nothing,
            users: rest,
        });
        Ok(())
    }
}

fn leaf<'a>(campaign: &'a Campaign, action: &'a Action) -> Leaf<'a> {
    match action {
        Action::Send(send) => Leaf::Send {
            template: send.template,
            via: send.via.as_ref().unwrap_or(&campaign.via),
        },
        // The checker lets neither `split` nor `choose` stand where this is asked.
        Action::Nothing | Action::Split(_) | Action::Choose(_) => Leaf::Nothing,
    }
}

/// Users by arm: an arm's places follow those of the arms before it, and the arms together are all
/// places.
fn split<'a>(
    input: &DecideInput,
    campaign: &Campaign,
    arms: &'a [Arm],
    users: &Bitmap,
) -> Vec<(&'a Arm, Bitmap)> {
    let lottery = Lottery::arm(input.seed, campaign);
    let mut groups: Vec<(&Arm, Bitmap)> = arms
        .iter()
        .map(|arm| (arm, Bitmap::none(users.len())))
        .collect();
    let ends: Vec<u32> = arms
        .iter()
        .scan(0u32, |end, arm| {
            *end = end.saturating_add(arm.share.0);
            Some(*end)
        })
        .collect();
    for user in users.iter() {
        let place = lottery.place_of(input.scope.snapshot, user);
        if let Some((_, group)) = groups.get_mut(ends.partition_point(|end| *end <= place)) {
            group.insert(user);
        }
    }
    groups
}
