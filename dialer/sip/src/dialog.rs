//! What a dialog needs to send requests: tags, route set, remote target (RFC 3261 section 12).

use std::net::SocketAddr;

use crate::wire::{Message, NameAddr, Uri};

/// Most Record-Route entries kept. A path through more proxies than Max-Forwards (70) allows
/// cannot be.
const MAX_ROUTES: usize = 70;

/// A confirmed dialog, made from a 2xx.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    /// Tag of To; empty for a far end of RFC 2543 (section 12.1.2).
    remote_tag: Vec<u8>,
    /// URI of Contact.
    remote_target: Vec<u8>,
    /// Record-Route values of the 2xx, reversed.
    routes: Vec<Vec<u8>>,
    /// CSeq number of the last request of the far end.
    remote_cseq: Option<u32>,
}

/// Where a request in a dialog goes and how (section 12.2.1.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Request-URI.
    pub(crate) request_uri: Vec<u8>,
    /// Route header values.
    pub(crate) routes: Vec<Vec<u8>>,
    /// Next hop, where its host is an address. Names are not resolved here: they go to the trunk.
    pub(crate) next_hop: Option<SocketAddr>,
}

impl Dialog {
    /// From the 2xx to an INVITE sent to `request_uri`, which stands in for a
    /// missing or damaged Contact.
    pub(crate) fn new(answer: &Message<'_>, request_uri: &[u8]) -> Self {
        let routes = answer.values("Record-Route").take(MAX_ROUTES);
        let routes = routes.filter(|route| NameAddr::parse(route).is_ok_and(|it| fits(it.uri)));
        let mut routes: Vec<Vec<u8>> = routes.map(unfolded).collect();
        routes.reverse();
        let target = answer.contact_uri().filter(|uri| fits(uri));
        Self {
            remote_tag: answer.to_tag().unwrap_or_default().to_vec(),
            remote_target: target.unwrap_or(request_uri).to_vec(),
            routes,
            remote_cseq: None,
        }
    }

    pub(crate) fn remote_tag(&self) -> &[u8] {
        &self.remote_tag
    }

    /// A request of the far end with this CSeq number: whether it is in order (section 12.2.2).
    pub(crate) fn accept_cseq(&mut self, number: u32) -> bool {
        let in_order = self.remote_cseq.is_none_or(|last| number >= last);
        if in_order {
            self.remote_cseq = Some(number);
        }
        in_order
    }

    /// Request-URI, Route and next hop of a request, for loose and strict routers.
    pub(crate) fn way(&self) -> Way {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route).ok());
        let Some(first) = first else {
            return Way {
                request_uri: self.remote_target.clone(),
                routes: Vec::new(),
                next_hop: address(&self.remote_target),
            };
        };
        let next_hop = address(first.uri);
        let loose = Uri::parse(first.uri).is_none_or(|uri| uri.params.get("lr").is_some());
        if loose {
            return Way {
                request_uri: self.remote_target.clone(),
                routes: self.routes.clone(),
                next_hop,
            };
        }
        let mut routes: Vec<Vec<u8>> = self.routes.iter().skip(1).cloned().collect();
        routes.push([b"<", self.remote_target.as_slice(), b">"].concat());
        // Headers are not allowed in a Request-URI (section 19.1.1).
        let end = first.uri.iter().position(|&b| b == b'?').unwrap_or(first.uri.len());
        Way { request_uri: first.uri.get(..end).unwrap_or(first.uri).to_vec(), routes, next_hop }
    }
}

fn address(uri: &[u8]) -> Option<SocketAddr> {
    Uri::parse(uri)?.address()
}

/// Whether a URI can be printed in a request line: what is damaged is not sent on.
fn fits(uri: &[u8]) -> bool {
    uri.contains(&b':') && uri.iter().all(|b| *b > b' ' && !b"<>\"\x7f".contains(b))
}

/// Without the line breaks of folding.
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }).collect()
}
