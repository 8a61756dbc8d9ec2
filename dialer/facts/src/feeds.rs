//! The emergency feed: where an emergency is declared, as a small demo file beside the lists.
//!
//! A file whose name ends in `.feed` is text: a line `# demo feed`, the header lines
//! `# id: emergency` and `# as_of: 2026-11-24T14:00:00Z`, then one area a line as ISO 3166 has it:
//! `US-LA`, or `US` for the whole country. No area is a feed too: there is no emergency.

use dialer_policy::{Area, Feed};
use dialer_types::UnixMillis;

/// How names of feed files end.
pub(crate) const EXTENSION: &str = "feed";

/// Why a file is not a feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The first line is another.
    #[error("line 1 is not '# demo feed': only demo feeds are read at this stage")]
    NotDemo,
    /// A header is missing or wrong.
    #[error("header '# {0}: ...' is missing or not understood")]
    Header(&'static str),
    /// A line is not an area.
    #[error("line {0}: not an area like US or US-LA")]
    Area(usize),
}

/// Reads the text of a feed file.
///
/// # Errors
/// See [`FeedError`]. A line that is not understood spoils the whole feed: it might name an
/// emergency (G5).
pub fn parse(text: &str) -> Result<Feed, FeedError> {
    let mut lines = text.lines().enumerate();
    if lines.next().is_none_or(|(_, line)| line.trim() != "# demo feed") {
        return Err(FeedError::NotDemo);
    }
    let (mut id, mut as_of, mut areas) = (None, None, Vec::new());
    for (at, line) in lines {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('#') {
            match header.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("id", value)) => id = Some(value == "emergency"),
                Some(("as_of", value)) => {
                    let moment = chrono::DateTime::parse_from_rfc3339(value).ok();
                    as_of = moment.map(|moment| UnixMillis(moment.timestamp_millis()));
                }
                _ => {}
            }
        } else if !line.is_empty() {
            areas.push(area(line).ok_or(FeedError::Area(at + 1))?);
        }
    }
    id.filter(|known| *known).ok_or(FeedError::Header("id"))?;
    Ok(Feed { as_of: as_of.ok_or(FeedError::Header("as_of"))?, areas })
}

fn area(line: &str) -> Option<Area> {
    let (country, region) = match line.split_once('-') {
        Some((country, region)) => (country, Some(region)),
        None => (line, None),
    };
    let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    let region_fits = region.is_none_or(|region| {
        (1..=3).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    (country.len() == 2 && upper(country) && region_fits)
        .then(|| Area { country: country.to_owned(), region: region.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_read_with_its_moment_and_areas() {
        let feed =
            parse("# demo feed\n# id: emergency\n# as_of: 2026-11-24T14:00:00Z\nUS-LA\nFR\n")
                .unwrap();
        assert_eq!(feed.as_of, UnixMillis(1_795_528_800_000));
        let la = Area { country: "US".into(), region: Some("LA".into()) };
        assert_eq!(feed.areas, [la, Area { country: "FR".into(), region: None }]);
        let none = parse("# demo feed\n# id: emergency\n# as_of: 2026-11-24T14:00:00Z\n").unwrap();
        assert!(none.areas.is_empty());
    }

    #[test]
    fn what_is_no_feed_is_refused_as_a_whole() {
        let with = |rest: &str| {
            parse(&format!("# demo feed\n# id: emergency\n# as_of: 2026-11-24T14:00:00Z\n{rest}"))
        };
        assert!(parse("").is_err());
        assert!(parse("# demo list\n").is_err());
        assert!(parse("# demo feed\n# id: weather\n# as_of: 2026-11-24T14:00:00Z\n").is_err());
        assert!(parse("# demo feed\n# id: emergency\n# as_of: 2026-11-24\n").is_err());
        for line in ["Louisiana", "us-la", "US-", "US-LOUISIANA", "+13055550123"] {
            let error = with(line).unwrap_err().to_string();
            assert!(error.contains("line 4") && !error.contains("305"), "{line}: {error}");
        }
    }
}
