//! Callbacks of WeCom: who was added as a customer, and that customer service holds something to be
//! fetched.

use std::sync::Arc;

use super::customer_events;
use super::settings::{APP_ID, OPEN_KFID};
use crate::base::Msg;
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::{
    Acknowledgement, CallbackEvent, CallbackKind, Callbacks, Incoming, contact,
};
use crate::deliver::platforms::tencent::{CALLBACK_TOKEN, CallSeal};
use crate::program::platform::ContactKind;

struct WeComCallbacks {
    seal: CallSeal,
}

/// `None` where the platform has no way to say anything: it cannot prove to be itself without a
/// `callback_token`, and has no mailbox.
///
/// # Errors
/// A key that is none.
pub fn callbacks(settings: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    if !settings.has(&CALLBACK_TOKEN) && !settings.has(&OPEN_KFID) {
        return Ok(None);
    }
    let seal = CallSeal::new(settings, settings.text(&APP_ID))?;
    Ok(Some(Arc::new(WeComCallbacks { seal })))
}

impl Callbacks for WeComCallbacks {
    fn check(&self, call: &Incoming) -> Result<(), Msg> {
        self.seal.check(call)
    }

    fn verify_url(&self, call: &Incoming) -> Result<String, Msg> {
        self.seal.verify_url(call)
    }

    fn acknowledge(&self, _: &Incoming) -> Acknowledgement {
        Acknowledgement::text("success")
    }

    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg> {
        // What was fetched; a call is XML.
        if call.body.starts_with('[') {
            return customer_events::read(call.body);
        }
        let call = self.seal.open(call)?;
        let when = call.when().0;
        Ok(match call.text("Event") {
            "unsubscribe" => vec![call.unsubscribed()],
            "change_external_contact" if call.text("ChangeType") == "add_external_contact" => {
                let user = call.text("ExternalUserID");
                let key = format!("add_external_contact {user} {when}");
                vec![call.event(key, contact(user, ContactKind::Follow, ""))]
            }
            "kf_msg_or_event" => {
                let (mailbox, token) = (
                    call.text("OpenKfId").to_owned(),
                    call.text("Token").to_owned(),
                );
                let key = format!("kf_msg_or_event {mailbox} {token}");
                vec![call.event(key, CallbackKind::Mail { mailbox, token })]
            }
            // What members write to an application says nothing of the customers to whom the other
            // channels go.
            _ => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::deliver::http::secret::Secret;

    fn call(body: &str) -> Incoming<'_> {
        Incoming {
            query: "",
            signature: "",
            body,
            at: Instant(0),
        }
    }

    #[test]
    fn what_is_heard_of_customers() {
        let settings =
            AccountSettings::new("corp", "wecom").with("callback_token", Secret::new("token"));
        let wecom = callbacks(&settings).unwrap().unwrap();
        let text =
            "<xml><FromUserName>zhang</FromUserName><MsgType>text</MsgType><MsgId>5</MsgId></xml>";
        assert_eq!(wecom.read(&call(text)).unwrap(), []);
        let kf = "<xml><FromUserName>sys</FromUserName><MsgType>event</MsgType><Event>kf_msg_or_event</Event>
            <Token>t1</Token><OpenKfId>kf1</OpenKfId></xml>";
        assert_eq!(
            wecom.read(&call(kf)).unwrap()[0].what,
            CallbackKind::Mail {
                mailbox: "kf1".into(),
                token: "t1".into()
            }
        );
        let added = "<xml><FromUserName>sys</FromUserName><MsgType>event</MsgType><Event>change_external_contact</Event>
            <ChangeType>add_external_contact</ChangeType><UserID>zhang</UserID><ExternalUserID>wm1</ExternalUserID></xml>";
        assert_eq!(
            wecom.read(&call(added)).unwrap()[0].what,
            contact("wm1", ContactKind::Follow, "")
        );
        let left = "<xml><FromUserName>m1</FromUserName><Event>unsubscribe</Event></xml>";
        assert_eq!(
            wecom.read(&call(left)).unwrap()[0].what,
            CallbackKind::OptedOutAt {
                address: "m1".into()
            }
        );
    }

    #[test]
    fn what_is_fetched_needs_no_token() {
        let settings = AccountSettings::new("corp", "wecom").with("open_kfid", "kf1");
        let fetched = callbacks(&settings).unwrap().unwrap();
        assert!(fetched.check(&call("<xml></xml>")).is_err());
        assert_eq!(
            fetched
                .read(&call("[{\"external_userid\":\"wm1\",\"origin\":3}]"))
                .unwrap()
                .len(),
            1
        );
        let nothing = AccountSettings::new("corp", "wecom");
        assert!(callbacks(&nothing).unwrap().is_none());
    }
}
