//! A line of JSON that says each thing once: of a key that is there twice nobody knows which one
//! was meant.

use crate::base::Msg;
use crate::msg;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

/// Reads a line.
///
/// # Errors
/// What is no JSON, and a key that an object has twice.
pub fn json_of(line: &[u8]) -> Result<Json, Msg> {
    let json = serde_json::from_slice(line).map_err(|e| not_json(&e))?;
    match serde_json::from_slice::<Repeated>(line)
        .map_err(|e| not_json(&e))?
        .0
    {
        Some(key) => Err(msg!(
            "`{key}` is there twice: write it once",
            "`{key}` 出现了两次：请只写一次"
        )),
        None => Ok(json),
    }
}

/// Why a line is no JSON.
pub(in crate::store) fn not_json(error: &serde_json::Error) -> Msg {
    let column = error.column();
    if error.is_eof() {
        msg!(
            "the line ends before its JSON does: correct it",
            "该行的 JSON 不完整：请更正"
        )
    } else {
        msg!(
            "the line is not valid JSON at character {column}: correct it",
            "该行在第 {column} 个字符处不是有效的 JSON：请更正"
        )
    }
}

/// The first key that an object in it has twice.
struct Repeated(Option<String>);

impl<'de> Deserialize<'de> for Repeated {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Look).map(Repeated)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut seen, mut found) = (BTreeSet::new(), None);
        while let Some(key) = map.next_key::<String>()? {
            let inside = map.next_value::<Repeated>()?.0;
            found = found.or(inside);
            if !seen.insert(key.clone()) {
                found = found.or(Some(key));
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while let Some(Repeated(inside)) = seq.next_element()? {
            if inside.is_some() {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(inside);
            }
        }
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_named() {
        let why = |line: &str| json_of(line.as_bytes()).map(drop).map_err(|why| why.en);
        for sound in [
            r#"{"user":"u1","tags":{"a":1,"b":null,"c":[{"x":1.5},{"x":"t"}],"d":99999999999999999999.25}}"#,
            "[]",
            "true",
            "-3",
        ] {
            assert_eq!(why(sound), Ok(()), "{sound}");
        }
        assert_eq!(
            why(r#"{"user":"u1","tags":{"age":1,"age":2}}"#),
            Err("`age` is there twice: write it once".into())
        );
        assert_eq!(
            why(r#"{"a":[1,{"x":1,"\u0078":2},3]}"#),
            Err("`x` is there twice: write it once".into())
        );
        assert_eq!(
            why(r#"{"a":1"#),
            Err("the line ends before its JSON does: correct it".into())
        );
        assert_eq!(
            why("{]"),
            Err("the line is not valid JSON at character 2: correct it".into())
        );
    }
}
