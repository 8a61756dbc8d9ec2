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

/// A running Redis that keeps nothing on disk and evicts nothing. Stopped and removed when dropped.
#[derive(Debug)]
pub struct PrivateRedis {
    child: Child,
    port: u16,
    password: String,
    folder: Folder,
}

impl PrivateRedis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start() -> Result<Self, TestingError> {
        Self::start_in(None)
    }

    /// Starts one in this folder, which must not exist yet (`None` for a new one under `/tmp`), and
    /// waits until it answers.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start_in(folder: Option<PathBuf>) -> Result<Self, TestingError> {
        let runner = Runner::unprivileged()?;
        let folder = Folder::make(runner, folder)?;
        let port = free_port()?;
        let password = random_word(12)?;
        folder.write(
            runner,
            "redis.conf",
            &format!(
                "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\n\
                 maxmemory-policy noeviction\ndaemonize no\ndir {}\n",
                folder.path.display()
            ),
        )?;
        let child = launch(runner, port, &password, &folder.path)?;
        Ok(Self { child, port, password, folder })
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
        let answer = ask(self.port, &self.password, "FLUSHALL\r\nFUNCTION FLUSH\r\n")
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
        self.child = launch(Runner::unprivileged()?, self.port, &self.password, &self.folder.path)?;
        Ok(())
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        end(&mut self.child, "-TERM");
    }
}

fn launch(runner: Runner, port: u16, password: &str, folder: &Path) -> Result<Child, TestingError> {
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
    let log = folder.join("redis.log");
    let mut child = spawn(command, &log)?;
    let ready = || ask(port, password, "PING\r\n").is_ok_and(|answer| answer == "+OK\r\n+PONG\r\n");
    let outcome = wait_ready(&mut child, &format!("Redis on 127.0.0.1:{port}"), &log, ready);
    if outcome.is_err() {
        end(&mut child, "-KILL");
    }
    outcome.map(|()| child)
}

/// Sends inline commands after the password and returns what came back.
fn ask(port: u16, password: &str, commands: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("AUTH {password}\r\n{commands}QUIT\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned())
}
