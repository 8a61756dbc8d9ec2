//! The rules and the checks: each check gives what is wrong, one sentence a violation.

use std::collections::BTreeSet;

use crate::{
    code::{Source, lines_with, spelled_out},
    workspace::Member,
};

/// Each member, the members it may link (normal dependencies), and whether it is pure. DESIGN section 3.
/// `campaign-api` and `schema` link `limiter` because an opt-out moves a head, whose bytes `limiter` defines.
pub(crate) const MEMBERS: &[(&str, Kind, &[&str])] = &[
    ("dialer-types", Kind::Pure, &[]),
    ("dialer-policy", Kind::Pure, &["dialer-types"]),
    ("dialer-limiter", Kind::Pure, &["dialer-types"]),
    // What a judgement is and what is written of it: `audit` has the records.
    (
        "dialer-judge",
        Kind::Pure,
        &["dialer-types", "dialer-policy", "dialer-limiter", "dialer-audit"],
    ),
    ("dialer-lists", Kind::Other, &["dialer-types"]),
    (
        "dialer-facts",
        Kind::Other,
        &[
            "dialer-types",
            "dialer-policy",
            "dialer-limiter",
            "dialer-judge",
            "dialer-lists",
            "schema",
        ],
    ),
    // Where both processes find the stores, and what makes a placement durable there; the schema has
    // the configuration and what a moved head is.
    (
        "dialer-stores",
        Kind::Other,
        &["dialer-types", "dialer-limiter", "dialer-judge", "dialer-audit", "schema"],
    ),
    ("dialer-sip", Kind::Pure, &[]),
    ("dialer-media", Kind::Pure, &["dialer-types"]),
    ("dialer-pacing", Kind::Pure, &["dialer-types"]),
    ("dialer-audit", Kind::Pure, &["dialer-types"]),
    (
        "dialer-engine",
        Kind::Pure,
        &[
            "dialer-types",
            "dialer-policy",
            "dialer-limiter",
            "dialer-judge",
            "dialer-sip",
            "dialer-media",
            "dialer-pacing",
            "dialer-audit",
        ],
    ),
    (
        "dialer-sim",
        Kind::Other,
        &[
            "dialer-types",
            "dialer-policy",
            "dialer-limiter",
            "dialer-sip",
            "dialer-media",
            "dialer-pacing",
            "dialer-audit",
            "dialer-engine",
            "schema",
        ],
    ),
    ("dialer-model", Kind::Other, &["dialer-types", "dialer-limiter"]),
    (
        "dialer",
        Kind::Other,
        &[
            "dialer-types",
            "dialer-policy",
            "dialer-limiter",
            "dialer-judge",
            "dialer-lists",
            "dialer-facts",
            "dialer-stores",
            "dialer-media",
            "dialer-pacing",
            "dialer-audit",
            "dialer-engine",
            "schema",
        ],
    ),
    (
        "campaign-api",
        Kind::Other,
        &[
            "dialer-types",
            "dialer-policy",
            "dialer-audit",
            "dialer-limiter",
            "dialer-judge",
            "dialer-facts",
            "dialer-stores",
            "schema",
        ],
    ),
    ("ringfence-terminal", Kind::Other, &["dialer-types"]),
    ("schema", Kind::Other, &["dialer-types", "dialer-audit", "dialer-limiter"]),
    // `dialer-lists` for `loadtest lists`, which measures it; the checker reads lists by itself.
    (
        "loadtest",
        Kind::Other,
        &["dialer-types", "dialer-lists", "dialer-sip", "dialer-media", "schema"],
    ),
];

/// Crates that bring IO or a runtime. A name ending in `*` stands for all that begin so.
pub(crate) const IMPURE: &[&str] = &[
    "tokio*",
    "async-std",
    "async-executor",
    "async-global-executor",
    "async-io",
    "smol",
    "glommio",
    "monoio",
    "embassy*",
    "mio",
    "socket2",
    "redis*",
    "sqlx*",
    "axum*",
    "hyper*",
    "reqwest",
    "tower*",
    "tonic*",
    "ureq",
    "futures-executor",
];
/// Not to be asked for directly by a pure crate: another member's features may put them below a shared library.
pub(crate) const IMPURE_DIRECT: &[&str] = &["getrandom", "fastrand", "rand"];

/// What the sources of a pure crate must not say outside tests.
pub(crate) const IMPURE_WORDS: &[&str] = &[
    "async",
    "await",
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixDatagram",
    "getrandom",
    "thread_rng",
    "OsRng",
    "ThreadRng",
    "RandomState",
];

pub(crate) const LONGEST_FILE: usize = 800;
pub(crate) const FORBIDDEN_NAMES: &[&str] =
    &["session", "manager", "handler", "processor", "context", "util", "helper", "lead"];
/// RFC 4028 calls it so.
pub(crate) const NAMES_ALLOWED: &[&str] = &["session_timer"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pure,
    Other,
}

pub(crate) fn wrong_directions(members: &[Member]) -> Vec<String> {
    let known: BTreeSet<&str> = MEMBERS.iter().map(|(name, ..)| *name).collect();
    let mut wrong = Vec::new();
    for member in members {
        let Some((_, _, allowed)) = MEMBERS.iter().find(|(name, ..)| *name == member.name) else {
            wrong.push(format!(
                "{} is a member that the table of directions does not know",
                member.name
            ));
            continue;
        };
        for link in &member.direct {
            if known.contains(link.as_str()) && !allowed.contains(&link.as_str()) {
                wrong.push(format!("{} must not depend on {link}", member.name));
            }
        }
    }
    wrong
}

pub(crate) fn impure_links(members: &[Member]) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in members.iter().filter(|member| is_pure(&member.name)) {
        for (link, through) in &member.tree {
            let banned = IMPURE.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => link.starts_with(start),
                None => link == name,
            });
            if banned {
                wrong.push(format!("{} is pure and links {link} (through {through})", member.name));
            }
        }
        for link in member.direct.iter().filter(|link| IMPURE_DIRECT.contains(&link.as_str())) {
            wrong.push(format!("{} is pure and depends on {link}", member.name));
        }
    }
    wrong
}

pub(crate) fn impure_sources(members: &[Member], sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in members.iter().filter(|member| is_pure(&member.name)) {
        let folder = format!("{}src/", member.folder);
        for source in sources.iter().filter(|source| source.path.starts_with(&folder)) {
            let code = spelled_out(&source.shipped);
            for word in IMPURE_WORDS {
                for line in lines_with(&code, word) {
                    wrong.push(format!(
                        "{}:{line}: {} is pure and says `{word}`",
                        source.path, member.name
                    ));
                }
            }
        }
    }
    wrong
}

/// rsip stays behind the wire; elsewhere its panics and its limits would be ours.
pub(crate) fn stray_rsip(sources: &[Source]) -> Vec<String> {
    let home = [
        "dialer/sip/src/wire/",
        "dialer/sip/src/wire.rs",
        "dialer/sip/tests/",
        "dialer/sip/benches/",
    ];
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| !source.is_below(&home)) {
        for line in lines_with(&source.code, "rsip") {
            wrong.push(format!("{}:{line}: rsip outside dialer/sip/src/wire", source.path));
        }
    }
    wrong
}

/// G1: one place in the engine sends INVITEs, and nobody else does. Others may have a method of that name: counted is
/// a call in a file that speaks of an endpoint, or that silences the lint which knows the types (`clippy.toml`).
pub(crate) fn stray_invites(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut calls, mut silenced) = (Vec::new(), Vec::new());
    for source in sources.iter().filter(|source| !source.is_below(&["dialer/sip/"])) {
        let in_engine = source.is_below(&["dialer/engine/src/"]);
        let code = if in_engine { &source.shipped } else { &source.code };
        let code = code.replace("self.invite(", "self.own(");
        let near = ["endpoint", "dialer_sip", "clippy::disallowed_methods"];
        if !in_engine && !near.iter().any(|word| code.to_lowercase().contains(word)) {
            continue;
        }
        let found = [".invite(", "::invite"].iter().flat_map(|call| lines_with(&code, call));
        if in_engine {
            calls.extend(found.map(|line| format!("{}:{line}", source.path)));
            let lints = lines_with(&code, "clippy::disallowed_methods");
            silenced.extend(lints.into_iter().map(|line| format!("{}:{line}", source.path)));
        } else {
            wrong.extend(
                found.map(|line| {
                    format!("{}:{line}: INVITE sent outside dialer/engine", source.path)
                }),
            );
        }
    }
    if calls.len() != 1 {
        wrong.push(format!(
            "dialer/engine must call Endpoint::invite in exactly one place: {calls:?}"
        ));
    }
    if silenced.len() != 1 {
        wrong.push(format!(
            "dialer/engine must silence clippy::disallowed_methods in exactly one place: {silenced:?}"
        ));
    }
    wrong
}

/// `clippy.toml` names methods with `allow-invalid`, so that a renamed one would go unguarded without a sound.
pub(crate) fn missing_fences(clippy: &str, sources: &[Source]) -> Vec<String> {
    let fenced = [
        ("dialer_sip::Endpoint::invite", "dialer/sip/src/", "fn invite"),
        ("dialer_limiter::Reservation::assertion", "dialer/limiter/src/", "fn assertion"),
        ("dialer_audit::Receipt::assertion", "dialer/audit/src/", "fn assertion"),
    ];
    let mut wrong = Vec::new();
    for (path, folder, definition) in fenced {
        if !clippy.contains(&format!("path = \"{path}\"")) {
            wrong.push(format!("clippy.toml does not fence {path}"));
        }
        if !sources.iter().any(|source| {
            source.is_below(&[folder]) && !lines_with(&source.code, definition).is_empty()
        }) {
            wrong.push(format!("clippy.toml fences {path}, and {folder} has no `{definition}`"));
        }
    }
    wrong
}

/// The member that maps files, and the one file of it that may: `unsafe` cannot be allowed where
/// the workspace forbids it, so its table of lints is its own.
pub(crate) const MAPS: (&str, &str) = ("dialer-lists", "dialer/lists/src/bytes.rs");

pub(crate) fn unlinted(name: &str, manifest: &str, workspace: &str) -> Vec<String> {
    let lints = manifest.split("[lints]").nth(1).unwrap_or_default();
    let inherited = lints.trim_start().starts_with("workspace = true");
    let own = name == MAPS.0
        && lint_lines(manifest, "[lints.")
            == lint_lines(workspace, "[workspace.lints.")
                .into_iter()
                .map(|line| line.replace("unsafe_code = \"forbid\"", "unsafe_code = \"deny\""))
                .collect();
    if inherited || own {
        Vec::new()
    } else {
        vec![format!("{name} does not inherit the lints of the workspace")]
    }
}

/// The lines of the tables of lints, each with the name of its table.
fn lint_lines(manifest: &str, begins: &str) -> BTreeSet<String> {
    let mut table = None;
    let mut lines = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            table = line.strip_prefix(begins);
        } else if let Some(table) = table
            && !line.is_empty()
            && !line.starts_with('#')
        {
            lines.insert(format!("{table} {line}"));
        }
    }
    lines
}

/// One `unsafe` in the whole house: the one that maps a list.
pub(crate) fn stray_unsafe(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut home = 0;
    for source in sources {
        let lines: Vec<_> = source
            .code
            .split(|sign: char| !sign.is_alphanumeric() && sign != '_')
            .filter(|word| *word == "unsafe")
            .collect();
        if source.path == MAPS.1 {
            home += lines.len();
        } else if !lines.is_empty() {
            wrong.push(format!("{}: unsafe outside {}", source.path, MAPS.1));
        }
    }
    if home != 1 {
        wrong.push(format!("{} must have exactly one unsafe: {home}", MAPS.1));
    }
    wrong
}

pub(crate) fn badly_shaped(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        if source.lines > LONGEST_FILE {
            wrong.push(format!(
                "{} has {} lines; {LONGEST_FILE} is the most",
                source.path, source.lines
            ));
        }
        let mut names: BTreeSet<&str> = source.path.trim_end_matches(".rs").split('/').collect();
        let mut words = source.code.split_whitespace();
        while words.any(|word| word == "mod") {
            let name = words.next().unwrap_or_default();
            names.insert(name.trim_end_matches([';', '{']));
        }
        for name in names.into_iter().filter(|name| is_forbidden(name)) {
            wrong.push(format!("{}: `{name}` says nothing about what is in it", source.path));
        }
    }
    wrong
}

pub(crate) fn is_forbidden(name: &str) -> bool {
    let mut words = name.split(['_', '-', '.']).map(|word| word.trim_end_matches('s'));
    !NAMES_ALLOWED.contains(&name) && words.any(|word| FORBIDDEN_NAMES.contains(&word))
}

pub(crate) fn is_pure(name: &str) -> bool {
    MEMBERS.iter().any(|(member, kind, _)| *member == name && *kind == Kind::Pure)
}
