//! Calling hours against a walk by the minute, across every clock change of 2026 and 2027 in every
//! zone of the tz database: more than the packs and the tables of places can ever give.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{collections::HashSet, fmt::Write, sync::LazyLock};

use chrono::{NaiveDate, Offset, TimeZone, Timelike};
use chrono_tz::{TZ_VARIANTS, Tz};
use dialer_policy::{Address, Call, Evaluation, Facts, Options, PackSource, Ruleset};
use dialer_types::{Purpose, UnixMillis};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2026-01-01T00:00:00Z and two years on.
const YEARS: std::ops::Range<i64> = 1_767_225_600_000..1_767_225_600_000 + 2 * 365 * 24 * HOUR;

/// Hours from midnight, in minutes: whole days, usual hours, and hours that begin, end or lie where
/// clocks are changed.
const WINDOWS: [(u32, u32); 12] = [
    (0, 1440),
    (480, 1260),
    (0, 60),
    (30, 150),
    (90, 540),
    (120, 180),
    (135, 165),
    (60, 90),
    (59, 61),
    (1380, 1440),
    (1350, 1410),
    (180, 1440),
];

fn pack(windows: &[(u32, u32)]) -> Ruleset {
    let mut text = String::from(
        "[pack]\nid = \"p\"\ntitle = \"P\"\nas_of = \"2026-11-23\"\ncovers = [\"US\"]\n",
    );
    let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    for (number, (from, to)) in windows.iter().enumerate() {
        let (from, to) = (clock(*from), clock(*to));
        write!(
            text,
            "[[rule]]\nid = \"test.w{number}\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\npurposes = [\"any\"]\njurisdiction = \"US\"\nkind = \"time_window\"\nallow = [{{ days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"], from = \"{from}\", to = \"{to}\" }}]\n"
        )
        .unwrap();
    }
    Ruleset::load(&[PackSource { name: "p.toml", text: &text }], Options::default()).unwrap()
}

fn facts(zone: Tz) -> Facts {
    let mut call = Call::manual("+18005550123".parse().unwrap(), Purpose::Telemarketing);
    call.address = Some(Address {
        country: "US".to_owned(),
        region: Some("XX".to_owned()),
        postal_code: None,
        time_zone: Some(zone.name().to_owned()),
    });
    Facts::of(call)
}

fn offset(zone: Tz, at: i64) -> i32 {
    let utc = chrono::DateTime::from_timestamp_millis(at).unwrap().naive_utc();
    zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()
}

/// Every clock change of the two years, to the minute.
fn changes(zone: Tz) -> Vec<i64> {
    let mut found = Vec::new();
    let (mut at, mut held) = (YEARS.start, offset(zone, YEARS.start));
    while at < YEARS.end {
        if offset(zone, at + HOUR) != held {
            let change = (1..=60).map(|minute| at + minute * MINUTE);
            found.extend(change.clone().find(|at| offset(zone, *at) != held));
            held = offset(zone, at + HOUR);
        }
        at += HOUR;
    }
    found
}

/// One zone of each that go alike in the two years, and a walk for each of its clock changes.
static ZONES: LazyLock<Vec<(Tz, Vec<Vec<Shown>>)>> = LazyLock::new(|| {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for zone in TZ_VARIANTS {
        let changes = changes(zone);
        let offsets: Vec<i32> = changes.iter().map(|at| offset(zone, *at)).collect();
        if seen.insert((offset(zone, YEARS.start), changes.clone(), offsets)) {
            let walks = changes.iter().map(|change| walk(zone, *change)).collect();
            found.push((zone, walks));
        }
    }
    found
});

/// A minute of the walk: when it is, and what the clock shows.
type Shown = (i64, NaiveDate, u32);

/// Every minute of the dates that a clock change touches.
fn walk(zone: Tz, change: i64) -> Vec<Shown> {
    let shown = |minute: i64| {
        let at = change + minute * MINUTE;
        let wall = zone.timestamp_millis_opt(at).unwrap();
        (at, wall.date_naive(), wall.hour() * 60 + wall.minute())
    };
    let touched = [shown(-1).1, shown(0).1];
    let minutes = (-26 * 60..26 * 60).map(shown);
    minutes.filter(|(_, date, _)| touched.contains(date)).collect()
}

/// The minutes of one date at which a window is open: all at which the clock shows an hour of it.
/// If the clock is put back so that they come twice, the longer stretch of them, the first of
/// equals: nothing opens twice.
fn open(walk: &[Shown], date: NaiveDate, (from, to): (u32, u32)) -> Vec<i64> {
    let mut stretches: Vec<Vec<i64>> = Vec::new();
    let mut last = None;
    for (at, _, _) in walk.iter().filter(|it| it.1 == date && (from..to).contains(&it.2)) {
        match stretches.last_mut() {
            Some(stretch) if last == Some(at - MINUTE) => stretch.push(*at),
            _ => stretches.push(vec![*at]),
        }
        last = Some(*at);
    }
    stretches.reverse();
    stretches.into_iter().max_by_key(Vec::len).unwrap_or_default()
}

#[test]
fn windows_agree_with_a_walk_by_the_minute_across_every_clock_change_in_every_zone() {
    let rules = pack(&WINDOWS);
    let names: Vec<String> = (0..WINDOWS.len()).map(|number| format!("test.w{number}")).collect();
    let (mut zones_seen, mut changes_seen, mut asked) = (0, 0, 0);
    for (zone, walks) in &*ZONES {
        zones_seen += 1;
        let facts = facts(*zone);
        for walk in walks {
            changes_seen += 1;
            let dates: HashSet<NaiveDate> = walk.iter().map(|it| it.1).collect();
            let open: Vec<HashSet<i64>> = WINDOWS
                .iter()
                .map(|hours| dates.iter().flat_map(|date| open(walk, *date, *hours)).collect())
                .collect();
            let mut before: Option<Vec<bool>> = None;
            for (at, date, minute) in walk {
                let expected: Vec<bool> = open.iter().map(|open| open.contains(at)).collect();
                // The last millisecond before an edge belongs to the minute before.
                let edge = before.as_ref().filter(|before| **before != expected);
                let edge = edge.map(|before| (at - 1, before.clone()));
                for (at, expected) in edge.into_iter().chain([(*at, expected.clone())]) {
                    let judgement = rules.judge(&facts, &Evaluation::LAW, UnixMillis(at));
                    let mut denied = judgement.denied_by().map(|rule| rule.as_str()).peekable();
                    for (number, open) in expected.iter().enumerate() {
                        let denies = denied.next_if_eq(&names[number].as_str());
                        let hours = WINDOWS[number];
                        assert_eq!(denies.is_none(), *open, "{zone} {date} {minute} {hours:?}");
                    }
                    asked += 1;
                }
                before = Some(expected);
            }
        }
    }
    println!("{zones_seen} clocks, {changes_seen} changes, {asked} moments");
    assert!(zones_seen > 60 && changes_seen > 100, "{zones_seen} {changes_seen}");
}

#[test]
fn until_is_the_first_open_minute_of_the_walk_across_every_clock_change() {
    let mut asked = 0;
    for (number, hours) in WINDOWS.iter().enumerate() {
        let rules = pack(&[*hours]);
        for (zone, walks) in &*ZONES {
            let facts = facts(*zone);
            for walk in walks {
                let dates: HashSet<NaiveDate> = walk.iter().map(|it| it.1).collect();
                let open: HashSet<i64> =
                    dates.iter().flat_map(|date| open(walk, *date, *hours)).collect();
                let mut opens = None;
                for (at, date, minute) in walk.iter().rev() {
                    opens = if open.contains(at) { Some(*at) } else { opens };
                    // Every so many minutes, at another one for every window.
                    let chosen = (at / MINUTE) % 47 == i64::try_from(number).unwrap();
                    let Some(opens) = opens.filter(|opens| chosen && opens != at) else { continue };
                    let judgement = rules.judge(&facts, &Evaluation::LAW, UnixMillis(*at));
                    let until = judgement.first_lawful();
                    assert_eq!(until, Some(UnixMillis(opens)), "{zone} {date} {minute} {hours:?}");
                    asked += 1;
                }
            }
        }
    }
    println!("{asked} moments");
    assert!(asked > 10_000, "{asked}");
}
