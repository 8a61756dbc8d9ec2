//! The dialer: configuration, announcement, run, drain.

use std::{
    io::{IsTerminal, Write},
    net::IpAddr,
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use dialer::{
    app,
    cli::{self, Args, AuditCommand, Command, PolicyCommand},
};
use schema::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match dispatch(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "dialer: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Run { config, name, advertise } => {
            runtime()?.block_on(run(&config, name, advertise))
        }
        Command::Policy { command: PolicyCommand::Check { file } } => {
            cli::policy_check(&file, &mut out)
        }
        Command::Audit { command: AuditCommand::Verify { folder, key } } => {
            let report = cli::audit_verify(&folder, &key)?;
            writeln!(out, "{report}verified").context("standard output")
        }
        Command::Audit { command: AuditCommand::Export { config, out: folder } } => {
            let said = runtime()?.block_on(cli::audit_export(&config, &folder))?;
            writeln!(out, "{said}").context("standard output")
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the tokio runtime")
}

/// Runs until SIGTERM, Ctrl-C or until it may not go on, then stops in order.
async fn run(config: &Path, name: Option<String>, advertise: Option<IpAddr>) -> Result<()> {
    log();
    let config = for_this_process(Config::load(config)?, name, advertise)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = app::start(config).await?;
    let told = tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
        () = app.failed() => false,
    };
    app.drain().await?;
    if !told {
        bail!("the dialer had to stop");
    }
    Ok(())
}

/// What the command line or the environment says of this one of several processes with one file.
fn for_this_process(
    mut config: Config,
    name: Option<String>,
    advertise: Option<IpAddr>,
) -> Result<Config> {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        config.dialer.name = name;
    }
    if let Some(address) = advertise {
        config.dialer.advertise.set_ip(address);
    }
    if config.dialer.advertise.ip().is_unspecified() {
        bail!(
            "dialer.advertise: no carrier can answer to {}: name the address that carriers see",
            config.dialer.advertise
        );
    }
    Ok(config)
}

/// Logs go to standard error: lines for people, JSON for machines.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().init();
    }
}
