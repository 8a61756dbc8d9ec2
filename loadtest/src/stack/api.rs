//! The API of a stack, and its keys.

use std::ffi::OsString;

use anyhow::{Context as _, bail};

use super::{Api, END, Process, READY, Stack, Stores, client};

impl Stack {
    /// Starts the API and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_api(&mut self) -> anyhow::Result<()> {
        self.launch_api()?;
        let health = format!("http://{}/healthz", self.settings.api);
        let Some(api) = &mut self.api else { bail!("no API was started") };
        api.wait_ready(READY, &self.stop, || client::is_ok(&health))
    }

    /// Starts the API and does not wait.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn launch_api(&mut self) -> anyhow::Result<()> {
        self.stop_api()?;
        let arguments = [OsString::from("--config"), self.api_config.clone().into()];
        self.api = Some(self.launch("campaign-api", "campaign-api", &arguments)?);
        Ok(())
    }

    /// The API's process, if it was started.
    pub const fn api_process(&mut self) -> Option<&mut Process> {
        self.api.as_mut()
    }

    /// Kills the API as a crash would.
    ///
    /// # Errors
    /// If the operating system does not say how it ended.
    pub fn kill_api(&mut self) -> anyhow::Result<()> {
        if let Some(mut api) = self.api.take() {
            api.kill()?;
            self.folder.forget(api.pid());
        }
        Ok(())
    }

    /// A client of the API with a key of the role `admin`, which is made when first asked for.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn api(&mut self) -> anyhow::Result<Api> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => self.key.insert(self.new_key("rig", "admin")?).clone(),
        };
        Ok(Api::new(&format!("http://{}", self.settings.api), &key))
    }

    /// Makes an API key.
    ///
    /// # Errors
    /// When `campaign-api key create` fails.
    pub fn new_key(&self, name: &str, role: &str) -> anyhow::Result<String> {
        let output = self.run(
            "campaign-api",
            &[
                "key".into(),
                "create".into(),
                "--config".into(),
                self.config().into(),
                "--name".into(),
                name.into(),
                "--role".into(),
                role.into(),
            ],
        )?;
        if !output.status.success() {
            bail!("making an API key failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let said = String::from_utf8(output.stdout).context("the new API key")?;
        said.split_whitespace().last().map(str::to_owned).context("no API key was printed")
    }

    /// The API reaches the stores like this from its next start on.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn api_reaches(&mut self, stores: &Stores) -> anyhow::Result<()> {
        let first = &self.settings.first;
        self.api_config = self.settings.write(&self.folder, "campaign-api", first, Some(stores))?;
        Ok(())
    }

    /// Ends the API.
    ///
    /// # Errors
    /// If the operating system does not say how it ended.
    pub fn stop_api(&mut self) -> anyhow::Result<()> {
        if let Some(mut api) = self.api.take() {
            api.stop(END)?;
            self.folder.forget(api.pid());
        }
        Ok(())
    }
}
