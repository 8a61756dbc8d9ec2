//! The rig: private stack, carrier, demo, checker and benches.
