//! The dialers of a stack. They are counted from 0; what names no number is about the first, which
//! is the only one of most stacks.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{
    Process, RunFolder, Stack, client,
    settings::{Place, Settings, Stores},
    tail,
};

/// How long a dialer may take to be ready.
const READY: Duration = super::READY;
/// How long a dialer may take to drain: the longest call and a margin.
const DRAIN: Duration = Duration::from_secs(60);

/// One dialer, running or not.
#[derive(Debug)]
pub(super) struct Dialer {
    place: Place,
    config: PathBuf,
    /// Of its log: `dialer`, `dialer-2`, ...
    log: String,
    environment: Vec<(OsString, OsString)>,
    pub(super) process: Option<Process>,
}

impl Dialer {
    /// Writes the files of all dialers: the first has its in the run folder itself.
    pub(super) fn write_all(settings: &Settings, run: &RunFolder) -> anyhow::Result<Vec<Self>> {
        let first = Self::write(settings, run, &settings.first, "", "dialer")?;
        let others = settings
            .others
            .iter()
            .map(|place| Self::write(settings, run, place, &place.name, &place.name));
        std::iter::once(Ok(first)).chain(others).collect()
    }

    fn write(
        settings: &Settings,
        run: &RunFolder,
        place: &Place,
        folder: &str,
        log: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            config: settings.write(run, folder, place, None)?,
            place: place.clone(),
            log: log.to_owned(),
            environment: Vec::new(),
            process: None,
        })
    }
}

impl Stack {
    /// How many dialers there are to start.
    #[must_use]
    pub const fn dialers(&self) -> usize {
        self.dialers.len()
    }

    fn nth(&mut self, number: usize) -> anyhow::Result<&mut Dialer> {
        let count = self.dialers.len();
        self.dialers
            .get_mut(number)
            .with_context(|| format!("no dialer {number} in a stack of {count} (from 0)"))
    }

    /// Where health and metrics of the first dialer are.
    #[must_use]
    pub fn dialer_admin_url(&self) -> String {
        format!("http://{}", self.settings.first.admin)
    }

    /// Where health and metrics of each dialer are.
    pub fn dialer_admins(&self) -> impl Iterator<Item = SocketAddr> {
        self.dialers.iter().map(|dialer| dialer.place.admin)
    }

    /// The log of a dialer.
    ///
    /// # Errors
    /// If there are fewer dialers.
    pub fn dialer_log(&mut self, number: usize) -> anyhow::Result<PathBuf> {
        let name = format!("{}.log", self.nth(number)?.log);
        Ok(self.path().join(name))
    }

    /// The name of a dialer in `node` and in metrics.
    ///
    /// # Errors
    /// If there are fewer dialers.
    pub fn dialer_name(&mut self, number: usize) -> anyhow::Result<String> {
        Ok(self.nth(number)?.place.name.clone())
    }

    /// A dialer reaches the stores like this from its next start on.
    ///
    /// # Errors
    /// If there are fewer dialers, or its file cannot be written.
    pub fn dialer_reaches(&mut self, number: usize, stores: &Stores) -> anyhow::Result<()> {
        let place = self.nth(number)?.place.clone();
        let config = self.settings.write(&self.folder, &place.name, &place, Some(stores))?;
        self.nth(number)?.config = config;
        Ok(())
    }

    /// A dialer has these variables in its environment from its next start on.
    ///
    /// # Errors
    /// If there are fewer dialers.
    pub fn dialer_environment(
        &mut self,
        number: usize,
        environment: Vec<(OsString, OsString)>,
    ) -> anyhow::Result<()> {
        self.nth(number)?.environment = environment;
        Ok(())
    }

    /// Starts the first dialer and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_dialer(&mut self) -> anyhow::Result<()> {
        self.start_nth_dialer(0)
    }

    /// Starts all dialers and waits until each says that it is ready.
    ///
    /// # Errors
    /// When one does not.
    pub fn start_dialers(&mut self) -> anyhow::Result<()> {
        for number in 0..self.dialers() {
            self.launch_nth_dialer(number)?;
        }
        for number in 0..self.dialers() {
            self.wait_for_nth_dialer(number, READY)?;
        }
        Ok(())
    }

    /// Starts a dialer and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it does not, or there are fewer dialers.
    pub fn start_nth_dialer(&mut self, number: usize) -> anyhow::Result<()> {
        self.launch_nth_dialer(number)?;
        self.wait_for_nth_dialer(number, READY)
    }

    /// Waits until the first dialer says that it is ready.
    ///
    /// # Errors
    /// When it has ended, or the time is up.
    pub fn wait_for_dialer(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.wait_for_nth_dialer(0, limit)
    }

    /// Waits until a dialer says that it is ready.
    ///
    /// # Errors
    /// When it has ended, or the time is up.
    pub fn wait_for_nth_dialer(&mut self, number: usize, limit: Duration) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let dialer = self.nth(number)?;
        let ready = format!("http://{}/readyz", dialer.place.admin);
        let Some(process) = &mut dialer.process else { bail!("no dialer was started") };
        process.wait_ready(limit, &stop, || client::is_ok(&ready))
    }

    /// Whether a dialer says that it is ready.
    ///
    /// # Errors
    /// If there are fewer dialers.
    pub fn is_ready(&mut self, number: usize) -> anyhow::Result<bool> {
        Ok(client::is_ok(&format!("http://{}/readyz", self.nth(number)?.place.admin)))
    }

    /// Starts the first dialer and does not wait.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn launch_dialer(&mut self) -> anyhow::Result<()> {
        self.launch_nth_dialer(0)
    }

    /// Starts a dialer and does not wait; one that runs is killed first.
    ///
    /// # Errors
    /// When there is no such program, or there are fewer dialers.
    pub fn launch_nth_dialer(&mut self, number: usize) -> anyhow::Result<()> {
        self.kill_nth_dialer(number)?;
        let program = self.bin.join("dialer");
        let log = self.dialer_log(number)?;
        let dialer = self.nth(number)?;
        let arguments = ["run".into(), "--config".into(), dialer.config.clone().into_os_string()];
        let environment = std::mem::take(&mut dialer.environment);
        let process = Process::start_with(&dialer.log, &program, &arguments, &environment, &log);
        dialer.environment = environment;
        let pid = dialer.process.insert(process?).pid();
        self.folder.watch(pid);
        Ok(())
    }

    /// The first dialer's process, if it was started.
    pub fn dialer(&mut self) -> Option<&mut Process> {
        self.nth_dialer(0)
    }

    /// A dialer's process, if it was started.
    pub fn nth_dialer(&mut self, number: usize) -> Option<&mut Process> {
        self.dialers.get_mut(number)?.process.as_mut()
    }

    /// Kills the first dialer as a crash would.
    ///
    /// # Errors
    /// If the operating system does not say how it ended.
    pub fn kill_dialer(&mut self) -> anyhow::Result<()> {
        self.kill_nth_dialer(0)
    }

    /// Kills a dialer as a crash would.
    ///
    /// # Errors
    /// If the operating system does not say how it ended, or there are fewer dialers.
    pub fn kill_nth_dialer(&mut self, number: usize) -> anyhow::Result<()> {
        if let Some(mut process) = self.nth(number)?.process.take() {
            process.kill()?;
            self.folder.forget(process.pid());
        }
        Ok(())
    }

    /// Lets the first dialer finish its calls and end. An error when it did not end well by itself.
    ///
    /// # Errors
    /// When it had to be killed or ended with an error.
    pub fn drain_dialer(&mut self) -> anyhow::Result<()> {
        self.drain_nth_dialer(0)
    }

    /// Lets all dialers finish their calls and end, one after the other.
    ///
    /// # Errors
    /// When one had to be killed or ended with an error.
    pub fn drain_dialers(&mut self) -> anyhow::Result<()> {
        (0..self.dialers()).try_for_each(|number| self.drain_nth_dialer(number))
    }

    /// Lets a dialer finish its calls and end.
    ///
    /// # Errors
    /// When it had to be killed or ended with an error, or there are fewer dialers.
    pub fn drain_nth_dialer(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(mut process) = self.nth(number)?.process.take() else {
            return Ok(());
        };
        process.must_run()?;
        let status = process.stop(DRAIN)?;
        self.folder.forget(process.pid());
        if !status.success() {
            bail!("the dialer did not end well: {status}\n{}", tail(Path::new(process.log()), 20));
        }
        Ok(())
    }
}
