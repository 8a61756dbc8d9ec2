//! What lifts a rule: a valid consent, or a relationship that is recent enough.

use chrono::{Months, NaiveDate};

use crate::{
    Consent, ConsentForm, RelationshipKind,
    ask::{Ask, Notes},
    reader::Reader,
};

/// The form a consent must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any of the three.
    Any,
    /// Prior express, or written.
    Express,
    /// Written only.
    Written,
}

impl Form {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "any" => Self::Any,
            "prior_express" => Self::Express,
            "prior_express_written" => Self::Written,
            _ => return None,
        })
    }

    /// Whether every consent of this form is of the other, too.
    pub(crate) const fn is_within(self, other: Self) -> bool {
        matches!(
            (self, other),
            (_, Self::Any)
                | (Self::Express | Self::Written, Self::Express)
                | (Self::Written, Self::Written)
        )
    }

    const fn satisfied_by(self, form: ConsentForm) -> bool {
        match self {
            Self::Any => true,
            Self::Express => !matches!(form, ConsentForm::OptIn),
            Self::Written => matches!(form, ConsentForm::PriorExpressWritten),
        }
    }
}

/// Whether a consent covers the call now (`VECTORS.md` section 7).
pub(crate) fn is_valid(consent: &Consent, form: Form, ask: &Ask<'_>) -> bool {
    let call = &ask.facts.call;
    consent.same_seller
        && consent.purpose == call.purpose
        && consent.technology.is_none_or(|technology| technology == call.technology)
        && form.satisfied_by(consent.form)
        && consent.given_at.0 <= ask.now
        && consent.revoked_at.is_none_or(|revoked| revoked.0 > ask.now)
}

/// The first of some consents, and when it ends.
pub(crate) fn note_end(consent: &Consent, notes: &mut Notes) {
    if let Some(revoked) = consent.revoked_at {
        notes.changes_at(revoked.0);
    }
}

/// What lifts a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unless {
    consent: Option<Form>,
    customer_months: Option<u32>,
    inquiry_months: Option<u32>,
}

impl Unless {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Self {
        Self {
            consent: from.word("unless_consent", Form::from_word),
            customer_months: from.number("unless_customer_months", 1..1201),
            inquiry_months: from.number("unless_inquiry_months", 1..1201),
        }
    }

    /// `no_exemptions = true`: nothing lifts the rule any more.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>) {
        if from.flag("no_exemptions") {
            *self = Self::default();
        }
    }

    fn consent<'a>(&self, ask: &'a Ask<'_>) -> Option<&'a Consent> {
        let form = self.consent?;
        ask.facts.consents.iter().find(|consent| is_valid(consent, form, ask))
    }

    fn relationship(&self, ask: &Ask<'_>) -> bool {
        let Some(relationship) = ask.facts.call.relationship else {
            return false;
        };
        let months = match relationship.kind {
            RelationshipKind::ExistingCustomer => self.customer_months,
            RelationshipKind::Inquiry => self.inquiry_months,
        };
        let until = |months| relationship.since.checked_add_months(Months::new(months));
        months.and_then(until).is_some_and(|until: NaiveDate| until >= ask.today)
    }

    /// Whether the rule is lifted.
    pub(crate) fn holds(&self, ask: &Ask<'_>) -> bool {
        self.consent(ask).is_some() || self.relationship(ask)
    }

    /// Whether the rule is lifted, noting for how long.
    pub(crate) fn lifts(&self, ask: &Ask<'_>, notes: &mut Notes) -> bool {
        if self.relationship(ask) {
            notes.changes_at(ask.tomorrow());
            return true;
        }
        let consent = self.consent(ask);
        if let Some(consent) = consent {
            note_end(consent, notes);
        }
        consent.is_some()
    }
}
