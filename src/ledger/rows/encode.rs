//! Columns as bytes: who, where to, with which text; sets of users. What is frozen for a segment is
//! one blob a column.
//!
//! Everything is little-endian; `varint` is seven bits a byte, lowest first. A blob with personal
//! data begins with sixteen bytes of salt, so that its digest says nothing about what is in it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::world::World;
use crate::base::{Bitmap, UserNo};
use crate::decide::decision::Rendered;

pub(in crate::ledger) type Salt = [u8; 16];
/// For what is not personal: equal content has an equal digest.
pub(in crate::ledger) const NO_SALT: Salt = [0; 16];

/// New random bytes.
pub(in crate::ledger) fn salt(world: &dyn World) -> Salt {
    let mut salt = NO_SALT;
    let (a, b) = salt.split_at_mut(8);
    a.copy_from_slice(&world.unique().to_le_bytes());
    b.copy_from_slice(&world.unique().to_le_bytes());
    salt
}

/// Reads a blob from front to back; `None` as soon as it does not fit.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<usize> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = *self.bytes(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return usize::try_from(value).ok();
            }
            shift += 7;
            if shift > 56 {
                return None;
            }
        }
    }

    /// A length, and as many bytes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let n = self.varint()?;
        self.bytes(n)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn put_varint(out: &mut Vec<u8>, value: usize) {
    let mut value = value as u64;
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

// ------------------------------------------------------------------ users

/// User numbers in the order given.
pub(in crate::ledger) fn users(users: &[UserNo]) -> Vec<u8> {
    users.iter().flat_map(|u| u.0.to_le_bytes()).collect()
}

pub(in crate::ledger) fn read_users(data: &[u8]) -> Option<Vec<UserNo>> {
    let (words, rest) = data.as_chunks::<4>();
    rest.is_empty().then(|| {
        words
            .iter()
            .map(|w| UserNo(u32::from_le_bytes(*w)))
            .collect()
    })
}

/// Where a user stands in a blob of users.
pub(in crate::ledger) fn find_user(data: &[u8], user: UserNo) -> Option<usize> {
    let wanted = user.0.to_le_bytes();
    data.as_chunks::<4>().0.iter().position(|w| *w == wanted)
}

const WORDS: u8 = 0;
const MEMBERS: u8 = 1;
const OTHERS: u8 = 2;

/// A set of users in the shortest of three forms: all its words, its members, or those who are not
/// in it.
pub(in crate::ledger) fn bitmap(map: &Bitmap) -> Vec<u8> {
    let members = map.count();
    let others = map.len() - members;
    let mut out = Vec::new();
    let list =
        |out: &mut Vec<u8>, map: &Bitmap| out.extend(map.iter().flat_map(|u| u.0.to_le_bytes()));
    if members.min(others) * 4 >= map.words().len() * 8 {
        out.push(WORDS);
        put_varint(&mut out, map.len());
        out.extend(map.words().iter().flat_map(|w| w.to_le_bytes()));
    } else if members <= others {
        out.push(MEMBERS);
        put_varint(&mut out, map.len());
        list(&mut out, map);
    } else {
        out.push(OTHERS);
        put_varint(&mut out, map.len());
        list(&mut out, &map.complement());
    }
    out
}

pub(in crate::ledger) fn read_bitmap(data: &[u8]) -> Option<Bitmap> {
    let mut reader = Reader(data);
    let form = *reader.bytes(1)?.first()?;
    let len = reader.varint().filter(|n| u32::try_from(*n).is_ok())?;
    match form {
        WORDS => {
            let (words, rest) = reader.0.as_chunks::<8>();
            let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
            (rest.is_empty() && words.len() == len.div_ceil(64))
                .then(|| Bitmap::from_words(words, len))
        }
        MEMBERS => Some(Bitmap::from_users(len, read_users(reader.0)?)),
        OTHERS => Some(Bitmap::from_users(len, read_users(reader.0)?).complement()),
        _ => None,
    }
}

// ------------------------------------------------------------------ texts

/// Addresses, or the ids that a platform gave.
pub(in crate::ledger) fn strings<S: AsRef<str>>(texts: &[S], salt: Salt) -> Vec<u8> {
    let mut out = salt.to_vec();
    texts
        .iter()
        .for_each(|t| put_string(&mut out, t.as_ref().as_bytes()));
    out
}

pub(in crate::ledger) fn read_strings(data: &[u8]) -> Option<Vec<Arc<str>>> {
    let mut reader = Reader(data);
    reader.bytes(NO_SALT.len())?;
    let mut out = Vec::new();
    while !reader.0.is_empty() {
        out.push(std::str::from_utf8(reader.string()?).ok()?.into());
    }
    Some(out)
}

/// Rendered messages, one a user or one for all. Each different text is kept once, as what differs
/// from the one before it: personal texts are mostly the template.
pub(in crate::ledger) fn contents(all: &[Arc<Rendered>], salt: Salt) -> Vec<u8> {
    let mut numbers: HashMap<&Rendered, u32> = HashMap::new();
    let mut different: Vec<&Rendered> = Vec::new();
    let index: Vec<u32> = all
        .iter()
        .map(|one| {
            *numbers.entry(one).or_insert_with(|| {
                different.push(one);
                different.len() as u32 - 1
            })
        })
        .collect();
    let mut out = salt.to_vec();
    put_varint(&mut out, different.len());
    let (mut before, mut text) = (Vec::new(), Vec::new());
    for one in &different {
        text.clear();
        put_varint(&mut text, one.parts.len());
        for (name, value) in &one.parts {
            put_string(&mut text, name.as_bytes());
            put_string(&mut text, value.as_bytes());
        }
        let head = before.iter().zip(&text).take_while(|(a, b)| a == b).count();
        let tail = before[head..]
            .iter()
            .rev()
            .zip(text[head..].iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        put_varint(&mut out, head);
        put_varint(&mut out, tail);
        put_string(&mut out, &text[head..text.len() - tail]);
        std::mem::swap(&mut before, &mut text);
    }
    if different.len() > 1 {
        out.extend(index.iter().flat_map(|i| i.to_le_bytes()));
    }
    out
}

/// The contents of `users` messages.
pub(in crate::ledger) fn read_contents(data: &[u8], users: usize) -> Option<Vec<Arc<Rendered>>> {
    let mut reader = Reader(data);
    reader.bytes(NO_SALT.len())?;
    let n = reader.varint()?;
    let (mut different, mut before) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let (head, tail) = (reader.varint()?, reader.varint()?);
        let middle = reader.string()?;
        if head.checked_add(tail)? > before.len() {
            return None;
        }
        let tail = before.get(before.len().checked_sub(tail)?..)?;
        let text = [before.get(..head)?, middle, tail].concat();
        different.push(Arc::new(read_rendered(&text)?));
        before = text;
    }
    if let [one] = &different[..] {
        reader.end()?;
        return Some(vec![one.clone(); users]);
    }
    let index = read_users(reader.0).filter(|i| i.len() == users)?;
    index
        .iter()
        .map(|i| different.get(i.index()).cloned())
        .collect()
}

fn read_rendered(text: &[u8]) -> Option<Rendered> {
    let mut reader = Reader(text);
    let mut parts = Vec::new();
    for _ in 0..reader.varint()? {
        let (name, value) = (reader.string()?, reader.string()?);
        parts.push((
            std::str::from_utf8(name).ok()?.to_owned(),
            std::str::from_utf8(value).ok()?.to_owned(),
        ));
    }
    reader.end()?;
    Some(Rendered { parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered(text: &str) -> Arc<Rendered> {
        Arc::new(Rendered {
            parts: vec![
                ("title".into(), "双十一".into()),
                ("body".into(), text.into()),
            ],
        })
    }

    #[test]
    fn sets_take_the_shortest_form() {
        let few = Bitmap::from_users(1_000_000, [3, 999_999].map(UserNo));
        let half = Bitmap::from_users(1000, (0..1000).step_by(2).map(UserNo));
        for map in [Bitmap::none(0), few.clone(), few.complement(), half.clone()] {
            assert_eq!(read_bitmap(&bitmap(&map)), Some(map));
        }
        assert!(
            bitmap(&few).len() < 16
                && bitmap(&few.complement()).len() < 16
                && bitmap(&half).len() < 160
        );
    }

    #[test]
    fn alike_texts_are_small() {
        let all: Vec<_> = (0..1000)
            .map(|i| {
                rendered(&format!(
                    "尊敬的用户{i},您所在的城市门店满300减50,本周末有效,详情请到店咨询"
                ))
            })
            .collect();
        let data = contents(&all, NO_SALT);
        assert!(data.len() < 20 * 1000, "{}", data.len());
        assert_eq!(read_contents(&data, 1000), Some(all));
        let same = vec![rendered("满300减50"); 3];
        assert_eq!(read_contents(&contents(&same[..1], NO_SALT), 3), Some(same));
    }

    proptest! {
        #[test]
        fn columns_come_back(texts in prop::collection::vec(".{0,12}", 0..20), numbers in prop::collection::vec(any::<u32>(), 0..20)) {
            let users_in: Vec<_> = numbers.into_iter().map(UserNo).collect();
            prop_assert_eq!(read_users(&users(&users_in)), Some(users_in));
            let back = read_strings(&strings(&texts, [7; 16])).unwrap();
            prop_assert_eq!(back.iter().map(|s| s.to_string()).collect::<Vec<_>>(), texts.clone());
            let all: Vec<_> = texts.iter().map(|t| rendered(t)).collect();
            prop_assert_eq!(read_contents(&contents(&all, NO_SALT), all.len()), Some(all));
        }

        #[test]
        fn damaged_bytes_are_refused_or_read(data in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read_bitmap(&data), read_strings(&data), read_contents(&data, 3), read_users(&data));
        }
    }
}
