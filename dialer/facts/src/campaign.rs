//! The terms of a campaign's calls, as its row says them.

use std::{collections::BTreeMap, time::Duration};

use dialer_judge::{CampaignTerms, RetryRules, abilities};
use dialer_types::{Disposition, Purpose, SellerNo, Technology};

use crate::{FactsError, code};

/// What the calls of a campaign are judged by. `seller_no`, `purpose` and `technology` are the
/// columns of those names.
///
/// # Errors
/// What is not understood: what is not understood is not called for.
pub fn campaign_terms(
    seller_no: i32,
    purpose: i16,
    technology: i16,
    announces: &[String],
    caller_id: &str,
    ring_timeout: Duration,
) -> Result<CampaignTerms, FactsError> {
    let seller_no =
        u32::try_from(seller_no).map_err(|_| FactsError::row("campaign", "seller.no"))?;
    Ok(CampaignTerms {
        seller_no: SellerNo(seller_no),
        no: None,
        purpose: code(purpose, Purpose::from_code, "campaign.purpose")?,
        technology: code(technology, Technology::from_code, "campaign.technology")?,
        abilities: abilities(announces, caller_id, ring_timeout),
    })
}

/// The retry rules of `campaign.retry`: disposition to delay in seconds.
///
/// # Errors
/// What is not understood.
pub fn retry_rules(json: &str) -> Result<RetryRules, String> {
    let delays: BTreeMap<String, u64> =
        serde_json::from_str(json).map_err(|error| error.to_string())?;
    let delays = delays
        .into_iter()
        .map(|(word, seconds)| {
            let disposition: Disposition = word.parse().map_err(|error| format!("{error}"))?;
            Ok((disposition, Duration::from_secs(seconds)))
        })
        .collect::<Result<Vec<_>, String>>()?;
    Ok(RetryRules::new(delays))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_rules_are_read_by_disposition_and_an_unknown_word_is_named() {
        assert!(retry_rules(r#"{"busy": 60, "no_answer": 3600}"#).is_ok());
        assert!(retry_rules(r#"{"bussy": 60}"#).unwrap_err().contains("bussy"));
        assert!(retry_rules("[]").is_err());
    }
}
