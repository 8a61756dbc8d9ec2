//! The folder of prompts: which of its files can be played, and what is in them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use dialer_media::Prompt;

/// Why a prompt cannot be played: no call is placed that would have nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum PromptFault {
    /// The campaign names a path.
    #[error("a prompt is named without a folder")]
    Named,
    /// There is no such file.
    #[error("there is no such file in the folder of prompts")]
    Missing,
    /// It is there and cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is no WAV that can be played.
    #[error("it is not a WAV of 16 bits PCM: {0}")]
    Format(String),
}

impl PromptFault {
    /// As it stands in `prompt_state.reason`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Named | Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::Format(_) => "format",
        }
    }
}

impl From<hound::Error> for PromptFault {
    fn from(error: hound::Error) -> Self {
        Self::Format(error.to_string())
    }
}

/// Where `NAME` or `NAME.wav` is.
fn path_of(folder: &Path, name: &str) -> Result<PathBuf, PromptFault> {
    if Path::new(name).file_name().is_none_or(|file| file != name) {
        return Err(PromptFault::Named);
    }
    let path = folder.join(name);
    Ok(if path.is_file() { path } else { folder.join(format!("{name}.wav")) })
}

/// Reads `NAME` or `NAME.wav` of the folder: PCM of 16 bits, 8000 or 16000 samples a second; the
/// first channel counts.
///
/// # Errors
/// See [`PromptFault`].
pub fn read(folder: &Path, name: &str) -> Result<Prompt, PromptFault> {
    let bytes = fs::read(path_of(folder, name)?).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PromptFault::Missing,
        _ => PromptFault::Unreadable(error),
    })?;
    let mut reader = hound::WavReader::new(io::Cursor::new(bytes))?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample != 16 {
        return Err(PromptFault::Format(format!("{} bits a sample", spec.bits_per_sample)));
    }
    let channels = usize::from(spec.channels.max(1));
    let samples: Vec<i16> = reader.samples().step_by(channels).collect::<Result<_, _>>()?;
    Prompt::from_samples(&samples, spec.sample_rate)
        .map_err(|error| PromptFault::Format(error.to_string()))
}

/// When a file was written and how long it is; `None`: it is not there.
type Stamp = Option<(Option<SystemTime>, u64)>;

/// What was found out of prompts, asked again when a file changes.
#[derive(Debug)]
pub struct Prompts {
    folder: PathBuf,
    known: BTreeMap<Arc<str>, (Stamp, Option<&'static str>)>,
}

impl Prompts {
    /// Of a folder; nothing is read yet.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), known: BTreeMap::new() }
    }

    /// Forgets all but these, and says which of them cannot be played, and why in one word. Reads
    /// files that are new or changed: for a thread that may block.
    pub fn faults(&mut self, names: &[Arc<str>]) -> BTreeMap<Arc<str>, &'static str> {
        self.known.retain(|name, _| names.contains(name));
        for name in names {
            let stamp = self.stamp(name);
            if self.known.get(name).is_some_and(|(before, _)| *before == stamp) {
                continue;
            }
            let fault = read(&self.folder, name).err();
            if let Some(fault) = &fault {
                tracing::error!(prompt = %name, %fault, "no call is placed with a prompt that cannot be played");
            } else {
                tracing::info!(prompt = %name, "a prompt can be played");
            }
            self.known.insert(Arc::clone(name), (stamp, fault.map(|fault| fault.word())));
        }
        let faulty = |(name, (_, fault)): (&Arc<str>, &(Stamp, Option<&'static str>))| {
            fault.map(|fault| (Arc::clone(name), fault))
        };
        self.known.iter().filter_map(faulty).collect()
    }

    fn stamp(&self, name: &str) -> Stamp {
        let meta = fs::metadata(path_of(&self.folder, name).ok()?).ok()?;
        Some((meta.modified().ok(), meta.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dialer_media::tone;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rf-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn write(path: &Path) {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for sample in tone(440, 100) {
            writer.write_sample(sample).unwrap();
            writer.write_sample(0_i16).unwrap();
        }
        writer.finalize().unwrap();
    }

    #[test]
    fn a_wav_is_read_by_name_and_a_missing_or_foreign_one_is_refused() {
        let folder = folder("prompts");
        write(&folder.join("hello.wav"));
        assert_eq!(read(&folder, "hello").unwrap().duration(), Duration::from_millis(100));
        assert!(read(&folder, "hello.wav").is_ok());
        fs::write(folder.join("text.wav"), "no sound").unwrap();
        for (name, word) in [("absent", "missing"), ("../hello", "missing"), ("text.wav", "format")]
        {
            assert_eq!(read(&folder, name).unwrap_err().word(), word, "{name}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_prompt_that_comes_or_goes_is_noticed() {
        let folder = folder("prompts-watched");
        let names = [Arc::from("hello"), Arc::from("other")];
        let mut prompts = Prompts::of(&folder);
        assert_eq!(prompts.faults(&names).len(), 2);
        write(&folder.join("hello.wav"));
        let faults = prompts.faults(&names);
        assert_eq!(faults.into_iter().collect::<Vec<_>>(), [(Arc::from("other"), "missing")]);
        fs::remove_file(folder.join("hello.wav")).unwrap();
        assert_eq!(prompts.faults(&names).len(), 2, "it is gone again");
        assert!(prompts.faults(&[]).is_empty() && prompts.known.is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }
}
