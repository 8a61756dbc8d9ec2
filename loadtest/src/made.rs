//! Makes the demo's world: two sellers, five campaigns, people in every covered place and with
//! every kind of trouble, what happened to them before, and small national lists.
//!
//! Everything follows from the number of contacts, the seed and the moment: the same three make
//! the same files.

pub(crate) mod dice;
mod lists;
pub(crate) mod numbers;
mod past;
pub(crate) mod people;
mod plan;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use self::{
    lists::Lists,
    past::Past,
    people::{People, Row},
    plan::Kind,
};

/// Writes a world of `contacts` contacts (rows over all lists) into the folder `into`, which is
/// made if need be. `now` is the demo's wall clock at the start of the run, milliseconds since 1970.
///
/// Files: `campaigns.json` (which names the lists), one CSV per campaign, `earlier.json`,
/// `suppressions.json` (entries without `at` are to be added `after_ms` into the run), `lists/`,
/// `house.toml` (overrides of house rules).
///
/// # Errors
/// When a file cannot be written.
pub fn make(into: &Path, contacts: usize, seed: u64, now: i64) -> Result<()> {
    let world = World::new(contacts, seed, now);
    let lists = into.join("lists");
    fs::create_dir_all(&lists).with_context(|| lists.display().to_string())?;
    for (kind, rows) in &world.rows {
        let path = into.join(kind.list());
        let mut csv = csv::Writer::from_path(&path).with_context(|| path.display().to_string())?;
        for row in rows {
            csv.serialize(row)?;
        }
        csv.flush()?;
    }
    json(&into.join("campaigns.json"), &plan::plan())?;
    json(&into.join("earlier.json"), &world.past.earlier)?;
    json(&into.join("suppressions.json"), &world.past.suppressions)?;
    for (name, text) in world.lists.files() {
        write(&lists.join(name), &text)?;
    }
    write(&into.join("house.toml"), plan::HOUSE)
}

fn json(path: &Path, value: &impl Serialize) -> Result<()> {
    write(path, &serde_json::to_string_pretty(value)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// All of it, in memory.
struct World {
    rows: Vec<(Kind, Vec<Row>)>,
    past: Past,
    lists: Lists,
}

impl World {
    fn new(contacts: usize, seed: u64, now: i64) -> Self {
        let mut world = Self { rows: Vec::new(), past: Past::new(now), lists: Lists::new(now) };
        let mut people = People::new(seed);
        let mut left = contacts;
        for (place, kind) in Kind::ALL.iter().enumerate() {
            let last = place + 1 == Kind::ALL.len();
            let count = if last { left } else { (contacts * kind.share() / 100).min(left) };
            left -= count;
            let rows = world.list(*kind, count, &mut people);
            world.rows.push((*kind, rows));
        }
        world.past.plan_opt_outs(&world.rows);
        world
    }

    fn list(&mut self, kind: Kind, count: usize, people: &mut People) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::with_capacity(count);
        for _ in 0..count {
            let mut row = kind.somebody(people, &mut self.past, &mut self.lists);
            self.share(kind, &mut row, rows.last(), people);
            rows.push(row);
        }
        rows
    }

    /// Two people of one household, one person in two campaigns, one human known to two sellers.
    fn share(&self, kind: Kind, row: &mut Row, before: Option<&Row>, people: &mut People) {
        let other = |wanted: Kind, people: &mut People| {
            let (_, rows) = self.rows.iter().find(|(kind, _)| *kind == wanted)?;
            let length = u64::try_from(rows.len()).unwrap_or(0);
            rows.get(usize::try_from(people.dice.below(length)).ok()?).cloned()
        };
        match people.dice.below(100) {
            0..=2 => {
                let Some(before) = before.filter(|before| before.country == row.country) else {
                    return;
                };
                row.phone_2 = std::mem::replace(&mut row.phone_1, before.phone_1.clone());
                row.line_2 = std::mem::replace(&mut row.line_1, before.line_1.clone());
                row.region.clone_from(&before.region);
                row.time_zone.clone_from(&before.time_zone);
            }
            3..=7 if kind == Kind::Notices => {
                let Some(known) = other(Kind::Sales, people) else {
                    return;
                };
                if known.country == row.country && known.external_id != row.external_id {
                    *row = Row {
                        consent_form: std::mem::take(&mut row.consent_form),
                        consent_purpose: std::mem::take(&mut row.consent_purpose),
                        consent_at: std::mem::take(&mut row.consent_at),
                        consent_source: std::mem::take(&mut row.consent_source),
                        consent_revoked_at: std::mem::take(&mut row.consent_revoked_at),
                        consent_technology: String::new(),
                        ..known
                    };
                }
            }
            3..=7 if matches!(kind, Kind::Collections | Kind::Reminders) => {
                let Some(known) = other(Kind::Sales, people) else {
                    return;
                };
                if known.country == row.country && row.phone_2.is_empty() {
                    row.phone_1 = known.phone_1;
                    row.line_1 = known.line_1;
                    row.region = known.region;
                    row.time_zone = known.time_zone;
                }
            }
            _ => {}
        }
    }
}
