//! The positive control of the checker: every kind of violation, planted in a wire log by hand, is
//! found, and a clean log gives zero.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod planted;
mod vectors;

use dialer_types::{LineType, Outcome, PartyRole, Purpose, Technology};
use loadtest::checker::{audit::Export, world::World};
use planted::{NOON, Plant, Wire, at, contact, judge, judge_with, rules, world};

const MIAMI: &str = "+13055550123";

fn miami() -> World {
    world(Purpose::Telemarketing, Technology::Manual, contact("p1", MIAMI, "US", "FL"))
}

fn with_account(
    mut contact: loadtest::checker::world::Contact,
) -> loadtest::checker::world::Contact {
    contact.account = "acc-1".to_owned();
    contact
}

#[test]
fn a_clean_log_has_no_violation_and_a_full_yield() {
    let wire = Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 486).call(
        "2026-12-01T15:00:40Z",
        MIAMI,
        200,
    );
    let report = judge(&miami(), &wire, "2026-12-01T15:02:00Z");
    assert_eq!(report.violation_count(), 0, "{report}");
    assert_eq!((report.lawful_made, report.lawful_due), (2, 2));
    assert_eq!(report.answered, 1);
}

/// world, when the planted call is made, the rules it breaks.
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn caps() -> Vec<(World, &'static str, &'static [&'static str])> {
    let debt = |number, country, region| {
        let person = with_account(contact("p1", number, country, region));
        world(Purpose::DebtCollection, Technology::Progressive, person)
    };
    let robocall =
        |purpose| world(purpose, Technology::Prerecorded, contact("p1", MIAMI, "US", "FL"));
    let three_days = &["2026-11-10T16:00:00Z", "2026-11-20T16:00:00Z", "2026-11-30T16:00:00Z"];
    let paris = || {
        let person = contact("p1", "+33155500123", "FR", "");
        world(Purpose::Telemarketing, Technology::Manual, person).consent("opt_in", None)
    };
    vec![
        (
            miami().earlier(
                Outcome::NoAnswer,
                &["2026-11-30T15:00:01Z", "2026-11-30T18:00:00Z", "2026-11-30T20:00:00Z"],
            ),
            NOON,
            &["us.fl.cap"],
        ),
        (
            debt(MIAMI, "US", "FL").earlier(
                Outcome::NoAnswer,
                &[
                    "2026-11-25T16:00:00Z",
                    "2026-11-26T16:00:00Z",
                    "2026-11-27T16:00:00Z",
                    "2026-11-28T16:00:00Z",
                    "2026-11-29T16:00:00Z",
                    "2026-11-30T15:00:00Z",
                    "2026-11-30T16:00:00Z",
                ],
            ),
            NOON,
            &["us.regf.7in7"],
        ),
        (
            debt(MIAMI, "US", "FL").earlier(Outcome::Conversation, &["2026-11-25T16:00:00Z"]),
            NOON,
            &["us.regf.post_conversation"],
        ),
        (
            robocall(Purpose::Healthcare).earlier(Outcome::Busy, &["2026-11-30T16:00:00Z"]),
            NOON,
            &["us.fcc.cap.hipaa_residential"],
        ),
        (
            robocall(Purpose::NoncommercialInformational).earlier(Outcome::Busy, three_days),
            NOON,
            &["us.fcc.cap.exempt_noncommercial"],
        ),
        (
            robocall(Purpose::CommercialNoAdvertising).earlier(Outcome::Busy, three_days),
            NOON,
            &["us.fcc.cap.exempt_commercial_noad"],
        ),
        (
            robocall(Purpose::TaxExemptNonprofit).earlier(Outcome::Busy, three_days),
            NOON,
            &["us.fcc.cap.exempt_nonprofit"],
        ),
        (
            paris().earlier(
                Outcome::Busy,
                &[
                    "2026-11-02T10:00:00Z",
                    "2026-11-12T10:00:00Z",
                    "2026-11-20T10:00:00Z",
                    "2026-11-30T10:00:00Z",
                ],
            ),
            NOON,
            &["fr.cap"],
        ),
        (paris().earlier(Outcome::Refused, &["2026-10-05T09:00:00Z"]), NOON, &["fr.refusal"]),
        (
            debt("+61255501234", "AU", "NSW").earlier(
                Outcome::Conversation,
                &["2026-11-29T23:00:00Z", "2026-11-30T02:00:00Z", "2026-11-30T05:00:00Z"],
            ),
            "2026-12-01T02:00:00Z",
            &["au.debt.cap"],
        ),
        (
            debt("+8613800138000", "CN", "").earlier(
                Outcome::Conversation,
                &["2026-12-01T01:00:00Z", "2026-12-01T02:00:00Z", "2026-12-01T03:00:00Z"],
            ),
            "2026-12-01T05:00:00Z",
            &["cn.debt.cap_interactive", "house.person_day_cap"],
        ),
        (miami().earlier(Outcome::Busy, &["2026-12-01T14:59:45Z"]), NOON, &["house.min_gap"]),
    ]
}

#[test]
fn every_cap_and_cool_down_is_found_and_only_it() {
    for (world, when, expected) in caps() {
        let number = world.contacts[0].numbers[0].0.clone();
        let report = judge(&world, &Wire::default().call(when, &number, 486), when);
        assert_eq!(rules(&report), expected, "{report}");
        assert_eq!(report.cap_violations, expected.len());
        assert_eq!(report.violation_count(), expected.len());
    }
}

#[test]
fn one_attempt_fewer_and_the_same_call_is_lawful() {
    for (mut world, when, expected) in caps() {
        world.earlier.remove(0);
        let number = world.contacts[0].numbers[0].0.clone();
        let report = judge(&world, &Wire::default().call(when, &number, 486), when);
        assert_eq!(report.violation_count(), 0, "{expected:?}: {report}");
    }
}

#[test]
fn the_fourth_call_of_a_day_is_found_although_each_was_made_in_the_run() {
    let mut wire = Wire::default();
    for minute in 0..4 {
        wire = wire.call(&format!("2026-12-01T15:0{minute}:00Z"), MIAMI, 486);
    }
    let report = judge(&miami(), &wire, "2026-12-01T15:03:30Z");
    assert_eq!(rules(&report), ["house.person_day_cap", "us.fl.cap"]);
    assert_eq!(report.cap_violations, 2, "the fourth only");
}

#[test]
fn calls_outside_the_hours_are_found_in_every_place() {
    let selling = |number, country, region| {
        let person = contact("p1", number, country, region);
        world(Purpose::Telemarketing, Technology::Manual, person)
            .consent("prior_express_written", None)
    };
    let debt = |number, country, region| {
        let person = with_account(contact("p1", number, country, region));
        world(Purpose::DebtCollection, Technology::Manual, person)
    };
    for (world, when, rule) in [
        (selling(MIAMI, "US", "FL"), "2026-12-02T01:00:00Z", "us.fl.hours"),
        (selling(MIAMI, "US", "FL"), "2026-12-01T13:59:59Z", "us.fl.hours"),
        (selling("+12145550123", "US", "TX"), "2026-12-01T15:59:59Z", "us.tx.hours"),
        (selling("+12145550123", "", ""), "2026-12-01T14:59:59Z", "us.tx.hours"),
        (debt("+12145550123", "", ""), "2026-12-01T13:59:59Z", "us.regf.hours"),
        (selling("+442079460123", "GB", ""), "2026-12-01T21:00:00Z", "uk.industry.hours"),
        (selling("+33155500123", "FR", ""), "2026-12-01T12:30:00Z", "fr.hours"),
        (selling("+33155500123", "FR", ""), "2026-12-25T15:00:00Z", "fr.hours"),
        (selling("+14165550123", "CA", "ON"), "2026-12-01T13:59:59Z", "ca.hours"),
        (selling("+61255501234", "AU", "NSW"), "2026-12-01T09:00:00Z", "au.hours"),
        (debt("+61255501234", "AU", "NSW"), "2026-12-01T10:00:00Z", "au.debt.hours"),
        (debt("+8613800138000", "CN", ""), "2026-12-01T14:00:00Z", "cn.debt.hours"),
        (selling("+8613800138000", "CN", ""), "2026-12-01T12:00:00Z", "cn.hours.marketing"),
        (selling("+18005550123", "US", ""), "2026-12-01T17:00:00Z", "us.strictest.unknown_state"),
    ] {
        let number = world.contacts[0].numbers[0].0.clone();
        let report = judge(&world, &Wire::default().call(when, &number, 486), when);
        assert!(rules(&report).contains(&rule), "{rule}: {report}");
        assert!(report.window_violations >= 1);
        assert_eq!(report.window_violations, report.violation_count(), "{rule}: {report}");
    }
}

#[test]
fn suppressed_numbers_and_persons_are_found_from_the_moment_they_were_suppressed() {
    let before = "2026-12-01T14:00:00Z";
    let wire = || Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 486);
    for (world, found) in [
        (miami().suppressed(Some(MIAMI), None, before), 1),
        (miami().suppressed(None, Some("p1"), before), 1),
        (miami().suppressed(Some(MIAMI), None, "2026-12-01T15:00:02Z"), 0),
        (miami().suppressed(Some("+13055550199"), None, before), 0),
        (miami().suppressed(None, Some("p2"), before), 0),
    ] {
        let report = judge(&world, &wire(), "2026-12-01T15:00:10Z");
        assert_eq!(report.suppression_violations, found);
        assert_eq!(report.violation_count(), found);
    }
}

#[test]
fn another_sellers_own_suppression_does_not_bind_and_one_under_way_binds_once_answered() {
    let mut other = miami().suppressed(Some(MIAMI), None, "2026-12-01T14:00:00Z");
    other.suppressions[0].seller = Some("Harbor".to_owned());
    let wire = Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 486);
    assert_eq!(judge(&other, &wire, NOON).suppression_violations, 0);
    let mut under_way = miami().suppressed(Some(MIAMI), None, NOON);
    under_way.suppressions[0].answered_at = Some(at("2026-12-01T15:00:01Z") + 1);
    assert_eq!(judge(&under_way, &wire, NOON).suppression_violations, 0);
    under_way.suppressions[0].answered_at = Some(at("2026-12-01T15:00:01Z"));
    assert_eq!(judge(&under_way, &wire, NOON).suppression_violations, 1);
}

#[test]
fn missing_wrong_and_revoked_consents_are_found() {
    let robocall = |purpose, line| {
        let mut person = contact("p1", MIAMI, "US", "FL");
        person.numbers[0].1 = line;
        world(purpose, Technology::Prerecorded, person)
    };
    let (info, health) = (Purpose::Informational, Purpose::Healthcare);
    let paris = || {
        let person = contact("p1", "+33155500123", "FR", "");
        world(Purpose::Telemarketing, Technology::Manual, person)
    };
    let before = "2026-12-01T14:59:59Z";
    let wireless: &[&str] = &["us.fcc.consent.wireless_any"];
    let cases: Vec<(World, &[&str])> = vec![
        (robocall(health, LineType::Wireless), wireless),
        (robocall(health, LineType::Unknown), wireless),
        (robocall(health, LineType::Wireless).consent("opt_in", None), wireless),
        (
            robocall(health, LineType::Wireless)
                .consent("prior_express", Some(Technology::AiVoice)),
            wireless,
        ),
        (robocall(health, LineType::Wireless).consent("prior_express", None), &[]),
        (robocall(info, LineType::Landline), &["us.fcc.consent.residential_prerecorded_info"]),
        (robocall(info, LineType::Landline).consent("prior_express_written", None), &[]),
        (
            robocall(info, LineType::Landline).consent("prior_express", None).revoked(before),
            &["us.fcc.consent.residential_prerecorded_info", "us.fcc.revocation"],
        ),
        (
            robocall(health, LineType::Landline).consent("prior_express", None).revoked(before),
            &["us.fcc.revocation"],
        ),
        (
            robocall(info, LineType::Landline)
                .consent("prior_express", None)
                .revoked("2026-12-01T15:00:01Z"),
            &[],
        ),
        (paris(), &["fr.optin"]),
        (paris().consent("opt_in", None).revoked(before), &["fr.optin"]),
        (paris().consent("opt_in", None), &[]),
    ];
    for (world, expected) in cases {
        let number = world.contacts[0].numbers[0].0.clone();
        let report = judge(&world, &Wire::default().call(NOON, &number, 486), NOON);
        assert_eq!(rules(&report), expected, "{report}");
        assert_eq!(report.consent_violations, expected.len());
    }
}

#[test]
fn listed_numbers_and_stale_or_absent_lists_are_found() {
    for (number, country, region, list, rule) in [
        (MIAMI, "US", "FL", "us.national_dnc", "us.fcc.ndnc_scrub"),
        ("+442079460123", "GB", "", "uk.tps", "uk.pecr.live"),
        ("+14165550123", "CA", "ON", "ca.national_dncl", "ca.dncl"),
        ("+61255501234", "AU", "NSW", "au.dncr", "au.dncr"),
    ] {
        let when = if country == "AU" { "2026-12-01T03:00:00Z" } else { NOON };
        let person = || contact("p1", number, country, region);
        let fresh = || world(Purpose::Telemarketing, Technology::Manual, person());
        let wire = || Wire::default().call(when, number, 486);
        assert_eq!(judge(&fresh(), &wire(), when).violation_count(), 0, "{country}");

        let mut listed = fresh();
        listed.lists.get_mut(list).unwrap().numbers.insert(number.to_owned());
        let mut stale = fresh();
        stale.lists.get_mut(list).unwrap().as_of = "2026-10-30".parse().unwrap();
        let mut absent = fresh();
        absent.lists.remove(list);
        for planted in [listed, stale, absent] {
            let report = judge(&planted, &wire(), when);
            assert_eq!((rules(&report), report.list_violations), (vec![rule], 1), "{report}");
            let consented = planted.consent("prior_express_written", None);
            assert_eq!(judge(&consented, &wire(), when).violation_count(), 0, "{country}");
        }
    }
}

#[test]
fn wrong_parties_uncovered_places_and_numbers_of_nobody_are_found() {
    let mut debt = with_account(contact("p1", MIAMI, "US", "FL"));
    debt.role = PartyRole::ThirdParty;
    let third = world(Purpose::DebtCollection, Technology::Manual, debt);
    let away =
        world(Purpose::Informational, Technology::Manual, contact("p1", "+4930123456", "DE", ""));
    let robocall =
        world(Purpose::Telemarketing, Technology::Prerecorded, contact("p1", MIAMI, "US", "FL"))
            .consent("prior_express_written", None);
    for (world, number, rule) in [
        (third, MIAMI, "us.regf.third_party"),
        (away, "+4930123456", "house.uncovered_place"),
        (robocall, MIAMI, "us.fcc.prerecorded_identification"),
        (miami(), "+13055550177", "nobody's number"),
    ] {
        let report = judge(&world, &Wire::default().call(NOON, number, 486), NOON);
        assert_eq!((rules(&report), report.other_violations), (vec![rule], 1), "{report}");
    }
}

#[test]
fn retransmissions_and_re_sends_are_one_placement_and_any_other_repetition_is_found() {
    let t = at(NOON);
    let mut wire = Wire::default();
    wire.invite(t, MIAMI, "c", "b1", 1);
    wire.invite(t + 500, MIAMI, "c", "b1", 1);
    wire.respond(t + 600, 407, "c", "b1", 1);
    wire.invite(t + 700, MIAMI, "c", "b2", 2);
    wire.respond(t + 900, 486, "c", "b2", 2);
    let report = judge(&miami(), &wire, NOON);
    assert_eq!((report.placements, report.invite_datagrams), (1, 3));
    assert_eq!((report.violation_count(), report.dispositions["busy"]), (0, 1));

    wire.invite(t + 1000, MIAMI, "c", "b3", 3);
    let report = judge(&miami(), &wire, NOON);
    assert_eq!((report.placements, report.repeated_invites), (2, 1));
    assert_eq!(report.cap_violations, 1, "and it broke the gap: {report}");
}

fn export(rows: &str) -> Export {
    Export::parse(rows.as_bytes()).unwrap()
}

#[test]
fn invites_without_an_intent_before_them_are_found() {
    let wire = Wire::default().call(NOON, MIAMI, 486);
    let noon = at(NOON);
    for (rows, unaudited) in [
        (format!(r#"{{"kind":"intent","at":{noon},"sip_call_id":"call-1"}}"#), 0),
        (format!(r#"{{"record":{{"kind":"intent","sip_call_id":"call-1"}},"at":{noon}}}"#), 0),
        (format!(r#"{{"kind":"permit","at":{noon},"sip_call_id":"call-1"}}"#), 0),
        (format!(r#"{{"kind":"permit","at":{},"sip_call_id":"call-1"}}"#, noon + 60), 1),
        (r#"{"kind":"intent","at":"2026-12-01T15:00:00Z","sip_call_id":"call-1"}"#.to_owned(), 0),
        (format!(r#"{{"kind":"intent","at":{},"sip_call_id":"call-1"}}"#, noon + 60), 1),
        (format!(r#"{{"kind":"sent","at":{noon},"sip_call_id":"call-1"}}"#), 1),
        (format!(r#"{{"kind":"intent","at":{noon},"sip_call_id":"call-2"}}"#), 1),
        (String::new(), 1),
    ] {
        let report = judge_with(&miami(), &wire, NOON, Some(&export(&rows)));
        assert_eq!(report.unaudited_invites, Some(unaudited), "{rows}");
        assert_eq!(report.violation_count(), unaudited);
    }
}

#[test]
fn a_second_placement_for_the_same_attempt_is_found_unless_the_first_was_never_sent() {
    let two = r#"{"kind":"permit","attempt":"C-1","sip_call_id":"call-1","at":1}
        {"kind":"intent","attempt":"C-1","placement":"P0","sip_call_id":"call-0","at":1}"#;
    let wire = Wire::default().call(NOON, MIAMI, 486);
    let report = judge_with(&miami(), &wire, NOON, Some(&export(two)));
    assert_eq!((report.repeated_invites, report.intents_unexplained), (1, 1));
    let taken_back = format!("{two}\n{}", r#"{"kind":"not_sent","placement":"P0"}"#);
    let report = judge_with(&miami(), &wire, NOON, Some(&export(&taken_back)));
    assert_eq!((report.repeated_invites, report.intents_unexplained), (0, 0));
    assert_eq!(report.intents_without_invite, 1);
}

#[test]
fn a_shared_household_number_counts_by_number_and_never_against_the_wrong_person() {
    let mut home = miami();
    let mut second = contact("p2", MIAMI, "US", "FL");
    second.numbers.push(("+13055550155".to_owned(), LineType::Landline));
    home.contacts.push(second);
    let calls = |last: &str| {
        Wire::default()
            .call("2026-12-01T15:00:00Z", MIAMI, 486)
            .call("2026-12-01T15:01:00Z", MIAMI, 486)
            .call("2026-12-01T15:02:00Z", "+13055550155", 486)
            .call("2026-12-01T15:03:00Z", last, 486)
    };
    // The first two may have been for p1, so p2 was called twice at most.
    assert_eq!(judge(&home, &calls("+13055550155"), NOON).cap_violations, 0);
    // On the shared number itself the two count whoever was meant; the third there is p1's third.
    assert_eq!(judge(&home, &calls(MIAMI), NOON).cap_violations, 0);
    let fourth = calls(MIAMI).call("2026-12-01T15:04:00Z", MIAMI, 486);
    assert_eq!(rules(&judge(&home, &fourth, NOON)), ["house.person_day_cap", "us.fl.cap"]);
}

#[test]
fn a_contact_never_called_and_a_retry_never_made_lower_the_yield() {
    let mut two = miami();
    two.contacts.push(contact("p2", "+13055550124", "US", "FL"));
    let wire = Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 486);
    let early = judge(&two, &wire, "2026-12-01T15:00:10Z");
    assert_eq!((early.lawful_made, early.lawful_due), (1, 1), "too early to be missed");
    let late = judge(&two, &wire, "2026-12-01T15:02:00Z");
    assert_eq!((late.lawful_made, late.lawful_due), (1, 3), "{late}");
    let missed: Vec<_> = late.missed.iter().map(|m| (m.external_id.as_str(), m.try_no)).collect();
    assert_eq!(missed, [("p1", 2), ("p2", 1)]);
    assert_eq!(late.missed[0].from, at("2026-12-01T15:00:33Z"), "30 s after the end of the first");
}

#[test]
fn what_no_rule_allows_or_the_campaign_does_not_want_is_not_missed() {
    let late = "2026-12-01T15:05:00Z";
    let none = Wire::default();
    let suppressed = miami().suppressed(Some(MIAMI), None, "2026-12-01T14:00:00Z");
    let report = judge(&suppressed, &none, late);
    assert_eq!((report.lawful_due, report.waiting["suppression"]), (0, 1));
    let sydney = world(
        Purpose::Telemarketing,
        Technology::Manual,
        contact("p1", "+61255501234", "AU", "NSW"),
    );
    assert_eq!(judge(&sydney, &none, late).waiting["au.hours"], 1);
    // Answered, and answered calls are not tried again.
    let answered = Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 200);
    assert_eq!(judge(&miami(), &answered, late).lawful_due, 1);
    let mut once = miami();
    once.plan.campaigns[0].max_tries = 1;
    let busy = Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 486);
    assert_eq!(judge(&once, &busy, late).lawful_due, 1);
}

#[test]
fn a_campaign_that_used_all_of_its_rate_has_missed_nothing() {
    let mut crowd = miami();
    crowd.plan.campaigns[0].calls_per_second = 1.0;
    let mut wire = Wire::default();
    for index in 0..60 {
        let number = format!("+1305555{index:04}");
        crowd.contacts.push(contact(&format!("q{index}"), &number, "US", "FL"));
        wire = wire.call(&format!("2026-12-01T15:00:{index:02}Z"), &number, 200);
    }
    let busy = judge(&crowd, &wire, "2026-12-01T15:01:00Z");
    assert_eq!((busy.lawful_due, busy.missed.len()), (60, 0));
    let idle = judge(&crowd, &wire, "2026-12-01T15:02:00Z");
    assert_eq!((idle.lawful_due, idle.missed.len()), (61, 1), "then there was room");
}

#[test]
fn a_number_that_is_refused_makes_way_for_the_next() {
    let mut person = miami().suppressed(Some(MIAMI), None, "2026-12-01T14:00:00Z");
    person.contacts[0].numbers.push(("+13055550155".to_owned(), LineType::Landline));
    let late = "2026-12-01T15:01:00Z";
    assert_eq!(judge(&person, &Wire::default(), late).missed.len(), 1);
    let wire = Wire::default().call("2026-12-01T15:00:05Z", "+13055550155", 200);
    let report = judge(&person, &wire, late);
    assert_eq!((report.violation_count(), report.lawful_due, report.lawful_made), (0, 1, 1));
}

#[test]
fn a_dead_number_makes_way_for_the_next_at_once_and_any_open_number_will_do() {
    let mut person = miami();
    person.contacts[0].numbers.push(("+13055550155".to_owned(), LineType::Landline));
    let late = "2026-12-01T15:02:00Z";
    let dead = Wire::default().call("2026-12-01T15:00:01Z", MIAMI, 404);
    let report = judge(&person, &dead, late);
    assert_eq!((report.missed.len(), report.missed[0].try_no), (1, 2), "{report}");
    let both = dead.call("2026-12-01T15:00:30Z", "+13055550155", 404);
    assert_eq!(judge(&person, &both, late).missed.len(), 0, "no number is left");

    // The first number lies in El Paso, where it is eight o'clock; the second may be called.
    let mut two_zones = miami();
    two_zones.contacts[0].country.clear();
    two_zones.contacts[0].region.clear();
    two_zones.contacts[0].numbers.insert(0, ("+19155550123".to_owned(), LineType::Landline));
    let report = judge(&two_zones, &Wire::default(), late);
    assert_eq!(report.missed.len(), 1, "{report}");
}
