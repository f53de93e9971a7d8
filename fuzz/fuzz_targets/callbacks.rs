//! Any call of a platform: an answer, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagcast::base::Instant;
use tagcast::deliver::account::AccountSettings;
use tagcast::deliver::callback::Incoming;
use tagcast::deliver::http::secret::Secret;
use tagcast::deliver::platforms;

fuzz_target!(|call: (&str, &str, &str)| {
    let (query, signature, body) = call;
    for platform in ["wecom", "alipay", "douyin", "webhook"] {
        let settings = AccountSettings::new(platform, platform)
            .with(
                "secret",
                Secret::new(include_str!("../../tests/platforms/keys/app_private.pem")),
            )
            .with(
                "platform_key",
                include_str!("../../tests/platforms/keys/alipay_public.pem"),
            )
            .with("callback_token", Secret::new("token"))
            .with(
                "callback_key",
                Secret::new("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
            );
        let Ok(Some(callbacks)) = platforms::callbacks(&settings) else {
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
            callbacks.verify_url(&call),
            callbacks.acknowledge(&call),
            callbacks.read(&call),
        );
    }
});
