//! The wire log: every datagram the carrier receives or sends, raw, one JSON object a line.
//!
//! `{"t_us": 1796137200000000, "dir": "in", "peer": "127.0.0.1:5060", "raw": "SU5W..."}`, written
//! before anything looks into the datagram: what a parser would reject is on record too.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    net::SocketAddr,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// Which way a datagram went, as the carrier sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the dialer to the carrier.
    In,
    /// From the carrier to the dialer.
    Out,
}

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Microseconds since 1970-01-01 UTC, the demo's clock offset applied.
    pub t_us: i64,
    /// Which way.
    pub dir: Direction,
    /// The other end.
    pub peer: SocketAddr,
    /// The bytes.
    pub raw: Vec<u8>,
}

/// The line as it is written.
#[derive(Serialize, Deserialize)]
struct Line {
    t_us: i64,
    dir: Direction,
    peer: SocketAddr,
    raw: String,
}

/// Appends datagrams to a file. Flushed by [`Writer::flush`] and when dropped.
#[derive(Debug)]
pub struct Writer<W: Write = BufWriter<File>>(W);

impl Writer {
    /// Creates the file (an existing one is continued).
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(BufWriter::with_capacity(1 << 16, file)))
    }
}

impl<W: Write> Writer<W> {
    /// Writes into anything, for tests.
    pub const fn new(inner: W) -> Self {
        Self(inner)
    }

    /// Appends one datagram.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(
        &mut self,
        t_us: i64,
        dir: Direction,
        peer: SocketAddr,
        raw: &[u8],
    ) -> io::Result<()> {
        let line = Line { t_us, dir, peer, raw: STANDARD.encode(raw) };
        serde_json::to_writer(&mut self.0, &line)?;
        self.0.write_all(b"\n")
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Gives back what was written into.
    pub fn into_inner(self) -> W {
        self.0
    }
}

/// A line of a wire log that is none, and where.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("wire log: {0}")]
    Io(#[from] io::Error),
    /// A line in the middle is broken. (A last line without its end was cut off by a crash and is
    /// left out.)
    #[error("wire log line {line}: {message}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// Reads a whole log, in order.
///
/// # Errors
/// When it cannot be read or a line is broken.
pub fn read(path: &Path) -> Result<Vec<Datagram>, ReadError> {
    parse(BufReader::new(File::open(path)?))
}

/// Reads a log from anything.
///
/// # Errors
/// When it cannot be read or a line is broken.
pub fn parse(mut from: impl BufRead) -> Result<Vec<Datagram>, ReadError> {
    let mut datagrams = Vec::new();
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        match parse_line(&line) {
            Ok(datagram) => datagrams.push(datagram),
            Err(_) if !line.ends_with('\n') => break,
            Err(message) => {
                return Err(ReadError::Line { line: number, message });
            }
        }
    }
    Ok(datagrams)
}

fn parse_line(text: &str) -> Result<Datagram, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let raw = STANDARD.decode(&line.raw).map_err(|error| error.to_string())?;
    Ok(Datagram { t_us: line.t_us, dir: line.dir, peer: line.peer, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "127.0.0.1:5060".parse().unwrap()
    }

    #[test]
    fn any_bytes_survive_the_log() {
        let mut log = Writer::new(Vec::new());
        let raw: Vec<u8> = (0..=255).collect();
        log.write(1, Direction::In, peer(), &raw).unwrap();
        log.write(2, Direction::Out, peer(), b"\r\n\"\\").unwrap();
        let read = parse(log.into_inner().as_slice()).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Datagram { t_us: 1, dir: Direction::In, peer: peer(), raw });
        assert_eq!(read[1].dir, Direction::Out);
    }

    #[test]
    fn a_last_line_cut_off_by_a_crash_is_left_out_and_a_broken_one_inside_is_an_error() {
        let mut log = Writer::new(Vec::new());
        log.write(1, Direction::In, peer(), b"a").unwrap();
        let mut text = log.into_inner();
        text.extend_from_slice(b"{\"t_us\": 2, \"di");
        assert_eq!(parse(text.as_slice()).unwrap().len(), 1);
        text.extend_from_slice(b"\n");
        assert!(matches!(parse(text.as_slice()), Err(ReadError::Line { line: 2, .. })));
    }
}
