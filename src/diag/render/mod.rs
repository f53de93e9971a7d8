//! Findings to text: for people, for CI and for machines.

mod human;
mod machine;
mod sarif;
mod shown_path;

use super::{Finding, Sources};
use crate::base::Lang;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderFormat {
    /// With source excerpts, help and fixes, and a summary at the end.
    Human,
    /// One line a finding: `path:line:column: level[name]: message`.
    Concise,
    /// An array of findings.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// GitHub workflow commands.
    Github,
}

/// Renders findings; `lang` says in which language each one is worded.
pub fn render(
    format: RenderFormat,
    sources: &Sources,
    findings: &[Finding],
    lang: &dyn Fn(&Finding) -> Lang,
    color: bool,
) -> String {
    match format {
        RenderFormat::Human => human::render(sources, findings, lang, color),
        RenderFormat::Concise => machine::concise(sources, findings, lang),
        RenderFormat::Json => machine::json(sources, findings, lang),
        RenderFormat::Sarif => sarif::render(sources, findings, lang),
        RenderFormat::Github => machine::github(sources, findings, lang),
    }
}
