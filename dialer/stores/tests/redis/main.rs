//! The way to Redis against real servers: one, a cluster, Sentinels; with TLS and with a user of few
//! rights.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod cluster;
mod memory;
mod rights;
mod sentinel;
mod single;
mod tls;

use dialer_limiter::{Demand, Entry, Head, Token};
use dialer_stores::Redis;
use dialer_types::{
    CampaignNo, Outcome, PlacementId, Purpose, SellerNo, SubjectId, Technology, UnixMillis,
};
use schema::{
    config::{self, Login, Place, RedisWay, Secret},
    heads::Moved,
    testing::{PrivateRedis, RedisOptions},
};

pub(crate) fn entry(key: u64) -> Entry {
    Entry {
        key,
        at_seconds: 1_795_000_000,
        seller: SellerNo(3),
        campaign: CampaignNo(300),
        purpose: Purpose::Telemarketing,
        technology: Technology::Prerecorded,
        outcome: Outcome::NoAnswer,
        inbound: false,
    }
}

/// A head at `token` with so many entries.
pub(crate) fn head(token: u128, entries: u64) -> Head {
    (0..entries).fold(Head::new(Token(token)), |head, key| {
        head.with_entry(Token(token), entry(key), UnixMillis(0)).unwrap()
    })
}

/// A demand of a placement that was judged on heads at these tokens.
pub(crate) fn demand(placement: u128, judged: &[(i64, u128)]) -> Demand {
    let heads: Vec<_> =
        judged.iter().map(|(subject, token)| (SubjectId(*subject), head(*token, 2))).collect();
    let entry = Entry { outcome: Outcome::Pending, ..entry(9) };
    Demand::new(PlacementId(placement), &heads, entry, UnixMillis(0)).unwrap()
}

pub(crate) async fn load(redis: &Redis, heads: &[(i64, u128)]) {
    let heads: Vec<_> =
        heads.iter().map(|(subject, token)| (SubjectId(*subject), head(*token, 2), true)).collect();
    redis.load(&heads).await.unwrap();
}

/// The tokens of the copies; 0 where there is none.
pub(crate) async fn tokens(redis: &Redis, subjects: &[i64]) -> Vec<u128> {
    let subjects: Vec<_> = subjects.iter().copied().map(SubjectId).collect();
    let copies = redis.read(&subjects).await.unwrap();
    let token = |bytes: Vec<u8>| Head::decode(&bytes).unwrap().token().0;
    copies.into_iter().map(|copy| copy.map_or(0, token)).collect()
}

pub(crate) fn moved(subject: i64, from: u128, to: u128) -> Moved {
    Moved { subject: SubjectId(subject), from: Token(from), head: head(to, 2) }
}

pub(crate) fn with(settings: &[&str]) -> PrivateRedis {
    let settings = settings.iter().map(|line| (*line).to_owned()).collect();
    PrivateRedis::with(RedisOptions { settings, ..RedisOptions::default() }).unwrap()
}

pub(crate) fn many(way: RedisWay, password: &str) -> config::Redis {
    let login = Login { username: None, password: Some(Secret::new(password.to_owned())) };
    config::Redis { way, login, tls: false, ca: None }
}

pub(crate) fn places(texts: &[String]) -> Vec<Place> {
    texts.iter().map(|text| Place::parse(text).unwrap()).collect()
}

/// How often a command was called, as Redis counts it.
pub(crate) fn calls(redis: &PrivateRedis, command: &str) -> u64 {
    let stats = redis.ask(&["INFO commandstats"]).unwrap();
    let line =
        stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}
