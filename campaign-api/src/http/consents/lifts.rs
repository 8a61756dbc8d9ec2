//! Consents that are to lift do-not-call entries: the lawful road back, and a narrow one. Such a
//! consent names each entry, is given later than it, keeps the words agreed to, and lifts it for the
//! calls that the consent covers and for no others. Everything else of the entry goes on.

use dialer_facts::Standing;
use dialer_types::{EventId, Purpose, Say, SellerNo, SubjectId, UnixMillis, say};
use sqlx::PgConnection;

use super::{ConsentKind, NewConsent, UNKNOWN};
use crate::{
    http::{
        auth::{Lifts, Right},
        error::Problem,
        extract::Faults,
    },
    users::Role,
};

/// Entries that one consent lifts: more than anybody has.
const MOST: usize = 20;

/// Whether somebody of this role may record a consent that lifts.
pub(super) fn allowed(role: Role) -> Result<(), Problem> {
    if role == Role::Admin || Lifts::ROLES.contains(&role) {
        return Ok(());
    }
    Err(Problem::role(say!(
        "your role is {role}; a consent that lifts do-not-call entries is recorded by admin or compliance",
        role = role.as_str()
    )))
}

/// What can be seen of the request alone.
pub(super) fn form(new: &NewConsent, faults: &mut Faults) {
    if new.lifts.is_empty() {
        return;
    }
    if new.kind == ConsentKind::Revoke {
        faults.add("lifts", "a revocation lifts nothing: leave it out");
    }
    if new.wording.is_none() {
        faults
            .add("wording", "is missing: a consent that lifts an entry keeps the words agreed to");
    }
    if new.lifts.len() > MOST {
        faults.add("lifts", say!("names more than {most} entries", most = MOST));
    }
}

/// Checks what is to be lifted against what stands on the person and their numbers, whose heads are
/// locked. Returns the entries that bind such calls and that this consent does not lift.
pub(super) async fn check(
    connection: &mut PgConnection,
    new: &NewConsent,
    seller_no: i32,
    person: SubjectId,
    number: Option<SubjectId>,
    at: UnixMillis,
) -> Result<Vec<EventId>, Problem> {
    if new.kind == ConsentKind::Revoke {
        return Ok(Vec::new());
    }
    let mut subjects = match number {
        Some(number) => vec![number],
        None => crate::events::numbers_of(connection, person).await?,
    };
    subjects.push(person);
    let standing = dialer_facts::entries(connection, &subjects).await?;
    let seller = SellerNo(u32::try_from(seller_no).unwrap_or(0));
    let binds = |it: &&Standing| it.entry.seller == seller || it.entry.seller == SellerNo(0);
    let theirs: Vec<&Standing> = standing.values().flatten().filter(binds).collect();
    let mut faults = Faults::default();
    for (place, event) in new.lifts.iter().enumerate() {
        let found = theirs.iter().find(|it| it.entry.event == *event && subjects.contains(&it.of));
        if let Some(reason) = refusal(found.copied(), new.purpose, at) {
            faults.add(&format!("lifts[{place}]"), reason);
        }
    }
    faults.finish()?;
    let about = |it: &&&Standing| it.entry.purpose.is_none_or(|about| about == new.purpose);
    let mut left: Vec<EventId> = theirs.iter().filter(about).map(|it| it.entry.event).collect();
    left.sort_unstable();
    left.dedup();
    left.retain(|event| !new.lifts.contains(event));
    Ok(left)
}

/// Why an entry cannot be lifted by such a consent.
fn refusal(found: Option<&Standing>, purpose: Purpose, at: UnixMillis) -> Option<Say> {
    let Some(Standing { entry, .. }) = found else {
        return Some(
            "is no do-not-call entry that stands on this person or a number of theirs and binds this seller; GET /v1/suppressions lists those that do"
                .into(),
        );
    };
    if let Some(about) = entry.purpose.filter(|about| *about != purpose) {
        return Some(say!(
            "is about calls for {about}, and this consent is for {purpose}: there is nothing to lift",
            about = about.as_str(),
            purpose = purpose.as_str()
        ));
    }
    (at <= entry.at).then(|| {
        "was made later than the consent was given, or at the same moment: only a later consent lifts it"
            .into()
    })
}

/// What is said besides.
pub(super) fn note(new: &NewConsent, known: bool, left: &[EventId]) -> Option<Say> {
    if !known {
        return Some(UNKNOWN.into());
    }
    let events: Vec<String> = left.iter().map(ToString::to_string).collect();
    (new.kind == ConsentKind::Grant && !left.is_empty()).then(|| {
        say!(
            "do-not-call entries stand that this consent does not lift: {events}; it lifts those that it names (lifts), if it was given later",
            events = events.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use dialer_judge::Entry;

    use super::*;

    #[test]
    fn only_what_binds_such_calls_and_is_older_can_be_lifted() {
        let standing = |purpose: Option<Purpose>, at: i64| Standing {
            entry: Entry {
                on: SubjectId(1),
                seller: SellerNo(1),
                purpose,
                at: UnixMillis(at),
                event: EventId(7),
            },
            of: SubjectId(1),
            recorded_at: UnixMillis(at),
        };
        for (found, begins) in [
            (None, Some("is no do-not-call entry")),
            (Some(standing(None, 9)), None),
            (Some(standing(Some(Purpose::Delivery), 9)), None),
            (Some(standing(Some(Purpose::Survey), 9)), Some("is about calls for survey")),
            (Some(standing(None, 10)), Some("was made later")),
        ] {
            let said = refusal(found.as_ref(), Purpose::Delivery, UnixMillis(10));
            let said = said.map(|said| said.to_string());
            let fits = match (&said, begins) {
                (Some(said), Some(begins)) => said.starts_with(begins),
                (said, begins) => said.is_none() && begins.is_none(),
            };
            assert!(fits, "{found:?}: {said:?}");
        }
    }
}
