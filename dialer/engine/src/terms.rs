//! What the engine is told about trunks.

use std::net::SocketAddr;

use dialer_sip::Credentials;
use dialer_types::TrunkId;

/// A SIP trunk.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Its id.
    pub id: TrunkId,
    /// Where its INVITEs go.
    pub address: SocketAddr,
    /// Answers its challenges.
    pub credentials: Option<Credentials>,
    /// Calls alive at once, at most.
    pub max_concurrent: u32,
    /// INVITEs that may be sent into it without a sign of a called party: this node's part of
    /// [`crate::BUDGET`], at least 1.
    pub budget: u32,
}
