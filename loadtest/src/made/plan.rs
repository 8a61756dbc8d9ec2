//! The campaigns of the made world, and who is in them.

use serde_json::{Value, json};

use super::{
    dice::Dice,
    lists::Lists,
    past::Past,
    people::{Home, People, Row},
};

/// Overrides of the house rules: retries come after seconds in the demo, not after hours.
pub(super) const HOUSE: &str = "# The demo's house rules: retries come within seconds.
[[override]]
rule = \"house.person_day_cap\"
max = 3

[[override]]
rule = \"house.min_gap\"
seconds = 20
";

/// One campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sunrise sells: national lists, hours, Florida's three in 24 hours.
    Sales,
    /// Sunrise sells in France: opt-in, four in 30 days, own caller ID.
    France,
    /// Sunrise informs with a recorded message: consent in the US.
    Notices,
    /// Harbor collects: seven in seven days, cool-downs, Australia and China.
    Collections,
    /// Harbor reminds patients: one recorded call a day to a landline.
    Reminders,
}

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

impl Kind {
    pub(super) const ALL: &[Self] =
        &[Self::Sales, Self::France, Self::Notices, Self::Collections, Self::Reminders];

    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::Sales => "seller-a-sales.csv",
            Self::France => "seller-a-france.csv",
            Self::Notices => "seller-a-notices.csv",
            Self::Collections => "seller-b-collections.csv",
            Self::Reminders => "seller-b-reminders.csv",
        }
    }

    /// Percent of the contacts.
    pub(super) const fn share(self) -> usize {
        match self {
            Self::Sales => 32,
            Self::France => 11,
            Self::Notices => 21,
            Self::Collections => 24,
            Self::Reminders => 12,
        }
    }

    pub(super) const fn seller(self) -> &'static str {
        match self {
            Self::Sales | Self::France | Self::Notices => "Sunrise Home",
            Self::Collections | Self::Reminders => "Harbor Group",
        }
    }

    pub(super) const fn purpose(self) -> &'static str {
        match self {
            Self::Sales | Self::France => "telemarketing",
            Self::Notices => "informational",
            Self::Collections => "debt_collection",
            Self::Reminders => "healthcare",
        }
    }

    pub(super) const fn technology(self) -> &'static str {
        match self {
            Self::Sales | Self::France => "manual",
            Self::Notices | Self::Reminders => "prerecorded",
            Self::Collections => "progressive",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sales => "sunrise-sales",
            Self::France => "sunrise-france",
            Self::Notices => "sunrise-notices",
            Self::Collections => "harbor-collections",
            Self::Reminders => "harbor-reminders",
        }
    }

    const fn caller_id(self) -> &'static str {
        match self {
            Self::France => "+33162000100",
            Self::Sales | Self::Notices => "+13055550190",
            Self::Collections | Self::Reminders => "+12145550190",
        }
    }

    fn homes(self) -> &'static [(u64, Home)] {
        match self {
            Self::Sales => &[
                (32, Home::Florida),
                (26, Home::Texas),
                (20, Home::Britain),
                (17, Home::Canada),
                (4, Home::Australia),
                (1, Home::Germany),
            ],
            Self::France => &[(1, Home::France)],
            Self::Notices => &[
                (32, Home::Florida),
                (28, Home::Texas),
                (18, Home::Canada),
                (18, Home::Britain),
                (3, Home::Australia),
                (1, Home::Germany),
            ],
            Self::Collections => {
                &[(40, Home::Florida), (38, Home::Texas), (11, Home::Australia), (11, Home::China)]
            }
            Self::Reminders => &[(1, Home::Florida), (1, Home::Texas)],
        }
    }

    /// Somebody for this campaign's list, with a past.
    pub(super) fn somebody(self, people: &mut People, past: &mut Past, lists: &mut Lists) -> Row {
        let home = people.dice.weighted(self.homes()).unwrap_or(Home::Florida);
        let prefix = if self.seller().starts_with('S') { "SUN" } else { "HAR" };
        let mut row = people.person(prefix, home);
        let dice = &mut people.dice;
        self.consent(&mut row, home, dice, past);
        match self {
            Self::Sales => selling(self, &mut row, home, dice, past, lists),
            Self::France => match dice.below(100) {
                0..=3 => past.attempts(self, &row, "no_answer", &[25, 18, 11, 4].map(|d| d * DAY)),
                4..=6 => past.attempts(self, &row, "refused", &[10 * DAY]),
                _ => {}
            },
            Self::Notices => {}
            Self::Collections => collecting(self, &mut row, home, dice, past),
            Self::Reminders => {
                if row.line_1 == "landline" && dice.percent(12) {
                    past.attempts(self, &row, "no_answer", &[20 * HOUR]);
                }
            }
        }
        match dice.below(100) {
            0..=1 => past.suppress(Some(self), Some(&row.phone_1), None, "asked not to be called"),
            2 => past.suppress(Some(self), None, Some(&row.external_id), "opted out by letter"),
            3 => past.suppress(None, Some(&row.phone_1), None, "blocked for everybody"),
            _ => {}
        }
        row
    }

    /// Most have the consent that their campaign needs; some never gave one, some took it back.
    fn consent(self, row: &mut Row, home: Home, dice: &mut Dice, past: &Past) {
        let us = matches!(home, Home::Florida | Home::Texas);
        let form = match self {
            Self::Sales if us && dice.percent(20) => "prior_express_written",
            Self::Sales if home == Home::Australia && dice.percent(50) => "opt_in",
            Self::France => "opt_in",
            Self::Notices | Self::Reminders if us => "prior_express",
            _ => return,
        };
        let fate = dice.below(100);
        if fate < 7 && self != Self::Sales {
            return;
        }
        form.clone_into(&mut row.consent_form);
        self.purpose().clone_into(&mut row.consent_purpose);
        row.consent_at =
            past.moment(200 * DAY + i64::from(u32::try_from(fate).unwrap_or(0)) * HOUR);
        "web form".clone_into(&mut row.consent_source);
        if (7..13).contains(&fate) {
            row.consent_revoked_at = past.moment(9 * DAY);
        } else if (13..17).contains(&fate) {
            self.technology().clone_into(&mut row.consent_technology);
        }
    }
}

fn selling(
    kind: Kind,
    row: &mut Row,
    home: Home,
    dice: &mut Dice,
    past: &mut Past,
    lists: &mut Lists,
) {
    if dice.percent(5) {
        "business".clone_into(&mut row.party_type);
    }
    match dice.below(100) {
        // Listed; some of them are customers or asked, which lifts it in the US and Canada.
        0..=8 => {
            lists.add(home, &row.phone_1);
            if dice.percent(40) {
                let (kind, days) = dice
                    .one_of(&[("existing_customer", 200), ("inquiry", 40), ("inquiry", 300)])
                    .unwrap_or(("inquiry", 300));
                kind.clone_into(&mut row.relationship);
                row.relationship_since = past.date(days * DAY);
            }
        }
        9..=12 if home == Home::Florida => {
            past.attempts(kind, row, "no_answer", &[23 * HOUR, 21 * HOUR, 20 * HOUR]);
        }
        13..=15 if home == Home::Florida => {
            past.attempts(kind, row, "busy", &[22 * HOUR, 20 * HOUR]);
        }
        _ => {}
    }
}

fn collecting(kind: Kind, row: &mut Row, home: Home, dice: &mut Dice, past: &mut Past) {
    row.account = format!("ACC-{}", row.external_id);
    if dice.percent(2) {
        "third_party".clone_into(&mut row.party_role);
    }
    let us = matches!(home, Home::Florida | Home::Texas);
    match (home, dice.below(100)) {
        (_, 0..=3) if us => {
            let ago = [140, 120, 100, 80, 60, 40, 24].map(|hours| hours * HOUR);
            past.attempts(kind, row, "no_answer", &ago);
        }
        (_, 4..=5) if us => {
            let ago = [130, 110, 90, 70, 50, 26].map(|hours| hours * HOUR);
            past.attempts(kind, row, "voicemail", &ago);
        }
        (_, 6..=9) if us => past.attempts(kind, row, "conversation", &[3 * DAY]),
        (_, 10..=12) if us => past.inbound(kind, row, 2 * DAY),
        (Home::Australia, 0..=24) => {
            past.attempts(kind, row, "conversation", &[30 * HOUR, 28 * HOUR, 26 * HOUR]);
        }
        (Home::China, 0..=24) => {
            let ago = [8 * HOUR, 5 * HOUR, 3 * HOUR + 30 * MINUTE];
            past.attempts(kind, row, "conversation", &ago);
        }
        _ => {}
    }
}

/// `campaigns.json`.
pub(super) fn plan() -> Value {
    let campaigns: Vec<Value> = Kind::ALL.iter().map(|kind| campaign(*kind)).collect();
    json!({"house": {"person_day_cap": 3, "min_gap_s": 20}, "campaigns": campaigns})
}

fn campaign(kind: Kind) -> Value {
    json!({
        "seller": kind.seller(),
        "name": kind.name(),
        "list": kind.list(),
        "purpose": kind.purpose(),
        "technology": kind.technology(),
        "announces": ["identity", "purpose_statement", "callback_number"],
        "caller_id": kind.caller_id(),
        "retry": {
            "busy": 20, "no_answer": 22, "unavailable": 25, "congestion": 20, "outcome_unknown": 30,
        },
        "max_tries": 4,
        "calls_per_second": 15.0,
        "max_concurrent": 500,
        "ring_timeout_ms": 15_000,
    })
}
