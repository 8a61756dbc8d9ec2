//! What a page of Markdown tells its reader to type, and what it says will come out.

/// What a block of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `sh`: typed in, must succeed.
    Typed,
    /// `sh fails`: typed in, must end with an error.
    Fails,
    /// `sh other-terminal`: goes on running in a terminal of its own, once it has said `ready`.
    OtherTerminal,
    /// `text`: lines that came out of the block before.
    Shown,
}

/// A block of code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// Of its first line, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The blocks of a page. One of an unknown kind is a mistake of the page's: it would not be tried.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(info), None) => {
                let kind = match info.trim() {
                    "sh" => Kind::Typed,
                    "sh fails" => Kind::Fails,
                    "sh other-terminal" => Kind::OtherTerminal,
                    "text" => Kind::Shown,
                    other => panic!("line {}: a block of unknown kind {other:?}", at + 1),
                };
                open = Some(Block { kind, line: at + 2, text: String::new() });
            }
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The first line of the page's text that did not come out. Lines come in their order, others may
/// stand between; `…` is any text; blanks at the ends and runs of blanks do not matter.
pub(crate) fn shown(text: &str, output: &str) -> Option<String> {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut came = output.lines().map(plain);
    text.lines()
        .map(plain)
        .filter(|line| !line.is_empty() && line != "…")
        .find(|wanted| !came.any(|line| fits(wanted, &line)))
}

fn fits(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split('…').map(str::trim);
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    let mut any = false;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        let after = after.trim_start();
        (rest, last, any) = (after, part, true);
    }
    rest.is_empty() || (any && (last.is_empty() || line.ends_with(last)))
}

#[test]
fn a_page_is_read_block_by_block() {
    let page = "a\n```sh\nls\n```\nb\n```text\nx\ny\n```\n```sh other-terminal\nz\n```\n";
    let kinds: Vec<_> =
        blocks(page).iter().map(|block| (block.kind, block.line, block.text.clone())).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Typed, 3, "ls\n".to_owned()),
            (Kind::Shown, 7, "x\ny\n".to_owned()),
            (Kind::OtherTerminal, 11, "z\n".to_owned())
        ]
    );
}

#[test]
fn what_is_shown_must_come_in_its_order() {
    let out = "one  two\nthree 17 four\nfive\n";
    assert_eq!(shown("one two\n…\nthree … four\n", out), None);
    assert_eq!(shown("three …\n", out), None);
    assert_eq!(shown("five\none two\n", out), Some("one two".to_owned()));
    assert_eq!(shown("three … five\n", out), Some("three … five".to_owned()));
    assert_eq!(shown("fiv\n", out), Some("fiv".to_owned()));
    assert_eq!(shown("… 17 …\n", out), None);
    assert_eq!(shown("one … two\n", out), None, "blanks beside what is left out do not matter");
}
