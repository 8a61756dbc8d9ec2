//! Inclusion proofs out of a log of any length, in little memory.
//!
//! The log is cut into tiles of [`TILE`] leaves. A first pass over the leaf hashes keeps the root
//! of each tile (32 bytes for 1024 leaves: three megabytes for a hundred million); a proof then
//! needs the hashes of one tile. RFC 6962 splits a tree at powers of two, so no split of the whole
//! cuts a tile: the path of a leaf is its path in its tile, then the tile's among the tiles.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::tree::{Hash, Tree, node_hash};

/// Leaves of a tile: a power of two.
pub const TILE: u64 = 1024;
/// Hashes of the longest path: a log has less than 2^63 leaves.
const MAX_PATH: usize = 63;

/// The perfect subtrees of a list of hashes, level by level: the hashes, their pairs, and so on.
#[derive(Debug, Clone)]
struct Levels(Vec<Vec<Hash>>);

impl Levels {
    fn of(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        loop {
            let next: Vec<Hash> = match levels.last() {
                Some(below) if below.len() > 1 => {
                    below.as_chunks().0.iter().map(|[left, right]| node_hash(left, right)).collect()
                }
                _ => return Self(levels),
            };
            levels.push(next);
        }
    }

    /// The root of the hashes from `from` to `to`, a range that RFC 6962 splits into.
    fn root(&self, from: usize, to: usize) -> Option<Hash> {
        let length = to.checked_sub(from).filter(|length| *length > 0)?;
        if length.is_power_of_two() && from.is_multiple_of(length) {
            let level = self.0.get(usize::try_from(length.trailing_zeros()).ok()?)?;
            return level.get(from / length).copied();
        }
        let at = from + split(length);
        Some(node_hash(&self.root(from, at)?, &self.root(at, to)?))
    }

    /// The path of the hash at `index` in the tree of all, nearest sibling first.
    fn path(&self, index: usize) -> Option<Vec<Hash>> {
        let (mut from, mut to) = (0, self.0.first()?.len());
        if index >= to {
            return None;
        }
        let mut path = Vec::new();
        while to - from > 1 {
            let at = from + split(to - from);
            if index < at {
                path.push(self.root(at, to)?);
                to = at;
            } else {
                path.push(self.root(from, at)?);
                from = at;
            }
        }
        path.reverse();
        Some(path)
    }
}

/// The largest power of two smaller than `length` (which is at least 2).
const fn split(length: usize) -> usize {
    1 << (length - 1).ilog2()
}

/// Takes the leaf hashes of a log in their order and keeps what proofs need.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    whole: Tree,
    tile: Tree,
    tiles: Vec<Hash>,
}

impl Survey {
    /// The next leaf hash.
    pub fn append(&mut self, leaf: Hash) {
        self.whole.append(leaf);
        self.tile.append(leaf);
        if self.tile.size() == TILE {
            self.tiles.push(self.tile.root());
            self.tile = Tree::new();
        }
    }

    /// The tree of all leaves so far, to be compared with the signed checkpoint.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.whole
    }

    /// What makes the proofs.
    #[must_use]
    pub fn into_prover(mut self) -> Prover {
        if self.tile.size() > 0 {
            self.tiles.push(self.tile.root());
        }
        Prover { size: self.whole.size(), tiles: Levels::of(self.tiles), held: None }
    }
}

/// Makes inclusion proofs from the tile it holds.
#[derive(Debug, Clone)]
pub struct Prover {
    size: u64,
    tiles: Levels,
    held: Option<(u64, Levels)>,
}

impl Prover {
    /// The leaves whose hashes a proof for `index` needs: from and to, the latter not included.
    #[must_use]
    pub const fn tile(&self, index: u64) -> (u64, u64) {
        let from = index / TILE * TILE;
        let to = from.saturating_add(TILE);
        (from, if to < self.size { to } else { self.size })
    }

    /// Whether a proof for `index` can be made from what is held.
    #[must_use]
    pub fn holds(&self, index: u64) -> bool {
        self.held.as_ref().is_some_and(|(tile, _)| *tile == index / TILE)
    }

    /// Holds the tile of `index`, with the hashes of [`Prover::tile`]. `false` if they are not the
    /// hashes that were surveyed.
    #[must_use]
    pub fn hold(&mut self, index: u64, hashes: Vec<Hash>) -> bool {
        let tile = index / TILE;
        let levels = Levels::of(hashes);
        let length = levels.0.first().map_or(0, Vec::len);
        let surveyed = usize::try_from(tile).ok();
        let surveyed = surveyed.and_then(|tile| self.tiles.0.first()?.get(tile));
        let same = surveyed.is_some() && levels.root(0, length).as_ref() == surveyed;
        self.held = same.then_some((tile, levels));
        same
    }

    /// The path of the leaf at `index`; `None` if its tile is not held.
    #[must_use]
    pub fn prove(&self, index: u64) -> Option<Vec<Hash>> {
        let (tile, levels) = self.held.as_ref().filter(|(tile, _)| *tile == index / TILE)?;
        let mut path = levels.path(usize::try_from(index % TILE).ok()?)?;
        path.extend(self.tiles.path(usize::try_from(*tile).ok()?)?);
        Some(path)
    }
}

/// A path as exports write it: its hashes one after another, base64.
#[must_use]
pub fn write(path: &[Hash]) -> String {
    let bytes: Vec<u8> = path.iter().flat_map(|hash| hash.0).collect();
    STANDARD.encode(bytes)
}

/// The path that [`write`] wrote.
#[must_use]
pub fn read(text: &str) -> Option<Vec<Hash>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() <= MAX_PATH)
        .then(|| hashes.iter().map(|hash| Hash(*hash)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{inclusion_proof, leaf_hash, verify_inclusion};

    fn hashes(count: u64) -> Vec<Hash> {
        (0..count).map(|no| leaf_hash(&no.to_be_bytes())).collect()
    }

    #[test]
    fn proofs_by_tiles_are_those_of_the_definition() {
        for count in [1, 2, 3, 1023, 1024, 1025, 2048, 3000, 4097] {
            let leaves = hashes(count);
            let mut survey = Survey::default();
            leaves.iter().for_each(|leaf| survey.append(*leaf));
            let root = survey.tree().root();
            let mut prover = survey.into_prover();
            for index in (0..count).step_by(97).chain([count - 1]) {
                let (from, to) = prover.tile(index);
                let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
                assert!(prover.holds(index) || prover.hold(index, leaves[from..to].to_vec()));
                let at = usize::try_from(index).unwrap();
                let path = prover.prove(index).unwrap();
                assert_eq!(
                    Some(&path),
                    inclusion_proof(&leaves, at).as_ref(),
                    "{index} of {count}"
                );
                assert!(verify_inclusion(&leaves[at], index, count, &path, &root));
                assert_eq!(read(&write(&path)), Some(path));
            }
        }
    }

    #[test]
    fn a_tile_that_was_changed_since_the_survey_is_not_held() {
        let mut leaves = hashes(1500);
        let mut survey = Survey::default();
        leaves.iter().for_each(|leaf| survey.append(*leaf));
        let mut prover = survey.into_prover();
        leaves[1200] = leaves[1201];
        assert!(!prover.hold(1300, leaves[1024..].to_vec()));
        assert_eq!(prover.prove(1300), None);
        assert!(!prover.hold(9999, vec![]));
        assert!(prover.hold(5, leaves[..1024].to_vec()));
        assert_eq!(prover.prove(1300), None, "of another tile");
    }

    #[test]
    fn what_is_no_path_is_not_read() {
        assert_eq!(read(""), Some(vec![]));
        for text in ["?", "AAAA", &STANDARD.encode([0; 64 * 32])] {
            assert_eq!(read(text), None);
        }
    }
}
