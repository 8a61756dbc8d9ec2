//! Text out of the bytes of a file, piece by piece: which encoding it is in, and UTF-8 of it.
//!
//! What cannot be decoded becomes U+FFFD, which makes a fault of the row it stands in.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::body::Bytes;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use dialer_types::{Say, say};
use encoding_rs::{
    BIG5, CoderResult, Decoder, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, UTF_16BE,
    UTF_16LE, WINDOWS_1252,
};
use futures_util::{Stream, StreamExt};

use super::{columns, records::Breaks};

/// Bytes that are looked at to tell the encoding: enough for some hundred rows.
const SAMPLE: usize = 64 * 1024;
/// Bytes of ASCII before them that are looked at too.
const BEFORE: usize = 4096;
/// Bytes decoded at once: what a piece holds in memory, whatever its sender cuts.
const AT_ONCE: usize = 64 * 1024;
/// How long the sender may be silent. Less than the age at which an import counts as interrupted.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which encoding was found, told once it is known; everybody who asks before hears UTF-8.
pub(crate) type Found = Arc<OnceLock<&'static Encoding>>;

/// The encoding of a file as far as it is known.
pub(crate) fn of(found: &Found) -> &'static Encoding {
    found.get().copied().unwrap_or(UTF_8)
}

/// Decodes a stream.
pub(crate) struct Decoded<S> {
    stream: S,
    held: Vec<u8>,
    mode: Mode,
    ended: bool,
    hint: Option<[u8; 2]>,
    /// The last of the ASCII that came first: numbers stand before names.
    before: Vec<u8>,
    found: Found,
}

enum Mode {
    /// Nothing was read yet.
    Unread,
    /// Only ASCII so far, the same in every encoding that is told apart later.
    Plain,
    Known(Decoder),
    Done,
}

impl<S, E> Decoded<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Breaks,
{
    /// `told`: what the sender says it is. `region`: two capital letters, a hint for the guess.
    pub(crate) fn new(stream: S, told: Option<&'static Encoding>, region: Option<[u8; 2]>) -> Self {
        let found = Found::default();
        if let Some(told) = told {
            found.get_or_init(|| told);
        }
        let hint = region.map(|region| region.map(|letter| letter.to_ascii_lowercase()));
        let (held, before) = (Vec::new(), Vec::new());
        Self { stream, held, mode: Mode::Unread, ended: false, hint, before, found }
    }

    /// Where the encoding will be told.
    pub(crate) fn found(&self) -> Found {
        Arc::clone(&self.found)
    }

    /// The next piece of text; never empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Say> {
        loop {
            match &mut self.mode {
                Mode::Unread => {
                    self.fill(SAMPLE).await?;
                    self.begin()?;
                }
                Mode::Plain => {
                    if self.held.is_empty() {
                        self.fill(1).await?;
                    }
                    let plain = Encoding::ascii_valid_up_to(&self.held);
                    if plain > 0 {
                        let rest = self.held.split_off(plain);
                        let text = std::mem::replace(&mut self.held, rest);
                        self.remember(&text);
                        return Ok(Some(text.into()));
                    }
                    if self.held.is_empty() {
                        self.mode = Mode::Done;
                        continue;
                    }
                    self.fill(SAMPLE).await?;
                    let before = std::mem::take(&mut self.before);
                    let guess = guess(&before, &self.held, self.ended, self.hint.as_ref());
                    self.decide(guess);
                }
                Mode::Known(decoder) => {
                    if self.held.is_empty() && !self.ended {
                        self.fill(1).await?;
                        continue;
                    }
                    let (text, last) = decode(decoder, &mut self.held, self.ended);
                    if last {
                        self.mode = Mode::Done;
                    }
                    if !text.is_empty() {
                        return Ok(Some(text.into()));
                    }
                }
                Mode::Done => return Ok(None),
            }
        }
    }

    fn remember(&mut self, plain: &[u8]) {
        self.before.extend_from_slice(plain);
        let over = self.before.len().saturating_sub(BEFORE);
        drop(self.before.drain(..over));
    }

    /// Reads until so many bytes are held, or all.
    async fn fill(&mut self, least: usize) -> Result<(), Say> {
        while self.held.len() < least && !self.ended {
            match tokio::time::timeout(PATIENCE, self.stream.next()).await {
                Ok(Some(Ok(bytes))) => self.held.extend_from_slice(&bytes),
                Ok(Some(Err(error))) => return Err(error.said()),
                Ok(None) => self.ended = true,
                Err(_) => {
                    let seconds = PATIENCE.as_secs();
                    return Err(say!(
                        "the upload broke off: nothing came for {seconds} s",
                        seconds
                    ));
                }
            }
        }
        Ok(())
    }

    /// By the first bytes: not a text at all, a mark, zero bytes, or what the sender said.
    fn begin(&mut self) -> Result<(), Say> {
        if let Some(what) = no_text(&self.held) {
            return Err(Say::of("this is {what}, not a text file: save it as CSV and send that")
                .with("what", Say::of(what)));
        }
        if let Some((marked, length)) = Encoding::for_bom(&self.held) {
            drop(self.held.drain(..length));
            // A mark knows better than whoever sent it.
            self.mode = Mode::Known(marked.new_decoder_without_bom_handling());
            self.found = renewed(&self.found, marked);
        } else if let Some(told) = self.found.get() {
            self.mode = Mode::Known(told.new_decoder_without_bom_handling());
        } else if let Some(wide) = wide(&self.held) {
            self.decide(wide);
        } else {
            self.mode = Mode::Plain;
        }
        Ok(())
    }

    fn decide(&mut self, encoding: &'static Encoding) {
        self.found.get_or_init(|| encoding);
        self.mode = Mode::Known(encoding.new_decoder_without_bom_handling());
    }
}

/// The same cell where nobody told an encoding before, else another.
fn renewed(found: &Found, marked: &'static Encoding) -> Found {
    if found.set(marked).is_ok() || of(found) == marked {
        return Arc::clone(found);
    }
    Arc::new(OnceLock::from(marked))
}

/// Decodes what is held, up to [`AT_ONCE`] bytes; says whether that was the last of it.
fn decode(decoder: &mut Decoder, held: &mut Vec<u8>, ended: bool) -> (String, bool) {
    let take = held.len().min(AT_ONCE);
    let last = ended && take == held.len();
    let rest = held.split_off(take);
    let piece = std::mem::replace(held, rest);
    let room = decoder.max_utf8_buffer_length(piece.len()).unwrap_or(AT_ONCE * 4);
    let mut text = String::with_capacity(room);
    let mut read = 0;
    loop {
        let from = piece.get(read..).unwrap_or_default();
        let (result, taken, _) = decoder.decode_to_string(from, &mut text, last);
        read += taken;
        match result {
            CoderResult::InputEmpty => return (text, last),
            CoderResult::OutputFull => text.reserve(AT_ONCE),
        }
    }
}

/// Files that people send for CSV by mistake.
fn no_text(head: &[u8]) -> Option<&'static str> {
    const FILES: [(&[u8], &str); 5] = [
        (b"PK\x03\x04", "an Excel or OpenDocument workbook (or another ZIP file)"),
        (b"\xD0\xCF\x11\xE0", "an old Excel workbook"),
        (b"%PDF", "a PDF file"),
        (b"\x1F\x8B", "a gzip file"),
        (b"{\\rtf", "an RTF file"),
    ];
    FILES.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

/// UTF-16 without a mark: a separator or a line end has a zero byte beside it, always on one side.
fn wide(head: &[u8]) -> Option<&'static Encoding> {
    let (mut little, mut big) = (0_usize, 0_usize);
    for pair in head.as_chunks::<2>().0 {
        match pair {
            [0, 0] => return None,
            [_, 0] => little += 1,
            [0, _] => big += 1,
            _ => {}
        }
    }
    // Chinese has few of them, but for digits and separators; a stray zero byte has fewer.
    let many = head.len() / 20;
    if little > many && little > big * 8 {
        Some(UTF_16LE)
    } else if big > many && big > little * 8 {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// The encoding of bytes that begin (or go on) outside of ASCII, with some of the ASCII before them.
fn guess(before: &[u8], sample: &[u8], whole: bool, hint: Option<&[u8; 2]>) -> &'static Encoding {
    if is_utf8(sample) {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, whole);
    let hint = hint.map(<[u8; 2]>::as_slice).filter(|hint| hint.iter().all(u8::is_ascii_lowercase));
    let first = widest(detector.guess(hint, Utf8Detection::Deny));
    // A header that reads as names of columns is worth more than statistics over few letters.
    let mut best = (first, named(sample, first));
    for other in [GB18030, BIG5, SHIFT_JIS, EUC_KR, WINDOWS_1252] {
        let named = named(sample, other);
        if named > best.1 {
            best = (other, named);
        }
    }
    // Short Chinese and Japanese texts look alike to statistics; numbers of China tell.
    let elsewhere = hint.is_some_and(|hint| hint != b"cn");
    if best.1 == 0
        && best.0 != GB18030
        && !elsewhere
        && is_chinese(&[before, sample].concat(), whole)
    {
        return GB18030;
    }
    best.0
}

/// Whether bytes outside of ASCII come in pairs that are Chinese characters, beside telephone
/// numbers of China: `+86`, or eleven digits from 13 to 19.
fn is_chinese(sample: &[u8], whole: bool) -> bool {
    let ascii = |pair: &[u8]| matches!(pair, [a, b] if a.is_ascii() == b.is_ascii());
    let runs = sample.chunk_by(|a, b| ascii(&[*a, *b]));
    // What is cut at the end of the sample says nothing.
    let odd = |run: &&[u8]| run.first().is_some_and(|b| !b.is_ascii()) && run.len() % 2 == 1;
    if runs.filter(odd).count() > usize::from(!whole) {
        return false;
    }
    let text = GB18030.decode_without_bom_handling(sample).0;
    // Japanese has the same bytes for its own letters in both.
    let kana = text.chars().any(|c| ('\u{3041}'..='\u{30FA}').contains(&c));
    let wrong = text.chars().filter(|c| *c == '\u{FFFD}').count();
    let mobile =
        |digits: &str| digits.len() == 11 && matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..]);
    let number = text.contains("+86") || text.split(|c: char| !c.is_ascii_digit()).any(mobile);
    number && !kana && wrong <= usize::from(!whole)
}

fn widest(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == GBK { GB18030 } else { encoding }
}

/// Whether it is UTF-8, perhaps with a few broken rows or cut at its end.
fn is_utf8(sample: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        good += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    // The last character may be cut off.
    good > 0 && bad <= 1.max(good / 4) && (good > 1 || bad == 0)
}

/// How many names of columns outside of ASCII the first line has, read in an encoding.
fn named(sample: &[u8], encoding: &'static Encoding) -> usize {
    let end = sample.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(sample.len());
    let line = sample.get(..end.min(4096)).unwrap_or_default();
    let (text, _) = encoding.decode_without_bom_handling(line);
    text.split([',', ';', '\t', '|'])
        .filter(|cell| !cell.is_ascii() && columns::field_of(cell).is_some())
        .count()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    async fn read(bytes: &[u8], piece: usize, region: Option<[u8; 2]>) -> (String, &'static str) {
        let pieces: Vec<Result<Bytes, Infallible>> =
            bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut decoded = Decoded::new(stream::iter(pieces), None, region);
        let mut text = Vec::new();
        while let Some(piece) = decoded.next().await.unwrap() {
            assert!(!piece.is_empty());
            text.extend_from_slice(&piece);
        }
        (String::from_utf8(text).unwrap(), of(&decoded.found()).name())
    }

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[tokio::test]
    async fn every_usual_encoding_is_told_apart_however_the_bytes_are_cut() {
        let chinese =
            "客户编号,姓名,电话,城市\r\n1,王小明,13800138000,上海\r\n2,李娜,13900139000,北京\r\n";
        let french = "external_id,phone_1,nom\r\n1,+33155550101,Hélène Lefèvre\r\n2,+33155550102,François Noël\r\n";
        let cases: [(Vec<u8>, &str, &str); 10] = [
            (b"a,b\r\n1,2\r\n".to_vec(), "a,b\r\n1,2\r\n", "UTF-8"),
            (chinese.into(), chinese, "UTF-8"),
            ([b"\xEF\xBB\xBF", chinese.as_bytes()].concat(), chinese, "UTF-8"),
            (utf16(chinese, false, true), chinese, "UTF-16LE"),
            (utf16(chinese, true, true), chinese, "UTF-16BE"),
            (utf16(chinese, false, false), chinese, "UTF-16LE"),
            (utf16(chinese, true, false), chinese, "UTF-16BE"),
            (GBK.encode(chinese).0.into_owned(), chinese, "gb18030"),
            (WINDOWS_1252.encode(french).0.into_owned(), french, "windows-1252"),
            (french.into(), french, "UTF-8"),
        ];
        for (bytes, text, name) in cases {
            for piece in [1, 2, 3, 7, 1000] {
                let found = read(&bytes, piece, None).await;
                assert_eq!((found.0.as_str(), found.1), (text, name), "in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_short_chinese_file_is_told_by_its_numbers() {
        for (text, name) in [
            ("id,phone_1,name\n1,+8613800138000,\u{738B}\u{5C0F}\u{660E}\n", "gb18030"),
            ("id,phone_1,name\n1,13800138000,\u{674E}\u{5A1C}\n", "gb18030"),
            ("id,phone_1\n\u{738B},+86 138 0013 8000\n", "gb18030"),
        ] {
            let (found, encoding) = read(&GBK.encode(text).0, 1000, None).await;
            assert_eq!((found.as_str(), encoding), (text, name));
        }
        // Japanese with a number of China, and a German name beside an American number.
        let text =
            "id,phone_1,name\n1,+8613800138000,\u{7530}\u{4E2D}\u{3055}\u{3093}\u{3067}\u{3059}\n";
        let (found, encoding) = read(&encoding_rs::EUC_JP.encode(text).0, 1000, None).await;
        assert_eq!((found.as_str(), encoding), (text, "EUC-JP"));
        let text = "id,phone_1,name\n1,13055550101,M\u{FC}ller\n2,13055550102,Jos\u{E9}\n";
        let (found, encoding) = read(&WINDOWS_1252.encode(text).0, 1000, None).await;
        assert_eq!((found.as_str(), encoding), (text, "windows-1252"));
    }

    #[tokio::test]
    async fn an_encoding_shows_itself_only_after_much_ascii() {
        let ascii = "external_id,phone_1,nom\n".to_owned() + &"1,+33155550101,x\n".repeat(20_000);
        let text = format!("{ascii}2,+33155550102,François Noël\n3,+33155550103,Hélène\n");
        let (found, name) = read(&WINDOWS_1252.encode(&text).0, 8192, None).await;
        assert_eq!(name, "windows-1252");
        assert!(found == text, "the text comes whole");
    }

    #[tokio::test]
    async fn workbooks_and_other_files_are_named() {
        for bytes in [&b"PK\x03\x04rest"[..], b"\xD0\xCF\x11\xE0rest", b"%PDF-1.7", b"\x1F\x8Bx"] {
            let pieces = [Ok::<_, Infallible>(Bytes::copy_from_slice(bytes))];
            let error = Decoded::new(stream::iter(pieces), None, None).next().await.unwrap_err();
            assert!(error.to_string().contains("save it as CSV"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn any_bytes_become_text(bytes in proptest::collection::vec(any::<u8>(), 0..3000), piece in 1..500_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let pieces: Vec<Result<Bytes, Infallible>> =
                bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            runtime.block_on(async {
                let mut decoded = Decoded::new(stream::iter(pieces), None, Some(*b"CN"));
                while let Ok(Some(text)) = decoded.next().await {
                    assert!(std::str::from_utf8(&text).is_ok());
                }
            });
        }
    }
}
