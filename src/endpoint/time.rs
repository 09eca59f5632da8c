//! Time as the protocol counts it.

use std::ops::{Add, Sub};

use jiff::Timestamp;

use crate::api::At;

/// Milliseconds since the epoch, or a span of them. Sums and differences saturate: no time may stop a withdrawal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ms(pub i64);

impl Ms {
    pub const ZERO: Self = Self(0);

    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }
}

impl From<At> for Ms {
    fn from(at: At) -> Self {
        Self(at.get().as_millisecond())
    }
}

impl From<Ms> for At {
    fn from(ms: Ms) -> Self {
        Timestamp::from_millisecond(ms.0).unwrap_or(Timestamp::MAX).into()
    }
}

impl Add for Ms {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Ms {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
