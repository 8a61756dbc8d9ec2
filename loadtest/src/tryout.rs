//! `loadtest try`: a private Ringfence to work with by hand. Everything runs, nothing is in it yet
//! but a trunk to the simulated carrier; it stays until Ctrl-C and leaves only its folder behind.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::{
    demo::INSTANT_MS,
    made,
    stack::{Api, Stack, Stop, clock},
    view::{Teller, Tone},
};

/// What the folder holds when it is ours: only such a folder is emptied.
const MARK: &str = "made-by-ringfence-try";
/// People of the made world whose numbers the national lists hold.
const PEOPLE: usize = 200;
/// One key for each role a person may have.
const ROLES: [&str; 4] = ["campaign_manager", "operator", "compliance", "admin"];
/// A spreadsheet as it comes out of an office: semicolons, Windows' characters, Excel's damage.
const SPREADSHEET: &[u8] = include_bytes!("tryout/people.csv");

/// `loadtest try`
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where keys, addresses and lists go; emptied first if an earlier try made it
    #[arg(long, value_name = "DIR", default_value = "ringfence-try")]
    pub dir: PathBuf,
    /// Let the clocks show the real time instead of a weekday afternoon
    #[arg(long)]
    pub real_time: bool,
    /// Begin with a campaign that runs: the spreadsheet, imported and called
    #[arg(long)]
    pub running: bool,
    /// Start a Prometheus, too
    #[arg(long)]
    pub observe: bool,
    /// What the carrier does follows from this number
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Nothing to ask here; ./ringfence asks before it installs
    #[arg(long, hide = true)]
    pub yes: bool,
}

/// Runs until somebody stops it.
///
/// # Errors
/// When a part of it does not start, or ends by itself.
pub fn command(args: &Args, stop: &Stop) -> anyhow::Result<ExitCode> {
    let mut teller = Teller::stdout();
    let dir = make_folder(&args.dir)?;
    let mut stack = start(args, &dir, stop)?;
    stack.start_carrier(args.seed)?;
    stack.start_api()?;
    stack.start_dialer()?;
    if args.observe {
        stack.start_prometheus()?;
    }
    let trunk = json!({
        "name": "simulated-carrier",
        "address": stack.carrier_address().to_string(),
        "calls_per_second": 50,
        "max_concurrent": 200,
    });
    let api = stack.api()?;
    let trunk = text(&api.post("/v1/trunks", &trunk)?, "id")?.to_owned();
    fs::write(dir.join("audit.pub"), api.get_text("/v1/audit/key")?).context("audit.pub")?;
    if args.running {
        run_campaign(&api, &trunk)?;
    }
    write_env(&stack, &dir, api.base())?;
    say(&mut teller, &stack, &args.dir, api.base());
    while stop.sleep(Duration::from_secs(1)).is_ok() {
        stack.must_run()?;
    }
    teller.line("stopping; running calls end first");
    stack.drain_dialer()?;
    Ok(ExitCode::SUCCESS)
}

/// A folder that only the user may read, and nobody else's.
fn make_folder(dir: &Path) -> anyhow::Result<PathBuf> {
    let told = || dir.display().to_string();
    if dir.join(MARK).exists() {
        fs::remove_dir_all(dir).with_context(told)?;
    } else if dir.exists() {
        bail!("{} is there and no earlier try made it: choose another with --dir", dir.display());
    }
    fs::create_dir_all(dir.join("keys")).with_context(told)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).with_context(told)?;
    fs::write(dir.join(MARK), "").with_context(told)?;
    fs::write(dir.join("people.csv"), SPREADSHEET).with_context(told)?;
    dir.canonicalize().with_context(told)
}

fn start(args: &Args, dir: &Path, stop: &Stop) -> anyhow::Result<Stack> {
    let now = if args.real_time { clock::real_unix_millis() } else { INSTANT_MS };
    let world = dir.join("world");
    made::make(&world, PEOPLE, args.seed, now)?;
    let lists = dir.join("lists");
    fs::rename(world.join("lists"), &lists).context("the national lists")?;
    fs::remove_dir_all(&world).context("the made world")?;
    freshen(&lists, now)?;
    let builder = Stack::builder().lists(&lists).stop(stop);
    if args.real_time { builder.start() } else { builder.starts_at(INSTANT_MS).start() }
}

/// The made world has a stale list; here all are of today, to begin with.
fn freshen(lists: &Path, now: i64) -> anyhow::Result<()> {
    let today = DateTime::from_timestamp_millis(now).context("the time")?.format("%Y-%m-%d");
    for entry in fs::read_dir(lists)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut fresh = String::with_capacity(text.len());
        for line in text.lines() {
            if line.starts_with("# as_of:") {
                fresh += &format!("# as_of: {today}\n");
            } else {
                fresh += line;
                fresh.push('\n');
            }
        }
        fs::write(&path, fresh).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// What a campaign manager has after the first hour.
fn run_campaign(api: &Api, trunk: &str) -> anyhow::Result<()> {
    let seller = api.post("/v1/sellers", &json!({ "name": "Harbor Dental" }))?;
    let campaign = json!({
        "seller": text(&seller, "id")?,
        "name": "invoices",
        "purpose": "debt_collection",
        "technology": "prerecorded",
        "caller_id": "+13055550100",
        "announces": ["identity", "purpose_statement", "callback_number"],
        "prompt": "demo.wav",
        "calls_per_second": 5,
        "max_concurrent": 50,
        "max_tries": 3,
        "ring_timeout_seconds": 20,
        "retry": { "busy": 600, "no_answer": 14_400 },
        "trunks": [trunk],
    });
    let campaign = text(&api.post("/v1/campaigns", &campaign)?, "id")?.to_owned();
    api.post_csv(&format!("/v1/lists?campaign={campaign}&name=people.csv&region=US"), SPREADSHEET)?;
    api.post_empty(&format!("/v1/campaigns/{campaign}/start"))?;
    Ok(())
}

fn text<'a>(answer: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    answer.get(field).and_then(Value::as_str).with_context(|| format!("no {field} in {answer}"))
}

/// Keys of every role, and `env`, to be sourced by a shell.
fn write_env(stack: &Stack, dir: &Path, api: &str) -> anyhow::Result<()> {
    for role in ROLES {
        let path = dir.join("keys").join(role);
        fs::write(&path, stack.new_key(&format!("try-{role}"), role)? + "\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    let config = stack.config();
    let key = dir.join("keys").join("campaign_manager");
    let mut text = format!(
        "# source this file: it says where this Ringfence is\n\
         export RINGFENCE_API={api}\n\
         export RINGFENCE_KEY_FILE='{}'\n\
         export RINGFENCE_CONFIG='{}'\n\
         export RINGFENCE_DIALER={}\n",
        key.display(),
        config.display(),
        stack.dialer_admin_url()
    );
    if let Some(prometheus) = stack.prometheus() {
        text += &format!("export RINGFENCE_PROMETHEUS=http://{prometheus}\n");
    }
    fs::write(dir.join("env"), text).context("env")
}

fn say(teller: &mut Teller, stack: &Stack, dir: &Path, api: &str) {
    let now = DateTime::from_timestamp_millis(stack.now_ms())
        .map_or_else(String::new, |at| at.format("%a %Y-%m-%d %H:%M UTC").to_string());
    teller.heading("Ringfence runs. Ctrl-C ends it; nothing stays but the folder.");
    teller.line(&format!("  the API        {api} (for all programs it is {now})"));
    teller.line(&format!("  the dialer     {}/metrics", stack.dialer_admin_url()));
    if let Some(prometheus) = stack.prometheus() {
        teller.line(&format!("  Prometheus     http://{prometheus}"));
    }
    teller.line(&format!("  a spreadsheet  {}", dir.join("people.csv").display()));
    teller.line(&format!("  national lists {}", dir.join("lists").display()));
    teller.line(&format!("  keys           {}, one for each role", dir.join("keys").display()));
    let bold = teller.tone(Tone::Bold, &format!(". {}/env", dir.display()));
    teller.line(&format!("Open another terminal here and type:  {bold}"));
    teller.line("then follow docs/first-hour-campaign-manager.md, -operator.md or -compliance.md.");
    teller.line("ready");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::RunFolder;

    #[test]
    fn only_a_folder_of_an_earlier_try_is_emptied() {
        let run = RunFolder::make(false).expect("a folder");
        let dir = run.path().join("try");
        make_folder(&dir).expect("a new folder");
        fs::write(dir.join("old"), "").expect("a file");
        make_folder(&dir).expect("the same again");
        assert!(!dir.join("old").exists() && dir.join("people.csv").exists());
        let theirs = run.path().join("theirs");
        fs::create_dir(&theirs).expect("a folder");
        let said = make_folder(&theirs).expect_err("not ours").to_string();
        assert!(said.contains("--dir"), "{said}");
    }

    #[test]
    fn every_list_is_of_today() {
        let run = RunFolder::make(false).expect("a folder");
        made::make(run.path(), 20, 1, INSTANT_MS).expect("a world");
        let lists = run.path().join("lists");
        freshen(&lists, INSTANT_MS).expect("fresh lists");
        let mut seen = 0;
        for entry in fs::read_dir(&lists).expect("the folder") {
            let text = fs::read_to_string(entry.expect("an entry").path()).expect("a list");
            assert!(text.lines().any(|line| line == "# as_of: 2026-12-01"), "{text}");
            seen += 1;
        }
        assert!(seen > 3);
    }
}
