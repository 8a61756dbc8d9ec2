//! A private Redis.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use super::{
    TestingError,
    process::{Folder, Runner, end, free_port, io, random_word, spawn, wait_ready},
};

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Its folder, which must not exist yet; `None` for a new one under `/tmp`.
    pub folder: Option<PathBuf>,
    /// Its password; `None` for a random one.
    pub password: Option<String>,
    /// More lines of its configuration. `{folder}` in them stands for its folder.
    pub settings: Vec<String>,
    /// Files to be put into its folder first: name and content.
    pub files: Vec<(String, String)>,
    /// Whether it is a Sentinel.
    pub sentinel: bool,
}

/// A running Redis that keeps nothing on disk and evicts nothing. Stopped and removed when dropped.
#[derive(Debug)]
pub struct PrivateRedis {
    child: Child,
    port: u16,
    password: String,
    sentinel: bool,
    folder: Folder,
}

impl PrivateRedis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start() -> Result<Self, TestingError> {
        Self::with(RedisOptions::default())
    }

    /// Starts one in this folder, which must not exist yet (`None` for a new one under `/tmp`), and
    /// waits until it answers.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start_in(folder: Option<PathBuf>) -> Result<Self, TestingError> {
        Self::with(RedisOptions { folder, ..RedisOptions::default() })
    }

    /// Starts one with these options and waits until it answers.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn with(options: RedisOptions) -> Result<Self, TestingError> {
        let runner = Runner::unprivileged()?;
        let folder = Folder::make(runner, options.folder)?;
        let port = free_port()?;
        let password = options.password.map_or_else(|| random_word(12), Ok)?;
        for (name, text) in &options.files {
            folder.write(runner, name, text)?;
        }
        let place = folder.path.display().to_string();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("requirepass {password}"),
            "daemonize no".to_owned(),
            format!("dir {place}"),
        ];
        if !options.sentinel {
            let own = ["save \"\"", "appendonly no", "maxmemory-policy noeviction"];
            lines.extend(own.map(str::to_owned));
        }
        lines.extend(options.settings.iter().map(|line| line.replace("{folder}", &place)));
        lines.push(String::new());
        folder.write(runner, "redis.conf", &lines.join("\n"))?;
        let sentinel = options.sentinel;
        let child = launch(runner, port, &password, &folder.path, sentinel)?;
        Ok(Self { child, port, password, sentinel, folder })
    }

    /// Its password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Sends commands as one types them, a line each, and returns what came back, as it came.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ask(&self, commands: &[&str]) -> Result<String, TestingError> {
        let lines: String = commands.iter().map(|line| format!("{line}\r\n")).collect();
        let answer = ask(self.port, &self.password, &lines, self.sentinel)
            .map_err(io(format!("asking Redis on 127.0.0.1:{}", self.port)))?;
        Ok(answer.strip_prefix("+OK\r\n").unwrap_or(&answer).to_owned())
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// Its TCP port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server; it leads a process group of its own.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path.join("redis.log")
    }

    /// Loses all data and functions at once, while running.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn empty(&self) -> Result<(), TestingError> {
        let answer =
            ask(self.port, &self.password, "FLUSHALL\r\nFUNCTION FLUSH\r\n", self.sentinel)
                .map_err(io(format!("emptying Redis on 127.0.0.1:{}", self.port)))?;
        if answer == "+OK\r\n+OK\r\n+OK\r\n" {
            return Ok(());
        }
        Err(TestingError::Failed { what: "emptying Redis".to_owned(), log: answer })
    }

    /// Stops it.
    pub fn stop(&mut self) {
        end(&mut self.child, "-KILL");
    }

    /// Starts it again, empty, on the same port.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start_again(&mut self) -> Result<(), TestingError> {
        self.stop();
        self.child = launch(
            Runner::unprivileged()?,
            self.port,
            &self.password,
            &self.folder.path,
            self.sentinel,
        )?;
        Ok(())
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        end(&mut self.child, "-TERM");
    }
}

fn launch(
    runner: Runner,
    port: u16,
    password: &str,
    folder: &Path,
    sentinel: bool,
) -> Result<Child, TestingError> {
    let program = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"]
        .into_iter()
        .map(Path::new)
        .find(|program| program.exists())
        .ok_or(TestingError::NotInstalled {
            program: "redis-server",
            looked: "/usr/bin, /usr/local/bin",
            package: "redis-server",
        })?;
    let mut command: Command = runner.command(program);
    command.current_dir("/").arg(folder.join("redis.conf"));
    if sentinel {
        command.arg("--sentinel");
    }
    let log = folder.join("redis.log");
    let mut child = spawn(command, &log)?;
    let ready = || {
        ask(port, password, "PING\r\n", sentinel).is_ok_and(|answer| answer == "+OK\r\n+PONG\r\n")
    };
    let outcome = wait_ready(&mut child, &format!("Redis on 127.0.0.1:{port}"), &log, ready);
    if outcome.is_err() {
        end(&mut child, "-KILL");
    }
    outcome.map(|()| child)
}

/// Sends inline commands after the password and returns what came back. A Sentinel knows no QUIT:
/// what it says within a quarter of a second is its answer.
fn ask(port: u16, password: &str, commands: &str, sentinel: bool) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (patience, end) = if sentinel { (250, "") } else { (5_000, "QUIT\r\n") };
    stream.set_read_timeout(Some(Duration::from_millis(patience)))?;
    stream.write_all(format!("AUTH {password}\r\n{commands}{end}").as_bytes())?;
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer)
        && (!sentinel || answer.is_empty())
    {
        return Err(error);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(if sentinel { answer } else { answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned() })
}
