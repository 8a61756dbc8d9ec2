//! The way to the stores, for every process that needs it: Redis, which holds copies, and what is
//! asked of both stores before anything rests on them (DESIGN section 4).
//!
//! **Redis** is reached as one server, as the master that Sentinels name, or as a cluster
//! ([`schema::config::Redis`]). Connections are the `redis` crate's multiplexed ones, and nothing
//! above them: its managed connections reconnect and repeat by themselves, its Sentinel client takes
//! the word of the first Sentinel that answers, and its cluster client repeats what may have been
//! done. Here a command is repeated only where that is harmless, goes only to a server that said it
//! is the master, and to one that a majority of the Sentinels named within the last second.
//!
//! **Postgres** is where a placement becomes durable: [`commit`] makes it so and [`write`] ends it,
//! for the dialers and for the gate as a service.
//!
//! Whatever Redis loses, forgets or holds twice wastes work and permits nothing: every commit compares
//! with Postgres.
#![warn(missing_docs)]

mod away;
mod check;
pub mod clock;
mod cluster;
mod commit;
mod copies;
mod decisions;
mod deny;
mod error;
mod evidence;
mod ledger;
mod messages;
mod node;
mod open;
pub mod postgres;
mod redis;
mod release;
mod reserve;
mod sentinel;
mod settle;

pub use away::{Store, patiently};
pub use check::{Figures, LAPSE, RIGHTS};
pub use commit::{Committed, commit, try_no};
pub use error::{RedisError, WriteError};
pub use evidence::Grounds;
pub use ledger::{By, Item, Mark, write};
pub use messages::CAMPAIGN;
pub use open::{Open, open_of_nodes, placed};
pub use postgres::PostgresError;
pub use redis::Redis;
pub use reserve::{reserve, reserve_each};

use std::time::Duration;

/// How long Redis may take to answer, and to let somebody in.
pub const PATIENCE: Duration = Duration::from_secs(2);
