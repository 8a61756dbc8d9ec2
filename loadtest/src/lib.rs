//! The rig: private stack, carrier, demo, checker and benches.

pub mod carrier;
pub mod checker;
pub mod made;
pub mod wirelog;
