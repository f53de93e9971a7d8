//! How Tencent signs and encrypts its callbacks: XML, plain or encrypted, signed with the token that
//! was given to the platform.

use std::collections::BTreeMap;

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};

use crate::base::Instant;
use crate::base::Msg;
use crate::deliver::account::{AccountSettings, SettingField};
use crate::deliver::callback::xml::fields;
use crate::deliver::callback::{CallbackEvent, CallbackKind, Incoming, query_value};
use crate::deliver::http::secret::Secret;
use crate::deliver::http::signature::{same, sha1};
use crate::msg;

pub const CALLBACK_TOKEN: SettingField = SettingField::secret(
    "callback_token",
    "what the platform signs its callbacks with",
);
pub const CALLBACK_KEY: SettingField = SettingField::secret(
    "callback_key",
    "what the platform encrypts its callbacks with",
);

/// The token and the key that the platform was given for an account's callbacks.
pub struct CallSeal {
    /// `None`: nobody can prove to be the platform.
    token: Option<Secret>,
    /// Of the encrypted mode.
    key: Option<[u8; 32]>,
    /// The account or corporation that a call must be meant for.
    receiver: Option<String>,
}

impl CallSeal {
    /// # Errors
    /// A key that is none.
    pub fn new(settings: &AccountSettings, receiver: Option<&str>) -> Result<Self, Msg> {
        let key = settings.secret(&CALLBACK_KEY).map(|key| {
            // 43 characters of base64 whose last one has bits to spare.
            let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
            let bytes = GeneralPurpose::new(&ALPHABET, config)
                .decode(format!("{}=", key.expose().trim_end_matches('=')))
                .ok();
            bytes
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .ok_or_else(|| {
                    msg!(
                        "the callback key is not 43 characters of base64",
                        "回调密钥不是 43 位 base64 字符"
                    )
                })
        });
        Ok(CallSeal {
            token: settings.secret(&CALLBACK_TOKEN).cloned(),
            key: key.transpose()?,
            receiver: receiver.map(str::to_owned),
        })
    }

    /// Whether a call comes from the platform.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, call: &Incoming) -> Result<(), Msg> {
        let fields = fields(call.body)?;
        match fields.get("Encrypt").and_then(|all| all.last()) {
            Some(encrypted) => {
                self.signed(call, Some(encrypted))?;
                self.decrypted(encrypted).map(drop)
            }
            // Where a key is set, what is not encrypted is not from the platform.
            None if self.key.is_some() => Err(msg!("the call is not encrypted", "该调用未加密")),
            None => self.signed(call, None),
        }
    }

    /// The answer to the call that tries the address.
    ///
    /// # Errors
    /// Why it gets none.
    pub fn verify_url(&self, call: &Incoming) -> Result<String, Msg> {
        let echo = query_value(call.query, "echostr").unwrap_or_default();
        if query_value(call.query, "msg_signature").is_some() {
            self.signed(call, Some(&echo))?;
            return self.decrypted(&echo);
        }
        self.signed(call, None)?;
        Ok(echo)
    }

    /// The fields of a call, decrypted where it is encrypted. The signature must have been checked.
    ///
    /// # Errors
    /// Why nobody can read them.
    pub fn open(&self, call: &Incoming) -> Result<CallFields, Msg> {
        let outer = fields(call.body)?;
        let fields = match outer.get("Encrypt").and_then(|all| all.last()) {
            Some(encrypted) => fields(&self.decrypted(encrypted)?)?,
            None => outer,
        };
        Ok(CallFields {
            came: call.at,
            fields,
        })
    }

    /// SHA-1 over the sorted parts and the token; `None` where there is no token.
    fn signature(&self, parts: &[&str]) -> Option<String> {
        let mut parts: Vec<&str> = parts
            .iter()
            .copied()
            .chain([self.token.as_ref()?.expose()])
            .collect();
        parts.sort_unstable();
        Some(sha1(parts.concat().as_bytes()))
    }

    /// Checks the signature of a call, over its encrypted part where it has one.
    fn signed(&self, call: &Incoming, encrypted: Option<&str>) -> Result<(), Msg> {
        let value = |name| query_value(call.query, name).unwrap_or_default();
        let (timestamp, nonce) = (value("timestamp"), value("nonce"));
        let (expected, given) = match encrypted {
            Some(text) => (
                self.signature(&[&timestamp, &nonce, text]),
                value("msg_signature"),
            ),
            None => (self.signature(&[&timestamp, &nonce]), value("signature")),
        };
        let expected = expected
            .ok_or_else(|| msg!("`callback_token` is not set", "未设置 `callback_token`"))?;
        if same(&expected, &given) {
            Ok(())
        } else {
            Err(msg!("the signature is wrong", "签名错误"))
        }
    }

    fn decrypted(&self, text: &str) -> Result<String, Msg> {
        let wrong = || {
            msg!(
                "the call cannot be decrypted with the callback key",
                "无法用回调密钥解密"
            )
        };
        let key = self.key.as_ref().ok_or_else(|| {
            msg!(
                "the call is encrypted, and `callback_key` is not set",
                "调用已加密，但未设置 `callback_key`"
            )
        })?;
        let mut bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
        let iv: [u8; 16] = key
            .get(..16)
            .and_then(|iv| iv.try_into().ok())
            .ok_or_else(wrong)?;
        let cipher = Decryptor::<Aes256>::new(&(*key).into(), &iv.into());
        let plain = cipher
            .decrypt_padded::<NoPadding>(&mut bytes)
            .map_err(|_| wrong())?;
        // Padded to blocks of 32 bytes, each byte of the padding says how long it is.
        let padding = usize::from(*plain.last().ok_or_else(wrong)?);
        let plain = plain
            .len()
            .checked_sub(padding)
            .filter(|_| (1..=32).contains(&padding))
            .and_then(|n| plain.get(..n))
            .ok_or_else(wrong)?;
        // 16 random bytes, a length, the text, who it is for.
        let length: [u8; 4] = plain
            .get(16..20)
            .and_then(|n| n.try_into().ok())
            .ok_or_else(wrong)?;
        let (text, receiver) = plain
            .get(20..)
            .and_then(|rest| rest.split_at_checked(u32::from_be_bytes(length) as usize))
            .ok_or_else(wrong)?;
        let receiver = String::from_utf8_lossy(receiver);
        if self.receiver.as_ref().is_some_and(|mine| *mine != receiver) {
            return Err(msg!(
                "the call is meant for another account",
                "该调用属于其他账号"
            ));
        }
        String::from_utf8(text.to_vec()).map_err(|_| wrong())
    }
}

/// What a call says, by the names of its XML elements.
pub struct CallFields {
    came: Instant,
    fields: BTreeMap<String, Vec<String>>,
}

impl CallFields {
    /// The last element of a name; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).pop().unwrap_or_default()
    }

    /// The elements of a name, in their order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.fields.get(name).into_iter().flatten();
        found.map(String::as_str).collect()
    }

    /// 0 where there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// When it happened; where the call does not say, when it came.
    pub fn when(&self) -> Instant {
        let seconds = self.text("CreateTime").parse::<i64>();
        seconds.map_or(self.came, |s| Instant(s.saturating_mul(1_000_000)))
    }

    /// The platform's id of the message that the call is about.
    pub fn message_id(&self) -> String {
        match self.text("MsgID") {
            "" => self.text("MsgId").to_owned(),
            id => id.to_owned(),
        }
    }

    pub fn event(&self, key: String, what: CallbackKind) -> CallbackEvent {
        CallbackEvent {
            key,
            when: self.when(),
            what,
        }
    }

    /// The user who does not follow the account any more.
    pub fn unsubscribed(&self) -> CallbackEvent {
        let address = self.text("FromUserName").to_owned();
        let key = format!("unsubscribe {address} {}", self.when().0);
        self.event(key, CallbackKind::OptedOutAt { address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cbc::Encryptor;
    use cbc::cipher::BlockModeEncrypt;

    /// Made for these tests; it guards nothing.
    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

    fn seal(key: Option<&str>) -> CallSeal {
        let mut settings = AccountSettings::new("rose", "service_account")
            .with(CALLBACK_TOKEN.name, Secret::new("token"));
        if let Some(key) = key {
            settings.set(CALLBACK_KEY.name, Secret::new(key));
        }
        CallSeal::new(&settings, Some("wx1")).unwrap()
    }

    fn call<'a>(query: &'a str, body: &'a str) -> Incoming<'a> {
        Incoming {
            query,
            signature: "",
            body,
            at: Instant(0),
        }
    }

    fn plain_query(t: &CallSeal) -> String {
        format!(
            "signature={}&timestamp=1&nonce=2",
            t.signature(&["1", "2"]).unwrap()
        )
    }

    /// As the platform encrypts.
    fn encrypt(t: &CallSeal, text: &str, receiver: &str) -> String {
        let key = t.key.unwrap();
        let mut plain = b"0123456789abcdef".to_vec();
        plain.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        plain.extend(text.as_bytes());
        plain.extend(receiver.as_bytes());
        let padding = 32 - plain.len() % 32;
        plain.extend(std::iter::repeat_n(padding as u8, padding));
        let iv: [u8; 16] = key[..16].try_into().unwrap();
        let n = plain.len();
        let cipher = Encryptor::<Aes256>::new(&key.into(), &iv.into());
        STANDARD.encode(cipher.encrypt_padded::<NoPadding>(&mut plain, n).unwrap())
    }

    const CALL: &str = "<xml><ToUserName>gh</ToUserName><Event>LOCATION</Event></xml>";

    #[test]
    fn a_plain_call_is_checked() {
        let t = seal(None);
        let query = plain_query(&t);
        assert_eq!(t.check(&call(&query, CALL)), Ok(()));
        assert!(
            t.check(&call("signature=00&timestamp=1&nonce=2", CALL))
                .is_err()
        );
        assert!(t.check(&call("", CALL)).is_err());
        assert_eq!(
            t.verify_url(&call(&format!("{query}&echostr=hello"), "")),
            Ok("hello".into())
        );
        assert!(t.verify_url(&call("echostr=hello", "")).is_err());
    }

    #[test]
    fn an_encrypted_call_is_checked_and_read() {
        let t = seal(Some(KEY));
        let secret = encrypt(&t, CALL, "wx1");
        let query = format!(
            "timestamp=1&nonce=2&msg_signature={}",
            t.signature(&["1", "2", &secret]).unwrap()
        );
        let body = format!(
            "<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{secret}]]></Encrypt></xml>"
        );
        assert_eq!(t.check(&call(&query, &body)), Ok(()));
        let opened = t.open(&call(&query, &body)).unwrap();
        assert_eq!(
            (opened.text("Event"), opened.text("Encrypt")),
            ("LOCATION", "")
        );
        let echo = encrypt(&t, "你好", "wx1");
        let greeting = format!(
            "timestamp=1&nonce=2&msg_signature={}&echostr={}",
            t.signature(&["1", "2", &echo]).unwrap(),
            echo.replace('+', "%2B")
        );
        assert_eq!(t.verify_url(&call(&greeting, "")), Ok("你好".into()));
        // For somebody else, changed, not encrypted, or encrypted and nobody has the key.
        let other = encrypt(&t, CALL, "wx2");
        let other_query = format!(
            "timestamp=1&nonce=2&msg_signature={}",
            t.signature(&["1", "2", &other]).unwrap()
        );
        assert!(
            t.check(&call(
                &other_query,
                &format!("<xml><Encrypt>{other}</Encrypt></xml>")
            ))
            .is_err()
        );
        assert!(
            t.check(&call(&query, &body.replace("<![CDATA[", "<![CDATA[A")))
                .is_err()
        );
        assert!(t.check(&call(&plain_query(&t), CALL)).is_err());
        assert!(seal(None).open(&call(&query, &body)).is_err());
        let wrong = AccountSettings::new("rose", "service_account")
            .with(CALLBACK_KEY.name, Secret::new("short"));
        assert!(CallSeal::new(&wrong, None).is_err());
        // Without a token nobody proves anything.
        let open = CallSeal::new(&AccountSettings::default(), None).unwrap();
        assert!(
            open.check(&call("signature=&timestamp=&nonce=", CALL))
                .is_err()
                && open.verify_url(&call("echostr=a", "")).is_err()
        );
    }

    #[test]
    fn what_is_no_callback_is_refused() {
        for body in [
            "",
            "<xml>",
            "</xml>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><xml/>",
            &"<a>".repeat(100),
            "{}",
            "<xml><Encrypt>%%%</Encrypt></xml>",
        ] {
            let t = seal(Some(KEY));
            assert!(t.check(&call(&plain_query(&t), body)).is_err(), "{body}");
        }
    }
}
