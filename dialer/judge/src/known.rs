//! What is known of a contact, and the policy's facts of a call to one of its numbers.

use std::collections::BTreeMap;

use dialer_limiter::{Head, MarkKind};
use dialer_policy::{
    Address, AddressBasis, Call, Consent, Facts, Feed, ListFact, Past, Relationship, Suppression,
    SuppressionScope,
};
use dialer_types::{E164, LineType, PartyRole, PartyType, SellerNo, SubjectId, UnixMillis};

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
    /// What was written down of the person, and of campaign and seller.
    pub supplied: Supplied,
    /// Each of the contact's numbers.
    pub numbers: Vec<NumberFacts>,
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
        suppressions: suppressions(&concerned, terms.campaign.seller_no, heads),
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

/// The do-not-call marks that bind this seller. They carry no date: they hold from now on.
fn suppressions(
    subjects: &[SubjectId],
    seller: SellerNo,
    heads: &[(SubjectId, Head)],
) -> Vec<Suppression> {
    heads
        .iter()
        .filter(|(subject, _)| subjects.contains(subject))
        .flat_map(|(_, head)| head.marks())
        .filter(|mark| mark.kind == MarkKind::Suppressed && mark.binds(seller))
        .map(|mark| Suppression {
            scope: if mark.seller == SellerNo(0) {
                SuppressionScope::Global
            } else {
                SuppressionScope::Seller
            },
            added_at: UnixMillis(0),
        })
        .collect()
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
    distinct.into_values().collect()
}
