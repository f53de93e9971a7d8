//! Which texts are ids of users.

use super::cell::{self, Cell};
use crate::base::Msg;
use crate::msg;

/// Bytes of a user id.
pub const MAX_ID_BYTES: usize = 256;

/// The id in a cell.
pub(super) fn id_of(cell: &Cell<'_>) -> Result<String, Msg> {
    let text = match cell {
        Cell::Missing | Cell::Text("") => {
            return Err(msg!(
                "the user id is empty: every row needs one",
                "用户编号为空：每一行都要有"
            ));
        }
        other => cell::plain_text(other).ok_or_else(|| {
            msg!(
                "the user id is not text or a number",
                "用户编号既不是文本也不是数字"
            )
        })?,
    };
    check_id(&text)?;
    Ok(text)
}

/// Whether a text can be a user's id.
pub(super) fn check_id(text: &str) -> Result<(), Msg> {
    if text.len() > MAX_ID_BYTES {
        return Err(msg!(
            "the user id has {0} bytes, more than {MAX_ID_BYTES}",
            "用户编号有 {0} 字节，超过 {MAX_ID_BYTES}",
            text.len()
        ));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(msg!(
            "the user id has spaces around it or control characters in it: remove them",
            "用户编号前后有空格或含有控制字符：请去掉"
        ));
    }
    Ok(())
}
