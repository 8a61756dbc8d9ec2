//! Lawful calls that were not made: a dialer that never calls keeps every other promise.

use dialer_engine::Fences;
use dialer_types::Disposition;

use super::{Call, GAP_S, PER_DAY, british_hours, local, reached};
use crate::{
    people::PURPOSE,
    stores::Place,
    world::{SLACK_MS, TAKING_MS, World},
};

/// Far beyond the end of a run: tomorrow. Only the cap of the day and closed hours make somebody wait
/// so long lawfully.
const TOMORROW_MS: u64 = 3_600_000;

/// Contacts that were due, lawful by these rules all the while, and not called; or that wait for
/// tomorrow although they may be called today.
pub(super) fn missed<F: Fences>(world: &World<F>, calls: &[Call<'_>]) -> usize {
    let end_ms = TAKING_MS - SLACK_MS;
    world
        .stores
        .contacts
        .values()
        .filter(|contact| {
            let due = match &contact.place {
                Place::Due(at) => {
                    at.0 <= world.base.wall_at(end_ms - SLACK_MS).0
                        || at.0 >= world.base.wall_at(TOMORROW_MS).0
                }
                Place::Parked(_) => true,
                Place::Leased(_) | Place::Finished(_) => false,
            };
            due && lawful(world, contact.person, contact.campaign, calls, end_ms)
        })
        .count()
}

/// Whether some number of the person could have been called by then.
fn lawful<F: Fences>(
    world: &World<F>,
    person: usize,
    campaign: usize,
    calls: &[Call<'_>],
    at_ms: u64,
) -> bool {
    let Some(seller) = world.people.campaigns.get(campaign).map(|c| c.seller_no) else {
        return false;
    };
    let Some(who) = world.people.persons.get(person) else {
        return false;
    };
    who.numbers.iter().filter_map(|index| world.people.numbers.get(*index)).any(|number| {
        let subjects = reached(&world.people, person, number);
        let suppressed = world.log.opt_outs.iter().any(|out| {
            out.out.binds(seller, PURPOSE)
                && out.out.subjects.iter().any(|subject| subjects.contains(subject))
        });
        let consented = number.british
            || who.consents.iter().any(|c| c.seller == seller && c.revoked_at.is_none());
        let open = !number.british || british_hours(&local(world, number, at_ms));
        let made: Vec<u64> = calls
            .iter()
            .filter(|call| call.subjects.iter().any(|subject| subjects.contains(subject)))
            .map(|call| call.at_ms)
            .collect();
        // What was committed and never known to leave counts too, and may use a cap up.
        let unknown = world
            .stores
            .placements
            .values()
            .filter(|placed| {
                placed.outcomes.first() == Some(&Disposition::Unknown)
                    && placed.subjects.iter().any(|subject| subjects.contains(subject))
            })
            .count();
        let recent = made.iter().any(|made| at_ms < made + GAP_S * 1_000 + SLACK_MS * 2);
        let day = local(world, number, at_ms).date_naive();
        let today = made.iter().filter(|made| local(world, number, **made).date_naive() == day);
        !suppressed && consented && open && !recent && today.count() + unknown < PER_DAY
    })
}
