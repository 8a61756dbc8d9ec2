//! The HTTP API of campaign managers and compliance teams.
