//! A contact's next seven days: the gate's judgement walked along time, with what holds it back.

use std::collections::BTreeMap;

use dialer_judge::{Next, Outlook, Stretch, next_look, walk};
use dialer_policy::{Denial, Ruleset, Wait};
use dialer_types::{RuleId, UnixMillis};

use super::{Case, Opinion, When};

/// Hours of a forecast: seven days of elapsed time.
pub(crate) const HOURS: usize = 168;
/// In milliseconds.
const HOUR: i64 = 3_600_000;

/// A set of hours of a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hours([u64; 3]);

impl Hours {
    /// Those that a stretch of time touches; `start` is the beginning of the first.
    pub(crate) fn touched(start: UnixMillis, from: UnixMillis, until: UnixMillis) -> Self {
        let mut hours = Self::default();
        let place = |at: i64| usize::try_from((at - start.0).div_euclid(HOUR)).unwrap_or(0);
        if from < until && until.0 > start.0 {
            (place(from.0)..=place(until.0 - 1)).take(HOURS).for_each(|hour| hours.add(hour));
        }
        hours
    }

    fn add(&mut self, hour: usize) {
        if let Some(word) = self.0.get_mut(hour / 64).filter(|_| hour < HOURS) {
            *word |= 1 << (hour % 64);
        }
    }

    /// Those of both.
    pub(crate) fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(one, other)| *one |= other);
    }

    /// Those that are not in the other.
    pub(crate) fn without(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(one, other)| *one &= !other);
        self
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == [0; 3]
    }

    /// Their numbers, from 0.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..HOURS).filter(move |hour| {
            self.0.get(hour / 64).is_some_and(|word| word & (1 << (hour % 64)) != 0)
        })
    }
}

/// What a contact's judgement was at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) when: When,
    pub(crate) opinion: Opinion,
}

/// A rule that holds a contact back, and what it waits for; `None` where it is time alone.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) denial: Denial,
    pub(crate) waits_for: Option<Wait>,
}

impl Case {
    /// The judgements from one moment to another, asked only where they may change. `room` may come
    /// with the hours, as old entries go, so a full history is looked at every hour.
    pub(crate) fn ahead(
        &self,
        ruleset: &Ruleset,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Vec<Stretch<Look>> {
        walk(from, until, |at| {
            let opinion = self.judge(ruleset, at);
            let verdicts = opinion.verdicts().iter().map(|(_, verdict)| verdict);
            let next = match (&opinion, &self.facts) {
                (Opinion::Judged(_), Some(facts)) => next_look(verdicts, facts, at),
                // What cannot be read stays unread; a full history may get room.
                (Opinion::Unknown(_), Some(_)) if self.heads.is_some() => {
                    UnixMillis((at.0.div_euclid(HOUR) + 1) * HOUR)
                }
                _ => until,
            };
            (Look { when: opinion.when(), opinion }, next)
        })
    }
}

impl Look {
    /// The rules that hold the contact back: of a deferral the one that passes last, of a refusal
    /// every one that no time lifts. Each once.
    pub(crate) fn held_by(&self) -> BTreeMap<RuleId, Held> {
        let verdicts = self.opinion.verdicts();
        let denials = verdicts.iter().flat_map(|(_, verdict)| verdict.denials());
        let mut held = BTreeMap::new();
        match &self.when {
            When::Now => {}
            When::At(_) => {
                let mut outlook = Outlook::default();
                verdicts.iter().for_each(|(_, verdict)| outlook.add(verdict));
                let Some((Next::Due { because, .. }, _)) = outlook.into_next() else {
                    return held;
                };
                let timed = denials.filter(|it| it.rule.as_str() == because);
                for denial in timed.take(1) {
                    let it = Held { denial: denial.clone(), waits_for: None };
                    held.insert(denial.rule.clone(), it);
                }
            }
            When::Never => {
                for denial in denials.filter(|denial| denial.waits_for.is_some()) {
                    let waits_for = denial.waits_for.clone();
                    let it = Held { denial: denial.clone(), waits_for };
                    held.entry(denial.rule.clone()).or_insert(it);
                }
            }
        }
        held
    }

    /// Whether some number may be called.
    pub(crate) fn is_open(&self) -> bool {
        self.when == When::Now
    }
}

/// Of the stretches those hours in which the contact may be called at some moment.
pub(crate) fn hours_of(stretches: &[Stretch<Look>], start: UnixMillis) -> Hours {
    let mut hours = Hours::default();
    for stretch in stretches.iter().filter(|stretch| stretch.answer.is_open()) {
        hours.join(Hours::touched(start, stretch.from, stretch.until));
    }
    hours
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use std::sync::LazyLock;

    use dialer_judge::{CallTerms, CampaignTerms, Checks, ContactFacts, NumberFacts, Supplied};
    use dialer_limiter::{Entry, Head, Mark, Token};
    use dialer_policy::{
        Abilities, Address, AddressBasis, Blocked, CallerCounter, Consent, ConsentForm, Evidenced,
        Feed, Licence, LineCheck, LineClass, ListFact, NaiveDate, Options, PackSource, Reassigned,
        ReassignmentCheck, Wishes,
    };
    use dialer_types::{
        CampaignNo, LineType, Outcome, PartyRole, PartyType, Purpose, SellerNo, SubjectId,
        Technology,
    };
    use proptest::{prelude::*, strategy::ValueTree as _};

    use super::*;

    /// Debts are asked for a licence and counted, too.
    const OWN: &str = r#"
        [[rule]]
        id = "own.bond"
        title = "Bond"
        citation = "own"
        force = "law"
        purposes = ["debt_collection"]
        jurisdiction = "*"
        kind = "precondition"
        licences = ["own.bond"]
        on_unknown = "oblige"

        [[rule]]
        id = "own.volume"
        title = "Volume"
        citation = "own"
        force = "law"
        purposes = ["debt_collection"]
        jurisdiction = "*"
        kind = "volume_cap"
        counter = "own.calls"
        max = 3
        max_age_seconds = 86400
        on_unknown = "oblige"
    "#;

    static RULES: LazyLock<Ruleset> = LazyLock::new(|| {
        let own = PackSource { name: "own.toml", text: OWN };
        Ruleset::shipped_with(&[own], Options { house: true }).unwrap()
    });

    /// A number, and the country and region of its address, if one is known.
    type Where = (&'static str, Option<(&'static str, Option<&'static str>)>);
    const NUMBERS: [Where; 12] = [
        ("+13055550123", None),
        ("+18505550134", Some(("US", Some("FL")))),
        ("+12125550123", Some(("US", Some("CA")))),
        ("+19075550123", None),
        ("+18005550123", None),
        ("+17095550123", None),
        ("+442079460017", None),
        ("+33162001234", None),
        ("+61255501234", Some(("AU", Some("SA")))),
        ("+919811112222", None),
        ("+16055550123", None),
        ("+12155550123", Some(("US", Some("PA")))),
    ];

    /// Around the changes of clocks and a change of law (Pennsylvania, 2026-10-18).
    const STARTS: [&str; 6] = [
        "2026-10-14T13:07:11.250Z",
        "2026-10-28T00:00:00Z",
        "2026-11-27T08:59:59.999Z",
        "2026-12-24T17:30:00Z",
        "2027-03-10T21:45:03Z",
        "2027-03-25T12:00:00Z",
    ];

    fn instant(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[derive(Debug, Clone)]
    struct Made {
        case: Case,
        now: UnixMillis,
    }

    /// A day some days before a moment, in UTC.
    fn days_before(now: i64, days: i64) -> NaiveDate {
        chrono::DateTime::from_timestamp_millis(now - days * 24 * HOUR).unwrap().date_naive()
    }

    fn number(
        subject: i64,
        place: usize,
        now: i64,
        (consent, list_age, line): (u8, i64, LineType),
        purpose: Purpose,
    ) -> NumberFacts {
        let given = |hours: i64| Consent {
            form: ConsentForm::PriorExpressWritten,
            same_seller: true,
            purpose,
            technology: None,
            given_at: UnixMillis(now + hours * HOUR + 1_234_000),
            revoked_at: None,
            evidence: Evidenced::NONE,
            event: None,
        };
        let (text, _) = NUMBERS.get(place % NUMBERS.len()).copied().unwrap();
        // One in five consents begins within the days looked at: a clock that is ahead.
        let consents = match consent % 5 {
            0 => Vec::new(),
            1 => vec![given(30)],
            _ => vec![given(-900)],
        };
        let list = |id: &str| ListFact {
            list: id.into(),
            as_of: days_before(now, list_age),
            contains: consent == 3,
        };
        let lists = ["us.national_dnc", "uk.tps", "uk.ctps", "ca.dncl", "au.dncr", "us.tx"];
        NumberFacts {
            subject: SubjectId(subject),
            number: text.parse().unwrap(),
            line,
            consents,
            lifts: Vec::new(),
            lists: lists.iter().map(|id| list(id)).collect(),
            checks: Checks::default(),
        }
    }

    /// Wishes, look-ups, a licence and a counter that begin, lapse or grow old around a moment.
    fn supplied(now: i64, (which, day, part): (u8, i64, u32)) -> (Supplied, Checks) {
        let date = |days: i64| days_before(now, -days);
        let weekly = Blocked::Weekly {
            days: which & 0b111_1111,
            from: part * 1800,
            to: (part + 9).min(48) * 1800,
        };
        let dates = Blocked::Dates { first: date(day), last: date(day + 1) };
        let licence = Licence {
            id: "own.bond".into(),
            from: Some(date(day - 1)),
            until: (which % 2 == 0).then(|| date(day + 1)),
        };
        let counter = CallerCounter {
            counter: "own.calls".into(),
            count: u32::from(which % 5),
            as_of: UnixMillis(now - day.abs() * HOUR),
            resets_at: UnixMillis(now + 7 * day.abs() * HOUR + 1),
        };
        let known = Supplied {
            wishes: (which % 3 > 0).then(|| Wishes { blocked: vec![weekly, dates] }),
            licences: if which % 4 > 0 { vec![licence].into() } else { [].into() },
            counters: if which % 4 > 1 { vec![counter].into() } else { [].into() },
        };
        let reassigned = ReassignmentCheck {
            database: "us.rnd".into(),
            as_of: days_before(now, 28),
            answer: if which % 7 == 0 { Reassigned::Yes } else { Reassigned::No },
        };
        let line = LineCheck {
            as_of: days_before(now, 12),
            line: LineType::Unknown,
            class: LineClass::Ordinary,
        };
        let checks = Checks { reassignment: vec![reassigned], line: Some(line) };
        (known, if which % 2 == 0 { checks } else { Checks::default() })
    }

    fn head(now: i64, hours: &[i64], marked: bool, terms: &CampaignTerms) -> Head {
        let mut head = Head::new(Token(1));
        for (at, ago) in hours.iter().enumerate() {
            let at_seconds = Entry::seconds(UnixMillis(now - ago * HOUR / 4 + 7_777));
            let outcome = match ago % 4 {
                0 => Outcome::Conversation,
                1 => Outcome::Busy,
                2 => Outcome::Refused,
                _ => Outcome::NoAnswer,
            };
            let entry = Entry {
                key: u64::try_from(at + hours.len() * 100).unwrap(),
                at_seconds,
                seller: SellerNo(1),
                campaign: CampaignNo(1),
                purpose: terms.purpose,
                technology: terms.technology,
                outcome,
                inbound: false,
            };
            head = head.with_entry(Token(2), entry, UnixMillis(0)).unwrap();
        }
        if marked { head.with_mark(Token(3), Mark::suppressed(None)).unwrap() } else { head }
    }

    prop_compose! {
        fn made()(
            start in 0..STARTS.len(),
            places in prop::collection::vec(0..NUMBERS.len(), 1..3),
            facts in (any::<u8>(), 0i64..40, prop::sample::select(LineType::ALL)),
            purpose in prop::sample::select(vec![
                Purpose::Telemarketing, Purpose::DebtCollection, Purpose::Informational]),
            technology in prop::sample::select(vec![
                Technology::Manual, Technology::Prerecorded, Technology::AiVoice]),
            hours in prop::collection::vec(0i64..200, 0..6),
            marked in prop::bool::weighted(0.05),
            account in any::<bool>(),
            feed in prop::option::of(0i64..40),
            more in (any::<u8>(), -3i64..5, 0u32..40),
        ) -> Made {
            let now = instant(STARTS.get(start).unwrap());
            let campaign = CampaignTerms {
                seller_no: SellerNo(1), no: None, purpose, technology, abilities: Abilities::ALL,
            };
            let address = NUMBERS.get(*places.first().unwrap()).unwrap().1;
            let address = address.map(|(country, region)| Address {
                country: country.to_owned(),
                region: region.map(str::to_owned),
                postal_code: None,
                time_zone: None,
            });
            let (known, checks) = supplied(now, more);
            let numbers: Vec<NumberFacts> = places.iter().zip(1i64..)
                .map(|(place, subject)| number(subject, *place, now, facts, purpose))
                .map(|number| NumberFacts { checks: checks.clone(), ..number }).collect();
            let order: Vec<SubjectId> = numbers.iter().map(|it| it.subject).collect();
            let person = SubjectId(100);
            let account = account.then_some(SubjectId(200));
            let mut heads: Vec<(SubjectId, Head)> =
                order.iter().map(|id| (*id, head(now, &[], false, &campaign))).collect();
            heads.push((person, head(now, &hours, marked, &campaign)));
            heads.extend(account.map(|id| (id, head(now, &[], false, &campaign))));
            let case = Case {
                terms: CallTerms { campaign, person, account },
                order,
                facts: Some(ContactFacts {
                    party: PartyType::Consumer,
                    role: PartyRole::Principal,
                    address,
                    address_basis: AddressBasis::default(),
                    narrowing: false,
                    entries: Vec::new(),
                    relationship: None,
                    emergency: feed.map(|age| Feed {
                        as_of: UnixMillis(now - age * HOUR), areas: Vec::new(),
                    }),
                    supplied: known,
                    numbers,
                }),
                heads: Some(heads),
            };
            Made { case, now: UnixMillis(now) }
        }
    }

    fn open_at(stretches: &[Stretch<Look>], at: UnixMillis) -> bool {
        let found = stretches.iter().find(|it| it.from <= at && at < it.until);
        found.unwrap().answer.is_open()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// The oracle asks the gate's judgement 168 times, and at moments between.
        #[test]
        fn a_walk_says_at_every_hour_what_a_judgement_at_that_hour_says(
            made in made(), between in prop::collection::vec(0i64..168 * 3600, 40),
        ) {
            let Made { case, now } = made;
            let end = UnixMillis(now.0 + 168 * HOUR);
            let stretches = case.ahead(&RULES, now, end);
            let first = UnixMillis((now.0.div_euclid(HOUR) + 1) * HOUR);
            let hours = (0..167).map(|hour| UnixMillis(first.0 + hour * HOUR));
            let whole = now.0.div_euclid(1000) + 1;
            let between = between.iter().map(|second| UnixMillis((whole + second) * 1000));
            for at in hours.chain(between).filter(|at| *at < end) {
                let asked = case.judge(&RULES, at).when() == When::Now;
                prop_assert_eq!(open_at(&stretches, at), asked, "at {:?} of {:?}", at, now);
            }
        }

        /// And every hour is one of those in which some second is open.
        #[test]
        fn an_hour_is_open_where_some_moment_of_it_is(made in made(), hour in 0usize..24) {
            let Made { case, now } = made;
            let end = UnixMillis(now.0 + 168 * HOUR);
            let start = UnixMillis(now.0.div_euclid(HOUR) * HOUR);
            let stretches = case.ahead(&RULES, now, end);
            let hours = hours_of(&stretches, start);
            let from = start.0 + i64::try_from(hour).unwrap() * HOUR;
            // Every rule of the packs opens and closes on a minute, a cap on a second.
            let asked = (0..HOUR / 60_000).map(|minute| UnixMillis(from + minute * 60_000 + 30_000));
            let asked = asked.filter(|at| *at >= now);
            let some = asked.into_iter().any(|at| case.judge(&RULES, at).when() == When::Now);
            let said = hours.iter().any(|held| held == hour);
            prop_assert!(!some || said, "hour {} of {:?}", hour, now);
            let stretch = stretches.iter().any(|it| {
                it.answer.is_open() && it.from.0 < from + HOUR && it.until.0 > from
            });
            prop_assert_eq!(said, stretch);
        }
    }

    #[test]
    fn a_walk_asks_far_fewer_times_than_every_hour() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut looks = 0;
        for _ in 0..50 {
            let Made { case, now } = made().new_tree(&mut runner).unwrap().current();
            looks += case.ahead(&RULES, now, UnixMillis(now.0 + 168 * HOUR)).len();
        }
        assert!(looks < 50 * 60, "{looks} of {}", 50 * HOURS);
    }

    #[test]
    fn hours_are_counted_by_what_touches_them() {
        let at = |minutes: i64| UnixMillis(minutes * 60_000);
        let told = |from, until| -> Vec<usize> {
            Hours::touched(at(0), at(from), at(until)).iter().collect()
        };
        assert_eq!(told(0, 60), [0]);
        assert_eq!(told(59, 61), [0, 1]);
        assert_eq!(told(60, 60), [0; 0]);
        assert_eq!(told(167 * 60, 200 * 60), [167]);
        assert_eq!(told(-30, 30), [0]);
        let mut hours = Hours::touched(at(0), at(0), at(180));
        hours.join(Hours::touched(at(0), at(166 * 60), at(168 * 60)));
        let left: Vec<usize> =
            hours.without(Hours::touched(at(0), at(60), at(120))).iter().collect();
        assert_eq!(left, [0, 2, 166, 167]);
    }
}
