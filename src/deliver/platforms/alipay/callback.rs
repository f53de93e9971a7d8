//! Callbacks of Alipay life accounts: a form whose `biz_content` is XML, signed with the platform's
//! key (RSA2) over its sorted fields.
//!
//! No source at hand describes these calls as a whole: what is read here is what merchants'
//! programs are known to get (docs/operations.md says what is not settled). A call in another
//! character set than UTF-8 is checked in its own bytes; of its text only names and ids are read,
//! which are the same in all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings::{APP_ID, PLATFORM_KEY, SECRET};
use crate::base::Msg;
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::xml::fields;
use crate::deliver::callback::{
    Acknowledgement, CallbackEvent, CallbackKind, Callbacks, Incoming, contact, decoded, instant,
};
use crate::deliver::http::signature::{Signer, Verifier};
use crate::msg;
use crate::program::platform::ContactKind;

struct AlipayCallbacks {
    /// The platform's key.
    verifier: Verifier,
    /// The application's key: answers are signed.
    signer: Signer,
    app_id: Option<String>,
}

/// `None` without the platform's key: then nobody can prove to be the platform.
///
/// # Errors
/// Keys that are none.
pub fn callbacks(settings: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    let keys = settings.text(&PLATFORM_KEY).zip(settings.secret(&SECRET));
    let Some((platform, own)) = keys else {
        return Ok(None);
    };
    Ok(Some(Arc::new(AlipayCallbacks {
        verifier: Verifier::new(platform)?,
        signer: Signer::new(own)?,
        app_id: settings.text(&APP_ID).map(str::to_owned),
    })))
}

impl AlipayCallbacks {
    /// An answer of the gateway.
    fn signed(&self, content: &str) -> Acknowledgement {
        let signature = self.signer.sign(content.as_bytes()).unwrap_or_default();
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
        let body = format!(
            "{head}<alipay><response>{content}</response><sign>{signature}</sign><sign_type>RSA2</sign_type></alipay>"
        );
        Acknowledgement {
            kind: "text/xml; charset=utf-8",
            body,
        }
    }
}

impl Callbacks for AlipayCallbacks {
    fn check(&self, call: &Incoming) -> Result<(), Msg> {
        let form = form(call.body);
        let signature =
            String::from_utf8_lossy(form.get("sign").map_or(&[], Vec::as_slice)).into_owned();
        // Whether the type of the signature is signed too differs between the platform's products;
        // either way only its key can do it.
        let good = [&["sign"][..], &["sign", "sign_type"]]
            .into_iter()
            .any(|not| self.verifier.verify(&signed_text(&form, not), &signature));
        if !good {
            return Err(msg!("the signature is wrong", "签名错误"));
        }
        let inner = content(&form)?;
        let named = [
            inner.get("AppId").and_then(|all| all.last()).cloned(),
            form.get("app_id")
                .map(|id| String::from_utf8_lossy(id).into()),
        ];
        match &self.app_id {
            Some(mine) if named.iter().flatten().any(|named| named != mine) => Err(msg!(
                "the call is meant for another account",
                "该调用属于其他账号"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The call that tries the address wants the application's public key back, all others who sent
    /// what is acknowledged.
    fn acknowledge(&self, call: &Incoming) -> Acknowledgement {
        let form = form(call.body);
        let Ok(fields) = content(&form) else {
            return Acknowledgement::text("success");
        };
        if fields.is_empty() {
            return Acknowledgement::text("success");
        }
        let text = |name: &str| {
            fields
                .get(name)
                .and_then(|all| all.last())
                .map(String::as_str)
                .unwrap_or_default()
        };
        if text("EventType") == "verifygw" {
            return self.signed(&format!(
                "<success>true</success><biz_content>{}</biz_content>",
                self.signer.public_key()
            ));
        }
        let user = users(&fields).into_iter().next().unwrap_or_default();
        let (user, app) = (shown(&user), shown(text("AppId")));
        let millis = call.at.0.div_euclid(1_000);
        self.signed(&format!(
            "<XML><ToUserId><![CDATA[{user}]]></ToUserId><AppId><![CDATA[{app}]]></AppId><CreateTime>{millis}</CreateTime><MsgType><![CDATA[ack]]></MsgType></XML>"
        ))
    }

    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg> {
        let fields = content(&form(call.body))?;
        let text = |name: &str| {
            fields
                .get(name)
                .and_then(|all| all.last())
                .map(String::as_str)
                .unwrap_or_default()
        };
        let when = text("CreateTime").parse::<i64>().map_or(call.at, instant);
        let (event, kind) = (text("EventType"), text("MsgType"));
        let says = |address: &str| match (kind, event) {
            ("text" | "image", _) => Some(contact(address, ContactKind::Message, "")),
            (_, "follow") => Some(contact(address, ContactKind::Follow, "")),
            (_, "click") => Some(contact(address, ContactKind::Menu, "")),
            (_, "unfollow") => Some(CallbackKind::OptedOutAt {
                address: address.into(),
            }),
            _ => None,
        };
        let said = |user: &String| {
            Some(CallbackEvent {
                key: format!("{kind} {event} {user} {} {}", when.0, text("MsgId")),
                when,
                what: says(user)?,
            })
        };
        Ok(users(&fields).iter().filter_map(said).collect())
    }
}

/// The fields of a form, in the bytes of its character set.
fn form(body: &str) -> BTreeMap<String, Vec<u8>> {
    let field = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((
            String::from_utf8_lossy(&decoded(name)).into_owned(),
            decoded(value),
        ))
    };
    body.trim().split('&').filter_map(field).collect()
}

/// What is signed: the fields that have a value, sorted by name.
fn signed_text(form: &BTreeMap<String, Vec<u8>>, not: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in form
        .iter()
        .filter(|(name, value)| !value.is_empty() && !not.contains(&name.as_str()))
    {
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value);
    }
    text
}

/// What a call says, by the names of its elements; empty where it is not XML, as in calls of the
/// platform's other products.
fn content(form: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Vec<String>>, Msg> {
    let text =
        String::from_utf8_lossy(form.get("biz_content").map_or(&[], Vec::as_slice)).into_owned();
    if text.trim_start().starts_with('<') {
        fields(&text)
    } else {
        Ok(BTreeMap::new())
    }
}

/// The user by each of the ids that the platform has for him.
fn users(fields: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut users: Vec<String> = Vec::new();
    for user in ["FromOpenId", "FromUserId", "FromAlipayUserId"]
        .into_iter()
        .filter_map(|name| fields.get(name)?.last())
    {
        if !users.contains(user) {
            users.push(user.clone());
        }
    }
    users
}

/// Of an id only what may stand in XML as it is.
fn shown(id: &str) -> String {
    id.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::deliver::http::client::encode;
    use crate::deliver::http::secret::Secret;

    /// Made for these tests; they guard nothing.
    const OWN: &str = include_str!("../../../../tests/platforms/keys/app_private.pem");
    const OWN_PUBLIC: &str = include_str!("../../../../tests/platforms/keys/app_public.pem");
    const PLATFORM: &str = include_str!("../../../../tests/platforms/keys/alipay_private.pem");
    const PLATFORM_PUBLIC: &str =
        include_str!("../../../../tests/platforms/keys/alipay_public.pem");

    fn alipay() -> Arc<dyn Callbacks> {
        let settings = AccountSettings::new("alipay", "alipay")
            .with(SECRET.name, Secret::new(OWN))
            .with(PLATFORM_KEY.name, PLATFORM_PUBLIC)
            .with(APP_ID.name, "app1");
        callbacks(&settings).unwrap().unwrap()
    }

    fn call(body: &str) -> Incoming<'_> {
        Incoming {
            query: "",
            signature: "",
            body,
            at: Instant(7),
        }
    }

    /// As the platform writes it: every byte that is no letter or digit escaped.
    fn body(content: &[u8], sign_the_type: bool) -> String {
        let escaped: String = content
            .iter()
            .map(|b| {
                if b.is_ascii_alphanumeric() {
                    char::from(*b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        let mut text = [
            b"biz_content=",
            content,
            b"&charset=GBK&service=alipay.mobile.public.message.notify".as_slice(),
        ]
        .concat();
        if sign_the_type {
            text.extend(b"&sign_type=RSA2");
        }
        let signature = Signer::new(&Secret::new(PLATFORM))
            .unwrap()
            .sign(&text)
            .unwrap();
        let signature = encode(&signature);
        format!(
            "service=alipay.mobile.public.message.notify&sign={signature}&sign_type=RSA2&charset=GBK&empty=&biz_content={escaped}"
        )
    }

    fn xml(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"gbk\"?><XML><AppId><![CDATA[app1]]></AppId><FromUserId><![CDATA[2088000000000001]]></FromUserId><CreateTime>1800000000123</CreateTime>{inner}</XML>"
        )
    }

    #[test]
    fn only_the_platform_is_heard() {
        let a = alipay();
        let follow = xml("<MsgType>event</MsgType><EventType>follow</EventType>");
        for sign_the_type in [true, false] {
            assert_eq!(
                a.check(&call(&body(follow.as_bytes(), sign_the_type))),
                Ok(())
            );
        }
        // A text in the platform's own character set: 你好.
        let gbk = [
            follow.replace("</XML>", "<Content>").as_bytes(),
            &[0xC4, 0xE3, 0xBA, 0xC3],
            b"</Content></XML>",
        ]
        .concat();
        assert_eq!(a.check(&call(&body(&gbk, true))), Ok(()));
        let good = body(follow.as_bytes(), true);
        assert!(
            a.check(&call(&good.replace("1800000000123", "1800000000124")))
                .is_err()
        );
        assert!(a.check(&call(&good.replace("&sign=", "&sign=A"))).is_err());
        assert!(a.check(&call("")).is_err());
        let why = a
            .check(&call(&body(
                follow.replace("app1", "app2").as_bytes(),
                true,
            )))
            .unwrap_err();
        assert!(why.en.contains("another account"), "{}", why.en);
        assert!(a.check(&call(&body(b"<XML>", true))).is_err());
        let without = AccountSettings::new("alipay", "alipay").with(SECRET.name, Secret::new(OWN));
        assert!(callbacks(&without).unwrap().is_none());
    }

    #[test]
    fn what_users_do() {
        let read = |inner: &str| -> Vec<CallbackEvent> {
            alipay()
                .read(&call(&body(xml(inner).as_bytes(), true)))
                .unwrap()
        };
        let user = "2088000000000001";
        for (inner, what) in [
            (
                "<MsgType>text</MsgType><Text><Content>hi</Content></Text><MsgId>5</MsgId>",
                contact(user, ContactKind::Message, ""),
            ),
            (
                "<MsgType>event</MsgType><EventType>follow</EventType>",
                contact(user, ContactKind::Follow, ""),
            ),
            (
                "<MsgType>event</MsgType><EventType>click</EventType>",
                contact(user, ContactKind::Menu, ""),
            ),
            (
                "<MsgType>event</MsgType><EventType>unfollow</EventType>",
                CallbackKind::OptedOutAt {
                    address: user.into(),
                },
            ),
        ] {
            let said = read(inner);
            assert_eq!(
                (said.len(), &said[0].what, said[0].when),
                (1, &what, Instant(1_800_000_000_123_000)),
                "{inner}"
            );
        }
        assert_eq!(
            read("<MsgType>event</MsgType><EventType>enter</EventType>"),
            []
        );
        // By both of the ids that the platform has for a user.
        assert_eq!(
            read("<FromOpenId>o1</FromOpenId><EventType>follow</EventType>").len(),
            2
        );
    }

    #[test]
    fn answers_are_signed() {
        let a = alipay();
        let signed = |thanks: &Acknowledgement| -> String {
            let (_, rest) = thanks.body.split_once("<response>").unwrap();
            let (content, rest) = rest.split_once("</response><sign>").unwrap();
            let (signature, _) = rest.split_once("</sign>").unwrap();
            assert!(
                Verifier::new(OWN_PUBLIC)
                    .unwrap()
                    .verify(content.as_bytes(), signature)
            );
            content.into()
        };
        let tried = body(xml("<EventType>verifygw</EventType>").as_bytes(), true);
        let public: String = OWN_PUBLIC
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        assert_eq!(
            signed(&a.acknowledge(&call(&tried))),
            format!("<success>true</success><biz_content>{public}</biz_content>")
        );
        let followed = body(xml("<EventType>follow</EventType>").as_bytes(), true);
        let acknowledged = signed(&a.acknowledge(&call(&followed)));
        assert!(
            acknowledged.contains("<ToUserId><![CDATA[2088000000000001]]>")
                && acknowledged.contains("ack"),
            "{acknowledged}"
        );
        // Of another product: JSON, which means nothing here.
        let other = body(b"{\"a\":1}", true);
        assert_eq!(
            (
                a.check(&call(&other)),
                a.acknowledge(&call(&other)),
                a.read(&call(&other))
            ),
            (Ok(()), Acknowledgement::text("success"), Ok(Vec::new()))
        );
    }
}
