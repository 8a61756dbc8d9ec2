//! The master that the Sentinels name. All of them are asked; a majority of all there are must name
//! the same server, and that server must say that it is a master. What they said holds for a second.
//!
//! Why a majority, when each Sentinel repeats what a majority elected: one that was cut off, or that
//! somebody told otherwise, names a master of the past for as long as nobody tells it better, and
//! that master takes writes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::Value;
use schema::config::{Login, Place};

use crate::{
    RedisError,
    clock::mono,
    node::{ASKING, Door, Node, Role, holder, text},
};

/// How long the word of the Sentinels holds. The dialer's probe asks anew before that, so that no
/// reservation waits for them.
const HOLDS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Sentinel {
    sentinels: Vec<Node>,
    service: String,
    door: Door,
    known: Mutex<Known>,
    asking: tokio::sync::Mutex<()>,
    moves: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    master: Option<Arc<Node>>,
    /// Since when, while it holds.
    since: Option<Instant>,
}

impl Sentinel {
    pub(crate) fn new(
        sentinels: &[Place],
        service: &str,
        login: &Login,
        door: Door,
    ) -> Result<Self, RedisError> {
        let theirs = Door { login: login.clone(), ..door.clone() };
        let sentinels = sentinels
            .iter()
            .map(|place| Ok(Node::new(place.clone(), theirs.client(place)?, Role::Any, ASKING)))
            .collect::<Result<_, RedisError>>()?;
        let (known, asking, moves) = (Mutex::default(), tokio::sync::Mutex::default(), 0.into());
        Ok(Self { sentinels, service: service.to_owned(), door, known, asking, moves })
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The master, if one was named since `after`.
    fn named_since(&self, after: Option<Instant>) -> Option<Arc<Node>> {
        self.known(|known| {
            let since = known.since.filter(|since| after.is_none_or(|after| *since >= after))?;
            let holds = mono().saturating_duration_since(since) < HOLDS;
            known.master.clone().filter(|_| holds)
        })
    }

    /// The master; `fresh`: by what the Sentinels say now.
    pub(crate) async fn master(&self, fresh: bool) -> Result<Arc<Node>, RedisError> {
        if !fresh && let Some(master) = self.named_since(None) {
            return Ok(master);
        }
        let came = mono();
        let _one = self.asking.lock().await;
        if let Some(master) = self.named_since(Some(came)) {
            return Ok(master);
        }
        let since = mono();
        let found = self.find().await;
        self.known(|known| known.since = found.as_ref().ok().map(|_| since));
        found
    }

    /// The connection failed, or it says that it is no master: whatever was known holds no more.
    pub(crate) fn doubt(&self) {
        self.known(|known| known.since = None);
    }

    /// Counts changes of the master.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    async fn find(&self) -> Result<Arc<Node>, RedisError> {
        let place = self.named().await?;
        let before = self.known(|known| known.master.clone());
        let master = match before.filter(|master| master.place == place) {
            Some(master) => master,
            None => {
                tracing::info!(master = %place, service = %self.service, "the Sentinels name a master");
                let master = Arc::new(holder(&self.door, &place, Role::NamedMaster)?);
                self.known(|known| known.master = Some(Arc::clone(&master)));
                self.moves.fetch_add(1, Ordering::AcqRel);
                master
            }
        };
        // Asked each time: a master that was made a replica keeps its connections, if the one who did
        // it was no Sentinel.
        master.check_role().await?;
        Ok(master)
    }

    /// What a majority of all the Sentinels says. Slow ones are not waited for once there is one.
    async fn named(&self) -> Result<Place, RedisError> {
        let majority = self.sentinels.len() / 2 + 1;
        let mut answers: FuturesUnordered<_> =
            self.sentinels.iter().map(|sentinel| self.ask(sentinel)).collect();
        let mut named: BTreeMap<Place, usize> = BTreeMap::new();
        let (mut unknown, mut last) = (0, String::new());
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Some(place)) => {
                    let count = named.entry(place.clone()).or_default();
                    *count += 1;
                    if *count >= majority {
                        return Ok(place);
                    }
                }
                Ok(None) => unknown += 1,
                Err(error) => last = error.to_string(),
            }
        }
        let answered = named.values().sum::<usize>() + unknown;
        if unknown >= majority {
            return Err(RedisError::NoService(self.service.clone()));
        }
        if answered < majority {
            return Err(RedisError::NoMajority { answered, of: self.sentinels.len(), last });
        }
        let mut said: Vec<_> = named.iter().map(|(place, by)| format!("{place}: {by}")).collect();
        if unknown > 0 {
            said.push(format!("none: {unknown}"));
        }
        Err(RedisError::Contradiction(format!("{} of {}", said.join(", "), self.sentinels.len())))
    }

    async fn ask(&self, sentinel: &Node) -> Result<Option<Place>, RedisError> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer = tokio::time::timeout(ASKING, sentinel.send(&command)).await;
        match answer.map_err(|_| RedisError::Late)?? {
            Value::Nil => Ok(None),
            Value::Array(parts) => {
                let mut parts = parts.into_iter().filter_map(text);
                let place = parts.next().zip(parts.next().and_then(|port| port.parse().ok()));
                let (host, port) = place.ok_or(RedisError::Strange("a Sentinel"))?;
                Ok(Some(Place { host, port }))
            }
            _ => Err(RedisError::Strange("a Sentinel")),
        }
    }
}
