//! Sources as the checks read them: code without comments, strings and tests.

use std::collections::BTreeSet;

/// A source file: as it is, and as code without comments, strings and tests.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) lines: usize,
    pub(crate) code: String,
    pub(crate) shipped: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = code_only(text);
        let shipped = without_tests(&code);
        Self { path: path.to_owned(), lines: text.lines().count(), code, shipped }
    }

    pub(crate) fn is_below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// The text with comments, strings and character literals blanked; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..chars.len()).find(|&j| at(j) == '\n').unwrap_or(chars.len()),
            ('/', '*') => block_comment_end(&chars, i),
            ('"', _) => string_end(&chars, i),
            ('\'', '\\') => {
                (i + 3..chars.len()).find(|&j| at(j) == '\'').map_or(chars.len(), |j| j + 1)
            }
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            (plain, _) => {
                code.push(plain);
                i += 1;
                continue;
            }
        };
        code.extend((i..end).map(|j| if at(j) == '\n' { '\n' } else { ' ' }));
        i = end;
    }
    code
}

pub(crate) fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = start;
    while i < chars.len() {
        match (chars.get(i), chars.get(i + 1)) {
            (Some('/'), Some('*')) => (depth, i) = (depth + 1, i + 2),
            (Some('*'), Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// Where the string that opens at `start` has ended; raw strings are known by the `r` and `#` before it.
pub(crate) fn string_end(chars: &[char], start: usize) -> usize {
    let before = |n: usize| start.checked_sub(n).and_then(|i| chars.get(i)).copied().unwrap_or(' ');
    let hashes = (1..).take_while(|&n| before(n) == '#').count();
    let prefixed = matches!(before(hashes + 2), 'b' | 'c') && !is_word(before(hashes + 3));
    let raw = before(hashes + 1) == 'r' && (prefixed || !is_word(before(hashes + 2)));
    let mut i = start + 1;
    while let Some(&c) = chars.get(i) {
        match c {
            '\\' if !raw => i += 2,
            '"' if !raw => return i + 1,
            '"' if (1..=hashes).all(|n| chars.get(i + n) == Some(&'#')) => return i + 1 + hashes,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The code with everything below `#[cfg(test)]` blanked.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) =
        ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| rest.find(mark)).min()
    {
        let (before, item) = rest.split_at(start);
        let (item, after) = item.split_at(item_end(item));
        kept.push_str(before);
        kept.extend(item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    if code.contains("#![cfg(test)]") { String::new() } else { kept + rest }
}

/// Where the item that begins with an attribute ends: at its `;`, or at the brace that closes it.
pub(crate) fn item_end(item: &str) -> usize {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, c) in item.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        if braces < 0 {
            return at;
        }
        if (c == '}' || c == ';') && braces == 0 && brackets == 0 {
            return at + c.len_utf8();
        }
    }
    item.len()
}

/// Writes out what `use std::{..}` names, so that `std::{fs, env}` is found as `std::fs` and `std::env`.
pub(crate) fn spelled_out(code: &str) -> String {
    let mut parts = code.split("std::{");
    let mut spelled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut depth = 1_usize;
        let end = part.find(|c| {
            depth = match c {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            };
            depth == 0
        });
        let (group, rest) = part.split_at(end.unwrap_or(part.len()));
        let mut depth = 0_usize;
        for name in group.split(',') {
            if depth == 0 {
                let space = name.len() - name.trim_start().len();
                let (space, name) = name.split_at(space);
                spelled.extend([space, "std::", name, ","]);
            } else {
                spelled.extend([name, ","]);
            }
            depth += name.matches('{').count();
            depth -= name.matches('}').count();
        }
        spelled.push_str(rest);
    }
    spelled
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The numbers of the lines that say `needle` as whole words.
pub(crate) fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let starts_word = needle.starts_with(is_word);
    let ends_word = needle.ends_with(is_word);
    code.lines()
        .enumerate()
        .filter(|(_, line)| {
            line.match_indices(needle).any(|(at, _)| {
                let (before, rest) = line.split_at(at);
                let after = rest.strip_prefix(needle).unwrap_or_default();
                !(starts_word && before.ends_with(is_word)
                    || ends_word && after.starts_with(is_word))
            })
        })
        .map(|(number, _)| number + 1)
        .collect()
}

/// A file that is a module under `#[cfg(test)]` in another one ships nothing.
pub(crate) fn outside_test_files(mut sources: Vec<Source>) -> Vec<Source> {
    let mut tests = BTreeSet::new();
    for source in &sources {
        for after in source.code.split("#[cfg(test)]").skip(1) {
            let item = after.split([';', '{']).next().unwrap_or_default();
            let closed_by = after.strip_prefix(item).unwrap_or_default();
            let Some(name) = item.split_whitespace().skip_while(|word| *word != "mod").nth(1)
            else {
                continue;
            };
            if closed_by.starts_with(';') {
                let stem = source.path.trim_end_matches(".rs");
                let folder = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
                tests.extend([stem, folder].map(|parent| format!("{parent}/{name}")));
            }
        }
    }
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        if tests.iter().any(|test| {
            stem == test || stem.strip_prefix(test).is_some_and(|rest| rest.starts_with('/'))
        }) {
            source.shipped.clear();
        }
    }
    sources
}
