//! Callbacks of WeChat and WeCom: XML, plain or encrypted, signed with the token that was given to
//! the platform.

use std::collections::BTreeMap;

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};

use super::wecom_kf;
use super::xml::fields;
use super::{
    Acknowledgement, CallbackEvent, CallbackKind, Callbacks, Incoming, contact, query_value,
};
use crate::base::Instant;
use crate::base::Msg;
use crate::deliver::wire::account::AccountSettings;
use crate::deliver::wire::secret::Secret;
use crate::deliver::wire::signature::{same, sha1};
use crate::ledger::DeliveryCounts;
use crate::ledger::ReceiptKind;
use crate::msg;
use crate::program::platform::ContactKind;

pub struct TencentCallbacks {
    /// `None`: nobody can prove to be the platform, and what it says is fetched from it.
    token: Option<Secret>,
    /// Of the encrypted mode.
    key: Option<[u8; 32]>,
    /// The account or corporation that a call must be meant for.
    receiver: Option<String>,
    /// Of WeCom, whose applications hear their members, and not the customers to whom its other
    /// channels go.
    is_wecom: bool,
}

impl TencentCallbacks {
    /// `None` where the platform has no way to say anything: it cannot prove to be itself without a
    /// `callback_token`, and has no mailbox.
    ///
    /// # Errors
    /// A key that is none.
    pub fn of(settings: &AccountSettings) -> Result<Option<Self>, Msg> {
        let (token, is_wecom) = (
            settings.callback_token.clone(),
            settings.platform == "wecom",
        );
        if token.is_none() && !(is_wecom && settings.open_kfid.is_some()) {
            return Ok(None);
        }
        let key = settings.callback_key.as_ref().map(|key| {
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
        Ok(Some(TencentCallbacks {
            token,
            key: key.transpose()?,
            receiver: settings.app_id.clone(),
            is_wecom,
        }))
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

    /// The fields of a call, decrypted where it is encrypted. The signature must have been checked.
    fn fields(&self, call: &Incoming) -> Result<BTreeMap<String, Vec<String>>, Msg> {
        let outer = fields(call.body)?;
        match outer.get("Encrypt").and_then(|all| all.last()) {
            Some(encrypted) => fields(&self.decrypted(encrypted)?),
            None => Ok(outer),
        }
    }
}

impl Callbacks for TencentCallbacks {
    fn check(&self, call: &Incoming) -> Result<(), Msg> {
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

    fn greet(&self, call: &Incoming) -> Result<String, Msg> {
        let echo = query_value(call.query, "echostr").unwrap_or_default();
        if query_value(call.query, "msg_signature").is_some() {
            self.signed(call, Some(&echo))?;
            return self.decrypted(&echo);
        }
        self.signed(call, None)?;
        Ok(echo)
    }

    fn thanks(&self, _: &Incoming) -> Acknowledgement {
        Acknowledgement::text("success")
    }

    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg> {
        // What was fetched; a call is XML.
        if self.is_wecom && call.body.starts_with('[') {
            return wecom_kf::read(call.body);
        }
        let fields = self.fields(call)?;
        let text = |name: &str| {
            fields
                .get(name)
                .and_then(|all| all.last())
                .map(String::as_str)
                .unwrap_or_default()
        };
        let all = |name: &str| {
            fields
                .get(name)
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect::<Vec<_>>()
        };
        let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
        let when = text("CreateTime")
            .parse::<i64>()
            .map_or(call.at, |s| Instant(s.saturating_mul(1_000_000)));
        let id = || {
            Some(text("MsgID"))
                .filter(|id| !id.is_empty())
                .map_or_else(|| text("MsgId").to_owned(), str::to_owned)
        };
        let said = |key: String, what| Ok(vec![CallbackEvent { key, when, what }]);
        match text("Event") {
            "MASSSENDJOBFINISH" => {
                let id = id();
                let counts = DeliveryCounts {
                    total: number("TotalCount"),
                    filtered: number("TotalCount").saturating_sub(number("FilterCount")),
                    delivered: number("SentCount"),
                    failed: number("ErrorCount"),
                };
                // A review that fails leaves all counts at 0. `send success` does not say who got
                // it.
                let all = text("Status")
                    .starts_with("err(")
                    .then_some(ReceiptKind::Rejected);
                let all = all.or((text("Status") == "send fail").then_some(ReceiptKind::Failed));
                let counts = all.is_none().then_some(counts);
                said(
                    format!("MASSSENDJOBFINISH {id}"),
                    CallbackKind::List { id, all, counts },
                )
            }
            "TEMPLATESENDJOBFINISH" => {
                let id = id();
                let kind = if text("Status") == "success" {
                    ReceiptKind::Delivered
                } else {
                    ReceiptKind::Failed
                };
                let key = format!("TEMPLATESENDJOBFINISH {id}");
                // The user has switched off messages of this account.
                let blocked = text("Status")
                    .contains("user block")
                    .then(|| CallbackEvent {
                        key: format!("{key} block"),
                        when,
                        what: CallbackKind::Refused {
                            id: id.clone(),
                            reason: text("Status").to_owned(),
                        },
                    });
                let of_message = CallbackEvent {
                    key,
                    when,
                    what: CallbackKind::Message { id, kind },
                };
                Ok([of_message].into_iter().chain(blocked).collect())
            }
            "unsubscribe" => {
                let address = text("FromUserName").to_owned();
                said(
                    format!("unsubscribe {address} {}", when.0),
                    CallbackKind::OptedOutAt { address },
                )
            }
            "subscribe_msg_sent_event" => {
                // One entry a message; of several in one call the fields of the last are what is
                // kept, so that each call tells of one.
                let id = id();
                let kind = if text("ErrorCode") == "0" {
                    ReceiptKind::Delivered
                } else {
                    ReceiptKind::Failed
                };
                said(
                    format!("subscribe_msg_sent_event {id}"),
                    CallbackKind::Message { id, kind },
                )
            }
            "subscribe_msg_popup_event" => {
                // One entry a template; of equal names the parts come in the same order.
                let (topics, answers) = (all("TemplateId"), all("SubscribeStatusString"));
                let accepted = topics
                    .into_iter()
                    .zip(answers)
                    .enumerate()
                    .filter(|(_, (_, answer))| *answer == "accept");
                let said = accepted.map(|(n, (topic, _))| CallbackEvent {
                    key: format!(
                        "subscribe_msg_popup_event {} {} {n}",
                        text("FromUserName"),
                        when.0
                    ),
                    when,
                    what: contact(text("FromUserName"), ContactKind::Subscription, topic),
                });
                Ok(said.collect())
            }
            "change_external_contact" if text("ChangeType") == "add_external_contact" => {
                let user = text("ExternalUserID");
                said(
                    format!("add_external_contact {user} {}", when.0),
                    self::contact(user, ContactKind::Follow, ""),
                )
            }
            "kf_msg_or_event" => {
                let (mailbox, token) = (text("OpenKfId").to_owned(), text("Token").to_owned());
                said(
                    format!("kf_msg_or_event {mailbox} {token}"),
                    CallbackKind::Mail { mailbox, token },
                )
            }
            // What a member writes says nothing of customers.
            _ if self.is_wecom => Ok(Vec::new()),
            event => {
                let kind = match event {
                    "subscribe" => ContactKind::Follow,
                    "SCAN" => ContactKind::Scan,
                    "CLICK" | "scancode_push" | "scancode_waitmsg" => ContactKind::Menu,
                    "" if MESSAGES.contains(&text("MsgType")) => ContactKind::Message,
                    _ => return Ok(Vec::new()),
                };
                let user = text("FromUserName");
                let key = if kind == ContactKind::Message {
                    id()
                } else {
                    format!("{event} {user} {}", when.0)
                };
                said(format!("contact {key}"), contact(user, kind, ""))
            }
        }
    }
}

/// The types of what a user writes to an account.
const MESSAGES: [&str; 7] = [
    "text",
    "image",
    "voice",
    "video",
    "shortvideo",
    "location",
    "link",
];

#[cfg(test)]
mod tests {
    use super::*;
    use cbc::Encryptor;
    use cbc::cipher::BlockModeEncrypt;

    /// Made for these tests; it guards nothing.
    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

    fn tencent(key: Option<&str>) -> TencentCallbacks {
        let settings = AccountSettings {
            callback_token: Some(Secret::new("token")),
            callback_key: key.map(Secret::new),
            app_id: Some("wx1".into()),
            ..AccountSettings::default()
        };
        TencentCallbacks::of(&settings).unwrap().unwrap()
    }

    fn call<'a>(query: &'a str, body: &'a str) -> Incoming<'a> {
        Incoming {
            query,
            signature: "",
            body,
            at: Instant(0),
        }
    }

    fn plain_query(t: &TencentCallbacks) -> String {
        format!(
            "signature={}&timestamp=1&nonce=2",
            t.signature(&["1", "2"]).unwrap()
        )
    }

    /// As the platform encrypts.
    fn encrypt(t: &TencentCallbacks, text: &str, receiver: &str) -> String {
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

    const FINISH: &str = "<xml><ToUserName><![CDATA[gh]]></ToUserName><CreateTime>1764000000</CreateTime><Event><![CDATA[MASSSENDJOBFINISH]]></Event>
        <MsgID>42</MsgID><Status><![CDATA[send success]]></Status><TotalCount>1000</TotalCount><FilterCount>970</FilterCount>
        <SentCount>965</SentCount><ErrorCount>5</ErrorCount><CopyrightCheckResult><Count>0</Count><ResultList> </ResultList></CopyrightCheckResult></xml>";

    #[test]
    fn a_plain_call_is_checked_and_read() {
        let t = tencent(None);
        let query = plain_query(&t);
        assert_eq!(t.check(&call(&query, FINISH)), Ok(()));
        assert!(
            t.check(&call("signature=00&timestamp=1&nonce=2", FINISH))
                .is_err()
        );
        assert!(t.check(&call("", FINISH)).is_err());
        assert_eq!(
            t.greet(&call(&format!("{query}&echostr=hello"), "")),
            Ok("hello".into())
        );
        assert!(t.greet(&call("echostr=hello", "")).is_err());
        let said = t.read(&call(&query, FINISH)).unwrap();
        // Case 24 of the delivery design: 970 of 1000 were left to send to.
        let counts = Some(DeliveryCounts {
            total: 1000,
            filtered: 30,
            delivered: 965,
            failed: 5,
        });
        assert_eq!(
            said[0].what,
            CallbackKind::List {
                id: "42".into(),
                all: None,
                counts
            }
        );
        assert_eq!(said[0].when, Instant(1_764_000_000_000_000));
        let refused = FINISH.replace("send success", "err(20008)");
        let said = t.read(&call(&query, &refused)).unwrap();
        assert_eq!(
            said[0].what,
            CallbackKind::List {
                id: "42".into(),
                all: Some(ReceiptKind::Rejected),
                counts: None
            }
        );
    }

    #[test]
    fn one_message_and_one_user() {
        let t = tencent(None);
        let read = |body: &str| t.read(&call("", body)).unwrap();
        let template = |status: &str| {
            format!(
                "<xml><Event>TEMPLATESENDJOBFINISH</Event><MsgID>7</MsgID><Status><![CDATA[{status}]]></Status></xml>"
            )
        };
        assert_eq!(
            read(&template("success"))[0].what,
            CallbackKind::Message {
                id: "7".into(),
                kind: ReceiptKind::Delivered
            }
        );
        for failed in [
            "failed:user block",
            "failed: system failed",
            "failed:freq limit",
        ] {
            let said = read(&template(failed));
            assert_eq!(
                said[0].what,
                CallbackKind::Message {
                    id: "7".into(),
                    kind: ReceiptKind::Failed
                }
            );
            let blocked = CallbackKind::Refused {
                id: "7".into(),
                reason: failed.into(),
            };
            assert_eq!(
                said.get(1).map(|said| &said.what),
                Some(&blocked).filter(|_| failed.contains("block")),
                "{failed}"
            );
        }
        let left = read("<xml><FromUserName>o1</FromUserName><Event>unsubscribe</Event></xml>");
        assert_eq!(
            left[0].what,
            CallbackKind::OptedOutAt {
                address: "o1".into()
            }
        );
        assert_eq!(read("<xml><Event>LOCATION</Event></xml>"), []);
    }

    #[test]
    fn what_users_do() {
        let t = tencent(None);
        let read = |body: &str| -> Vec<(String, CallbackKind)> {
            let body = format!(
                "<xml><FromUserName>o1</FromUserName><CreateTime>1764000000</CreateTime>{body}</xml>"
            );
            t.read(&call("", &body))
                .unwrap()
                .into_iter()
                .map(|said| (said.key, said.what))
                .collect()
        };
        for (body, kind) in [
            (
                "<MsgType>text</MsgType><Content>hi</Content><MsgId>5</MsgId>",
                ContactKind::Message,
            ),
            (
                "<MsgType>voice</MsgType><MsgId>6</MsgId>",
                ContactKind::Message,
            ),
            (
                "<MsgType>event</MsgType><Event>subscribe</Event>",
                ContactKind::Follow,
            ),
            (
                "<MsgType>event</MsgType><Event>SCAN</Event>",
                ContactKind::Scan,
            ),
            (
                "<MsgType>event</MsgType><Event>CLICK</Event><EventKey>k</EventKey>",
                ContactKind::Menu,
            ),
        ] {
            assert_eq!(
                read(body)
                    .into_iter()
                    .map(|(_, what)| what)
                    .collect::<Vec<_>>(),
                [contact("o1", kind, "")],
                "{body}"
            );
        }
        // Members of a corporation who write to an application are not its customers.
        let of_wecom = AccountSettings {
            platform: "wecom".into(),
            callback_token: Some(Secret::new("token")),
            ..AccountSettings::default()
        };
        let wecom = TencentCallbacks::of(&of_wecom).unwrap().unwrap();
        let text =
            "<xml><FromUserName>zhang</FromUserName><MsgType>text</MsgType><MsgId>5</MsgId></xml>";
        assert_eq!(wecom.read(&call("", text)).unwrap(), []);
        let kf = "<xml><FromUserName>sys</FromUserName><MsgType>event</MsgType><Event>kf_msg_or_event</Event>
            <Token>t1</Token><OpenKfId>kf1</OpenKfId></xml>";
        assert_eq!(
            wecom.read(&call("", kf)).unwrap()[0].what,
            CallbackKind::Mail {
                mailbox: "kf1".into(),
                token: "t1".into()
            }
        );
        let added = "<xml><FromUserName>sys</FromUserName><MsgType>event</MsgType><Event>change_external_contact</Event>
            <ChangeType>add_external_contact</ChangeType><UserID>zhang</UserID><ExternalUserID>wm1</ExternalUserID></xml>";
        assert_eq!(
            wecom.read(&call("", added)).unwrap()[0].what,
            contact("wm1", ContactKind::Follow, "")
        );
        // A page that is opened from the menu opens no window.
        assert_eq!(read("<MsgType>event</MsgType><Event>VIEW</Event>"), []);
        let entry = |id: &str, answer: &str| {
            format!(
                "<List><TemplateId>{id}</TemplateId><SubscribeStatusString>{answer}</SubscribeStatusString><PopupScene>2</PopupScene></List>"
            )
        };
        let popup = format!(
            "<MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent>{}{}{}</SubscribeMsgPopupEvent>",
            entry("T1", "accept"),
            entry("T2", "reject"),
            entry("T3", "accept")
        );
        let said = read(&popup);
        let subscribed = |topic| contact("o1", ContactKind::Subscription, topic);
        assert_eq!(
            said.iter()
                .map(|(_, what)| what.clone())
                .collect::<Vec<_>>(),
            [subscribed("T1"), subscribed("T3")]
        );
        assert_ne!(said[0].0, said[1].0);
    }

    #[test]
    fn an_encrypted_call_is_checked_and_read() {
        let t = tencent(Some(KEY));
        let secret = encrypt(&t, FINISH, "wx1");
        let query = format!(
            "timestamp=1&nonce=2&msg_signature={}",
            t.signature(&["1", "2", &secret]).unwrap()
        );
        let body = format!(
            "<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{secret}]]></Encrypt></xml>"
        );
        assert_eq!(t.check(&call(&query, &body)), Ok(()));
        assert_eq!(t.read(&call(&query, &body)).unwrap().len(), 1);
        let echo = encrypt(&t, "你好", "wx1");
        let greeting = format!(
            "timestamp=1&nonce=2&msg_signature={}&echostr={}",
            t.signature(&["1", "2", &echo]).unwrap(),
            echo.replace('+', "%2B")
        );
        assert_eq!(t.greet(&call(&greeting, "")), Ok("你好".into()));
        // For somebody else, changed, not encrypted, or encrypted and nobody has the key.
        let other = encrypt(&t, FINISH, "wx2");
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
        assert!(t.check(&call(&plain_query(&t), FINISH)).is_err());
        assert!(tencent(None).read(&call(&query, &body)).is_err());
        let wrong = AccountSettings {
            callback_token: Some(Secret::new("t")),
            callback_key: Some(Secret::new("short")),
            ..AccountSettings::default()
        };
        assert!(TencentCallbacks::of(&wrong).is_err());
        assert!(
            TencentCallbacks::of(&AccountSettings::default())
                .unwrap()
                .is_none()
        );
        // Without a token nobody proves anything; what is fetched is read all the same.
        let fetched = AccountSettings {
            platform: "wecom".into(),
            open_kfid: Some("kf1".into()),
            ..AccountSettings::default()
        };
        let fetched = TencentCallbacks::of(&fetched).unwrap().unwrap();
        assert!(
            fetched
                .check(&call("signature=&timestamp=&nonce=", FINISH))
                .is_err()
                && fetched.greet(&call("echostr=a", "")).is_err()
        );
        assert_eq!(
            fetched
                .read(&call("", "[{\"external_userid\":\"wm1\",\"origin\":3}]"))
                .unwrap()
                .len(),
            1
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
            let t = tencent(Some(KEY));
            assert!(t.check(&call(&plain_query(&t), body)).is_err(), "{body}");
        }
    }
}
