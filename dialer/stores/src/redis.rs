//! Redis, whichever way it is reached.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dialer_types::UnixMillis;
use redis::{Cmd, Pipeline, Value, aio::PubSub};
use schema::config::{self, Place, RedisWay, StoreUrl};

use crate::{
    LAPSE, PATIENCE, RedisError,
    cluster::{Cluster, slot_of},
    node::{Door, Node, Role},
    sentinel::Sentinel,
};

/// How often one command may be sent: once to the wrong node, once more where a slot moves, once for
/// functions that are missing, once over a new connection.
const TRIES: u32 = 5;
/// Until a slot whose keys lie on two nodes has moved on.
const MOVING: Duration = Duration::from_millis(20);

#[derive(Debug)]
enum Way {
    Single(Arc<Node>),
    Sentinel(Sentinel),
    Cluster(Cluster),
}

/// Redis by connections that many tasks share. A connection that failed is made anew.
#[derive(Debug)]
pub struct Redis {
    way: Way,
    /// The database's number: 0 but where a URL names another.
    pub(crate) database: i64,
    /// See [`LAPSE`]: milliseconds, 0 for never.
    pub(crate) lapse: AtomicU64,
    full: AtomicBool,
    /// What keeps it away, as it was last logged.
    said: Mutex<Option<String>>,
}

/// What a command may be sent to again after a connection broke, not knowing whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Twice is as good as once.
    Harmless,
    /// Twice is something else.
    Never,
}

impl Redis {
    /// One server by its URL. Nothing is connected yet.
    ///
    /// # Errors
    /// If the URL is not one.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        let mut config = config::Redis::single(StoreUrl::new(url.to_owned()));
        config.tls = url.starts_with("rediss://");
        Self::reach(&config)
    }

    /// The way that `[redis]` describes. Nothing is connected yet.
    ///
    /// # Errors
    /// If a URL or a certificate is not one.
    pub fn reach(config: &config::Redis) -> Result<Self, RedisError> {
        let door = Door { login: config.login.clone(), tls: config.tls, ca: config.ca.clone() };
        let mut database = 0;
        let way = match &config.way {
            RedisWay::Single(url) => {
                let (client, place, number) = door.by_url(url)?;
                database = number;
                Way::Single(Arc::new(Node::new(place, client, Role::Master, PATIENCE)))
            }
            RedisWay::Sentinel { sentinels, service, login } => {
                Way::Sentinel(Sentinel::new(sentinels, service, login, door)?)
            }
            RedisWay::Cluster(seeds) => {
                let cluster = Cluster::new(seeds, door);
                seeds.iter().try_for_each(|seed| cluster.at(seed).map(|_| ()))?;
                Way::Cluster(cluster)
            }
        };
        let lapse = u64::try_from(LAPSE.as_millis()).unwrap_or(u64::MAX).into();
        let (full, said) = (false.into(), Mutex::default());
        Ok(Self { way, database, lapse, full, said })
    }

    /// The slot that a key lies in; `None` where all keys lie together.
    pub(crate) fn slot(&self, key: &str) -> Option<u16> {
        matches!(self.way, Way::Cluster(_)).then(|| slot_of(key))
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }

    async fn node(&self, slot: Option<u16>) -> Result<Arc<Node>, RedisError> {
        match &self.way {
            Way::Single(node) => Ok(Arc::clone(node)),
            Way::Sentinel(sentinel) => sentinel.master(false).await,
            Way::Cluster(cluster) => cluster.node(slot).await,
        }
    }

    /// Every server that takes writes, by what is known now.
    pub(crate) async fn masters(&self) -> Result<Vec<Arc<Node>>, RedisError> {
        match &self.way {
            Way::Single(node) => {
                node.check_role().await?;
                Ok(vec![Arc::clone(node)])
            }
            Way::Sentinel(sentinel) => Ok(vec![sentinel.master(true).await?]),
            Way::Cluster(cluster) => cluster.masters(true).await,
        }
    }

    /// Counts how often another server became the one to ask. A subscription that was made before a
    /// change may hear nothing any more, without a sign: make another.
    #[must_use]
    pub fn moves(&self) -> u64 {
        match &self.way {
            Way::Single(_) => 0,
            Way::Sentinel(sentinel) => sentinel.moves(),
            Way::Cluster(cluster) => cluster.moves(),
        }
    }

    fn doubt(&self) {
        match &self.way {
            Way::Single(_) => {}
            Way::Sentinel(sentinel) => sentinel.doubt(),
            Way::Cluster(cluster) => cluster.doubt(),
        }
    }

    /// Sends one command to whoever holds `slot`.
    pub(crate) async fn run(
        &self,
        slot: Option<u16>,
        command: &Cmd,
        again: Again,
    ) -> Result<Value, RedisError> {
        let (mut sent_on, mut broke) = (None, false);
        for _ in 1..TRIES {
            let (node, asking) = match sent_on.take() {
                Some(next) => next,
                None => (self.node(slot).await?, false),
            };
            let loads = node.loads();
            let answer =
                if asking { node.send_asking(command).await } else { node.send(command).await };
            let Err(error) = &answer else { return answer };
            if error.is_missing_function() {
                node.load_functions(loads).await?;
            } else if let Some((next, asking)) = self.next(error, &node)? {
                sent_on = Some((next, asking));
            } else if error.code() == Some("TRYAGAIN") {
                tokio::time::sleep(MOVING).await;
            } else if error.is_broken() {
                self.doubt();
                if again == Again::Never || broke {
                    return answer;
                }
                broke = true;
            } else {
                return answer;
            }
        }
        self.node(slot).await?.send(command).await
    }

    /// Sends commands whose keys lie together, one after the other without waiting, once.
    pub(crate) async fn run_all(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let answers = self.node(None).await?.send_all(commands).await;
        let broken = match &answers {
            Ok(all) => all.iter().any(|answer| answer.as_ref().is_err_and(RedisError::is_broken)),
            Err(error) => error.is_broken(),
        };
        if broken {
            self.doubt();
        }
        answers
    }

    /// Where a node of a cluster sends one on to, and whether only for this once.
    fn next(
        &self,
        error: &RedisError,
        node: &Node,
    ) -> Result<Option<(Arc<Node>, bool)>, RedisError> {
        let (Way::Cluster(cluster), RedisError::Redis(error)) = (&self.way, error) else {
            return Ok(None);
        };
        let Some((place, _)) = error.redirect_node() else { return Ok(None) };
        let asking = error.code() == Some("ASK");
        if !asking {
            cluster.doubt();
        }
        // Without a host it is the one that said so.
        let place = match place.strip_prefix(':').and_then(|port| port.parse().ok()) {
            Some(port) => Some(Place { host: node.place.host.clone(), port }),
            None => Place::parse(place),
        };
        let place = place.ok_or(RedisError::Strange("a redirection"))?;
        Ok(Some((cluster.at(&place)?, asking)))
    }

    /// Sends one command that names its key first, for tests and tools. Not sent twice.
    ///
    /// # Errors
    /// If Redis is not there, is late or refuses. What became of the command is not known then.
    pub async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let key = command.args_iter().nth(1).and_then(|part| match part {
            redis::Arg::Simple(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        });
        let slot = key.and_then(|key| self.slot(key));
        self.run(slot, command, Again::Never).await
    }

    /// A connection of its own for messages.
    ///
    /// # Errors
    /// If Redis is not there.
    pub async fn subscription(&self) -> Result<PubSub, RedisError> {
        self.node(None).await?.subscription().await.inspect_err(|_| self.doubt())
    }

    /// Whether it takes writes and holds the functions; loads them where it does not. Logs when that
    /// changes, and why.
    ///
    /// # Errors
    /// What keeps it from taking any.
    pub async fn probe(&self) -> Result<(), RedisError> {
        let outcome = self.ready().await;
        self.full.store(matches!(outcome, Err(RedisError::OutOfMemory)), Ordering::Release);
        let now = outcome.as_ref().err().map(ToString::to_string);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match (&now, &*said) {
            (Some(why), before) if before.as_ref() != Some(why) => {
                tracing::warn!(%why, "Redis counts as away");
            }
            (None, Some(_)) => tracing::info!("Redis takes writes again"),
            _ => {}
        }
        *said = now;
        drop(said);
        outcome
    }

    /// The clock of every master. Reservations lapse by it.
    ///
    /// # Errors
    /// If one of them does not answer.
    pub async fn times(&self) -> Result<Vec<UnixMillis>, RedisError> {
        let mut times = Vec::new();
        for node in self.masters().await? {
            let value = node.send(&redis::cmd("TIME")).await?;
            let (seconds, micros): (i64, i64) =
                redis::from_redis_value(value).map_err(|_| RedisError::Strange("TIME"))?;
            times.push(UnixMillis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)));
        }
        Ok(times)
    }

    /// Whether it was out of memory at the last probe.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// The function that does nothing, at every master: refused by a replica, by a server without
    /// room and by one without our functions.
    pub(crate) async fn ready(&self) -> Result<(), RedisError> {
        let mut command = redis::cmd("FCALL");
        command.arg("rf2_ready").arg(0);
        for node in self.masters().await? {
            let loads = node.loads();
            match node.send(&command).await {
                Err(error) if error.is_missing_function() => {
                    node.load_functions(loads).await?;
                    node.send(&command).await?;
                }
                answer => {
                    answer.inspect_err(|error| {
                        if error.is_broken() {
                            self.doubt();
                        }
                    })?;
                }
            }
        }
        Ok(())
    }
}

impl RedisError {
    /// The code of an answer of the server.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Redis(error) => error.code(),
            _ => None,
        }
    }
}
