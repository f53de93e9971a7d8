//! The page of a finding, for a terminal.

use super::Code;
use crate::base::Lang;

/// The page of a finding: English, or its Chinese part where it has one.
pub fn page(code: &Code, lang: Lang, color: bool) -> String {
    let (en, zh) = match code.page.split_once("\n## 中文\n") {
        Some((en, zh)) => (en, Some(zh)),
        None => (code.page, None),
    };
    let heading = format!("# {}\n", code.name);
    let text = match (lang, zh) {
        (Lang::Zh, Some(zh)) => format!("{heading}{zh}{}", examples(en)),
        _ => en.to_string(),
    };
    if color {
        paint(&text)
    } else {
        text.trim_end().to_string() + "\n"
    }
}

/// The `bad` and `good` blocks, which need no translation.
fn examples(page: &str) -> String {
    page.find("\n## Bad")
        .map_or(String::new(), |at| page[at..].to_string())
}

/// The name of the code that a misspelt one is nearest to.
pub fn nearest(name: &str, codes: &[&'static Code]) -> Option<&'static str> {
    let near = codes
        .iter()
        .map(|c| (strsim::damerau_levenshtein(c.name, name), c.name))
        .min()?;
    (near.0 <= 1 + name.len() / 3).then_some(near.1)
}

/// Headings bold, code dim green; marks of Markdown stay, for they read well.
fn paint(text: &str) -> String {
    let (mut out, mut code) = (String::new(), false);
    for line in text.trim_end().lines() {
        let fence = line.starts_with("```");
        let style = if line.starts_with('#') {
            "1"
        } else if fence || code {
            "32"
        } else {
            ""
        };
        code ^= fence;
        if style.is_empty() {
            out.push_str(line)
        } else {
            out.push_str(&format!("\u{1b}[{style}m{line}\u{1b}[0m"))
        }
        out.push('\n');
    }
    out
}
