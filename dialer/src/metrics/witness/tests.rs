//! Each promise is broken once, and the second look says so.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "the tests play the stores and need a base instant")]

use std::{sync::Arc, time::Instant};

use dialer_audit::{
    Hash, Receipt, Record,
    record::{Counter, Decision},
};
use dialer_engine::{OptOut, Spoken};
use dialer_limiter::{Demand, Head};
use dialer_types::{
    AttemptId, CampaignNo, ContactId, LineType, NodeId, Outcome, Purpose, SellerId, Technology,
};

use super::*;

const SUBJECT: SubjectId = SubjectId(7);
const SELLER: SellerNo = SellerNo(3);
const PURPOSE: Purpose = Purpose::Informational;
const CAMPAIGN: CampaignId = CampaignId(5);

fn now(ms: i64) -> Now {
    Now { wall: UnixMillis(1_796_139_000_000 + ms), mono: Instant::now() }
}

fn placement(no: u128) -> PlacementId {
    PlacementId((1_796_139_000_000 << 80) | no)
}

fn attempt() -> AttemptId {
    AttemptId { contact: ContactId(1), try_no: 1 }
}

fn entry(key: u64) -> Entry {
    Entry {
        key,
        at_seconds: 1_796_139_000,
        seller: SELLER,
        campaign: CampaignNo(1),
        purpose: PURPOSE,
        technology: Technology::Prerecorded,
        outcome: Outcome::Pending,
        inbound: false,
    }
}

/// A commitment whose permit has one cap with this count of 3.
fn commitment(no: u128, count: u32, key: u64) -> Commitment {
    let head = Head::new(Token(1));
    let demand = Demand::new(placement(no), &[(SUBJECT, head)], entry(key), UnixMillis(0)).unwrap();
    let decision = Decision {
        attempt: attempt(),
        placement: Some(placement(no)),
        campaign: CAMPAIGN,
        seller: SellerId(1),
        subjects: vec![SUBJECT],
        purpose: PURPOSE,
        technology: Technology::Prerecorded,
        line_type: LineType::Landline,
        verdict: Verdict::Permit,
        until: None,
        denied_by: Vec::new(),
        rules_asked: 1,
        ruleset: Hash([0; 32]),
        places: Vec::new(),
        counters: vec![Counter {
            rule: dialer_types::RuleId::new("house.person_day_cap"),
            count,
            cap: 3,
        }],
        lists: Vec::new(),
        obligations: Vec::new(),
        inputs: Vec::new(),
        rules_passed: None,
        exceptions: None,
    };
    Commitment {
        demand: Arc::new(demand),
        attempt: attempt(),
        campaign: CAMPAIGN,
        seller: SellerId(1),
        number: SUBJECT,
        person: SUBJECT,
        account: None,
        trunk: TrunkId(9),
        at: now(0).wall,
        not_after: now(5_000).wall,
        sip_call_id: format!("call-{no}@test"),
        records: vec![Record::new(Some(NodeId(1)), decision.into(), now(0).wall)],
    }
}

fn invite(no: u128, kind: TransmitKind) -> Transmit {
    let payload = format!("INVITE sip:x SIP/2.0\r\nVia: y\r\nCall-ID: call-{no}@test\r\n\r\n");
    Transmit {
        destination: ([127, 0, 0, 1], 5060).into(),
        payload: payload.into_bytes(),
        kind,
        call: None,
        send_before: None,
    }
}

fn first(no: u128) -> Transmit {
    invite(no, TransmitKind::InviteFirst)
}

fn settlement(no: u128) -> Settlement {
    let ended = dialer_audit::record::NotSent { placement: placement(no), reason: "x".into() };
    Settlement {
        placement: placement(no),
        attempt: attempt(),
        campaign: CAMPAIGN,
        subjects: vec![SUBJECT],
        disposition: Disposition::Answered,
        spoken: Spoken { sip_code: Some(200), answered_at: Some(now(0).wall), ..Spoken::default() },
        next: Next::Finished { why: "answered".into() },
        made: 1,
        next_position: 0,
        record: Record::new(None, ended.into(), now(0).wall),
        at: now(0).wall,
    }
}

struct Play {
    witness: Witness,
    metrics: Metrics,
}

impl Play {
    fn new() -> Self {
        let metrics = Metrics::new().unwrap();
        Self { witness: Witness::new(metrics.clone()), metrics }
    }

    fn asked(&mut self, no: u128) {
        let key = Entry::key_of(placement(no));
        self.witness.wanted(&Output::Commit(Box::new(commitment(no, 2, key))));
    }

    /// Asked for and confirmed.
    fn durable(no: u128) -> Self {
        let mut play = Self::new();
        play.asked(no);
        let receipt = Receipt::assertion(placement(no));
        play.hear(Input::Committed(placement(no), Answer::Given(Ok(receipt))));
        play
    }

    fn hear(&mut self, input: Input<'static>) {
        self.witness.heard(&input, now(12));
    }

    fn leaves(&mut self, transmit: &Transmit, at: Now) -> bool {
        let leaves = self.witness.lets_out(transmit, at);
        // As the driver does: a retransmission is no INVITE of its own.
        if leaves && transmit.kind != TransmitKind::InviteRetransmit {
            self.witness.left(transmit);
        }
        leaves
    }

    fn broken(&self) -> Vec<(&'static str, u64)> {
        PROMISES
            .into_iter()
            .map(|it| (it, self.metrics.violations.with_label_values(&[it]).get()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[test]
fn a_call_from_commit_to_settlement_breaks_nothing_and_is_counted_on_its_trunk() {
    let mut play = Play::durable(1);
    assert!(play.leaves(&first(1), now(20)));
    assert!(play.leaves(&invite(1, TransmitKind::InviteRetransmit), now(9_000)));
    assert!(play.leaves(&invite(1, TransmitKind::InviteResend), now(40)));
    let trunk = TrunkId(9).to_string();
    let label = [trunk.as_str()];
    assert_eq!(play.metrics.trunk_calls.with_label_values(&label).get(), 1);
    assert_eq!(play.metrics.trunk_invites.with_label_values(&label).get(), 2);
    play.witness.wanted(&Output::Settle(Box::new(settlement(1))));
    assert_eq!(play.metrics.trunk_calls.with_label_values(&label).get(), 0);
    assert_eq!(play.metrics.trunk_answered.with_label_values(&label).get(), 1);
    let code = [trunk.as_str(), "200"];
    assert_eq!(play.metrics.trunk_responses.with_label_values(&code).get(), 1);
    assert_eq!(play.metrics.clearance_seconds.get_sample_count(), 1);
    assert!((play.metrics.clearance_seconds.get_sample_sum() - 0.012).abs() < 1e-9);
    assert_eq!(play.broken(), []);
    assert!(play.witness.placed.is_empty() && play.witness.call_ids.is_empty());
}

#[test]
fn an_invite_of_no_placement_is_held_back_whatever_its_header_is_written_like() {
    for payload in [
        "INVITE sip:x SIP/2.0\r\nCall-ID: another@test\r\n\r\n",
        "INVITE sip:x SIP/2.0\r\n\r\nCall-ID: call-1@test",
        "",
    ] {
        let mut play = Play::durable(1);
        let forged = Transmit { payload: payload.into(), ..first(1) };
        assert!(!play.leaves(&forged, now(1)), "{payload}");
        assert_eq!(play.broken(), [("G1", 1)], "{payload}");
    }
    let short = "INVITE sip:x SIP/2.0\r\ni :  call-1@test \r\n\r\n";
    assert!(Play::durable(1).leaves(&Transmit { payload: short.into(), ..first(1) }, now(1)));
}

#[test]
fn a_second_first_invite_is_held_back() {
    let mut play = Play::durable(1);
    assert!(play.leaves(&first(1), now(1)));
    assert!(!play.leaves(&first(1), now(2)));
    assert_eq!(play.broken(), [("G2", 1)]);
}

#[test]
fn an_invite_later_than_its_verdict_stands_is_held_back_and_so_is_its_resend() {
    let mut play = Play::durable(1);
    assert!(play.leaves(&first(1), now(5_009)), "a slewed clock is no complaint");
    assert!(!play.leaves(&invite(1, TransmitKind::InviteResend), now(5_010)));
    assert_eq!(play.broken(), [("G3", 1)]);
}

#[test]
fn an_invite_that_postgres_has_not_confirmed_is_held_back() {
    for answer in
        [None, Some(Answer::Unavailable), Some(Answer::Given(Err(dialer_engine::Conflict)))]
    {
        let mut play = Play::new();
        play.asked(1);
        if let Some(answer) = answer {
            play.hear(Input::Committed(placement(1), answer));
        }
        assert!(!play.leaves(&first(1), now(1)));
        assert_eq!(play.broken(), [("G4", 1)]);
    }
}

#[test]
fn a_permit_for_a_used_up_cap_and_a_head_that_does_not_count_its_placement_are_told() {
    let key = Entry::key_of(placement(1));
    for (count, key, broken) in [(2, key, 0), (3, key, 1), (2, key + 1, 1)] {
        let mut play = Play::new();
        play.witness.wanted(&Output::Commit(Box::new(commitment(1, count, key))));
        let found = play.metrics.violations.with_label_values(&["G6"]).get();
        assert_eq!(found, broken, "count {count}, key {key}");
    }
}

#[test]
fn an_opt_out_holds_back_the_first_invite_of_the_seller_it_binds() {
    for (subject, seller, purpose, leaves) in [
        (SUBJECT, SELLER, None, false),
        (SUBJECT, SellerNo(0), None, false),
        (SUBJECT, SELLER, Some(PURPOSE), false),
        (SUBJECT, SELLER, Some(Purpose::Delivery), true),
        (SUBJECT, SellerNo(4), None, true),
        (SubjectId(8), SELLER, None, true),
    ] {
        let mut play = Play::durable(1);
        let out = OptOut { subjects: vec![subject], seller, purpose };
        play.hear(Input::Suppressed(out.clone()));
        assert_eq!(play.leaves(&first(1), now(1)), leaves, "{out:?}");
        assert_eq!(play.broken().is_empty(), leaves);
    }
}

#[test]
fn nothing_first_leaves_after_a_drain_or_a_halt() {
    for input in [Input::Drain, Input::HangUp, Input::Halted(CAMPAIGN)] {
        let mut play = Play::durable(1);
        play.hear(input);
        assert!(!play.leaves(&first(1), now(1)));
        assert_eq!(play.broken(), [("G10", 1)]);
    }
    let mut other = Play::durable(1);
    other.hear(Input::Halted(CampaignId(6)));
    assert!(other.leaves(&first(1), now(1)));
}

#[test]
fn a_second_outcome_is_told_while_it_is_remembered() {
    let mut play = Play::durable(1);
    for _ in 0..2 {
        play.witness.wanted(&Output::Settle(Box::new(settlement(1))));
    }
    assert_eq!(play.broken(), [("G8", 1)]);
    for no in 2..10_000 {
        play.witness.wanted(&Output::Settle(Box::new(settlement(no))));
    }
    assert_eq!(play.witness.settled.len(), REMEMBERED);
    assert_eq!(play.witness.order.len(), REMEMBERED);
}
