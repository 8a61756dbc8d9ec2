//! What the checker is told: the lists, campaigns, histories, suppressions and national lists of
//! a world folder, read as they lie there.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate};
use dialer_types::{LineType, Outcome, PartyRole, PartyType, Purpose, Technology};
use serde::{Deserialize, Deserializer};

/// `campaigns.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    /// House limits that hold in this world.
    pub house: House,
    /// The campaigns.
    pub campaigns: Vec<Campaign>,
}

/// House limits.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct House {
    /// Placements per person and local day, over all sellers and campaigns.
    pub person_day_cap: u32,
    /// Seconds between two placements to one person.
    pub min_gap_s: i64,
}

/// A campaign as `campaigns.json` has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Campaign {
    /// On whose behalf.
    pub seller: String,
    /// Unique over all sellers; on the wire in `X-Ringfence-Campaign`.
    pub name: String,
    /// Its contact list, a file in the same folder.
    pub list: String,
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub technology: Technology,
    /// What the prompt announces.
    #[serde(default)]
    pub announces: Vec<String>,
    /// Caller ID, E.164.
    pub caller_id: String,
    /// Disposition to seconds until the next try; absent means no next try.
    #[serde(default)]
    pub retry: HashMap<String, u32>,
    /// Tries per contact.
    pub max_tries: u32,
    /// Placements a second at most.
    pub calls_per_second: f64,
    /// How long a call may ring.
    #[serde(default = "default_ring")]
    pub ring_timeout_ms: u64,
}

const fn default_ring() -> u64 {
    30_000
}

/// A person in a campaign's list.
#[derive(Debug, Clone)]
pub struct Contact {
    /// Index into [`Plan::campaigns`].
    pub campaign: usize,
    /// The seller's name for the person.
    pub external_id: String,
    /// Numbers in order of preference.
    pub numbers: Vec<(String, LineType)>,
    /// ISO country; empty where there is no address.
    pub country: String,
    /// Subdivision; may be empty.
    pub region: String,
    /// IANA zone; may be empty.
    pub time_zone: String,
    /// Debt or contract; may be empty.
    pub account: String,
    /// Consumer or business.
    pub party: PartyType,
    /// Who will be spoken to.
    pub role: PartyRole,
    /// `existing_customer` or `inquiry`, since when.
    pub relationship: Option<(String, NaiveDate)>,
}

/// A consent of a person to a seller.
#[derive(Debug, Clone)]
pub struct Consent {
    /// `prior_express`, `prior_express_written` or `opt_in`.
    pub form: String,
    /// For what.
    pub purpose: Purpose,
    /// For which technology only.
    pub technology: Option<Technology>,
    /// Given, ms.
    pub at: i64,
    /// Revoked, ms.
    pub revoked_at: Option<i64>,
}

/// An entry of `suppressions.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Suppression {
    /// `null`: every seller's.
    pub seller: Option<String>,
    /// The number, if it names one.
    pub number: Option<String>,
    /// The person (of `seller`), if it names one.
    pub external_id: Option<String>,
    /// When it was asked for; `null` for one that is planned and was never posted.
    #[serde(default, deserialize_with = "moment")]
    pub at: Option<i64>,
    /// When the API had answered, for those added during the run: from then on nothing may ring.
    #[serde(default, deserialize_with = "moment")]
    pub answered_at: Option<i64>,
}

/// An entry of `earlier.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Earlier {
    /// Whose attempt it was.
    pub seller: String,
    /// The number.
    pub number: String,
    /// The person, if known.
    pub external_id: Option<String>,
    /// The account, if any.
    pub account: Option<String>,
    /// They called.
    #[serde(default)]
    pub inbound: bool,
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub technology: Technology,
    /// How it ended.
    pub outcome: Outcome,
    /// When, ms.
    #[serde(default, deserialize_with = "moment")]
    pub at: Option<i64>,
}

/// A national list.
#[derive(Debug, Clone)]
pub struct NationalList {
    /// Of which day (UTC).
    pub as_of: NaiveDate,
    /// The numbers.
    pub numbers: HashSet<String>,
}

/// Everything together.
#[derive(Debug, Clone)]
pub struct World {
    /// Campaigns and house limits.
    pub plan: Plan,
    /// All contacts of all campaigns.
    pub contacts: Vec<Contact>,
    /// By seller and external id.
    pub consents: HashMap<(String, String), Vec<Consent>>,
    /// Do-not-call entries.
    pub suppressions: Vec<Suppression>,
    /// Attempts and conversations from before.
    pub earlier: Vec<Earlier>,
    /// By list id.
    pub lists: HashMap<String, NationalList>,
    /// Rows that named no number and so no contact.
    pub rows_without_number: usize,
}

/// RFC 3339 text or milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Millis(i64),
    Text(String),
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    match Option::<Moment>::deserialize(from)? {
        None => Ok(None),
        Some(Moment::Millis(at)) => Ok(Some(at)),
        Some(Moment::Text(text)) => instant(&text)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom(format!("not an RFC 3339 time: {text}"))),
    }
}

fn instant(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text.trim()).ok().map(|at| at.timestamp_millis())
}

impl World {
    /// Reads a world folder.
    ///
    /// # Errors
    /// When a file is missing or malformed, with its name.
    pub fn load(dir: &Path) -> Result<Self> {
        let plan: Plan = json(&dir.join("campaigns.json"))?;
        let mut world = Self {
            contacts: Vec::new(),
            consents: HashMap::new(),
            suppressions: json(&dir.join("suppressions.json"))?,
            earlier: json(&dir.join("earlier.json"))?,
            lists: national_lists(&dir.join("lists"))?,
            rows_without_number: 0,
            plan,
        };
        for index in 0..world.plan.campaigns.len() {
            world.read_list(dir, index).with_context(|| format!("list of campaign {index}"))?;
        }
        Ok(world)
    }

    /// The campaign of a contact.
    #[must_use]
    pub fn campaign_of(&self, contact: &Contact) -> Option<&Campaign> {
        self.plan.campaigns.get(contact.campaign)
    }

    fn read_list(&mut self, dir: &Path, index: usize) -> Result<()> {
        let Some(campaign) = self.plan.campaigns.get(index) else {
            return Ok(());
        };
        let (seller, path) = (campaign.seller.clone(), dir.join(&campaign.list));
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_path(&path)
            .with_context(|| path.display().to_string())?;
        let mut seen = HashSet::new();
        for row in reader.deserialize::<HashMap<String, String>>() {
            let row = row.with_context(|| path.display().to_string())?;
            let cell = |name: &str| row.get(name).map_or("", |value| value.as_str());
            let numbers = numbers(&cell);
            if numbers.is_empty() || cell("external_id").is_empty() {
                self.rows_without_number += 1;
                continue;
            }
            let person = (seller.clone(), cell("external_id").to_owned());
            if !seen.insert(person.clone()) {
                continue; // the first row of a person in a list holds
            }
            if let Some(consent) = consent(&cell) {
                self.consents.entry(person).or_default().push(consent);
            }
            self.contacts.push(contact(index, numbers, &cell));
        }
        Ok(())
    }
}

fn numbers<'a>(cell: &impl Fn(&str) -> &'a str) -> Vec<(String, LineType)> {
    (1..=4)
        .filter_map(|index| {
            let number = cell(&format!("phone_{index}"));
            let good = number.strip_prefix('+')?.bytes().all(|byte| byte.is_ascii_digit());
            let line = cell(&format!("line_{index}")).parse().unwrap_or(LineType::Unknown);
            (good && number.len() >= 8).then(|| (number.to_owned(), line))
        })
        .collect()
}

fn consent<'a>(cell: &impl Fn(&str) -> &'a str) -> Option<Consent> {
    let form = cell("consent_form");
    Some(Consent {
        form: (!form.is_empty()).then(|| form.to_owned())?,
        purpose: cell("consent_purpose").parse().ok()?,
        technology: cell("consent_technology").parse().ok(),
        at: instant(cell("consent_at"))?,
        revoked_at: instant(cell("consent_revoked_at")),
    })
}

fn contact<'a>(
    campaign: usize,
    numbers: Vec<(String, LineType)>,
    cell: &impl Fn(&str) -> &'a str,
) -> Contact {
    let kind = cell("relationship");
    Contact {
        campaign,
        external_id: cell("external_id").to_owned(),
        numbers,
        country: cell("country").to_ascii_uppercase(),
        region: cell("region").to_ascii_uppercase(),
        time_zone: cell("time_zone").to_owned(),
        account: cell("account").to_owned(),
        party: cell("party_type").parse().unwrap_or(PartyType::Consumer),
        role: cell("party_role").parse().unwrap_or(PartyRole::Principal),
        relationship: cell("relationship_since")
            .parse()
            .ok()
            .filter(|_| !kind.is_empty())
            .map(|since| (kind.to_owned(), since)),
    }
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn national_lists(dir: &Path) -> Result<HashMap<String, NationalList>> {
    let mut lists = HashMap::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let (id, list) =
                national_list(&text).with_context(|| format!("{}: no list", path.display()))?;
            lists.insert(id, list);
        }
    }
    Ok(lists)
}

/// `# id: ...` and `# as_of: YYYY-MM-DD`, then numbers, one a line.
fn national_list(text: &str) -> Option<(String, NationalList)> {
    let header = |name: &str| {
        text.lines().find_map(|line| {
            line.strip_prefix('#')?.trim().strip_prefix(name)?.strip_prefix(':').map(str::trim)
        })
    };
    let as_of = header("as_of")?.parse().ok()?;
    let numbers = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    Some((header("id")?.to_owned(), NationalList { as_of, numbers }))
}
