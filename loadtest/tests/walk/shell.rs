//! One bash for a whole page, as a person has one open, and the programs in other terminals.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use loadtest::stack::clock;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// The longest a command of a page may take.
const PATIENCE: Duration = Duration::from_secs(240);

#[derive(Debug)]
pub(crate) struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    others: Vec<Child>,
    folder: PathBuf,
}

/// Where `./ringfence` finds the programs of this very build.
fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("bash");
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("LC_ALL", "C.UTF-8")
        .env("RINGFENCE_BUILT", "yes")
        .env("CARGO_TARGET_DIR", target())
        .env_remove("RINGFENCE_API")
        .env_remove("RINGFENCE_KEY")
        .process_group(0);
    command
}

fn lines_of(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = sync_channel(1000);
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

impl Shell {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut bash = command(folder)
            .args([
                "--norc",
                "-c",
                "exec 2>&1; while IFS= read -r page; do . \"$page\"; printf '\\n~%s\\n' $?; done",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = bash.stdin.take().unwrap();
        let lines = lines_of(bash.stdout.take().unwrap());
        Self { bash, input, lines, others: Vec::new(), folder: folder.to_owned() }
    }

    /// Runs a block line by line as typed; every command of it must succeed. Returns what came out.
    pub(crate) fn type_in(&mut self, text: &str, place: &str) -> String {
        let (code, out) = self.run(text, place);
        assert_eq!(code, "0", "{place}: ended with {code}:\n{text}\n{out}");
        out
    }

    /// Runs a block that must end with an error.
    pub(crate) fn fails(&mut self, text: &str, place: &str) -> String {
        let (code, out) = self.run(text, place);
        assert_ne!(code, "0", "{place}: did not fail:\n{text}\n{out}");
        out
    }

    fn run(&mut self, text: &str, place: &str) -> (String, String) {
        let page = self.folder.join(".typed");
        // Each command's failure ends the block, as a person would stop there.
        let guarded =
            format!("trap 'typed=$?; trap - ERR; return $typed' ERR\n{text}\ntrap - ERR\n");
        fs::write(&page, guarded).unwrap();
        writeln!(self.input, "{}", page.display()).unwrap();
        let mut out = String::new();
        let until = clock::monotonic() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(clock::monotonic());
            match self.lines.recv_timeout(left) {
                Ok(line) => match line.strip_prefix('~') {
                    Some(code) => {
                        // The line break before the mark is ours: not every output ends with one.
                        out.pop();
                        return (code.to_owned(), out);
                    }
                    None => {
                        out += &line;
                        out.push('\n');
                    }
                },
                Err(RecvTimeoutError::Timeout) => panic!("{place}: still running:\n{text}\n{out}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{place}: bash ended:\n{text}\n{out}")
                }
            }
        }
    }

    /// Starts a program in another terminal and waits until it says that it is ready.
    pub(crate) fn other_terminal(&mut self, text: &str, place: &str) {
        let mut child = command(&self.folder)
            .args(["--norc", "-c", &format!("exec 2>&1; {text}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        self.others.push(child);
        let mut out = String::new();
        let until = clock::monotonic() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(clock::monotonic());
            match lines.recv_timeout(left) {
                Ok(line) if line.split(' ').next() == Some("ready") => break,
                Ok(line) => {
                    out += &line;
                    out.push('\n');
                }
                Err(error) => panic!("{place}: {error}:\n{text}\n{out}"),
            }
        }
        // Read on, or the program would block when the pipe is full.
        thread::spawn(move || lines.iter().for_each(drop));
    }

    /// Presses Ctrl-C in the other terminals; they must end well.
    pub(crate) fn end(mut self) {
        for child in &mut self.others {
            interrupt(child);
            let status = child.wait().unwrap();
            assert!(status.success(), "the other terminal ended with {status}");
        }
        self.others.clear();
    }
}

fn interrupt(child: &Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    killpg(group, Signal::SIGINT).ok();
}

/// Whatever happened, nothing stays.
impl Drop for Shell {
    fn drop(&mut self) {
        for child in &mut self.others {
            interrupt(child);
            child.wait().ok();
        }
        self.bash.kill().ok();
        self.bash.wait().ok();
    }
}
