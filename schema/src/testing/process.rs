//! What both servers need: a folder, a port, a random word, and an end.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::TestingError;

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Looks in 15 seconds.
pub(super) const LOOKS: u32 = 300;

pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> TestingError {
    let what = what.into();
    move |reason| TestingError::Io { what, reason }
}

/// Who a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Runner {
    /// The user and group to become; `None` to stay who we are.
    become_user: Option<(u32, u32)>,
}

impl Runner {
    /// Ourselves, or the user `postgres` if we are root.
    pub(super) fn unprivileged() -> Result<Self, TestingError> {
        let own = fs::metadata("/proc/self").map_err(io("/proc/self"))?.uid();
        if own != 0 {
            return Ok(Self { become_user: None });
        }
        let users = fs::read_to_string("/etc/passwd").map_err(io("/etc/passwd"))?;
        let ids = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (uid, gid) = (fields.nth(1)?, fields.next()?);
            (name == "postgres").then_some((uid.parse().ok()?, gid.parse().ok()?))
        });
        Ok(Self { become_user: Some(ids.ok_or(TestingError::NoUser)?) })
    }

    /// The program as this user. `setpriv` becomes the program, so that the child's process id is
    /// the program's.
    pub(super) fn command(self, program: &Path) -> Command {
        match self.become_user {
            None => Command::new(program),
            Some((uid, gid)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
                command.arg("--clear-groups").arg("--").arg(program);
                command
            }
        }
    }

    fn give(self, path: &Path) -> Result<(), TestingError> {
        match self.become_user {
            None => Ok(()),
            Some((uid, gid)) => chown(path, Some(uid), Some(gid))
                .map_err(io(format!("giving {} to user postgres", path.display()))),
        }
    }
}

/// A folder of one server. Removed with all that is in it when dropped, unless kept.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) keep: bool,
}

impl Folder {
    /// A new folder that only the runner may enter; under `/tmp` by default, because the path of a
    /// Unix socket has 107 bytes.
    pub(super) fn make(runner: Runner, wanted: Option<PathBuf>) -> Result<Self, TestingError> {
        let path = match wanted {
            Some(path) => path,
            None => PathBuf::from(format!("/tmp/rf-{}", random_word(4)?)),
        };
        fs::create_dir(&path).map_err(io(format!("making the folder {}", path.display())))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .map_err(io(format!("closing the folder {}", path.display())))?;
        runner.give(&path)?;
        Ok(Self { path, keep: false })
    }

    /// Writes a file that only the runner may read.
    pub(super) fn write(
        &self,
        runner: Runner,
        name: &str,
        text: &str,
    ) -> Result<PathBuf, TestingError> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(io(path.display().to_string()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(io(path.display().to_string()))?;
        runner.give(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing to be done about a folder that cannot be removed.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// Hex digits of this many random bytes.
pub(super) fn random_word(bytes: usize) -> Result<String, TestingError> {
    let mut random = vec![0; bytes];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(io("/dev/urandom"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A TCP port that is free on loopback right now.
pub(super) fn free_port() -> Result<u16, TestingError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(io("looking for a free port"))
}

/// The last lines of a log.
pub(super) fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).map(|line| format!("  {line}\n")).collect()
}

/// Starts a server with its output in `log`.
pub(super) fn spawn(mut command: Command, log: &Path) -> Result<Child, TestingError> {
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(io(log.display().to_string()))?;
    let again = file.try_clone().map_err(io(log.display().to_string()))?;
    command.stdin(Stdio::null()).stdout(file).stderr(again);
    // A group of its own: Ctrl-C at a terminal is for its starter, who stops it when it is time.
    command.process_group(0);
    let what = format!("starting {}", command.get_program().display());
    command.spawn().map_err(io(what))
}

/// Looks until `ready`, the end of the server, or 15 s.
pub(super) fn wait_ready(
    child: &mut Child,
    what: &str,
    log: &Path,
    mut ready: impl FnMut() -> bool,
) -> Result<(), TestingError> {
    for _ in 0..LOOKS {
        if let Ok(Some(status)) = child.try_wait() {
            let what = format!("{what} ended with {status}; it");
            return Err(TestingError::Failed { what, log: tail(log) });
        }
        if ready() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(TestingError::NotReady { what: what.to_owned(), path: log.to_owned(), log: tail(log) })
}

/// Asks by signal, waits up to 10 s, then kills. Always leaves no process.
pub(super) fn end(child: &mut Child, signal: &str) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    // The shell's own `kill`: the program of that name is not on every machine.
    let asked = Command::new("sh")
        .args(["-c", "kill \"$0\" \"$1\"", signal])
        .arg(child.id().to_string())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if asked {
        for _ in 0..200 {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
    child.kill().ok();
    child.wait().ok();
}
