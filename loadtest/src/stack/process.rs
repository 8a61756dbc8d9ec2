//! A program of ours, running as a process group of its own with its output in a file.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::{clock, stop::Stop};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A running program. Killed with its whole group when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its output is appended to `log`.
    ///
    /// # Errors
    /// If there is no such program or the log cannot be written.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: &[A],
        log: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_with(name, program, arguments, &[], log)
    }

    /// The same, with variables added to its environment.
    ///
    /// # Errors
    /// If there is no such program or the log cannot be written.
    pub fn start_with<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: &[A],
        environment: &[(OsString, OsString)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        if !program.is_file() {
            bail!(
                "there is no program {} (build it: cargo build --workspace --bins)",
                program.display()
            );
        }
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening the log {}", log.display()))?;
        let again = out.try_clone().context("a second handle on a log")?;
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(again)
            // Ctrl-C at a terminal goes to the foreground group: it is ours to pass on, in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id, which is its group's too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("looking after {}", self.name))
    }

    /// An error with the end of its log when it has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended by itself ({}); the end of its log, {}:\n{}",
                self.name,
                told(status),
                self.log.display(),
                tail(&self.log, 20)
            ),
        }
    }

    /// Looks until `ready`, its end, a raised stop or the time limit.
    ///
    /// # Errors
    /// In all cases but the first.
    pub fn wait_ready(
        &mut self,
        limit: Duration,
        stop: &Stop,
        mut ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let started = clock::monotonic();
        loop {
            self.must_run()?;
            if ready() {
                return Ok(());
            }
            if started.elapsed() > limit {
                bail!(
                    "{} was not ready within {} s; the end of its log, {}:\n{}",
                    self.name,
                    limit.as_secs(),
                    self.log.display(),
                    tail(&self.log, 20)
                );
            }
            stop.sleep(PAUSE)?;
        }
    }

    /// Asks it to end and waits; after `grace` it is killed. Returns how it ended.
    ///
    /// # Errors
    /// If the operating system does not say how it ended.
    pub fn stop(&mut self, grace: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        // A frozen one hears nothing.
        self.resume();
        let started = clock::monotonic();
        while started.elapsed() < grace {
            if let Some(status) = self.ended()? {
                // What it may have started itself.
                self.signal(Signal::SIGKILL);
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        self.kill()
    }

    /// Kills it and its group at once.
    ///
    /// # Errors
    /// If the operating system does not say how it ended.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        self.signal(Signal::SIGKILL);
        self.child.wait().with_context(|| format!("waiting for {}", self.name))
    }

    /// Asks it to end and does not wait (SIGTERM).
    pub fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Freezes it and its group where they stand (SIGSTOP).
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // The only failure is that the group is gone already.
            killpg(Pid::from_raw(pid), signal).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Drop cannot report; a process that cannot be waited for has ended.
        self.kill().ok();
    }
}

/// The last lines of a text file, indented; empty when it cannot be read.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).map(|line| format!("  {line}\n")).collect()
}

/// How a process ended, in words.
fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for an unknown reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Process, PathBuf) {
        let log = std::env::temp_dir().join(format!("rf-process-{:p}", &raw const script));
        let process =
            Process::start("a shell", Path::new("/bin/sh"), &["-c", script], &log).unwrap();
        (process, log)
    }

    #[test]
    fn stopping_waits_for_an_orderly_end_and_kills_after_the_grace() {
        let (mut obeys, log) = shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done");
        let stop = Stop::default();
        obeys.wait_ready(Duration::from_secs(5), &stop, || tail(&log, 1).contains("up")).unwrap();
        assert_eq!(obeys.stop(Duration::from_secs(5)).unwrap().code(), Some(7));
        fs::remove_file(log).unwrap();

        let (mut deaf, log) = shell("trap '' TERM; echo up; while :; do sleep 0.01; done");
        deaf.wait_ready(Duration::from_secs(5), &stop, || tail(&log, 1).contains("up")).unwrap();
        let status = deaf.stop(Duration::from_millis(50)).unwrap();
        assert_eq!(status.signal(), Some(9));
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_paused_process_does_nothing_until_it_is_resumed() {
        let (mut process, log) = shell("trap 'exit 7' TERM; while :; do echo x; sleep 0.01; done");
        let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
        let stop = Stop::default();
        process.wait_ready(Duration::from_secs(5), &stop, || lines() > 3).unwrap();
        process.pause();
        // What was under way when the signal came may still arrive.
        thread::sleep(Duration::from_millis(50));
        let before = lines();
        thread::sleep(Duration::from_millis(200));
        assert_eq!(lines(), before);
        process.resume();
        process.wait_ready(Duration::from_secs(5), &stop, || lines() > before).unwrap();
        process.pause();
        assert_eq!(process.stop(Duration::from_secs(5)).unwrap().code(), Some(7));
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_process_that_ends_by_itself_is_reported_with_its_last_words() {
        let (mut process, log) = shell("echo the reason; exit 3");
        let error = process
            .wait_ready(Duration::from_secs(5), &Stop::default(), || false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit code 3") && error.contains("the reason"), "{error}");
        fs::remove_file(log).unwrap();
    }
}
