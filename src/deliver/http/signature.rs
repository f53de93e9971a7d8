//! Signatures: ours on requests, theirs on answers and callbacks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use ring::{digest, hmac};

use super::secret::Secret;
use crate::base::Msg;
use crate::msg;

/// HMAC-SHA256 in hex: webhooks.
pub fn hmac_sha256(key: &Secret, text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    hex::encode(hmac::sign(&key, text))
}

/// SHA-1 in hex: what WeChat and Douyin sign callbacks with.
pub fn sha1(text: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text))
}

/// Whether two signatures are equal, in a time that does not tell how much of them is.
pub fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .fold(0, |differ, (x, y)| differ | (x ^ y))
            == 0
}

/// A private RSA key that signs with SHA-256 (RSA2).
pub struct Signer {
    pair: RsaKeyPair,
}

impl Signer {
    /// Reads a PEM or bare base64 key, PKCS #8 or PKCS #1.
    ///
    /// # Errors
    /// A text that is no such key; the message does not quote it.
    pub fn new(key: &Secret) -> Result<Self, Msg> {
        let wrong = || {
            msg!(
                "the private key is not an RSA key in PEM (PKCS #8 or PKCS #1)",
                "私钥不是 PEM 格式（PKCS #8 或 PKCS #1）的 RSA 密钥"
            )
        };
        let der = der(key.expose()).ok_or_else(wrong)?;
        let pair = RsaKeyPair::from_pkcs8(&der)
            .or_else(|_| RsaKeyPair::from_der(&der))
            .map_err(|_| wrong())?;
        Ok(Signer { pair })
    }

    /// The public half in base64, as a SubjectPublicKeyInfo: what platforms are given.
    pub fn public_key(&self) -> String {
        // The sequence of the algorithm (`rsaEncryption`, no parameters), before the bit string of
        // the key.
        const ALGORITHM: [u8; 15] = [
            0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0,
        ];
        let key = [&[0], self.pair.public().as_ref()].concat();
        STANDARD.encode(as_element(
            0x30,
            &[&ALGORITHM[..], &as_element(0x03, &key)].concat(),
        ))
    }

    /// In base64; `None` when the system has no randomness.
    pub fn sign(&self, text: &[u8]) -> Option<String> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &ring::signature::RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text,
                &mut signature,
            )
            .ok()?;
        Some(STANDARD.encode(signature))
    }
}

/// A public RSA key that checks such signatures.
pub struct Verifier {
    key: Vec<u8>,
}

impl Verifier {
    /// Reads a PEM or bare base64 key: SubjectPublicKeyInfo, as the platforms hand it out, or PKCS
    /// #1.
    ///
    /// # Errors
    /// A text that is no such key.
    pub fn new(text: &str) -> Result<Self, Msg> {
        let wrong = || {
            msg!(
                "the platform's public key is not an RSA key in PEM",
                "平台公钥不是 PEM 格式的 RSA 密钥"
            )
        };
        let der = der(text).ok_or_else(wrong)?;
        let key = inner_key(&der).unwrap_or(der);
        Ok(Verifier { key })
    }

    /// Whether a base64 signature is this key's over the text.
    pub fn verify(&self, text: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key)
            .verify(text, &signature)
            .is_ok()
    }
}

fn der(text: &str) -> Option<Vec<u8>> {
    let base64: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(|line| line.trim().chars())
        .collect();
    STANDARD.decode(base64).ok().filter(|der| !der.is_empty())
}

/// The PKCS #1 key inside a SubjectPublicKeyInfo: a sequence of the algorithm and a bit string.
fn inner_key(der: &[u8]) -> Option<Vec<u8>> {
    let (0x30, outer, _) = element(der)? else {
        return None;
    };
    let (0x30, _, rest) = element(outer)? else {
        return None;
    };
    let (0x03, bits, _) = element(rest)? else {
        return None;
    };
    bits.strip_prefix(&[0]).map(<[u8]>::to_vec)
}

/// The first DER element: its tag, its content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let bytes = usize::from(first & 0x7f);
        if bytes == 0 || bytes > 4 {
            return None;
        }
        let (size, after) = rest.split_at_checked(bytes)?;
        length = size.iter().fold(0, |n, b| (n << 8) | usize::from(*b));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// A DER element of this tag and content.
fn as_element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|b| *b == 0).collect();
    match length.as_slice() {
        [] => out.push(0),
        [one] if *one < 0x80 => out.push(*one),
        // No length has more than the eight bytes of a machine word.
        many => {
            out.push(0x80 | many.len() as u8);
            out.extend_from_slice(many);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for these tests; it guards nothing.
    const PRIVATE: &str = include_str!("../../../tests/platforms/keys/app_private.pem");
    const PUBLIC: &str = include_str!("../../../tests/platforms/keys/app_public.pem");

    #[test]
    fn signs_and_checks() {
        let signer = Signer::new(&Secret::new(PRIVATE)).unwrap();
        let verifier = Verifier::new(PUBLIC).unwrap();
        let signature = signer.sign("你好".as_bytes()).unwrap();
        assert!(verifier.verify("你好".as_bytes(), &signature));
        assert!(!verifier.verify("你好 ".as_bytes(), &signature));
        assert!(!verifier.verify("你好".as_bytes(), "AAAA"));
        assert!(!verifier.verify("你好".as_bytes(), "no base64"));
        for wrong in [
            "",
            "abc",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            assert!(Signer::new(&Secret::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn known_answers() {
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hmac_sha256(
                &Secret::new("key"),
                b"The quick brown fox jumps over the lazy dog"
            ),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}
