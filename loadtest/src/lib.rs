//! The rig: private stack, carrier, demo, checker and benches.

pub mod carrier;
pub mod chaos;
pub mod checker;
pub mod demo;
pub mod gate;
pub mod lists;
pub mod made;
pub mod opt_outs;
pub mod report;
pub mod spread;
pub mod stack;
pub mod tryout;
pub mod view;
pub mod wirelog;
