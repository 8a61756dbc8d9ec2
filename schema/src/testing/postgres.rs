//! A private PostgreSQL cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{
    TestingError,
    process::{Folder, Runner, end, free_port, io, random_word, spawn, wait_ready},
};

/// How the cluster is set up.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Its folder, which must not exist yet; `None` for a new one under `/tmp`.
    pub folder: Option<PathBuf>,
    /// Whether the folder stays when the value is dropped.
    pub keep: bool,
    /// Whether commits reach the disk. Off only where durability is not what is tested.
    pub fsync: bool,
    /// More settings, `name=value`.
    pub settings: Vec<String>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { folder: None, keep: false, fsync: true, settings: Vec::new() }
    }
}

/// A running cluster with the roles `owner` (superuser), `ringfence_app` and the login `app` in it.
/// Stopped and removed when dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Ended in drop(), before the folder goes.
    child: Child,
    runner: Runner,
    bin: PathBuf,
    port: u16,
    password: String,
    options: PostgresOptions,
    folder: Folder,
}

static SHARED: Mutex<Weak<PrivatePostgres>> = Mutex::new(Weak::new());

impl PrivatePostgres {
    /// Starts a new cluster and waits until it answers.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start(options: PostgresOptions) -> Result<Self, TestingError> {
        let bin = find_bin()?;
        let runner = Runner::unprivileged()?;
        let mut folder = Folder::make(runner, options.folder.clone())?;
        folder.keep = options.keep;
        let password = random_word(12)?;
        let password_file = folder.write(runner, "password", &password)?;
        let output = runner
            .command(&bin.join("initdb"))
            .args(["--username=owner", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .args(["--no-instructions", "--no-sync"])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(format!("--pgdata={}", folder.path.join("data").display()))
            .current_dir("/")
            .output()
            .map_err(io("running initdb"))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(TestingError::Failed { what: "initdb".to_owned(), log });
        }
        let port = free_port()?;
        let child = launch(runner, &bin, port, &folder.path, &options)?;
        let started = Self { child, runner, bin, port, password, options, folder };
        started.sql(
            "postgres",
            &format!(
                "CREATE ROLE ringfence_app NOLOGIN;
                 CREATE ROLE app LOGIN PASSWORD '{}' IN ROLE ringfence_app;",
                started.password
            ),
        )?;
        Ok(started)
    }

    /// One cluster for all tests of a test binary that run at the same time; stopped when the last
    /// of them is done. Durability is off in it: give each test a database of its own.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn shared() -> Result<Arc<Self>, TestingError> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let options = PostgresOptions { fsync: false, ..PostgresOptions::default() };
        let started = Arc::new(Self::start(options)?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// The URL for the superuser.
    #[must_use]
    pub fn owner_url(&self, database: &str) -> String {
        format!("postgres://owner:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The URL for a login that has the rights of the running programs only.
    #[must_use]
    pub fn app_url(&self, database: &str) -> String {
        format!("postgres://app:{}@127.0.0.1:{}/{database}", self.password, self.port)
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
        self.folder.path.join("postgres.log")
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub fn create_database(&self, name: &str) -> Result<(), TestingError> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""))
    }

    /// Makes an empty database with a random name and returns the name.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub fn new_database(&self) -> Result<String, TestingError> {
        let name = format!("rf_{}", random_word(6)?);
        self.create_database(&name)?;
        Ok(name)
    }

    /// Runs SQL as the superuser.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub fn sql(&self, database: &str, sql: &str) -> Result<(), TestingError> {
        self.run("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql])
            .map(|_| ())
    }

    /// Runs one of PostgreSQL's client programs against the cluster and returns what it printed.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String, TestingError> {
        let output = Command::new(self.bin.join(program))
            .args(arguments)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "owner")
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()
            .map_err(io(format!("running {program}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(TestingError::Failed { what: program.to_owned(), log })
    }

    /// Stops the server; the data stay. `crash` leaves it no time to write anything down.
    pub fn stop(&mut self, crash: bool) {
        end(&mut self.child, if crash { "-QUIT" } else { "-INT" });
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn start_again(&mut self) -> Result<(), TestingError> {
        end(&mut self.child, "-INT");
        self.child = launch(self.runner, &self.bin, self.port, &self.folder.path, &self.options)?;
        Ok(())
    }

    /// Starts it again as a standby that follows nobody: it answers, and takes no writes.
    ///
    /// # Errors
    /// See [`TestingError`].
    pub fn become_standby(&mut self) -> Result<(), TestingError> {
        self.stop(false);
        self.folder.write(self.runner, "data/standby.signal", "")?;
        self.start_again()
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // Quick where the data go anyway, orderly where they stay.
        end(&mut self.child, if self.folder.keep { "-INT" } else { "-QUIT" });
    }
}

fn launch(
    runner: Runner,
    bin: &Path,
    port: u16,
    folder: &Path,
    options: &PostgresOptions,
) -> Result<Child, TestingError> {
    let mut command = runner.command(&bin.join("postgres"));
    command.current_dir("/").arg("-D").arg(folder.join("data"));
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        "max_connections=200".to_owned(),
        "shared_buffers=128MB".to_owned(),
        format!("fsync={}", if options.fsync { "on" } else { "off" }),
        format!("synchronous_commit={}", if options.fsync { "on" } else { "off" }),
        format!("full_page_writes={}", if options.fsync { "on" } else { "off" }),
    ];
    settings.extend(options.settings.iter().cloned());
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    let log = folder.join("postgres.log");
    let mut child = spawn(command, &log)?;
    let what = format!("PostgreSQL on 127.0.0.1:{port}");
    let ready = || {
        Command::new(bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-t", "1", "-p"])
            .arg(port.to_string())
            .status()
            .is_ok_and(|status| status.success())
    };
    let outcome = wait_ready(&mut child, &what, &log, ready);
    if outcome.is_err() {
        end(&mut child, "-QUIT");
    }
    outcome.map(|()| child)
}

/// The programs of the newest PostgreSQL that is installed.
fn find_bin() -> Result<PathBuf, TestingError> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin).ok_or(TestingError::NotInstalled {
        program: "PostgreSQL",
        looked: "/usr/lib/postgresql/*/bin",
        package: "postgresql",
    })
}
