use proptest::prelude::*;

use super::*;

/// The eight inputs used by the Certificate Transparency implementations.
const INPUTS: [&[u8]; 8] = [
    b"",
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[
        0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e,
        0x6f,
    ],
];

/// Their roots at sizes 1 to 8.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_of_the_published_inputs_are_the_published_ones() {
    let mut tree = Tree::new();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(tree.root().to_string(), empty);
    for (input, root) in INPUTS.iter().zip(ROOTS) {
        tree.append(leaf_hash(input));
        assert_eq!(tree.root().to_string(), root);
        assert_eq!(Hash::from_hex(root), Some(tree.root()));
    }
}

#[test]
fn texts_that_are_not_64_hexadecimal_digits_are_no_hash() {
    let root = ROOTS[0];
    for bad in [
        "",
        root.trim_start_matches('6'),
        &format!("{root}0"),
        &root.replace('6', "g"),
        &root.replacen('6', "+", 1),
    ] {
        assert_eq!(Hash::from_hex(bad), None, "{bad}");
    }
}

#[test]
fn a_tree_grows_on_from_its_peaks_and_not_from_too_many_or_few() {
    let leaves = leaves(13);
    for size in 0..=13 {
        let mut whole = Tree::new();
        leaves[..size].iter().for_each(|leaf| whole.append(*leaf));
        let mut restored = Tree::restore(whole.size(), whole.peaks().to_vec()).unwrap();
        leaves[size..].iter().for_each(|leaf| restored.append(*leaf));
        assert_eq!(restored.root(), root(&leaves));
        assert_eq!(Tree::restore(whole.size() + 1, whole.peaks().to_vec()).is_some(), {
            whole.size().count_ones() == (whole.size() + 1).count_ones()
        });
    }
}

fn leaves(count: u8) -> Vec<Hash> {
    (0..count).map(|no| leaf_hash(&[no])).collect()
}

/// MTH as RFC 6962 section 2.1 writes it.
fn reference_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(&[]),
        [leaf] => *leaf,
        _ => {
            let mut half = 1;
            while half * 2 < leaves.len() {
                half *= 2;
            }
            node_hash(&reference_root(&leaves[..half]), &reference_root(&leaves[half..]))
        }
    }
}

#[test]
fn every_proof_of_every_small_tree_holds_and_for_nothing_else() {
    for size in 1..=20_u8 {
        let leaves = leaves(size);
        let root = root(&leaves);
        assert_eq!(root, reference_root(&leaves));
        let wide = u64::from(size);
        for index in 0..size {
            let path = inclusion_proof(&leaves, usize::from(index)).unwrap();
            let leaf = &leaves[usize::from(index)];
            for other in 0..=size {
                let holds = verify_inclusion(leaf, u64::from(other), wide, &path, &root);
                assert_eq!(holds, other == index, "{index} as {other} of {size}");
            }
            assert!(!verify_inclusion(&root, u64::from(index), wide, &path, leaf) || size == 1);
            assert!(!verify_inclusion(
                leaf,
                u64::from(index),
                wide,
                &[&path[..], &[root]].concat(),
                &root
            ));
        }
        assert_eq!(inclusion_proof(&leaves, usize::from(size)), None);
        for old in 1..=size {
            let path = consistency_proof(&leaves, usize::from(old)).unwrap();
            let old_root = reference_root(&leaves[..usize::from(old)]);
            assert!(
                verify_consistency(u64::from(old), &old_root, wide, &root, &path),
                "{old} {size}"
            );
            let other = leaf_hash(b"other");
            assert!(!verify_consistency(u64::from(old), &other, wide, &root, &path));
            assert!(!verify_consistency(u64::from(old), &old_root, wide, &other, &path));
            let longer = [&path[..], &[other]].concat();
            assert!(!verify_consistency(u64::from(old), &old_root, wide, &root, &longer));
        }
        assert_eq!(consistency_proof(&leaves, 0), None);
        assert_eq!(consistency_proof(&leaves, usize::from(size) + 1), None);
    }
}

proptest! {
    #[test]
    fn arbitrary_proofs_neither_panic_nor_hold(
        index: u64, size: u64, path in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..70),
    ) {
        let (leaf, root) = (leaf_hash(b"a"), leaf_hash(b"b"));
        prop_assert!(!verify_inclusion(&leaf, index, size, &path, &root));
        prop_assert!(!verify_consistency(index, &leaf, size, &root, &path));
    }
}
