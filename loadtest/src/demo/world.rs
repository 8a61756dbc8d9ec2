//! The world of the demo: made, or the user's own list in a made world.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::made;

/// A weekday afternoon in winter: Tuesday, 2026-12-01, 15:30 UTC. It is morning in the Americas,
/// afternoon in Europe, late evening in China and past midnight in Australia, so that every kind of
/// answer occurs.
pub const INSTANT_MS: i64 = 1_796_139_000_000;

/// Makes the world in `folder`, which must not exist yet.
///
/// # Errors
/// If it cannot be written.
pub(super) fn make(
    folder: &Path,
    contacts: usize,
    seed: u64,
    own_list: Option<&Path>,
) -> anyhow::Result<()> {
    fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    made::make(folder, contacts, seed, INSTANT_MS)?;
    if let Some(list) = own_list {
        use_own_list(folder, list)?;
    }
    Ok(())
}

/// The house limits of the world, as the dialer's file of overrides.
///
/// # Errors
/// If the world names none.
pub(super) fn house(folder: &Path) -> anyhow::Result<String> {
    let plan = super::told::read_json(&folder.join("campaigns.json"))?;
    let limit = |name: &str| {
        plan.get("house")
            .and_then(|house| house.get(name))
            .and_then(Value::as_u64)
            .with_context(|| format!("campaigns.json names no `house.{name}`"))
    };
    Ok(format!(
        "[[override]]\nrule = \"house.person_day_cap\"\nmax = {}\n\n\
         [[override]]\nrule = \"house.min_gap\"\nseconds = {}\n",
        limit("person_day_cap")?,
        limit("min_gap_s")?
    ))
}

/// Keeps the national lists of the made world; the campaigns are one, over the user's list, and
/// there is no past.
fn use_own_list(folder: &Path, list: &Path) -> anyhow::Result<()> {
    fs::copy(list, folder.join("own.csv"))
        .with_context(|| format!("your list, {}", list.display()))?;
    let path = folder.join("campaigns.json");
    let mut plan = super::told::read_json(&path)?;
    let campaign = json!({
        "seller": "Your company",
        "name": "your-list",
        "list": "own.csv",
        "purpose": "informational",
        "technology": "prerecorded",
        "announces": ["identity", "purpose_statement", "callback_number"],
        "caller_id": "+13055550100",
        "retry": {"busy": 60, "no_answer": 300},
        "max_tries": 3,
        "calls_per_second": 20.0,
        "ring_timeout_ms": 20_000,
    });
    let object = plan.as_object_mut().context("campaigns.json is not an object")?;
    object.insert("campaigns".to_owned(), Value::Array(vec![campaign]));
    fs::write(&path, serde_json::to_vec_pretty(&plan)?)?;
    for name in ["earlier.json", "suppressions.json"] {
        fs::write(folder.join(name), "[]")?;
    }
    Ok(())
}
