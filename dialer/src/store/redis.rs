//! Connecting to Redis, and the two functions that live in it.

use dialer_limiter::{Demand, FUNCTIONS, redis_key};
use dialer_types::{SubjectId, UnixMillis};
use redis::{
    AsyncConnectionConfig, Client, Cmd, RedisError, Value,
    aio::{MultiplexedConnection, PubSub},
};
use schema::heads::Moved;
use tokio::sync::Mutex;

use super::{PATIENCE, StoreError};

/// Redis by one connection that many tasks share. A connection that failed is made anew.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Redis {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// If the URL is not one.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Self { client: Client::open(url)?, connection: Mutex::new(None) })
    }

    /// A connection of its own for messages.
    ///
    /// # Errors
    /// If Redis is not there.
    pub async fn subscription(&self) -> Result<PubSub, RedisError> {
        self.client.get_async_pubsub().await
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    /// Sends one command.
    ///
    /// # Errors
    /// If Redis is not there, is late or refuses. What became of the command is not known then.
    pub async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connection().await?;
        let answer = connection.send_packed_command(command).await.and_then(Value::extract_error);
        if answer.as_ref().is_err_and(|error| error.is_unrecoverable_error() || error.is_timeout())
        {
            *self.connection.lock().await = None;
        }
        answer
    }

    /// Whether it answers and holds the functions; loads them where it does not.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn probe(&self) -> Result<(), RedisError> {
        let listed = self
            .send(redis::cmd("FUNCTION").arg("LIST").arg("LIBRARYNAME").arg("ringfence_v1"))
            .await?;
        if matches!(&listed, Value::Array(libraries) if libraries.is_empty()) {
            self.load_functions().await?;
        }
        Ok(())
    }

    /// Redis's clock.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn time(&self) -> Result<UnixMillis, RedisError> {
        let value = self.send(&redis::cmd("TIME")).await?;
        let (seconds, micros): (i64, i64) = redis::from_redis_value(value)?;
        Ok(UnixMillis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
    }

    /// Loads the functions of this format version.
    ///
    /// # Errors
    /// If Redis is not there or refuses them.
    pub async fn load_functions(&self) -> Result<(), RedisError> {
        self.send(redis::cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(FUNCTIONS))
            .await
            .map(|_| ())
    }

    /// Calls a function; an emptied Redis gets the functions again first.
    async fn function(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self.send(command).await {
            Err(error) if error.detail().is_some_and(|text| text.contains("unction not found")) => {
                self.load_functions().await?;
                self.send(command).await
            }
            answer => answer,
        }
    }

    /// The copies of these heads, in this order.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn read(&self, subjects: &[SubjectId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        for subject in subjects {
            command.arg(redis_key(*subject));
        }
        let value = self.send(&command).await?;
        Ok(redis::from_redis_value(value).map_err(RedisError::from)?)
    }

    /// Stores heads read from Postgres where no copy is; `instead` replaces a copy that cannot be
    /// read. An older head stored here by a race wastes work and permits nothing: the commit
    /// compares with Postgres.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn load(&self, heads: &[(SubjectId, Vec<u8>, bool)]) -> Result<(), StoreError> {
        for (subject, head, instead) in heads {
            let mut command = redis::cmd("SET");
            command.arg(redis_key(*subject)).arg(head.as_slice());
            if !*instead {
                command.arg("NX");
            }
            self.send(&command).await?;
        }
        Ok(())
    }

    /// Grants the demand if every head is the one judged; otherwise changes nothing.
    ///
    /// # Errors
    /// If Redis is not there or late: then nobody knows whether it was granted.
    pub async fn reserve(&self, demand: &Demand) -> Result<bool, StoreError> {
        let mut command = redis::cmd("FCALL");
        command.arg("rf1_reserve").arg(demand.claims().len());
        for claim in demand.claims() {
            command.arg(redis_key(claim.subject));
        }
        for claim in demand.claims() {
            command.arg(claim.base.0.to_be_bytes().as_slice());
        }
        for claim in demand.claims() {
            command.arg(claim.next.encode());
        }
        Ok(match self.function(&command).await? {
            Value::BulkString(word) => word == b"OK",
            Value::SimpleString(word) => word == "OK",
            Value::Okay => true,
            _ => false,
        })
    }

    /// Heads moved in Postgres: copies that stood where they moved from follow, others go.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn follow(&self, moved: &[Moved]) -> Result<(), StoreError> {
        if moved.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("FCALL");
        command.arg("rf1_follow").arg(moved.len());
        for moved in moved {
            command.arg(redis_key(moved.subject));
        }
        for moved in moved {
            command.arg(moved.from.0.to_be_bytes().as_slice());
        }
        for moved in moved {
            command.arg(moved.head.encode());
        }
        self.function(&command).await?;
        Ok(())
    }

    /// Drops copies that Postgres disagreed with.
    ///
    /// # Errors
    /// If Redis is not there or late.
    pub async fn forget(&self, subjects: &[SubjectId]) -> Result<(), StoreError> {
        if subjects.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("DEL");
        for subject in subjects {
            command.arg(redis_key(*subject));
        }
        self.send(&command).await?;
        Ok(())
    }
}
