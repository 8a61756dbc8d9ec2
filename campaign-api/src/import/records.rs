//! CSV records out of a stream of bytes, one at a time, with the line each begins on.

use axum::body::Bytes;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use dialer_types::{Say, say};
use futures_util::{Stream, StreamExt};

/// The longest record. More is a quote that was never closed.
const MAX_RECORD: usize = 64 * 1024;
/// The most fields of a record that are read.
const MAX_FIELDS: usize = 1024;
/// What becomes of a stream that breaks off.
pub(crate) trait Breaks {
    /// Why it broke off, as a whole sentence.
    fn said(&self) -> Say;
}

impl Breaks for String {
    fn said(&self) -> Say {
        say!("the upload broke off: {error}", error = self)
    }
}

impl Breaks for std::convert::Infallible {
    fn said(&self) -> Say {
        match *self {}
    }
}

/// UTF-8 byte order mark.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Bytes that are read a second time after quotes that are never closed, at most: a thousand of the
/// longest records. A file with more of them is not CSV.
const MAX_AGAIN: usize = 1000 * MAX_RECORD;

/// Why no more records can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    /// The sender went away, or sent too much.
    #[error("{0}")]
    BrokenOff(Say),
    /// Where the next record begins cannot be known.
    #[error(
        "line {0}: a row of more than {MAX_RECORD} bytes or {MAX_FIELDS} fields, after many others; is this CSV?"
    )]
    TooLong(u64),
}

impl RecordsError {
    /// For people.
    pub(crate) fn say(&self) -> Say {
        match self {
            Self::BrokenOff(said) => said.clone(),
            Self::TooLong(line) => {
                let (most, fields) = (MAX_RECORD, MAX_FIELDS);
                say!(
                    "line {line}: a row of more than {most} bytes or {fields} fields, after many others; is this CSV?",
                    line,
                    most,
                    fields
                )
            }
        }
    }
}

/// Why a record is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A quote is opened and not closed before other rows begin.
    Quote,
    /// More than [`MAX_RECORD`] bytes or [`MAX_FIELDS`] fields.
    TooLong,
}

impl Broken {
    /// For people.
    pub(crate) fn say(self) -> Say {
        match self {
            Self::Quote => "a quote is opened and not closed: this line is left out, and the next is read by itself".into(),
            Self::TooLong => {
                let (most, fields) = (MAX_RECORD, MAX_FIELDS);
                say!("has more than {most} bytes or {fields} columns", most, fields)
            }
        }
    }
}

/// Reads records from a stream.
#[derive(Debug)]
pub(crate) struct Records<S> {
    stream: S,
    reader: Reader,
    delimiter: u8,
    input: Bytes,
    ended: bool,
    started: bool,
    line: u64,
    /// The last byte was a carriage return: a line feed after it is no line of its own.
    returned: bool,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// The bytes of the record that is being read.
    raw: Vec<Bytes>,
    /// Columns that a record has; a quote that swallows lines is told by it.
    columns: Option<usize>,
    again: usize,
}

/// A record as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// How many lines it goes over.
    pub(crate) lines: u64,
    /// Why it is none; then it has no fields.
    pub(crate) broken: Option<Broken>,
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

/// How the quotes of a record stand.
enum Quoting {
    Clean,
    /// A quote is closed in the middle of a field.
    TextAfter,
    /// A quote is not closed.
    Open,
}

/// How a record ended.
enum Ended {
    /// Text and ends of this length.
    Whole(usize, usize),
    TooLong,
    Nothing,
}

impl<S, E> Records<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Breaks,
{
    /// Comma separated, UTF-8.
    pub(crate) fn new(stream: S) -> Self {
        Self::divided(stream, b',', 1)
    }

    /// With another delimiter; `line` is the number of the first line.
    pub(crate) fn divided(stream: S, delimiter: u8, line: u64) -> Self {
        Self {
            stream,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            delimiter,
            input: Bytes::new(),
            ended: false,
            started: false,
            line,
            returned: false,
            text: vec![0; 4096],
            ends: vec![0; 64],
            raw: Vec::new(),
            columns: None,
            again: 0,
        }
    }

    /// Says how many columns a record has.
    pub(crate) const fn expect(&mut self, columns: usize) {
        self.columns = Some(columns);
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
        let (text, ends) = match self.read_one().await? {
            Ended::Nothing => return Ok(None),
            Ended::TooLong => return self.give_up(begin, Broken::TooLong).await.map(Some),
            Ended::Whole(text, ends) => (text, ends),
        };
        let lines = self.line.saturating_sub(begin).max(1);
        let last = self.ended && self.input.is_empty();
        let strange = lines > 1 && self.columns.is_some_and(|columns| columns != ends);
        let open = match self.quoting() {
            _ if strange => true,
            Quoting::Clean => false,
            // Within a line, text after a closing quote is read as the rest of the field.
            Quoting::TextAfter => lines > 1,
            Quoting::Open => lines > 1 || last,
        };
        if open {
            return self.give_up(begin, Broken::Quote).await.map(Some);
        }
        Ok(Some(Record {
            line: begin,
            lines,
            broken: None,
            text: self.text.get(..text).unwrap_or_default(),
            ends: self.ends.get(..ends).unwrap_or_default(),
        }))
    }

    async fn read_one(&mut self) -> Result<Ended, RecordsError> {
        self.raw.clear();
        let (mut text, mut ends) = (0, 0);
        loop {
            let (Some(out), Some(out_ends)) =
                (self.text.get_mut(text..), self.ends.get_mut(ends..))
            else {
                return Ok(Ended::TooLong);
            };
            let (result, read, wrote, fields) = self.reader.read_record(&self.input, out, out_ends);
            let taken = self.input.split_to(read);
            self.count(&taken);
            if !taken.is_empty() {
                self.raw.push(taken);
            }
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
                    return Ok(Ended::TooLong);
                }
                ReadRecordResult::End => return Ok(Ended::Nothing),
                ReadRecordResult::Record => return Ok(Ended::Whole(text, ends)),
            }
        }
    }

    /// Leaves the first line of what was read out, and goes on with the next.
    async fn give_up(&mut self, begin: u64, broken: Broken) -> Result<Record<'_>, RecordsError> {
        let raw = std::mem::take(&mut self.raw).concat();
        self.again = self.again.saturating_add(raw.len());
        if self.again > MAX_AGAIN {
            return Err(RecordsError::TooLong(begin));
        }
        self.reader.reset();
        self.line = begin;
        self.returned = false;
        self.input = [Bytes::from(raw), std::mem::take(&mut self.input)].concat().into();
        loop {
            if let Some(end) = self.input.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                let taken = self.input.split_to(end + 1);
                self.count(&taken);
                break;
            }
            self.input.clear();
            if self.ended {
                break;
            }
            self.more().await?;
        }
        Ok(Record { line: begin, lines: 1, broken: Some(broken), text: &[], ends: &[] })
    }

    /// Whether every quote of the record was closed, and followed by the end of its field.
    fn quoting(&self) -> Quoting {
        if !self.raw.iter().any(|piece| piece.contains(&b'"')) {
            return Quoting::Clean;
        }
        #[derive(Clone, Copy)]
        enum At {
            Begin,
            Plain,
            Quoted,
            Closed,
        }
        let (mut at, mut text_after) = (At::Begin, false);
        for byte in self.raw.iter().flatten() {
            let end = *byte == self.delimiter || matches!(byte, b'\r' | b'\n');
            at = match (at, byte) {
                (At::Begin, b'"') => At::Quoted,
                (At::Quoted, b'"') => At::Closed,
                (At::Closed, b'"') | (At::Quoted, _) => At::Quoted,
                (At::Closed, _) if !end => {
                    text_after = true;
                    At::Plain
                }
                (At::Begin | At::Plain | At::Closed, _) if end => At::Begin,
                (At::Begin | At::Plain | At::Closed, _) => At::Plain,
            };
        }
        match at {
            At::Quoted => Quoting::Open,
            _ if text_after => Quoting::TextAfter,
            _ => Quoting::Clean,
        }
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
            self.count(&passed);
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
                Some(Err(error)) => return Err(RecordsError::BrokenOff(error.said())),
                None => self.ended = true,
            }
        }
        Ok(())
    }

    /// Counts lines, whether they end in CR, LF or both.
    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let new = *byte == b'\r' || (*byte == b'\n' && !self.returned);
            self.line += u64::from(new);
            self.returned = *byte == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use proptest::prelude::*;

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
    async fn lines_may_end_in_a_carriage_return_alone() {
        let expected = [row(1, 1, &["a", "b"]), row(2, 2, &["1", "x\ry"]), row(5, 1, &["2", "z"])];
        let text = "a,b\r1,\"x\ry\"\r\r2,z\r";
        for piece in 1..=text.len() {
            assert_eq!(read(text, piece).await, expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_quote_that_is_never_closed_costs_its_own_line_and_not_all_memory() {
        let texts = [
            // Never closed at all, in the middle and at the end.
            format!("a,b\n1,\"{}", "x,y\n".repeat(100_000)),
            "a,b\n1,\"x\nx,y\nx,y\n".to_owned(),
            "a,b\nx,y\nx,y\n1,\"x".to_owned(),
            // Closed by another that is not: the number of columns is right, the text is not.
            "a,b\n1,\"Big\n2,\"Joe\nx,y\n".to_owned(),
            "a,b\r1,\"Big\rx,y\r".to_owned(),
        ];
        for text in texts {
            for piece in [7, 1000] {
                let pieces: Vec<Result<Bytes, Infallible>> = text
                    .as_bytes()
                    .chunks(piece)
                    .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                    .collect();
                let mut records = Records::new(stream::iter(pieces));
                records.expect(2);
                let (mut good, mut broken, mut last) = (0, 0, 0);
                while let Some(record) = records.next().await.unwrap() {
                    assert_eq!(record.line, last + 1);
                    last = record.line;
                    match record.broken {
                        Some(why) => {
                            assert_eq!(record.len(), 0);
                            assert!(matches!(why, Broken::Quote | Broken::TooLong));
                            broken += 1;
                        }
                        None => good += 1,
                    }
                }
                let lines = text.split(['\n', '\r']).filter(|line| !line.is_empty());
                let open = lines.clone().filter(|line| line.contains('"')).count();
                let head: String = text.chars().take(30).collect();
                assert_eq!((good, broken), (lines.count() - open, open), "{head:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_line_longer_than_a_record_is_left_out_and_the_next_is_read() {
        let text = format!("a,b\n1,{}\nx,y\n", "z".repeat(200_000));
        let pieces =
            text.as_bytes().chunks(999).map(|p| Ok::<_, Infallible>(Bytes::copy_from_slice(p)));
        let mut records = Records::new(stream::iter(pieces));
        let mut found = Vec::new();
        while let Some(record) = records.next().await.unwrap() {
            found.push((record.line, record.broken));
        }
        assert_eq!(found, [(1, None), (2, Some(Broken::TooLong)), (3, None)]);
    }

    #[tokio::test]
    async fn a_file_that_is_all_open_quotes_is_given_up_after_bounded_work() {
        let text = "a\",\"b\n".repeat(200_000);
        let pieces =
            text.as_bytes().chunks(65_536).map(|p| Ok::<_, Infallible>(Bytes::copy_from_slice(p)));
        let mut records = Records::new(stream::iter(pieces));
        records.expect(2);
        let error = loop {
            match records.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it must be given up"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, RecordsError::TooLong(_)), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn any_bytes_are_read_to_their_end(
            bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'x'), any::<u8>()], 0..400),
            piece in 1..50_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = |piece: usize| runtime.block_on(async {
                let pieces = bytes.chunks(piece).map(|p| Ok::<_, Infallible>(Bytes::copy_from_slice(p)));
                let mut records = Records::new(stream::iter(pieces));
                records.expect(2);
                let mut found = Vec::new();
                while let Some(record) = records.next().await.unwrap() {
                    let fields: Vec<Vec<u8>> = (0..record.len()).map(|at| record.get(at).unwrap().to_vec()).collect();
                    found.push((record.line, record.broken, fields));
                }
                found
            });
            let whole = found(1000);
            prop_assert!(whole.is_sorted_by_key(|record| record.0));
            // What is read does not depend on how it was cut.
            prop_assert_eq!(found(piece), whole);
        }
    }
}
