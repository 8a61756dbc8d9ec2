//! Logs that their operator signed, and that contradict the promises.

use super::{StoryFault::*, *};
use crate::record::Lifted;

/// The fault of a log that its operator wrote and signed himself.
fn fault_of(story: Vec<Body>) -> StoryFault {
    let leaves = leaves(story);
    match check(json(&leaves), &checkpoint(&leaves)).unwrap_err().fault {
        Fault::Story(fault) => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn what_the_operator_records_against_the_promises_is_found() {
    let p = PlacementId(1);
    let one = || vec![decision(1, Verdict::Permit).into(), intent(1).into()];
    let with = |more: Vec<Body>| fault_of(one().into_iter().chain(more).collect());
    let only = |bodies: Vec<Body>| fault_of(bodies);
    let busy = || ended(1, Disposition::Busy);
    let not_sent = || NotSent { placement: p, reason: "stop".into() };
    let refused = || Decision { placement: Some(p), ..decision(1, Verdict::Refuse) };

    assert_eq!(only(vec![sent(1).into()]), SentWithoutIntent(p));
    assert_eq!(
        only(vec![decision(1, Verdict::Permit).into(), sent(1).into()]),
        SentWithoutIntent(p)
    );
    assert_eq!(only(vec![intent(1).into()]), IntentWithoutPermit(p));
    assert_eq!(
        only(vec![intent(1).into(), decision(1, Verdict::Permit).into()]),
        IntentWithoutPermit(p)
    );
    assert_eq!(only(vec![refused().into(), intent(1).into()]), IntentWithoutPermit(p));
    assert_eq!(only(vec![busy().into()]), EndedWithoutIntent(p));
    assert_eq!(only(vec![not_sent().into()]), EndedWithoutIntent(p));
    assert_eq!(with(vec![intent(1).into()]), IntentTwice(p));
    assert_eq!(with(vec![decision(1, Verdict::Permit).into()]), JudgedTwice(p));
}

#[test]
fn a_late_or_doubled_or_contradicted_ending_is_found() {
    let p = PlacementId(1);
    let with = |more: Vec<Body>| {
        let one = vec![decision(1, Verdict::Permit).into(), intent(1).into()];
        fault_of(one.into_iter().chain(more).collect())
    };
    let busy = || ended(1, Disposition::Busy);
    let not_sent = || NotSent { placement: p, reason: "stop".into() };

    let late = Sent { sent_at: UnixMillis(START + 5_001), ..sent(1) };
    assert!(matches!(with(vec![late.into()]), SentLate { .. }));
    let renamed = Sent { sip_call_id: "other".into(), ..sent(1) };
    assert_eq!(with(vec![renamed.into()]), OtherCallId(p));
    assert_eq!(with(vec![sent(1).into(), not_sent().into()]), SentAndNotSent(p));
    assert_eq!(with(vec![not_sent().into(), sent(1).into()]), SentAndNotSent(p));
    assert!(matches!(with(vec![not_sent().into(), busy().into()]), EndedTwice { .. }));
    assert!(matches!(with(vec![busy().into(), busy().into()]), EndedTwice { .. }));
    let correction = Ended { correction: true, ..busy() };
    assert_eq!(with(vec![correction.clone().into()]), NoCorrection(p));
    assert_eq!(with(vec![busy().into(), correction.clone().into()]), NoCorrection(p));
    let released = Ended { correction: true, ..ended(1, Disposition::NotSent) };
    assert_eq!(with(vec![ended(1, Disposition::Unknown).into(), released.into()]), NoCorrection(p));
    let twice =
        vec![ended(1, Disposition::Unknown).into(), correction.clone().into(), correction.into()];
    assert_eq!(with(twice), NoCorrection(p));
    let strange = Ended { attempt: attempt(2), ..busy() };
    assert_eq!(with(vec![strange.into()]), OtherAttempt(p));
}

#[test]
fn evidence_that_contradicts_its_verdict_is_found() {
    let permit = || decision(1, Verdict::Permit);
    let denial = decision(1, Verdict::Refuse).denied_by;
    let fault = fault_of(vec![Decision { denied_by: denial, ..permit() }.into()]);
    assert_eq!(fault, PermitDenied(RuleId::new("house.person_day_cap")));
    let full = vec![Counter { rule: RuleId::new("r"), count: 3, cap: 3 }];
    let fault = fault_of(vec![Decision { counters: full, ..permit() }.into()]);
    assert_eq!(fault, PermitOverCap { rule: RuleId::new("r"), count: 3, cap: 3 });
    assert_eq!(fault_of(vec![Decision { placement: None, ..permit() }.into()]), PermitForNothing);
    let silent = Decision { denied_by: vec![], ..decision(1, Verdict::Defer) };
    assert_eq!(fault_of(vec![silent.into()]), DenialWithoutRule);
    let named = |rules: &[&str]| Some(rules.iter().map(|rule| RuleId::new(rule)).collect());
    for passed in [named(&["a", "b"]), named(&["a", "b", "b"]), named(&["a", "b", "c", "d"])] {
        let more = passed.as_ref().map_or(0, Vec::len);
        let fault = fault_of(vec![Decision { rules_passed: passed, ..permit() }.into()]);
        assert_eq!(fault, RulesDoNotAddUp { asked: 3, passed: more, denied: 0 });
    }
    let both = named(&["a", "house.person_day_cap"]);
    let both = Decision { rules_passed: both, ..decision(1, Verdict::Refuse) };
    let fault = fault_of(vec![both.into()]);
    assert_eq!(fault, RulesDoNotAddUp { asked: 3, passed: 2, denied: 1 });
    let lifted = |rule: &str| {
        let lifted = Lifted { rule: RuleId::new(rule), relies_on: "C".into() };
        let passed = named(&["a", "b", "c"]);
        Decision { rules_passed: passed, exceptions: Some(vec![lifted]), ..permit() }
    };
    let fault = fault_of(vec![lifted("d").into()]);
    assert_eq!(fault, RulesDoNotAddUp { asked: 3, passed: 3, denied: 0 }, "lifted, not asked");
    let fewer = Intent { heads: intent(1).heads[..1].to_vec(), ..intent(1) };
    assert_eq!(fault_of(vec![permit().into(), fewer.into()]), OtherSubjects(PlacementId(1)));
    let other = Intent { attempt: attempt(2), ..intent(1) };
    assert_eq!(fault_of(vec![permit().into(), other.into()]), OtherAttempt(PlacementId(1)));
}

#[test]
fn two_intents_judged_on_the_same_state_of_a_head_are_found() {
    let second = Decision { subjects: subjects(1), ..decision(2, Verdict::Permit) };
    let forked = Intent { heads: intent(1).heads, ..intent(2) };
    let bodies: Vec<Body> =
        vec![decision(1, Verdict::Permit).into(), intent(1).into(), second.into(), forked.into()];
    assert_eq!(fault_of(bodies), Fork(SubjectId(1)));
}

#[test]
fn a_person_may_correct_what_is_on_record_and_nothing_else() {
    let p = PlacementId(1);
    let corrected = |was, disposition| Corrected {
        attempt: attempt(1),
        placement: p,
        was,
        disposition,
        actor: "user-7".into(),
        reason: Some("the agent noted it wrongly".into()),
    };
    let (busy, answered) = (Disposition::Busy, Disposition::Answered);
    let one = || vec![decision(1, Verdict::Permit).into(), intent(1).into(), sent(1).into()];
    let with = |more: Vec<Body>| {
        let leaves = leaves(one().into_iter().chain(more).collect());
        check(json(&leaves), &checkpoint(&leaves))
    };
    let there_and_back = vec![
        ended(1, busy).into(),
        corrected(busy, answered).into(),
        corrected(answered, busy).into(),
        corrected(busy, answered).into(),
    ];
    let report = with(there_and_back).unwrap();
    assert_eq!(report.counts.dispositions, [(answered, 1)].into());

    let found = |more: Vec<Body>| match with(more).unwrap_err().fault {
        Fault::Story(OtherOutcome { found, .. }) => found,
        other => panic!("{other}"),
    };
    assert_eq!(found(vec![corrected(busy, answered).into()]), "nothing");
    let ends = || ended(1, answered).into();
    assert_eq!(found(vec![ends(), corrected(busy, answered).into()]), "answered");
    assert_eq!(
        found(vec![ends(), corrected(answered, Disposition::NotSent).into()]),
        "an INVITE that never left"
    );
    let strange = Corrected { attempt: attempt(2), ..corrected(answered, busy) };
    let fault = with(vec![ends(), strange.into()]).unwrap_err().fault;
    assert_eq!(fault, Fault::Story(OtherAttempt(p)));
}
