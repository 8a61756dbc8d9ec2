//! How things are laid out: tables, facts, headings; by the width of the terminal.

use std::str::FromStr as _;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use comfy_table::{
    Cell as TableCell, CellAlignment, Color, ContentArrangement, Table, TableStyle,
    presets::NOTHING,
};
use dialer_types::{Language, Say, say};
use serde_json::Value;

use crate::words::Tongue;

/// What a piece of text means, shown as a colour where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As wanted.
    Good,
    /// Needs an eye.
    Warn,
    /// Refused, failed.
    Bad,
    /// Beside the point.
    Faint,
}

/// One cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell(pub(crate) String, pub(crate) Tone);

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self(text.into(), Tone::Plain)
    }
}

/// A column: its header, and whether it holds counts.
#[derive(Debug, Clone)]
pub(crate) struct Column(pub(crate) Say, pub(crate) bool);

/// A column of text.
pub(crate) fn text(header: Say) -> Column {
    Column(header, false)
}

/// A column of counts, which stand to the right.
pub(crate) fn counts(header: Say) -> Column {
    Column(header, true)
}

/// The paper: language, width, colours and the zone that moments are shown in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) tongue: Tongue,
    /// Columns of the terminal.
    pub(crate) width: u16,
    pub(crate) colors: bool,
    /// Without one: UTC.
    pub(crate) zone: Option<Tz>,
}

impl Page {
    pub(crate) fn tell(&self, say: &Say) -> String {
        self.tongue.tell(say)
    }

    /// Text in a colour, where there are colours.
    pub(crate) fn tone(&self, text: &str, tone: Tone) -> String {
        let style = console::Style::new().force_styling(true);
        let style = match tone {
            Tone::Good => style.green(),
            Tone::Warn => style.yellow(),
            Tone::Bad => style.red(),
            Tone::Faint => style.dim(),
            Tone::Plain => return text.to_owned(),
        };
        if self.colors { style.apply_to(text).to_string() } else { text.to_owned() }
    }

    /// A heading over what follows.
    pub(crate) fn heading(&self, say: &Say) -> String {
        let text = self.tell(say);
        let bold = console::Style::new().force_styling(true).bold();
        let shown = if self.colors { bold.apply_to(&text).to_string() } else { text };
        format!("\n{shown}\n")
    }

    /// A table; a sentence in its place when there is nothing in it.
    pub(crate) fn table(&self, columns: &[Column], rows: Vec<Vec<Cell>>, empty: &Say) -> String {
        if rows.is_empty() {
            return format!("{}\n", self.tell(empty));
        }
        let mut table = self.sheet();
        table.set_header(columns.iter().map(|Column(header, right)| {
            let cell = TableCell::new(self.tell(header));
            let cell =
                if self.colors { cell.add_attribute(comfy_table::Attribute::Bold) } else { cell };
            cell.set_alignment(alignment(*right))
        }));
        for row in rows {
            table.add_row(
                row.into_iter().zip(columns).map(|(cell, Column(_, right))| {
                    self.cell(&cell).set_alignment(alignment(*right))
                }),
            );
        }
        trimmed(&table)
    }

    /// Names and what they stand for, one a line. What has no text is left out.
    pub(crate) fn facts(&self, facts: Vec<(Say, Cell)>) -> String {
        let mut table = self.sheet();
        for (name, cell) in facts.into_iter().filter(|(_, cell)| !cell.0.is_empty()) {
            let name = TableCell::new(self.tell(&name));
            let name = if self.colors { name.fg(Color::DarkGrey) } else { name };
            table.add_row([name, self.cell(&cell)]);
        }
        trimmed(&table)
    }

    fn cell(&self, cell: &Cell) -> TableCell {
        let shown = TableCell::new(&cell.0);
        match cell.1 {
            _ if !self.colors => shown,
            Tone::Plain => shown,
            Tone::Good => shown.fg(Color::Green),
            Tone::Warn => shown.fg(Color::Yellow),
            Tone::Bad => shown.fg(Color::Red),
            Tone::Faint => shown.fg(Color::DarkGrey),
        }
    }

    fn sheet(&self) -> Table {
        let mut table = Table::new();
        let style: TableStyle = NOTHING;
        table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.width);
        if self.colors {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// A moment of the API (RFC 3339) to the second, in the reader's zone.
    pub(crate) fn moment(&self, value: &Value) -> String {
        let Some(said) = value.as_str() else { return String::new() };
        let Ok(moment) = DateTime::parse_from_rfc3339(said) else { return said.to_owned() };
        match self.zone {
            Some(zone) => moment.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z").to_string(),
            None => moment
                .with_timezone(&Utc)
                .to_rfc3339_opts(SecondsFormat::Secs, true)
                .replace('T', " "),
        }
    }

    /// A word of the API, with the tone that it has.
    pub(crate) fn word(&self, word: &str) -> Cell {
        let tone = match word {
            "running" | "permit" | "answered" | "imported" | "good" | "up" => Tone::Good,
            "paused" | "defer" | "parked" | "importing" | "repaired" | "duplicate" | "busy"
            | "no_answer" | "partly_down" => Tone::Warn,
            "refuse" | "failed" | "rejected" | "quarantined" | "down" | "abandoned"
            | "outcome_unknown" | "unwanted" => Tone::Bad,
            "draft" | "stopped" | "ended" | "finished" | "not_sent" => Tone::Faint,
            _ => Tone::Plain,
        };
        // `list:ID` and the like: the word, and what it is about.
        let shown = match word.split_once(':') {
            Some((kind, about)) => {
                let colon = if self.tongue.0 == Language::Chinese { "：" } else { ": " };
                // A list has a name; what a campaign must do is a word of the API.
                let about = match kind {
                    "obligation" => self.tongue.word(about),
                    _ => about.to_owned(),
                };
                format!("{}{colon}{about}", self.tongue.word(kind))
            }
            None => self.tongue.word(word),
        };
        Cell(shown, tone)
    }

    /// A member that holds a word.
    pub(crate) fn word_of(&self, value: &Value) -> Cell {
        value.as_str().map(|word| self.word(word)).unwrap_or_default()
    }

    /// How many of how many, as a bar.
    pub(crate) fn yes_no(&self, yes: bool) -> String {
        self.tell(&if yes { say!("yes") } else { say!("no") })
    }
}

/// The zone that a name of the IANA database stands for.
pub(crate) fn zone(name: &str) -> Option<Tz> {
    Tz::from_str(name.trim_start_matches(':')).ok()
}

fn alignment(right: bool) -> CellAlignment {
    if right { CellAlignment::Right } else { CellAlignment::Left }
}

/// Without the blanks at the ends of lines, which only get in the way of copying.
fn trimmed(table: &Table) -> String {
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A member as text: strings as they are, numbers in digits, nothing for what is missing.
pub(crate) fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => grouped(whole),
            None => number.to_string(),
        },
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Text of others may hold bytes that move a terminal's cursor: they are not passed on.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => ' ',
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
pub(crate) mod tests {
    use dialer_types::Language;
    use serde_json::json;

    use super::*;

    /// 80 columns, no colours, UTC.
    pub(crate) fn page(language: Language) -> Page {
        Page { tongue: Tongue(language), width: 80, colors: false, zone: None }
    }

    fn sample(page: &Page) -> String {
        let columns = [text(say!("Name")), counts(say!("Contacts")), text(say!("Status"))];
        let rows = vec![
            vec!["春节活动".into(), grouped(1_234_567).into(), page.word("running")],
            vec!["Spring".into(), grouped(5).into(), page.word("draft")],
        ];
        page.table(&columns, rows, &say!("none"))
    }

    #[test]
    fn tables_align_what_is_twice_as_wide_and_set_counts_to_the_right() {
        assert_eq!(
            sample(&page(Language::English)),
            " Name       Contacts  Status\n 春节活动  1,234,567  running\n Spring            5  draft\n"
        );
        assert_eq!(
            sample(&page(Language::Chinese)),
            " 名称         联系人  状态\n 春节活动  1,234,567  运行中\n Spring            5  草稿\n"
        );
    }

    #[test]
    fn a_narrow_terminal_wraps_cells_and_never_gets_a_longer_line() {
        for language in [Language::English, Language::Chinese] {
            let page = Page { width: 30, ..page(language) };
            let columns = [text(say!("Rule")), text(say!("Reason"))];
            let long = "该号码已在全国拒绝来电名单上登记，不得拨打营销电话 because it is listed";
            let shown =
                page.table(&columns, vec![vec!["us.tsr".into(), long.into()]], &say!("none"));
            assert!(shown.lines().count() > 3, "{shown}");
            for line in shown.lines() {
                assert!(console::measure_text_width(line) <= 30, "{line}");
            }
        }
    }

    #[test]
    fn colours_are_there_only_when_asked_for() {
        let plain = page(Language::English);
        let colored = Page { colors: true, ..plain };
        assert!(!sample(&plain).contains('\u{1b}'));
        assert!(sample(&colored).contains('\u{1b}'));
        assert_eq!(plain.tone("x", Tone::Bad), "x");
        assert!(colored.tone("x", Tone::Bad).contains('\u{1b}'));
    }

    #[test]
    fn moments_are_shown_in_the_zone_of_the_reader() {
        let utc = page(Language::English);
        let moment = json!("2026-11-24T14:05:09.123Z");
        assert_eq!(utc.moment(&moment), "2026-11-24 14:05:09Z");
        let shanghai = Page { zone: zone("Asia/Shanghai"), ..utc };
        assert_eq!(shanghai.moment(&moment), "2026-11-24 22:05:09 CST");
        assert_eq!(utc.moment(&Value::Null), "");
        assert!(zone("C").is_none());
    }

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(said(&json!("a\u{1b}[2Jb\nc")), "a\u{fffd}[2Jb c");
        assert_eq!(said(&json!([1_000, "x"])), "1,000, x");
        assert_eq!(grouped(-1_000), "-1,000");
        assert_eq!(grouped(999), "999");
    }
}
