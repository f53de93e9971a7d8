//! A setting of an account, as its platform declares it: once, for the configuration file, error
//! messages, documentation and tests.

/// A key of `[accounts.NAME]` in `tagcast.toml`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettingField {
    pub name: &'static str,
    pub kind: SettingKind,
    pub needed: Needed,
    /// What it is, in Markdown, for `docs/channels.md`.
    pub doc: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettingKind {
    Text,
    Integer,
    /// A number of 0 or more.
    Count,
    Flag,
    /// The name of a file, relative to the folder of `tagcast.toml`; the value is its text.
    File,
    /// Never written itself: `NAME_env` names a variable of the environment, `NAME_file` a file that
    /// only its owner may read.
    Secret,
}

/// What an account needs the setting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needed {
    Always,
    /// The endpoint of this name does not send without it; the others do.
    ByEndpoint(&'static str),
    Optional,
}

impl SettingField {
    pub const fn text(name: &'static str, doc: &'static str) -> Self {
        SettingField::new(name, SettingKind::Text, doc)
    }

    pub const fn integer(name: &'static str, doc: &'static str) -> Self {
        SettingField::new(name, SettingKind::Integer, doc)
    }

    pub const fn count(name: &'static str, doc: &'static str) -> Self {
        SettingField::new(name, SettingKind::Count, doc)
    }

    pub const fn flag(name: &'static str, doc: &'static str) -> Self {
        SettingField::new(name, SettingKind::Flag, doc)
    }

    pub const fn file(name: &'static str, doc: &'static str) -> Self {
        SettingField::new(name, SettingKind::File, doc)
    }

    pub const fn secret(name: &'static str, doc: &'static str) -> Self {
        SettingField::new(name, SettingKind::Secret, doc)
    }

    const fn new(name: &'static str, kind: SettingKind, doc: &'static str) -> Self {
        SettingField {
            name,
            kind,
            needed: Needed::Optional,
            doc,
        }
    }

    #[must_use]
    pub const fn required(self) -> Self {
        SettingField {
            needed: Needed::Always,
            ..self
        }
    }

    #[must_use]
    pub const fn required_by(self, endpoint: &'static str) -> Self {
        SettingField {
            needed: Needed::ByEndpoint(endpoint),
            ..self
        }
    }

    /// The keys that it has in the file; the first is the one to suggest.
    pub fn keys(&self) -> Vec<String> {
        let name = self.name;
        match self.kind {
            SettingKind::Secret => vec![format!("{name}_env"), format!("{name}_file")],
            SettingKind::Text
            | SettingKind::Integer
            | SettingKind::Count
            | SettingKind::Flag
            | SettingKind::File => vec![name.to_owned()],
        }
    }

    /// The key to suggest to who lacks it.
    pub fn key(&self) -> String {
        self.keys().remove(0)
    }
}
