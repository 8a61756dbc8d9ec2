//! How many calls may start now.
