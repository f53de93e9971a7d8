//! A finding as data. Both wordings are made where it is raised; which one is shown is decided
//! where it is rendered.

use super::{Code, Level, Span};
use crate::base::Msg;

/// A second place that is involved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    pub span: Span,
    pub text: Msg,
}

/// Replace the text under `span`; an empty span inserts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    pub span: Span,
    pub text: String,
}

/// A change that a machine can apply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fix {
    pub title: Msg,
    pub edits: Vec<Edit>,
    /// It keeps the meaning, or the text had none: may be applied unasked.
    pub safe: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub code: &'static Code,
    pub level: Level,
    pub message: Msg,
    pub span: Span,
    /// What is said right at the primary span, if more than the message.
    pub label: Option<Msg>,
    pub labels: Vec<Label>,
    /// What to write instead.
    pub help: Vec<Msg>,
    pub fixes: Vec<Fix>,
}

impl Finding {
    pub fn new(code: &'static Code, span: Span, message: Msg) -> Self {
        Finding {
            code,
            level: code.level,
            message,
            span,
            label: None,
            labels: Vec::new(),
            help: Vec::new(),
            fixes: Vec::new(),
        }
    }

    #[must_use]
    pub fn here(mut self, text: Msg) -> Self {
        self.label = Some(text);
        self
    }

    #[must_use]
    pub fn label(mut self, span: Span, text: Msg) -> Self {
        self.labels.push(Label { span, text });
        self
    }

    #[must_use]
    pub fn help(mut self, text: Msg) -> Self {
        self.help.push(text);
        self
    }

    /// Adds a fix that replaces one place.
    #[must_use]
    pub fn fix(self, title: Msg, span: Span, text: impl Into<String>, safe: bool) -> Self {
        self.fix_all(
            title,
            vec![Edit {
                span,
                text: text.into(),
            }],
            safe,
        )
    }

    #[must_use]
    pub fn fix_all(mut self, title: Msg, edits: Vec<Edit>, safe: bool) -> Self {
        self.fixes.push(Fix { title, edits, safe });
        self
    }
}

/// All findings of a run, in no order until [`Findings::sorted`].
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    pub fn push(&mut self, finding: Finding) {
        self.list.push(finding);
    }

    pub fn extend(&mut self, other: Findings) {
        self.list.extend(other.list);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn has_errors(&self) -> bool {
        self.worst() == Some(Level::Error)
    }

    pub fn worst(&self) -> Option<Level> {
        self.list.iter().map(|f| f.level).max()
    }

    /// By file, place and name, without repeats: the same program gives the same list.
    pub fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| {
            (a.span, a.code.name, &a.message.en).cmp(&(b.span, b.code.name, &b.message.en))
        });
        self.list.dedup();
        self.list
    }
}
