//! Read-only data that one thread replaces as a whole while others read it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Published<T>(Mutex<Arc<T>>);

impl<T> Published<T> {
    pub fn new(value: T) -> Self {
        Published(Mutex::new(Arc::new(value)))
    }

    /// The newest value; it stays the same for whoever holds it.
    pub fn get(&self) -> Arc<T> {
        locked(&self.0).clone()
    }

    pub fn publish(&self, value: T) {
        *locked(&self.0) = Arc::new(value);
    }
}

/// A thread that panicked while it held a lock of ours has left nothing half done: transactions end
/// or never were.
pub fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
