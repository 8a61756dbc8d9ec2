use std::fmt::Write as _;

use dialer_types::{
    AttemptId, CampaignId, ContactId, Disposition, LineType, NodeId, Outcome, PlacementId, Purpose,
    RuleId, SellerId, SubjectId, Technology, TrunkId, UnixMillis,
};
use proptest::prelude::*;

use super::*;
use crate::{
    record::{
        Action, Advance, Asked, Base, CampaignAction, Cap, ConsentGiven, Corrected, Counter,
        Decision, Denial, Ended, FactKind, FactRecorded, Grounds, Imported, ImportedKind, Input,
        Intent, Lifted, ListSeen, NotSent, Permit, Place, Revoked, RulesChanged, Sent, Suppressed,
        Token, Verdict, ZonePlace,
    },
    tree::Hash,
};

/// Numbers drawn by proptest, spent one by one on the fields of a record.
pub(crate) struct Source(pub(crate) std::vec::IntoIter<u64>);

impl Source {
    pub(crate) fn next(&mut self) -> u64 {
        self.0.next().unwrap_or(0)
    }
    pub(crate) fn id(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
    fn time(&mut self) -> UnixMillis {
        UnixMillis(self.next().cast_signed())
    }
    fn subject(&mut self) -> SubjectId {
        SubjectId(self.next().cast_signed())
    }
    pub(crate) fn small(&mut self) -> u32 {
        (self.next() & 0xFFFF_FFFF).try_into().unwrap()
    }
    fn text(&mut self) -> String {
        const PIECES: [&str; 7] =
            ["", "US-FL", "\u{4e2d}\u{6587}", "+05:00", "=a", "\"quoted\"\n", "house.cap"];
        let length = self.below(4);
        (0..length).map(|_| *self.one_of(&PIECES)).collect::<Vec<_>>().join("+")
    }
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.next() & 1 == 1).then(|| make(self))
    }
    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(4);
        (0..length).map(|_| make(self)).collect()
    }
    fn attempt(&mut self) -> AttemptId {
        let try_no = (self.next() & 0xFFFF).try_into().unwrap();
        AttemptId { contact: ContactId(self.id()), try_no }
    }
    fn rule(&mut self) -> RuleId {
        RuleId::new(&self.text())
    }

    pub(crate) fn decision(&mut self) -> Decision {
        Decision {
            attempt: self.attempt(),
            placement: self.maybe(|s| PlacementId(s.id())),
            campaign: CampaignId(self.id()),
            seller: SellerId(self.id()),
            subjects: self.list(Self::subject),
            purpose: *self.one_of(Purpose::ALL),
            technology: *self.one_of(Technology::ALL),
            line_type: *self.one_of(LineType::ALL),
            verdict: *self.one_of(Verdict::ALL),
            until: self.maybe(Self::time),
            denied_by: self.list(|s| Denial {
                rule: s.rule(),
                citation: s.text(),
                until: s.maybe(Self::time),
                why: s.text(),
            }),
            rules_asked: self.small(),
            ruleset: Hash::of(&self.next().to_be_bytes()),
            places: self.list(|s| Place {
                jurisdiction: s.text(),
                zone: s.text(),
                local_time: s.text(),
            }),
            counters: self.list(|s| Counter { rule: s.rule(), count: s.small(), cap: s.small() }),
            lists: self.list(|s| ListSeen {
                list: s.text(),
                version: s.text(),
                as_of: s.text(),
                contains: s.next() & 1 == 1,
            }),
            obligations: self.list(Self::text),
            inputs: self.list(|s| Input { name: s.text(), value: s.text() }),
            rules_passed: self.maybe(|s| s.list(Self::rule)),
            exceptions: self.maybe(|s| s.list(|s| Lifted { rule: s.rule(), relies_on: s.text() })),
        }
    }

    fn grounds(&mut self) -> Grounds {
        let decision = self.decision();
        Grounds {
            campaign: decision.campaign,
            seller: decision.seller,
            purpose: decision.purpose,
            technology: decision.technology,
            line_type: decision.line_type,
            trunk: TrunkId(self.id()),
            ruleset: decision.ruleset,
            rules_asked: decision.rules_asked,
            rules_passed: decision.rules_passed,
            exceptions: decision.exceptions,
            obligations: decision.obligations,
            lists: decision.lists,
            places: self.list(|s| ZonePlace {
                jurisdiction: s.text(),
                zone: s.text(),
                offset_minutes: s.next().cast_signed(),
            }),
            caps: self.list(|s| Cap { rule: s.rule(), cap: s.small() }),
            inputs: self.list(|s| Asked { name: s.text(), value: s.maybe(Self::text) }),
            clock_bound_ms: self.small(),
            clock_offset_ms: self.next().cast_signed(),
            call_id_end: self.maybe(Self::text),
        }
    }

    fn permit(&mut self) -> Permit {
        Permit {
            grounds: Hash::of(&self.next().to_be_bytes()),
            attempt: self.attempt(),
            placement: PlacementId(self.id()),
            heads: self.list(|s| Base { subject: s.subject(), judged: Token(s.id()) }),
            judged_ms: self.small(),
            valid_ms: self.small(),
            counts: self.maybe(|s| s.list(Self::small)),
            values: self.maybe(|s| s.list(Self::text)),
            subjects: self.maybe(|s| s.list(Self::subject)),
            sip_call_id: self.maybe(Self::text),
        }
    }

    pub(crate) fn wire(&mut self, kind: Kind) -> Body {
        let placement = PlacementId(self.id());
        match kind {
            Kind::Intent => Body::Intent(Intent {
                placement,
                attempt: self.attempt(),
                trunk: TrunkId(self.id()),
                heads: self.list(|s| Advance {
                    subject: s.subject(),
                    judged: Token(s.id()),
                    token: Token(s.id()),
                }),
                not_after: self.time(),
                clock_bound_ms: self.small(),
                clock_offset_ms: self.next().cast_signed(),
                sip_call_id: self.text(),
            }),
            Kind::Sent => Sent { placement, sent_at: self.time(), sip_call_id: self.text() }.into(),
            Kind::NotSent => NotSent { placement, reason: self.text() }.into(),
            Kind::Correction => Body::Correction(Corrected {
                attempt: self.attempt(),
                placement,
                was: *self.one_of(Disposition::ALL),
                disposition: *self.one_of(Disposition::ALL),
                actor: self.text(),
                reason: self.maybe(Self::text),
            }),
            _ => Body::Outcome(Ended {
                attempt: self.attempt(),
                placement,
                disposition: *self.one_of(Disposition::ALL),
                sip_code: self.maybe(|s| (s.next() & 0xFFFF).try_into().unwrap()),
                q850: self.maybe(|s| (s.next() & 0xFF).try_into().unwrap()),
                ring_ms: self.maybe(Self::small),
                answered_at: self.maybe(Self::time),
                ended_at: self.maybe(Self::time),
                correction: self.next() & 1 == 1,
            }),
        }
    }

    fn event(&mut self, kind: Kind) -> Body {
        let (event, subjects) = (Token(self.id()), self.list(Self::subject));
        let seller = self.maybe(|s| SellerId(s.id()));
        match kind {
            Kind::Suppression => Body::Suppression(Suppressed {
                event,
                subjects,
                seller,
                source: self.text(),
                effective_at: self.time(),
                reason: self.text(),
                purpose: self.maybe(|s| *s.one_of(Purpose::ALL)),
            }),
            Kind::Consent => Body::Consent(ConsentGiven {
                event,
                subjects,
                seller,
                form: self.text(),
                purpose: *self.one_of(Purpose::ALL),
                technology: self.maybe(|s| *s.one_of(Technology::ALL)),
                given_at: self.time(),
                evidence: self.text(),
                wording: self.maybe(Self::text),
                channel: self.maybe(Self::text),
                lifts: self.maybe(|s| s.list(|s| Token(s.id()))),
            }),
            Kind::Revocation => Body::Revocation(Revoked {
                event,
                subjects,
                seller,
                purpose: self.maybe(|s| *s.one_of(Purpose::ALL)),
                source: self.text(),
                revoked_at: self.time(),
            }),
            Kind::Fact => Body::Fact(FactRecorded {
                event,
                what: *self.one_of(FactKind::ALL),
                subjects,
                seller,
                campaign: self.maybe(|s| CampaignId(s.id())),
                about: self.maybe(Self::text),
                said: self.text(),
                said_at: self.time(),
                evidence: self.text(),
                actor: self.text(),
            }),
            Kind::Imported => Body::Imported(Imported {
                event,
                what: *self.one_of(ImportedKind::ALL),
                subjects,
                seller: SellerId(self.id()),
                occurred_at: self.time(),
                outcome: *self.one_of(Outcome::ALL),
                source: self.text(),
            }),
            Kind::Rules => {
                let [ruleset_before, ruleset] =
                    [self.next(), self.next()].map(|number| Hash::of(&number.to_be_bytes()));
                Body::Rules(RulesChanged { ruleset_before, ruleset })
            }
            _ => Body::Campaign(CampaignAction {
                campaign: CampaignId(self.id()),
                seller: SellerId(self.id()),
                action: *self.one_of(Action::ALL),
                actor: self.text(),
                reason: self.maybe(Self::text),
            }),
        }
    }

    fn record(&mut self) -> Record {
        let kind = *self.one_of(Kind::ALL);
        let body = match kind {
            Kind::Decision => self.decision().into(),
            Kind::Grounds => self.grounds().into(),
            Kind::Permit => self.permit().into(),
            Kind::Intent | Kind::Sent | Kind::NotSent | Kind::Outcome | Kind::Correction => {
                self.wire(kind)
            }
            _ => self.event(kind),
        };
        assert_eq!(body.kind(), kind);
        Record::new(self.maybe(|s| NodeId(s.id())), body, self.time())
    }
}

pub(crate) fn sources() -> impl Strategy<Value = Vec<u64>> {
    // Small numbers too, or the short forms of the heads would never be drawn.
    let number = prop_oneof![any::<u64>(), 0_u64..300, any::<u16>().prop_map(u64::from)];
    prop::collection::vec(number, 150)
}

fn records() -> impl Strategy<Value = Record> {
    sources().prop_map(|numbers| Source(numbers.into_iter()).record())
}

fn sample() -> Record {
    Record::new(
        None,
        NotSent { placement: PlacementId(1), reason: "late".into() }.into(),
        UnixMillis(5),
    )
}

#[test]
fn the_bytes_of_a_known_record_are_these() {
    let mut expected = vec![0xA4, 0, 1, 1, 5, 3, 4, 4, 0xA2, 0, 0x50];
    expected.extend(1_u128.to_be_bytes());
    expected.extend([1, 0x64, b'l', b'a', b't', b'e']);
    assert_eq!(encode(&sample()), Ok(expected));
}

#[test]
fn an_unknown_version_kind_or_field_is_named_as_such() {
    let leaf = encode(&sample()).unwrap();
    let changed = |at: usize, to: u8| {
        let mut leaf = leaf.clone();
        leaf[at] = to;
        decode(&leaf).unwrap_err()
    };
    assert_eq!(changed(2, 0), CanonicalError::Version(0));
    assert_eq!(changed(2, 7), CanonicalError::Version(7));
    assert_eq!(changed(2, 6), CanonicalError::KindVersion { kind: 4, version: 6 });
    assert_eq!(changed(2, 5), CanonicalError::KindVersion { kind: 4, version: 5 });
    assert_eq!(changed(2, 3), CanonicalError::KindVersion { kind: 4, version: 3 });
    assert_eq!(changed(2, 2), CanonicalError::KindVersion { kind: 4, version: 2 });
    assert_eq!(changed(6, 11), CanonicalError::KindVersion { kind: 11, version: 1 });
    assert_eq!(changed(6, 12), CanonicalError::KindVersion { kind: 12, version: 1 });
    assert_eq!(changed(6, 13), CanonicalError::KindVersion { kind: 13, version: 1 });
    assert_eq!(changed(6, 14), CanonicalError::KindVersion { kind: 14, version: 1 });
    assert_eq!(changed(6, 15), CanonicalError::KindVersion { kind: 15, version: 1 });
    assert_eq!(changed(6, 16), CanonicalError::Kind(16));
    assert!(changed(6, 16).to_string().contains("layout version 6"));
    assert_eq!(changed(27, 2), CanonicalError::UnknownField { of: "NotSent", key: 2 });
    assert_eq!(encode(&Record { version: 2, ..sample() }), Err(CanonicalError::Version(2)));
}

#[test]
fn a_decision_of_an_earlier_layout_stays_readable_and_a_new_one_names_what_passed() {
    let made = |passed: Option<Vec<RuleId>>| {
        let decision = Decision { rules_passed: passed, ..Source(vec![].into_iter()).decision() };
        let record = Record::new(None, decision.into(), UnixMillis(5));
        (encode(&record).unwrap(), record)
    };
    let (old, record) = made(None);
    assert_eq!((old[2], decode(&old)), (1, Ok(record)));
    let (new, record) = made(Some(vec![RuleId::new("us.fcc.hours")]));
    assert_eq!((new[2], decode(&new)), (3, Ok(record)));
    assert!(new.windows(12).any(|bytes| bytes == b"us.fcc.hours"));
    let lifted = Lifted { rule: RuleId::new("us.fl.cap"), relies_on: "Fla. Stat.".into() };
    let decision =
        Decision { exceptions: Some(vec![lifted]), ..Source(vec![].into_iter()).decision() };
    let record = Record::new(None, decision.into(), UnixMillis(5));
    let excepted = encode(&record).unwrap();
    assert_eq!((excepted[2], decode(&excepted)), (4, Ok(record)));
    for (mut leaf, version) in [(old, 3), (new.clone(), 4), (new, 1), (excepted, 3)] {
        leaf[2] = version;
        let kind_version = CanonicalError::KindVersion { kind: 1, version: u64::from(version) };
        assert_eq!(decode(&leaf), Err(kind_version));
    }
}

#[test]
fn bytes_that_say_the_same_in_another_way_are_refused() {
    let leaf = encode(&sample()).unwrap();
    let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut leaf = leaf.clone();
        leaf.splice(range, bytes.iter().copied());
        decode(&leaf)
    };
    assert_eq!(with(0..0, &[]), Ok(sample()));
    for (what, result) in [
        ("long integer", with(4..5, &[0x18, 5])),
        ("longer integer", with(4..5, &[0x19, 0, 5])),
        ("longest integer", with(4..5, &[0x1B, 0, 0, 0, 0, 0, 0, 0, 5])),
        ("indefinite map", with(8..9, &[0xBF])),
        ("tagged time", with(4..5, &[0xC1, 5])),
        ("reserved head", with(4..5, &[0x1C])),
        ("float", with(4..5, &[0xF9, 0, 0])),
        ("long key", with(27..28, &[0x18, 1])),
        ("doubled key", with(27..28, &[0])),
        ("trailing byte", with(33..33, &[0])),
        ("missing byte", with(32..33, &[])),
        ("huge text", with(28..29, &[0x7B, 255, 255, 255, 255, 255, 255, 255, 255])),
        ("wrong UTF-8", with(29..30, &[0xFF])),
        ("short id", with(10..27, &[0x41, 1])),
    ] {
        assert!(result.is_err(), "{what}");
    }
}

#[test]
fn telephone_numbers_and_overlong_records_have_no_leaf() {
    let with = |reason: String| {
        let body = NotSent { placement: PlacementId(1), reason };
        encode(&Record::new(None, body.into(), UnixMillis(5)))
    };
    assert_eq!(with("to +13055550123".into()), Err(CanonicalError::TelephoneNumber));
    assert_eq!(with("++1305555".into()), Err(CanonicalError::TelephoneNumber));
    assert!(with("2026-11-23T14:05:00+05:00 and +130555".into()).is_ok());
    assert!(matches!(with("x".repeat(MAX_LEAF)), Err(CanonicalError::TooLong(_))));
    assert!(matches!(decode(&vec![0; MAX_LEAF + 1]), Err(CanonicalError::TooLong(_))));
}

macro_rules! tables {
    ($text:ident, $($name:ident $title:expr;)+) => {$(
        writeln!($text, "### {}\n\n| key | field | type |\n|---|---|---|", $title).unwrap();
        for (key, field, of, _) in $name::LAYOUT {
            writeln!($text, "| {key} | `{field}` | `{of}` |").unwrap();
        }
        $text.push('\n');
    )+};
}

/// The kinds of the layout as the README prints it.
fn kinds() -> String {
    let mut text = String::new();
    let kind = |kind: Kind| format!("Kind {}: `{}`", kind.code(), kind.as_str());
    tables! { text,
        Decision kind(Kind::Decision); Intent kind(Kind::Intent); Sent kind(Kind::Sent);
        NotSent kind(Kind::NotSent); Ended kind(Kind::Outcome); Suppressed kind(Kind::Suppression);
        ConsentGiven kind(Kind::Consent); Revoked kind(Kind::Revocation); Imported kind(Kind::Imported);
        CampaignAction kind(Kind::Campaign); Corrected kind(Kind::Correction);
        RulesChanged kind(Kind::Rules); FactRecorded kind(Kind::Fact);
        Grounds kind(Kind::Grounds); Permit kind(Kind::Permit);
    }
    text
}

/// The layout as the README prints it.
fn layout() -> String {
    let mut text = kinds();
    tables! { text,
        Denial "`Denial`"; Place "`Place`"; Counter "`Counter`"; ListSeen "`ListSeen`"; Lifted "`Lifted`"; Input "`Input`";
        Advance "`Advance`"; ZonePlace "`ZonePlace`"; Cap "`Cap`"; Asked "`Asked`"; Base "`Base`";
    }
    macro_rules! words {
        ($($name:ident),+) => {$(
            let words: Vec<_> =
                $name::ALL.iter().map(|word| format!("{} `{}`", word.code(), word.as_str())).collect();
            writeln!(text, "- `{}`: {}", stringify!($name), words.join(", ")).unwrap();
        )+};
    }
    text.push_str("### Words\n\n");
    words!(
        Verdict,
        ImportedKind,
        Action,
        FactKind,
        Disposition,
        Outcome,
        Purpose,
        Technology,
        LineType
    );
    text
}

#[test]
fn the_readme_prints_the_layout_that_is_built() {
    let readme = include_str!("../../../../schema/audit/README.md");
    let layout = layout();
    assert!(readme.ends_with(&layout), "schema/audit/README.md should end with:\n{layout}");
}

/// One item, read and written by `minicbor`, which writes shortest heads.
fn copy(from: &mut minicbor::Decoder<'_>, to: &mut minicbor::Encoder<Vec<u8>>) {
    use minicbor::data::Type;
    match from.datatype().unwrap() {
        Type::Bool => drop(to.bool(from.bool().unwrap()).unwrap()),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => drop(to.u64(from.u64().unwrap()).unwrap()),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => drop(to.i64(from.i64().unwrap()).unwrap()),
        Type::Bytes => drop(to.bytes(from.bytes().unwrap()).unwrap()),
        Type::String => drop(to.str(from.str().unwrap()).unwrap()),
        Type::Array => {
            let length = from.array().unwrap().unwrap();
            to.array(length).unwrap();
            (0..length).for_each(|_| copy(from, to));
        }
        Type::Map => {
            let length = from.map().unwrap().unwrap();
            to.map(length).unwrap();
            (0..length * 2).for_each(|_| copy(from, to));
        }
        other => panic!("{other} has no place in a leaf"),
    }
}

/// The names of a row as the dictionary writes them.
pub(crate) fn names(shown: &crate::shown::Shown, before: &str, into: &mut Vec<String>) {
    use crate::shown::Shown;
    match shown {
        Shown::Object(members) => {
            for (name, value) in members {
                into.push(format!("{before}{name}"));
                names(value, &format!("{before}{name}[]."), into);
            }
        }
        Shown::List(items) => {
            let before = before.to_owned();
            items.iter().for_each(|item| names(item, &before, into));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_member_of_any_row_lacks_its_entry_in_the_dictionary(record in records()) {
        let leaf = encode(&record).unwrap();
        let source = crate::export::Source { path: Some(&[]), ..crate::export::Source::of(0, &leaf) };
        let Ok(row) = crate::export::json_row(&source, &record) else {
            // Its row is that of its decision and its intent: `fold::tests`.
            prop_assert_eq!(record.body.kind(), Kind::Permit);
            return Ok(());
        };
        let mut found = Vec::new();
        names(&row, "", &mut found);
        let known: Vec<_> = crate::dictionary::entries()
            .into_iter()
            .filter(|entry| entry.file == "audit.jsonl")
            .filter(|entry| ["all", record.body.kind().as_str()].contains(&entry.kind))
            .map(|entry| entry.name)
            .collect();
        for name in found {
            prop_assert!(known.contains(&name), "{} of {:?}", name, record.body.kind());
        }
    }

    #[test]
    fn every_record_survives_a_round_trip(record in records()) {
        let leaf = encode(&record).unwrap();
        let grounds = match &record.body {
            Body::Permit(permit) => Some(permit.grounds),
            _ => None,
        };
        prop_assert_eq!(grounds_of(&leaf), grounds);
        prop_assert_eq!(decode(&leaf), Ok(record));
    }

    #[test]
    fn another_cbor_library_reads_the_leaf_and_would_have_written_the_same(record in records()) {
        let leaf = encode(&record).unwrap();
        let mut again = minicbor::Encoder::new(Vec::new());
        let mut decoder = minicbor::Decoder::new(&leaf);
        copy(&mut decoder, &mut again);
        prop_assert_eq!(decoder.position(), leaf.len());
        prop_assert_eq!(again.into_writer(), leaf);
    }

    #[test]
    fn damaged_leaves_never_panic_and_what_is_accepted_is_canonical(
        record in records(), at in any::<prop::sample::Index>(), to: u8, cut in any::<prop::sample::Index>(),
    ) {
        let mut leaf = encode(&record).unwrap();
        let at = at.index(leaf.len());
        leaf[at] = to;
        prop_assert!(grounds_of(&leaf).is_none() || leaf.len() > 32);
        if let Ok(record) = decode(&leaf) {
            prop_assert_eq!(encode(&record), Ok(leaf.clone()));
        }
        prop_assert!(decode(&leaf[..cut.index(leaf.len())]).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(encode(&record), Ok(bytes));
        }
    }
}
