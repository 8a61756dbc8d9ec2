//! A node: the engine and what its driver would hold.

use std::{collections::VecDeque, time::Instant};

use dialer_engine::{Engine, Fences, Input};
use dialer_types::{Now, UnixMillis};

use crate::{stores::Incarnation, world::Links};

/// Something that waits for a paused node.
pub(crate) type Waiting = Input<'static>;

#[derive(Debug)]
pub(crate) struct Node<F: Fences> {
    pub(crate) at: Incarnation,
    pub(crate) engine: Option<Engine<F>>,
    /// How far its wall clock is off.
    pub(crate) skew_ms: i64,
    pub(crate) paused_until: u64,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) datagrams: VecDeque<(u8, Vec<u8>)>,
    /// When the next wake-up is already scheduled.
    pub(crate) wake_ms: Option<u64>,
    pub(crate) draining_since: Option<u64>,
    /// Opt-outs heard of.
    pub(crate) heard: usize,
    /// What it can reach of the stores.
    pub(crate) links: Links,
}

impl<F: Fences> Node<F> {
    pub(crate) fn now(&self, base: Base, at_ms: u64) -> Now {
        let offset = i64::try_from(at_ms).unwrap_or(i64::MAX);
        Now {
            wall: UnixMillis(base.wall.0 + offset + self.skew_ms),
            mono: base.mono + std::time::Duration::from_millis(at_ms),
        }
    }
}

/// Where virtual time starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base {
    pub(crate) wall: UnixMillis,
    pub(crate) mono: Instant,
}

impl Base {
    pub(crate) fn wall_at(&self, at_ms: u64) -> UnixMillis {
        UnixMillis(self.wall.0 + i64::try_from(at_ms).unwrap_or(i64::MAX))
    }
}
