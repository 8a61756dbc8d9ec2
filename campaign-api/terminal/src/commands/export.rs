//! The audit, saved to a folder that `./ringfence audit verify` takes.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dialer_types::say;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use ureq::{Body, http::Response};

use crate::{
    arguments::Export,
    config,
    desk::{Desk, print},
    find::{Kind, find_if},
    page::grouped,
    trouble::Trouble,
};

/// Read at once.
const CHUNK: usize = 64 * 1024;

pub(crate) fn run(desk: &Desk, asked: &Export) -> Result<(), Trouble> {
    let campaign = find_if(&desk.api, Kind::Campaign, asked.campaign.as_deref())?;
    let filter: Vec<(&str, Option<&str>)> = vec![
        ("from", asked.from.as_deref()),
        ("to", asked.to.as_deref()),
        ("campaign", campaign.as_deref()),
        ("number", asked.number.as_deref()),
        ("person", asked.person.as_deref()),
        ("rule", asked.rule.as_deref()),
    ];
    let folder = asked.out.as_path();
    fs::create_dir_all(folder).map_err(|error| config::trouble(folder, &error))?;
    save(desk, folder, &filter)
}

/// Tries to get the checkpoint and both files of one moment: a checkpoint is signed every few
/// seconds.
const TRIES: u32 = 20;

/// Both files and the checkpoint that they reach up to, all of one moment.
struct Begun {
    note: String,
    /// What the manifest says of the filter; `None` if nothing is left out.
    filter: Option<Value>,
    json: Response<Body>,
    csv: Response<Body>,
}

fn begin(desk: &Desk, filter: &[(&str, Option<&str>)]) -> Result<Begun, Trouble> {
    let with = |format| {
        let mut query = filter.to_vec();
        query.push(("format", Some(format)));
        desk.api.get_raw("/v1/audit/export", &query)
    };
    for _ in 0..TRIES {
        let note = desk.api.get_text("/v1/audit/checkpoint", &[])?;
        let size = note.lines().nth(1).unwrap_or_default().to_owned();
        let (json, csv) = (with("jsonl")?, with("csv")?);
        let of = |response: &Response<Body>| {
            let size = response.headers().get("x-ringfence-checkpoint-size")?;
            size.to_str().ok().map(str::to_owned)
        };
        if of(&json).as_deref() == Some(&size) && of(&csv).as_deref() == Some(&size) {
            return Ok(Begun { note, filter: filter_said(&json), json, csv });
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(desk.api.unreachable(&"new checkpoints were signed while the export began"))
}

/// The filter in surrogate ids, as the API resolved it: the folder must not name people.
fn filter_said(response: &Response<Body>) -> Option<Value> {
    let said = response.headers().get("x-ringfence-filter")?;
    serde_json::from_slice(said.as_bytes()).ok()
}

fn save(desk: &Desk, folder: &Path, filter: &[(&str, Option<&str>)]) -> Result<(), Trouble> {
    let begun = begin(desk, filter)?;
    let bar = desk.bar(0, "{spinner} {bytes} {bytes_per_sec}");
    let mut files = serde_json::Map::new();
    let mut rows = 0;
    for (name, response) in [("audit.jsonl", begun.json), ("audit.csv", begun.csv)] {
        let (entry, lines) = store(desk, &folder.join(name), response, &bar)?;
        if name == "audit.jsonl" {
            rows = lines;
        }
        files.insert(name.to_owned(), entry);
    }
    bar.finish_and_clear();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| config::trouble(&path, &error))
    };
    let key = desk.api.get_text("/v1/audit/key", &[])?;
    for format in ["md", "csv"] {
        let dictionary = desk.api.get_text("/v1/audit/dictionary", &[("format", Some(format))])?;
        let name = format!("dictionary.{format}");
        write(&name, &dictionary)?;
        let hash = hex(&Sha256::digest(dictionary.as_bytes()));
        files.insert(name, json!({ "bytes": dictionary.len(), "sha256": hash }));
    }
    write("checkpoint", &begun.note)?;
    write("key.pub", &key)?;
    let mut manifest = manifest(&begun.note, files);
    let nobody = begun.filter.as_ref().is_some_and(names_nobody);
    if let Some(filter) = begun.filter {
        let grounds = grounds_in(&folder.join("audit.jsonl"))?;
        rows -= grounds;
        manifest["part"] = json!({ "rows": rows, "grounds": grounds, "filter": filter,
                                   "proves": PART_PROVES });
    }
    write("manifest.json", &manifest.to_string())?;
    let shown = folder.display().to_string();
    if desk.json {
        return print(&format!("{}\n", json!({ "saved": shown, "rows": rows })));
    }
    let count = grouped(i64::try_from(rows).unwrap_or(i64::MAX));
    desk.tell(&say!("{count} records saved in {folder}.", count, folder = shown))?;
    if nobody {
        desk.tell(&say!(
            "Nobody with this id or number is known: erased, or never called. manifest.json says so."
        ))?;
    }
    desk.tell(&say!(
        "Verify them anywhere, offline: ./ringfence audit verify {folder} --key {folder}/key.pub",
        folder = shown
    ))?;
    desk.tell(&say!("Compare key.pub with the key that your operator gave you: whoever can forge an export can forge the key beside it."))
}

/// Saves one file; gives what the manifest says of it, and how many lines it has.
fn store(
    desk: &Desk,
    path: &Path,
    response: Response<Body>,
    bar: &ProgressBar,
) -> Result<(Value, u64), Trouble> {
    let mut source = bar.wrap_read(response.into_body().into_reader());
    let mut file = File::create(path).map_err(|error| config::trouble(path, &error))?;
    let (mut hash, mut bytes, mut lines) = (Sha256::new(), 0_u64, 0_u64);
    let mut chunk = vec![0; CHUNK];
    loop {
        // A body that ends early is an error here: what is saved is never taken for whole.
        let count = source.read(&mut chunk).map_err(|error| desk.api.unreachable(&error))?;
        let Some(part) = chunk.get(..count).filter(|part| !part.is_empty()) else { break };
        file.write_all(part).map_err(|error| config::trouble(path, &error))?;
        hash.update(part);
        bytes += u64::try_from(count).unwrap_or(0);
        lines += part.iter().filter(|byte| **byte == b'\n').map(|_| 1).sum::<u64>();
    }
    file.sync_all().map_err(|error| config::trouble(path, &error))?;
    Ok((json!({ "bytes": bytes, "sha256": hex(&hash.finalize()) }), lines))
}

/// `manifest.json`, by the note's lines: name, size, root (C2SP tlog-checkpoint).
fn manifest(note: &str, files: serde_json::Map<String, Value>) -> Value {
    let mut lines = note.lines();
    let origin = lines.next().unwrap_or_default();
    let size = lines.next().and_then(|size| size.parse::<u64>().ok()).unwrap_or(0);
    let root = lines.next().and_then(|root| STANDARD.decode(root).ok()).unwrap_or_default();
    json!({ "origin": origin, "size": size, "root": hex(&root), "files": files })
}

/// Whether a condition of the filter names somebody who is on no record.
fn names_nobody(filter: &Value) -> bool {
    let said = ["number_subject", "person_subjects"].map(|name| filter[name].as_str());
    said.into_iter().flatten().any(|said| said.starts_with("nobody"))
}

/// How many rows of a part are there only because permits among the others rest on them.
fn grounds_in(path: &Path) -> Result<u64, Trouble> {
    let file = File::open(path).map_err(|error| config::trouble(path, &error))?;
    let mut count = 0;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| config::trouble(path, &error))?;
        // The third member; before it stand two numbers.
        let head = line.get(..HEAD).unwrap_or(&line);
        count += u64::from(head.windows(GROUNDS.len()).any(|bytes| bytes == GROUNDS));
    }
    Ok(count)
}

/// Index, version and kind of a row are within so many bytes.
const HEAD: usize = 80;
const GROUNDS: &[u8] = b"\"kind\":\"grounds\"";

/// As `ringfence audit export` writes it.
const PART_PROVES: &str = "Each row is proven to stand at its index of the signed log, unchanged. That no other record \
     of the log fits the filter is not proven by these rows: only the whole export shows that.";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
