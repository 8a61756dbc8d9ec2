use dialer_types::{
    CampaignId, ContactId, Disposition, LineType, PlacementId, Purpose, RuleId, SellerId,
    Technology,
};

use super::*;
use crate::record::{Advance, Counter, Denial, Input, Lifted, ListSeen, Place, Sent, Token};

const START: i64 = 1_796_130_000_000;

fn at(millis: i64) -> UnixMillis {
    UnixMillis(START + millis)
}

fn judged(verdict: Verdict) -> Decision {
    let permit = verdict == Verdict::Permit;
    let denial = Denial {
        rule: RuleId::new("us.tcpa.calling_hours"),
        citation: "47 CFR 64.1200(c)(1)".into(),
        until: Some(at(1_800_000)),
        why: "outside the hours in 1 of 2 candidate zones, which is a long way to say that it is \
              still too early in Los Angeles for a call of this kind"
            .into(),
    };
    let mut passed = vec!["house.person_day_cap", "us.tcpa.identify"];
    passed.extend(permit.then_some("us.tcpa.calling_hours"));
    Decision {
        attempt: AttemptId { contact: ContactId(4), try_no: 2 },
        placement: permit.then_some(PlacementId(77)),
        campaign: CampaignId(7),
        seller: SellerId(8),
        subjects: vec![SubjectId(11), SubjectId(12)],
        purpose: Purpose::Telemarketing,
        technology: Technology::Prerecorded,
        line_type: LineType::Wireless,
        verdict,
        until: (!permit).then(|| at(1_800_000)),
        denied_by: if permit { vec![] } else { vec![denial] },
        rules_asked: 3,
        ruleset: Hash([0xab; 32]),
        places: vec![Place {
            jurisdiction: "US-CA".into(),
            zone: "America/Los_Angeles".into(),
            local_time: "2026-12-01T07:40:00-08:00".into(),
        }],
        counters: vec![Counter { rule: RuleId::new("house.person_day_cap"), count: 1, cap: 3 }],
        lists: vec![ListSeen {
            list: "us.national_dnc".into(),
            version: String::new(),
            as_of: "2026-11-20".into(),
            contains: false,
        }],
        obligations: if permit { vec!["us.tcpa.identify".into()] } else { vec![] },
        inputs: vec![Input { name: "consents".into(), value: "1".into() }],
        rules_passed: Some(passed.iter().map(|rule| RuleId::new(rule)).collect()),
        exceptions: None,
    }
}

fn story() -> Story {
    let attempt = AttemptId { contact: ContactId(4), try_no: 2 };
    let placement = PlacementId(77);
    let intent = Intent {
        placement,
        attempt,
        trunk: TrunkId(9),
        heads: vec![Advance { subject: SubjectId(11), judged: Token(70), token: Token(77) }],
        not_after: at(1_805_000),
        clock_bound_ms: 250,
        clock_offset_ms: 0,
        sip_call_id: "77@ringfence".into(),
    };
    let ended = Ended {
        attempt,
        placement,
        disposition: Disposition::NoAnswer,
        sip_code: Some(480),
        q850: Some(19),
        ring_ms: Some(20_000),
        answered_at: None,
        ended_at: Some(at(1_820_000)),
        correction: false,
    };
    let corrected = Corrected {
        attempt,
        placement,
        was: Disposition::NoAnswer,
        disposition: Disposition::Answered,
        actor: "user-7".into(),
        reason: Some("the person says that they spoke with us".into()),
    };
    let sent = Sent { placement, sent_at: at(1_800_040), sip_call_id: "77@ringfence".into() };
    let bodies: Vec<(i64, Body)> = vec![
        (0, judged(Verdict::Defer).into()),
        (1_800_000, judged(Verdict::Permit).into()),
        (1_800_000, intent.into()),
        (1_800_050, sent.into()),
        (1_820_001, ended.into()),
        (9_000_000, corrected.into()),
    ];
    let told = |(index, (millis, body))| Told {
        index: Some(index),
        grounds: None,
        record: Record::new(None, body, at(millis)),
    };
    Story {
        attempt,
        campaign: "Winter offer (00000000000000000000000007)".into(),
        seller: "Acme".into(),
        person: "P-17".into(),
        contact: vec![("address".into(), "US-CA, zone of the list America/Los_Angeles".into())],
        subjects: [
            (SubjectId(11), "number +1213******3".to_owned()),
            (SubjectId(12), "person P-17".to_owned()),
        ]
        .into(),
        trunks: [(TrunkId(9), "carrier one".to_owned())].into(),
        users: [("user-7".to_owned(), "carla".to_owned())].into(),
        on_file: vec![
            OnFile {
                recorded_at: at(-86_400_000),
                what: "consent prior_express_written for telemarketing".into(),
            },
            OnFile { recorded_at: at(10_000_000), what: "suppression for every seller".into() },
        ],
        records: (40..).zip(bodies).map(told).collect(),
        covered: Some(Covered { size: 60, root: Hash([0xcd; 32]), at: at(9_001_000) }),
    }
}

#[test]
fn the_page_of_a_known_attempt_is_this() {
    let page = write(&story());
    assert_eq!(page, include_str!("golden.txt"), "the page is:\n{page}");
}

#[test]
fn no_line_is_wider_than_a_page_and_no_word_is_lost() {
    let mut long = story();
    long.campaign = format!("{} {}", "x".repeat(450), "word ".repeat(90));
    let page = write(&long);
    assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
    assert_eq!(page.matches("word").count(), 90);
    assert_eq!(page.matches('x').count(), write(&story()).matches('x').count() + 450);
}

#[test]
fn an_attempt_that_was_only_denied_says_that_no_call_was_placed() {
    let mut denied = story();
    denied.records.truncate(1);
    denied.covered = None;
    let page = write(&denied);
    assert!(page.contains("no call was placed"), "{page}");
    assert!(page.contains("none covers all of them yet"), "{page}");
    assert!(page.contains("rule us.tcpa.calling_hours   denied: outside the hours"), "{page}");
    assert!(page.contains("by the law    47 CFR 64.1200(c)(1)\n"), "{page}");
}

#[test]
fn each_rule_that_was_asked_has_a_line_with_what_it_said() {
    let plain = |page: &str| -> Vec<String> {
        page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let mut permit = story();
    permit.records.retain(|told| told.index == Some(41));
    let page = plain(&write(&permit));
    for rule in ["house.person_day_cap", "us.tcpa.identify", "us.tcpa.calling_hours"] {
        assert!(page.contains(&format!("rule {rule} passed")), "{page:#?}");
    }
    let Body::Decision(decision) = &mut permit.records[0].record.body else { unreachable!() };
    let rule = RuleId::new("us.tcpa.calling_hours");
    decision.exceptions = Some(vec![Lifted { rule, relies_on: "47 USC 227(b)(2)".into() }]);
    let page = plain(&write(&permit));
    assert!(page.contains(&"exception 47 USC 227(b)(2)".to_owned()), "{page:#?}");
    let Body::Decision(decision) = &mut permit.records[0].record.body else { unreachable!() };
    decision.exceptions = None;
    decision.rules_passed = Some(vec![RuleId::new(&"r".repeat(70))]);
    let page = write(&permit);
    assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
    assert!(page.contains(&format!("rule {}\n", "r".repeat(70))), "{page}");
    let Body::Decision(decision) = &mut permit.records[0].record.body else { unreachable!() };
    decision.rules_passed = None;
    assert!(write(&permit).contains("rules passed    not named: an earlier version"));
}

#[test]
fn what_was_recorded_after_the_first_judgement_is_told_apart() {
    let page = write(&story());
    let later = page.find("recorded later").unwrap();
    assert!(page.find("prior_express_written").unwrap() < later);
    assert!(page.find("suppression for every seller").unwrap() > later);
}

#[test]
fn a_permit_is_told_as_decision_and_intent_with_both_of_its_records() {
    let mut permit = story();
    for told in &mut permit.records {
        if matches!(told.record.body, Body::Decision(_) | Body::Intent(_)) {
            (told.index, told.grounds) = (Some(41), Some(7));
        }
    }
    let page = write(&permit);
    for title in
        ["Judged: may be called (audit records 7 and 41)", "committed (audit records 7 and 41)"]
    {
        assert!(page.contains(title), "{page}");
    }
    let listed =
        page.lines().skip_while(|line| !line.starts_with("  audit records")).nth(1).unwrap();
    assert_eq!(listed.matches("41").count(), 1, "{page}");
    assert!(listed.trim_start().starts_with("7, "), "{page}");
}
