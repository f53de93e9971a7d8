//! Callbacks as WeChat in its safe mode and WeCom push them: XML, encrypted with AES under the
//! EncodingAESKey, signed over the encryption.

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::Encryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};

use super::Callback;

/// What a customer enters at the platform: a token, and an EncodingAESKey of 43 characters.
pub struct Seal {
    pub token: String,
    pub key: String,
    /// The account or corporation that a call is for.
    pub receiver: String,
}

impl Seal {
    /// 16 bytes of anything, the length of the text, the text, who it is for; padded to blocks of
    /// 32 bytes.
    fn encrypted(&self, text: &str, now: i64) -> String {
        let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
        let key = GeneralPurpose::new(&ALPHABET, config)
            .decode(format!("{}=", self.key))
            .expect("43 characters of base64");
        let key: [u8; 32] = key.try_into().expect("32 bytes");
        let mut plain = format!("{now:016}").into_bytes();
        plain.extend(
            u32::try_from(text.len())
                .expect("a short text")
                .to_be_bytes(),
        );
        plain.extend(text.as_bytes());
        plain.extend(self.receiver.as_bytes());
        let padding = 32 - plain.len() % 32;
        plain.extend(std::iter::repeat_n(padding as u8, padding));
        let iv: [u8; 16] = key[..16].try_into().expect("16 bytes");
        let n = plain.len();
        STANDARD.encode(
            Encryptor::<Aes256>::new(&key.into(), &iv.into())
                .encrypt_padded::<NoPadding>(&mut plain, n)
                .expect("whole blocks"),
        )
    }

    /// SHA-1 over the token and these, sorted.
    pub fn signature(&self, parts: &[&str]) -> String {
        let mut sorted: Vec<&str> = parts.iter().copied().chain([self.token.as_str()]).collect();
        sorted.sort_unstable();
        hex::encode(ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            sorted.concat().as_bytes(),
        ))
    }

    fn query(&self, encrypted: &str, now: i64) -> String {
        let (at, nonce) = (now.to_string(), (now % 1_000_000).to_string());
        format!(
            "msg_signature={}&timestamp={at}&nonce={nonce}",
            self.signature(&[&at, &nonce, encrypted])
        )
    }

    /// A call that says this.
    pub fn call(&self, to: &str, xml: &str, now: i64) -> Callback {
        let encrypted = self.encrypted(xml, now);
        Callback {
            query: self.query(&encrypted, now),
            headers: vec![("content-type".into(), "text/xml".into())],
            body: format!(
                "<xml><ToUserName><![CDATA[{to}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
            ),
        }
    }

    /// The query of the GET by which the platform tries an address; the answer must be the echo in
    /// clear.
    pub fn tries(&self, echo: &str, now: i64) -> String {
        let encrypted = self.encrypted(echo, now);
        let escaped = encrypted
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        format!("{}&echostr={escaped}", self.query(&encrypted, now))
    }
}
