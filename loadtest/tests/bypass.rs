//! The positive control at full size: a dialer without a gate calls a whole made world, and the
//! checker finds every call that should not have been.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
};

use dialer_types::Purpose;
use loadtest::{
    checker::{
        self, Timing,
        report::Report,
        world::{Contact, World},
    },
    made,
    wirelog::{Datagram, Direction},
};

/// Tuesday, 2026-12-01, 15:30 UTC.
const AFTERNOON: i64 = 1_796_139_000_000;
/// The Wednesday after it, 03:00 UTC: Britain and France sleep.
const NIGHT: i64 = AFTERNOON + 41_400_000;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn world(name: &str) -> (Folder, World) {
    let path = std::env::temp_dir().join(format!("bypass-{name}-{}", std::process::id()));
    made::make(&path, 300, 5, AFTERNOON).unwrap();
    let world = World::load(&path).unwrap();
    (Folder(path), world)
}

/// Calls the first number of every contact at each of these times, whatever any rule says.
fn call_everybody(world: &World, times: &[i64]) -> Vec<Datagram> {
    let mut log = Vec::new();
    for &t in times {
        for (index, contact) in world.contacts.iter().enumerate() {
            let (number, campaign) = (first(contact), &world.campaign_of(contact).unwrap().name);
            let call = format!("call-{index}-{t}");
            let raw = format!(
                "INVITE sip:{number}@127.0.0.1:5070 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{call}\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:{number}@127.0.0.1>\r\nCall-ID: {call}\r\n\
                 CSeq: 1 INVITE\r\nX-Ringfence-Campaign: {campaign}\r\nContent-Length: 0\r\n\r\n"
            );
            let peer = "127.0.0.1:5060".parse().unwrap();
            log.push(Datagram { t_us: t * 1000, dir: Direction::In, peer, raw: raw.into_bytes() });
        }
    }
    log
}

fn first(contact: &Contact) -> &str {
    &contact.numbers.first().unwrap().0
}

fn check(world: &World, times: &[i64]) -> Report {
    let log = call_everybody(world, times);
    let (start, end) = (times[0], times[times.len() - 1] + 60_000);
    checker::check(world, &log, None, |_, _| Timing {
        start,
        counts_from: start,
        end,
        slack: 15_000,
    })
}

#[test]
fn every_call_after_the_first_within_seconds_breaks_a_cap_and_is_found() {
    let (_folder, world) = world("caps");
    let times: Vec<i64> = (0..4).map(|second| AFTERNOON + second * 1_000).collect();
    let mut calls: HashMap<&str, usize> = HashMap::new();
    for contact in &world.contacts {
        *calls.entry(first(contact)).or_default() += times.len();
    }
    let too_many: usize = calls.values().map(|calls| calls - 1).sum();
    let report = check(&world, &times);
    assert!(report.cap_violations >= too_many, "{} of {too_many}", report.cap_violations);
}

#[test]
fn every_call_to_a_suppressed_number_is_found() {
    let (_folder, world) = world("suppressed");
    let suppressed: HashSet<&str> = world
        .suppressions
        .iter()
        .filter(|entry| entry.seller.is_none() && entry.at.is_some_and(|at| at <= AFTERNOON))
        .filter_map(|entry| entry.number.as_deref())
        .collect();
    let called =
        world.contacts.iter().filter(|contact| suppressed.contains(first(contact))).count();
    assert!(called > 0, "the made world has suppressed numbers");
    let report = check(&world, &[AFTERNOON]);
    assert!(
        report.suppression_violations >= called,
        "{} of {called}",
        report.suppression_violations
    );
}

#[test]
fn every_sales_call_into_the_european_night_is_found() {
    let (_folder, world) = world("night");
    let asleep = world
        .contacts
        .iter()
        .filter(|contact| world.campaign_of(contact).unwrap().purpose == Purpose::Telemarketing)
        .filter(|contact| first(contact).starts_with("+44") || first(contact).starts_with("+33"))
        .count();
    assert!(asleep > 0, "the made world has British and French numbers");
    let report = check(&world, &[NIGHT]);
    assert!(report.window_violations >= asleep, "{} of {asleep}", report.window_violations);
}

#[test]
fn every_sales_call_into_france_without_any_consent_is_found() {
    let (_folder, world) = world("consent");
    let unasked = world
        .contacts
        .iter()
        .filter(|contact| first(contact).starts_with("+33"))
        .filter(|contact| {
            let campaign = world.campaign_of(contact).unwrap();
            let key = (campaign.seller.clone(), contact.external_id.clone());
            campaign.purpose == Purpose::Telemarketing
                && world.consents.get(&key).is_none_or(Vec::is_empty)
        })
        .count();
    assert!(unasked > 0, "the made world has French people who were never asked");
    let report = check(&world, &[AFTERNOON]);
    assert!(report.consent_violations >= unasked, "{} of {unasked}", report.consent_violations);
}
