//! Answers of a loaded program that are kept: those that were asked for a second time, the least
//! used first to go when the budget is full. What an answer is, and what its key must tell apart,
//! they know who ask.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of answers that are kept: at ten million users 2.5 MB a test, 10 MB a count.
const BUDGET: usize = 256 << 20;
/// Questions that are remembered as asked once.
const ASKED: usize = 10_000;

#[derive(Debug, Default)]
pub struct AnswerCache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    kept: HashMap<String, Entry>,
    asked: HashMap<String, u64>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    used: u64,
}

/// What is known of a question.
pub enum Asked {
    First,
    /// A second time: its answer is worth keeping.
    Again,
    Kept(Arc<dyn Any + Send + Sync>),
}

impl AnswerCache {
    pub fn ask(&self, key: &str) -> Asked {
        self.lock().ask(key)
    }

    /// Keeps an answer of so many bytes.
    pub fn keep(&self, key: String, answer: Arc<dyn Any + Send + Sync>, bytes: usize) {
        self.lock().keep(key, answer, bytes);
    }

    /// Lets go of every kept answer, and of what was asked once.
    pub fn forget(&self) {
        *self.lock() = Entries::default();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn ask(&mut self, key: &str) -> Asked {
        self.clock += 1;
        if let Some(entry) = self.kept.get_mut(key) {
            entry.used = self.clock;
            return Asked::Kept(entry.answer.clone());
        }
        if self.asked.remove(key).is_some() {
            return Asked::Again;
        }
        if self.asked.len() >= ASKED {
            self.asked.clear();
        }
        self.asked.insert(key.to_owned(), self.clock);
        Asked::First
    }

    fn keep(&mut self, key: String, answer: Arc<dyn Any + Send + Sync>, bytes: usize) {
        // One in the place of another does not count twice.
        if let Some(before) = self.kept.remove(&key) {
            self.bytes -= before.bytes;
        }
        if bytes > BUDGET {
            return;
        }
        while self.bytes + bytes > BUDGET {
            // Ties cannot be: the clock moves with every question.
            let oldest = self.kept.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some(gone) = self.kept.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
        self.clock += 1;
        self.bytes += bytes;
        let used = self.clock;
        self.kept.insert(
            key,
            Entry {
                answer,
                bytes,
                used,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_go_first_and_the_budget_holds() {
        let mut cache = Entries::default();
        for i in 0..40 {
            let key = format!("k{i}");
            assert!(matches!(cache.ask(&key), Asked::First));
            assert!(matches!(cache.ask(&key), Asked::Again));
            cache.keep(key, Arc::new(i), 16 << 20);
            assert!(
                matches!(cache.ask("k0"), Asked::Kept(_)),
                "what is used stays"
            );
            assert!(
                cache.bytes <= BUDGET
                    && cache.bytes == cache.kept.values().map(|entry| entry.bytes).sum::<usize>()
            );
        }
        assert!(!cache.kept.contains_key("k1") && cache.kept.contains_key("k39"));
    }
}
