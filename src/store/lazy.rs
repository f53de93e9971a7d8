//! What is made when it is first asked for, and kept.

use std::fmt;
use std::sync::OnceLock;

use super::StoreError;

/// A part of a snapshot that is opened by the first one who needs it. A failure is told each time;
/// nothing of it is kept.
pub(super) struct Lazy<T> {
    made: OnceLock<T>,
    make: Box<dyn Fn() -> Result<T, StoreError> + Send + Sync>,
}

impl<T> Lazy<T> {
    pub fn new(make: impl Fn() -> Result<T, StoreError> + Send + Sync + 'static) -> Self {
        Lazy {
            made: OnceLock::new(),
            make: Box::new(make),
        }
    }

    /// What is there already.
    pub fn ready(made: T) -> Self {
        Lazy {
            made: OnceLock::from(made),
            make: Box::new(|| Err(StoreError::Stopped)),
        }
    }

    pub fn is_ready(&self) -> bool {
        self.made.get().is_some()
    }

    pub fn get(&self) -> Result<&T, StoreError> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let new = (self.make)()?; // Two threads may both make it; one is kept.
        Ok(self.made.get_or_init(|| new))
    }
}

impl<T: fmt::Debug> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lazy").field(&self.made.get()).finish()
    }
}
