//! Several servers that belong together: a cluster, and a primary that Sentinels watch.

use std::{thread, time::Duration};

use super::{
    PrivateRedis, RedisOptions, TestingError,
    process::{free_port, random_word},
};

/// How long to wait between two looks, and how often: 15 seconds.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 300;

/// What Sentinels call the primary.
pub const SERVICE: &str = "voice";

/// Looks until `ready`, or 15 s.
fn wait(
    what: &str,
    mut ready: impl FnMut() -> Result<bool, TestingError>,
) -> Result<(), TestingError> {
    for _ in 0..LOOKS {
        if ready()? {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(TestingError::Failed { what: what.to_owned(), log: "not ready within 15 s".to_owned() })
}

/// Three masters without replicas.
#[derive(Debug)]
pub struct PrivateCluster {
    /// The masters: the first third of the slots, the second, the last.
    pub nodes: [PrivateRedis; 3],
}

impl PrivateCluster {
    /// Starts one and waits until every slot is served.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start() -> Result<Self, TestingError> {
        let password = random_word(12)?;
        let start = || {
            let bus = free_port()?;
            let settings = [
                "cluster-enabled yes".to_owned(),
                "cluster-config-file {folder}/nodes.conf".to_owned(),
                "cluster-node-timeout 2000".to_owned(),
                format!("cluster-port {bus}"),
            ];
            let password = Some(password.clone());
            let options =
                RedisOptions { password, settings: settings.to_vec(), ..RedisOptions::default() };
            Ok::<_, TestingError>((PrivateRedis::with(options)?, bus))
        };
        let started = [start()?, start()?, start()?];
        let meet: Vec<_> = started
            .iter()
            .map(|(node, bus)| format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port()))
            .collect();
        for ((at, (node, _)), slots) in
            (1..).zip(&started).zip(["0 5460", "5461 10922", "10923 16383"])
        {
            node.ask(&[
                &format!("CLUSTER SET-CONFIG-EPOCH {at}"),
                &format!("CLUSTER ADDSLOTSRANGE {slots}"),
            ])?;
        }
        let meet: Vec<_> = meet.iter().map(String::as_str).collect();
        started[0].0.ask(&meet)?;
        let nodes = started.map(|(node, _)| node);
        for node in &nodes {
            wait("the cluster", || {
                let said = node.ask(&["CLUSTER INFO", "CLUSTER SLOTS"])?;
                let whole = ["cluster_state:ok", "cluster_known_nodes:3", "cluster_size:3"];
                Ok(whole.iter().all(|line| said.contains(line)))
            })?;
        }
        Ok(Self { nodes })
    }

    /// The places of its nodes.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect()
    }
}

/// A primary, two replicas and the three Sentinels that watch them as [`SERVICE`].
#[derive(Debug)]
pub struct WatchedRedis {
    /// The primary first, as long as nobody failed it over.
    pub servers: Vec<PrivateRedis>,
    /// The Sentinels.
    pub sentinels: Vec<PrivateRedis>,
}

impl WatchedRedis {
    /// Starts them and waits until the Sentinels know each other and both replicas.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start() -> Result<Self, TestingError> {
        let password = random_word(12)?;
        let primary = PrivateRedis::with(RedisOptions {
            password: Some(password.clone()),
            settings: vec![format!("masterauth {password}")],
            ..RedisOptions::default()
        })?;
        let port = primary.port();
        let mut servers = vec![primary];
        for _ in 0..2 {
            let settings =
                vec![format!("masterauth {password}"), format!("replicaof 127.0.0.1 {port}")];
            let password = Some(password.clone());
            servers.push(PrivateRedis::with(RedisOptions {
                password,
                settings,
                ..RedisOptions::default()
            })?);
        }
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Self::sentinel(port, &password)?);
        }
        for sentinel in &sentinels {
            wait("the Sentinels", || {
                let said = sentinel.ask(&[&format!("SENTINEL MASTER {SERVICE}")])?;
                let field = |name: &str, value: &str| {
                    said.contains(&format!("{name}\r\n${}\r\n{value}\r\n", value.len()))
                };
                Ok(field("num-slaves", "2") && field("num-other-sentinels", "2"))
            })?;
        }
        Ok(Self { servers, sentinels })
    }

    /// A Sentinel that watches the server on this port.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn sentinel(port: u16, password: &str) -> Result<PrivateRedis, TestingError> {
        PrivateRedis::with(RedisOptions {
            password: Some(password.to_owned()),
            settings: vec![
                format!("sentinel monitor {SERVICE} 127.0.0.1 {port} 2"),
                format!("sentinel auth-pass {SERVICE} {password}"),
                format!("sentinel down-after-milliseconds {SERVICE} 500"),
                format!("sentinel failover-timeout {SERVICE} 2000"),
                format!("sentinel sentinel-pass {password}"),
            ],
            sentinel: true,
            ..RedisOptions::default()
        })
    }

    /// The places of the Sentinels.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.sentinels.iter().map(|it| format!("127.0.0.1:{}", it.port())).collect()
    }
}
