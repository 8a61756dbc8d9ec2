//! A campaign as people name it.

use anyhow::{Context as _, Result, anyhow};
use dialer_types::CampaignId;
use sqlx::PgPool;
use uuid::Uuid;

/// Most campaigns that a message names.
const SHOWN: usize = 10;

/// A campaign, its name and whose it is.
#[derive(Debug)]
struct Named {
    id: CampaignId,
    name: String,
    seller: String,
}

/// The campaign that somebody named: by its ULID, its name, or a beginning of that which only one
/// has; the same words find the same campaign in every other command.
///
/// # Errors
/// If the database cannot be read, no campaign is called so, or several are: their ids are named.
pub async fn find(pool: &PgPool, named: &str) -> Result<CampaignId> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "SELECT c.id, c.name, s.name FROM campaign c JOIN seller s ON s.id = c.seller_id
         ORDER BY c.created_at, c.id",
    )
    .fetch_all(pool)
    .await
    .context("the campaigns")?;
    let all: Vec<Named> = rows
        .into_iter()
        .map(|(id, name, seller)| Named { id: CampaignId(id.as_u128()), name, seller })
        .collect();
    choose(&all, named).map_err(|said| anyhow!("--campaign {}: {said}", quoted(named)))
}

fn choose(all: &[Named], wanted: &str) -> Result<CampaignId, String> {
    let folded = wanted.to_lowercase();
    let begins = |one: &Named| {
        let id = one.id.to_string().to_lowercase();
        one.name.to_lowercase().starts_with(&folded)
            || (folded.len() >= 4 && id.starts_with(&folded))
    };
    let tests: [&dyn Fn(&Named) -> bool; 3] =
        [&|one| one.name == wanted, &|one| one.name.to_lowercase() == folded, &begins];
    for test in tests {
        let found: Vec<&Named> = all.iter().filter(|one| test(one)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one.id),
            several => return Err(several_are(several)),
        }
    }
    Err("no campaign is called so; see: ./ringfence campaign list".to_owned())
}

fn several_are(found: &[&Named]) -> String {
    let mut said = "it may be any of these; give the ULID:".to_owned();
    for Named { id, name, seller } in found.iter().take(SHOWN) {
        said.push_str(&format!("\n  {id}  {} of {}", quoted(name), quoted(seller)));
    }
    if let Some(more @ 1..) = found.len().checked_sub(SHOWN) {
        said.push_str(&format!("\n  and {more} more"));
    }
    said
}

/// A name as it may be repeated: what is as long as a card number is not.
fn quoted(name: &str) -> String {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if digits > 12 { "\"…\"".to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str]) -> Vec<Named> {
        let named = |(id, name): (u128, &&str)| Named {
            id: CampaignId(id),
            name: (*name).to_owned(),
            seller: "Harbor Dental".to_owned(),
        };
        (1..).zip(names).map(named).collect()
    }

    #[test]
    fn a_campaign_is_found_by_its_name_or_by_a_beginning_that_only_it_has() {
        let all = all(&["reminders", "Reminders winter", "recall"]);
        for (named, found) in
            [("reminders", 1), ("REMINDERS", 1), ("reminders w", 2), ("rec", 3), ("recall", 3)]
        {
            assert_eq!(choose(&all, named), Ok(CampaignId(found)), "{named}");
        }
        assert!(choose(&all, "recalls").unwrap_err().contains("./ringfence campaign list"));
    }

    #[test]
    fn a_name_that_several_have_is_asked_back_with_their_ids() {
        let twice = all(&["reminders", "reminders", "recall"]);
        let said = choose(&twice, "reminders").unwrap_err();
        for id in [1, 2].map(CampaignId) {
            assert!(said.contains(&id.to_string()), "{said}");
        }
        assert!(said.contains("Harbor Dental") && !said.contains("recall"), "{said}");
        let many = all(&["r"; 14]);
        assert!(choose(&many, "r").unwrap_err().ends_with("and 4 more"));
    }

    #[test]
    fn what_may_be_a_card_number_is_not_repeated() {
        assert_eq!(quoted("4111 1111 1111 1111"), "\"…\"");
        assert_eq!(quoted("winter 2026"), "\"winter 2026\"");
    }
}
