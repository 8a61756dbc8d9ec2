//! What goes wrong, told so that the reader knows what to do; and the exit codes.

use dialer_types::{Language, Say, say};
use serde_json::{Value, json};

use crate::page::{Page, Tone, said, text};

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The command line, the environment or the settings do not say what is needed.
    #[error("{0}")]
    Usage(Say),
    /// No answer, or none of the API's.
    #[error("{place}: {reason}")]
    Unreachable {
        /// The API's address.
        place: String,
        /// What the way to it said.
        reason: String,
    },
    /// The API stopped reading a file before its end and sent no answer.
    #[error("{place} stopped reading")]
    Cut {
        /// The API's address.
        place: String,
    },
    /// The API said no: an RFC 9457 problem.
    #[error("{status}")]
    Refused {
        /// HTTP.
        status: u16,
        /// The problem's text as it came.
        text: String,
        /// The problem.
        problem: Value,
    },
    /// A local file.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Nobody reads what we write (`| head`): no reason to complain.
    #[error("nobody reads the output")]
    Unread,
}

/// Done.
pub(crate) const DONE: u8 = 0;
/// The API refused: 400, 404, 405, 409, 413, 422; or took no row of a file.
pub(crate) const REFUSED: u8 = 1;
/// The command line, as clap has it.
const USAGE: u8 = 2;
/// No connection, no answer in time, 5xx.
const UNREACHABLE: u8 = 3;
/// 401 and 403.
const NOT_ALLOWED: u8 = 4;
/// A file of this machine.
const FILE: u8 = 5;
/// `campaign watch` ended because the campaign stalled.
pub(crate) const STALLED: u8 = 6;

impl Trouble {
    /// The process's.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Unreachable { .. } | Self::Cut { .. } => UNREACHABLE,
            Self::Refused { status: 401 | 403, .. } => NOT_ALLOWED,
            Self::Refused { status: 500.., .. } => UNREACHABLE,
            Self::Refused { .. } => REFUSED,
            Self::File { .. } => FILE,
            Self::Unread => DONE,
        }
    }

    /// For scripts: a problem (RFC 9457), the API's own as it came.
    pub(crate) fn json(&self, page: &Page) -> String {
        let (code, title, detail) = match self {
            Self::Refused { text, .. } => return text.trim_end().to_owned(),
            Self::Usage(say) => {
                ("usage", say!("The command line cannot be followed"), page.tell(say))
            }
            Self::Unreachable { place, reason } => {
                let reason = page.tell(&plain(reason));
                ("unreachable", say!("The API does not answer"), format!("{place}: {reason}"))
            }
            Self::Cut { place } => {
                ("unreachable", say!("The API does not answer"), page.tell(&cut(place)))
            }
            Self::File { path, reason } => {
                let reason = page.tell(&plain(reason));
                ("file", say!("A file cannot be used"), format!("{path}: {reason}"))
            }
            Self::Unread => return String::new(),
        };
        let title = page.tell(&title);
        let kind = format!("urn:ringfence:problem:{code}");
        json!({ "type": kind, "title": title, "code": code, "detail": detail }).to_string()
    }

    /// For people: what is wrong, every fault, and what to do.
    pub(crate) fn render(&self, page: &Page) -> String {
        let error = page.tone(&page.tell(&say!("error:")), Tone::Bad);
        let (what, faults) = match self {
            Self::Unread => return String::new(),
            Self::Usage(say) => (page.tell(say), String::new()),
            Self::Unreachable { place, reason } => {
                let reason = page.tell(&plain(reason));
                let what = say!("the API at {place} does not answer: {reason}", place, reason);
                (page.tell(&what), String::new())
            }
            Self::Cut { place } => (page.tell(&cut(place)), String::new()),
            Self::File { path, reason } => {
                (format!("{path}: {}", page.tell(&plain(reason))), String::new())
            }
            Self::Refused { problem, .. } => {
                let (title, detail) = (said(&problem["title"]), said(&problem["detail"]));
                let what = match page.tongue.0 {
                    _ if detail.is_empty() => title,
                    Language::English => format!("{title}: {detail}"),
                    Language::Chinese => format!("{title}：{detail}"),
                };
                (what, faults(page, problem))
            }
        };
        // The full-width colon has its blank in it.
        let blank = if page.tongue.0 == Language::English { " " } else { "" };
        let mut out = format!("{error}{blank}{what}\n{faults}");
        for advice in self.own_ways().into_iter().chain(self.advice()) {
            out.push_str(&page.tone(&page.tell(&advice), Tone::Faint));
            out.push('\n');
        }
        out
    }

    /// The API names what its query takes; here it is a flag.
    fn own_ways(&self) -> Vec<Say> {
        let Self::Refused { problem, .. } = self else { return Vec::new() };
        let faults = problem["faults"].as_array().into_iter().flatten();
        let missing = faults
            .filter(|fault| fault["reason"].as_str().is_some_and(|it| it.contains("columns=")))
            .map(|fault| said(&fault["field"]));
        missing
            .map(|field| match field.as_str() {
                "external_id" => say!(
                    "Here it is said with --column 'NAME=external_id', NAME being the header in your file; if no column names the person, with --identify-by-number."
                ),
                _ => say!(
                    "Here it is said with --column 'NAME={field}', NAME being the header in your file.",
                    field
                ),
            })
            .collect()
    }

    /// The next step.
    fn advice(&self) -> Option<Say> {
        let (status, code) = match self {
            Self::Unreachable { .. } => {
                return Some(say!(
                    "Is campaign-api running, and is the address right? It comes from --api, RINGFENCE_API or `./ringfence login`; your operator knows it."
                ));
            }
            Self::Cut { .. } => {
                return Some(say!(
                    "The rows stored before stay. Wait a minute and run the command again: whoever is in already counts as a duplicate, and so does an earlier attempt that is on record."
                ));
            }
            Self::Refused { status, problem, .. } => {
                (*status, problem["code"].as_str().unwrap_or_default())
            }
            _ => return None,
        };
        Some(match (status, code) {
            (_, "campaign_without_trunk") => say!(
                "A campaign gets its trunks when it is made: `./ringfence trunk list` shows them, `./ringfence campaign create --trunk NAME ...` takes one."
            ),
            (_, "campaign_not_running") => say!(
                "`./ringfence campaign show NAME` says where the campaign stands; `./ringfence campaign start NAME` sets it going."
            ),
            (_, "campaign_exists" | "seller_exists" | "trunk_exists") => say!(
                "Choose another name, or use the one that is there: `./ringfence campaign list`, `seller list`, `trunk list`."
            ),
            (_, "try_again") => say!("Nothing was recorded: run the same command again."),
            (_, "nothing_to_correct") => {
                say!("`./ringfence attempts show ID` says how the attempt stands.")
            }
            (_, "list_failed") => say!(
                "Preview the file, mend it from the line that is named, and import it again: people who are in already count as duplicates."
            ),
            (401, _) => say!(
                "The API does not know your key. It comes from RINGFENCE_KEY, RINGFENCE_KEY_FILE, --key-file or `./ringfence login`. An operator makes one: ./ringfence campaign-api key create --name YOU --role campaign_manager"
            ),
            (403, _) => say!(
                "Ask somebody who has one of these roles, or an operator for a key with such a role."
            ),
            (404, _) => say!(
                "See what there is: `./ringfence campaign list`, `seller list`, `trunk list`, `contact list`, `attempts`."
            ),
            (409, _) => say!("Look how things stand, and try again."),
            (413, _) => say!("Split the file, and import the parts one after the other."),
            (400 | 422, _) => say!(
                "Nothing was recorded. Put this right and run the command again; --help shows what each word takes."
            ),
            (503, _) => say!(
                "Nothing was recorded. Run the same command again in a minute; if it stays so, tell your operator."
            ),
            (500.., _) => say!("Tell your operator: the reason is in the log of campaign-api."),
            _ => return None,
        })
    }
}

/// What the operating system says, in words that say what to do. What it seldom says stays as it is.
fn plain(reason: &str) -> Say {
    let is = |words: &str| reason.contains(words);
    if is("No such file or directory") {
        say!("there is no such file or folder; check its name and where you are")
    } else if is("Permission denied") {
        say!("you may not use it; ask whoever owns it, or take another place")
    } else if is("a folder, not a file") || is("Is a directory") {
        say!("a folder, not a file; name the file in it")
    } else if is("No space left on device") {
        say!("the disk is full; make room and run the command again")
    } else if is("Connection refused") {
        say!("nothing listens there")
    } else if is("timed out") || is("timeout") {
        say!("no answer came in time")
    } else {
        Say::raw(reason.to_owned())
    }
}

fn cut(place: &str) -> Say {
    say!(
        "the API at {place} stopped reading before the end of the file, and did not say why",
        place
    )
}

/// Every fault of a problem.
fn faults(page: &Page, problem: &Value) -> String {
    let Some(faults) = problem["faults"].as_array().filter(|faults| !faults.is_empty()) else {
        return String::new();
    };
    let lines = faults.iter().any(|fault| !fault["line"].is_null());
    let mut columns = vec![text(say!("Field")), text(say!("Reason"))];
    if lines {
        columns.insert(0, crate::page::counts(say!("Line")));
    }
    let rows = faults
        .iter()
        .map(|fault| {
            let mut row = vec![said(&fault["field"]).into(), said(&fault["reason"]).into()];
            if lines {
                row.insert(0, said(&fault["line"]).into());
            }
            row
        })
        .collect();
    page.table(&columns, rows, &say!("none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::page;

    fn refused(status: u16, problem: Value) -> Trouble {
        Trouble::Refused { status, text: problem.to_string(), problem }
    }

    #[test]
    fn every_fault_is_in_a_table_with_what_to_do_below() {
        let problem = json!({ "type": "urn:ringfence:problem:invalid", "status": 422, "code": "invalid",
            "title": "The request is not valid", "detail": "2 faults",
            "faults": [{ "line": 3, "field": "number", "reason": "too short" },
                       { "line": 12, "field": "at", "reason": "not a moment" }] });
        let trouble = refused(422, problem);
        assert_eq!(
            trouble.render(&page(Language::English)),
            "error: The request is not valid: 2 faults\n\
             \x20Line  Field   Reason\n    3  number  too short\n   12  at      not a moment\n\
             Nothing was recorded. Put this right and run the command again; --help shows what each word takes.\n"
        );
        let chinese = trouble.render(&page(Language::Chinese));
        assert!(chinese.starts_with("错误："), "{chinese}");
        assert!(chinese.contains("字段") && chinese.contains("未作任何记录"), "{chinese}");
        assert_eq!(trouble.exit_code(), 1);
    }

    #[test]
    fn a_missing_column_is_put_right_with_flags_of_this_program() {
        let missing = |field: &str| {
            let reason = format!("the column is missing; say which it is: columns=NAME:{field}");
            json!({ "field": field, "reason": reason })
        };
        let problem =
            json!({ "title": "Not valid", "faults": [missing("external_id"), missing("phone_1")] });
        let trouble = refused(422, problem);
        let shown = trouble.render(&page(Language::English));
        for flag in
            ["--column 'NAME=external_id'", "--identify-by-number", "--column 'NAME=phone_1'"]
        {
            assert!(shown.contains(flag), "{flag} in\n{shown}");
        }
        let chinese = trouble.render(&page(Language::Chinese));
        assert!(chinese.contains("--identify-by-number，"), "{chinese}");
        let other =
            refused(422, json!({ "faults": [{ "field": "external_id", "reason": "long" }] }));
        assert!(!other.render(&page(Language::English)).contains("--column"));
    }

    #[test]
    fn exit_codes_tell_the_classes_apart() {
        let code = |status| refused(status, Value::Null).exit_code();
        assert_eq!([404, 409, 413, 422, 400].map(code), [1; 5]);
        assert_eq!([401, 403].map(code), [4; 2]);
        assert_eq!([500, 502, 503].map(code), [3; 3]);
        assert_eq!(Trouble::Usage(say!("none")).exit_code(), 2);
        let gone = Trouble::Unreachable { place: "http://x".into(), reason: "refused".into() };
        assert_eq!(gone.exit_code(), 3);
        assert_eq!(Trouble::File { path: "x".into(), reason: "y".into() }.exit_code(), 5);
    }

    #[test]
    fn every_status_that_the_api_gives_comes_with_a_next_step() {
        for status in [400, 401, 403, 404, 409, 413, 422, 500, 502, 503] {
            assert!(refused(status, Value::Null).advice().is_some(), "{status}");
        }
    }

    #[test]
    fn errors_for_scripts_are_problems_in_one_document() {
        let own = refused(404, json!({ "code": "not_found", "status": 404 }));
        assert_eq!(own.json(&page(Language::English)), r#"{"code":"not_found","status":404}"#);
        let gone = Trouble::Unreachable { place: "http://x".into(), reason: "refused".into() };
        let problem: Value = serde_json::from_str(&gone.json(&page(Language::Chinese))).unwrap();
        assert_eq!(problem["code"], "unreachable");
        assert_eq!(problem["type"], "urn:ringfence:problem:unreachable");
    }
}
