//! Subject heads: packed history, tokens and compare-and-set.
