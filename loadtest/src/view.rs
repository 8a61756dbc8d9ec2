//! What the demo says on the way: short lines, and a block that is redrawn on a terminal.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

/// Between two plain lines when the output is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// A colour, if the output is a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Good.
    Green,
    /// Bad.
    Red,
    /// Remarkable.
    Yellow,
    /// Less important.
    Faint,
    /// A heading.
    Bold,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Green => "\x1b[32m",
            Self::Red => "\x1b[31m",
            Self::Yellow => "\x1b[33m",
            Self::Faint => "\x1b[2m",
            Self::Bold => "\x1b[1m",
        }
    }
}

/// Tells the user. A reader that has gone away (a closed pipe) is no reason to stop.
pub struct Teller {
    out: Box<dyn Write + Send>,
    terminal: bool,
    drawn: usize,
    plain_after: Duration,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl Teller {
    /// Tells standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(Box::new(io::stdout()), io::stdout().is_terminal())
    }

    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Box::new(io::sink()), false)
    }

    /// Tells this writer; with colours and redrawing if it is a terminal.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self { out, terminal, drawn: 0, plain_after: Duration::ZERO }
    }

    /// The text in a tone.
    #[must_use]
    pub fn tone(&self, tone: Tone, text: &str) -> String {
        if self.terminal && tone != Tone::Plain {
            format!("{}{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// A line that stays.
    pub fn line(&mut self, text: &str) {
        self.wipe();
        writeln!(self.out, "{text}").and_then(|()| self.out.flush()).ok();
    }

    /// A step: what was done, in a column, and the rest.
    pub fn step(&mut self, word: &str, text: &str) {
        let word = self.tone(Tone::Bold, &format!("{word:<10}"));
        self.line(&format!("  {word} {text}"));
    }

    /// A heading with an empty line before it.
    pub fn heading(&mut self, text: &str) {
        let text = self.tone(Tone::Bold, text);
        self.line(&format!("\n{text}"));
    }

    /// Shows how things stand after `elapsed`: redrawn in place on a terminal, otherwise `plain`
    /// every few seconds.
    pub fn stand(&mut self, elapsed: Duration, block: &[String], plain: &str) {
        if self.terminal {
            self.wipe();
            for line in block {
                writeln!(self.out, "{line}").ok();
            }
            self.drawn = block.len();
            self.out.flush().ok();
        } else if elapsed >= self.plain_after {
            self.line(plain);
            self.plain_after = elapsed + PLAIN_EVERY;
        }
    }

    fn wipe(&mut self) {
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\x1b[J", self.drawn).ok();
            self.drawn = 0;
        }
    }
}

/// `1234567` as `1 234 567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines_now_and_then_and_no_colours() {
        let page = Page::default();
        let mut teller = Teller::new(Box::new(page.clone()), false);
        for second in 0..7 {
            teller.stand(Duration::from_secs(second), &["block".to_owned()], "plain");
        }
        teller.heading("end");
        assert_eq!(page.text(), "plain\nplain\n\nend\n");
    }

    #[test]
    fn on_a_terminal_the_block_is_redrawn_in_place_and_a_line_takes_its_place() {
        let page = Page::default();
        let mut teller = Teller::new(Box::new(page.clone()), true);
        teller.stand(Duration::ZERO, &["a".to_owned(), "b".to_owned()], "plain");
        teller.line("c");
        assert_eq!(page.text(), "a\nb\n\x1b[2A\x1b[Jc\n");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
