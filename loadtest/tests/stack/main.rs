//! Tests on a whole private stack: API, dialer, PostgreSQL and Redis as processes, a carrier or
//! SIPp on real UDP.

mod common;
mod sipp;
mod trouble;
