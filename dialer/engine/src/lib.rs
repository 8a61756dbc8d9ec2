//! The attempt as states that own their proofs, and the clearance.
