//! The dialing process.
