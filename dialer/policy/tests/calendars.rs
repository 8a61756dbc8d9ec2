//! The dated calendars against the rules they follow, computed here with an arithmetic of our own, and
//! against the table of `VECTORS.md`; and what a year that is missing does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use dialer_policy::{Address, Call, Evaluation, Facts, Options, PackFault, PackSource, Ruleset};
use dialer_types::{Purpose, Technology, UnixMillis};

/// Year, month, day.
type Date = (i64, i64, i64);

const YEARS: std::ops::RangeInclusive<i64> = 2025..=2028;

/// Days since 1970, by counting Julian day numbers.
fn number((year, month, day): Date) -> i64 {
    let (a, month) = if month < 3 { (year + 4799, month + 9) } else { (year + 4800, month - 3) };
    day + (153 * month + 2) / 5 + 365 * a + a / 4 - a / 100 + a / 400 - 32_045 - 2_440_588
}

/// The inverse: the day is looked for.
fn date(days: i64) -> Date {
    let year = (1970..).find(|year| number((year + 1, 1, 1)) > days).unwrap();
    let month = (1..13).rev().find(|month| number((year, *month, 1)) <= days).unwrap();
    (year, month, days - number((year, month, 1)) + 1)
}

/// Monday is 0: 1970-01-01 was a Thursday.
fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// Easter Sunday, by the full moon after the equinox: the nineteen dates of the Gregorian moon from 1900
/// to 2199 (epact table of Clavius), and the Sunday after it.
fn easter(year: i64) -> i64 {
    const MOONS: &str = "04-14 04-03 03-23 04-11 03-31 04-18 04-08 03-28 04-16 04-05 \
                         03-25 04-13 04-02 03-22 04-10 03-30 04-17 04-07 03-27";
    let golden = usize::try_from(year % 19).unwrap();
    let (month, day) = month_and_day(MOONS.split(' ').nth(golden).unwrap());
    let moon = number((year, month, day));
    moon + 7 - (weekday(moon) + 1) % 7
}

/// How a holiday is found.
#[derive(Debug, Clone, Copy)]
enum On {
    Fixed(i64, i64),
    /// The n-th (from 1) weekday of a month, or the last (-1).
    Nth(i64, i64, i64),
    Easter(i64),
    /// The Tuesday after the first Monday of November.
    Election,
    /// On this date in this year only.
    Once(i64, i64, i64),
}

/// What happens when it falls on a day of rest: the date itself stays a holiday, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Stays,
    /// Saturday to Friday, Sunday to Monday.
    Nearest,
    SundayToMonday,
    /// Saturday and Sunday to the next weekday that is no holiday.
    NextFree,
    /// To the Monday before, from a weekend to the Monday after (Juneteenth in Utah).
    ToMonday,
}

#[derive(Debug, Clone, Copy)]
struct Feast(On, Move, (i64, i64));

const fn every(on: On, moves: Move) -> Feast {
    Feast(on, moves, (1, 9999))
}

fn days_of(on: On, year: i64) -> Option<i64> {
    let nth = |month: i64, day: i64, n: i64| {
        let first = number((year, month, 1));
        if n > 0 {
            first + (day - weekday(first)).rem_euclid(7) + 7 * (n - 1)
        } else {
            let last = number((year + month / 12, month % 12 + 1, 1)) - 1;
            last - (weekday(last) - day).rem_euclid(7)
        }
    };
    Some(match on {
        On::Fixed(month, day) => number((year, month, day)),
        On::Nth(month, day, n) => nth(month, day, n),
        On::Easter(after) => easter(year) + after,
        On::Election => nth(11, 0, 1) + 1,
        On::Once(only, month, day) => (only == year).then(|| number((year, month, day)))?,
    })
}

/// The holidays of the four years: also those that a neighbouring year moves into them.
fn computed(feasts: &[Feast]) -> BTreeSet<Date> {
    let mut days = BTreeSet::new();
    let mut rest = Vec::new();
    for year in YEARS.start() - 1..=YEARS.end() + 1 {
        for Feast(on, moves, _) in
            feasts.iter().filter(|feast| (feast.2.0..=feast.2.1).contains(&year))
        {
            let Some(day) = days_of(*on, year) else { continue };
            days.insert(day);
            rest.push((day, *moves));
        }
    }
    rest.sort_unstable_by_key(|(day, _)| *day);
    for (day, moves) in rest {
        let other = match (moves, weekday(day)) {
            (Move::Nearest, 5) => day - 1,
            (Move::Nearest | Move::SundayToMonday, 6) => day + 1,
            (Move::NextFree, 5 | 6) => {
                (day..).find(|day| weekday(*day) < 5 && !days.contains(day)).unwrap()
            }
            (Move::ToMonday, weekday @ 0..=4) => day - weekday,
            (Move::ToMonday, weekday) => day + 7 - weekday,
            _ => day,
        };
        days.insert(other);
    }
    days.into_iter().map(date).filter(|(year, ..)| YEARS.contains(year)).collect()
}

const MON: i64 = 0;
const THU: i64 = 3;
const FRI: i64 = 4;

/// `MM-DD` of every year.
fn fixed(days: &str, moves: Move) -> Vec<Feast> {
    let each = days.split(' ').map(month_and_day);
    each.map(|(month, day)| every(On::Fixed(month, day), moves)).collect()
}

fn moving(days: &[On]) -> Vec<Feast> {
    days.iter().map(|on| every(*on, Move::Stays)).collect()
}

fn month_and_day(text: &str) -> (i64, i64) {
    let (month, day) = text.split_once('-').unwrap();
    (month.parse().unwrap(), day.parse().unwrap())
}

const GOOD_FRIDAY: On = On::Easter(-2);
const EASTER_MONDAY: On = On::Easter(1);

fn federal(more: &[Feast]) -> Vec<Feast> {
    let weekdays = [
        On::Nth(1, MON, 3),
        On::Nth(2, MON, 3),
        On::Nth(5, MON, -1),
        On::Nth(9, MON, 1),
        On::Nth(10, MON, 2),
        On::Nth(11, THU, 4),
    ];
    let dates = fixed("01-01 06-19 07-04 11-11 12-25", Move::Nearest);
    [dates, moving(&weekdays), more.to_vec()].concat()
}

/// Dates that stay on their day, and feasts that move.
fn plain(dates: &str, feasts: &[On]) -> Vec<Feast> {
    [fixed(dates, Move::Stays), moving(feasts)].concat()
}

fn american() -> [(&'static str, Vec<Feast>); 7] {
    let stays = |on| every(on, Move::Stays);
    let election = |year| Feast(On::Election, Move::Stays, (year, year));
    let elections = [election(2026), election(2028)];
    let louisiana = [stays(On::Easter(-47)), stays(GOOD_FRIDAY), stays(On::Fixed(11, 1))];
    let utah = [every(On::Fixed(7, 24), Move::Nearest), every(On::Fixed(6, 19), Move::ToMonday)];
    let pennsylvania = [stays(GOOD_FRIDAY), stays(On::Fixed(6, 14)), stays(On::Election)];
    [
        ("US-STRICTEST", federal(&[])),
        ("US-AL", federal(&[stays(On::Nth(4, MON, 4)), stays(On::Nth(6, MON, 1))])),
        ("US-NE", federal(&[stays(On::Nth(4, FRI, -1))])),
        ("US-LA", federal(&[&louisiana[..], &elections].concat())),
        ("US-PA", federal(&pennsylvania)),
        ("US-RI", federal(&[&[stays(On::Nth(8, MON, 2))][..], &elections].concat())),
        ("US-UT", federal(&utah)),
    ]
}

fn rules() -> BTreeMap<&'static str, Vec<Feast>> {
    let mut rules = BTreeMap::from(american());
    let ascension_and_whit_monday = [EASTER_MONDAY, On::Easter(39), On::Easter(50)];
    let france = "01-01 05-01 05-08 07-14 08-15 11-01 11-11 12-25";
    rules.insert("FR", plain(france, &ascension_and_whit_monday));
    let italy = "01-01 01-06 04-25 05-01 06-02 08-15 11-01 12-08 12-25 12-26";
    let francis = Feast(On::Fixed(10, 4), Move::Stays, (2026, 9999));
    rules.insert("IT", [plain(italy, &[EASTER_MONDAY]), vec![francis]].concat());
    let spain = "01-01 01-06 05-01 08-15 10-12 11-01 12-06 12-08 12-25";
    rules.insert("ES", plain(spain, &[GOOD_FRIDAY]));
    let brazil = "01-01 04-21 05-01 09-07 10-12 11-02 11-15 11-20 12-25";
    rules.insert("BR", plain(brazil, &[GOOD_FRIDAY]));
    let africa = "01-01 03-21 04-27 05-01 06-16 08-09 09-24 12-16 12-25 12-26";
    let election = On::Once(2026, 11, 4);
    let feasts = moving(&[GOOD_FRIDAY, EASTER_MONDAY, election]);
    rules.insert("ZA", [fixed(africa, Move::SundayToMonday), feasts].concat());
    let australia = fixed("01-01 01-26 04-25 12-25 12-26", Move::NextFree);
    rules.insert("AU", [australia, moving(&[GOOD_FRIDAY, EASTER_MONDAY])].concat());
    let mondays = [On::Nth(5, MON, 1), On::Nth(5, MON, -1), On::Nth(8, MON, -1)];
    let feasts = moving(&[&[GOOD_FRIDAY, EASTER_MONDAY][..], &mondays].concat());
    rules.insert("GB", [fixed("01-01 12-25 12-26", Move::NextFree), feasts].concat());
    rules
}

/// Each calendar of `schema/rules/calendars`, with its dates.
fn shipped() -> BTreeMap<String, (toml::Table, BTreeSet<Date>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules/calendars");
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let tables = text.parse::<toml::Table>().unwrap();
        for calendar in tables["calendar"].as_array().unwrap() {
            let calendar = calendar.as_table().unwrap().clone();
            let mut days = BTreeSet::new();
            for (key, list) in &calendar {
                let Ok(year) = key.parse::<i64>() else { continue };
                let written: Vec<&str> =
                    list.as_array().unwrap().iter().map(|day| day.as_str().unwrap()).collect();
                assert!(written.is_sorted(), "{} {year}", calendar["id"]);
                days.extend(written.iter().map(|day| {
                    let (month, day) = month_and_day(day);
                    (year, month, day)
                }));
            }
            found.insert(calendar["id"].as_str().unwrap().to_owned(), (calendar, days));
        }
    }
    found
}

#[test]
fn our_own_arithmetic_knows_the_days_everybody_knows() {
    assert_eq!(number((1970, 1, 1)), 0);
    assert_eq!(weekday(number((2026, 11, 26))), THU);
    for day in (number((2024, 1, 1))..number((2030, 1, 1))).step_by(17) {
        assert_eq!(number(date(day)), day);
    }
    let known = "2000-04-23 2008-03-23 2011-04-24 2019-04-21 2024-03-31 2025-04-20 2026-04-05 \
                 2027-03-28 2028-04-16 2029-04-01 2038-04-25";
    for day in known.split(' ') {
        let (year, rest) = day.split_once('-').unwrap();
        let (month, day) = month_and_day(rest);
        let year = year.parse().unwrap();
        assert_eq!(date(easter(year)), (year, month, day));
    }
}

#[test]
fn every_calendar_holds_the_days_its_rules_give_in_all_four_years_and_no_others() {
    let (rules, shipped) = (rules(), shipped());
    let names: Vec<&str> = shipped.keys().map(String::as_str).collect();
    assert_eq!(names, rules.keys().copied().collect::<Vec<_>>(), "a calendar without a rule");
    for (name, (table, held)) in &shipped {
        let years: Vec<i64> = table.keys().filter_map(|key| key.parse().ok()).collect();
        assert_eq!(years, YEARS.collect::<Vec<_>>(), "{name}");
        assert!(table["source"].as_str().unwrap().len() > 10, "{name}");
        let feasts = &rules[name.as_str()];
        let observed =
            if feasts.iter().any(|feast| feast.1 != Move::Stays) { "both" } else { "actual" };
        assert_eq!(table["observed"].as_str(), Some(observed), "{name}");
        let computed = computed(feasts);
        let missing: Vec<_> = computed.difference(held).collect();
        let extra: Vec<_> = held.difference(&computed).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{name}: not in the file {missing:?}, only in the file {extra:?}"
        );
    }
}

/// `VECTORS.md` section 8, with the federal days written out.
const VECTORS: &str = "
US-STRICTEST 2026 01-01 01-19 02-16 05-25 06-19 07-03 07-04 09-07 10-12 11-11 11-26 12-25
US-STRICTEST 2027 01-01 01-18 02-15 05-31 06-18 06-19 07-04 07-05 09-06 10-11 11-11 11-25 12-24 12-25
US-LA 2026 02-17 04-03 11-01
US-LA 2027 02-09 03-26 11-01
US-PA 2026 04-03 06-14 11-03
US-PA 2027 03-26 06-14 11-02
US-RI 2026 08-10
US-RI 2027 08-09
US-UT 2026 07-24
US-UT 2027 07-23 07-24
FR 2026 01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25
FR 2027 01-01 03-29 05-01 05-06 05-08 05-17 07-14 08-15 11-01 11-11 12-25
IT 2026 01-01 01-06 04-06 04-25 05-01 06-02 08-15 11-01 12-08 12-25 12-26
IT 2027 01-01 01-06 03-29 04-25 05-01 06-02 08-15 11-01 12-08 12-25 12-26
ES 2026 01-01 01-06 04-03 05-01 08-15 10-12 11-01 12-06 12-08 12-25
ES 2027 01-01 01-06 03-26 05-01 08-15 10-12 11-01 12-06 12-08 12-25
ZA 2026 01-01 03-21 04-03 04-06 04-27 05-01 06-16 08-09 08-10 09-24 12-16 12-25 12-26
ZA 2027 01-01 03-21 03-22 03-26 03-29 04-27 05-01 06-16 08-09 09-24 12-16 12-25 12-26 12-27
AU 2026 01-01 01-26 04-03 04-06 04-25 12-25 12-26
AU 2027 01-01 01-26 03-26 03-29 04-25 12-25 12-26
BR 2026 01-01 04-03 04-21 05-01 09-07 10-12 11-02 11-15 11-20 12-25
BR 2027 01-01 03-26 04-21 05-01 09-07 10-12 11-02 11-15 11-20 12-25
GB 2026 01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-26
GB 2027 01-01 03-26 03-29 05-03 05-31 08-30 12-25 12-26";

/// Where the files hold more than that table, which says that real calendars may: each is a day on which
/// nobody is called although the table would let us. New Year 2028 is observed on the Friday before
/// in every US calendar.
const MORE: &str = "
US-STRICTEST 2027 12-31
US-AL 2026 04-27 06-01
US-AL 2027 04-26 06-07 12-31
US-NE 2026 04-24
US-NE 2027 04-30 12-31
US-LA 2026 11-03
US-LA 2027 12-31
US-PA 2027 12-31
US-RI 2026 11-03
US-RI 2027 12-31
US-UT 2026 06-15
US-UT 2027 06-21 12-31
IT 2026 10-04
IT 2027 10-04
ZA 2026 11-04
AU 2026 04-27 12-28
AU 2027 04-26 12-27 12-28
GB 2026 12-28
GB 2027 12-27 12-28";

fn table(text: &str) -> BTreeSet<(String, Date)> {
    let mut days = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let (name, year) = (words.next().unwrap(), words.next().unwrap());
        for day in words {
            let (month, day) = month_and_day(day);
            let day = (year.parse().unwrap(), month, day);
            days.insert((name.to_owned(), day));
        }
    }
    days
}

#[test]
fn the_calendars_hold_the_days_of_the_vectors_and_say_where_they_hold_more() {
    let (mut told, more) = (table(VECTORS), table(MORE));
    let federal: Vec<Date> =
        told.iter().filter(|(name, _)| name == "US-STRICTEST").map(|(_, day)| *day).collect();
    for state in ["US-AL", "US-NE", "US-LA", "US-PA", "US-RI", "US-UT"] {
        told.extend(federal.iter().map(|day| (state.to_owned(), *day)));
    }
    let mut held = BTreeSet::new();
    for (name, (_, days)) in shipped() {
        let days = days.into_iter().filter(|(year, ..)| (2026..=2027).contains(year));
        held.extend(days.map(|day| (name.clone(), day)));
    }
    assert_eq!(told.difference(&held).collect::<Vec<_>>(), Vec::<&(String, Date)>::new());
    let beyond: BTreeSet<_> = held.difference(&told).cloned().collect();
    assert_eq!(beyond, more);
}

#[test]
fn a_year_that_is_missing_denies_under_every_rule_that_keeps_holidays() {
    let law = Ruleset::shipped(Options { house: false }).unwrap();
    let (sale, debt) = (Purpose::Telemarketing, Purpose::DebtCollection);
    let (live, played) = (Technology::Manual, Technology::Prerecorded);
    // A weekday and an hour that each of them allows, in 2028 and in 2029.
    for (number, purpose, technology, rule, hour) in [
        ("+12055550123", sale, live, "us.al.hours", 18),
        ("+12255550123", sale, live, "us.la.hours", 18),
        ("+14025550123", sale, played, "us.ne.adad", 20),
        ("+12155550123", sale, live, "us.pa.hours", 18),
        ("+14015550123", sale, live, "us.ri.hours", 18),
        ("+18015550123", sale, live, "us.ut.hours", 20),
        ("+18005550123", sale, live, "us.strictest.unknown_state", 18),
        ("+442079460123", sale, live, "uk.industry.hours", 10),
        ("+33199001234", sale, live, "fr.hours", 10),
        ("+390612345678", sale, live, "it.code.hours", 10),
        ("+34911230000", sale, live, "es.hours", 10),
        ("+61255501234", sale, live, "au.hours", 1),
        ("+61255501234", debt, live, "au.debt.hours", 1),
        ("+551123456789", sale, live, "br.hours", 15),
        ("+27105551234", sale, live, "za.hours", 10),
    ] {
        let mut call = Call::manual(number.parse().unwrap(), purpose);
        call.technology = technology;
        if rule == "us.strictest.unknown_state" {
            call.address = Some(Address {
                country: "US".to_owned(),
                region: None,
                postal_code: None,
                time_zone: Some("America/Chicago".to_owned()),
            });
        }
        let facts = Facts::of(call);
        let said = |day: Date| {
            let now = UnixMillis((self::number(day) * 24 + hour) * 3_600_000);
            let verdict = law.evaluate(&facts, &Evaluation::LAW, now);
            let asked = verdict.evidence().rules.iter().any(|asked| asked.as_str() == rule);
            assert!(asked, "{rule}");
            let denial = verdict.denials().iter().find(|denial| denial.rule.as_str() == rule);
            denial.map(|denial| denial.inputs.to_string())
        };
        assert_eq!(said((2028, 2, 2)), None, "{rule}");
        let later = said((2029, 2, 7)).unwrap_or_default();
        assert!(later.contains("does not have this year"), "{rule}: {later}");
    }
}

fn faults(text: &str) -> Vec<String> {
    let source = PackSource { name: "days.toml", text };
    let faults = Ruleset::load(&[source], Options::default()).err().unwrap_or_default();
    faults.iter().map(PackFault::to_string).collect()
}

#[test]
fn a_calendar_with_a_fault_is_refused_with_file_line_and_field() {
    const RIGHT: &str = "# days\n[[calendar]]\nid = \"XX\"\nsource = \"Act 1\"\nobserved = \"both\"\n\"2026\" = [\"12-25\"]\n";
    assert_eq!(faults(RIGHT), [""; 0]);
    for (right, wrong, fault) in [
        ("source = \"Act 1\"\n", "", "days.toml:2: calendar.XX.source: is missing"),
        ("\"Act 1\"", "1", "days.toml:4: calendar.XX.source: "),
        ("\"both\"", "\"sometimes\"", "days.toml:5: calendar.XX.observed: "),
        ("12-25", "12-32", "days.toml:6: calendar.XX.2026[0]: "),
        ("[\"12-25\"]", "[]", "days.toml:6: calendar.XX.2026: "),
        ("\"2026\"", "\"26\"", "days.toml:6: calendar.XX.26: "),
        ("id = \"XX\"\n", "", "days.toml:2: calendar[0].id: is missing"),
    ] {
        let found = faults(&RIGHT.replacen(right, wrong, 1));
        assert!(found.iter().any(|found| found.starts_with(fault)), "{wrong}: {found:#?}");
    }
    let twice = faults(&format!("{RIGHT}{}", RIGHT.replacen("# days\n", "", 1)));
    assert!(twice.iter().any(|fault| fault.contains("another calendar has this id")), "{twice:?}");
}
