//! The world of the drill: households whose number is wanted by three or four contacts in three
//! campaigns of two sellers, so that the dialers meet at the same caps and cool-downs all the time.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::made::{dice::Dice, numbers::Numbers, people::Row};

/// Seconds between two calls to one person, by the house.
const MIN_GAP_S: i64 = 8;
/// Calls to one person a day, by the house.
const DAY_CAP: usize = 3;
/// Opt-outs a second during the storm.
const OPT_OUTS_PER_SECOND: u64 = 2;

const FLORIDA: &[&str] = &["305", "407", "561", "813", "904", "954", "239", "352"];

/// Name, seller, purpose, technology; share of the calls in quarters.
const CAMPAIGNS: [(&str, &str, &str, &str, f64); 3] = [
    ("alder-notices", "Alder", "informational", "prerecorded", 2.0),
    ("alder-sales", "Alder", "telemarketing", "manual", 1.0),
    ("birch-collections", "Birch", "debt_collection", "manual", 1.0),
];

/// The dialer's overrides of the house rules.
#[must_use]
pub(super) fn house() -> String {
    format!(
        "[[override]]\nrule = \"house.person_day_cap\"\nmax = {DAY_CAP}\n\n\
         [[override]]\nrule = \"house.min_gap\"\nseconds = {MIN_GAP_S}\n"
    )
}

/// Writes a world that keeps dialers busy for this long at this rate (calls a second), beginning
/// at `now` (ms since 1970). Returns how many contacts there are.
///
/// # Errors
/// If it cannot be written.
pub(super) fn make(
    folder: &Path,
    seed: u64,
    rate: u32,
    storm: Duration,
    now: i64,
) -> anyhow::Result<usize> {
    let lists = folder.join("lists");
    fs::create_dir_all(&lists).with_context(|| lists.display().to_string())?;
    let households = households(rate, storm);
    let mut dice = Dice::new(seed, "households");
    let mut numbers = Numbers::default();
    let mut rows: [Vec<Row>; 3] = Default::default();
    for index in 0..households {
        household(index, &mut dice, &mut numbers, &mut rows, now);
    }
    for rows in &mut rows {
        shuffle(rows, &mut dice);
    }
    let [notices, ..] = &rows;
    let opt_outs = opt_outs(&mut dice, notices, storm);
    for ((name, ..), rows) in CAMPAIGNS.iter().zip(&rows) {
        let path = folder.join(format!("{name}.csv"));
        let mut csv = csv::Writer::from_path(&path).with_context(|| path.display().to_string())?;
        for row in rows {
            csv.serialize(row)?;
        }
        csv.flush()?;
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let today = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default().date_naive();
    write(
        "lists/us.national_dnc.txt",
        &format!("# demo list\n# id: us.national_dnc\n# as_of: {today}\n+13055550199\n"),
    )?;
    write("campaigns.json", &serde_json::to_string_pretty(&campaigns(rate))?)?;
    write("suppressions.json", &serde_json::to_string(&opt_outs)?)?;
    write("earlier.json", "[]")?;
    Ok(rows.iter().map(Vec::len).sum())
}

/// Each household takes as many calls as the cap allows; what a storm leaves over must fit into the
/// calm, and half of it is outages.
fn households(rate: u32, storm: Duration) -> u64 {
    let calls = u64::from(rate) * storm.as_secs().max(1);
    (calls / 2 / 3).max(10)
}

/// Every list in another order: the campaigns do not go from house to house together.
fn shuffle(rows: &mut [Row], dice: &mut Dice) {
    for last in (1..rows.len()).rev() {
        let other = dice.below(u64::try_from(last + 1).unwrap_or(1));
        rows.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

fn household(
    index: u64,
    dice: &mut Dice,
    numbers: &mut Numbers,
    [notices, sales, collections]: &mut [Vec<Row>; 3],
    now: i64,
) {
    let area = dice.one_of(FLORIDA).unwrap_or("305");
    let phone = numbers.north_america(area);
    let at = chrono::DateTime::from_timestamp_millis(now - 30 * 86_400_000).unwrap_or_default();
    let person = |id: String| Row {
        external_id: id,
        phone_1: phone.clone(),
        line_1: "landline".to_owned(),
        country: "US".to_owned(),
        region: "FL".to_owned(),
        time_zone: "America/New_York".to_owned(),
        party_type: "consumer".to_owned(),
        party_role: "principal".to_owned(),
        ..Row::default()
    };
    let mut customer = person(format!("ALD-{index:06}"));
    // Whoever has a second number lives alone: of a call to a shared one the wire does not say whom
    // of the household it was for, and the checker could not count it with the calls to the other.
    let spouse = if dice.percent(20) {
        customer.phone_2 = numbers.north_america(area);
        "wireless".clone_into(&mut customer.line_2);
        None
    } else {
        Some(person(format!("ALD-{index:06}-spouse")))
    };
    // In two campaigns, one of which needs consent.
    sales.push(customer.clone());
    for mut row in [Some(customer), spouse].into_iter().flatten() {
        "prior_express".clone_into(&mut row.consent_form);
        "informational".clone_into(&mut row.consent_purpose);
        "web form".clone_into(&mut row.consent_source);
        row.consent_at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        notices.push(row);
    }
    let mut debtor = person(format!("BIR-{index:06}"));
    debtor.account = format!("ACC-{index:06}");
    collections.push(debtor);
}

/// Opt-outs that come during the storm: of a number for everybody, or of a person and the number
/// they are reached on for a seller.
fn opt_outs(dice: &mut Dice, people: &[Row], storm: Duration) -> Vec<Value> {
    let count = storm.as_secs() * OPT_OUTS_PER_SECOND;
    let all = u64::try_from(people.len()).unwrap_or(0);
    let storm_ms = u64::try_from(storm.as_millis()).unwrap_or(u64::MAX);
    let one = |_| {
        let row = people.get(usize::try_from(dice.below(all)).ok()?)?;
        let whole = dice.percent(50);
        Some(json!({
            "seller": if whole { None } else { Some("Alder") },
            "number": row.phone_1,
            "external_id": (!whole).then_some(&row.external_id),
            "after_ms": dice.below(storm_ms),
            "reason": "asked not to be called",
        }))
    };
    (0..count.min(all / 4)).filter_map(one).collect()
}

fn campaigns(rate: u32) -> Value {
    let campaign = |(name, seller, purpose, technology, quarters): &(
        &str,
        &str,
        &str,
        &str,
        f64,
    )| {
        json!({
            "seller": seller,
            "name": name,
            "list": format!("{name}.csv"),
            "purpose": purpose,
            "technology": technology,
            "announces": ["identity", "purpose_statement", "callback_number"],
            "caller_id": "+13055550190",
            "retry": {
                "busy": 5, "no_answer": 6, "unavailable": 6, "congestion": 5, "outcome_unknown": 8,
            },
            "max_tries": 3,
            "calls_per_second": f64::from(rate) * quarters / 4.0,
            "max_concurrent": 400,
            "ring_timeout_ms": if *purpose == "telemarketing" { 15_000 } else { 5000 },
        })
    };
    json!({
        "house": {"person_day_cap": DAY_CAP, "min_gap_s": MIN_GAP_S},
        "campaigns": CAMPAIGNS.iter().map(campaign).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checker::world::World, stack::RunFolder};

    #[test]
    fn the_checker_reads_the_world_and_every_number_is_wanted_more_often_than_allowed() {
        let folder = RunFolder::make(false).unwrap();
        let world = folder.path().join("world");
        let made = make(&world, 1, 8, Duration::from_secs(60), 1_796_139_000_000).unwrap();
        let read = World::load(&world).unwrap();
        assert_eq!(read.contacts.len(), made);
        assert!((3 * 80..=4 * 80).contains(&made), "{made}");
        for contact in &read.contacts {
            let number = &contact.numbers[0].0;
            let wanted = read.contacts.iter().filter(|other| other.numbers[0].0 == *number);
            assert!((3..=4).contains(&wanted.count()), "{number}");
        }
        assert!((20..=40).contains(&read.suppressions.len()), "{}", read.suppressions.len());
        assert!(read.suppressions.iter().all(|entry| entry.at.is_none()));
    }
}
