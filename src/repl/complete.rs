//! What could stand at the cursor: commands, keywords, tags, events, audiences, functions, and the
//! members of the enum that is compared.

use std::collections::BTreeSet;

use super::session::COMMANDS;
use crate::base::Type;
use crate::program::builtins;
use crate::program::typed::Program;
use crate::syntax::keyword;

/// The words that a condition can use, gathered once for each program.
pub struct Vocabulary {
    words: BTreeSet<String>,
    /// Tag name and the members of its enum.
    members: Vec<(String, Vec<String>)>,
}

impl Vocabulary {
    pub fn of(program: &Program) -> Self {
        let mut words: BTreeSet<String> = BTreeSet::new();
        words.extend(program.schema.tags.iter().map(|t| t.name.clone()));
        words.extend(program.schema.events.iter().map(|e| e.name.clone()));
        words.extend(program.audiences.iter().map(|a| a.declared.name.clone()));
        words.extend(program.partitions.iter().map(|p| p.declared.name.clone()));
        words.extend(program.lists.iter().map(|l| l.declared.name.clone()));
        words.extend(program.campaigns.iter().map(|c| c.declared.name.clone()));
        words.extend(builtins::BUILTINS.iter().map(|b| b.usage().name.to_owned()));
        words.extend(keyword::expression_words().map(str::to_owned));
        let of_type = |ty: &Type| {
            let one = if let Type::Set(of) = ty {
                of.as_ref()
            } else {
                ty
            };
            if let Type::Enum(members) = one {
                Some(members.members.clone())
            } else {
                None
            }
        };
        let tags = program
            .schema
            .tags
            .iter()
            .filter_map(|t| Some((t.name.clone(), of_type(&t.ty)?)));
        let partitions = program
            .partitions
            .iter()
            .filter_map(|p| Some((p.declared.name.clone(), of_type(&p.ty)?)));
        Vocabulary {
            words,
            members: tags.chain(partitions).collect(),
        }
    }

    /// Where the word at the cursor begins, and what could stand there.
    pub fn complete(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let before = line.get(..cursor).unwrap_or(line);
        if let Some((start, typed)) = open_string(before) {
            let Some(members) = self.compared_members(&before[..start]) else {
                return (cursor, Vec::new());
            };
            let fitting = members.iter().filter(|m| m.starts_with(typed));
            return (start + 1, fitting.map(|m| format!("{m}\"")).collect());
        }
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| c.is_alphanumeric() || *c == '_' || *c == ':')
            .last()
            .map_or(cursor, |(i, _)| i);
        let typed = &before[start..];
        if typed.starts_with(':') {
            return (
                start,
                COMMANDS
                    .iter()
                    .filter(|c| c.0.starts_with(typed))
                    .map(|c| c.0.to_string())
                    .collect(),
            );
        }
        (
            start,
            self.words
                .iter()
                .filter(|w| w.starts_with(typed) && !typed.is_empty())
                .cloned()
                .collect(),
        )
    }

    /// The members of the last enum named before the cursor.
    fn compared_members(&self, before: &str) -> Option<&Vec<String>> {
        let words = before
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|w| !w.is_empty());
        let words: Vec<&str> = words.collect();
        words
            .iter()
            .rev()
            .find_map(|w| self.members.iter().find(|(name, _)| name == w))
            .map(|(_, members)| members)
    }
}

/// The start of a string that is still open, and what is typed of it.
fn open_string(before: &str) -> Option<(usize, &str)> {
    let mut open: Option<(usize, char)> = None;
    for (i, c) in before.char_indices() {
        match open {
            None if c == '"' || c == '\'' => open = Some((i, c)),
            Some((_, quote)) if c == quote => open = None,
            _ => {}
        }
    }
    let (start, quote) = open?;
    before
        .get(start + quote.len_utf8()..)
        .map(|typed| (start, typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_follow_the_tag_that_is_compared() {
        let vocabulary = Vocabulary {
            words: ["region", "rest"].map(String::from).into(),
            members: vec![(
                "region".into(),
                vec!["Shanghai".into(), "Shenzhen".into(), "Beijing".into()],
            )],
        };
        let at_end = |line: &str| vocabulary.complete(line, line.len());
        assert_eq!(
            at_end("region == \"Sh"),
            (11, vec!["Shanghai\"".into(), "Shenzhen\"".into()])
        );
        assert_eq!(at_end("re"), (0, vec!["region".into(), "rest".into()]));
        assert_eq!(at_end(":he"), (0, vec![":help".into()]));
    }
}
