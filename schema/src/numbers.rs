//! How telephone numbers are kept: encrypted in one table, matched by a keyed hash.

use std::fmt;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Nonce},
};
use dialer_types::E164;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of the nonce before the ciphertext.
const NONCE: usize = 12;

/// Why stored bytes are not a number (or a secret) of this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Too short, or altered, or encrypted under another key.
    #[error("stored bytes do not decrypt under the key numbers_cipher")]
    Decrypt,
    /// Decrypted to something else.
    #[error("a stored number decrypts to something that is not a number")]
    NotNumber,
    /// The cipher refused to encrypt.
    #[error("encryption failed")]
    Encrypt,
}

/// The two keys that protect telephone numbers. Neither is in the database.
#[derive(Clone)]
pub struct NumberKeys {
    /// AES-256-GCM key of `number.cipher` and `trunk.password`.
    pub cipher: [u8; 32],
    /// HMAC-SHA256 key of `number.keyed_hash`.
    pub lookup: [u8; 32],
}

impl fmt::Debug for NumberKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberKeys(redacted)")
    }
}

impl NumberKeys {
    /// What a number is found by: HMAC-SHA256 over its E.164 text.
    #[must_use]
    pub fn lookup_hash(&self, number: &E164) -> [u8; 32] {
        // A 32-byte key is valid for HMAC-SHA256; an empty MAC would match no row.
        Hmac::<Sha256>::new_from_slice(&self.lookup).map_or([0; 32], |mut mac| {
            mac.update(number.expose().as_bytes());
            mac.finalize().into_bytes().into()
        })
    }

    /// `nonce || ciphertext || tag` of a number. A nonce is used once per key: give 12 random bytes.
    ///
    /// # Errors
    /// Only if the cipher fails.
    pub fn encrypt(&self, number: &E164, nonce: [u8; 12]) -> Result<Vec<u8>, NumberError> {
        self.encrypt_secret(number.expose().as_bytes(), nonce)
    }

    /// The number of bytes that [`Self::encrypt`] made.
    ///
    /// # Errors
    /// If they were altered or made under another key.
    pub fn decrypt(&self, stored: &[u8]) -> Result<E164, NumberError> {
        let text = self.decrypt_secret(stored)?;
        let text = std::str::from_utf8(&text).map_err(|_| NumberError::NotNumber)?;
        text.parse().map_err(|_| NumberError::NotNumber)
    }

    /// As [`Self::encrypt`], of other bytes (a trunk's password).
    ///
    /// # Errors
    /// Only if the cipher fails.
    pub fn encrypt_secret(&self, plain: &[u8], nonce: [u8; 12]) -> Result<Vec<u8>, NumberError> {
        let sealed = self
            .cipher()
            .encrypt(&Nonce::<Aes256Gcm>::from(nonce), plain)
            .map_err(|_| NumberError::Encrypt)?;
        Ok([&nonce, sealed.as_slice()].concat())
    }

    /// The bytes that [`Self::encrypt_secret`] sealed.
    ///
    /// # Errors
    /// If they were altered or made under another key.
    pub fn decrypt_secret(&self, stored: &[u8]) -> Result<Vec<u8>, NumberError> {
        let (nonce, sealed) = stored.split_first_chunk::<NONCE>().ok_or(NumberError::Decrypt)?;
        self.cipher()
            .decrypt(&Nonce::<Aes256Gcm>::from(*nonce), sealed)
            .map_err(|_| NumberError::Decrypt)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.cipher.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> NumberKeys {
        NumberKeys { cipher: [1; 32], lookup: [2; 32] }
    }

    #[test]
    fn a_number_comes_back_under_its_key_and_under_no_other() {
        let number: E164 = "+13055550123".parse().unwrap();
        let sealed = keys().encrypt(&number, [9; 12]).unwrap();
        assert_eq!(keys().decrypt(&sealed), Ok(number));
        let other = NumberKeys { cipher: [3; 32], ..keys() };
        assert_eq!(other.decrypt(&sealed), Err(NumberError::Decrypt));
        for cut in 0..sealed.len() {
            assert_eq!(keys().decrypt(&sealed[..cut]), Err(NumberError::Decrypt));
        }
    }

    #[test]
    fn the_same_number_has_the_same_hash_and_the_key_changes_it() {
        let number: E164 = "+13055550123".parse().unwrap();
        assert_eq!(keys().lookup_hash(&number), keys().lookup_hash(&number));
        let other = NumberKeys { lookup: [3; 32], ..keys() };
        assert_ne!(keys().lookup_hash(&number), other.lookup_hash(&number));
        assert_ne!(keys().lookup_hash(&number), [0; 32]);
    }

    #[test]
    fn printing_the_keys_shows_nothing() {
        assert_eq!(format!("{:?}", keys()), "NumberKeys(redacted)");
    }
}
