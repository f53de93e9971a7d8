//! From when until when a message may be sent: due time, quiet hours and deadline taken
//! together.

use crate::base::{Instant, Zone};
use crate::program::platform;
use crate::program::typed::{Action, Campaign, ChannelName, Program, Quiet, Route, Send};
use crate::program::typed_expr::Length;
use crate::schedule::end_of_quiet;

/// The span of time in which messages of one due instant may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendWindow {
    /// The due time, or the end of the quiet hours that it falls into.
    pub not_before: Instant,
    pub expires: Instant,
}

impl SendWindow {
    pub fn of(due: Instant, quiet: Option<Quiet>, deadline: Length, zone: Zone) -> Self {
        let not_before = quiet
            .and_then(|quiet| end_of_quiet(quiet, zone, due))
            .unwrap_or(due);
        SendWindow {
            not_before,
            expires: deadline.after(not_before, zone),
        }
    }

    /// Whether nothing can be sent any more: after a downtime the instant is recorded as
    /// missed.
    pub fn missed(self, now: Instant) -> bool {
        now > self.expires
    }
}

/// The window of a campaign's messages on one channel. Where the campaign names no deadline, a
/// channel that waits for a person's confirmation brings its own.
pub fn hand_over_by(
    program: &Program,
    campaign: &Campaign,
    channel: &ChannelName,
    due: Instant,
) -> SendWindow {
    let person =
        platform::endpoint(&channel.platform, &channel.endpoint).and_then(|e| e.person.as_ref());
    let deadline = match (campaign.deadline, person) {
        (None, Some(person)) => Length::Elapsed(person.deadline),
        (Some(_), _) | (None, None) => campaign.deadline(),
    };
    SendWindow::of(
        due,
        program.rules(campaign).quiet,
        deadline,
        program.policy.zone,
    )
}

/// The window of a campaign as a whole: that of its most patient channel.
pub fn hand_over(program: &Program, campaign: &Campaign, due: Instant) -> SendWindow {
    let mut routes: Vec<&Route> = campaign.via.routes.iter().collect();
    own_routes(&campaign.action, &mut routes);
    let windows = routes
        .into_iter()
        .map(|route| hand_over_by(program, campaign, &route.channel, due));
    windows.max_by_key(|w| w.expires).unwrap_or_else(|| {
        SendWindow::of(
            due,
            program.rules(campaign).quiet,
            campaign.deadline(),
            program.policy.zone,
        )
    })
}

/// The channels that single `send`s name for themselves.
fn own_routes<'a>(action: &'a Action, out: &mut Vec<&'a Route>) {
    match action {
        Action::Send(Send { via: Some(via), .. }) => out.extend(&via.routes),
        Action::Send(_) | Action::Nothing => {}
        Action::Split(arms) => arms.iter().for_each(|arm| own_routes(&arm.action, out)),
        Action::Choose(arms) => arms.iter().for_each(|arm| own_routes(&arm.action, out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Elapsed;

    #[test]
    fn the_deadline_begins_where_quiet_hours_end() {
        let z = Zone::SHANGHAI;
        let at = |t: &str| z.parse_instant(t).unwrap();
        let quiet = Some(Quiet {
            from: "22:00".parse().unwrap(),
            to: "8:00".parse().unwrap(),
        });
        let hour = Length::Elapsed(Elapsed::hours(1));
        let waits = SendWindow::of(at("2026-11-11 23:00"), quiet, hour, z);
        assert_eq!(
            waits,
            SendWindow {
                not_before: at("2026-11-12 08:00"),
                expires: at("2026-11-12 09:00")
            }
        );
        let goes = SendWindow::of(at("2026-11-11 10:00"), quiet, hour, z);
        assert_eq!(
            goes,
            SendWindow {
                not_before: at("2026-11-11 10:00"),
                expires: at("2026-11-11 11:00")
            }
        );
        assert!(!goes.missed(at("2026-11-11 11:00")) && goes.missed(at("2026-11-11 11:00:01")));
    }
}
