//! Gates that look at what a message says: words that policy forbids, and the channel's limits of
//! length.

use super::decision::Rendered;
use super::words::ForbiddenWords;
use crate::program::platform::{self, LimitOf, MessagePart, Platform, Shape};
use crate::program::typed::{ChannelName, PartKind, Template};

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    BlockedWords,
    TooLong,
    /// A hole has no value.
    MissingContent,
    /// Too few users have this text for a channel that takes lists.
    TooFewForList,
}

/// What a template's messages must keep to on one channel.
pub struct ContentCheck<'a> {
    words: &'a ForbiddenWords,
    template: &'a Template,
    parts: Vec<MessagePart>,
    shape: Option<(&'static Platform, &'static Shape)>,
}

impl<'a> ContentCheck<'a> {
    pub fn new(words: &'a ForbiddenWords, template: &'a Template, channel: &ChannelName) -> Self {
        let parts: Vec<MessagePart> = template
            .parts
            .iter()
            .map(|p| MessagePart::of(&p.kind))
            .collect();
        // That the channel can carry the parts is the checker's to say.
        let shape = platform::find(&channel.platform).and_then(|platform| {
            Some((
                platform,
                platform.endpoint(&channel.endpoint)?.shape_for(&parts)?,
            ))
        });
        ContentCheck {
            words,
            template,
            parts,
            shape,
        }
    }

    pub fn judge(&self, message: &Rendered) -> Option<Problem> {
        if self.words.block(message) {
            return Some(Problem::BlockedWords);
        }
        let (platform, shape) = self.shape?;
        let too_long =
            self.over_a_limit(shape, message) || self.over_a_field(platform, shape, message);
        too_long.then_some(Problem::TooLong)
    }

    /// As the checker counts: the parts of the joined text each on its own line. Limits from
    /// hearsay stop nobody.
    fn over_a_limit(&self, shape: &Shape, message: &Rendered) -> bool {
        let texts = |want: MessagePart| {
            message
                .parts
                .iter()
                .zip(&self.parts)
                .filter(move |(_, part)| **part == want)
                .map(|((_, text), _)| text)
        };
        shape
            .limits
            .iter()
            .filter(|limit| !limit.unverified)
            .any(|limit| {
                let length: u64 = match limit.of {
                    LimitOf::Title => texts(MessagePart::Title).map(|t| limit.unit.of(t)).sum(),
                    LimitOf::Fields => texts(MessagePart::Field).map(|t| limit.unit.of(t)).sum(),
                    LimitOf::Text => {
                        let lines: Vec<u64> = shape
                            .joined
                            .iter()
                            .filter_map(|part| texts(*part).next())
                            .map(|t| limit.unit.of(t))
                            .collect();
                        lines.iter().sum::<u64>() + (lines.len() as u64).saturating_sub(1)
                    }
                };
                length > u64::from(limit.max)
            })
    }

    fn over_a_field(&self, platform: &Platform, shape: &Shape, message: &Rendered) -> bool {
        message
            .parts
            .iter()
            .zip(&self.template.parts)
            .any(|((_, text), part)| match &part.kind {
                PartKind::Field(name) => {
                    let ty = platform.field_type(shape, name);
                    let max = ty.and_then(|ty| {
                        if text.is_ascii() {
                            ty.max_ascii.or(ty.max)
                        } else {
                            ty.max
                        }
                    });
                    max.is_some_and(|max| text.chars().count() as u64 > u64::from(max))
                }
                _ => false,
            })
    }
}
