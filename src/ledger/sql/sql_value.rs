//! What a column or a parameter holds, for both databases.

use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::ledger) enum SqlValue<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

pub(in crate::ledger) trait ToValue {
    fn value(&self) -> SqlValue<'_>;
}

pub(in crate::ledger) trait FromValue: Sized {
    fn of(value: SqlValue) -> Option<Self>;
}

macro_rules! whole_numbers {
    ($($t:ty),*) => {$(
        impl ToValue for $t {
            fn value(&self) -> SqlValue<'_> {
                SqlValue::Int(i64::from(*self))
            }
        }
        impl FromValue for $t {
            fn of(value: SqlValue) -> Option<Self> {
                if let SqlValue::Int(n) = value { <$t>::try_from(n).ok() } else { None }
            }
        }
    )*};
}
whole_numbers!(i64, i32, u32);

impl FromValue for usize {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Int(n) = value {
            usize::try_from(n).ok()
        } else {
            None
        }
    }
}

impl ToValue for bool {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Int(i64::from(*self))
    }
}

impl FromValue for bool {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Int(n) = value {
            Some(n != 0)
        } else {
            None
        }
    }
}

impl ToValue for str {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Text(self)
    }
}

impl ToValue for String {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Text(self)
    }
}

impl FromValue for String {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Text(text) = value {
            Some(text.to_owned())
        } else {
            None
        }
    }
}

impl ToValue for Vec<u8> {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Blob(self)
    }
}

impl FromValue for Vec<u8> {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Blob(bytes) = value {
            Some(bytes.to_vec())
        } else {
            None
        }
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn value(&self) -> SqlValue<'_> {
        self.as_ref().map_or(SqlValue::Null, ToValue::value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn of(value: SqlValue) -> Option<Self> {
        if value == SqlValue::Null {
            Some(None)
        } else {
            T::of(value).map(Some)
        }
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn value(&self) -> SqlValue<'_> {
        (**self).value()
    }
}

impl rusqlite::ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            SqlValue::Null => ValueRef::Null,
            SqlValue::Int(n) => ValueRef::Integer(*n),
            SqlValue::Text(text) => ValueRef::Text(text.as_bytes()),
            SqlValue::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

type Anything = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for SqlValue<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> std::result::Result<IsNull, Anything> {
        match (self, ty) {
            (SqlValue::Null, _) => Ok(IsNull::Yes),
            (SqlValue::Int(n), &Type::INT4) => i32::try_from(*n)?.to_sql(ty, out),
            (SqlValue::Int(n), &Type::INT8) => n.to_sql(ty, out),
            (SqlValue::Int(n), _) => n.to_string().to_sql(ty, out),
            (SqlValue::Text(text), _) => text.to_sql(ty, out),
            (SqlValue::Blob(bytes), _) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for SqlValue<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, Anything> {
        Ok(match *ty {
            Type::BOOL => SqlValue::Int(i64::from(bool::from_sql(ty, raw)?)),
            Type::INT2 => SqlValue::Int(i64::from(i16::from_sql(ty, raw)?)),
            Type::INT4 => SqlValue::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT8 => SqlValue::Int(i64::from_sql(ty, raw)?),
            Type::NUMERIC => SqlValue::Int(whole(raw).ok_or("a number that is not whole")?),
            Type::BYTEA => SqlValue::Blob(raw),
            _ => SqlValue::Text(std::str::from_utf8(raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Anything> {
        Ok(SqlValue::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A sum comes as digits to the base 10,000, the first of weight 10,000 to the `weight`.
fn whole(raw: &[u8]) -> Option<i64> {
    let word = |i: usize| {
        raw.get(2 * i..2 * i + 2)
            .and_then(|b| b.try_into().ok())
            .map(i16::from_be_bytes)
    };
    let (n, weight, sign) = (word(0)?, word(1)?, word(2)?);
    let mut value: i64 = 0;
    for i in 0..=weight {
        let digit = if i < n {
            word(4 + usize::try_from(i).ok()?)?
        } else {
            0
        };
        value = value.checked_mul(10_000)?.checked_add(i64::from(digit))?;
    }
    (n <= weight + 1).then_some(if sign == 0x4000 { -value } else { value })
}

/// What stands for the question marks of a statement.
pub(in crate::ledger) trait Params {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R;
}

impl Params for () {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R {
        f(&[])
    }
}

impl Params for &[&dyn ToValue] {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R {
        let values: Vec<SqlValue> = self.iter().map(|v| v.value()).collect();
        f(&values)
    }
}

impl<T: ToValue, const N: usize> Params for [T; N] {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R {
        f(&self.each_ref().map(ToValue::value))
    }
}

macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$(&$value as &dyn $crate::ledger::sql::ToValue),*] as &[&dyn $crate::ledger::sql::ToValue] };
}
pub(in crate::ledger) use params;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read() {
        let raw = |words: &[i16]| {
            words
                .iter()
                .flat_map(|w| w.to_be_bytes())
                .collect::<Vec<u8>>()
        };
        assert_eq!(whole(&raw(&[0, 0, 0, 0])), Some(0));
        assert_eq!(whole(&raw(&[2, 1, 0, 0, 12, 3456])), Some(123_456));
        assert_eq!(whole(&raw(&[1, 1, 0x4000, 0, 7])), Some(-70_000));
        assert_eq!(whole(&raw(&[2, 0, 0, 1, 1, 5000])), None);
    }
}
