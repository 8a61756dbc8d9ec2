//! Rules that no waiting mends: consents, revocations, parties, obligations.

use dialer_types::{PartyRole, Purpose, Technology};

use super::{judge::Subject, table::FR_CALLER_RANGES};

impl Subject<'_> {
    /// Consent rules that are not met, and revocations.
    pub(super) fn consents_missing(&self, at: i64) -> Vec<&'static str> {
        let (purpose, technology) = (self.campaign.purpose, self.campaign.technology);
        let (robocall, consumer) = (self.robocall(), self.consumer());
        let selling = purpose == Purpose::Telemarketing;
        let informing = purpose == Purpose::Informational;
        let prerecorded = technology == Technology::Prerecorded;
        let automated =
            robocall || matches!(technology, Technology::Predictive | Technology::Progressive);
        let (wireless, residential) = (self.wireless(), self.landline() && consumer);
        let express = self.consent(at, |form| form.starts_with("prior_express"));
        let written = self.consent(at, |form| form == "prior_express_written");
        let any = self.consent(at, |_| true);
        let named = self
            .consents
            .iter()
            .any(|consent| self.covers(consent, at) && consent.technology == Some(technology));
        let us = self.places.has("US") && robocall;
        let us_selling = self.places.has("US") && selling;
        let selling_in = |place| selling && self.places.has(place);
        // Applies, is met, rule.
        let needs = [
            (us && wireless, express, "us.fcc.consent.wireless_any"),
            (
                us && selling && (wireless || residential),
                written,
                "us.fcc.consent.telemarketing_written",
            ),
            (
                us && informing && residential,
                express,
                "us.fcc.consent.residential_prerecorded_info",
            ),
            (us_selling && prerecorded && consumer, written, "us.tsr.prerecorded"),
            (selling_in("US-FL") && automated && consumer, written, "us.fl.consent"),
            (selling_in("GB") && robocall, named, "uk.pecr.automated"),
            (selling_in("EU") && robocall, any, "eu.eprivacy.13"),
            (selling_in("CA") && robocall, any, "ca.adad.consent"),
            (selling_in("FR") && consumer, any, "fr.optin"),
            (us, !self.revoked(at), "us.fcc.revocation"),
        ];
        needs
            .into_iter()
            .filter(|(applies, met, _)| *applies && !met)
            .map(|(_, _, rule)| rule)
            .collect()
    }

    /// A consent of this purpose was revoked, and none given since.
    fn revoked(&self, at: i64) -> bool {
        let same = || self.consents.iter().filter(|c| c.purpose == self.campaign.purpose);
        let last = same().filter_map(|c| c.revoked_at).filter(|revoked| *revoked <= at).max();
        last.is_some_and(|last| !same().any(|c| c.at > last && c.at <= at))
    }

    /// Wrong parties, and obligations that this build or the campaign cannot carry out.
    pub(super) fn other_faults(&self) -> Vec<&'static str> {
        let mut rules = Vec::new();
        let (campaign, role) = (self.campaign, self.contact.role);
        let debt = campaign.purpose == Purpose::DebtCollection;
        let selling = campaign.purpose == Purpose::Telemarketing;
        let live_dialer =
            matches!(campaign.technology, Technology::Predictive | Technology::Progressive);
        let mut deny = |applies: bool, rule| {
            if applies {
                rules.push(rule);
            }
        };
        deny(
            debt && self.places.has("US")
                && matches!(role, PartyRole::Guarantor | PartyRole::ThirdParty),
            "us.regf.third_party",
        );
        deny(
            debt && self.places.has("CN")
                && !matches!(role, PartyRole::Principal | PartyRole::Guarantor),
            "cn.debt.contacts",
        );
        // Obligations: a key to opt out and abandonment control are beyond this stage.
        let us_selling = self.places.has("US") && selling;
        deny(us_selling && self.robocall(), "us.fcc.prerecorded_identification");
        deny(us_selling && live_dialer, "us.fcc.abandon_message");
        deny(us_selling && campaign.ring_timeout_ms < 15_000, "us.fcc.ring_min");
        deny(self.places.has("GB") && live_dialer, "uk.ofcom.misuse");
        deny(
            self.places.has("CA") && selling && campaign.technology == Technology::Predictive,
            "ca.abandon",
        );
        deny(
            self.places.has("EU")
                && campaign.technology == Technology::AiVoice
                && !campaign.announces.iter().any(|word| word == "ai_disclosure"),
            "eu.aiact.50",
        );
        let range = FR_CALLER_RANGES.iter().any(|range| campaign.caller_id.starts_with(range));
        deny(self.places.has("FR") && selling && !range, "fr.callerid");
        rules
    }
}
