//! Tags and events as the language declares them, for files that tagcast writes and lists that it
//! shows.

use std::fmt::Write;

use crate::base::{EventSchema, Layer, Schema, TagSchema, Type};

/// A name as a declaration writes it: quoted unless it is a plain word.
pub fn name(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars
        .next()
        .is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c))
        && chars.all(unicode_ident::is_xid_continue);
    if plain {
        name.into()
    } else {
        format!("`{name}`")
    }
}

/// A type as a declaration writes it.
pub fn ty(ty: &Type) -> String {
    match ty {
        Type::Enum(of) => {
            let members: Vec<String> = of.members.iter().map(|m| quoted(m)).collect();
            format!("enum({})", members.join(", "))
        }
        Type::Set(of) => format!("set of {}", self::ty(of)),
        Type::Elapsed => "elapsed".into(),
        Type::Calendar => "calendar".into(),
        Type::Address(account) => format!("address({})", name(account)),
        other => other.describe(),
    }
}

/// What stands behind the type: qualifiers, layer, documentation.
pub fn qualifiers(tag: &TagSchema, schema: &Schema) -> String {
    let mut words: Vec<String> = Vec::new();
    for (holds, word) in [
        (tag.always, "always"),
        (tag.private, "private"),
        (tag.consent, "consent"),
    ] {
        words.extend(holds.then(|| word.into()));
    }
    words.extend(
        tag.sensitive_by
            .and_then(|id| schema.tags.get(id.index()))
            .map(|t| format!("sensitive by {}", name(&t.name))),
    );
    words.extend(tag.layer.map(|l| match l {
        Layer::Base => "base".into(),
        Layer::Behavior => "behavior".into(),
        Layer::Predicted => "predicted".into(),
    }));
    words.extend(tag.refresh.as_ref().map(|r| format!("refresh {r}")));
    words.extend(tag.fresh.map(|f| format!("fresh {f}")));
    words.extend(tag.source.as_ref().map(|s| format!("from {}", quoted(s))));
    words.join(" ")
}

/// `tag` lines.
pub fn tags(schema: &Schema) -> String {
    let mut out = String::new();
    for tag in schema.tags.iter().filter(|t| !t.derived) {
        let line = format!(
            "tag {} {} {}",
            name(&tag.name),
            ty(&tag.ty),
            qualifiers(tag, schema)
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// An `event` line.
pub fn event(event: &EventSchema) -> String {
    let field = |f: &crate::base::FieldSchema| {
        format!(
            "{} {}{}",
            name(&f.name),
            ty(&f.ty),
            if f.optional { " optional" } else { "" }
        )
    };
    let fields: Vec<String> = event.fields.iter().map(field).collect();
    if fields.is_empty() {
        format!("event {} {{ }}", name(&event.name))
    } else {
        format!("event {} {{ {} }}", name(&event.name), fields.join(", "))
    }
}

/// A string literal.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings() {
        assert_eq!(
            [name("tenure"), name("地域"), name("a b"), name("1st")],
            ["tenure", "地域", "`a b`", "`1st`"]
        );
        assert_eq!(
            quoted("say \"hi\"\\\n\u{7}"),
            "\"say \\\"hi\\\"\\\\\\n\\u{7}\""
        );
    }
}
