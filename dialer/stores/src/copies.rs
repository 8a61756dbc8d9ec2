//! What is done with copies of heads. Where Redis is a cluster, heads that lie in several slots are
//! read, loaded and told of slot by slot at the same time, and reserved one slot after the other.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use dialer_limiter::{Claim, Demand, Head, redis_key};
use dialer_types::SubjectId;
use futures_util::future::{join_all, try_join_all};
use redis::{Cmd, Value};
use schema::heads::Moved;

use crate::{Redis, RedisError, redis::Again};

/// Heads in one call of a function: Lua unpacks at most some thousand arguments, and no call may keep
/// the others waiting for long (500 heads take about a millisecond).
const AT_ONCE: usize = 500;

impl Redis {
    /// Things by the slot of their subject, at most [`AT_ONCE`] together.
    fn parts<'a, T>(
        &self,
        things: &'a [T],
        subject: impl Fn(&T) -> SubjectId,
    ) -> Vec<(Option<u16>, Vec<&'a T>)> {
        let mut slots: BTreeMap<Option<u16>, Vec<&T>> = BTreeMap::new();
        for thing in things {
            let slot = if self.is_cluster() { self.slot(&redis_key(subject(thing))) } else { None };
            slots.entry(slot).or_default().push(thing);
        }
        let parts = slots.into_iter().flat_map(|(slot, things)| {
            things.chunks(AT_ONCE).map(|part| (slot, part.to_vec())).collect::<Vec<_>>()
        });
        parts.collect()
    }

    fn lapse(&self) -> u64 {
        self.lapse.load(Ordering::Relaxed)
    }

    /// The copies of these heads, in this order.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn read(&self, subjects: &[SubjectId]) -> Result<Vec<Option<Vec<u8>>>, RedisError> {
        let numbered: Vec<_> = subjects.iter().copied().enumerate().collect();
        let parts = self.parts(&numbered, |(_, subject)| *subject);
        let read = parts.into_iter().map(|(slot, part)| async move {
            let mut command = redis::cmd("MGET");
            for (_, subject) in &part {
                command.arg(redis_key(*subject));
            }
            let Value::Array(found) = self.run(slot, &command, Again::Harmless).await? else {
                return Err(RedisError::Strange("MGET"));
            };
            Ok(part.iter().map(|(at, _)| *at).zip(found).collect::<Vec<_>>())
        });
        let mut copies = vec![None; subjects.len()];
        for (at, value) in try_join_all(read).await?.into_iter().flatten() {
            if let (Some(copy), Value::BulkString(bytes)) = (copies.get_mut(at), value) {
                *copy = Some(bytes);
            }
        }
        Ok(copies)
    }

    /// Stores heads read from Postgres where no copy is; with `true`, in the place of a copy that
    /// cannot be read. An older head stored here by a race wastes work and permits nothing: the commit
    /// compares with Postgres.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn load(&self, heads: &[(SubjectId, Head, bool)]) -> Result<(), RedisError> {
        let parts = self.parts(heads, |(subject, ..)| *subject);
        let loaded = parts.into_iter().map(|(slot, part)| async move {
            let keys = part.iter().map(|(subject, ..)| *subject);
            let mut command = function("rf2_load", keys.collect());
            command.arg(self.lapse());
            part.iter().for_each(|(_, _, instead)| {
                command.arg(u8::from(*instead));
            });
            part.iter().for_each(|(_, head, _)| {
                command.arg(head.encode_short());
            });
            self.run(slot, &command, Again::Harmless).await
        });
        all(join_all(loaded).await)
    }

    /// Grants the demand if every head is the one judged; otherwise changes nothing.
    ///
    /// Over several slots of a cluster it is one grant a slot, in the order of slots, so that two
    /// demands on the same heads meet at the first of them and one gets through. Where a later slot
    /// refuses, the copies that were set before it are of a placement that will never be: they are
    /// dropped, and read again from Postgres. Should they stay (the connection breaks just then), they
    /// are stale copies like others: readers go to Postgres for a head whose last event is an open
    /// reservation, no commit rests on it, and it lapses within ten seconds.
    ///
    /// # Errors
    /// If Redis is not there or late: then nobody knows whether it was granted.
    pub async fn reserve(&self, demand: &Demand) -> Result<bool, RedisError> {
        let mut set = Vec::new();
        for (slot, claims) in self.parts(demand.claims(), |claim| claim.subject) {
            let command = reservation(&claims);
            let granted = self.run(slot, &command, Again::Never).await;
            match granted.map(|said| is_granted(&said)) {
                Ok(true) => set.extend(claims.iter().map(|claim| claim.subject)),
                refused => {
                    if let Err(error) = self.forget(&set).await {
                        tracing::debug!(%error, "half a reservation is left to lapse");
                    }
                    return refused;
                }
            }
        }
        Ok(true)
    }

    /// Grants each of these as [`Redis::reserve`] does. Where all keys lie together, they are asked for
    /// at once and granted in this order.
    ///
    /// # Errors
    /// If Redis is not there or late, or refuses to look at one: then nobody knows which were granted.
    pub async fn reserve_each(&self, demands: &[Arc<Demand>]) -> Result<Vec<bool>, RedisError> {
        if self.is_cluster() {
            // Each to its end: a later slot's refusal drops what was set in an earlier one.
            let answers = join_all(demands.iter().map(|demand| self.reserve(demand))).await;
            return answers.into_iter().collect();
        }
        if demands.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = redis::Pipeline::with_capacity(demands.len());
        for demand in demands {
            commands.add_command(reservation(&demand.claims().iter().collect::<Vec<_>>()));
        }
        let mut granted = Vec::with_capacity(demands.len());
        for (demand, answer) in demands.iter().zip(self.run_all(&commands).await?) {
            granted.push(match answer {
                // Loads them.
                Err(error) if error.is_missing_function() => self.reserve(demand).await?,
                answer => is_granted(&answer?),
            });
        }
        Ok(granted)
    }

    /// Heads moved in Postgres: copies that stood where they moved from follow, others go.
    ///
    /// # Errors
    /// If Redis is not there or late. A copy that did not follow is stale: it wastes a commit and
    /// permits nothing.
    pub async fn follow(&self, moved: &[Moved]) -> Result<(), RedisError> {
        let parts = self.parts(moved, |moved| moved.subject);
        let told = parts.into_iter().map(|(slot, part)| async move {
            let keys = part.iter().map(|moved| moved.subject);
            let mut command = function("rf2_follow", keys.collect());
            command.arg(self.lapse());
            part.iter().for_each(|moved| {
                command.arg(moved.from.0.to_be_bytes().as_slice());
            });
            part.iter().for_each(|moved| {
                command.arg(moved.head.encode_short());
            });
            self.run(slot, &command, Again::Harmless).await
        });
        all(join_all(told).await)
    }

    /// Drops copies that Postgres disagreed with.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn forget(&self, subjects: &[SubjectId]) -> Result<(), RedisError> {
        let parts = self.parts(subjects, |subject| *subject);
        let dropped = parts.into_iter().map(|(slot, part)| async move {
            let mut command = redis::cmd("DEL");
            for subject in part {
                command.arg(redis_key(*subject));
            }
            self.run(slot, &command, Again::Harmless).await
        });
        all(join_all(dropped).await)
    }
}

/// Every one was tried, whatever became of the others.
fn all(answers: Vec<Result<Value, RedisError>>) -> Result<(), RedisError> {
    answers.into_iter().try_for_each(|answer| answer.map(|_| ()))
}

fn reservation(claims: &[&Claim]) -> Cmd {
    let mut command = function("rf2_reserve", claims.iter().map(|claim| claim.subject).collect());
    claims.iter().for_each(|claim| {
        command.arg(claim.base.0.to_be_bytes().as_slice());
    });
    claims.iter().for_each(|claim| {
        command.arg(claim.next.encode_short());
    });
    command
}

fn is_granted(said: &Value) -> bool {
    match said {
        Value::BulkString(word) => word == b"OK",
        Value::SimpleString(word) => word == "OK",
        Value::Okay => true,
        _ => false,
    }
}

fn function(name: &str, subjects: Vec<SubjectId>) -> Cmd {
    let mut command = redis::cmd("FCALL");
    command.arg(name).arg(subjects.len());
    for subject in subjects {
        command.arg(redis_key(subject));
    }
    command
}
