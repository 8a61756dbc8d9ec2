//! Writing a snapshot: numbers ascending, a page at a time.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
};

use chrono::NaiveDate;
use twox_hash::XxHash3_128;

use crate::{
    layout::{ENTRY, HEADER, Header, NUMBERS_MOST, PAGE, PAGES_MOST},
    make::MakeError,
    pages,
};

/// Written at once, at a multiple of it: a large page (2 MiB where small ones have 4 KiB). A file
/// system that can keep files in large pages does so with what it is given in such pieces, and who
/// maps the file then has it in large pages: a look is a fifth faster.
const PIECE: usize = 2 << 20;

/// A file that is written in whole pieces.
struct Pieces {
    file: File,
    held: Vec<u8>,
}

impl Pieces {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((now, later)) = bytes.split_at_checked(PIECE - self.held.len()) {
            self.held.extend_from_slice(now);
            self.flush()?;
            bytes = later;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }
}

/// A snapshot in the making. Holds one page in memory, and the table.
pub(crate) struct Writer {
    out: Pieces,
    hash: XxHash3_128,
    at: u64,
    key: u32,
    page: Vec<u32>,
    bytes: Vec<u8>,
    table: Vec<u8>,
    pages: u32,
    count: u64,
}

impl Writer {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let mut out = Pieces { file, held: Vec::with_capacity(PIECE) };
        out.write(&[0; HEADER])?;
        Ok(Self {
            out,
            hash: XxHash3_128::new(),
            at: HEADER as u64,
            key: 0,
            page: Vec::new(),
            bytes: Vec::new(),
            table: Vec::new(),
            pages: 0,
            count: 0,
        })
    }

    /// Takes the next number: greater than the one before, at most 15 digits.
    pub(crate) fn push(&mut self, digits: u64) -> Result<(), MakeError> {
        let key = u32::try_from(digits / PAGE).map_err(io::Error::other)?;
        if key != self.key {
            self.end_page()?;
            self.key = key;
        }
        self.page.push(u32::try_from(digits % PAGE).map_err(io::Error::other)?);
        self.count += 1;
        if self.count > NUMBERS_MOST { Err(MakeError::TooMany) } else { Ok(()) }
    }

    fn end_page(&mut self) -> Result<(), MakeError> {
        if self.page.is_empty() {
            return Ok(());
        }
        if self.table.len() / ENTRY >= PAGES_MOST {
            return Err(MakeError::TooWide);
        }
        self.bytes.clear();
        let kind = pages::encode(&self.page, &mut self.bytes);
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        let count = u32::try_from(self.page.len()).map_err(io::Error::other)?;
        self.table.extend_from_slice(&self.key.to_le_bytes());
        self.table.extend_from_slice(&kind.code().to_le_bytes());
        self.table.extend_from_slice(&self.at.to_le_bytes());
        self.table.extend_from_slice(&length.to_le_bytes());
        self.table.extend_from_slice(&count.to_le_bytes());
        // Pages begin at multiples of eight.
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.hash.write(&self.bytes);
        self.out.write(&self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.page.clear();
        self.pages += 1;
        Ok(())
    }

    /// Writes the rest and brings it to the disk.
    pub(crate) fn finish(
        mut self,
        id: &str,
        as_of: NaiveDate,
        built_at: i64,
    ) -> Result<Header, MakeError> {
        self.end_page()?;
        self.hash.write(&self.table);
        self.out.write(&self.table)?;
        self.out.flush()?;
        let header = Header {
            id: id.to_owned(),
            as_of,
            built_at,
            count: self.count,
            pages: self.pages,
            table: self.at,
            length: self.at + self.table.len() as u64,
            checksum: self.hash.finish_128(),
        };
        let mut file = self.out.file;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header.encode())?;
        file.sync_all()?;
        Ok(header)
    }
}
