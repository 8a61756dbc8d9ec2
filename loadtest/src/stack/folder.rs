//! The folder of one run, and the guard that clears up when we are killed.

use std::{
    fs,
    io::Write as _,
    os::unix::{
        fs::{OpenOptionsExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

/// Reads what to watch until its input ends. An end without `done` means that the rig was killed:
/// then the groups end and the folder goes. `$0` is the folder, or empty when it stays.
const GUARD: &str = r#"
groups=""
while read -r word group; do
  case $word in
    watch) groups="$groups $group" ;;
    forget) left=""; for g in $groups; do [ "$g" = "$group" ] || left="$left $g"; done; groups=$left ;;
    done) exit 0 ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
[ -n "$0" ] || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0" && exit 0; sleep 0.3; done
"#;

/// A folder under `/tmp` (short, because the path of a Unix socket has 107 bytes), removed with all
/// that is in it when dropped, unless it is kept.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    keep: bool,
    guard: Child,
}

impl RunFolder {
    /// Makes it. Others may pass through (PostgreSQL runs as another user when we are root) but not
    /// look around.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(keep: bool) -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("/tmp/ringfence-{}", random_hex(4)?));
        fs::create_dir(&path).with_context(|| format!("making the folder {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))
            .with_context(|| format!("closing the folder {}", path.display()))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(if keep { Path::new("") } else { &path })
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the guard of the run folder")?;
        Ok(Self { path, keep, guard })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.keep
    }

    /// This process group ends if we are killed.
    pub fn watch(&mut self, group: u32) {
        self.tell(&format!("watch {group}\n"));
    }

    /// This process group has ended (its number may be used again).
    pub fn forget(&mut self, group: u32) {
        self.tell(&format!("forget {group}\n"));
    }

    fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.guard.stdin {
            // Without its guard the run only loses the clearing up after a SIGKILL.
            input.write_all(line.as_bytes()).ok();
        }
    }

    /// Writes a file that only we may read.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_secret(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        self.tell("done x\n");
        // Closes its input, too, so that it ends whatever it heard.
        self.guard.wait().ok();
        if !self.keep {
            // Nothing to be done about a folder that cannot be removed.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// Hex digits of this many random bytes.
///
/// # Errors
/// If the operating system gives none.
pub fn random_hex(bytes: usize) -> anyhow::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).context("random bytes")?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn the_folder_goes_when_dropped_and_secrets_are_closed() {
        let folder = RunFolder::make(false).unwrap();
        let path = folder.path().to_owned();
        let secret = folder.write_secret("keys.toml", "x").unwrap();
        assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_guard_ends_the_watched_groups_and_the_folder_when_its_input_ends() {
        let mut folder = RunFolder::make(false).unwrap();
        let path = folder.path().to_owned();
        let mut sleeper = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let mut spared = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        folder.watch(sleeper.id());
        folder.watch(spared.id());
        folder.forget(spared.id());
        // What a SIGKILL of ours would do.
        drop(folder.guard.stdin.take());
        sleeper.wait().unwrap();
        for _ in 0..100 {
            if !path.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!path.exists());
        assert!(spared.try_wait().unwrap().is_none());
        spared.kill().unwrap();
        spared.wait().unwrap();
    }
}
