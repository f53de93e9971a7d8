//! One change, read from JSON and held to the declarations before anything is written.

use crate::base::Msg;
use crate::msg;
use serde_json::{Map, Value as Json};

use crate::base::{Elapsed, Instant, Schema, Value};
use crate::store::import::Reading;

/// How far ahead of the clock an event may be: clocks of two machines differ.
pub const FUTURE: Elapsed = Elapsed::minutes(5);
/// Bytes of a user id, and of an event's id.
const MAX_ID: usize = 256;

/// What happened to one user.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A tag got a value, or lost it.
    Tag {
        user: String,
        tag: String,
        value: Option<Value>,
        at: Instant,
    },
    /// A user did something. With an id, the same event twice counts once.
    Event {
        user: String,
        event: String,
        at: Instant,
        id: Option<String>,
        fields: Vec<Option<Value>>,
    },
}

impl Change {
    pub fn user(&self) -> &str {
        match self {
            Change::Tag { user, .. } | Change::Event { user, .. } => user,
        }
    }

    /// The changes of a line `{"user": "u1", "tags": {"city": "Shanghai", "age": null}}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_tags(
        json: &Json,
        schema: &Schema,
        reading: &Reading,
        now: Instant,
    ) -> Result<Vec<Change>, Msg> {
        let object = object(json, &["user", "tags"])?;
        let user = user_of(object)?;
        let Some(Json::Object(tags)) = object.get("tags") else {
            return Err(msg!(
                "`tags` is missing: an object of tags and values",
                "缺少 `tags`：应为标签与值的对象"
            ));
        };
        if tags.is_empty() {
            return Err(msg!(
                "`tags` says nothing: write `{{\"city\": \"Shanghai\"}}`",
                "`tags` 没有内容：请写成 `{{\"city\": \"Shanghai\"}}`"
            ));
        }
        tags.iter()
            .map(|(name, value)| Change::of_tag(&user, name, value, schema, reading, now))
            .collect()
    }

    /// One tag of one user; null takes the value away.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_tag(
        user: &str,
        name: &str,
        json: &Json,
        schema: &Schema,
        reading: &Reading,
        now: Instant,
    ) -> Result<Change, Msg> {
        checked_id(user, "user", "用户编号")?;
        let tag = schema
            .tag_named(name)
            .and_then(|id| schema.tags.get(id.index()));
        let Some(tag) = tag else {
            return Err(msg!("no tag `{name}` is declared", "没有声明标签 `{name}`"));
        };
        if tag.derived {
            return Err(msg!(
                "`{name}` is a derived tag: its value comes from its expression",
                "`{name}` 是推导标签，值来自其表达式"
            ));
        }
        let value = reading
            .json_of_tag(json, tag)
            .map_err(|why| within(name, &why))?;
        if value.is_none() && tag.always {
            return Err(msg!(
                "`{name}` is declared `always`: it cannot be taken away",
                "`{name}` 声明为 `always`，不能去掉它的值"
            ));
        }
        Ok(Change::Tag {
            user: user.into(),
            tag: name.into(),
            value,
            at: now,
        })
    }

    /// The change of a line `{"event": "purchase", "user": "u1", "at": "…", "id": "…", "amount":
    /// 12.5}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_event(
        json: &Json,
        schema: &Schema,
        reading: &Reading,
        now: Instant,
    ) -> Result<Change, Msg> {
        let Json::Object(object) = json else {
            return Err(msg!("not a JSON object", "不是 JSON 对象"));
        };
        let user = user_of(object)?;
        let name = match object.get("event") {
            Some(Json::String(name)) => name,
            _ => {
                return Err(msg!(
                    "`event` is missing: the name of a declared event",
                    "缺少 `event`：已声明事件的名称"
                ));
            }
        };
        let Some(event) = schema
            .event_named(name)
            .and_then(|id| schema.events.get(id.index()))
        else {
            return Err(msg!(
                "no event `{name}` is declared",
                "没有声明事件 `{name}`"
            ));
        };
        let at = match object.get("at") {
            None | Some(Json::Null) => now,
            Some(at) => match reading
                .json(at, &crate::base::Type::Instant)
                .map_err(|why| within("at", &why))?
            {
                Some(Value::Instant(at)) => at,
                _ => now,
            },
        };
        if at > now.plus(FUTURE) {
            return Err(msg!(
                "`at` lies more than 5 minutes ahead",
                "`at` 比现在晚 5 分钟以上"
            ));
        }
        let id = match object.get("id") {
            None | Some(Json::Null) => None,
            Some(Json::String(id)) => Some(checked_id(id, "id", "事件编号")?.to_owned()),
            Some(_) => return Err(msg!("`id` is not a text", "`id` 不是文本")),
        };
        let known = ["event", "user", "at", "id"];
        if let Some(other) = object
            .keys()
            .find(|k| !known.contains(&k.as_str()) && !event.fields.iter().any(|f| f.name == **k))
        {
            return Err(msg!(
                "the event `{name}` has no field `{other}`",
                "事件 `{name}` 没有字段 `{other}`"
            ));
        }
        let mut fields = Vec::with_capacity(event.fields.len());
        for field in &event.fields {
            let given = object.get(&field.name).unwrap_or(&Json::Null);
            let value = reading
                .json(given, &field.ty)
                .map_err(|why| within(&field.name, &why))?;
            if value.is_none() && !field.optional {
                let name = &field.name;
                return Err(msg!(
                    "`{name}` is missing, and the field is not `optional`",
                    "缺少 `{name}`，而该字段不是 `optional`"
                ));
            }
            fields.push(value);
        }
        Ok(Change::Event {
            user,
            event: name.clone(),
            at,
            id,
            fields,
        })
    }
}

fn object<'a>(json: &'a Json, keys: &[&str]) -> Result<&'a Map<String, Json>, Msg> {
    let Json::Object(object) = json else {
        return Err(msg!("not a JSON object", "不是 JSON 对象"));
    };
    match object.keys().find(|k| !keys.contains(&k.as_str())) {
        Some(other) => Err(msg!("`{other}` is not known here", "这里不认识 `{other}`")),
        None => Ok(object),
    }
}

fn user_of(object: &Map<String, Json>) -> Result<String, Msg> {
    match object.get("user") {
        Some(Json::String(user)) => checked_id(user, "user", "用户编号").map(str::to_owned),
        Some(Json::Number(n)) => Ok(n.to_string()),
        _ => Err(msg!(
            "`user` is missing: the user's id",
            "缺少 `user`：用户编号"
        )),
    }
}

fn checked_id<'a>(id: &'a str, en: &str, zh: &str) -> Result<&'a str, Msg> {
    match id.trim() {
        "" => Err(msg!("`{en}` is empty", "`{zh}` 为空")),
        trimmed if trimmed.len() > MAX_ID => Err(msg!(
            "`{en}` is longer than {MAX_ID} bytes",
            "`{zh}` 超过 {MAX_ID} 字节"
        )),
        trimmed => Ok(trimmed),
    }
}

fn within(name: &str, why: &Msg) -> Msg {
    Msg {
        en: format!("{name}: {}", why.en),
        zh: format!("{name}：{}", why.zh),
    }
}
