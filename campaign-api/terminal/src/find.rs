//! Names instead of ids: what a person types is looked up in the API's lists.

use dialer_types::{Say, say};
use serde_json::Value;

use crate::{api::Api, page::said, trouble::Trouble};

/// What can be named.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Campaign,
    Seller,
    Trunk,
}

impl Kind {
    const fn path(self) -> &'static str {
        match self {
            Self::Campaign => "/v1/campaigns",
            Self::Seller => "/v1/sellers",
            Self::Trunk => "/v1/trunks",
        }
    }

    fn none(self, name: &str) -> Say {
        match self {
            Self::Campaign => {
                say!("no campaign is called {name}; see: ./ringfence campaign list", name)
            }
            Self::Seller => say!("no seller is called {name}; see: ./ringfence seller list", name),
            Self::Trunk => say!("no trunk is called {name}; see: ./ringfence trunk list", name),
        }
    }
}

/// A name as it may be repeated: what is as long as a card number is not.
pub(crate) fn quoted(name: &str) -> String {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if digits > 12 { "\"…\"".to_owned() } else { format!("{name:?}") }
}

/// Whether it is a whole ULID, which needs no looking up.
fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"ILOUilou".contains(&byte))
}

/// The id of what a person named: by ULID, exact name, or an unambiguous beginning of either.
pub(crate) fn find(api: &Api, kind: Kind, name: &str) -> Result<String, Trouble> {
    if is_ulid(name) {
        return Ok(name.to_ascii_uppercase());
    }
    let answer = api.get(kind.path(), &[])?;
    let items = answer.value["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    match choose(items, name) {
        Choice::One(id) => Ok(id),
        Choice::None => Err(Trouble::Usage(kind.none(&quoted(name)))),
        Choice::Several(found) => {
            let which = found.join(", ");
            let name = quoted(name);
            Err(Trouble::Usage(say!("{name} may be any of: {which}; give the ULID", name, which)))
        }
    }
}

/// What an object names by id, by name: members `seller`, `campaign` and `trunks`. For people only;
/// an id that cannot be looked up stays.
pub(crate) fn with_names(api: &Api, object: &Value) -> Value {
    let mut named = object.clone();
    for (member, kind) in
        [("seller", Kind::Seller), ("campaign", Kind::Campaign), ("trunks", Kind::Trunk)]
    {
        let Some(held) = named.get_mut(member) else { continue };
        let Ok(answer) = api.get(kind.path(), &[]) else { continue };
        let items = answer.value["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |id: &mut Value| {
            if let Some(item) = items.iter().find(|item| item["id"] == *id) {
                *id = item["name"].clone();
            }
        };
        match held {
            Value::Array(ids) => ids.iter_mut().for_each(name),
            id => name(id),
        }
    }
    named
}

/// The same for what may be left out.
pub(crate) fn find_if(
    api: &Api,
    kind: Kind,
    name: Option<&str>,
) -> Result<Option<String>, Trouble> {
    name.map(|name| find(api, kind, name)).transpose()
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    One(String),
    None,
    Several(Vec<String>),
}

/// Most candidates that a message names.
const SHOWN: usize = 10;

fn choose(items: &[Value], name: &str) -> Choice {
    let wanted = name.to_lowercase();
    let names = |test: &dyn Fn(&str, &str) -> bool| -> Vec<&Value> {
        items.iter().filter(|item| test(&text(item, "name"), &text(item, "id"))).collect()
    };
    let exact = names(&|own, _| own == name);
    let folded = names(&|own, _| own.to_lowercase() == wanted);
    let begins = names(&|own, id| {
        own.to_lowercase().starts_with(&wanted)
            || (wanted.len() >= 4 && id.to_lowercase().starts_with(&wanted))
    });
    for found in [exact, folded, begins] {
        match found.as_slice() {
            [] => {}
            [one] => return Choice::One(text(one, "id")),
            several => {
                return Choice::Several(
                    several
                        .iter()
                        .take(SHOWN)
                        .map(|item| format!("{} ({})", said(&item["name"]), text(item, "id")))
                        .collect(),
                );
            }
        }
    }
    Choice::None
}

fn text(item: &Value, member: &str) -> String {
    item[member].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_found_exactly_then_by_case_then_by_their_beginning() {
        let items = [
            json!({ "id": "01AAAA", "name": "Spring" }),
            json!({ "id": "01AAAB", "name": "Spring sale" }),
            json!({ "id": "01BBBB", "name": "春节" }),
            json!({ "id": "01CCCC", "name": "Twice" }),
            json!({ "id": "01CCCD", "name": "Twice" }),
        ];
        let one = |name| match choose(&items, name) {
            Choice::One(id) => id,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(one("Spring"), "01AAAA");
        assert_eq!(one("spring"), "01AAAA");
        assert_eq!(one("spring s"), "01AAAB");
        assert_eq!(one("春"), "01BBBB");
        assert_eq!(one("01bb"), "01BBBB");
        assert_eq!(choose(&items, "summer"), Choice::None);
        let both = vec!["Twice (01CCCC)".to_owned(), "Twice (01CCCD)".to_owned()];
        assert_eq!(choose(&items, "Twice"), Choice::Several(both));
        assert!(matches!(choose(&items, "s"), Choice::Several(found) if found.len() == 2));
    }

    #[test]
    fn a_whole_ulid_is_no_name() {
        assert!(is_ulid("01HZZZZZZZZZZZZZZZZZZZZZZZ"));
        assert!(!is_ulid("Spring sale for old friends"));
        assert!(!is_ulid("01HZ"));
    }
}
