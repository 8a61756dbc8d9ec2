//! The image and the trial by compose, as far as they can be checked without a container engine: what they copy
//! exists, what they run are our programs with flags that these have, what they mount is a configuration that is taken.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use schema::config::Config;
use serde_json::{Value as Json, json};

use crate::{
    documents::words,
    helm::{file, folder, root},
    pods::Folder,
    yaml,
};

fn compose() -> Json {
    let whole = yaml::one(&file("trial/compose.yaml")).unwrap();
    let mut services = whole["services"].clone();
    // `<<` takes over what the service does not say itself.
    for service in services.as_object_mut().unwrap().values_mut() {
        if let Some(Json::Object(base)) = service.as_object_mut().unwrap().remove("<<") {
            *service = crate::helm::merged(&Json::Object(base), service);
        }
    }
    json!({ "services": services, "secrets": whole["secrets"], "networks": whole["networks"] })
}

/// Instructions of the Dockerfile with what continues them, comments left out.
fn instructions() -> Vec<String> {
    let text = file("trial/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_the_image_copies_is_there_and_sent_to_the_builder() {
    let ignore = file("trial/Dockerfile.dockerignore");
    let mut stages = BTreeSet::new();
    let mut copied = 0;
    for instruction in instructions() {
        if let Some(from) = instruction.strip_prefix("FROM ") {
            assert!(from.contains(':') && !from.contains(":latest"), "{from} is not pinned");
            stages.extend(from.split_once(" AS ").map(|(_, name)| name.to_owned()));
        }
        let Some(words) = instruction.strip_prefix("COPY ") else { continue };
        let words: Vec<&str> = words.split(' ').collect();
        if let Some(stage) = words[0].strip_prefix("--from=") {
            assert!(stages.contains(stage), "no stage {stage}");
            continue;
        }
        let sources = words[..words.len() - 1].iter().filter(|word| !word.starts_with("--"));
        for source in sources {
            copied += 1;
            assert!(root().join(source).exists(), "{source} is not there");
            assert!(ignore.lines().any(|line| line == format!("!{source}")), "{source} is ignored");
        }
    }
    assert!(copied >= 8, "{copied}");
    // Every member of the workspace is below a folder that is copied: cargo needs all manifests.
    let manifest: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let top = member.as_str().unwrap().split('/').next().unwrap();
        let line = format!("COPY {top} {top}");
        assert!(instructions().contains(&line), "{line} is missing");
    }
}

#[test]
fn the_image_is_built_by_the_compiler_of_the_project_and_runs_as_nobody() {
    let lines = instructions();
    let chain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let chain: toml::Table = chain.parse().unwrap();
    let version = chain["toolchain"]["channel"].as_str().unwrap();
    assert!(
        lines[0].starts_with(&format!("FROM rust:{version}-bookworm AS build")),
        "{}",
        lines[0]
    );
    assert!(lines.contains(&format!("ENV RUSTUP_TOOLCHAIN={version}")));
    // One C library: what the first stage links is what the last one has.
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    assert_eq!(lines[last], "FROM debian:bookworm-slim");
    let build = lines.iter().find(|line| line.contains("cargo build")).unwrap();
    for word in ["--release", "--locked", "-p dialer", "-p campaign-api"] {
        assert!(build.contains(word), "{build}");
    }
    let user = lines[last..].iter().find(|line| line.starts_with("USER ")).unwrap();
    let values = yaml::one(&file("values.yaml")).unwrap();
    let security = &values["podSecurityContext"];
    assert_eq!(user, &format!("USER {}:{}", security["runAsUser"], security["runAsGroup"]));
    assert!(lines.iter().any(|line| line.starts_with("HEALTHCHECK ")));
    let version = format!("ARG VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(lines.contains(&version), "{version}");
}

/// The words of a `--help`.
fn help(program: &str, words: &[&str]) -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name(program);
    let output = Command::new(path).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{program} {words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_trial_runs_our_programs_with_flags_that_they_have() {
    let services = &compose()["services"];
    assert_eq!(services["dialer"]["command"][0], "dialer");
    assert_eq!(services["api"]["command"][0], "campaign-api");
    let dialer = help("dialer", &["run"]);
    for word in ["--config", "RINGFENCE_ADVERTISE"] {
        assert!(dialer.contains(word), "{word}: {dialer}");
    }
    assert!(help("campaign-api", &[]).contains("--config"));
    assert!(help("campaign-api", &["migrate"]).contains("RINGFENCE_OWNER_URL"));
    let script = file("trial/migrate.sh");
    assert!(
        script.contains("export RINGFENCE_OWNER_URL")
            && script.contains("exec campaign-api migrate")
    );
    let image = services["dialer"]["image"].clone();
    assert_eq!(image, format!("ringfence:{}", env!("CARGO_PKG_VERSION")));
    assert!(services["api"]["image"] == image && services["migrate"]["image"] == image);
    let build = &services["dialer"]["build"];
    let place = folder().join("trial").join(words(&build["context"]));
    assert!(place.join(words(&build["dockerfile"])).exists());
    for script in ["healthy", "secrets", "roles.sh", "migrate.sh"] {
        let path = folder().join("trial").join(script);
        let checked = Command::new("bash").arg("-n").arg(&path).status().unwrap();
        assert!(checked.success(), "{script}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o111, 0o111, "{script} can be run");
    }
}

#[test]
fn the_trial_is_reached_from_this_machine_only_and_its_programs_may_do_little() {
    let services = compose()["services"].clone();
    for (name, service) in services.as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(words(port).starts_with("127.0.0.1:"), "{name}: {port}");
        }
        let image = words(&service["image"]);
        assert!(image.contains(':') && !image.ends_with(":latest"), "{name}: {image}");
        for variable in service["environment"].as_object().into_iter().flatten() {
            let (key, value) = variable;
            let secret = key.contains("PASSWORD") || key.contains("URL");
            assert!(!secret || words(value).starts_with("/run/secrets/"), "{name}: {key}");
        }
    }
    for name in ["dialer", "api", "migrate"] {
        let service = &services[name];
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["user"], "10001:10001", "{name}");
    }
    let grace = words(&services["dialer"]["stop_grace_period"]);
    let values = yaml::one(&file("values.yaml")).unwrap();
    assert_eq!(grace, format!("{}s", values["dialer"]["terminationGracePeriodSeconds"]));
    let address = &services["dialer"]["networks"]["ringfence"]["ipv4_address"];
    assert_eq!(&services["dialer"]["environment"]["RINGFENCE_ADVERTISE"], address);
}

#[test]
fn the_trial_waits_for_its_stores_and_names_what_exists() {
    let whole = compose();
    let services = whole["services"].as_object().unwrap();
    for (name, service) in services {
        for (other, _) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains_key(other), "{name} waits for {other}");
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(whole["secrets"][words(secret)].is_object(), "{name}: {secret}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = words(volume).split(':').next().unwrap().to_owned();
            // The operator's own folders, and the volume that Docker keeps.
            let made_later = ["./prompts", "./lists", "postgres"].contains(&source.as_str());
            assert!(
                made_later || folder().join("trial").join(&source).exists(),
                "{name}: {source}"
            );
        }
    }
    for program in ["dialer", "api"] {
        let waits = &services[program]["depends_on"];
        assert_eq!(waits["migrate"]["condition"], "service_completed_successfully", "{program}");
        assert_eq!(waits["redis"]["condition"], "service_healthy", "{program}");
    }
    assert_eq!(services["migrate"]["depends_on"]["postgres"]["condition"], "service_healthy");
}

#[test]
fn the_secrets_that_the_trial_makes_are_what_its_configuration_reads() {
    let temporary = Folder::make("trial");
    let make = || {
        let script = folder().join("trial/secrets");
        let output = Command::new(script).arg(temporary.0.join("secrets")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made = fs::read_dir(temporary.0.join("secrets")).unwrap();
        let mut made: Vec<_> = made
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
            .collect();
        made.sort();
        made
    };
    let made = make();
    assert_eq!(make(), made, "a second run leaves everything as it is");
    let whole = compose();
    for (name, secret) in whole["secrets"].as_object().unwrap() {
        assert_eq!(words(&secret["file"]), format!("./.secrets/{name}"));
        assert!(made.iter().any(|(path, _)| path.ends_with(name)), "{name} is not made");
    }
    let secrets = temporary.0.join("secrets").display().to_string();
    let text = file("trial/ringfence.toml").replace("/run/secrets", &secrets);
    fs::write(temporary.0.join("ringfence.toml"), text).unwrap();
    let config = Config::load(&temporary.0.join("ringfence.toml")).unwrap();
    assert_eq!(config.postgres.url.to_string(), "postgres://ringfence:***@postgres:5432/ringfence");
    let services = &whole["services"];
    assert_eq!(
        services["api"]["environment"]["RINGFENCE_ADMIN_PORT"],
        config.api.admin.port().to_string()
    );
    assert_eq!(
        services["dialer"]["environment"]["RINGFENCE_ADMIN_PORT"],
        config.dialer.admin.port().to_string()
    );
    assert_eq!(services["api"]["ports"][0], format!("127.0.0.1:8080:{}", config.api.listen.port()));
    let prometheus = yaml::one(&file("trial/prometheus.yml")).unwrap();
    let scraped: Vec<(String, String)> = prometheus["scrape_configs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (words(&job["job_name"]), words(&job["static_configs"][0]["targets"][0])))
        .collect();
    let target = |job: &str, host: &str, port: u16| (job.to_owned(), format!("{host}:{port}"));
    let programs = [
        target("ringfence-dialer", "dialer", config.dialer.admin.port()),
        target("ringfence-campaign-api", "api", config.api.admin.port()),
    ];
    assert_eq!(scraped, programs, "the alerts select by these names of jobs");
    let ignored = file("trial/.gitignore");
    assert!(ignored.lines().any(|line| line == ".secrets/"), "secrets are never committed");
}
