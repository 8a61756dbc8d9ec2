//! Signed checkpoints: C2SP `tlog-checkpoint` as a C2SP `signed-note` with Ed25519.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::tree::{Hash, Tree};

/// The signature type byte of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 1;
/// Signature lines looked at; more are refused.
const MAX_SIGNATURES: usize = 100;

/// What is wrong with a checkpoint or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// Not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Body(&'static str),
    /// None of the signatures is by the given key.
    #[error("the checkpoint carries no signature by the key {0}")]
    NotSigned(String),
    /// A signature by the given key does not fit the text.
    #[error("the signature by {0} does not fit the checkpoint's text: the text was changed")]
    BadSignature(String),
    /// Not a verifier key.
    #[error("not a verifier key ({0}); expected name+8 hexadecimal digits+base64")]
    Key(&'static str),
    /// Not a name for a key.
    #[error("a key's name is not empty and has neither blanks nor '+'")]
    Name,
}

/// The state of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: one line, not empty.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The tree's root at that size.
    pub root: Hash,
}

impl Checkpoint {
    /// The state of `tree`.
    #[must_use]
    pub fn of(origin: impl Into<String>, tree: &Tree) -> Self {
        Self { origin: origin.into(), size: tree.size(), root: tree.root() }
    }

    /// Reads a signed checkpoint and verifies the signature of `key`. Signatures by other keys
    /// (witnesses, say) are passed over; extension lines are signed and not interpreted.
    ///
    /// # Errors
    /// If the text is no signed checkpoint, or is not signed by `key`.
    pub fn open(signed: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let text = key.open(signed)?;
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(CheckpointError::Body("no origin in the first line"))?;
        let size = lines.next().and_then(decimal);
        let size = size.ok_or(CheckpointError::Body("no tree size in the second line"))?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok());
        let root = root.and_then(|bytes| bytes.try_into().ok());
        let root = root.ok_or(CheckpointError::Body("no root hash in the third line"))?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Body("an empty extension line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root: Hash(root) })
    }
}

/// A number without sign or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }
}

/// A key that signs checkpoints. `Debug` hides the secret.
#[derive(Clone)]
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Signer {
    /// The key of this secret seed (RFC 8032), under a name such as `audit.example.com`.
    ///
    /// # Errors
    /// If the name is empty or has blanks or a `+`.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, CheckpointError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey::new(self.name.clone(), self.key.verifying_key())
    }

    /// The signed checkpoint, as written to the file `checkpoint`.
    ///
    /// # Errors
    /// If the origin is empty or not one line of printable text.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<String, CheckpointError> {
        if checkpoint.origin.is_empty() || checkpoint.origin.contains(char::is_control) {
            return Err(CheckpointError::Body("an origin is one line, and not empty"));
        }
        let text = checkpoint.to_string();
        let mut signature = self.verifier().id.to_vec();
        signature.extend(self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(signature)))
    }
}

fn check_name(name: &str) -> Result<(), CheckpointError> {
    let good = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+');
    if good { Ok(()) } else { Err(CheckpointError::Name) }
}

/// A public key with its name. Text form: `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(name: String, key: VerifyingKey) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        Self { name, id: [a, b, c, d], key }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a signed note, once the signature of this key fits it.
    fn open<'a>(&self, signed: &'a str) -> Result<&'a str, CheckpointError> {
        use CheckpointError::Note;
        if signed.chars().any(|c| c.is_control() && c != '\n') {
            return Err(Note("control characters"));
        }
        // The text ends at the last empty line; it keeps its own final newline.
        let (text, signatures) = signed.rsplit_once("\n\n").ok_or(Note("no signature block"))?;
        let text = signed.get(..=text.len()).ok_or(Note("no text"))?;
        let signatures = signatures.strip_suffix('\n').ok_or(Note("no newline at the end"))?;
        if signatures.split('\n').count() > MAX_SIGNATURES {
            return Err(Note("too many signatures"));
        }
        let mut signed_by_key = false;
        for line in signatures.split('\n') {
            let line =
                line.strip_prefix("\u{2014} ").ok_or(Note("a signature line without dash"))?;
            let (name, signature) = line.split_once(' ').ok_or(Note("a signature without name"))?;
            check_name(name)?;
            let signature =
                STANDARD.decode(signature).map_err(|_| Note("a signature not in base64"))?;
            let (id, signature) =
                signature.split_at_checked(4).ok_or(Note("a signature too short"))?;
            if name != self.name || id != self.id {
                continue;
            }
            let bad = || CheckpointError::BadSignature(self.name.clone());
            let signature = Signature::from_slice(signature).map_err(|_| bad())?;
            self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| bad())?;
            signed_by_key = true;
        }
        if signed_by_key { Ok(text) } else { Err(CheckpointError::NotSigned(self.to_string())) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.as_bytes());
        let id = u32::from_be_bytes(self.id);
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        use CheckpointError::Key;
        let mut parts = text.trim().splitn(3, '+');
        let name = parts.next().unwrap_or_default();
        let id = parts.next().ok_or(Key("no hash"))?;
        let key = parts.next().ok_or(Key("no key"))?;
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| Key("the key is not base64"))?;
        let Some((&ED25519, key)) = key.split_first() else {
            return Err(Key("not an Ed25519 key"));
        };
        let key: &[u8; 32] = key.try_into().map_err(|_| Key("not 32 bytes of key"))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| Key("not a point of the curve"))?;
        let key = Self::new(name.to_owned(), key);
        // Written and compared: the one right spelling of the hash, lower case, eight digits.
        if key.to_string().split('+').nth(1) != Some(id) {
            return Err(Key("its hash does not fit name and key"));
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests;
