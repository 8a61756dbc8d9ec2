//! The bytes of a snapshot in memory: mapped, or copied where a map would not be safe.
//!
//! A mapped file that somebody cuts short in place takes the process with it (SIGBUS at the next
//! look past its end), and one that is overwritten in place changes under the reader. Three things
//! keep that away: `lists build` writes files that nobody may write to (mode 0444) and replaces
//! them by renaming; a file that anybody *may* write to is not mapped but copied, which costs its
//! size in memory for every process; and the folder is looked at every second, where a mapped file
//! that has changed in place is let go at once. What is left is root writing over a mapped file
//! within that second.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
};

use memmap2::{Advice, Mmap, MmapMut};

/// How a snapshot is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Mapped: the memory is the kernel's copy of the file, shared by all processes.
    Mapped,
    /// Copied into this process, because somebody may write to the file.
    Copied,
}

/// The bytes of a file that was not empty.
#[derive(Debug)]
pub(crate) struct Bytes {
    map: Mmap,
    pub(crate) held: Held,
}

impl Bytes {
    /// Maps or copies the whole of `file`.
    pub(crate) fn of(file: &mut File) -> io::Result<Self> {
        let meta = file.metadata()?;
        let writable = meta.mode() & 0o222 != 0;
        if writable {
            let length = usize::try_from(meta.len()).map_err(io::Error::other)?;
            return Ok(Self { map: copy(file, length)?, held: Held::Copied });
        }
        let map = map(file)?;
        // Advice only: most kernels have large pages for some file systems, some for none, and a
        // look into small ones takes a fifth longer. Before anything is read: it is read in such.
        map.advise(Advice::HugePage).ok();
        // The checksum reads all of it anyway (where this is not known, page by page), and asking
        // must not wait for the disk.
        map.advise(Advice::PopulateRead).ok();
        Ok(Self { map, held: Held::Mapped })
    }

    /// What a copied file with these bytes would be.
    #[cfg(test)]
    pub(crate) fn copied(bytes: &[u8]) -> io::Result<Self> {
        let mut memory = MmapMut::map_anon(bytes.len().max(1))?;
        memory[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { map: memory.make_read_only()?, held: Held::Copied })
    }

    #[inline]
    pub(crate) fn get(&self) -> &[u8] {
        &self.map
    }
}

#[expect(
    unsafe_code,
    reason = "mapping is unsafe because others may change the file: see the top of this file for \
              what keeps them from it; every access is bounds-checked and no byte is taken for valid"
)]
fn map(file: &File) -> io::Result<Mmap> {
    unsafe { Mmap::map(file) }
}

/// Reads `length` bytes into memory of its own. A file that is shorter by now is an error.
fn copy(file: &mut File, length: usize) -> io::Result<Mmap> {
    let mut memory = MmapMut::map_anon(length.max(1))?;
    memory.advise(Advice::HugePage).ok();
    let (room, _) = memory.split_at_mut(length);
    file.read_exact(room)?;
    memory.make_read_only()
}
