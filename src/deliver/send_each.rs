//! Messages that a platform takes one at a time: several calls under way at once, one verdict each.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::deliver::channel::{NextAction, Reply};
use crate::deliver::http::client;
use crate::ledger::{BatchOutcome, Message, Refusal, Verdict};

/// Sends each item by `call`, at most `concurrency` at once. As soon as one answer says that others
/// would be refused, those that have not begun are not begun.
pub fn send_each<I, F>(
    items: Vec<I>,
    concurrency: usize,
    call: impl Fn(I) -> F + Send + 'static,
) -> Reply
where
    I: Send + 'static,
    F: Future<Output = (Vec<Verdict>, NextAction)> + Send + 'static,
    I: CallSize,
{
    let sizes: Vec<usize> = items.iter().map(CallSize::messages_per_call).collect();
    let then = Arc::new(Mutex::new(NextAction::GoOn));
    let noted = then.clone();
    let work = async move {
        client::each(items, concurrency, move |item: I| {
            let size = item.messages_per_call();
            let told = noted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let noted = noted.clone();
            let calling = (told == NextAction::GoOn).then(|| call(item));
            async move {
                let Some(calling) = calling else {
                    return vec![
                        Verdict::NotSent {
                            reason: "not begun: the channel is held back".into()
                        };
                        size
                    ];
                };
                let (verdicts, then) = calling.await;
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                let before = noted.clone();
                *noted = worse(before, then);
                verdicts
            }
        })
        .await
    };
    let unknown = |size: usize| {
        vec![
            Verdict::Unknown {
                reason: "the call died".into()
            };
            size
        ]
    };
    let verdicts: Vec<Verdict> = match client::run(work) {
        Some(results) => results
            .into_iter()
            .zip(sizes)
            .flat_map(|(r, size)| r.unwrap_or_else(|| unknown(size)))
            .collect(),
        None => sizes.into_iter().flat_map(unknown).collect(),
    };
    let then = then.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Reply {
        answer: fold(verdicts),
        then,
    }
}

/// What one call carries.
pub trait CallSize {
    /// How many messages it holds.
    fn messages_per_call(&self) -> usize;
}

impl CallSize for Message {
    fn messages_per_call(&self) -> usize {
        1
    }
}

/// Where several messages are all wrong in the same way the template is: that stops the campaign.
fn fold(verdicts: Vec<Verdict>) -> BatchOutcome {
    let wrong = |v: &Verdict| {
        matches!(
            v,
            Verdict::Refused {
                because: Refusal::Message,
                ..
            }
        )
    };
    match verdicts.first().and_then(Verdict::reason) {
        Some(reason) if verdicts.len() > 1 && verdicts.iter().all(wrong) => BatchOutcome::Refused {
            reason: reason.to_string(),
        },
        _ => BatchOutcome::Taken(verdicts),
    }
}

/// What holds back more, or longer.
pub fn worse(a: NextAction, b: NextAction) -> NextAction {
    match (a, b) {
        (NextAction::GoOn, other) | (other, NextAction::GoOn) => other,
        (stop @ NextAction::Stop { .. }, _) | (_, stop @ NextAction::Stop { .. }) => stop,
        (NextAction::Wait { until: a, why }, NextAction::Wait { until: b, .. }) if a >= b => {
            NextAction::Wait { until: a, why }
        }
        (_, later) => later,
    }
}
