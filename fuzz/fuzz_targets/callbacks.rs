//! Any call of a platform: an answer, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagcast::base::Instant;
use tagcast::deliver::callback::{Incoming, of_account};
use tagcast::deliver::wire::account::Settings;
use tagcast::deliver::wire::secret::Secret;

fuzz_target!(|call: (&str, &str, &str)| {
    let (query, signature, body) = call;
    for platform in ["wecom", "alipay", "douyin", "webhook"] {
        let settings = Settings {
            platform: platform.into(),
            secret: Some(Secret::new(include_str!(
                "../../tests/platforms/keys/app_private.pem"
            ))),
            platform_key: Some(include_str!("../../tests/platforms/keys/alipay_public.pem").into()),
            callback_token: Some(Secret::new("token")),
            callback_key: Some(Secret::new("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")),
            ..Settings::default()
        };
        let Ok(Some(callbacks)) = of_account(&settings) else {
            continue;
        };
        let call = Incoming {
            query,
            signature,
            body,
            at: Instant(0),
        };
        let _ = (
            callbacks.check(&call),
            callbacks.greet(&call),
            callbacks.thanks(&call),
            callbacks.read(&call),
        );
    }
});
