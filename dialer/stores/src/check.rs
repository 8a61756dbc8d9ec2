//! What Redis has to be for copies to be kept in it, asked at a start.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use redis::Value;

use crate::{
    Redis, RedisError,
    node::{Node, text},
};

/// After how long a copy that nobody wrote goes by itself, where Redis does not evict: without
/// `maxmemory`, or with `noeviction`. Where it evicts (`allkeys-lru`, `allkeys-lfu`), copies have no
/// such moment, because it costs 46 bytes a copy, and Redis lets go by itself of whoever was not
/// called lately. As long as the commonest window of the rules: who is within it is read again soon.
pub const LAPSE: Duration = Duration::from_hours(7 * 24);

/// All that a user of Redis needs, as `ACL SETUSER name on >password` takes it. `+cluster|slots` and
/// `+asking` are for a cluster only, `+select` for a URL with the number of a database other than 0.
/// Functions run with the rights of whoever calls them.
pub const RIGHTS: &str = "resetchannels &rf:* resetkeys ~rf* -@all +role +info +scan +function|list \
                          +function|load +fcall +mget +set +del +publish +subscribe +ping +time \
                          +select +cluster|slots +asking";

/// The first Redis with functions.
const OLDEST: u32 = 7;
/// What may be dropped is what was not asked for lately. The `volatile-` policies drop reservations
/// only, and stop there; `allkeys-random` drops those who are called now as gladly as the others.
const POLICIES: [&str; 3] = ["noeviction", "allkeys-lru", "allkeys-lfu"];
/// Keys looked at for strangers: a thousand a call, over in some milliseconds.
const CALLS: usize = 20;
const KEYS_A_CALL: usize = 1_000;
/// Characters of a stranger's key that are shown: it may be anything.
const SHOWN: usize = 12;

/// What Redis says of itself, over all masters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes in use.
    pub used: i64,
    /// Bytes that may be used; 0 where one master has no bound.
    pub most: i64,
    /// Copies that were dropped to make room, since the servers started.
    pub evicted: i64,
}

impl Redis {
    /// Refuses a Redis that cannot be used as it is set up, and loads the functions. One that is only
    /// out of memory for now is let pass: the probe says so.
    ///
    /// # Errors
    /// What is wrong, in a sentence that says what to do.
    pub async fn check(&self) -> Result<(), RedisError> {
        for node in self.masters().await? {
            let info = info(&node).await?;
            let version = info.get("redis_version").cloned().unwrap_or_default();
            let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
            if major.is_none_or(|major| major < OLDEST) {
                return Err(RedisError::TooOld(version));
            }
            let policy = info.get("maxmemory_policy").cloned().unwrap_or_default();
            if !POLICIES.contains(&policy.as_str()) {
                return Err(RedisError::Policy(policy));
            }
            if !node.has_functions().await? {
                node.load_functions(node.loads()).await?;
            }
            self.no_strangers(&node, &info).await?;
        }
        self.figures().await?;
        match self.ready().await {
            Err(error) if error.is_lasting() => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks every master how full it is.
    ///
    /// # Errors
    /// If one is not there or late.
    pub async fn figures(&self) -> Result<Figures, RedisError> {
        let (mut figures, mut bounded, mut evicts) = (Figures::default(), true, true);
        for node in self.masters().await? {
            let info = info(&node).await?;
            let number = |name: &str| info.get(name).and_then(|it| it.parse().ok()).unwrap_or(0);
            figures.used += number("used_memory");
            figures.most += number("maxmemory");
            figures.evicted += number("evicted_keys");
            let policy = info.get("maxmemory_policy").map(String::as_str);
            bounded &= number("maxmemory") > 0;
            evicts &= bounded && policy.is_some_and(|policy| policy.starts_with("allkeys-"));
        }
        if !bounded {
            figures.most = 0;
        }
        let lapse = if evicts { 0 } else { u64::try_from(LAPSE.as_millis()).unwrap_or(u64::MAX) };
        self.lapse.store(lapse, Ordering::Relaxed);
        Ok(figures)
    }

    /// Somebody else's keys are evicted with ours, and ours with theirs; and whoever empties theirs
    /// empties ours.
    async fn no_strangers(
        &self,
        node: &Node,
        info: &BTreeMap<String, String>,
    ) -> Result<(), RedisError> {
        let own = format!("db{}", self.database);
        let is_database = |name: &str| {
            name.strip_prefix("db").is_some_and(|number| number.parse::<u32>().is_ok())
        };
        if let Some(other) = info.keys().find(|name| is_database(name) && **name != own) {
            return Err(RedisError::ForeignKeys(format!("in {other}")));
        }
        let mut cursor = "0".to_owned();
        for _ in 0..CALLS {
            let mut command = redis::cmd("SCAN");
            command.arg(&cursor).arg("COUNT").arg(KEYS_A_CALL);
            let Value::Array(parts) = node.send(&command).await? else {
                return Err(RedisError::Strange("SCAN"));
            };
            let mut parts = parts.into_iter();
            let (next, keys) = (parts.next().and_then(text), parts.next());
            let (Some(next), Some(Value::Array(keys))) = (next, keys) else {
                return Err(RedisError::Strange("SCAN"));
            };
            let mut keys = keys.into_iter().filter_map(|key| match key {
                Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                _ => None,
            });
            if let Some(strange) = keys.find(|key| !is_ours(key)) {
                let shown: String = strange.escape_default().take(SHOWN).collect();
                return Err(RedisError::ForeignKeys(format!("one begins with \"{shown}\"")));
            }
            if next == "0" {
                break;
            }
            cursor = next;
        }
        Ok(())
    }
}

/// Of this format or of another release's: `rf`, a number, a colon.
fn is_ours(key: &str) -> bool {
    let format = key.strip_prefix("rf").and_then(|rest| rest.split_once(':'));
    format.is_some_and(|(format, _)| format.parse::<u32>().is_ok())
}

/// `INFO`, line by line; of a database, whether it has keys.
async fn info(node: &Node) -> Result<BTreeMap<String, String>, RedisError> {
    let said = text(node.send(&redis::cmd("INFO")).await?).ok_or(RedisError::Strange("INFO"))?;
    let lines = said.lines().filter_map(|line| line.split_once(':'));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_every_release_are_ours_and_nothing_else_is() {
        for ours in ["rf2:17", "rf1:{17}", "rf10:x"] {
            assert!(is_ours(ours), "{ours}");
        }
        for strange in ["rf:17", "rfx:1", "cache:rf2:1", "rf2", ""] {
            assert!(!is_ours(strange), "{strange}");
        }
    }
}
