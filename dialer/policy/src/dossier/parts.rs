//! Sentences of a dossier.

use dialer_types::{LineType, Say, say};

use crate::{Card, Facts, Verdict, Wait, check::instant_text};

/// The verdict in one sentence.
pub(super) fn told_verdict(verdict: &Verdict) -> Say {
    match verdict {
        Verdict::Permit(permit) => say!(
            "permit: the call may be placed now; that stands until {until}, if nothing changes",
            until = instant_text(permit.stands_until())
        ),
        Verdict::Defer(deferral) => say!(
            "defer: not now; the first lawful moment is {until}, if nobody calls in between",
            until = instant_text(deferral.until)
        ),
        Verdict::Refuse(refusal) => {
            let waits: Vec<String> = refusal.waits_for.iter().map(Wait::word).collect();
            say!(
                "refuse: no passing of time makes the call lawful; it waits for {waits}",
                waits = waits.join(", ")
            )
        }
    }
}

/// How far a rule was checked, and its source.
pub(super) fn mark(card: Option<&Card>) -> Say {
    let Some(card) = card else { return say!("Built in: it stands in no pack.") };
    let said = match card.verified() {
        Some("V1") => say!("Verification V1: the official text was read."),
        Some("V2") => say!("Verification V2: a secondary source was read."),
        Some("K") => say!("Verification K: from knowledge only, not verified."),
        _ => say!("No mark of verification."),
    };
    match card.text("source") {
        Some(source) => {
            Say::of("{mark} Source: {source}").with("mark", said).with("source", source)
        }
        None => said,
    }
}

/// What nobody knows of the call, each with what follows from that.
pub(super) fn unknown(facts: &Facts, verdict: &Verdict) -> Vec<Say> {
    let call = &facts.call;
    let mut found = Vec::new();
    match &call.address {
        None => found.push(say!("the address: the number alone says where the person may be")),
        Some(address) => {
            if address.region.is_none() {
                found.push(say!("the region within the country: every region's zones count"));
            }
            if address.time_zone.is_none() {
                found.push(say!(
                    "the time zone: every zone of the place counts, and all must allow"
                ));
            }
        }
    }
    if call.line == LineType::Unknown {
        found.push(say!("the kind of line: rules for mobile and for fixed lines both apply"));
    }
    if call.relationship.is_none() {
        found.push(say!("any relationship with the seller: none counts"));
    }
    if facts.consents.is_empty() {
        found.push(say!("any consent: none counts"));
    }
    if facts.suppressions.is_empty() {
        found
            .push(say!("the seller's own do-not-call entries: none was given, so none is assumed"));
    }
    if facts.history.is_empty() {
        found.push(say!("earlier calls: none was given, so caps and pauses count none"));
    }
    for list in verdict.evidence().lists.iter().filter(|list| list.as_of.is_none()) {
        found.push(say!(
            "list {list}: there is no copy, and what is absent denies",
            list = list.list
        ));
    }
    if facts.emergency.is_none() {
        found.push(say!("the emergency feed: rules that need it deny"));
    }
    found
}
