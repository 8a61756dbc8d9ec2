//! Which node of a cluster serves which slot. The nodes say so themselves: the map here only saves
//! the way over a node that sends one on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Value;
use schema::config::Place;

use crate::{
    RedisError,
    clock::mono,
    node::{ASKING, Door, Node, Role, holder, text},
};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;
/// While slots move, every answer sends one on: the map is not asked for more often than this.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Cluster {
    seeds: Vec<Place>,
    door: Door,
    map: Mutex<Arc<Map>>,
    /// Kept from map to map, with their connections.
    nodes: Mutex<BTreeMap<Place, Arc<Node>>>,
    doubted: AtomicBool,
    asking: tokio::sync::Mutex<()>,
    moves: AtomicU64,
}

#[derive(Debug, Default)]
struct Map {
    /// First and last slot, and who serves them; in order, without a gap.
    ranges: Vec<(u16, u16, Arc<Node>)>,
    asked: Option<Instant>,
}

impl Map {
    fn node(&self, slot: u16) -> Option<Arc<Node>> {
        let at = self.ranges.partition_point(|(_, last, _)| *last < slot);
        self.ranges.get(at).map(|(_, _, node)| Arc::clone(node))
    }

    fn masters(&self) -> Vec<Arc<Node>> {
        let masters: BTreeMap<_, _> =
            self.ranges.iter().map(|(_, _, node)| (&node.place, node)).collect();
        masters.into_values().cloned().collect()
    }
}

impl Cluster {
    pub(crate) fn new(seeds: &[Place], door: Door) -> Self {
        Self {
            seeds: seeds.to_vec(),
            door,
            map: Mutex::default(),
            nodes: Mutex::default(),
            doubted: AtomicBool::new(true),
            asking: tokio::sync::Mutex::default(),
            moves: AtomicU64::new(0),
        }
    }

    /// Who serves a slot; without one, any master.
    pub(crate) async fn node(&self, slot: Option<u16>) -> Result<Arc<Node>, RedisError> {
        let map = self.map(false).await?;
        let slot = slot.unwrap_or(0);
        map.node(slot).ok_or(RedisError::Uncovered(slot))
    }

    /// Every master; `fresh`: by what the nodes say now.
    pub(crate) async fn masters(&self, fresh: bool) -> Result<Vec<Arc<Node>>, RedisError> {
        Ok(self.map(fresh).await?.masters())
    }

    /// A node at a place that another one named.
    pub(crate) fn at(&self, place: &Place) -> Result<Arc<Node>, RedisError> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(place) {
            return Ok(Arc::clone(node));
        }
        let node = Arc::new(holder(&self.door, place, Role::Any)?);
        nodes.insert(place.clone(), Arc::clone(&node));
        Ok(node)
    }

    /// Somebody was sent on, or did not reach a node: the map is asked for before the next command.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }

    /// Counts changes of the map.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    fn held(&self) -> Arc<Map> {
        Arc::clone(&self.map.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn map(&self, fresh: bool) -> Result<Arc<Map>, RedisError> {
        if !fresh && !self.doubted.load(Ordering::Acquire) {
            return Ok(self.held());
        }
        let came = mono();
        let _one = self.asking.lock().await;
        let held = self.held();
        let young = |asked: Instant| {
            asked >= came || (!fresh && came.saturating_duration_since(asked) < PAUSE)
        };
        if held.asked.is_some_and(young) {
            return Ok(held);
        }
        self.doubted.store(false, Ordering::Release);
        let map = self.ask_all().await.inspect_err(|_| self.doubt())?;
        let places = |map: &Map| -> Vec<_> {
            map.ranges.iter().map(|(from, to, node)| (*from, *to, node.place.clone())).collect()
        };
        if places(&held) != places(&map) {
            self.moves.fetch_add(1, Ordering::AcqRel);
        }
        self.keep_only(&map);
        let map = Arc::new(map);
        *self.map.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&map);
        Ok(map)
    }

    /// Masters first: they are known to be there. The first whole answer holds.
    async fn ask_all(&self) -> Result<Map, RedisError> {
        let mut places: Vec<_> =
            self.held().masters().iter().map(|node| node.place.clone()).collect();
        for seed in &self.seeds {
            if !places.contains(seed) {
                places.push(seed.clone());
            }
        }
        let mut last = RedisError::Uncovered(0);
        for place in places {
            let node = self.at(&place)?;
            let mut command = redis::cmd("CLUSTER");
            let asked = mono();
            let answer = tokio::time::timeout(ASKING, node.send(command.arg("SLOTS"))).await;
            match answer.unwrap_or(Err(RedisError::Late)).and_then(|said| self.read(said, &place)) {
                Ok(ranges) => return Ok(Map { ranges, asked: Some(asked) }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// `[[first, last, [host, port, ..], replica..]..]`; without a host, the one that was asked.
    fn read(&self, said: Value, asked: &Place) -> Result<Vec<(u16, u16, Arc<Node>)>, RedisError> {
        let strange = || RedisError::Strange("CLUSTER SLOTS");
        let Value::Array(rows) = said else { return Err(strange()) };
        let mut ranges = Vec::with_capacity(rows.len());
        for row in rows {
            let Value::Array(row) = row else { return Err(strange()) };
            let mut row = row.into_iter();
            let (Some(Value::Int(first)), Some(Value::Int(last)), Some(Value::Array(master))) =
                (row.next(), row.next(), row.next())
            else {
                return Err(strange());
            };
            let mut master = master.into_iter();
            let host = master.next().and_then(text).filter(|host| !host.is_empty());
            let Some(Value::Int(port)) = master.next() else { return Err(strange()) };
            let place = Place {
                host: host.unwrap_or_else(|| asked.host.clone()),
                port: u16::try_from(port).map_err(|_| strange())?,
            };
            let slot = |slot: i64| u16::try_from(slot).map_err(|_| strange());
            ranges.push((slot(first)?, slot(last)?, self.at(&place)?));
        }
        ranges.sort_by_key(|(first, ..)| *first);
        let mut next = 0;
        for (first, last, _) in &ranges {
            if *first != next {
                return Err(RedisError::Uncovered(next));
            }
            next = last.saturating_add(1);
        }
        if next < SLOTS { Err(RedisError::Uncovered(next)) } else { Ok(ranges) }
    }

    /// Nodes that serve nothing any more are let go, but for those that are asked first.
    fn keep_only(&self, map: &Map) {
        let masters = map.masters();
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|place, _| {
            self.seeds.contains(place) || masters.iter().any(|node| node.place == *place)
        });
    }
}

/// The slot of a key without a hash tag: CRC-16 (XMODEM) modulo 16384.
pub(crate) fn slot_of(key: &str) -> u16 {
    let step = |crc: u16, byte: u8| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    };
    key.bytes().fold(0, step) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_one_that_redis_computes() {
        // CLUSTER KEYSLOT of redis 7.0.15.
        for (key, slot) in [("123456789", 12_739), ("rf2:1", 167), ("foo", 12_182)] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }
}
