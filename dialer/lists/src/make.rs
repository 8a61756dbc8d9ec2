//! Making snapshots: sorted, written beside, read back, renamed.

use std::{
    fmt,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufRead},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use dialer_types::UnixMillis;

use crate::{
    delta::{Delta, DeltaError},
    layout::ID_MOST,
    lines::{self, LineError, National, ReadError},
    snapshot::{Snapshot, SnapshotError},
    sorter::{AT_ONCE, Sorter},
    writer::Writer,
};

/// How the name of a snapshot's file ends; before it stands the id.
pub const FILE_ENDING: &str = "rflist";

/// Why no snapshot was made. The one that was there is untouched.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A file could not be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line is not a number.
    #[error(transparent)]
    Line(#[from] LineError),
    /// A delta is none.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The folder is not there.
    #[error("{0} is not a folder: make it first")]
    Folder(PathBuf),
    /// The base of a delta, or what was just written, cannot be used.
    #[error("{path}: {error}")]
    Snapshot {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: SnapshotError,
    },
    /// More numbers than a list has.
    #[error("more than 4294967296 numbers: this is no national list")]
    TooMany,
    /// Numbers of more plans than one country has.
    #[error(
        "the numbers are spread over more than a million groups: this is no list of one country"
    )]
    TooWide,
    /// No number at all.
    #[error(
        "there is no number in it: an empty list would let every call through; --anyway makes it"
    )]
    Empty,
    /// A tenth or more of the numbers is gone.
    #[error(
        "it has {new} numbers and the list there has {old}: was the download cut short? --anyway \
         replaces it"
    )]
    Shrinks {
        /// Numbers of the list that is there.
        old: u64,
        /// Numbers of the new one.
        new: u64,
    },
    /// The list that is there is of a later day.
    #[error("it is of {new} and the list there is of {old}; --anyway replaces it")]
    Older {
        /// Of which day the list is that is there.
        old: NaiveDate,
        /// Of which day the new one is.
        new: NaiveDate,
    },
    /// A delta for another list.
    #[error("the delta is for the list {wanted}, and this is {found}")]
    OtherList {
        /// What the delta says.
        wanted: String,
        /// What the base is.
        found: String,
    },
    /// A delta for another copy.
    #[error(
        "the delta is for the copy of {wanted}, and this one is of {found}: apply those between first"
    )]
    OtherBase {
        /// What the delta says.
        wanted: NaiveDate,
        /// What the base is.
        found: NaiveDate,
    },
    /// A delta that leads back.
    #[error("the delta leads from {base} to {as_of}: as_of must be the later day")]
    Backwards {
        /// From.
        base: NaiveDate,
        /// To.
        as_of: NaiveDate,
    },
    /// The list would be of a day that has not come.
    #[error(
        "{as_of} has not come yet anywhere: --as-of is the day of the copy, and today is {today} (UTC)"
    )]
    Future {
        /// Of which day.
        as_of: NaiveDate,
        /// Today.
        today: NaiveDate,
    },
    /// What was written is not what was read.
    #[error(
        "the file that was just written does not hold what was read: {0}; is the disk damaged?"
    )]
    ReadBack(&'static str),
}

impl From<ReadError> for MakeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            ReadError::Line(error) => Self::Line(error),
        }
    }
}

/// The id of a list, which is also the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is not the id of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the id of a list has 1 to 128 of a-z, 0-9, '.', '_' and '-', and begins with a letter: us.national_dnc"
)]
pub struct NameError;

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let known =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        if begins && text.len() <= ID_MOST && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{FILE_ENDING}", self.0))
    }
}

/// Of when a snapshot is, and how it is made.
#[derive(Debug, Clone)]
pub struct Day<'a> {
    /// The moment of making: what the clock says.
    pub now: UnixMillis,
    /// The folder to put it into.
    pub folder: &'a Path,
    /// Also when the list that is there is newer or has far more numbers, or there is none in it.
    pub anyway: bool,
}

/// What was made.
#[derive(Debug)]
pub struct Built {
    /// The file.
    pub path: PathBuf,
    /// The list, opened and checked.
    pub snapshot: Snapshot,
    /// Lines that repeated a number.
    pub repeated: u64,
}

/// What applying a delta did.
#[derive(Debug)]
pub struct Applied {
    /// The new list.
    pub built: Built,
    /// Numbers that came.
    pub added: u64,
    /// Numbers that went.
    pub removed: u64,
    /// To be added, and there already.
    pub already: u64,
    /// To be removed, and not there.
    pub absent: u64,
}

/// Makes the snapshot of the list `name` from one number a line. `country` is the calling code
/// for numbers without `+`, `trunk` what goes off their front.
///
/// # Errors
/// See [`MakeError`].
pub fn build(
    name: &Name,
    as_of: NaiveDate,
    (country, trunk): (Option<&str>, Option<&str>),
    day: &Day<'_>,
    input: &mut impl BufRead,
) -> Result<Built, MakeError> {
    day.check(as_of)?;
    let national = country.map(|code| National { code, trunk });
    let mut sorter = Sorter::new(&day.beside(name, "sort"), AT_ONCE);
    let mut read = 0;
    lines::each(input, |line, text| {
        if lines::is_comment(text) {
            return Ok(());
        }
        let number = lines::number(text, national.as_ref());
        let number = number.map_err(|fault| LineError { line, fault })?;
        read += 1;
        Ok::<_, MakeError>(sorter.push(number)?)
    })?;
    let path = name.file(day.folder);
    let old = Snapshot::open(&path).ok();
    let mut built = day.write(
        name,
        as_of,
        |writer| sorter.merge(|digits| writer.push(digits)),
        |new| match &old {
            _ if day.anyway => Ok(()),
            Some(old) if old.as_of() > as_of => {
                Err(MakeError::Older { old: old.as_of(), new: as_of })
            }
            Some(old) if new < old.count() - old.count() / 10 => {
                Err(MakeError::Shrinks { old: old.count(), new })
            }
            _ => Ok(()),
        },
    )?;
    built.repeated = read - built.snapshot.count();
    Ok(built)
}

/// Makes a new snapshot from the one at `base` (without it, the one of that list in the folder)
/// and a delta.
///
/// # Errors
/// See [`MakeError`]; a delta for another list or another copy changes nothing.
pub fn apply(
    base: Option<&Path>,
    day: &Day<'_>,
    input: &mut impl BufRead,
) -> Result<Applied, MakeError> {
    let of_delta = Name("delta".to_owned());
    let delta = Delta::read(input, &day.beside(&of_delta, "sort"), AT_ONCE)?;
    let name: Name = delta.id.parse().map_err(|_| DeltaError::Header("id"))?;
    day.check(delta.as_of)?;
    if delta.as_of <= delta.base {
        return Err(MakeError::Backwards { base: delta.base, as_of: delta.as_of });
    }
    let path = base.map_or_else(|| name.file(day.folder), Path::to_owned);
    let old = Snapshot::open(&path).map_err(|error| MakeError::Snapshot { path, error })?;
    if old.id() != delta.id {
        return Err(MakeError::OtherList { wanted: delta.id, found: old.id().to_owned() });
    }
    if old.as_of() != delta.base {
        return Err(MakeError::OtherBase { wanted: delta.base, found: old.as_of() });
    }
    let as_of = delta.as_of;
    let (mut added, mut removed, mut already, mut absent) = (0, 0, 0, 0);
    let merge = |writer: &mut Writer| {
        let mut held = old.numbers().peekable();
        delta.each(|digits, is_removed| {
            while let Some(number) = held.next_if(|number| *number < digits) {
                writer.push(number)?;
            }
            match (held.next_if_eq(&digits).is_some(), is_removed) {
                (true, true) => removed += 1,
                (false, true) => absent += 1,
                (there, false) => {
                    if there {
                        already += 1;
                    } else {
                        added += 1;
                    }
                    writer.push(digits)?;
                }
            }
            Ok::<_, MakeError>(())
        })?;
        held.try_for_each(|number| writer.push(number))
    };
    let built = day.write(&name, as_of, merge, |_| Ok(()))?;
    Ok(Applied { built, added, removed, already, absent })
}

/// A file that is taken away again unless it was moved to its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may have been renamed, or never made.
        fs::remove_file(&self.0).ok();
    }
}

impl Day<'_> {
    /// A hidden name: who reads the folder passes it over.
    fn beside(&self, name: &Name, what: &str) -> PathBuf {
        self.folder.join(format!(".{name}.{}.{what}", std::process::id()))
    }

    fn check(&self, as_of: NaiveDate) -> Result<(), MakeError> {
        if !self.folder.is_dir() {
            return Err(MakeError::Folder(self.folder.to_owned()));
        }
        let now = chrono::DateTime::from_timestamp_millis(self.now.0).unwrap_or_default();
        let today = now.date_naive();
        // East of Greenwich the day begins up to 14 hours before.
        if today.succ_opt().is_some_and(|tomorrow| as_of > tomorrow) {
            return Err(MakeError::Future { as_of, today });
        }
        Ok(())
    }

    fn write(
        &self,
        name: &Name,
        as_of: NaiveDate,
        numbers: impl FnOnce(&mut Writer) -> Result<(), MakeError>,
        accept: impl FnOnce(u64) -> Result<(), MakeError>,
    ) -> Result<Built, MakeError> {
        let temporary = Temporary(self.beside(name, "new"));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary.0)?;
        let mut writer = Writer::new(file)?;
        numbers(&mut writer)?;
        let header = writer.finish(&name.0, as_of, self.now.0)?;
        if header.count == 0 && !self.anyway {
            return Err(MakeError::Empty);
        }
        accept(header.count)?;
        // Nobody writes to it from here on; the reader maps it because of that.
        fs::set_permissions(&temporary.0, Permissions::from_mode(0o444))?;
        let snapshot = Snapshot::open(&temporary.0)
            .map_err(|error| MakeError::Snapshot { path: temporary.0.clone(), error })?;
        if (snapshot.count(), snapshot.checksum()) != (header.count, header.checksum) {
            return Err(MakeError::ReadBack("count or checksum"));
        }
        let path = name.file(self.folder);
        fs::rename(&temporary.0, &path)?;
        // The new name is on the disk, too.
        File::open(self.folder)?.sync_all()?;
        Ok(Built { path, snapshot, repeated: 0 })
    }
}
