//! A private Prometheus that scrapes a stack, with the alerts of `helm/rules/`: loopback, a free
//! port, its data in the run folder, an end with the stack's.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, bail};

use super::RunFolder;

/// The alerts as they ship.
const RULES: &str = include_str!("../../../helm/rules/ringfence.yaml");
/// Where the distributions put it.
const PLACES: [&str; 3] = ["/usr/bin/prometheus", "/usr/local/bin/prometheus", "/bin/prometheus"];

/// The program.
///
/// # Errors
/// When it is not installed.
pub(super) fn program() -> anyhow::Result<&'static Path> {
    let Some(found) = PLACES.into_iter().map(Path::new).find(|path| path.is_file()) else {
        bail!("there is no prometheus here (./ringfence setup installs it)");
    };
    Ok(found)
}

/// Writes what it reads; returns its arguments.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn prepare(
    folder: &RunFolder,
    listen: SocketAddr,
    dialer: SocketAddr,
    api: SocketAddr,
) -> anyhow::Result<Vec<String>> {
    let home = folder.path().join("prometheus");
    fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    let write = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok::<_, anyhow::Error>(path)
    };
    write("rules.yaml", RULES)?;
    let file = write("prometheus.yml", &config(dialer, api))?;
    Ok(vec![
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", home.join("data").display()),
        // The run is over long before.
        "--storage.tsdb.retention.time=2d".to_owned(),
        format!("--web.listen-address={listen}"),
        "--log.level=warn".to_owned(),
    ])
}

/// Each process once a second: a demo is over in a minute.
fn config(dialer: SocketAddr, api: SocketAddr) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         rule_files: [rules.yaml]\n\
         scrape_configs:\n\
         - {{job_name: ringfence-dialer, static_configs: [{{targets: ['{dialer}']}}]}}\n\
         - {{job_name: ringfence-campaign-api, static_configs: [{{targets: ['{api}']}}]}}\n"
    )
}
