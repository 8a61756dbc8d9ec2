//! Decides by brute force whether a call at a moment would have been lawful.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike};
use chrono_tz::Tz;
use dialer_types::{LineType, Outcome, PartyType, Purpose};

use super::{
    history::{History, Related},
    place::{Places, places},
    table::{CALENDAR_YEARS, CAPS, Cap, Counts, Hours, Key, Reach, Span, WINDOWS},
    world::{Campaign, Consent, Contact, World},
};

/// What kind of promise a call would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A cap or cool-down.
    Cap,
    /// Calling hours.
    Window,
    /// The sellers' own do-not-call entries.
    Suppression,
    /// A missing or revoked consent.
    Consent,
    /// A national list: hit, stale or absent.
    List,
    /// Wrong party, an obligation nobody carries out, a place without rules.
    Other,
}

/// One rule that denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Its id.
    pub rule: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Whether waiting helps.
    pub passes_with_time: bool,
}

/// How unfinished calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// By how they ended, whenever that was: for violations.
    Eventual,
    /// What could be known at the time; unfinished ones count everywhere: for what was due.
    AsKnown,
}

/// A number of a contact, with all that does not change while the log runs.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(super) contact: &'a Contact,
    pub(super) campaign: &'a Campaign,
    number: &'a str,
    line: LineType,
    pub(super) places: Places,
    pub(super) consents: &'a [Consent],
    related: Vec<Related>,
    /// (asked for, answered) of each suppression that names the number or the person.
    suppressed: Vec<(i64, i64)>,
}

/// The world and its past, ready to be asked.
#[derive(Debug)]
pub struct Judge<'a> {
    /// The world.
    pub world: &'a World,
    /// What happened in it.
    pub history: &'a History,
}

impl<'a> Judge<'a> {
    /// Gathers what concerns the `position`-th number of a contact.
    #[must_use]
    pub fn subject(&self, contact: &'a Contact, position: usize) -> Option<Subject<'a>> {
        let (number, line) = contact.numbers.get(position)?;
        let campaign = self.world.campaign_of(contact)?;
        let key = (campaign.seller.clone(), contact.external_id.clone());
        let suppressed = self
            .world
            .suppressions
            .iter()
            .filter(|entry| {
                let seller = entry.seller.as_ref().is_none_or(|seller| *seller == campaign.seller);
                let number = entry.number.as_ref() == Some(number);
                let person = entry.seller.is_some()
                    && entry.external_id.as_ref() == Some(&contact.external_id);
                seller && (number || person)
            })
            .filter_map(|entry| entry.at.map(|at| (at, entry.answered_at.unwrap_or(at))))
            .collect();
        Some(Subject {
            contact,
            campaign,
            number,
            line: *line,
            places: places(number, &contact.country, &contact.region, &contact.time_zone),
            consents: self.world.consents.get(&key).map_or(&[], Vec::as_slice),
            related: self.history.related(
                &campaign.seller,
                &contact.external_id,
                &contact.account,
                number,
            ),
            suppressed,
        })
    }

    /// Every rule that denies a call at `at`, seeing only the first `before` entries of the past.
    #[must_use]
    pub fn denials(
        &self,
        subject: &Subject<'_>,
        at: i64,
        before: usize,
        view: View,
    ) -> Vec<Denial> {
        let mut denials = Vec::new();
        let mut deny = |rule, kind, passes_with_time| {
            denials.push(Denial { rule, kind, passes_with_time });
        };
        let suppressed = subject.suppressed.iter().any(|(asked, answered)| match view {
            View::Eventual => *answered <= at,
            View::AsKnown => *asked <= at,
        });
        if suppressed {
            deny("suppression", Kind::Suppression, false);
        }
        if !subject.places.covered {
            deny("house.uncovered_place", Kind::Other, false);
        }
        for rule in subject.consents_missing(at) {
            deny(rule, Kind::Consent, false);
        }
        for rule in self.lists_against(subject, at) {
            deny(rule, Kind::List, false);
        }
        for rule in subject.other_faults() {
            deny(rule, Kind::Other, false);
        }
        if subject.places.partly {
            return denials;
        }
        let locals = locals(&subject.places.zones, at);
        for window in WINDOWS {
            let applies = subject.in_scope(window.place, window.purpose, window.reach)
                && (!window.consumer_only || subject.consumer());
            let open = !locals.is_empty()
                && locals.iter().all(|local| open(&window.hours, window.closed_on, *local));
            if applies && !open {
                deny(window.rule, Kind::Window, !locals.is_empty());
            }
        }
        for rule in self.caps_full(subject, at, before, view) {
            deny(rule, Kind::Cap, true);
        }
        denials
    }

    fn lists_against(&self, subject: &Subject<'_>, at: i64) -> Vec<&'static str> {
        let mut rules = Vec::new();
        if subject.campaign.purpose != Purpose::Telemarketing {
            return rules;
        }
        let today = utc(at).date();
        let bad = |id: &str, max_age: i64| {
            self.world.lists.get(id).is_none_or(|list| {
                (today - list.as_of).num_days() > max_age || list.numbers.contains(subject.number)
            })
        };
        let any_consent = subject.consent(at, |_| true);
        let written = subject.consent(at, |form| form == "prior_express_written");
        let places = &subject.places;
        if places.has("US")
            && subject.consumer()
            && !written
            && !subject.customer_within(today, 18, 3)
            && bad("us.national_dnc", 31)
        {
            rules.push("us.fcc.ndnc_scrub");
        }
        if places.has("GB") && !subject.robocall() && !any_consent {
            let business = !subject.consumer();
            if bad("uk.tps", 28) || (business && bad("uk.ctps", 28)) {
                rules.push("uk.pecr.live");
            }
        }
        if places.has("CA")
            && subject.consumer()
            && !any_consent
            && !subject.customer_within(today, 18, 6)
            && bad("ca.national_dncl", 31)
        {
            rules.push("ca.dncl");
        }
        if places.has("AU") && !any_consent && bad("au.dncr", 30) {
            rules.push("au.dncr");
        }
        rules
    }

    fn caps_full(
        &self,
        subject: &Subject<'_>,
        at: i64,
        before: usize,
        view: View,
    ) -> Vec<&'static str> {
        let mut rules = Vec::new();
        let past = Past { judge: self, subject, at, before, view };
        for cap in CAPS {
            let lifted = cap.lifted_by_consent && subject.consent(at, |_| true);
            let line = !cap.residential || (subject.landline() && subject.consumer());
            if subject.in_scope(cap.place, Some(cap.purpose), cap.reach)
                && line
                && !lifted
                && past.full(cap)
            {
                rules.push(cap.rule);
            }
        }
        let purpose = subject.campaign.purpose;
        if purpose == Purpose::DebtCollection
            && subject.places.has("US")
            && past.cooling(Key::Account, 7, &[Outcome::Conversation, Outcome::Refused])
        {
            rules.push("us.regf.post_conversation");
        }
        if purpose == Purpose::Telemarketing
            && subject.places.has("FR")
            && past.cooling(Key::Person, 61, &[Outcome::Refused])
        {
            rules.push("fr.refusal");
        }
        let house = self.world.plan.house;
        if past.house_count(Span::Day) >= house.person_day_cap {
            rules.push("house.person_day_cap");
        }
        if past.house_count(Span::Seconds(house.min_gap_s)) >= 1 {
            rules.push("house.min_gap");
        }
        rules
    }
}

/// The part of the past one question is about.
struct Past<'a> {
    judge: &'a Judge<'a>,
    subject: &'a Subject<'a>,
    at: i64,
    before: usize,
    view: View,
}

impl Past<'_> {
    fn entries(&self) -> impl Iterator<Item = (&Related, &super::history::Past)> {
        self.subject
            .related
            .iter()
            .filter(|related| related.index < self.before)
            .filter_map(|related| Some((related, self.judge.history.all.get(related.index)?)))
            .filter(|(_, past)| past.at <= self.at)
    }

    fn keyed(&self, key: Key, related: &Related) -> bool {
        match key {
            Key::Number => related.number,
            Key::Account if self.subject.contact.account.is_empty() => related.number,
            Key::Account => related.account,
            Key::Person => related.number || related.account || related.person,
        }
    }

    fn outcome(&self, past: &super::history::Past) -> Outcome {
        if self.view == View::AsKnown && past.known_at > self.at {
            Outcome::Pending
        } else if self.view == View::AsKnown && past.untold {
            Outcome::Unknown
        } else {
            past.outcome
        }
    }

    fn full(&self, cap: &Cap) -> bool {
        let zones = &self.subject.places.zones;
        cap.limits.iter().any(|(max, span)| {
            let dated = !matches!(span, Span::Seconds(_));
            if dated && zones.is_empty() {
                return true;
            }
            let count = |zone: Tz| {
                self.entries()
                    .filter(|(related, past)| {
                        self.keyed(cap.key, related)
                            && !past.inbound
                            && past.seller == self.subject.campaign.seller
                            && past.purpose == cap.purpose
                            && cap.reach.has(past.technology)
                            && counted(cap.counts, self.outcome(past))
                            && within(*span, past.at, self.at, zone)
                    })
                    .count()
            };
            let zones = if dated { zones.as_slice() } else { &[Tz::UTC] };
            zones.iter().any(|zone| count(*zone) >= usize::try_from(*max).unwrap_or(usize::MAX))
        })
    }

    fn cooling(&self, key: Key, dates: i64, starts: &[Outcome]) -> bool {
        let zones = &self.subject.places.zones;
        self.entries().any(|(related, past)| {
            self.keyed(key, related)
                && past.seller == self.subject.campaign.seller
                && past.purpose == self.subject.campaign.purpose
                && (starts.contains(&past.outcome) || self.outcome(past) == Outcome::Unknown)
                && past.talked_at.unwrap_or(past.at) <= self.at
                && zones.iter().any(|zone| within(Span::Dates(dates), past.at, self.at, *zone))
        })
    }

    fn house_count(&self, span: Span) -> u32 {
        let count = |zone: Tz| {
            self.entries()
                .filter(|(related, past)| {
                    self.keyed(Key::Person, related)
                        && !past.inbound
                        && within(span, past.at, self.at, zone)
                })
                .count()
        };
        let most = match span {
            Span::Seconds(_) => count(Tz::UTC),
            _ => self.subject.places.zones.iter().map(|zone| count(*zone)).max().unwrap_or(0),
        };
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

impl Subject<'_> {
    /// The number, E.164.
    #[must_use]
    pub const fn number(&self) -> &str {
        self.number
    }

    pub(super) fn consumer(&self) -> bool {
        self.contact.party == PartyType::Consumer
    }

    pub(super) fn wireless(&self) -> bool {
        matches!(self.line, LineType::Wireless | LineType::Unknown)
    }

    pub(super) fn landline(&self) -> bool {
        self.line != LineType::Wireless
    }

    pub(super) fn robocall(&self) -> bool {
        Reach::Robocall.has(self.campaign.technology)
    }

    fn in_scope(&self, place: &str, purpose: Option<Purpose>, reach: Reach) -> bool {
        self.places.has(place)
            && purpose.is_none_or(|purpose| purpose == self.campaign.purpose)
            && reach.has(self.campaign.technology)
    }

    /// A consent that covers the call and whose form is good enough.
    pub(super) fn consent(&self, at: i64, form: impl Fn(&str) -> bool) -> bool {
        self.consents.iter().any(|consent| self.covers(consent, at) && form(&consent.form))
    }

    pub(super) fn covers(&self, consent: &Consent, at: i64) -> bool {
        consent.purpose == self.campaign.purpose
            && consent.technology.is_none_or(|technology| technology == self.campaign.technology)
            && consent.at <= at
            && consent.revoked_at.is_none_or(|revoked| revoked > at)
    }

    fn customer_within(&self, today: NaiveDate, customer: u32, inquiry: u32) -> bool {
        self.contact.relationship.as_ref().is_some_and(|(kind, since)| {
            let months = if kind == "existing_customer" { customer } else { inquiry };
            since.checked_add_months(Months::new(months)).is_some_and(|until| until >= today)
        })
    }
}

fn counted(counts: Counts, outcome: Outcome) -> bool {
    let unknown = matches!(outcome, Outcome::Pending | Outcome::Unknown);
    unknown
        || match counts {
            Counts::All => true,
            Counts::Connected => !matches!(outcome, Outcome::Busy | Outcome::Sit | Outcome::Failed),
            Counts::Live => {
                matches!(outcome, Outcome::Conversation | Outcome::Refused | Outcome::Abandoned)
            }
        }
}

fn utc(at: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(at).unwrap_or_default().naive_utc()
}

fn local(zone: Tz, at: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(at).unwrap_or_default().with_timezone(&zone).naive_local()
}

fn locals(zones: &[Tz], at: i64) -> Vec<NaiveDateTime> {
    zones.iter().map(|zone| local(*zone, at)).collect()
}

fn open(hours: &Hours, closed_on: Option<&[&str]>, local: NaiveDateTime) -> bool {
    if let Some(days) = closed_on {
        let known = CALENDAR_YEARS.contains(&local.year());
        let today = local.date().to_string();
        if !known || days.contains(&today.as_str()) {
            return false;
        }
    }
    let day = usize::try_from(local.weekday().num_days_from_monday()).unwrap_or(0);
    let second = local.num_seconds_from_midnight();
    hours.get(day).is_some_and(|intervals| {
        intervals.iter().any(|(from, to)| (from * 60..to * 60).contains(&second))
    })
}

/// Whether an attempt at `past` still counts at `now`.
fn within(span: Span, past: i64, now: i64, zone: Tz) -> bool {
    if past > now {
        return false;
    }
    if let Span::Seconds(seconds) = span {
        return now < past + seconds * 1000;
    }
    let (then, today) = (local(zone, past).date(), local(zone, now).date());
    match span {
        Span::Seconds(_) => false,
        Span::Dates(dates) => (today - then).num_days() < dates,
        Span::Day => then == today,
        Span::Week => then.iso_week() == today.iso_week(),
        Span::Month => (then.year(), then.month()) == (today.year(), today.month()),
    }
}

/// Contacts by campaign name and number, to find out whom an INVITE was for.
#[derive(Debug, Default)]
pub struct Directory {
    by_number: HashMap<String, Vec<usize>>,
}

impl Directory {
    /// An index over a world.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut by_number: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, contact) in world.contacts.iter().enumerate() {
            for (number, _) in &contact.numbers {
                let entry = by_number.entry(number.clone()).or_default();
                if entry.last() != Some(&index) {
                    entry.push(index);
                }
            }
        }
        Self { by_number }
    }

    /// Every contact a call to this number in this campaign may have been for. Without a campaign
    /// on the wire: in any campaign.
    #[must_use]
    pub fn candidates(&self, world: &World, number: &str, campaign: Option<&str>) -> Vec<usize> {
        let all = self.by_number.get(number).map_or(&[][..], Vec::as_slice);
        all.iter()
            .copied()
            .filter(|&index| {
                let named = world.contacts.get(index).and_then(|c| world.campaign_of(c));
                campaign.is_none_or(|name| named.is_some_and(|found| found.name == name))
            })
            .collect()
    }
}
