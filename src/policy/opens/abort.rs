//! The standing order that a version gets no traffic.

use std::{fmt, str::FromStr};

/// The annotation promptrelease.io/abort: a version, or one attempt of it, gets no traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    version: String,
    attempt: Option<i64>,
}

impl Abort {
    /// Whether it speaks of attempt `n` of this version.
    pub fn names(&self, version: &str, n: i64) -> bool {
        self.version == version && self.attempt.is_none_or(|attempt| attempt == n)
    }
}

impl FromStr for Abort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` must be a version, as in 1428, or one attempt of it, as in 1428.7");
        let (version, attempt) = match text.trim().split_once('.') {
            None => (text.trim(), None),
            Some((version, n)) => {
                let digits = n.bytes().all(|b| b.is_ascii_digit());
                (version, Some(n.parse().ok().filter(|n| digits && *n > 0).ok_or_else(wrong)?))
            }
        };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if version.is_empty() || !version.bytes().all(allowed) {
            return Err(wrong());
        }
        Ok(Self { version: version.to_owned(), attempt })
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            None => f.write_str(&self.version),
            Some(attempt) => write!(f, "{}.{attempt}", self.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_order_reads_back_and_names_what_it_says(version in "[a-z0-9]{1,6}(-[a-z0-9]{1,4})?", n in prop::option::of(1_i64..1000), other in 1_i64..1000) {
            let text = n.map_or_else(|| version.clone(), |n| format!("{version}.{n}"));
            let order: Abort = text.parse().expect("valid");
            prop_assert_eq!(order.to_string(), text);
            prop_assert_eq!(order.names(&version, other), n.is_none_or(|n| n == other));
            prop_assert!(!order.names(&(version + "9"), other));
        }
    }

    #[test]
    fn an_order_that_cannot_be_read_is_told_what_is_allowed() {
        assert_eq!(" 1428.7\n".parse::<Abort>(), "1428.7".parse());
        for text in ["", " ", "1428.", ".7", "1428.0", "1428.-1", "1428.+7", "1428.x", "1428.7.1", "true!", "14 28"] {
            let wrong = text.parse::<Abort>().expect_err(text);
            assert!(wrong.contains("as in 1428, or one attempt of it, as in 1428.7"), "{wrong}");
        }
    }
}
