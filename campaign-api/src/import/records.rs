//! CSV records out of a stream of bytes, one at a time, with the line each begins on.

use std::fmt::Display;

use axum::body::Bytes;
use csv_core::{ReadRecordResult, Reader};
use futures_util::{Stream, StreamExt};

/// The longest record. More is a quote that was never closed.
const MAX_RECORD: usize = 64 * 1024;
/// The most fields of a record that are read.
const MAX_FIELDS: usize = 1024;
/// UTF-8 byte order mark.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Why no more records can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    /// The sender went away, or sent too much.
    #[error("the upload broke off: {0}")]
    BrokenOff(String),
    /// Where the next record begins cannot be known.
    #[error(
        "line {0}: a row of more than {MAX_RECORD} bytes or {MAX_FIELDS} fields; is a quote not closed?"
    )]
    TooLong(u64),
}

/// Reads records from a stream.
#[derive(Debug)]
pub(crate) struct Records<S> {
    stream: S,
    reader: Reader,
    input: Bytes,
    ended: bool,
    started: bool,
    line: u64,
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// A record as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// How many lines it goes over.
    pub(crate) lines: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    /// How many fields it has.
    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field, unquoted.
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..end)
    }
}

impl<S, E> Records<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            reader: Reader::new(),
            input: Bytes::new(),
            ended: false,
            started: false,
            line: 1,
            text: vec![0; 4096],
            ends: vec![0; 64],
        }
    }

    /// The next record; empty lines are passed over. `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Record<'_>>, RecordsError> {
        if !self.started {
            self.start().await?;
        }
        if !self.skip_empty_lines().await? {
            return Ok(None);
        }
        let begin = self.line;
        let (mut text, mut ends) = (0, 0);
        loop {
            let (Some(out), Some(out_ends)) =
                (self.text.get_mut(text..), self.ends.get_mut(ends..))
            else {
                return Err(RecordsError::TooLong(begin));
            };
            let (result, read, wrote, fields) = self.reader.read_record(&self.input, out, out_ends);
            let taken = self.input.split_to(read);
            self.line += newlines(&taken);
            text += wrote;
            ends += fields;
            match result {
                ReadRecordResult::InputEmpty => self.more().await?,
                ReadRecordResult::OutputFull if self.text.len() < MAX_RECORD => {
                    self.text.resize(self.text.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_FIELDS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(RecordsError::TooLong(begin));
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
        }
        Ok(Some(Record {
            line: begin,
            lines: self.line.saturating_sub(begin).max(1),
            text: self.text.get(..text).unwrap_or_default(),
            ends: self.ends.get(..ends).unwrap_or_default(),
        }))
    }

    /// Passes over a byte order mark, which may come in pieces.
    async fn start(&mut self) -> Result<(), RecordsError> {
        self.started = true;
        while self.input.len() < BOM.len() && !self.ended {
            let held = std::mem::take(&mut self.input);
            self.more().await?;
            if !held.is_empty() {
                self.input = [held, std::mem::take(&mut self.input)].concat().into();
            }
        }
        if self.input.starts_with(BOM) {
            drop(self.input.split_to(BOM.len()));
        }
        Ok(())
    }

    /// The reader would pass over them too, and not say how many lines they were. False at the end.
    async fn skip_empty_lines(&mut self) -> Result<bool, RecordsError> {
        loop {
            let empty = self.input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let passed = self.input.split_to(empty);
            self.line += newlines(&passed);
            if !self.input.is_empty() {
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.more().await?;
        }
    }

    /// Reads on; at the end the input stays empty.
    async fn more(&mut self) -> Result<(), RecordsError> {
        while self.input.is_empty() && !self.ended {
            match self.stream.next().await {
                Some(Ok(bytes)) => self.input = bytes,
                Some(Err(error)) => return Err(RecordsError::BrokenOff(error.to_string())),
                None => self.ended = true,
            }
        }
        Ok(())
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    /// Every record as its line, its lines and its fields, with the text cut into `piece` bytes.
    async fn read(text: &str, piece: usize) -> Vec<(u64, u64, Vec<String>)> {
        let pieces: Vec<Result<Bytes, Infallible>> =
            text.as_bytes().chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut records = Records::new(stream::iter(pieces));
        let mut out = Vec::new();
        while let Some(record) = records.next().await.unwrap() {
            let fields = (0..record.len())
                .map(|index| String::from_utf8_lossy(record.get(index).unwrap()).into_owned())
                .collect();
            out.push((record.line, record.lines, fields));
        }
        out
    }

    fn row(line: u64, lines: u64, fields: &[&str]) -> (u64, u64, Vec<String>) {
        (line, lines, fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[tokio::test]
    async fn lines_are_right_over_quotes_newlines_crlf_empty_lines_and_any_cut() {
        let text = "\u{FEFF}a,b\r\n\r\n1,\"x\r\ny\"\n\n\n2,\"he said \"\"no\"\"\"\r\n3,";
        let expected = [
            row(1, 1, &["a", "b"]),
            row(3, 2, &["1", "x\r\ny"]),
            row(7, 1, &["2", "he said \"no\""]),
            row(8, 1, &["3", ""]),
        ];
        for piece in 1..=text.len() {
            assert_eq!(read(text, piece).await, expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn nothing_and_only_empty_lines_have_no_records() {
        assert_eq!(read("", 1).await, []);
        assert_eq!(read("\n\r\n\n", 1).await, []);
    }

    #[tokio::test]
    async fn a_quote_that_is_never_closed_is_an_error_with_its_line_and_not_all_memory() {
        let text = format!("a,b\n1,\"{}", "x,y\n".repeat(100_000));
        let pieces: Vec<Result<Bytes, Infallible>> =
            text.as_bytes().chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut records = Records::new(stream::iter(pieces));
        assert_eq!(records.next().await.unwrap().unwrap().line, 1);
        assert!(matches!(records.next().await, Err(RecordsError::TooLong(2))));
    }
}
