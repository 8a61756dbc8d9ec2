//! A file as it comes: decoded, with its delimiter found, as records.

use std::pin::Pin;

use axum::body::Bytes;
use csv_core::{ReadRecordResult, ReaderBuilder};
use dialer_types::Say;
use encoding_rs::Encoding;
use futures_util::{Stream, StreamExt, stream};

use super::{
    columns,
    decode::{Decoded, Found},
    phones::Region,
    records::{Breaks, Records},
};

/// Text that is looked at to find the delimiter.
const HEAD: usize = 32 * 1024;
/// Records that are looked at for the same.
const RECORDS: usize = 10;
/// What divides fields, in the order in which a tie is decided.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// What the sender says about a file; the rest is guessed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    /// Whose numbers may stand without their country code.
    pub(crate) region: Option<Region>,
    pub(crate) encoding: Option<&'static Encoding>,
    pub(crate) delimiter: Option<u8>,
    /// Header and what it is.
    pub(crate) columns: Vec<(String, String)>,
    /// No column names the person: the number does.
    pub(crate) by_number: bool,
}

/// A stream of UTF-8.
pub(crate) type Text = Pin<Box<dyn Stream<Item = Result<Bytes, Said>> + Send>>;

/// A sentence as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Said(pub(crate) Say);

impl Breaks for Said {
    fn said(&self) -> Say {
        self.0.clone()
    }
}

/// A file that is being read.
pub(crate) struct Source {
    pub(crate) records: Records<Text>,
    pub(crate) delimiter: u8,
    pub(crate) found: Found,
}

/// Begins to read a file.
pub(crate) async fn open<S, E>(stream: S, told: &Told) -> Result<Source, Say>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send + 'static,
    E: Breaks + Send + 'static,
{
    let region = told.region.map(Region::letters);
    let mut decoded = Decoded::new(stream, told.encoding, region);
    let mut head = Vec::new();
    while head.len() < HEAD {
        match decoded.next().await? {
            Some(text) => head.extend_from_slice(&text),
            None => break,
        }
    }
    let found = decoded.found();
    let (said, rest) = separator_line(&head);
    let line = if said.is_some() { 2 } else { 1 };
    let delimiter = told.delimiter.or(said).unwrap_or_else(|| sniff(rest));
    let head = Bytes::copy_from_slice(rest);
    let tail = stream::unfold(decoded, |mut decoded| async move {
        match decoded.next().await {
            Ok(Some(text)) => Some((Ok(text), decoded)),
            Ok(None) => None,
            Err(said) => Some((Err(Said(said)), decoded)),
        }
    });
    let text: Text = Box::pin(stream::iter([Ok(head)]).chain(tail));
    Ok(Source { records: Records::divided(text, delimiter, line), delimiter, found })
}

/// `sep=;` on the first line, as Excel writes and understands it.
fn separator_line(head: &[u8]) -> (Option<u8>, &[u8]) {
    let end = head.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(head.len());
    let (line, rest) = head.split_at(end);
    let line = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")).unwrap_or(line);
    let [s, e, p, b'=', delimiter] = line else { return (None, head) };
    if ![*s, *e, *p].eq_ignore_ascii_case(b"sep") || delimiter.is_ascii_alphanumeric() {
        return (None, head);
    }
    let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
    (Some(*delimiter), rest)
}

/// The delimiter under which most cells of the header have a name that is known, then under which
/// most records have as many fields as the header.
fn sniff(head: &[u8]) -> u8 {
    let mut best = (b',', (0, 0, 0));
    for delimiter in DELIMITERS {
        let records = shapes(head, delimiter);
        let Some((first, others)) = records.split_first() else { continue };
        let known = first.iter().filter(|cell| columns::field_of(cell).is_some()).count();
        let alike = others.iter().filter(|record| record.len() == first.len()).count();
        let score = if first.len() > 1 { (known, alike + 1, first.len()) } else { (0, 0, 0) };
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

/// The first records, divided by this delimiter.
fn shapes(head: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut text, mut ends) = (vec![0; HEAD], vec![0; 1024]);
    let mut rest = head;
    let mut records = Vec::new();
    while records.len() < RECORDS {
        let (result, read, _, fields) = reader.read_record(rest, &mut text, &mut ends);
        rest = rest.get(read..).unwrap_or_default();
        // The last one may be cut: it only counts where it is the only one.
        if result != ReadRecordResult::Record && !(records.is_empty() && fields > 0) {
            break;
        }
        let mut begin = 0;
        let cells = ends.iter().take(fields).map(|end| {
            let cell = text.get(begin..*end).unwrap_or_default();
            begin = *end;
            String::from_utf8_lossy(cell).into_owned()
        });
        records.push(cells.collect());
        if result != ReadRecordResult::Record {
            break;
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    async fn first(text: &str, told: &Told) -> (u8, u64, Vec<String>) {
        let pieces = [Ok::<_, Infallible>(Bytes::copy_from_slice(text.as_bytes()))];
        let mut source = open(stream::iter(pieces), told).await.unwrap();
        let record = source.records.next().await.unwrap().unwrap();
        let cells = (0..record.len())
            .map(|at| String::from_utf8_lossy(record.get(at).unwrap()).into_owned())
            .collect();
        (source.delimiter, record.line, cells)
    }

    #[tokio::test]
    async fn every_usual_delimiter_is_found_with_quoting_understood() {
        for delimiter in DELIMITERS {
            let d = char::from(delimiter);
            let quoted = "\"a, b; c | d\te, f; g\"";
            let text = format!(
                "Customer ID{d}\"Name, or; so\"{d}Phone\r\n1{d}{quoted}{d}+13055550101\r\n2{d}{quoted}{d}+13055550102\r\n"
            );
            let (found, line, cells) = first(&text, &Told::default()).await;
            assert_eq!((found, line, cells.len()), (delimiter, 1, 3), "{d:?} {cells:?}");
        }
        let (found, ..) = first("phone\n+13055550101\n", &Told::default()).await;
        assert_eq!(found, b',', "one column");
        // Without names that are known the shape decides.
        let (found, ..) = first("a;b, c;d\n1;2;3\n4;5, 6;7\n", &Told::default()).await;
        assert_eq!(found, b';');
    }

    #[tokio::test]
    async fn that_an_upload_broke_off_is_said_once() {
        let head = "id,tel\n".to_owned() + &"1,+13055550101\n".repeat(10_000);
        let pieces = [Ok(Bytes::from(head)), Err("the cable is out".to_owned())];
        let mut source = open(stream::iter(pieces), &Told::default()).await.unwrap();
        let error = loop {
            match source.records.next().await {
                Ok(record) => assert!(record.is_some()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.say().to_string(), "the upload broke off: the cable is out");
        let pieces = [Ok(Bytes::from("id,tel\n")), Err("the cable is out".to_owned())];
        let error = open(stream::iter(pieces), &Told::default()).await.err().unwrap();
        assert_eq!(error.to_string(), "the upload broke off: the cable is out");
    }

    #[tokio::test]
    async fn the_separator_line_of_excel_is_understood_and_what_is_told_wins() {
        let text = "sep=;\r\nid;phone,x\r\n1;2\r\n";
        assert_eq!(
            first(text, &Told::default()).await,
            (b';', 2, vec!["id".into(), "phone,x".into()])
        );
        let told = Told { delimiter: Some(b','), ..Told::default() };
        assert_eq!(first("id;phone,x\n", &told).await.2, ["id;phone", "x"]);
    }
}
