//! One typed value of a fact or an event.

use std::fmt;

use super::ColumnType;
use crate::time::Timestamp;
use crate::untrusted::Untrusted;

/// One typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// See [`ColumnType::Text`].
    Text(Untrusted),
    /// See [`ColumnType::Int`].
    Int(i64),
    /// See [`ColumnType::Real`].
    Real(f64),
    /// See [`ColumnType::Bool`].
    Bool(bool),
    /// See [`ColumnType::Time`].
    Time(Timestamp),
    /// See [`ColumnType::Version`].
    Version(Untrusted),
    /// See [`ColumnType::List`].
    List(Vec<Untrusted>),
}

impl Value {
    /// Which type of column it fits.
    #[must_use]
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Text(_) => ColumnType::Text,
            Self::Int(_) => ColumnType::Int,
            Self::Real(_) => ColumnType::Real,
            Self::Bool(_) => ColumnType::Bool,
            Self::Time(_) => ColumnType::Time,
            Self::Version(_) => ColumnType::Version,
            Self::List(_) => ColumnType::List,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Version(text) => text.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
            Self::Time(at) => at.fmt(f),
            Self::List(items) => {
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        f.write_str(",")?;
                    }
                    item.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
impl From<Untrusted> for Value {
    fn from(text: Untrusted) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}
impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}
impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}
impl From<Vec<Untrusted>> for Value {
    fn from(items: Vec<Untrusted>) -> Self {
        Self::List(items)
    }
}
