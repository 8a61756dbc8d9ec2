//! Writing the audit out: `audit.jsonl`, `audit.csv`, `checkpoint`, `manifest.json` and `key.pub`.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use dialer_audit::{
    Checkpoint, Signer, Tree, export, leaf_hash,
    manifest::{FileDigest, FileEntry, Manifest},
};
use futures_util::TryStreamExt;
use sqlx::{PgPool, Row};

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

/// Exports the log up to its newest checkpoint. Returns that.
///
/// # Errors
/// If there is no checkpoint yet, the leaves do not give its root, or a file cannot be written.
pub async fn write(pool: &PgPool, signer: &Signer, folder: &Path) -> Result<Checkpoint> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let newest = sqlx::query("SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
        .fetch_optional(pool)
        .await
        .context("table audit_checkpoint")?;
    let Some(newest) = newest else {
        bail!("there is no signed checkpoint yet: nothing to export")
    };
    let (size, note): (i64, String) = (newest.try_get(0)?, newest.try_get(1)?);
    let key = signer.verifier();
    let checkpoint = Checkpoint::open(&note, &key).context("the newest checkpoint")?;

    let mut json = Hashed::create(&folder.join("audit.jsonl"))?;
    let mut cells = csv::Writer::from_writer(Hashed::create(&folder.join("audit.csv"))?);
    cells.write_record(export::csv_header())?;
    let mut tree = Tree::new();
    let mut rows = sqlx::query(
        "SELECT l.index, e.leaf FROM audit_leaf l JOIN audit_entry e ON e.id = l.entry_id
         WHERE l.index < $1 ORDER BY l.index",
    )
    .bind(size)
    .fetch(pool);
    while let Some(row) = rows.try_next().await.context("table audit_leaf")? {
        let (index, leaf): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        let index = u64::try_from(index)?;
        ensure!(index == tree.size(), "leaf {} is missing", tree.size());
        tree.append(leaf_hash(leaf));
        let said = || format!("leaf {index}");
        writeln!(json, "{}", export::json_line(index, leaf).with_context(said)?)?;
        cells.write_record(export::csv_row(index, leaf).with_context(said)?)?;
    }
    ensure!(
        tree.size() == checkpoint.size && tree.root() == checkpoint.root,
        "the leaves in the database do not give the root that was signed: {} leaves, root {}",
        tree.size(),
        tree.root()
    );
    let mut manifest = Manifest::new(&checkpoint);
    manifest.files.insert("audit.jsonl".to_owned(), json.finish()?);
    let cells = cells.into_inner().map_err(|error| anyhow::anyhow!("audit.csv: {error}"))?;
    manifest.files.insert("audit.csv".to_owned(), cells.finish()?);
    fs::write(folder.join("checkpoint"), note)?;
    fs::write(folder.join("manifest.json"), manifest.to_json()?)?;
    fs::write(folder.join("key.pub"), format!("{key}\n"))?;
    Ok(checkpoint)
}
