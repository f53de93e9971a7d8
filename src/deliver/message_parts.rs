//! A message's parts, as the platforms' payloads are made of them.

use serde_json::{Map, Value, json};

use crate::decide::decision::Rendered;
use crate::program::platform::{Endpoint, MessagePart, Shape};

/// The parts of a message, and the shape that it takes on a channel.
pub struct MessageParts<'a> {
    content: &'a Rendered,
    shape: Option<&'a Shape>,
}

impl<'a> MessageParts<'a> {
    pub fn of(content: &'a Rendered, endpoint: &'a Endpoint) -> Self {
        let parts: Vec<MessagePart> = content
            .parts
            .iter()
            .filter_map(|(name, _)| kind(name))
            .collect();
        MessageParts {
            content,
            shape: endpoint.shape_for(&parts),
        }
    }

    /// The shape's name; empty where the channel has none for this message, which the checker
    /// refuses.
    pub fn shape(&self) -> &'a str {
        self.shape.map_or("", |s| &s.name)
    }

    pub fn get(&self, part: MessagePart) -> Option<&'a str> {
        let found = self
            .content
            .parts
            .iter()
            .find(|(name, _)| kind(name) == Some(part));
        found
            .map(|(_, text)| text.as_str())
            .filter(|text| !text.is_empty())
    }

    pub fn text(&self, part: MessagePart) -> &'a str {
        self.get(part).unwrap_or_default()
    }

    /// The parts that make one text, each on its own line.
    pub fn joined(&self) -> String {
        let joined = self.shape.map_or(&[][..], |s| &s.joined);
        joined
            .iter()
            .filter_map(|part| self.get(*part))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// `msgtype` and payload as customer service and WeCom share them; a mini program is the
    /// channel's own.
    pub fn chat(
        &self,
        miniprogram: impl FnOnce() -> (&'static str, Value),
    ) -> (&'static str, Value) {
        match self.shape() {
            "news" => (
                "news",
                json!({"articles": [{
                    "title": self.text(MessagePart::Title), "description": self.text(MessagePart::Body),
                    "url": self.text(MessagePart::Link), "picurl": self.text(MessagePart::Image),
                }]}),
            ),
            "image" => ("image", json!({"media_id": self.text(MessagePart::Image)})),
            "video" => {
                let (title, description) =
                    (self.text(MessagePart::Title), self.text(MessagePart::Body));
                (
                    "video",
                    json!({"media_id": self.text(MessagePart::Video), "title": title, "description": description}),
                )
            }
            "miniprogram" => miniprogram(),
            _ => ("text", json!({"content": self.joined()})),
        }
    }

    /// The fields of a template: `{"thing1": {"value": …}}`.
    pub fn fields(&self) -> Value {
        let fields = self
            .content
            .parts
            .iter()
            .filter_map(|(name, text)| Some((name.strip_prefix("field ")?, text)));
        Value::Object(
            fields
                .map(|(name, text)| (name.to_string(), json!({"value": text})))
                .collect::<Map<_, _>>(),
        )
    }

    /// `APPID/pages/index?id=1`: the mini program and its page.
    pub fn miniprogram(&self) -> Option<(&'a str, &'a str)> {
        self.get(MessagePart::Miniprogram)
            .map(|text| text.split_once('/').unwrap_or((text, "")))
    }
}

/// The kind of a part by the name that it has in a message.
fn kind(name: &str) -> Option<MessagePart> {
    if name.starts_with("field ") {
        return Some(MessagePart::Field);
    }
    MessagePart::ALL
        .iter()
        .find(|(_, n)| *n == name)
        .map(|(part, _)| *part)
}

/// Text as the content of a page.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        out.push_str("<p>");
        for c in line.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                c => out.push(c),
            }
        }
        out.push_str("</p>");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::platform;

    #[test]
    fn parts_by_name() {
        let text = |name: &str, value: &str| (name.to_string(), value.to_string());
        let content = Rendered {
            parts: vec![
                text("title", "双十一"),
                text("body", "满减\n<b>"),
                text("link", "https://a"),
                text("entry", "首页"),
            ],
        };
        let parts = MessageParts::of(
            &content,
            platform::endpoint("service_account", "mass").unwrap(),
        );
        assert_eq!(
            (
                parts.shape(),
                parts.text(MessagePart::Title),
                parts.get(MessagePart::Image)
            ),
            ("article", "双十一", None)
        );
        assert_eq!(parts.joined(), "满减\n<b>\n首页");
        assert_eq!(
            html(&parts.joined()),
            "<p>满减</p><p>&lt;b&gt;</p><p>首页</p>"
        );
        let content = Rendered {
            parts: vec![
                text("platform", "TM1"),
                text("field thing1", "包裹"),
                text("miniprogram", "wx1/pages/a?b=/c"),
            ],
        };
        let parts = MessageParts::of(
            &content,
            platform::endpoint("service_account", "template").unwrap(),
        );
        assert_eq!(parts.fields(), json!({"thing1": {"value": "包裹"}}));
        assert_eq!(parts.miniprogram(), Some(("wx1", "pages/a?b=/c")));
    }
}
