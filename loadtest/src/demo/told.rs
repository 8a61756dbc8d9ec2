//! Tells the API about the world: sellers, trunk, campaigns, lists, earlier attempts, do-not-call
//! entries. Through HTTP, as a customer would.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::stack::{Api, Stop};

/// Earlier attempts told in one request.
const BATCH: usize = 1000;

/// A do-not-call entry that comes during the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OptOut {
    /// Its place in `suppressions.json`.
    pub index: usize,
    /// How long into the run.
    pub after: Duration,
    /// What the API is told.
    pub body: Value,
}

/// What the API calls the things of the world.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Seller id by name.
    pub sellers: BTreeMap<String, String>,
    /// Campaign ids in the order of `campaigns.json`.
    pub campaigns: Vec<String>,
    /// Rows read, contacts made, rows rejected, duplicates: over all lists.
    pub rows: [u64; 4],
    /// Earlier attempts told.
    pub earlier: usize,
    /// Do-not-call entries told before the start.
    pub suppressions: usize,
}

/// Reads a JSON file of the world.
///
/// # Errors
/// When it is missing or malformed.
pub(crate) fn read_json(path: &Path) -> anyhow::Result<Value> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    serde_json::from_reader(BufReader::new(file)).with_context(|| path.display().to_string())
}

/// The elements of an array.
///
/// # Errors
/// When it is none.
pub(crate) fn elements<'a>(value: &'a Value, what: &str) -> anyhow::Result<&'a Vec<Value>> {
    value.as_array().with_context(|| format!("{what} is not an array"))
}

/// A text in an object.
///
/// # Errors
/// When it is not there.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("no text `{name}`"))
}

impl Told {
    /// Makes the sellers, the trunk and the campaigns.
    ///
    /// # Errors
    /// When the API says no.
    pub(crate) fn campaigns(
        &mut self,
        api: &Api,
        world: &Path,
        trunk: &Value,
    ) -> anyhow::Result<()> {
        let trunk = text(&api.post("/v1/trunks", trunk)?, "id")?.to_owned();
        let plan = read_json(&world.join("campaigns.json"))?;
        for campaign in elements(plan.get("campaigns").unwrap_or(&Value::Null), "campaigns")? {
            let seller = self.seller(api, text(campaign, "seller")?)?;
            let body = campaign_body(campaign, &seller, &trunk)?;
            let id = text(&api.post("/v1/campaigns", &body)?, "id")?.to_owned();
            self.campaigns.push(id);
        }
        if self.campaigns.is_empty() {
            bail!("campaigns.json names no campaign");
        }
        Ok(())
    }

    /// The id of a seller, who is made if new.
    ///
    /// # Errors
    /// When the API says no.
    pub(crate) fn seller(&mut self, api: &Api, name: &str) -> anyhow::Result<String> {
        if let Some(id) = self.sellers.get(name) {
            return Ok(id.clone());
        }
        let answer = api.post("/v1/sellers", &json!({ "name": name }))?;
        let id = text(&answer, "id")?.to_owned();
        self.sellers.insert(name.to_owned(), id.clone());
        Ok(id)
    }

    /// Streams the contact lists.
    ///
    /// # Errors
    /// When a file is missing or the API says no.
    pub(crate) fn lists(&mut self, api: &Api, world: &Path, stop: &Stop) -> anyhow::Result<()> {
        let plan = read_json(&world.join("campaigns.json"))?;
        let campaigns = elements(plan.get("campaigns").unwrap_or(&Value::Null), "campaigns")?;
        for (campaign, id) in campaigns.iter().zip(&self.campaigns) {
            stop.check()?;
            let name = text(campaign, "list")?;
            let path = world.join(name);
            let file = File::open(&path).with_context(|| path.display().to_string())?;
            let answer = api
                .post_csv(&format!("/v1/campaigns/{id}/lists?name={name}"), BufReader::new(file))?;
            for (total, field) in
                self.rows.iter_mut().zip(["rows", "imported", "rejected", "duplicates"])
            {
                *total += answer
                    .get(field)
                    .and_then(Value::as_u64)
                    .with_context(|| format!("the import's answer has no `{field}`"))?;
            }
        }
        Ok(())
    }

    /// Tells what happened elsewhere before.
    ///
    /// # Errors
    /// When the API says no.
    pub(crate) fn earlier(&mut self, api: &Api, world: &Path, stop: &Stop) -> anyhow::Result<()> {
        let all = read_json(&world.join("earlier.json"))?;
        for batch in elements(&all, "earlier.json")?.chunks(BATCH) {
            stop.check()?;
            let mut body = Vec::with_capacity(batch.len());
            for entry in batch {
                body.push(self.with_seller(api, entry)?);
            }
            self.earlier += body.len();
            api.post("/v1/earlier-attempts", &Value::Array(body))?;
        }
        Ok(())
    }

    /// Tells the do-not-call entries that have a time; the others are planned for the run and
    /// returned, the first first.
    ///
    /// # Errors
    /// When the API says no.
    pub(crate) fn suppressions(
        &mut self,
        api: &Api,
        world: &Path,
        stop: &Stop,
    ) -> anyhow::Result<Vec<OptOut>> {
        let all = read_json(&world.join("suppressions.json"))?;
        let mut planned = Vec::new();
        for (index, entry) in elements(&all, "suppressions.json")?.iter().enumerate() {
            stop.check()?;
            let mut body = self.with_seller(api, entry)?;
            let after = body.as_object_mut().and_then(|body| body.remove("after_ms"));
            if body.get("at").is_some() {
                api.post("/v1/suppressions", &body)?;
                self.suppressions += 1;
            } else {
                let after = Duration::from_millis(after.and_then(|ms| ms.as_u64()).unwrap_or(1000));
                planned.push(OptOut { index, after, body });
            }
        }
        planned.sort_by_key(|opt_out| opt_out.after);
        Ok(planned)
    }

    /// The entry in the words of the API: the seller's id for the name, `person` for
    /// `external_id`, and without what is null.
    fn with_seller(&mut self, api: &Api, entry: &Value) -> anyhow::Result<Value> {
        let mut body = entry.as_object().context("an entry is not an object")?.clone();
        body.retain(|_, value| !value.is_null());
        if let Some(name) = body.get("seller").and_then(Value::as_str).map(str::to_owned) {
            body.insert("seller".to_owned(), Value::String(self.seller(api, &name)?));
        }
        if let Some(person) = body.remove("external_id") {
            body.insert("person".to_owned(), person);
        }
        Ok(Value::Object(body))
    }
}

/// `campaigns.json` speaks of milliseconds, lists and names; the API of seconds and ids.
fn campaign_body(campaign: &Value, seller: &str, trunk: &str) -> anyhow::Result<Value> {
    let field = |name: &str| campaign.get(name).cloned();
    let ring_ms = field("ring_timeout_ms").and_then(|ms| ms.as_u64()).unwrap_or(30_000);
    Ok(json!({
        "seller": seller,
        "name": text(campaign, "name")?,
        "purpose": text(campaign, "purpose")?,
        "technology": text(campaign, "technology")?,
        "caller_id": text(campaign, "caller_id")?,
        "announces": field("announces").unwrap_or_else(|| json!([])),
        "prompt": field("prompt").unwrap_or_else(|| json!("demo.wav")),
        "calls_per_second": field("calls_per_second").unwrap_or_else(|| json!(20)),
        "max_concurrent": field("max_concurrent").unwrap_or_else(|| json!(200)),
        "max_tries": field("max_tries").unwrap_or_else(|| json!(3)),
        "ring_timeout_seconds": ring_ms.div_ceil(1000),
        "retry": field("retry").unwrap_or_else(|| json!({})),
        "trunks": [trunk],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_of_the_world_becomes_what_the_api_takes() {
        let campaign = json!({
            "seller": "Alder", "name": "a", "list": "a.csv", "purpose": "informational",
            "technology": "prerecorded", "caller_id": "+13055550100", "announces": ["identity"],
            "retry": {"busy": 60}, "max_tries": 2, "calls_per_second": 5.0, "ring_timeout_ms": 6500,
        });
        let body = campaign_body(&campaign, "S1", "T1").unwrap();
        assert_eq!(body["seller"], "S1");
        assert_eq!(body["trunks"], json!(["T1"]));
        assert_eq!(body["ring_timeout_seconds"], 7);
        assert_eq!(body["retry"], json!({"busy": 60}));
        assert!(campaign_body(&json!({"name": "x"}), "S1", "T1").is_err());
    }
}
