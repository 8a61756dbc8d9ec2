//! What is known of a contact, and the policy's facts of a call to one of its numbers.

use std::collections::BTreeMap;

use dialer_limiter::{Head, MarkKind};
use dialer_policy::{
    Address, AddressBasis, Call, Consent, Facts, Feed, Lift, ListFact, Past, Relationship,
    Suppression, SuppressionScope,
};
use dialer_types::{
    E164, EventId, LineType, Outcome, PartyRole, PartyType, Purpose, SellerNo, SubjectId,
    UnixMillis,
};

use crate::{CallTerms, Checks, Supplied};

/// What Postgres (and the national lists) say about a contact, read after its heads.
#[derive(Debug, Clone)]
pub struct ContactFacts {
    /// Consumer or business.
    pub party: PartyType,
    /// Who will be spoken to.
    pub role: PartyRole,
    /// Where the person lives.
    pub address: Option<Address>,
    /// How well that is known.
    pub address_basis: AddressBasis,
    /// The seller chose to believe verified addresses.
    pub narrowing: bool,
    /// What ties the person to the seller.
    pub relationship: Option<Relationship>,
    /// The emergency feed.
    pub emergency: Option<Feed>,
    /// The do-not-call entries that stand on the person or on one of the numbers.
    pub entries: Vec<Entry>,
    /// What was written down of the person, and of campaign and seller.
    pub supplied: Supplied,
    /// Each of the contact's numbers.
    pub numbers: Vec<NumberFacts>,
}

/// A do-not-call entry that stands: why a head has its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The subject whose head has the mark.
    pub on: SubjectId,
    /// Whom it binds; `SellerNo(0)` binds everybody.
    pub seller: SellerNo,
    /// The purpose that it is about; `None` for all.
    pub purpose: Option<Purpose>,
    /// Since when.
    pub at: UnixMillis,
    /// What it was recorded as.
    pub event: EventId,
}

/// What is known of one number.
#[derive(Debug, Clone)]
pub struct NumberFacts {
    /// Its subject.
    pub subject: SubjectId,
    /// The number itself.
    pub number: E164,
    /// What kind of line it is on.
    pub line: LineType,
    /// Consents that cover this person at this number.
    pub consents: Vec<Consent>,
    /// The do-not-call entries that those of them lift which were given to do so.
    pub lifts: Vec<Lift>,
    /// What the national lists say.
    pub lists: Vec<ListFact>,
    /// What look-ups of it said.
    pub checks: Checks,
}

/// The facts of a call to one number, relative to its seller, number, account and person.
pub(crate) fn policy_facts(
    terms: &CallTerms,
    contact: &ContactFacts,
    number: &NumberFacts,
    heads: &[(SubjectId, Head)],
    now: UnixMillis,
) -> Facts {
    let mut call = Call::manual(number.number, terms.campaign.purpose);
    call.line = number.line;
    call.party = contact.party;
    call.address.clone_from(&contact.address);
    call.address_basis = contact.address_basis;
    call.technology = terms.campaign.technology;
    call.has_account = terms.account.is_some();
    call.relationship = contact.relationship;
    call.role = contact.role;
    let concerned = terms.concerned(number.subject);
    Facts {
        consents: consents(number, now),
        suppressions: suppressions(&concerned, terms.campaign.seller_no, contact, heads, now),
        lifts: number.lifts.clone(),
        lists: number.lists.clone(),
        history: history(terms, number.subject, heads, now),
        emergency: contact.emergency.clone(),
        wishes: contact.supplied.wishes.clone(),
        reassignment: number.checks.reassignment.clone(),
        line_check: number.checks.line,
        licences: contact.supplied.licences.to_vec(),
        counters: contact.supplied.counters.to_vec(),
        call,
    }
}

/// The consents as they stand. A revocation that was recorded holds now, whatever the clock of
/// the process that recorded it said.
fn consents(number: &NumberFacts, now: UnixMillis) -> Vec<Consent> {
    let clamped = |consent: &Consent| Consent {
        revoked_at: consent.revoked_at.map(|at| at.min(now)),
        ..*consent
    };
    number.consents.iter().map(clamped).collect()
}

/// The do-not-call entries that bind this seller, for any purpose. The marks of the heads are what
/// holds; the entries behind them say what a consent may lift. A mark without its entry is held
/// against the call from now on, and nothing lifts it.
fn suppressions(
    subjects: &[SubjectId],
    seller: SellerNo,
    contact: &ContactFacts,
    heads: &[(SubjectId, Head)],
    now: UnixMillis,
) -> Vec<Suppression> {
    let bound = |by: SellerNo| by == seller || by == SellerNo(0);
    let marks = heads
        .iter()
        .filter(|(subject, _)| subjects.contains(subject))
        .flat_map(|(subject, head)| head.marks().iter().map(move |mark| (*subject, *mark)))
        .filter(|(_, mark)| mark.kind == MarkKind::Suppressed && bound(mark.seller));
    let mut found: Vec<Suppression> = Vec::new();
    let mut marked = false;
    for (subject, mark) in marks {
        marked = true;
        let explains = |entry: &Entry| {
            (entry.on, entry.seller, entry.purpose) == (subject, mark.seller, mark.purpose)
        };
        if !contact.entries.iter().any(explains) {
            let (scope, purpose) = (scope(mark.seller), mark.purpose);
            found.push(Suppression { scope, purpose, added_at: UnixMillis(0), event: None });
        }
    }
    // All of them, and not only those with a mark of their own: a full head has one mark for many.
    let entries = contact.entries.iter();
    let entries = entries.filter(|it| marked && subjects.contains(&it.on) && bound(it.seller));
    for entry in entries {
        // One entry marks a person and every number of theirs.
        if !found.iter().any(|known| known.event == Some(entry.event)) {
            found.push(Suppression {
                scope: scope(entry.seller),
                purpose: entry.purpose,
                // It holds now, whatever the clock of the process that recorded it said.
                added_at: entry.at.min(now),
                event: Some(entry.event),
            });
        }
    }
    found
}

fn scope(seller: SellerNo) -> SuppressionScope {
    if seller == SellerNo(0) { SuppressionScope::Global } else { SuppressionScope::Seller }
}

/// What is left of placements that were dropped from the heads by age: somebody declined at some time,
/// which only a cool-down without end looks at.
fn declined(
    terms: &CallTerms,
    number: SubjectId,
    heads: &[(SubjectId, Head)],
) -> impl Iterator<Item = Past> {
    let mut found: BTreeMap<_, Past> = BTreeMap::new();
    for (subject, head) in heads {
        let (same_number, same_account, same_person) =
            (*subject == number, Some(*subject) == terms.account, *subject == terms.person);
        if !(same_number || same_account || same_person) {
            continue;
        }
        for mark in head.marks().iter().filter(|mark| mark.kind == MarkKind::Declined) {
            let past =
                found.entry((mark.seller, mark.purpose.map(Purpose::code))).or_insert(Past {
                    at: UnixMillis(0),
                    same_number: false,
                    same_account: false,
                    same_person: false,
                    same_seller: mark.seller == terms.campaign.seller_no,
                    same_campaign: true,
                    purpose: mark.purpose.unwrap_or(terms.campaign.purpose),
                    technology: terms.campaign.technology,
                    outcome: Outcome::Refused,
                    inbound: false,
                });
            past.same_number |= same_number;
            past.same_account |= same_account;
            past.same_person |= same_person;
        }
    }
    found.into_values()
}

/// Distinct placements over the union of the number, the account and the person. None is in the
/// future: entries are rounded up to seconds and come from clocks that may be ahead of ours, and
/// the evaluator does not count what has not happened yet.
fn history(
    terms: &CallTerms,
    number: SubjectId,
    heads: &[(SubjectId, Head)],
    now: UnixMillis,
) -> Vec<Past> {
    let mut distinct: BTreeMap<u64, Past> = BTreeMap::new();
    for (subject, head) in heads {
        let (same_number, same_account, same_person) =
            (*subject == number, Some(*subject) == terms.account, *subject == terms.person);
        if !(same_number || same_account || same_person) {
            continue;
        }
        for entry in head.entries() {
            let past = distinct.entry(entry.key).or_insert_with(|| Past {
                at: entry.at().min(now),
                same_number: false,
                same_account: false,
                same_person: false,
                same_seller: entry.seller == terms.campaign.seller_no,
                same_campaign: terms.campaign.no.is_none_or(|no| no == entry.campaign),
                purpose: entry.purpose,
                technology: entry.technology,
                outcome: entry.outcome,
                inbound: entry.inbound,
            });
            past.same_number |= same_number;
            past.same_account |= same_account;
            past.same_person |= same_person;
        }
    }
    distinct.into_values().chain(declined(terms, number, heads)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use dialer_limiter::{Mark, Token};
    use dialer_policy::Abilities;
    use dialer_types::{CampaignNo, Technology};

    use super::*;
    use crate::CampaignTerms;

    const NUMBER: SubjectId = SubjectId(1);
    const PERSON: SubjectId = SubjectId(2);
    const SELLER: SellerNo = SellerNo(3);

    fn terms() -> CallTerms {
        let campaign = CampaignTerms {
            seller_no: SELLER,
            no: Some(CampaignNo(1)),
            purpose: Purpose::Telemarketing,
            technology: Technology::Manual,
            abilities: Abilities::ALL,
        };
        CallTerms { campaign, person: PERSON, account: None }
    }

    fn entry(on: SubjectId, seller: u32, purpose: Option<Purpose>, event: u128) -> Entry {
        let at = UnixMillis(1_000);
        Entry { on, seller: SellerNo(seller), purpose, at, event: EventId(event) }
    }

    fn found(
        marks: &[(SubjectId, Mark)],
        entries: Vec<Entry>,
    ) -> Vec<(bool, Option<Purpose>, i64, Option<u128>)> {
        let heads: Vec<_> = [NUMBER, PERSON]
            .map(|subject| {
                let own = marks.iter().filter(|(on, _)| *on == subject);
                let head = own.fold(Head::new(Token(1)), |head, (_, mark)| {
                    head.with_mark(Token(2), *mark).unwrap()
                });
                (subject, head)
            })
            .into();
        let contact = ContactFacts {
            party: PartyType::Consumer,
            role: PartyRole::Principal,
            address: None,
            address_basis: AddressBasis::Stated,
            narrowing: false,
            relationship: None,
            emergency: None,
            entries,
            supplied: Supplied::default(),
            numbers: Vec::new(),
        };
        let bound = suppressions(&[NUMBER, PERSON], SELLER, &contact, &heads, UnixMillis(900));
        let told = |it: Suppression| {
            let global = it.scope == SuppressionScope::Global;
            (global, it.purpose, it.added_at.0, it.event.map(|event| event.0))
        };
        bound.into_iter().map(told).collect()
    }

    #[test]
    fn marks_hold_and_the_entries_behind_them_say_what_may_be_lifted() {
        let (own, all) = (Mark::suppressed(Some(SELLER)), Mark::suppressed(None));
        let others = Mark::suppressed(Some(SellerNo(4)));
        let selling = Some(Purpose::Telemarketing);
        assert_eq!(found(&[], vec![entry(PERSON, 3, None, 7)]), [], "no mark: it was withdrawn");
        assert_eq!(found(&[(PERSON, others)], vec![entry(PERSON, 4, None, 7)]), []);
        assert_eq!(found(&[(PERSON, own)], vec![]), [(false, None, 0, None)], "nothing lifts it");
        // A person's entry marks the number too: one entry. By a clock that is ahead: it holds now.
        let both = vec![entry(PERSON, 3, None, 7), entry(NUMBER, 3, None, 7)];
        assert_eq!(found(&[(PERSON, own), (NUMBER, own)], both), [(false, None, 900, Some(7))]);
        let about = vec![entry(NUMBER, 3, selling, 7)];
        assert_eq!(
            found(&[(NUMBER, own.about(selling))], about.clone()),
            [(false, selling, 900, Some(7))]
        );
        assert_eq!(
            found(&[(NUMBER, own)], about),
            [(false, None, 0, None), (false, selling, 900, Some(7))],
            "an entry about one purpose is not what is behind a mark about all"
        );
        // A head that was full has one mark for everybody: every entry of this seller holds.
        assert_eq!(
            found(&[(NUMBER, all)], vec![entry(NUMBER, 0, None, 7), entry(NUMBER, 3, None, 8)]),
            [(true, None, 900, Some(7)), (false, None, 900, Some(8))]
        );
    }

    #[test]
    fn a_refusal_outlives_its_entry() {
        let declined = |seller: u32, purpose: Purpose| Mark {
            kind: MarkKind::Declined,
            seller: SellerNo(seller),
            purpose: Some(purpose),
        };
        let mut heads = Vec::new();
        for subject in [NUMBER, PERSON, SubjectId(9)] {
            let marks = [declined(3, Purpose::Survey), declined(4, Purpose::Survey)];
            let head = marks
                .into_iter()
                .fold(Head::new(Token(1)), |head, mark| head.with_mark(Token(2), mark).unwrap());
            heads.push((subject, head));
        }
        let past = history(&terms(), NUMBER, &heads, UnixMillis(900));
        let told: Vec<_> = past
            .iter()
            .map(|it| (it.same_seller, it.same_number, it.same_person, it.purpose))
            .collect();
        let survey = Purpose::Survey;
        assert_eq!(told, [(true, true, true, survey), (false, true, true, survey)]);
        assert!(past.iter().all(|it| it.outcome == Outcome::Refused && it.at == UnixMillis(0)));
    }
}
