//! What came back for one request to a platform, and what it means for what was to be sent.

use serde_json::Value;

use super::client::TransportError;
use crate::deliver::channel::NextAction;
use crate::ledger::{Refusal, Verdict};

/// What came back.
#[derive(Clone, Debug)]
pub enum ApiResponse {
    /// Success, with the body.
    Ok(Value),
    /// The platform's error: its code, its words, the body.
    Error {
        code: String,
        text: String,
        body: Value,
    },
    Lost(TransportError),
    /// There is no token to ask with; nothing was sent.
    NoToken {
        reason: String,
        then: NextAction,
    },
}

/// What it means for what was asked.
#[derive(Clone, Debug)]
pub enum SendOutcome {
    /// Taken, now or by an earlier request with the same key.
    Done(Value),
    /// The user cannot be reached; with the body, in which some platforms name the users.
    Dropped {
        reason: String,
        because: Refusal,
    },
    /// The message is wrong, for whomever.
    Wrong {
        reason: String,
    },
    Unknown {
        reason: String,
    },
    /// Proved, and what follows for others.
    NotSent {
        reason: String,
        then: NextAction,
    },
    /// The token is to be renewed.
    Token {
        reason: String,
    },
}

impl SendOutcome {
    /// For a message that goes alone. `id` finds the platform's id in the body.
    pub fn verdict(self, id: impl Fn(&Value) -> String) -> (Verdict, NextAction) {
        match self {
            SendOutcome::Done(body) => (Verdict::Accepted { id: id(&body) }, NextAction::GoOn),
            SendOutcome::Dropped { reason, because } => {
                (Verdict::Refused { reason, because }, NextAction::GoOn)
            }
            SendOutcome::Wrong { reason } => (
                Verdict::Refused {
                    reason,
                    because: Refusal::Message,
                },
                NextAction::GoOn,
            ),
            SendOutcome::Unknown { reason } => (Verdict::Unknown { reason }, NextAction::GoOn),
            SendOutcome::NotSent { reason, then } => (Verdict::NotSent { reason }, then),
            // A new token was asked for before; see `AccountClient::with_token`.
            SendOutcome::Token { reason } => (Verdict::NotSent { reason }, NextAction::GoOn),
        }
    }
}

/// Why a question had no answer.
pub fn failure_reason(outcome: Option<SendOutcome>) -> String {
    match outcome {
        Some(
            SendOutcome::Dropped { reason, .. }
            | SendOutcome::Wrong { reason }
            | SendOutcome::Unknown { reason }
            | SendOutcome::NotSent { reason, .. }
            | SendOutcome::Token { reason },
        ) => reason,
        Some(SendOutcome::Done(_)) | None => "no answer".into(),
    }
}

/// A number or a text of a JSON object as a text, as the platforms mix them; empty where it is
/// neither.
pub fn text_of(body: &Value, name: &str) -> String {
    match body.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            String::new()
        }
    }
}
