#![expect(clippy::disallowed_methods, reason = "what the fence is about")]

use super::*;

#[test]
fn a_receipt_speaks_of_the_placement_it_was_asserted_for() {
    assert_eq!(Receipt::assertion(PlacementId(7)).placement(), PlacementId(7));
}
