//! `campaign-api`: reads its configuration, reaches both stores, answers until told to stop.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use campaign_api::{
    StartError,
    app::{self, App},
    clock::Clock,
    http::{self, door::Door},
    users::{self, Role},
};
use clap::{Parser, Subcommand};
use schema::{
    config::{Config, StoreUrl},
    releases,
};
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
    /// Applies the migrations, as the owner of the database. Refuses while processes run that they
    /// would retire.
    Migrate {
        /// Retire what runs, if the migrations do.
        #[arg(long)]
        retire: bool,
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
        Some(Task::Migrate { retire, owner_url }) => {
            Ok(migrate(&StoreUrl::new(owner_url), retire).await?)
        }
        Some(Task::Key { task: KeyTask::Create { name, role } }) => {
            create_key(&Config::load(&arguments.config)?, &name, role).await
        }
        None => serve(&Config::load(&arguments.config)?).await,
    }
}

async fn migrate(owner: &StoreUrl, retire: bool) -> Result<(), StartError> {
    let place = owner.to_string();
    let mut connection = PgConnection::connect(owner.expose())
        .await
        .map_err(|reason| StartError::Postgres { place: place.clone(), reason })?;
    let failed = |reason| StartError::Postgres { place: place.clone(), reason };
    let retired = releases::retired_by_migrating(&mut connection).await.map_err(failed)?;
    let running: Vec<String> =
        retired.iter().map(|it| format!("{} (at {})", it.name, it.from)).collect();
    match (running.is_empty(), retire) {
        (true, _) => {}
        (false, true) => tracing::warn!(?running, "retired by this migration"),
        (false, false) => return Err(StartError::Retires { oldest: releases::OLDEST, running }),
    }
    schema::MIGRATOR
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|reason| StartError::Migrate { place: place.clone(), reason })?;
    // The dialers go on making them, each hour.
    sqlx::query("SELECT make_partitions(true)")
        .execute(&mut connection)
        .await
        .map(|_| ())
        .map_err(|reason| StartError::Postgres { place, reason })
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
    let (api, admin) = (listen(config.api.listen).await?, listen(config.api.admin).await?);
    let (api_door, admin_door) = (Arc::<Door>::default(), Arc::<Door>::default());
    let stop = CancellationToken::new();
    let over = CancellationToken::new();
    let api = axum::serve(api, Arc::clone(&api_door).router())
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let admin = axum::serve(admin, Arc::clone(&admin_door).router())
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let work = async {
        let done = work(config, &api_door, &admin_door, &stop, &over).await;
        stop.cancel();
        done
    };
    let signals = until_told_to_stop(stop.clone());
    // Permits end last: a request that is being answered may be one for a permit.
    let serving = async {
        let served = tokio::join!(signals, api, admin);
        over.cancel();
        served
    };
    let ((signals, api, admin), work) = tokio::join!(serving, work);
    work?;
    signals?;
    api?;
    admin?;
    tracing::info!("every request is answered; goodbye");
    Ok(())
}

/// Reaches the stores, however long that takes, opens the doors, and watches what has to be watched.
async fn work(
    config: &Config,
    api: &Door,
    admin: &Door,
    stop: &CancellationToken,
    over: &CancellationToken,
) -> Result<(), StartError> {
    let waiting = |store| [api, admin].into_iter().for_each(|door| door.wait_for(store));
    let app = tokio::select! {
        app = App::start_patiently(config, waiting) => Arc::new(app?),
        () = stop.cancelled() => return Ok(()),
    };
    api.open(http::router(Arc::clone(&app)));
    admin.open(http::admin_router(Arc::clone(&app)));
    tracing::info!(api = %config.api.listen, admin = %config.api.admin, "answering");
    tokio::join!(
        app.watch_packs(stop.clone()),
        app.watch_standing(stop.clone()),
        app.keep_permits(over.clone())
    );
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
        () = stop.cancelled() => return Ok(()),
    }
    tracing::info!("told to stop: finishing what is under way");
    stop.cancel();
    Ok(())
}
