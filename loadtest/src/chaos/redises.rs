//! Redis as in production: a primary, two replicas, three Sentinels, all on loopback, nothing on
//! disk.

use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::stack::{self, Process, Stack, Stop, clock, random_hex};

/// Servers: a primary and two replicas at first.
pub(super) const SERVERS: usize = 3;
/// Sentinels, of which two must agree.
pub(super) const SENTINELS: usize = 3;
/// What the Sentinels call the primary.
pub(super) const SERVICE: &str = "voice";
/// A server that is silent for so long is down for a Sentinel, milliseconds.
const DOWN_AFTER_MS: u32 = 1000;
/// What a frozen server may take from us.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long all of it may take to be ready.
const READY: Duration = Duration::from_secs(20);
const PLACES: [&str; 2] = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"];

/// One server or Sentinel: its files, and its process while it runs.
#[derive(Debug)]
pub(super) struct Member {
    name: String,
    pub(super) address: SocketAddr,
    config: PathBuf,
    /// Of a server: said again at each start, because a Sentinel that reconfigures a server has it
    /// write down all settings, those of a fault too.
    always: Vec<OsString>,
    sentinel: bool,
    pub(super) process: Option<Process>,
}

impl Member {
    /// Starts it; does nothing while it runs.
    pub(super) fn start(&mut self, stack: &mut Stack) -> anyhow::Result<()> {
        self.start_with(stack, &[])
    }

    /// Starts it as a primary, whatever it was.
    pub(super) fn start_as_primary(&mut self, stack: &mut Stack) -> anyhow::Result<()> {
        self.start_with(stack, &["--replicaof", "no", "one"])
    }

    fn start_with(&mut self, stack: &mut Stack, more: &[&str]) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process
            && process.ended()?.is_none()
        {
            return Ok(());
        }
        let Some(program) = PLACES.into_iter().map(Path::new).find(|path| path.is_file()) else {
            bail!("there is no redis-server here (./ringfence setup installs it)");
        };
        let mut arguments = vec![self.config.clone().into_os_string()];
        if self.sentinel {
            arguments.push("--sentinel".into());
        }
        arguments.extend(self.always.iter().cloned());
        arguments.extend(more.iter().map(OsString::from));
        self.process = Some(stack.start_beside(&self.name, program, &arguments)?);
        Ok(())
    }

    /// Kills it.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Redises {
    password: String,
    pub(super) servers: Vec<Member>,
    pub(super) sentinels: Vec<Member>,
}

impl Redises {
    /// Starts them and waits until the Sentinels know each other and the replicas follow.
    pub(super) fn start(stack: &mut Stack, stop: &Stop) -> anyhow::Result<Self> {
        let ports = stack::free_tcp(SERVERS + SENTINELS)?;
        let (servers, sentinels) = ports.split_at(SERVERS);
        let mut redises = Self {
            password: random_hex(12)?,
            servers: Vec::with_capacity(SERVERS),
            sentinels: Vec::with_capacity(SENTINELS),
        };
        let first = *servers.first().context("a free TCP port")?;
        for (number, address) in (1..).zip(servers) {
            let config = redises.server_config(*address, (number > 1).then_some(first));
            let mut member = member(stack, &format!("redis-{number}"), *address, false, config)?;
            let always = ["--masterauth", redises.password(), "--maxmemory", "0"];
            member.always = always.iter().map(OsString::from).collect();
            redises.servers.push(member);
        }
        for (number, address) in (1..).zip(sentinels) {
            let config = redises.sentinel_config(*address, first);
            let member = member(stack, &format!("sentinel-{number}"), *address, true, config)?;
            redises.sentinels.push(member);
        }
        for member in redises.servers.iter_mut().chain(&mut redises.sentinels) {
            member.start(stack)?;
        }
        let started = clock::monotonic();
        while !redises.is_whole() {
            if started.elapsed() > READY {
                bail!("Redis and its Sentinels did not find together within {READY:?}");
            }
            stop.sleep(Duration::from_millis(50))?;
        }
        Ok(redises)
    }

    fn server_config(&self, address: SocketAddr, primary: Option<SocketAddr>) -> String {
        let (port, password) = (address.port(), &self.password);
        let follow =
            primary.map(|it| format!("replicaof {} {}\n", it.ip(), it.port())).unwrap_or_default();
        format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nmasterauth {password}\nsave \"\"\n\
             appendonly no\nmaxmemory-policy noeviction\ndaemonize no\nrepl-diskless-sync yes\n\
             repl-diskless-sync-delay 0\nrepl-timeout 5\n{follow}"
        )
    }

    fn sentinel_config(&self, address: SocketAddr, primary: SocketAddr) -> String {
        format!(
            "bind 127.0.0.1\nport {}\ndaemonize no\n\
             sentinel monitor {SERVICE} {} {} 2\nsentinel auth-pass {SERVICE} {}\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {SERVICE} 4000\nsentinel parallel-syncs {SERVICE} 2\n",
            address.port(),
            primary.ip(),
            primary.port(),
            self.password
        )
    }

    /// The password of every server.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    fn is_whole(&self) -> bool {
        let follows = |member: &Member| {
            let said = self.tell(member.address, &["INFO replication"]).unwrap_or_default();
            said.contains("role:master") || said.contains("master_link_status:up")
        };
        let knows = |member: &Member| {
            let said = ask(member.address, &[&format!("SENTINEL MASTER {SERVICE}")]);
            let said = said.unwrap_or_default();
            let field = |name: &str| said.contains(&format!("\r\n{name}\r\n$1\r\n2\r\n"));
            field("num-slaves") && field("num-other-sentinels")
        };
        self.servers.iter().all(follows) && self.sentinels.iter().all(knows)
    }

    /// Sends inline commands to a server and returns what it answered.
    pub(super) fn tell(&self, server: SocketAddr, commands: &[&str]) -> std::io::Result<String> {
        let login = format!("AUTH {}", self.password);
        let mut all = vec![login.as_str()];
        all.extend_from_slice(commands);
        let said = ask(server, &all)?;
        Ok(said.strip_prefix("+OK\r\n").unwrap_or(&said).to_owned())
    }

    /// The place among the servers of the primary, by the word of most Sentinels.
    pub(super) fn primary(&self) -> Option<usize> {
        let sentinels: Vec<SocketAddr> = self.sentinels.iter().map(|one| one.address).collect();
        let address = primary(&sentinels)?;
        self.servers.iter().position(|server| server.address == address)
    }

    /// Has one Sentinel fail the primary over, whatever the others think. Two at a time would each
    /// promote a replica of its own, and need half a minute to agree.
    pub(super) fn fail_over(&self) -> bool {
        let order = format!("SENTINEL FAILOVER {SERVICE}");
        let took = |sentinel: &Member| {
            ask(sentinel.address, &[&order]).is_ok_and(|said| said.starts_with("+OK"))
        };
        self.sentinels.iter().any(took)
    }
}

/// Where the primary is by the word of most of these Sentinels that answer.
fn primary(sentinels: &[SocketAddr]) -> Option<SocketAddr> {
    let question = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {SERVICE}");
    let mut words: Vec<SocketAddr> = sentinels
        .iter()
        .filter_map(|sentinel| {
            let said = ask(*sentinel, &[&question]).ok()?;
            let mut lines = said.lines().filter(|line| !line.starts_with(['*', '$']));
            format!("{}:{}", lines.next()?, lines.next()?).parse().ok()
        })
        .collect();
    words.sort_unstable();
    let count = |word: &SocketAddr| words.iter().filter(|other| *other == word).count();
    words.iter().copied().max_by_key(count)
}

fn member(
    stack: &Stack,
    name: &str,
    address: SocketAddr,
    sentinel: bool,
    config: String,
) -> anyhow::Result<Member> {
    let folder = stack.path().join(name);
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join("redis.conf");
    let config = format!("{config}dir {}\n", folder.display());
    fs::write(&path, config).with_context(|| path.display().to_string())?;
    let name = name.to_owned();
    Ok(Member { name, address, config: path, always: Vec::new(), sentinel, process: None })
}

/// Sends inline commands and returns what came back. The end of what is sent ends the connection:
/// a Sentinel knows no QUIT.
fn ask(address: SocketAddr, commands: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
