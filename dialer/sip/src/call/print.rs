//! The requests of a call, printed.

use std::net::SocketAddr;

use super::{Call, Leg};
use crate::config::Invite;
use crate::core::{ALLOW, Core};
use crate::dialog::Way;
use crate::transaction::Mark;
use crate::wire::{Message, RequestBuilder};

impl Call {
    /// The headers every request has.
    fn begin(
        &self,
        core: &Core,
        method: &str,
        uri: &[u8],
        nonce: u64,
        to: &[u8],
        cseq: u32,
        routes: &[Vec<u8>],
    ) -> RequestBuilder {
        let branch = Mark { slot: self.id.slot, nonce }.branch();
        let via = format!("SIP/2.0/UDP {};branch={branch};rport", core.config.advertised);
        let mut request = RequestBuilder::new(method, uri).header("Via", via);
        for route in routes {
            request = request.header("Route", route);
        }
        request
            .header("Max-Forwards", "70")
            .header("From", &self.from)
            .header("To", to)
            .header("Call-ID", &self.call_id)
            .header("CSeq", format!("{cseq} {method}"))
    }

    fn authorized(&self, mut request: RequestBuilder) -> RequestBuilder {
        for (name, value) in &self.authorization {
            request = request.header(name, value);
        }
        request
    }

    pub(super) fn print_invite(&self, core: &Core, invite: &Invite) -> Vec<u8> {
        let uri = self.request_uri.as_bytes();
        let request =
            self.begin(core, "INVITE", uri, self.nonce, self.to.as_bytes(), self.cseq, &[]);
        let mut request = request
            .header("Contact", format!("<sip:{}>", core.config.advertised))
            .header("Allow", ALLOW);
        if !core.config.user_agent.is_empty() {
            request = request.header("User-Agent", &core.config.user_agent);
        }
        request = self.authorized(request);
        for (name, value) in &invite.extra_headers {
            request = request.header(name, value);
        }
        request.body("application/sdp", &invite.body)
    }

    /// ACK for a final response other than 2xx: part of the INVITE's transaction (17.1.1.3).
    pub(super) fn print_ack_in_transaction(&self, core: &Core, response: &Message<'_>) -> Vec<u8> {
        let to = response.header("To").unwrap_or(self.to.as_bytes());
        let uri = self.request_uri.as_bytes();
        self.authorized(self.begin(core, "ACK", uri, self.nonce, to, self.cseq, &[])).build()
    }

    /// CANCEL copies the INVITE it cancels, branch included (9.1).
    pub(super) fn print_cancel(&self, core: &Core, reason: &str) -> Vec<u8> {
        let uri = self.request_uri.as_bytes();
        let cancel =
            self.begin(core, "CANCEL", uri, self.nonce, self.to.as_bytes(), self.cseq, &[]);
        if reason.is_empty() { cancel.build() } else { cancel.header("Reason", reason).build() }
    }

    /// To with the far end's tag.
    fn tagged_to(&self, remote_tag: &[u8]) -> Vec<u8> {
        match remote_tag {
            [] => self.to.clone().into_bytes(),
            tag => [self.to.as_bytes(), b";tag=", tag].concat(),
        }
    }

    /// ACK for a 2xx: a transaction of its own in the dialog (13.2.2.4).
    pub(super) fn print_ack_in_dialog(
        &self,
        core: &Core,
        way: &Way,
        remote_tag: &[u8],
        nonce: u64,
    ) -> Vec<u8> {
        let to = self.tagged_to(remote_tag);
        let ack = self.begin(core, "ACK", &way.request_uri, nonce, &to, self.cseq, &way.routes);
        self.authorized(ack).build()
    }

    /// BYE in dialog `index` with the next CSeq number and, where the INVITE was challenged, an
    /// answer for this request. Also its next hop.
    pub(super) fn print_bye(
        &mut self,
        core: &mut Core,
        index: usize,
        nonce: u64,
    ) -> Option<(Vec<u8>, SocketAddr)> {
        let leg = self.legs.get_mut(index)?;
        leg.cseq += 1;
        let (cseq, next_hop, way) = (leg.cseq, leg.next_hop, leg.dialog.way());
        let to = leg.dialog.remote_tag().to_vec();
        let to = self.tagged_to(&to);
        let uri = crate::wire::text(&way.request_uri);
        let authorization = self.answer_challenges(core, "BYE", &uri);
        let mut bye = self.begin(core, "BYE", &way.request_uri, nonce, &to, cseq, &way.routes);
        for (name, value) in authorization {
            bye = bye.header(name, value);
        }
        Some((bye.build(), next_hop))
    }

    /// Authorization headers for one more request, nonce counts advanced.
    pub(super) fn answer_challenges(
        &mut self,
        core: &mut Core,
        method: &str,
        uri: &str,
    ) -> Vec<(&'static str, String)> {
        let Some(credentials) = &self.credentials else {
            return Vec::new();
        };
        let mut lines = Vec::with_capacity(self.answers.len());
        for answer in &mut self.answers {
            answer.count = answer.count.saturating_add(1);
            let cnonce = format!("{:016x}", core.random.next());
            let challenge = &answer.challenge;
            let value = challenge.answer(credentials, method, uri, answer.count, &cnonce);
            lines.push((challenge.header(), value));
        }
        lines
    }
}

impl Leg {
    pub(super) fn is_of(&self, remote_tag: &[u8]) -> bool {
        self.dialog.remote_tag() == remote_tag
    }
}
