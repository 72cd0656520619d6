//! A value that a reload may replace while others look at it.

use std::sync::{Arc, PoisonError, RwLock};

/// Each look is a clone of an [`Arc`]: whoever has looked goes on with what it saw, and the next look sees the new one.
pub struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    /// Holds a first value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// Holds a first value that others know already.
    #[must_use]
    pub fn from(value: Arc<T>) -> Self {
        Self(RwLock::new(value))
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another in its place.
    pub fn set(&self, value: impl Into<Arc<T>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_looked_keeps_what_it_saw_and_the_next_look_sees_the_new_one() {
        let current = Current::new(1);
        let seen = current.get();
        current.set(2);
        assert_eq!((*seen, *current.get()), (1, 2));
    }
}
