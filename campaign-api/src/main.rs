//! `campaign-api`: reads its configuration, reaches both stores, answers until told to stop.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use campaign_api::{
    StartError,
    app::{self, App},
    clock::Clock,
    http,
    users::{self, Role},
};
use clap::{Parser, Subcommand};
use schema::config::{Config, StoreUrl};
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpListener, signal::unix};
use tokio_util::sync::CancellationToken;

/// The HTTP API of Ringfence.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "ringfence.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Applies the migrations, as the owner of the database.
    Migrate {
        /// postgres://owner:password@host:port/database
        #[arg(long, env = "RINGFENCE_OWNER_URL", hide_env_values = true)]
        owner_url: String,
    },
    /// API keys.
    Key {
        #[command(subcommand)]
        task: KeyTask,
    },
}

#[derive(Debug, Subcommand)]
enum KeyTask {
    /// Makes a new key and prints it, once.
    Create {
        /// Whose key it is.
        #[arg(long)]
        name: String,
        /// admin, campaign_manager, compliance, operator or dialer.
        #[arg(long)]
        role: Role,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,sqlx=warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("campaign-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.task {
        Some(Task::Migrate { owner_url }) => Ok(migrate(&StoreUrl::new(owner_url)).await?),
        Some(Task::Key { task: KeyTask::Create { name, role } }) => {
            create_key(&Config::load(&arguments.config)?, &name, role).await
        }
        None => serve(&Config::load(&arguments.config)?).await,
    }
}

async fn migrate(owner: &StoreUrl) -> Result<(), StartError> {
    let place = owner.to_string();
    let mut connection = PgConnection::connect(owner.expose())
        .await
        .map_err(|reason| StartError::Postgres { place: place.clone(), reason })?;
    schema::MIGRATOR
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|reason| StartError::Migrate { place, reason })
}

#[expect(clippy::print_stdout, reason = "the key is what this command is for")]
async fn create_key(config: &Config, name: &str, role: Role) -> anyhow::Result<()> {
    let pool = app::connect(config).await?;
    let mut mint = app::new_mint()?;
    let key = users::create_key(&pool, name, role, &mut mint, Clock::new(0).now()).await?;
    println!("{key}");
    Ok(())
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let app = Arc::new(App::start(config).await?);
    let api = listen(config.api.listen).await?;
    let admin = listen(config.api.admin).await?;
    tracing::info!(api = %config.api.listen, admin = %config.api.admin, "answering");
    let stop = CancellationToken::new();
    let signals = until_told_to_stop(stop.clone());
    let watching = app.watch_packs(stop.clone());
    let over = CancellationToken::new();
    let permits = app.keep_permits(over.clone());
    let api = axum::serve(api, http::router(Arc::clone(&app)))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let admin = axum::serve(admin, http::admin_router(Arc::clone(&app)))
        .with_graceful_shutdown(stop.cancelled_owned());
    // Permits end last: a request that is being answered may be one for a permit.
    let serving = async {
        let served = tokio::join!(signals, api, admin, watching);
        over.cancel();
        served
    };
    let ((signals, api, admin, ()), ()) = tokio::join!(serving, permits);
    signals?;
    api?;
    admin?;
    tracing::info!("every request is answered; goodbye");
    Ok(())
}

async fn listen(place: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(place).await.map_err(|reason| StartError::Listen { place, reason })
}

async fn until_told_to_stop(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop: finishing what is under way");
    stop.cancel();
    Ok(())
}
