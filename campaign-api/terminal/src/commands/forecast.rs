//! The dry run of a campaign: a chart of the next seven days, and what holds the others back.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Timelike, Weekday};
use console::{Alignment, pad_str};
use dialer_types::{Say, say};
use serde_json::{Value, json};

use super::why::{rows, unlocks};
use crate::{
    arguments::Forecast,
    desk::Desk,
    find::{Kind, find},
    page::{Cell, Page, Tone, counts, grouped, said, text},
    trouble::Trouble,
};

/// Bars of one character, from the lowest to the full one.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// An hour without anybody.
const NOBODY: char = '·';
/// Columns of the day's name in front of its bars.
const DAY: usize = 16;
/// Columns of the longest bar of `--hours`.
const LONGEST: u64 = 40;

pub(crate) fn run(desk: &Desk, asked: &Forecast) -> Result<(), Trouble> {
    let id = find(&desk.api, Kind::Campaign, &asked.campaign)?;
    let zone = desk.page.zone.map(|zone| zone.name());
    let body = json!({ "list": asked.list, "zone": zone });
    let answer = desk.api.post(&format!("/v1/campaigns/{id}/forecast"), Some(&body))?;
    desk.show(&answer, |page, answer| render(page, answer, asked.hours))
}

fn render(page: &Page, answer: &Value, hours: bool) -> String {
    let mut out = page.facts(vec![
        (say!("Contacts"), said(&answer["contacts"]).into()),
        (say!("As of"), page.moment(&answer["at"]).into()),
        (say!("Callable in these days"), Cell(said(&answer["callable"]), Tone::Good)),
        (say!("Later than these days"), Cell(said(&answer["beyond"]), Tone::Warn)),
        (say!("Never, as things stand"), Cell(said(&answer["never"]), Tone::Bad)),
        (say!("Under way"), said(&answer["under_way"]).into()),
        (say!("Finished"), Cell(said(&answer["finished"]), Tone::Faint)),
    ]);
    if let Some(one_in) = answer["one_in"].as_u64().filter(|one_in| *one_in > 1) {
        let told = say!("Estimated: every contact in {one_in} was judged.", one_in);
        out.push_str(&format!("{}\n", page.tell(&told)));
    }
    let zone = said(&answer["zone"]);
    out.push_str(&page.heading(&say!("Contacts that may be called, by hour ({zone})", zone)));
    out.push_str(&if hours { long(page, answer) } else { chart(page, answer) });
    out.push_str(&held(page, answer));
    out.push_str(&unlocks(page, answer));
    out
}

/// One hour of the answer: its day, its hour by the clock, and how many.
fn hour(value: &Value) -> Option<(DateTime<chrono::FixedOffset>, u64)> {
    let local = DateTime::parse_from_rfc3339(value["local"].as_str()?).ok()?;
    Some((local, value["callable"].as_u64()?))
}

fn weekday(day: Weekday) -> Say {
    match day {
        Weekday::Mon => say!("Mon"),
        Weekday::Tue => say!("Tue"),
        Weekday::Wed => say!("Wed"),
        Weekday::Thu => say!("Thu"),
        Weekday::Fri => say!("Fri"),
        Weekday::Sat => say!("Sat"),
        Weekday::Sun => say!("Sun"),
    }
}

/// A bar as high as a count against the most of all.
fn bar(count: u64, most: u64) -> char {
    if count == 0 {
        return NOBODY;
    }
    let steps = u64::try_from(BARS.len()).unwrap_or(1);
    let step = (count * steps).div_ceil(most.max(1)).clamp(1, steps) - 1;
    let step = usize::try_from(step).unwrap_or(0);
    BARS.get(step).copied().unwrap_or(NOBODY)
}

/// A line a day, a bar an hour; of an hour that the clock shows twice the higher.
fn chart(page: &Page, answer: &Value) -> String {
    let hours: Vec<_> = rows(&answer["hours"]).iter().filter_map(hour).collect();
    let most = hours.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut days: BTreeMap<chrono::NaiveDate, BTreeMap<u32, u64>> = BTreeMap::new();
    for (local, count) in &hours {
        let held = days.entry(local.date_naive()).or_default().entry(local.hour()).or_default();
        *held = (*held).max(*count);
    }
    let mut out = format!("{:DAY$}0     6     12    18\n", "");
    for (date, counts) in &days {
        let name = format!("{date} {}", page.tell(&weekday(date.weekday())));
        let bars: String =
            (0..24).map(|hour| counts.get(&hour).map_or(' ', |count| bar(*count, most))).collect();
        let best = counts.iter().max_by_key(|(hour, count)| (**count, std::cmp::Reverse(**hour)));
        let best = match best.filter(|(_, count)| **count > 0) {
            Some((hour, count)) => {
                let count = grouped(i64::try_from(*count).unwrap_or(i64::MAX));
                say!("most {count}, at {hour}:00", count, hour = format!("{hour:02}"))
            }
            None => say!("nobody"),
        };
        let name = pad_str(&name, DAY, Alignment::Left, None);
        out.push_str(&format!("{name}{bars}  {}\n", page.tell(&best)));
    }
    let scale = say!(
        "█ is {most} contacts, · nobody. The rules alone: pace and trunks are not in it.",
        most = grouped(i64::try_from(most).unwrap_or(i64::MAX))
    );
    out + &page.tell(&scale) + "\n"
}

/// A line an hour.
fn long(page: &Page, answer: &Value) -> String {
    let hours: Vec<_> = rows(&answer["hours"]).iter().filter_map(hour).collect();
    let most = hours.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let lines = hours.iter().map(|(local, count)| {
        let length = usize::try_from((count * LONGEST).div_ceil(most)).unwrap_or(0);
        vec![
            local.format("%Y-%m-%d %H:%M").to_string().into(),
            grouped(i64::try_from(*count).unwrap_or(i64::MAX)).into(),
            "█".repeat(length).into(),
        ]
    });
    let columns = [text(say!("Hour")), counts(say!("Contacts")), text(Say::raw(""))];
    page.table(&columns, lines.collect(), &say!("none"))
}

/// What holds contacts back, with how many for how long.
fn held(page: &Page, answer: &Value) -> String {
    let held = rows(&answer["held_by"]);
    if held.is_empty() {
        return String::new();
    }
    let columns = [
        text(say!("Rule")),
        text(say!("That is")),
        text(say!("Law")),
        counts(say!("Contacts")),
        counts(say!("Hours")),
    ];
    let lines = held.iter().map(|row| {
        let by_hour = rows(&row["by_hour"]).iter();
        let longest = by_hour.filter(|count| count.as_u64().is_some_and(|it| it > 0)).count();
        vec![
            said(&row["rule"]).into(),
            said(&row["sentence"]).into(),
            Cell(said(&row["citation"]), Tone::Faint),
            said(&row["contacts"]).into(),
            grouped(i64::try_from(longest).unwrap_or(i64::MAX)).into(),
        ]
    });
    let table = page.table(&columns, lines.collect(), &say!("none"));
    page.heading(&say!("What holds contacts back, and in how many of the 168 hours")) + &table
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use super::*;
    use crate::page::tests::page;

    fn answer() -> Value {
        let first = DateTime::parse_from_rfc3339("2026-11-27T22:00:00-05:00").unwrap();
        let hours: Vec<Value> = (0..168)
            .map(|hour| {
                let local = first + chrono::TimeDelta::hours(hour);
                let callable = match local.hour() {
                    9 => 250,
                    10..=20 => 2_000,
                    _ => 0,
                };
                json!({ "from": local.to_rfc3339(), "local": local.to_rfc3339(),
                    "callable": callable, "not_due": 0 })
            })
            .collect();
        let mut by_hour = vec![0; 168];
        by_hour[0] = 7;
        by_hour[1] = 7;
        json!({ "at": "2026-11-28T03:20:00.000Z", "zone": "America/New_York", "contacts": 2_100,
            "callable": 2_000, "beyond": 3, "never": 97, "under_way": 0, "finished": 0, "one_in": 1,
            "hours": hours,
            "held_by": [{ "rule": "us.fl.hours", "title": "Hours", "citation": "Fla. Stat.",
                "waits_for": null, "sentence": "Time alone.", "contacts": 7, "by_hour": by_hour }],
            "unlock": [{ "waits_for": "consent", "contacts": 90, "sentence": "Ask for consent." }] })
    }

    #[test]
    fn the_week_is_a_chart_of_days_and_hours() {
        let shown = render(&page(Language::English), &answer(), false);
        for text in [
            " Callable in these days  2,000\n",
            "Contacts that may be called, by hour (America/New_York)\n",
            "                0     6     12    18\n",
            "2026-11-27 Fri                        ··  nobody\n",
            "2026-11-28 Sat  ·········▁███████████···  most 2,000, at 10:00\n",
            "2026-12-04 Fri  ·········▁███████████·    most 2,000, at 10:00\n",
            "█ is 2,000 contacts, · nobody.",
            " us.fl.hours  Time alone.  Fla. Stat.         7      2\n",
            " consent        90  Ask for consent.\n",
        ] {
            assert!(shown.contains(text), "{text:?} in\n{shown}");
        }
        let chinese = render(&page(Language::Chinese), &answer(), false);
        for text in ["2026-11-28 周六", "一个也没有", "最多 2,000"] {
            assert!(chinese.contains(text), "{text} in\n{chinese}");
        }
        let long = render(&page(Language::English), &answer(), true);
        assert!(long.contains(" 2026-11-28 09:00       250  █████\n"), "{long}");
        assert_eq!(long.matches("2026-11-28 ").count(), 24 + 1, "{long}");
    }

    #[test]
    fn a_bar_is_never_empty_for_somebody_nor_full_for_fewer() {
        assert_eq!(bar(0, 10), NOBODY);
        assert_eq!(bar(1, 1_000_000), '▁');
        assert_eq!(bar(1_000_000, 1_000_000), '█');
        assert_eq!(bar(4, 8), '▄');
        assert_eq!(bar(0, 0), NOBODY);
    }
}
