//! From judgements and endings to audit records.

use dialer_audit::{
    Hash, Record,
    record::{
        Advance, Counter, Decision, Denial, Ended, Input, Intent, Lifted, ListSeen, NotSent, Place,
        Token, Verdict as Said,
    },
};
use dialer_limiter::Demand;
use dialer_policy::{Evidence, RulesetVersion, Verdict};
use dialer_types::{
    AttemptId, Disposition, LineType, NodeId, PlacementId, SubjectId, TrunkId, UnixMillis,
};

use crate::{NumberFacts, Order, Spoken, Supplied};

/// What every record of one judgement shares.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Who judged.
    pub node: NodeId,
    /// Whom to call for what.
    pub order: &'a Order,
    /// Whose heads were judged.
    pub subjects: Vec<SubjectId>,
    /// What is known of the number.
    pub number: &'a NumberFacts,
    /// What was written down of the person, and of campaign and seller.
    pub supplied: &'a Supplied,
    /// By which rules.
    pub ruleset: RulesetVersion,
    /// When.
    pub now: UnixMillis,
}

/// The decision about one number.
#[must_use]
pub fn decision(scene: &Scene<'_>, verdict: &Verdict, placement: Option<PlacementId>) -> Record {
    let (said, until, obligations) = match verdict {
        Verdict::Permit(permit) => (
            Said::Permit,
            None,
            permit.obligations().iter().map(|duty| duty.rule.as_str().to_owned()).collect(),
        ),
        Verdict::Defer(deferral) => (Said::Defer, Some(deferral.until), Vec::new()),
        Verdict::Refuse(_) => (Said::Refuse, None, Vec::new()),
    };
    let evidence = verdict.evidence();
    let line: LineType = scene.number.line;
    let decision = Decision {
        attempt: scene.order.attempt,
        placement,
        campaign: scene.order.campaign.id,
        seller: scene.order.campaign.seller,
        subjects: scene.subjects.clone(),
        purpose: scene.order.campaign.purpose,
        technology: scene.order.campaign.technology,
        line_type: line,
        verdict: said,
        until,
        denied_by: verdict
            .denials()
            .iter()
            .map(|denial| Denial {
                rule: denial.rule.clone(),
                citation: denial.citation.to_string(),
                until: denial.first_lawful,
                why: denial.inputs.to_string(),
            })
            .collect(),
        rules_asked: u32::try_from(evidence.rules.len()).unwrap_or(u32::MAX),
        ruleset: Hash(scene.ruleset.0),
        places: places(evidence, scene.now),
        counters: evidence
            .counters
            .iter()
            .map(|counter| Counter {
                rule: counter.rule.clone(),
                count: counter.count,
                cap: counter.max,
            })
            .collect(),
        lists: lists(evidence, scene.number),
        obligations,
        inputs: inputs(evidence, scene),
        rules_passed: Some(verdict.passed().cloned().collect()),
        exceptions: lifted(evidence),
    };
    Record::new(Some(scene.node), decision.into(), scene.now)
}

/// How many consents there are, what each candidate place and zone rests on, and what somebody looked
/// up, wrote down or counted.
fn inputs(evidence: &Evidence, scene: &Scene<'_>) -> Vec<Input> {
    let number = scene.number;
    let consents = Input { name: "consents".into(), value: number.consents.len().to_string() };
    let from = evidence.grounds.line(&evidence.jurisdictions, &evidence.zones);
    let places = Input { name: "places_from".into(), value: from };
    let entries = Input { name: "suppressions".into(), value: suppressions(evidence) };
    let supplied = scene.supplied.inputs(&number.checks).into_iter();
    let supplied = supplied.map(|(name, value)| Input { name: name.into(), value });
    let all = [consents, places, entries].into_iter().chain(supplied);
    all.filter(|input| !input.value.is_empty()).collect()
}

/// The do-not-call entries that did not deny, each with the reason.
fn suppressions(evidence: &Evidence) -> String {
    let lifted = evidence.lifts.iter();
    let lifted = lifted.map(|lift| format!("{} lifted by consent {}", lift.entry, lift.consent));
    let others = (evidence.other_purposes > 0)
        .then(|| format!("{} about other purposes", evidence.other_purposes));
    lifted.chain(others).collect::<Vec<_>>().join("; ")
}

/// The exceptions without which a rule would have denied; `None` where there is none.
fn lifted(evidence: &Evidence) -> Option<Vec<Lifted>> {
    let lifted = evidence.exceptions.iter();
    let lifted = lifted
        .map(|named| Lifted { rule: named.rule.clone(), relies_on: named.relies_on.to_string() });
    let lifted: Vec<Lifted> = lifted.collect();
    (!lifted.is_empty()).then_some(lifted)
}

/// Every candidate zone with its local time; the jurisdictions are joined, every one applies in
/// every zone.
fn places(evidence: &Evidence, now: UnixMillis) -> Vec<Place> {
    let jurisdiction =
        evidence.jurisdictions.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    let utc = chrono::DateTime::from_timestamp_millis(now.0).unwrap_or_default();
    evidence
        .zones
        .iter()
        .map(|zone| Place {
            jurisdiction: jurisdiction.clone(),
            zone: zone.name().to_owned(),
            local_time: utc.with_timezone(zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        })
        .collect()
}

fn lists(evidence: &Evidence, number: &NumberFacts) -> Vec<ListSeen> {
    evidence
        .lists
        .iter()
        .map(|seen| ListSeen {
            list: seen.list.to_string(),
            version: String::new(),
            as_of: seen.as_of.map_or_else(String::new, |day| day.to_string()),
            contains: number.lists.iter().any(|fact| fact.list == seen.list && fact.contains),
        })
        .collect()
}

/// A permitted placement, as its intent tells of it.
#[derive(Debug)]
pub struct Permitted<'a> {
    /// Which.
    pub placement: PlacementId,
    /// By which trunk.
    pub trunk: TrunkId,
    /// The heads it advances.
    pub demand: &'a Demand,
    /// Until when the INVITE may leave.
    pub not_after: UnixMillis,
    /// Its Call-ID.
    pub sip_call_id: &'a str,
}

/// The intent: written in the transaction that commits the placement.
#[must_use]
pub fn intent(
    node: NodeId,
    order: &Order,
    chosen: &Permitted<'_>,
    clock_bound_ms: u32,
    clock_offset_ms: i64,
    now: UnixMillis,
) -> Record {
    let placement = chosen.placement;
    let intent = Intent {
        placement,
        attempt: order.attempt,
        trunk: chosen.trunk,
        heads: chosen
            .demand
            .claims()
            .iter()
            .map(|claim| Advance {
                subject: claim.subject,
                judged: Token(claim.base.0),
                token: Token(placement.0),
            })
            .collect(),
        not_after: chosen.not_after,
        clock_bound_ms,
        clock_offset_ms,
        sip_call_id: chosen.sip_call_id.to_owned(),
    };
    Record::new(Some(node), intent.into(), now)
}

/// How a placement ended, or that it never left.
#[must_use]
pub fn ending(
    node: NodeId,
    attempt: AttemptId,
    placement: PlacementId,
    disposition: Disposition,
    spoken: Spoken,
    because: &str,
    now: UnixMillis,
) -> Record {
    if disposition == Disposition::NotSent {
        let not_sent = NotSent { placement, reason: because.to_owned() };
        return Record::new(Some(node), not_sent.into(), now);
    }
    let ended = Ended {
        attempt,
        placement,
        disposition,
        sip_code: spoken.sip_code,
        q850: spoken.q850,
        ring_ms: spoken.ring_ms,
        answered_at: spoken.answered_at,
        ended_at: Some(now),
        correction: false,
    };
    Record::new(Some(node), ended.into(), now)
}
