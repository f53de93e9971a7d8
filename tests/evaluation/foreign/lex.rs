//! Words, numbers, strings and signs: much the same in both languages.

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Number(String),
    Text(String),
    Word(String),
    Sign(&'static str),
}

/// The longer before the shorter.
const SIGNS: [&str; 26] = [
    "..", "**", "==", "!=", "<=", ">=", "&&", "||", "<", ">", "=", "+", "-", "*", "/", "(", ")",
    "[", "]", "{", "}", ",", ".", "?", ":", "!",
];

/// `None` where neither language has such a text.
pub fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let second = rest.chars().nth(1);
        let (token, length) = if first == '"' || first == '\'' {
            let (text, length) = string(rest, first)?;
            (Token::Text(text), length)
        } else if first == 'r' && matches!(second, Some('"' | '\'')) {
            let quote = second?;
            let end = rest.get(2..)?.find(quote)?;
            (Token::Text(rest.get(2..2 + end)?.into()), end + 3)
        } else if first.is_ascii_digit()
            || first == '.' && second.is_some_and(|c| c.is_ascii_digit())
        {
            let length = number(rest);
            (Token::Number(rest.get(..length)?.into()), length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (Token::Word(rest.get(..length)?.into()), length)
        } else {
            let sign = SIGNS.into_iter().find(|s| rest.starts_with(s))?;
            (Token::Sign(sign), sign.len())
        };
        out.push(token);
        rest = rest.get(length..)?.trim_start();
    }
    Some(out)
}

/// The length of a number: `12`, `.99`, `1.0e+0`; in `1..10` the first is `1`.
fn number(text: &str) -> usize {
    let digits = |from: usize| {
        from + text[from..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len() - from)
    };
    let mut end = digits(0);
    if text[end..].starts_with('.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        if digits(end + 1 + sign) > end + 1 + sign {
            end = digits(end + 1 + sign);
        }
    }
    end
}

/// What a string says, and its length as written.
fn string(text: &str, quote: char) -> Option<(String, usize)> {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((String::from_utf16(&units).ok()?, at + 1));
        }
        let said = match c {
            '\\' => match text[at + 1..].chars().next()? {
                'u' => {
                    // Perhaps half of a pair: kept as it is until the string ends.
                    units.push(u16::try_from(hex(&text[at + 2..], 4)?).ok()?);
                    chars.nth(4);
                    continue;
                }
                'U' => {
                    let code = hex(&text[at + 2..], 6)?;
                    chars.nth(6);
                    char::from_u32(code)?
                }
                escaped => {
                    chars.next();
                    match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        other => other,
                    }
                }
            },
            other => other,
        };
        units.extend(said.encode_utf16(&mut [0; 2]).iter());
    }
    None
}

fn hex(text: &str, digits: usize) -> Option<u32> {
    u32::from_str_radix(text.get(..digits)?, 16).ok()
}
