//! The terms of a campaign's calls, as its row says them.

use std::time::Duration;

use dialer_judge::{CampaignTerms, abilities};
use dialer_types::{Purpose, SellerNo, Technology};

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
