//! Telling Redis, and through it every dialer, what changed in Postgres.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use schema::{config::StoreUrl, heads::Moved};
use tokio::{sync::Mutex, time::timeout};

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Heads told in one call: Lua unpacks at most some thousand arguments.
const AT_ONCE: usize = 500;
/// Campaigns that were started, paused or stopped: `{"campaign":"..","status":".."}`.
const CAMPAIGN: &str = "rf:campaign";

/// Why Redis was not told.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// It said no, or the way to it is broken.
    #[error("{0}")]
    Redis(#[from] redis::RedisError),
    /// It said nothing.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// A connection that is opened when needed and opened again when broken.
pub struct Link {
    client: redis::Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// Connects once, so that a Redis that is missing at the start is found then.
    ///
    /// # Errors
    /// See [`RedisError`].
    pub async fn connect(url: &StoreUrl) -> Result<Self, RedisError> {
        let link =
            Self { client: redis::Client::open(url.expose())?, connection: Mutex::new(None) };
        let ping = redis::cmd("PING");
        link.call(&ping).await?;
        Ok(link)
    }

    /// The copies of these heads follow what Postgres now says.
    ///
    /// # Errors
    /// See [`RedisError`]. A copy that did not follow is stale: it wastes a commit and permits
    /// nothing.
    pub async fn follow(&self, moved: &[Moved]) -> Result<(), RedisError> {
        for part in moved.chunks(AT_ONCE) {
            let mut command = redis::cmd("FCALL");
            command.arg("rf1_follow").arg(part.len());
            for moved in part {
                command.arg(dialer_limiter::redis_key(moved.subject));
            }
            for moved in part {
                command.arg(&moved.from.0.to_be_bytes());
            }
            for moved in part {
                command.arg(moved.head.encode());
            }
            match self.call(&command).await {
                Err(RedisError::Redis(error)) if is_missing_function(&error) => {
                    self.load_functions().await?;
                    self.call(&command).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Every dialer hears that a campaign changed.
    ///
    /// # Errors
    /// See [`RedisError`].
    pub async fn publish_campaign(&self, campaign: &str, status: &str) -> Result<(), RedisError> {
        let message = serde_json::json!({ "campaign": campaign, "status": status }).to_string();
        self.call(redis::cmd("PUBLISH").arg(CAMPAIGN).arg(message)).await
    }

    async fn load_functions(&self) -> Result<(), RedisError> {
        let mut command = redis::cmd("FUNCTION");
        command.arg("LOAD").arg("REPLACE").arg(dialer_limiter::FUNCTIONS);
        self.call(&command).await
    }

    /// One call; a connection that turns out to be broken is replaced once. Every call here may be
    /// made twice without harm: follow drops a copy it does not know, a message is heard again.
    async fn call(&self, command: &redis::Cmd) -> Result<(), RedisError> {
        let held = self.connection.lock().await.clone();
        if let Some(mut held) = held {
            match ask(&mut held, command).await {
                Err(error) if error.is_broken() => *self.connection.lock().await = None,
                other => return other,
            }
        }
        let mut fresh = timeout(PATIENCE, self.client.get_multiplexed_async_connection())
            .await
            .map_err(|_| RedisError::Silent)??;
        ask(&mut fresh, command).await?;
        *self.connection.lock().await = Some(fresh);
        Ok(())
    }
}

impl RedisError {
    /// Whether the connection is of no more use; a refusal leaves it in order.
    fn is_broken(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Redis(error) => {
                error.is_unrecoverable_error() || error.is_io_error() || error.is_timeout()
            }
        }
    }
}

async fn ask(
    connection: &mut MultiplexedConnection,
    command: &redis::Cmd,
) -> Result<(), RedisError> {
    let answer: redis::Value = timeout(PATIENCE, command.query_async(connection))
        .await
        .map_err(|_| RedisError::Silent)??;
    drop(answer);
    Ok(())
}

fn is_missing_function(error: &redis::RedisError) -> bool {
    error.to_string().contains("Function not found")
}
