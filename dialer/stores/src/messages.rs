//! Messages between the processes.

use redis::Value;

use crate::{Redis, RedisError, redis::Again};

/// A campaign or trunk was changed: `{"campaign":"..","status":".."}`.
pub const CAMPAIGN: &str = "rf:campaign";

impl Redis {
    /// Tells whoever listens; in a cluster, at whichever node.
    ///
    /// # Errors
    /// If Redis is not there or late: then nobody knows whether it was heard.
    pub async fn publish(&self, channel: &str, message: &str) -> Result<(), RedisError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(message);
        match self.run(None, &command, Again::Harmless).await? {
            Value::Int(_) => Ok(()),
            _ => Err(RedisError::Strange("PUBLISH")),
        }
    }
}
