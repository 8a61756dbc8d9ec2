//! Sorting more numbers than fit into memory: sorted runs on disk, merged.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek as _, Write as _},
    path::Path,
};

/// Numbers sorted in memory at once: 128 MB.
pub(crate) const AT_ONCE: usize = 16 << 20;
/// Read from each run at once.
const READ: usize = 64 << 10;

/// Takes values in any order, gives them back ascending and each once.
#[derive(Debug)]
pub(crate) struct Sorter {
    held: Vec<u64>,
    at_once: usize,
    runs: Vec<File>,
    /// A run's file: made there, and nameless at once, so that nothing is left of a killed process.
    path: std::path::PathBuf,
}

impl Sorter {
    /// Sorts `at_once` values in memory; runs are made beside `path`.
    pub(crate) fn new(path: &Path, at_once: usize) -> Self {
        Self { held: Vec::new(), at_once, runs: Vec::new(), path: path.to_owned() }
    }

    pub(crate) fn push(&mut self, value: u64) -> io::Result<()> {
        if self.held.len() >= self.at_once {
            self.spill()?;
        }
        self.held.push(value);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        self.held.dedup();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&self.path)?;
        std::fs::remove_file(&self.path)?;
        let mut out = BufWriter::with_capacity(1 << 20, &file);
        let mut last = 0;
        for value in &self.held {
            write_gap(&mut out, value - last)?;
            last = *value;
        }
        out.flush()?;
        drop(out);
        self.runs.push(file);
        self.held.clear();
        Ok(())
    }

    /// Hands every value to `each`, ascending, each once.
    pub(crate) fn merge<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.held.sort_unstable();
        self.held.dedup();
        if self.runs.is_empty() {
            return self.held.into_iter().try_for_each(each);
        }
        self.spill()?;
        self.held = Vec::new();
        let mut runs = Vec::with_capacity(self.runs.len());
        for file in self.runs {
            runs.push(Run::start(file)?);
        }
        let mut heads: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        for (at, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|value| Reverse((value, at))));
        }
        let mut last = None;
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((value, at)) = *head;
            if last != Some(value) {
                each(value)?;
                last = Some(value);
            }
            match runs.get_mut(at).map(Run::next).transpose()?.flatten() {
                Some(next) => *head = Reverse((next, at)),
                None => drop(std::collections::binary_heap::PeekMut::pop(head)),
            }
        }
        Ok(())
    }
}

/// A run that is being read.
struct Run {
    bytes: io::Bytes<BufReader<File>>,
    last: u64,
}

impl Run {
    fn start(mut file: File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self { bytes: BufReader::with_capacity(READ, file).bytes(), last: 0 })
    }

    fn next(&mut self) -> io::Result<Option<u64>> {
        let mut gap = 0;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.next() else {
                return if shift == 0 {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            };
            let byte = byte?;
            gap |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                self.last += gap;
                return Ok(Some(self.last));
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Seven bits a byte, the lowest first, the highest bit set where more follow.
fn write_gap(out: &mut impl io::Write, mut gap: u64) -> io::Result<()> {
    let (mut bytes, mut length) = ([0_u8; 10], 0);
    for byte in &mut bytes {
        length += 1;
        let low = u8::try_from(gap & 0x7F).unwrap_or(0);
        gap >>= 7;
        *byte = if gap == 0 { low } else { low | 0x80 };
        if gap == 0 {
            break;
        }
    }
    out.write_all(bytes.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_come_back_ascending_and_once_however_many_runs_there_are(
            values in prop::collection::vec(0_u64..1 << 51, 0..300), at_once in 1_usize..400,
        ) {
            let name = format!("rf-sorter-{}-{at_once}-{}", std::process::id(), values.len());
            let path = std::env::temp_dir().join(name);
            let mut sorter = Sorter::new(&path, at_once);
            for value in &values {
                sorter.push(*value).unwrap();
            }
            let mut got = Vec::new();
            sorter.merge(|value| { got.push(value); Ok::<_, io::Error>(()) }).unwrap();
            prop_assert!(!path.exists());
            let expected: Vec<_> = values.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(got, expected);
        }
    }
}
