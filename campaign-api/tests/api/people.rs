//! A made world of people for whom the rules say every kind of thing, at a chosen moment.

use std::{fmt::Write as _, path::PathBuf};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use schema::config::Config;
use serde_json::{Value, json};

use crate::world::{World, settings};

/// A Tuesday: 10:00 in New York, 07:00 in Los Angeles, 05:00 in Honolulu, 15:00 in London.
const AT: &str = "2026-12-01T15:00:00Z";

/// Country, region, zone, and the first digits of its numbers.
const PLACES: [(&str, &str, &str, &str); 9] = [
    ("US", "FL", "America/New_York", "+1305555"),
    ("US", "CA", "America/Los_Angeles", "+1213555"),
    ("US", "HI", "Pacific/Honolulu", "+1808555"),
    ("US", "", "", "+1212555"),
    ("", "", "", "+1713555"),
    ("GB", "", "Europe/London", "+44207946"),
    ("FR", "", "Europe/Paris", "+3316200"),
    ("JP", "", "Asia/Tokyo", "+8135555"),
    ("KE", "", "Africa/Nairobi", "+25420555"),
];

/// Purpose, technology, and the form of consent that some people gave for it.
pub(crate) const CAMPAIGNS: [(&str, &str, &str); 4] = [
    ("telemarketing", "manual", "prior_express_written"),
    ("informational", "prerecorded", "prior_express"),
    ("debt_collection", "manual", "prior_express"),
    ("survey", "ai_voice", "opt_in"),
];

/// The deployment's own pack, empty at first; the dot hides it from who reads the lists beside it.
pub(crate) const HOUSE: &str = ".house.toml";

/// A world at [`AT`] with the national list of the United States and no other.
pub(crate) struct People {
    pub(crate) world: World,
    pub(crate) seller: String,
    pub(crate) lists: PathBuf,
}

impl Drop for People {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.lists).ok();
    }
}

impl People {
    pub(crate) async fn start(name: &str) -> Self {
        Self::with_house(name, "").await
    }

    /// With a pack of the deployment's own.
    pub(crate) async fn with_house(name: &str, house: &str) -> Self {
        let lists = std::env::temp_dir().join(format!("rf-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&lists).unwrap();
        let text = "# demo list\n# id: us.national_dnc\n# as_of: 2026-11-30\n+13055550003\n";
        std::fs::write(lists.join("dnc.txt"), text).unwrap();
        let offset = AT.parse::<DateTime<Utc>>().unwrap() - now();
        let sql = format!(
            "UPDATE deployment SET mode = 'demo', clock_offset_ms = {}",
            offset.num_milliseconds()
        );
        let (folder, own) = (lists.clone(), lists.join(HOUSE));
        std::fs::write(&own, house).unwrap();
        let change = move |config: &mut Config| {
            config.dialer.lists = folder;
            config.dialer.house = Some(own);
        };
        let world = World::start_with(&sql, change).await;
        let seller = world.seller("one").await;
        Self { world, seller, lists }
    }

    /// In a world of the test's own, at the time that it is.
    pub(crate) async fn around(world: World, name: &str) -> Self {
        let lists = std::env::temp_dir().join(format!("rf-{name}-{}", std::process::id()));
        let seller = world.seller("one").await;
        Self { world, seller, lists }
    }

    /// A campaign with everybody in its list.
    pub(crate) async fn campaign(
        &self,
        (purpose, technology, form): (&str, &str, &str),
        trunk: &str,
    ) -> (String, String) {
        let mut terms = settings(&self.seller, purpose, &[trunk]);
        terms["purpose"] = json!(purpose);
        terms["technology"] = json!(technology);
        terms["announces"] = json!([
            "identity",
            "purpose_statement",
            "callback_number",
            "ai_disclosure",
            "recording_notice"
        ]);
        let (status, campaign) = self.world.post("/v1/campaigns", &terms).await;
        assert_eq!(status, StatusCode::CREATED, "{campaign}");
        let id = campaign["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/campaigns/{id}/lists?name=all");
        let (status, list) = self.world.csv(&path, csv(purpose, form)).await;
        assert_eq!(status, StatusCode::CREATED, "{list}");
        assert_eq!(list["rejected"], 0, "{list}");
        (id, list["id"].as_str().unwrap().to_owned())
    }

    /// Opt-outs and earlier attempts of some of them.
    pub(crate) async fn past(&self) {
        for number in ["+12135550005", "+442079460017"] {
            let said = json!({ "seller": self.seller, "number": number, "reason": "asked" });
            let (status, body) = self.world.post("/v1/suppressions", &said).await;
            assert_eq!(status, StatusCode::OK, "{body}");
        }
        let mut earlier = Vec::new();
        for (number, purpose) in
            [("+13055550001", "debt_collection"), ("+18085550010", "telemarketing")]
        {
            for hour in 1..9 {
                earlier.push(json!({ "seller": self.seller, "number": number,
                    "at": format!("2026-12-01T{hour:02}:00:00Z"), "outcome": "no_answer",
                    "purpose": purpose, "technology": "manual" }));
            }
        }
        let (status, body) = self.world.post("/v1/earlier-attempts", &json!(earlier)).await;
        assert_eq!((status, &body["rejected"]), (StatusCode::OK, &json!(0)), "{body}");
    }

    /// Every contact of a campaign.
    pub(crate) async fn contacts(&self, campaign: &str) -> Vec<Value> {
        let path = format!("/v1/campaigns/{campaign}/contacts?limit=1000");
        let (status, page) = self.world.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    /// Why not, by contact.
    pub(crate) async fn why(&self, campaign: &str, contact: &Value) -> Value {
        let contact = contact["id"].as_str().unwrap();
        let path = format!("/v1/eligibility?campaign={campaign}&contact={contact}");
        let (status, answer) = self.world.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}

/// Everybody: each place with each kind of consent, every third with a second number elsewhere.
fn csv(purpose: &str, form: &str) -> String {
    let mut csv = String::from(
        "external_id,phone_1,line_1,phone_2,country,region,time_zone,account,party_type,relationship,relationship_since,consent_form,consent_purpose,consent_at,consent_revoked_at\n",
    );
    let number = |place: usize, index: usize| {
        let start = PLACES[place % PLACES.len()].3;
        format!("{start}{index:04}")
    };
    for index in 0..PLACES.len() * 4 {
        let (place, consent) = (index / 4, index % 4);
        let (country, region, zone, _) = PLACES[place];
        let line = ["wireless", "landline", "", "voip"][index % 4];
        let second = if index % 3 == 0 { number(place + 1, 1000 + index) } else { String::new() };
        let account = if index % 2 == 0 { format!("acc-{index}") } else { String::new() };
        let party = if index % 11 == 7 { "business" } else { "consumer" };
        let kin = if index % 5 == 1 { "existing_customer,2026-10-01" } else { "," };
        let consented = match consent {
            0 => ",,,".to_owned(),
            1 | 2 => format!("{form},{purpose},2026-11-01T00:00:00Z,"),
            _ => format!("{form},{purpose},2026-11-01T00:00:00Z,2026-11-20T00:00:00Z"),
        };
        writeln!(
            csv,
            "p{index},{},{line},{second},{country},{region},{zone},{account},{party},{kin},{consented}",
            number(place, index)
        )
        .unwrap();
    }
    csv
}

/// The real time.
#[expect(clippy::disallowed_methods, reason = "to set the clock of the world by")]
fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}
