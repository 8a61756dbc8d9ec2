use std::collections::BTreeSet;

use dialer_types::{
    AttemptId, CampaignId, ContactId, LineType, NodeId, Purpose, RuleId, SellerId, SubjectId,
    Technology, TrunkId,
};
use proptest::prelude::*;

use super::*;
use crate::{
    canonical::tests::{Source, names, sources},
    export::{self, csv_header},
    record::{Denial, Kind, Lifted, ListSeen},
    shown::Shown,
    tree::leaf_hash,
};

const JUDGED: UnixMillis = UnixMillis(1_796_130_000_123);
const COMMITTED: UnixMillis = UnixMillis(1_796_130_000_140);

/// A permit as an American campaign gets it, on the contact with this number.
fn permit_of(no: u128) -> (Record, Record) {
    let number = i64::try_from(no).unwrap();
    let placement = PlacementId(0x019a_0000_0000_0000_1111_2222_3333_0000 + no);
    let attempt = AttemptId { contact: ContactId((0x0199 << 112) + no), try_no: 2 };
    let subjects = [1_000_000 + number, 7_000_000 + number].map(SubjectId);
    let text = |text: &str| text.to_owned();
    let list = |list: &str, as_of: &str| ListSeen {
        list: text(list),
        version: String::new(),
        as_of: text(as_of),
        contains: false,
    };
    let input = |name: &str, value: &str| Input { name: text(name), value: text(value) };
    let place = |zone: &str, local_time: &str| Place {
        jurisdiction: text("US-TX"),
        zone: text(zone),
        local_time: text(local_time),
    };
    let decision = Decision {
        attempt,
        placement: Some(placement),
        campaign: CampaignId(0x0198 << 112),
        seller: SellerId(0x0197 << 112),
        subjects: subjects.to_vec(),
        purpose: Purpose::Telemarketing,
        technology: Technology::Prerecorded,
        line_type: LineType::Wireless,
        verdict: Verdict::Permit,
        until: None,
        denied_by: vec![],
        rules_asked: 25,
        ruleset: Hash::of(b"packs"),
        places: vec![
            place("America/Chicago", "2026-12-01T07:00:00-06:00"),
            place("America/Denver", "2026-12-01T06:00:00-07:00"),
        ],
        counters: ["house.person_day_cap", "us.regf.seven_in_seven", "us.tx.day_cap"]
            .map(|rule| Counter { rule: RuleId::new(rule), count: 1, cap: 3 })
            .to_vec(),
        lists: vec![list("us.national_dnc", "2026-11-20"), list("us.tx.no_call", "2026-11-21")],
        obligations: vec![text("us.tcpa.identify"), text("us.tcpa.opt_out_key")],
        inputs: vec![
            input("consents", "1"),
            input("places_from", "address US-TX America/Chicago America/Denver"),
            input("suppressions", "1 about other purposes"),
            input("look_ups", "us.rnd no 2026-11-28"),
        ],
        rules_passed: Some(
            (0..25).map(|no| RuleId::new(&format!("us.tx.some_rule_{no}"))).collect(),
        ),
        exceptions: None,
    };
    let advance = |subject: SubjectId| Advance {
        subject,
        judged: Token(0x0199_ffff_0000_0000_9999_0000_0000_0000 + no),
        token: Token(placement.0),
    };
    let intent = Intent {
        placement,
        attempt,
        trunk: TrunkId(0x0196 << 112),
        heads: subjects.into_iter().map(advance).collect(),
        not_after: UnixMillis(COMMITTED.0 + 4_983),
        clock_bound_ms: 250,
        clock_offset_ms: 0,
        sip_call_id: format!("{placement}@ringfence"),
    };
    let node = Some(NodeId(0x0195 << 112));
    (Record::new(node, decision.into(), JUDGED), Record::new(node, intent.into(), COMMITTED))
}

fn leaf(record: &Record) -> Vec<u8> {
    canonical::encode(record).unwrap()
}

/// The two leaves, read back.
fn read_back(folded: Folded) -> (Record, Record) {
    let grounds = leaf(folded.grounds());
    let permit = leaf(&folded.permit(leaf_hash(&grounds)));
    (canonical::decode(&grounds).unwrap(), canonical::decode(&permit).unwrap())
}

fn decision_of(record: &mut Record) -> &mut Decision {
    let Body::Decision(decision) = &mut record.body else { panic!("no decision") };
    decision
}

#[test]
fn a_permit_takes_less_than_300_bytes_and_comes_back_as_it_was() {
    let (decision, intent) = permit_of(7);
    let long = leaf(&decision).len() + leaf(&intent).len();
    let (grounds, permit) = read_back(fold(&decision, &intent).unwrap());
    assert_eq!(unfold(&grounds, &permit), Ok((decision, intent)));
    let bytes = leaf(&permit).len();
    println!("permit {bytes} bytes, grounds {}; before {long}", leaf(&grounds).len());
    assert!(bytes <= 300, "{bytes}");
    assert!(long > 3 * bytes && leaf(&grounds).len() < long, "{long}");
}

#[test]
fn grounds_are_the_same_for_other_persons_and_moments_and_for_nothing_else() {
    let key =
        |(decision, intent): &(Record, Record)| fold(decision, intent).unwrap().key().unwrap();
    let one = permit_of(1);
    let mut later = permit_of(2);
    let hour = 3_600_000;
    (later.0.at, later.1.at) = (UnixMillis(JUDGED.0 + hour), UnixMillis(COMMITTED.0 + hour));
    let decision = decision_of(&mut later.0);
    decision.places[0].local_time = "2026-12-01T08:00:00-06:00".into();
    decision.places[1].local_time = "2026-12-01T07:00:00-07:00".into();
    decision.counters[1].count = 2;
    decision.inputs[3].value = "us.rnd no 2026-11-29".into();
    let Body::Intent(intent) = &mut later.1.body else { unreachable!() };
    intent.not_after = UnixMillis(intent.not_after.0 + hour);
    assert_eq!(key(&one), key(&later));

    let changes: [fn(&mut Record, &mut Record); 8] = [
        |one, _| decision_of(one).rules_asked = 26,
        |one, _| decision_of(one).counters[0].cap = 4,
        |one, _| decision_of(one).inputs[0].value = "2".into(),
        |one, _| decision_of(one).lists[1].as_of = "2026-11-22".into(),
        |one, _| decision_of(one).places[0].zone = "America/Matamoros".into(),
        |one, _| drop(decision_of(one).inputs.pop()),
        |one, two| (one.node, two.node) = (None, None),
        |_, two| {
            let Body::Intent(intent) = &mut two.body else { unreachable!() };
            intent.sip_call_id.push('x');
        },
    ];
    let mut keys = BTreeSet::from([key(&one)]);
    for change in changes {
        let mut other = permit_of(1);
        change(&mut other.0, &mut other.1);
        assert!(keys.insert(key(&other)), "{other:?}");
    }
}

#[test]
fn what_a_permit_could_not_give_back_stays_as_it_is() {
    let denial =
        Denial { rule: RuleId::new("r"), citation: "c".into(), until: None, why: "w".into() };
    let denied = vec![denial];
    let intent_of = |record: &mut Record, change: &dyn Fn(&mut Intent)| {
        let Body::Intent(intent) = &mut record.body else { panic!("no intent") };
        change(intent);
    };
    let folds = |change: &dyn Fn(&mut Record, &mut Record)| {
        let (mut decision, mut intent) = permit_of(7);
        change(&mut decision, &mut intent);
        fold(&decision, &intent).is_some()
    };
    assert!(folds(&|_, _| {}));
    assert!(!folds(&|one, _| decision_of(one).verdict = Verdict::Refuse));
    assert!(!folds(&|one, _| decision_of(one).until = Some(COMMITTED)));
    assert!(!folds(&|one, _| decision_of(one).denied_by.clone_from(&denied)));
    assert!(!folds(&|one, _| decision_of(one).placement = None));
    assert!(!folds(&|one, _| decision_of(one).placement = Some(PlacementId(8))));
    assert!(!folds(&|one, _| decision_of(one).attempt.try_no = 3));
    assert!(!folds(&|one, _| one.node = None));
    assert!(!folds(&|one, _| one.version = 4));
    assert!(!folds(&|one, _| one.at = UnixMillis(COMMITTED.0 + 1)), "judged after the commit");
    assert!(!folds(&|one, _| one.at = UnixMillis(JUDGED.0 - 1_000)), "another local time");
    assert!(!folds(&|_, two| two.version = 2));
    assert!(!folds(&|_, two| intent_of(two, &|it| it.heads[1].token = Token(1))));
    assert!(!folds(&|_, two| intent_of(two, &|it| it.not_after = JUDGED)), "over before it began");
    for time in
        ["2026-12-01T07:00:00-06:30", "2026-12-01T13:00:00Z", "2026-12-01T13:00:00.1+00:00", "nine"]
    {
        assert!(!folds(&|one, _| decision_of(one).places[0].local_time = time.into()), "{time}");
    }
    let (decision, intent) = permit_of(7);
    assert_eq!(fold(&intent, &decision), None);
    assert_eq!(fold(&decision, &decision), None);
}

#[test]
fn two_records_that_do_not_fit_are_not_read_together() {
    let (decision, intent) = permit_of(7);
    let (grounds, permit) = read_back(fold(&decision, &intent).unwrap());
    let with = |change: &dyn Fn(&mut Grounds, &mut Permit)| {
        let (mut grounds, mut permit) = (grounds.clone(), permit.clone());
        let (Body::Grounds(shared), Body::Permit(own)) = (&mut grounds.body, &mut permit.body)
        else {
            unreachable!()
        };
        change(shared, own);
        unfold(&grounds, &permit).unwrap_err()
    };
    assert_eq!(with(&|_, own| own.counts = None), Misfit::Counts { found: 0, expected: 3 });
    assert_eq!(
        with(&|shared, _| drop(shared.caps.pop())),
        Misfit::Counts { found: 3, expected: 2 }
    );
    assert_eq!(with(&|_, own| own.values = None), Misfit::Values { found: 0, expected: 2 });
    assert_eq!(
        with(&|shared, _| shared.inputs[0].value = None),
        Misfit::Values { found: 2, expected: 3 }
    );
    assert_eq!(with(&|shared, _| shared.call_id_end = None), Misfit::CallId);
    assert_eq!(with(&|_, own| own.sip_call_id = Some("x".into())), Misfit::CallId);
    for offset in [24 * 60, i64::MAX, i64::MIN] {
        assert_eq!(with(&|shared, _| shared.places[0].offset_minutes = offset), Misfit::Time);
    }
    assert_eq!(unfold(&permit, &grounds), Err(Misfit::Kind));
    assert_eq!(unfold(&decision, &permit), Err(Misfit::Kind));
    for at in [i64::MAX, i64::MIN] {
        let late = Record { at: UnixMillis(at), ..permit.clone() };
        assert_eq!(unfold(&grounds, &late), Err(Misfit::Time));
    }
}

/// The members of a JSON row.
fn members(record: &Record, grounds: Option<&Record>) -> Vec<(&'static str, Shown)> {
    let leaf = leaf(record);
    let source = export::Source { grounds, ..export::Source::of(5, &leaf) };
    let Shown::Object(members) = export::json_row(&source, record).unwrap() else { unreachable!() };
    members
}

#[test]
fn a_permits_row_tells_every_field_of_its_decision_and_its_intent() {
    let (decision, intent) = permit_of(7);
    let (grounds, permit) = read_back(fold(&decision, &intent).unwrap());
    let row = Shown::Object(members(&permit, Some(&grounds)));
    let own = ["version", "kind", "at", "leaf_hash", "leaf"];
    for (record, before) in [(&decision, "judged_at"), (&intent, "at")] {
        for (name, value) in members(record, None) {
            if name == "at" {
                assert_eq!(row.get(before), &value);
            } else if !own.contains(&name) {
                assert_eq!(row.get(name), &value, "{name}");
            }
        }
    }
    assert_eq!(row.get("grounds"), &Shown::Text(leaf_hash(&leaf(&grounds)).to_string()));
    let mut found = Vec::new();
    names(&row, "", &mut found);
    let entries = crate::dictionary::entries();
    for name in found {
        let told = |entry: &&crate::dictionary::Entry| {
            entry.file == "audit.jsonl" && ["all", "permit"].contains(&entry.kind)
        };
        assert!(entries.iter().filter(told).any(|entry| entry.name == name), "{name}");
    }

    let cells = |record: &Record, grounds| {
        let leaf = leaf(record);
        export::csv_row(&export::Source { grounds, ..export::Source::of(5, &leaf) }).unwrap()
    };
    let (permit, decision, intent) =
        (cells(&permit, Some(&grounds)), cells(&decision, None), cells(&intent, None));
    for (at, name) in csv_header().enumerate() {
        let told = [&decision[at], &intent[at]];
        let same = !["fields"].contains(&name) && !own.contains(&name);
        assert!(!same || told.contains(&&permit[at]), "{name}: {} {told:?}", permit[at]);
        assert!(!permit[at].is_empty() || told.iter().all(|it| it.is_empty()), "{name}");
    }
}

#[test]
fn a_permit_without_its_grounds_has_no_row() {
    let (decision, intent) = permit_of(7);
    let (grounds, permit) = read_back(fold(&decision, &intent).unwrap());
    let permit = leaf(&permit);
    let hash = leaf_hash(&leaf(&grounds));
    let alone = export::Source::of(5, &permit);
    assert_eq!(export::json_line(&alone), Err(export::RowError::NoGrounds(hash)));
    let wrong = export::Source { grounds: Some(&decision), ..alone };
    assert_eq!(export::csv_row(&wrong), Err(export::RowError::Misfit(Misfit::Kind)));
}

proptest! {
    /// Whatever records say, folding loses nothing: either both come back, or nothing is folded.
    #[test]
    fn what_is_folded_comes_back_exactly(numbers in sources(), aligned in 0_u32..64) {
        let mut source = Source(numbers.into_iter());
        let mut decision = source.decision();
        let Body::Intent(mut intent) = source.wire(Kind::Intent) else { unreachable!() };
        let at = UnixMillis(i64::from(source.small()));
        let judged = UnixMillis(at.0 - i64::from(source.small() % 50));
        // Mostly a permit as it should be, with one or two things that are not.
        let does = |bit: u32| aligned & (1 << bit) == 0;
        decision.verdict = Verdict::Permit;
        decision.until = None;
        decision.denied_by.clear();
        if does(0) { decision.placement = Some(intent.placement); }
        if does(1) { decision.attempt = intent.attempt; }
        if does(2) { intent.heads.iter_mut().for_each(|head| head.token = Token(intent.placement.0)); }
        if does(3) { intent.not_after = UnixMillis(at.0 + i64::from(source.small())); }
        if does(4) {
            let offset = i64::from(source.small() % 1_700) - 850;
            for place in &mut decision.places {
                place.local_time = local_time(judged, offset).unwrap();
            }
        }
        if does(5) { intent.sip_call_id = format!("{}@ringfence", intent.placement); }
        if source.maybe(|_| ()).is_some() {
            decision.subjects = intent.heads.iter().map(|head| head.subject).collect();
        }
        if let Some(input) = decision.inputs.first_mut() {
            input.name = "places_from".into();
        }
        decision.exceptions = decision.exceptions.filter(|it: &Vec<Lifted>| !it.is_empty());
        let node = source.maybe(|s| NodeId(s.id()));
        let decision = Record::new(node, decision.into(), judged);
        let intent = Record::new(node, intent.into(), at);
        match fold(&decision, &intent) {
            Some(folded) => {
                let (grounds, permit) = read_back(folded);
                prop_assert_eq!(unfold(&grounds, &permit), Ok((decision, intent)));
            }
            None => prop_assert_ne!(aligned & 0b1_1111, 0, "a permit that is not folded"),
        }
    }
}
