//! Requests of the far end in a dialog of the call.

use std::net::SocketAddr;
use std::time::Instant;

use super::Call;
use crate::core::{ALLOW, Core};
use crate::disposition::Reason;
use crate::event::By;
use crate::wire::{Base, Message};

impl Call {
    /// Answers a request that names our tag and Call-ID. Answers are made without keeping state:
    /// a retransmitted request gets the same one again.
    pub(crate) fn request(
        &mut self,
        core: &mut Core,
        source: SocketAddr,
        request: &Message<'_>,
        base: &Base<'_>,
        now: Instant,
    ) {
        let method = base.cseq.method;
        if method == b"ACK" {
            return;
        }
        let tag = base.from.tag().unwrap_or_default();
        let Some(index) = self.legs.iter().position(|leg| leg.is_of(tag)) else {
            // Overtook the 2xx that makes its dialog: silence makes the far end send it again, by
            // when the 2xx is here. Other requests of an early dialog need no state to be answered.
            let open = self.invite.is_open();
            if !(open && matches!(method, b"BYE" | b"INVITE")) {
                let (status, headers) =
                    if open { self.verdict(method, request) } else { (481, [].as_slice()) };
                core.answer(Some(self.id), source, request, status, headers);
            }
            return;
        };
        let in_order =
            self.legs.get_mut(index).is_some_and(|leg| leg.dialog.accept_cseq(base.cseq.number));
        if !in_order {
            return core.answer(Some(self.id), source, request, 500, &[]);
        }
        if method == b"BYE" {
            core.answer(Some(self.id), source, request, 200, &[]);
            self.far_end_hung_up(core, index, request, now);
            return;
        }
        let (status, headers) = self.verdict(method, request);
        core.answer(Some(self.id), source, request, status, headers);
    }

    fn far_end_hung_up(
        &mut self,
        core: &mut Core,
        index: usize,
        request: &Message<'_>,
        now: Instant,
    ) {
        if index > 0 || self.ended {
            return;
        }
        self.last.reasons = Reason::of(request);
        // Timer J: a retransmitted BYE is answered 200 again, not 481.
        self.linger_until = Some(now + core.timers().give_up());
        self.end_answered(core, By::Remote, None, now);
    }

    /// Status and further headers for a request other than ACK and BYE.
    fn verdict(
        &self,
        method: &[u8],
        request: &Message<'_>,
    ) -> (u16, &'static [(&'static str, &'static str)]) {
        match method {
            // Answered already, whatever it would cancel.
            b"CANCEL" => (200, &[]),
            _ if self.ended => (481, &[]),
            // The media stays as agreed: hold, codec changes and T.38 are refused.
            b"INVITE" => (488, &[]),
            b"OPTIONS" => (200, &[("Allow", ALLOW), ("Accept", "application/sdp")]),
            // RFC 6086 section 4.2.2: no package is understood.
            b"INFO" if request.header("Info-Package").is_some() => (469, &[("Recv-Info", "")]),
            b"INFO" if request.body().is_empty() => (200, &[]),
            b"INFO" => (415, &[("Accept", "")]),
            b"REFER" => (603, &[]),
            b"UPDATE" | b"PRACK" | b"NOTIFY" | b"SUBSCRIBE" | b"MESSAGE" | b"REGISTER"
            | b"PUBLISH" => (405, &[("Allow", ALLOW)]),
            _ => (501, &[("Allow", ALLOW)]),
        }
    }
}
