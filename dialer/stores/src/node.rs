//! One server: a connection that many tasks share, made anew when it failed, and its functions.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dialer_limiter::{FUNCTIONS, LIBRARY};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, TlsCertificates, Value,
    aio::{MultiplexedConnection, PubSub},
};
use schema::config::{Login, Place, StoreUrl};

use crate::{PATIENCE, RedisError};

/// What opens the door at every server of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) login: Login,
    pub(crate) tls: bool,
    pub(crate) ca: Option<String>,
}

impl Door {
    pub(crate) fn client(&self, place: &Place) -> Result<Client, RedisError> {
        let (host, port) = (place.host.clone(), place.port);
        let address = match self.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &self.login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.login.password {
            settings = settings.set_password(password.expose());
        }
        self.open(address.into_connection_info()?.set_redis_settings(settings))
    }

    /// The server that a URL names, and the number of its database.
    pub(crate) fn by_url(&self, url: &StoreUrl) -> Result<(Client, Place, i64), RedisError> {
        let info = url.expose().into_connection_info()?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let (database, info) = (settings.db(), info.set_redis_settings(settings));
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Place { host: host.clone(), port: *port }
            }
            _ => return Err(RedisError::Strange("a URL without a host")),
        };
        Ok((self.open(info)?, place, database))
    }

    fn open(&self, info: redis::ConnectionInfo) -> Result<Client, RedisError> {
        if !self.tls {
            return Ok(Client::open(info)?);
        }
        // One provider of cryptography for the process; whoever was first has chosen.
        rustls::crypto::ring::default_provider().install_default().ok();
        let Some(ca) = &self.ca else { return Ok(Client::open(info)?) };
        let root_cert = Some(ca.clone().into_bytes());
        Ok(Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?)
    }
}

/// Whether a server must say that it is a master before it is told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// No: a node of a cluster sends whoever asks the wrong one on by itself.
    Any,
    /// The configuration names it.
    Master,
    /// The Sentinels name it.
    NamedMaster,
}

/// One server.
pub(crate) struct Node {
    pub(crate) place: Place,
    client: Client,
    patience: Duration,
    role: Role,
    held: Mutex<Held>,
    connecting: tokio::sync::Mutex<()>,
    loading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that nobody drops a newer one than the one that failed.
    number: u64,
    /// Counts the times that the functions were loaded.
    loads: u64,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.place)
    }
}

impl Node {
    /// Nothing is connected yet.
    pub(crate) fn new(place: Place, client: Client, role: Role, patience: Duration) -> Self {
        Self {
            place,
            client,
            patience,
            role,
            held: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    fn held<T>(&self, look: impl FnOnce(&mut Held) -> T) -> T {
        look(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn present(&self) -> Option<(MultiplexedConnection, u64)> {
        self.held(|held| held.connection.clone().map(|connection| (connection, held.number)))
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        if let Some(present) = self.present() {
            return Ok(present);
        }
        let _one = self.connecting.lock().await;
        if let Some(present) = self.present() {
            return Ok(present);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(Some(self.patience));
        let made = self.client.get_multiplexed_async_connection_with_config(&config);
        // The first answers (AUTH, SELECT) have no bound of their own.
        let mut made =
            tokio::time::timeout(self.patience, made).await.map_err(|_| RedisError::Late)??;
        if self.role != Role::Any {
            self.must_be_master(ask(&mut made, &redis::cmd("ROLE")).await?)?;
        }
        Ok(self.held(|held| {
            held.number += 1;
            held.connection = Some(made.clone());
            (made, held.number)
        }))
    }

    /// Sends one command.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let (mut connection, number) = self.connection().await?;
        let answer = ask(&mut connection, command).await;
        self.keep_or_drop(&answer, number);
        answer
    }

    /// Sends commands one after the other without waiting; each answer is a value or an error.
    pub(crate) async fn send_all(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let (mut connection, number) = self.connection().await?;
        let answers = connection.send_packed_commands(commands, 0, commands.len()).await;
        let answers: Result<Vec<_>, RedisError> = answers
            .map_err(RedisError::from)
            .map(|all| all.into_iter().map(|answer| Ok(answer.extract_error()?)).collect());
        // A server that is a replica now says so of each command.
        match &answers {
            Ok(all) => all.iter().for_each(|answer| self.keep_or_drop(answer, number)),
            Err(_) => self.keep_or_drop(&answers, number),
        }
        answers
    }

    /// Sends one command about a slot that is on its way to this node.
    pub(crate) async fn send_asking(&self, command: &Cmd) -> Result<Value, RedisError> {
        let (mut connection, number) = self.connection().await?;
        let mut both = redis::pipe();
        both.cmd("ASKING").add_command(command.clone());
        let answer = connection.send_packed_commands(&both, 1, 1).await;
        let answer = answer.map_err(RedisError::from).and_then(|mut answers| {
            let answer = answers.pop().ok_or(RedisError::Strange("a pipeline"))?;
            Ok(answer.extract_error()?)
        });
        self.keep_or_drop(&answer, number);
        answer
    }

    fn keep_or_drop<T>(&self, answer: &Result<T, RedisError>, number: u64) {
        if answer.as_ref().is_err_and(RedisError::is_broken) {
            self.held(|held| {
                if held.number == number {
                    held.connection = None;
                }
            });
        }
    }

    /// A connection of its own for messages.
    pub(crate) async fn subscription(&self) -> Result<PubSub, RedisError> {
        let made = self.client.get_async_pubsub();
        Ok(tokio::time::timeout(self.patience, made).await.map_err(|_| RedisError::Late)??)
    }

    /// Asks whether it is a master now.
    pub(crate) async fn check_role(&self) -> Result<(), RedisError> {
        let said = self.send(&redis::cmd("ROLE")).await?;
        let wrong = self.must_be_master(said);
        if wrong.is_err() {
            self.held(|held| held.connection = None);
        }
        wrong
    }

    fn must_be_master(&self, said: Value) -> Result<(), RedisError> {
        let Value::Array(said) = said else { return Err(RedisError::Strange("ROLE")) };
        let role = said.into_iter().next().and_then(text).ok_or(RedisError::Strange("ROLE"))?;
        match role.as_str() {
            "master" => Ok(()),
            "slave" => Err(self.is_a("replica")),
            _ => Err(self.is_a(&role)),
        }
    }

    fn is_a(&self, role: &str) -> RedisError {
        let named = self.role == Role::NamedMaster;
        RedisError::NotMaster { place: self.place.clone(), role: role.to_owned(), named }
    }

    /// How often the functions were loaded here; see [`Node::load_functions`].
    pub(crate) fn loads(&self) -> u64 {
        self.held(|held| held.loads)
    }

    /// Loads the functions, once for all who miss them: whoever saw `seen` loads before it missed
    /// them, and comes when there was another, has nothing to do.
    ///
    /// Never puts them in the place of others: two builds that both believe theirs are of this
    /// version would load them in turns, and each would call the other's.
    pub(crate) async fn load_functions(&self, seen: u64) -> Result<(), RedisError> {
        let _one = self.loading.lock().await;
        if self.loads() != seen {
            return Ok(());
        }
        match self.send(redis::cmd("FUNCTION").arg("LOAD").arg(FUNCTIONS)).await {
            Ok(_) => tracing::info!(place = %self.place, "functions loaded"),
            // Another process was quicker, with the same ones.
            Err(error) if error.says("already exists") => {
                if !self.has_functions().await? {
                    return Err(RedisError::OtherFunctions);
                }
            }
            Err(error) => return Err(without_functions(error)),
        }
        self.held(|held| held.loads += 1);
        Ok(())
    }

    /// Whether the functions are there.
    ///
    /// # Errors
    /// If it has others under their name, or none at all.
    pub(crate) async fn has_functions(&self) -> Result<bool, RedisError> {
        let mut command = redis::cmd("FUNCTION");
        command.arg("LIST").arg("LIBRARYNAME").arg(LIBRARY).arg("WITHCODE");
        let Value::Array(libraries) = self.send(&command).await.map_err(without_functions)? else {
            return Err(RedisError::Strange("FUNCTION LIST"));
        };
        let Some(Value::Array(fields)) = libraries.into_iter().next() else { return Ok(false) };
        let mut fields = fields.into_iter().filter_map(text);
        let code = fields.by_ref().find(|name| name == "library_code").and_then(|_| fields.next());
        match code {
            Some(code) if code == FUNCTIONS => Ok(true),
            _ => Err(RedisError::OtherFunctions),
        }
    }
}

async fn ask(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, RedisError> {
    Ok(connection.send_packed_command(command).await?.extract_error()?)
}

/// A Redis before 7, or one whose FUNCTION was renamed.
fn without_functions(error: RedisError) -> RedisError {
    if error.says("nknown command") { RedisError::NoFunctions } else { error }
}

/// A text; `None` for anything else.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// For a server that is asked about others.
pub(crate) const ASKING: Duration = Duration::from_millis(500);

/// A node that holds copies.
pub(crate) fn holder(door: &Door, place: &Place, role: Role) -> Result<Node, RedisError> {
    Ok(Node::new(place.clone(), door.client(place)?, role, PATIENCE))
}
