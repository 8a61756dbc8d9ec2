//! A small world and wire logs made by hand, for the checker's tests.

use std::collections::{HashMap, HashSet};

use chrono::DateTime;
use dialer_types::{LineType, Outcome, PartyRole, PartyType, Purpose, Technology};
use loadtest::{
    checker::{
        self, Timing,
        audit::Export,
        report::Report,
        world::{
            Campaign, Consent, Contact, Earlier, House, NationalList, Plan, Suppression, World,
        },
    },
    wirelog::{Datagram, Direction},
};

/// Milliseconds of an RFC 3339 text.
pub(crate) fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

/// Tuesday, 10:00 in New York, 15:00 in London, 16:00 in Paris.
pub(crate) const NOON: &str = "2026-12-01T15:00:00Z";

pub(crate) fn campaign(name: &str, purpose: Purpose, technology: Technology) -> Campaign {
    Campaign {
        seller: "Sunrise".to_owned(),
        name: name.to_owned(),
        list: format!("{name}.csv"),
        purpose,
        technology,
        announces: ["identity", "purpose_statement", "callback_number"].map(str::to_owned).to_vec(),
        caller_id: "+33162000100".to_owned(),
        retry: HashMap::from([("busy".to_owned(), 30), ("no_answer".to_owned(), 30)]),
        max_tries: 9,
        calls_per_second: 5.0,
        ring_timeout_ms: 15_000,
    }
}

pub(crate) fn contact(id: &str, number: &str, country: &str, region: &str) -> Contact {
    Contact {
        campaign: 0,
        external_id: id.to_owned(),
        numbers: vec![(number.to_owned(), LineType::Landline)],
        country: country.to_owned(),
        region: region.to_owned(),
        time_zone: String::new(),
        account: String::new(),
        party: PartyType::Consumer,
        role: PartyRole::Principal,
        relationship: None,
    }
}

/// One campaign, one contact, fresh and empty lists, no past.
pub(crate) fn world(purpose: Purpose, technology: Technology, contact: Contact) -> World {
    let list = NationalList { as_of: "2026-11-25".parse().unwrap(), numbers: HashSet::new() };
    let ids = ["us.national_dnc", "uk.tps", "uk.ctps", "ca.national_dncl", "au.dncr"];
    World {
        plan: Plan {
            house: House { person_day_cap: 3, min_gap_s: 20 },
            campaigns: vec![campaign("sales", purpose, technology)],
        },
        contacts: vec![contact],
        consents: HashMap::new(),
        suppressions: Vec::new(),
        earlier: Vec::new(),
        lists: ids.map(|id| (id.to_owned(), list.clone())).into_iter().collect(),
        rows_without_number: 0,
    }
}

impl Plant for World {
    fn consent(mut self, form: &str, technology: Option<Technology>) -> Self {
        let campaign = &self.plan.campaigns[0];
        let key = (campaign.seller.clone(), self.contacts[0].external_id.clone());
        self.consents.entry(key).or_default().push(Consent {
            form: form.to_owned(),
            purpose: campaign.purpose,
            technology,
            at: at("2026-01-01T00:00:00Z"),
            revoked_at: None,
        });
        self
    }

    fn revoked(mut self, when: &str) -> Self {
        for consent in self.consents.values_mut().flatten() {
            consent.revoked_at = Some(at(when));
        }
        self
    }

    fn earlier(mut self, outcome: Outcome, times: &[&str]) -> Self {
        let (campaign, contact) = (&self.plan.campaigns[0], &self.contacts[0]);
        for time in times {
            self.earlier.push(Earlier {
                seller: campaign.seller.clone(),
                number: contact.numbers[0].0.clone(),
                external_id: Some(contact.external_id.clone()),
                account: Some(contact.account.clone()),
                inbound: false,
                purpose: campaign.purpose,
                technology: campaign.technology,
                outcome,
                at: Some(at(time)),
            });
        }
        self
    }

    fn suppressed(mut self, number: Option<&str>, person: Option<&str>, when: &str) -> Self {
        self.suppressions.push(Suppression {
            seller: person.map(|_| "Sunrise".to_owned()),
            number: number.map(str::to_owned),
            external_id: person.map(str::to_owned),
            at: Some(at(when)),
            answered_at: None,
        });
        self
    }
}

/// Adding to a world.
pub(crate) trait Plant: Sized {
    fn consent(self, form: &str, technology: Option<Technology>) -> Self;
    fn revoked(self, when: &str) -> Self;
    fn earlier(self, outcome: Outcome, times: &[&str]) -> Self;
    fn suppressed(self, number: Option<&str>, person: Option<&str>, when: &str) -> Self;
}

/// A wire log in the making.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) log: Vec<Datagram>,
    calls: usize,
}

impl Wire {
    fn push(&mut self, t: i64, dir: Direction, raw: String) {
        let peer = "127.0.0.1:5060".parse().unwrap();
        self.log.push(Datagram { t_us: t * 1000, dir, peer, raw: raw.into_bytes() });
        self.log.sort_by_key(|datagram| datagram.t_us);
    }

    /// An INVITE under a given Call-ID, branch and CSeq.
    pub(crate) fn invite(&mut self, t: i64, number: &str, call: &str, branch: &str, cseq: u32) {
        self.push(
            t,
            Direction::In,
            format!(
                "INVITE sip:{number}@127.0.0.1:5070 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch}\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:{number}@127.0.0.1>\r\nCall-ID: {call}\r\n\
                 CSeq: {cseq} INVITE\r\nX-Ringfence-Campaign: sales\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }

    /// A response to it.
    pub(crate) fn respond(&mut self, t: i64, status: u16, call: &str, branch: &str, cseq: u32) {
        self.push(
            t,
            Direction::Out,
            format!(
                "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch}\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:x@127.0.0.1>;tag=2\r\nCall-ID: {call}\r\n\
                 CSeq: {cseq} INVITE\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }

    pub(crate) fn bye(&mut self, t: i64, call: &str) {
        self.push(
            t,
            Direction::In,
            format!("BYE sip:x@y SIP/2.0\r\nCall-ID: {call}\r\nCSeq: 2 BYE\r\n\r\n"),
        );
    }

    /// A whole call that ends with `status` two seconds later (a 200 with a BYE a second after it).
    pub(crate) fn call(mut self, when: &str, number: &str, status: u16) -> Self {
        self.calls += 1;
        let (call, t) = (format!("call-{}", self.calls), at(when));
        self.invite(t, number, &call, &call, 1);
        self.respond(t + 100, 180, &call, &call, 1);
        self.respond(t + 2000, status, &call, &call, 1);
        if status < 300 {
            self.bye(t + 3000, &call);
        }
        self
    }
}

/// The checker's word on it; the run ends with `end`.
pub(crate) fn judge(world: &World, wire: &Wire, end: &str) -> Report {
    judge_with(world, wire, end, None)
}

pub(crate) fn judge_with(world: &World, wire: &Wire, end: &str, export: Option<&Export>) -> Report {
    let (start, end) = (at(NOON), at(end));
    checker::check(world, &wire.log, export, |_, _| Timing {
        start,
        counts_from: start,
        end,
        slack: 15_000,
    })
}

/// The rules of the listed violations, sorted and each once.
pub(crate) fn rules(report: &Report) -> Vec<&str> {
    let mut rules: Vec<_> = report.violations.iter().map(|v| v.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
