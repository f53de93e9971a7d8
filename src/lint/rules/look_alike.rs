//! `look-alike`: names that read the same and are not, characters of another script inside a word,
//! and invisible controls that turn text around.

use std::collections::BTreeMap;

use unicode_security::MixedScript;
use unicode_security::confusable_detection::skeleton;

use crate::diag::{Code, Finding, Findings, Span};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::typed::Declared;

pub static RULE: Rule = Rule {
    code: Code::lint("look-alike", include_str!("look_alike.md")),
    check,
};

/// Bidirectional and other invisible controls (Unicode Technical Report 36).
const CONTROLS: [char; 14] = [
    '\u{061C}', '\u{200B}', '\u{200E}', '\u{200F}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}',
    '\u{202E}', '\u{2060}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

fn check(cx: &LintContext, out: &mut Findings) {
    for file in cx.files {
        let text = cx.sources.text(file.id);
        for (at, c) in text.char_indices().filter(|(_, c)| CONTROLS.contains(c)) {
            let code = c as u32;
            let span = Span::new(file.id, at, at + c.len_utf8());
            let message = msg!(
                "an invisible control character (U+{code:04X}) stands here",
                "这里有一个不可见的控制字符（U+{code:04X}）"
            );
            let finding = Finding::new(&RULE.code, span, message).help(msg!(
                "what it hides or turns around is not what runs",
                "它会隐藏或颠倒显示的内容"
            ));
            out.push(finding.fix(msg!("delete it", "删除它"), span, "", false));
        }
    }
    let mut seen: BTreeMap<String, &Declared> = BTreeMap::new();
    for declared in all(cx) {
        let name = declared.name.as_str();
        // Chinese names mix with Latin and digits as a matter of course.
        let alphabetic: String = name.chars().filter(|c| !is_han(*c)).collect();
        if !alphabetic.is_empty()
            && !alphabetic.is_ascii()
            && !alphabetic.as_str().is_single_script()
        {
            let message = msg!(
                "`{name}` mixes letters of different alphabets that look alike",
                "`{name}` 混用了外形相似的不同字母表"
            );
            out.push(
                Finding::new(&RULE.code, declared.name_span, message).help(msg!(
                    "type it anew with one keyboard",
                    "请用同一种输入法重新输入"
                )),
            );
        }
        let shape: String = skeleton(name).collect();
        match seen.get(&shape) {
            Some(first) if first.name != declared.name => {
                let other = &first.name;
                let message = msg!(
                    "`{name}` looks like `{other}` and is another name",
                    "`{name}` 与 `{other}` 看起来相同，却是不同的名称"
                );
                let finding = Finding::new(&RULE.code, declared.name_span, message)
                    .label(
                        first.name_span,
                        msg!("the name that it looks like", "与之相似的名称"),
                    )
                    .help(msg!(
                        "give one of them a name that cannot be mistaken",
                        "请为其中之一换一个不会混淆的名称"
                    ));
                out.push(finding);
            }
            Some(_) => {}
            None => {
                seen.insert(shape, declared);
            }
        }
    }
}

fn is_han(c: char) -> bool {
    matches!(c as u32, 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// All declarations, in the order of their places.
fn all<'a>(cx: &LintContext<'a>) -> Vec<&'a Declared> {
    let p = cx.program;
    let mut out: Vec<&Declared> = p.tags.iter().filter_map(|t| t.declared.as_ref()).collect();
    out.extend(&p.events);
    out.extend(p.lookups.iter().map(|d| &d.declared));
    out.extend(p.lists.iter().map(|d| &d.declared));
    out.extend(p.places.iter().map(|d| &d.declared));
    out.extend(p.partitions.iter().map(|d| &d.declared));
    out.extend(p.audiences.iter().map(|d| &d.declared));
    out.extend(p.templates.iter().map(|d| &d.declared));
    out.extend(p.campaigns.iter().map(|d| &d.declared));
    out.sort_by_key(|d| d.name_span);
    out
}
