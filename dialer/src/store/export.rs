//! Writing the audit out, whole or in part: `audit.jsonl`, `audit.csv`, `checkpoint`,
//! `manifest.json`, `key.pub` and the data dictionary.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use dialer_audit::{
    Checkpoint, Signer, Tree, dictionary, export, leaf_hash,
    manifest::{FileDigest, FileEntry, Manifest, Part},
};
use dialer_policy::Ruleset;
use dialer_types::Language;
use schema::{
    numbers::NumberKeys,
    trail::{self, Filter, Leaf, Slip, Trail},
};
use sqlx::PgPool;

/// A file that is hashed while it is written.
struct Hashed {
    file: BufWriter<File>,
    digest: FileDigest,
}

impl Hashed {
    fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), digest: FileDigest::default() })
    }

    fn finish(mut self) -> Result<FileEntry> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.digest.finish())
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The signed state it reaches up to.
    pub checkpoint: Checkpoint,
    /// How many rows: in a part those that the filter let through.
    pub rows: u64,
    /// In a part: how many rows of grounds stand beside them.
    pub grounds: u64,
    /// Whether a filter left some out.
    pub part: bool,
    /// Conditions of the filter that name somebody who is on no record: `number`, `person`.
    pub nobody: Vec<&'static str>,
}

/// Refuses a filter that nothing can ever fit: its empty part would pass for proof of absence. The
/// rules are needed only where the filter names one.
///
/// # Errors
/// Every such condition by its flag, with the remedy; or that the database cannot be read.
pub async fn refuse_slips(pool: &PgPool, rules: Option<&Ruleset>, filter: &Filter) -> Result<()> {
    let in_packs =
        |rule: &str| rules.is_some_and(|all| all.names_of(rule, Language::English).is_some());
    let slips = filter.slips(pool, in_packs).await.context("the filter")?;
    let said: Vec<String> = slips.into_iter().map(|slip| remedy(slip, rules, filter)).collect();
    if said.is_empty() { Ok(()) } else { Err(anyhow!(said.join("\n  "))) }
}

fn remedy(slip: Slip, rules: Option<&Ruleset>, filter: &Filter) -> String {
    match slip {
        Slip::Interval => {
            "--from is not before --to, so no moment lies between them: swap them, or leave one out"
                .to_owned()
        }
        Slip::Campaign => {
            let campaign = filter.campaign.map(|id| id.to_string()).unwrap_or_default();
            format!(
                "--campaign {campaign}: there is no such campaign; ./ringfence campaign list --json \
                 gives the ids"
            )
        }
        Slip::Rule => {
            let rule = filter.rule.as_ref().map_or("", |rule| rule.as_str());
            let known = rules.into_iter().flat_map(Ruleset::rule_ids).map(|rule| rule.as_str());
            let meant = trail::meant(rule, known)
                .map_or_else(String::new, |meant| format!("did you mean {meant}? "));
            format!(
                "--rule {rule}: no rule pack has this rule, and no record names it; {meant}./ringfence \
                 audit show names the rules that were asked, schema/rules has them all"
            )
        }
    }
}

/// Exports what `filter` lets through of the log up to its newest checkpoint.
///
/// # Errors
/// If there is no checkpoint yet, the leaves do not give its root, or a file cannot be written.
pub async fn write(
    pool: &PgPool,
    keys: &NumberKeys,
    signer: &Signer,
    filter: Filter,
    folder: &Path,
) -> Result<Written> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let signed = trail::newest(pool).await.context("table audit_checkpoint")?;
    let Some(signed) = signed else {
        bail!("there is no signed checkpoint yet: nothing to export")
    };
    let key = signer.verifier();
    let checkpoint = Checkpoint::open(&signed.note, &key).context("the newest checkpoint")?;
    let mut trail = Trail::open(pool, keys, filter, &signed).await?;
    let part = trail.is_part();
    let mut files = Files::create(folder, part)?;
    let mut tree = Tree::new();
    loop {
        let leaves = trail.next().await.context("table audit_leaf")?;
        if leaves.is_empty() {
            break;
        }
        for leaf in &leaves {
            if !part {
                ensure!(leaf.index == tree.size(), "leaf {} is missing", tree.size());
                tree.append(leaf_hash(&leaf.leaf));
            }
            files.row(leaf).with_context(|| format!("leaf {}", leaf.index))?;
        }
    }
    ensure!(
        part || (tree.size() == checkpoint.size && tree.root() == checkpoint.root),
        "the leaves in the database do not give the root that was signed: {} leaves, root {}",
        tree.size(),
        tree.root()
    );
    let (rows, grounds) = (files.rows, files.grounds);
    let mut manifest = Manifest::new(&checkpoint);
    manifest.part = part.then(|| Part::new(rows, grounds, trail.said()));
    files.finish(&mut manifest)?;
    write_dictionary(folder, &mut manifest)?;
    fs::write(folder.join("checkpoint"), &signed.note)?;
    fs::write(folder.join("manifest.json"), manifest.to_json()?)?;
    fs::write(folder.join("key.pub"), format!("{key}\n"))?;
    Ok(Written { checkpoint, rows, grounds, part, nobody: trail.nobody() })
}

/// The two files of rows.
struct Files {
    json: Hashed,
    cells: csv::Writer<Hashed>,
    rows: u64,
    grounds: u64,
}

impl Files {
    fn create(folder: &Path, part: bool) -> Result<Self> {
        let json = Hashed::create(&folder.join("audit.jsonl"))?;
        let mut cells = csv::Writer::from_writer(Hashed::create(&folder.join("audit.csv"))?);
        if part {
            cells.write_record(export::csv_part_header())?;
        } else {
            cells.write_record(export::csv_header())?;
        }
        Ok(Self { json, cells, rows: 0, grounds: 0 })
    }

    fn row(&mut self, leaf: &Leaf) -> Result<()> {
        let source = leaf.source();
        writeln!(self.json, "{}", export::json_line(&source)?)?;
        self.cells.write_record(export::csv_row(&source)?)?;
        if leaf.beside {
            self.grounds += 1;
        } else {
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(self, manifest: &mut Manifest) -> Result<()> {
        manifest.files.insert("audit.jsonl".to_owned(), self.json.finish()?);
        let cells = self.cells.into_inner().map_err(|error| anyhow!("audit.csv: {error}"))?;
        manifest.files.insert("audit.csv".to_owned(), cells.finish()?);
        Ok(())
    }
}

fn write_dictionary(folder: &Path, manifest: &mut Manifest) -> Result<()> {
    for (name, text) in dictionary::files() {
        let mut file = Hashed::create(&folder.join(name))?;
        file.write_all(text.as_bytes())?;
        manifest.files.insert(name.to_owned(), file.finish()?);
    }
    Ok(())
}
