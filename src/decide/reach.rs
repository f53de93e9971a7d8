//! By which channel each user is reached, and at which address.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::ask;
use crate::base::{Bitmap, CampaignId, UserNo};
use crate::eval::{EvalError, EvalScope};
use crate::program::typed::{Takes, Via};

/// A route of a `via` list by its position, and the address there.
pub type RouteAddress = (usize, Arc<str>);

/// Where each of the users is reached, in the order of the users: by the first usable route that
/// has an address which is open, or by the one of the highest weight (of equal ones the first).
pub fn reach(
    scope: &EvalScope,
    campaign: CampaignId,
    via: &Via,
    users: &Bitmap,
    usable: impl Fn(usize) -> bool,
    open: impl Fn(usize, UserNo, &str) -> bool,
) -> Result<Vec<Option<RouteAddress>>, EvalError> {
    let mut best: Vec<Option<(f64, RouteAddress)>> = vec![None; users.count()];
    // Who is still looked at, and where in `best`.
    let mut rest = users.clone();
    let mut positions: Vec<usize> = (0..best.len()).collect();
    for (position, route) in via
        .routes
        .iter()
        .enumerate()
        .filter(|(position, _)| usable(*position))
    {
        let addresses = ask::addresses(scope, route.address, &rest)?;
        let weights = match scope.campaign(campaign).weight(route.span) {
            Some(weight) => ask::numbers(scope, weight, &rest)?,
            None => vec![0.0; addresses.len()],
        };
        for (((slot, user), address), weight) in positions
            .iter()
            .zip(rest.iter())
            .zip(addresses)
            .zip(weights)
        {
            if let (Some(address), Some(slot)) = (address, best.get_mut(*slot))
                && open(position, user, &address)
                && slot.as_ref().is_none_or(|(before, _)| weight > *before)
            {
                *slot = Some((weight, (position, address)));
            }
        }
        if via.takes != Takes::Heaviest {
            let open: Vec<(usize, UserNo)> = positions
                .into_iter()
                .zip(rest.iter())
                .filter(|(slot, _)| best.get(*slot).is_some_and(Option::is_none))
                .collect();
            rest = Bitmap::from_users(users.len(), open.iter().map(|(_, user)| *user));
            positions = open.into_iter().map(|(slot, _)| slot).collect();
        }
    }
    Ok(best
        .into_iter()
        .map(|found| found.map(|(_, place)| place))
        .collect())
}

/// Of messages that go to one address of a channel all but that of the user with the lowest number,
/// by their position: two ids, one person.
pub fn duplicates<'a>(places: impl Iterator<Item = (UserNo, usize, &'a str)>) -> Vec<usize> {
    let mut sorted: Vec<(usize, u64, UserNo, &str, usize)> = places
        .enumerate()
        .map(|(place, (user, channel, address))| {
            (channel, xxh3_64(address.as_bytes()), user, address, place)
        })
        .collect();
    sorted.sort_unstable();
    let mut out = Vec::new();
    for same_hash in sorted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        for (i, (_, _, _, address, place)) in same_hash.iter().enumerate() {
            if same_hash
                .iter()
                .take(i)
                .any(|(_, _, _, before, _)| before == address)
            {
                out.push(*place);
            }
        }
    }
    out.sort_unstable();
    out
}
