//! Why Redis did not do what was asked, as sentences that say what to do.

use dialer_limiter::LIBRARY;
use redis::ErrorKind;
use schema::{config::Place, heads::HeadsError, rows::RowsError};

use crate::PATIENCE;

/// Why Redis did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// It said no, or the way to it is broken.
    #[error("{0}")]
    Redis(redis::RedisError),
    /// It said nothing.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// It takes no writes until there is room.
    #[error(
        "it is out of memory and takes no writes: raise maxmemory, or set maxmemory-policy to \
         allkeys-lru"
    )]
    OutOfMemory,
    /// User or password are wrong, or missing.
    #[error("it refuses the user or the password ({0}): correct them in [redis] of ringfence.toml")]
    Login(String),
    /// The user may not do something.
    #[error(
        "its user may not do what Ringfence needs ({0}): give it the rights that docs/operations.md \
         lists"
    )]
    Forbidden(String),
    /// There is no database of that number.
    #[error("it refuses the database that redis.url names ({0}): correct its number")]
    Database(String),
    /// It follows another server.
    #[error("{place} is a {role}, not the primary: name the primary, or its Sentinels")]
    NotMaster {
        /// Which.
        place: Place,
        /// What it says it is.
        role: String,
        /// Whether Sentinels named it: then they are about to name another.
        named: bool,
    },
    /// Fewer than half of the Sentinels answered.
    #[error(
        "{answered} of {of} Sentinels answered, fewer than a majority ({last}): start the others, \
         or correct redis.sentinels"
    )]
    NoMajority {
        /// How many did.
        answered: usize,
        /// Of how many.
        of: usize,
        /// Why the last of the others did not.
        last: String,
    },
    /// The Sentinels name different masters.
    #[error(
        "the Sentinels name different masters ({0}), and none has a majority: nothing is written \
         until they agree"
    )]
    Contradiction(String),
    /// The Sentinels do not know the service.
    #[error("the Sentinels do not watch a master called \"{0}\": correct redis.service")]
    NoService(String),
    /// Slots that no node serves.
    #[error("slot {0} of the cluster is served by nobody: repair the cluster")]
    Uncovered(u16),
    /// A release of Redis that is too old.
    #[error("it is Redis {0}, which has no functions: run Redis 7 or newer")]
    TooOld(String),
    /// No functions.
    #[error("it has no FUNCTION command: run Redis 7 or newer, with that command in place")]
    NoFunctions,
    /// Different functions under our name.
    #[error(
        "another build has loaded different functions as {LIBRARY}: stop it, then run FUNCTION \
         DELETE {LIBRARY}"
    )]
    OtherFunctions,
    /// An eviction policy that drops the wrong things.
    #[error("its maxmemory-policy is {0}: set it to allkeys-lru, allkeys-lfu or noeviction")]
    Policy(String),
    /// Keys of somebody else.
    #[error("it holds keys that are not Ringfence's ({0}): give Ringfence a Redis of its own")]
    ForeignKeys(String),
    /// Not what Redis answers.
    #[error("{0} has another answer than Redis: it is no Redis, or there is a proxy before it")]
    Strange(&'static str),
}

impl From<redis::RedisError> for RedisError {
    fn from(error: redis::RedisError) -> Self {
        let said = || error.to_string();
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Self::Login(said());
        }
        // What was said to SELECT comes without its code.
        if said().contains("refused to switch database") {
            return match said().contains("no permissions") {
                true => Self::Forbidden(said()),
                false => Self::Database(said()),
            };
        }
        match error.code() {
            Some("OOM") => Self::OutOfMemory,
            Some("NOAUTH" | "WRONGPASS") => Self::Login(said()),
            Some("NOPERM") => Self::Forbidden(said()),
            _ if error.is_timeout() => Self::Late,
            _ => Self::Redis(error),
        }
    }
}

impl RedisError {
    /// Whether the connection is of no more use; a refusal leaves it in order, but for one by a
    /// server that has become a replica.
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Late => true,
            Self::Redis(error) => {
                error.is_unrecoverable_error()
                    || error.is_io_error()
                    || error.code() == Some("READONLY")
            }
            _ => false,
        }
    }

    /// What a Redis that has lost its functions says.
    pub(crate) fn is_missing_function(&self) -> bool {
        self.says("unction not found")
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Redis(error) if error.to_string().contains(words))
    }

    /// Whether it may do the same a little later: it is not there, says nothing, is loading, is full,
    /// or changes over to another server. What only somebody can change is no absence.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Late
            | Self::OutOfMemory
            | Self::NoMajority { .. }
            | Self::Contradiction(_)
            | Self::Uncovered(_) => true,
            Self::NotMaster { named, .. } => *named,
            Self::Redis(error) => {
                // A certificate that is not trusted stays so.
                let distrust = error.to_string().contains("certificate");
                let code = error.code().unwrap_or_default();
                let passing = ["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"];
                let passing = passing.iter().chain(&["READONLY", "NOREPLICAS", "MISCONF"]);
                (self.is_broken() && !distrust)
                    || passing.into_iter().any(|passing| *passing == code)
                    || self.says("max number of clients")
            }
            _ => false,
        }
    }

    /// Whether this is about the server as it is set up, which only somebody can change.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Login(_)
                | Self::Forbidden(_)
                | Self::Database(_)
                | Self::TooOld(_)
                | Self::NoFunctions
                | Self::OtherFunctions
                | Self::Policy(_)
                | Self::ForeignKeys(_)
        )
    }
}

/// Why Postgres did not write something down.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It said no, or the way to it is broken.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A head is missing or cannot be read.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// A record has no canonical bytes, or a row was lost.
    #[error(transparent)]
    Rows(#[from] RowsError),
}
