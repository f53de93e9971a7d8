//! What the language reserves and this version does not do yet: each form ends in one clear finding
//! that names it.

use crate::diag::{Finding, Span, catalog};
use crate::msg;

/// A form that parses and is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The word by which it is known.
    pub name: &'static str,
    pub form: &'static str,
    pub en: &'static str,
    pub zh: &'static str,
}

/// All of them; `docs/language.md` lists the same.
pub const RESERVED: &[Reserved] = &[
    Reserved {
        name: "nearest",
        form: "nearest(store.spot, home within 5km).name",
        en: "the nearest place of a table",
        zh: "表中离用户最近的地点",
    },
    Reserved {
        name: "pool",
        form: "pool NAME { … }",
        en: "a shared pool of what can be given away once",
        zh: "多活动共享、每份只发一次的池",
    },
    Reserved {
        name: "page",
        form: "page NAME { … }",
        en: "a declared landing page",
        zh: "声明的落地页",
    },
    Reserved {
        name: "rollout",
        form: "rollout 1%, 10% after 4h, 100% after 24h",
        en: "stages of growing size",
        zh: "逐级放量",
    },
    Reserved {
        name: "stop if",
        form: "stop if opted_out > 0.5% of at least 500",
        en: "a brake before every batch",
        zh: "每批之前的刹车",
    },
    Reserved {
        name: "review",
        form: "review …",
        en: "approval before sending",
        zh: "发送前的审批",
    },
    Reserved {
        name: "event opened",
        form: "event u1 opened { campaign: \"c\" } at 2026-11-11 10:00",
        en: "a receipt of one's own messages, given in a test",
        zh: "在测试中给出自己消息的回执",
    },
    Reserved {
        name: "then … then",
        form: "a then b within 1h then c within 1h",
        en: "a sequence of more than two events",
        zh: "两个以上事件的序列",
    },
];

/// The finding for a reserved form. A name that is not in the table is shown as it is.
pub fn not_supported(name: &str, span: Span) -> Finding {
    let finding = Finding::new(
        &catalog::NOT_SUPPORTED_YET,
        span,
        msg!("`{name}` is not supported yet", "`{name}` 尚不支持"),
    );
    match RESERVED.iter().find(|r| r.name == name) {
        Some(Reserved { form, en, zh, .. }) => finding.help(msg!(
            "the form `{form}` ({en}) is reserved for a later version: leave it out for now",
            "`{form}`（{zh}）的写法留给以后的版本：目前请先去掉"
        )),
        None => finding,
    }
}
