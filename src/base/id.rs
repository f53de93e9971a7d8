//! Numbers of one kind never pass for numbers of another kind.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index into the table that handed it out.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A user's number in the store: given on first sight, never moved, never reused.
    UserNo,
    /// A source file of the program.
    FileId,
    /// A tag of the schema.
    TagId,
    /// A declared event of the schema.
    EventId,
    /// A lookup table of the program.
    LookupId,
    /// A list of user ids of the program.
    ListId,
    /// A partition of the program.
    PartitionId,
    /// A named audience of the program.
    AudienceId,
    /// A template of the program.
    TemplateId,
    /// A campaign of the program.
    CampaignId,
}
