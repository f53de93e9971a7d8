//! One owner of an account's token: many ask with it, one renews it.
//!
//! Each token has a generation. Who was refused says with which one; if another has come since,
//! that one is used, so that many refusals at once make one renewal. While a token is renewed
//! before its end, the old one keeps serving: platforms keep both valid for a while.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use crate::base::{Elapsed, Instant};
use crate::deliver::channel::NextAction;

/// A token is renewed so long before its end.
const EARLY: Elapsed = Elapsed::minutes(5);
/// A platform takes a forced renewal no sooner again.
const FORCED_EVERY: Elapsed = Elapsed::seconds(30);

/// What a platform hands out.
pub struct IssuedToken {
    pub value: String,
    pub lasts: Elapsed,
}

/// There is no token to be had; nothing was sent.
#[derive(Clone, Debug)]
pub struct TokenError {
    pub reason: String,
    pub then: NextAction,
}

/// A token in use.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub value: String,
    generation: u64,
}

struct Current {
    token: Token,
    renew_from: Instant,
    ends: Instant,
}

#[derive(Default)]
pub struct Tokens {
    current: Mutex<Option<Current>>,
    /// Held by whoever renews; when it was last forced.
    renewing: tokio::sync::Mutex<Option<Instant>>,
}

impl Tokens {
    /// The token to ask with. `fetch` gets a new one from the platform where it is needed; its
    /// argument asks to end the one before.
    ///
    /// # Errors
    /// When there is none and the platform gives none.
    pub async fn get<F>(&self, now: Instant, fetch: impl Fn(bool) -> F) -> Result<Token, TokenError>
    where
        F: Future<Output = Result<IssuedToken, TokenError>>,
    {
        let usable = self.usable(now);
        match usable {
            Some((token, false)) => return Ok(token),
            // Near its end one renews it and the others continue with it.
            Some((token, true)) => {
                let Ok(_renewing) = self.renewing.try_lock() else {
                    return Ok(token);
                };
                return Ok(fetch(false)
                    .await
                    .map_or(token, |fresh| self.keep(fresh, now)));
            }
            None => {}
        }
        let _renewing = self.renewing.lock().await;
        match self.usable(now) {
            Some((token, _)) => Ok(token),
            None => Ok(self.keep(fetch(false).await?, now)),
        }
    }

    /// The token to ask with after the platform refused one.
    ///
    /// # Errors
    /// When the platform gives no other.
    pub async fn after<F>(
        &self,
        refused: &Token,
        now: Instant,
        fetch: impl Fn(bool) -> F,
    ) -> Result<Token, TokenError>
    where
        F: Future<Output = Result<IssuedToken, TokenError>>,
    {
        let mut forced = self.renewing.lock().await;
        if let Some((token, _)) = self
            .usable(now)
            .filter(|(token, _)| token.generation != refused.generation)
        {
            return Ok(token);
        }
        let mut fresh = fetch(false).await?;
        // The platform insists on a token that it does not take: it is made to end it.
        if fresh.value == refused.value && forced.is_none_or(|at| now >= at.plus(FORCED_EVERY)) {
            *forced = Some(now);
            fresh = fetch(true).await?;
        }
        Ok(self.keep(fresh, now))
    }

    /// The token, if it is still good, and whether it is time to renew it.
    fn usable(&self, now: Instant) -> Option<(Token, bool)> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current
            .as_ref()
            .filter(|c| now < c.ends)
            .map(|c| (c.token.clone(), now >= c.renew_from))
    }

    fn keep(&self, fresh: IssuedToken, now: Instant) -> Token {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = current.as_ref().map_or(0, |c| c.token.generation + 1);
        let token = Token {
            value: fresh.value,
            generation,
        };
        // One that does not last is renewed half way.
        let early = EARLY.min(Elapsed(fresh.lasts.0 / 2));
        *current = Some(Current {
            token: token.clone(),
            renew_from: now.plus(fresh.lasts).minus(early),
            ends: now.plus(fresh.lasts),
        });
        token
    }

    /// The text without the token.
    pub fn hide_in(&self, text: &str) -> String {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match current.as_ref() {
            Some(c) if !c.token.value.is_empty() => text.replace(&c.token.value, "…"),
            _ => text.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::deliver::http::client::{each, run};

    /// Gives `t0`, `t1`, …, each for two hours.
    fn source(
        calls: &Arc<AtomicU64>,
    ) -> impl Fn(bool) -> std::pin::Pin<Box<dyn Future<Output = Result<IssuedToken, TokenError>> + Send>>
    {
        let calls = calls.clone();
        move |_| {
            let calls = calls.clone();
            Box::pin(async move {
                let n = calls.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(IssuedToken {
                    value: format!("t{n}"),
                    lasts: Elapsed::hours(2),
                })
            })
        }
    }

    const START: Instant = Instant(0);

    fn minutes(n: i64) -> Instant {
        START.plus(Elapsed::minutes(n))
    }

    #[test]
    fn many_refusals_at_once_make_one_renewal() {
        let (tokens, calls) = (Arc::new(Tokens::default()), Arc::new(AtomicU64::new(0)));
        let (shared, counted) = (tokens.clone(), calls.clone());
        let values = run(async move {
            let first = tokens.get(START, source(&calls)).await.unwrap();
            each((0..64).collect::<Vec<u32>>(), 64, move |_| {
                let (tokens, calls, first) = (tokens.clone(), calls.clone(), first.clone());
                async move {
                    tokens
                        .after(&first, minutes(1), source(&calls))
                        .await
                        .unwrap()
                        .value
                }
            })
            .await
        });
        assert!(values.unwrap().iter().all(|v| v.as_deref() == Some("t1")));
        assert_eq!(counted.load(Ordering::SeqCst), 2);
        assert_eq!(shared.hide_in("access_token=t1&x"), "access_token=…&x");
    }

    #[test]
    fn the_old_token_serves_while_a_new_one_is_fetched() {
        let (tokens, calls) = (Arc::new(Tokens::default()), Arc::new(AtomicU64::new(0)));
        let counted = calls.clone();
        let values = run(async move {
            tokens.get(START, source(&calls)).await.unwrap();
            assert_eq!(
                tokens
                    .get(minutes(114), source(&calls))
                    .await
                    .unwrap()
                    .value,
                "t0"
            );
            each((0..8).collect::<Vec<u32>>(), 8, move |_| {
                let (tokens, calls) = (tokens.clone(), calls.clone());
                async move {
                    tokens
                        .get(minutes(116), source(&calls))
                        .await
                        .unwrap()
                        .value
                }
            })
            .await
        });
        let mut values: Vec<String> = values.unwrap().into_iter().flatten().collect();
        values.sort();
        values.dedup();
        assert!(values == ["t0", "t1"] || values == ["t1"], "{values:?}");
        assert_eq!(counted.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_platform_that_insists_is_forced_once_and_then_no_more() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let told = calls.clone();
        let stubborn = move |force| {
            told.lock().unwrap().push(force);
            async move {
                Ok(IssuedToken {
                    value: "same".into(),
                    lasts: Elapsed::hours(2),
                })
            }
        };
        run(async move {
            let tokens = Tokens::default();
            let first = tokens.get(START, &stubborn).await.unwrap();
            let second = tokens.after(&first, START, &stubborn).await.unwrap();
            tokens.after(&second, START, &stubborn).await.unwrap();
        });
        assert_eq!(*calls.lock().unwrap(), [false, false, true, false]);
    }
}
