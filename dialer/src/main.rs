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
    measure,
};
use schema::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A placement makes and drops hundreds of small things, on one thread and on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        Command::Policy { command: PolicyCommand::Check { file, house } } => {
            cli::policy_check(&file, house.as_deref(), &mut out)
        }
        Command::Policy { command: PolicyCommand::Rules { house } } => {
            cli::policy_rules(house.as_deref(), &mut out)
        }
        Command::Lists { command } => cli::lists(command, std::io::stdin().lock(), &mut out),
        Command::Policy { command: PolicyCommand::Explain(asked) } => {
            write!(out, "{}", cli::policy_explain(&asked)?).context("standard output")
        }
        Command::Policy { command: PolicyCommand::Diff(asked) } => {
            let said = runtime()?.block_on(cli::policy_diff(&asked))?;
            write!(out, "{said}").context("standard output")
        }
        Command::Measure(asked) => {
            let measured = runtime()?.block_on(measure::measure(&asked))?;
            write!(out, "{measured}").context("standard output")
        }
        Command::Audit { command: AuditCommand::Verify { folder, key } } => {
            let report = cli::audit_verify(&folder, &key)?;
            writeln!(out, "{report}verified").context("standard output")
        }
        Command::Audit { command: AuditCommand::Export { config, out: folder, which } } => {
            let said = runtime()?.block_on(cli::audit_export(&config, which, &folder))?;
            writeln!(out, "{said}").context("standard output")
        }
        Command::Audit { command: AuditCommand::Show { whose, config } } => {
            let page = runtime()?.block_on(cli::audit_show(&config, &whose))?;
            write!(out, "{page}").context("standard output")
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
    let app = tokio::select! {
        app = app::start(config) => app?,
        // Nothing has begun that would have to end in order.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
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

#[cfg(test)]
mod tests {
    use schema::config::Keys;

    use super::*;

    fn config(more: &str) -> Config {
        let name = format!("ringfence-main-{}-{}", std::process::id(), more.len());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("keys.toml"), Keys::generate(&[1; 96], "test/audit")).unwrap();
        let file = folder.join("ringfence.toml");
        let text = format!(
            "[postgres]\nurl = \"postgres://u@h/d\"\n[redis]\nurl = \"redis://h\"\n\
             [keys]\nfile = \"keys.toml\"\n[dialer]\nprompts = \"p\"\nlists = \"l\"\n{more}"
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        config
    }

    #[test]
    fn the_command_line_names_a_process_and_its_address_and_keeps_the_port() {
        let file = "name = \"a\"\nsip = \"0.0.0.0:5062\"\n";
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let told =
            for_this_process(config(file), Some("pod-3".to_owned()), Some(address)).unwrap().dialer;
        assert_eq!(
            (told.name.as_str(), told.advertise.to_string()),
            ("pod-3", "192.0.2.7:5062".to_owned())
        );
        assert_eq!(told.sip.to_string(), "0.0.0.0:5062", "it still listens everywhere");
    }

    #[test]
    fn without_them_the_file_holds() {
        let told = for_this_process(config("name = \"a\"\n"), Some(String::new()), None).unwrap();
        assert_eq!(told.dialer.name, "a", "an empty variable is none");
        assert_eq!(told.dialer.advertise, told.dialer.sip);
    }

    #[test]
    fn an_address_that_nobody_can_answer_to_is_refused() {
        let error = for_this_process(config("sip = \"0.0.0.0:5070\"\n"), None, None).unwrap_err();
        assert!(error.to_string().contains("dialer.advertise"), "{error}");
    }
}
