//! How live traffic is split, and its one spelling: `d-1427=90 d-1428=10`, and `{}` for no traffic at all.

use std::{collections::BTreeMap, fmt, str::FromStr};

const NONE: &str = "{}";

/// Deployment to percent, in the names' order, without zeros. Ours sum to 100 or are empty; [`Split::as_found`] is what
/// others wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Split<N>(Vec<(N, u8)>);

/// Why something is no split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("there is no split: it must be `<deployment>=<percent>` for each deployment, or `{{}}` for no traffic")]
    Absent,
    #[error("`{0}` is no share of traffic: it must be `<deployment>=<percent>`, from 1 to 100")]
    Share(String),
    #[error("`{0}` is named twice")]
    Twice(String),
    #[error("the shares sum to {0}: they must sum to 100")]
    Sum(u32),
}

impl<N> Default for Split<N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<N: Ord + Clone> Split<N> {
    /// No traffic for anybody.
    pub fn none() -> Self {
        Self::default()
    }

    /// All traffic for one.
    pub fn all(name: N) -> Self {
        Self(vec![(name, 100)])
    }

    /// `weight` percent for the canary, from 1 to 99, and the rest for stable. None if that is no split.
    pub fn canary(stable: N, canary: N, weight: u8) -> Option<Self> {
        let inside = (1..100).contains(&weight) && stable != canary;
        inside.then(|| Self::as_found(BTreeMap::from([(stable, 100 - weight), (canary, weight)])))
    }

    /// What Azure shows. Deployments with no traffic are left out, as Azure leaves them out or not.
    pub fn as_found(shares: BTreeMap<N, u8>) -> Self {
        Self(shares.into_iter().filter(|(_, share)| *share > 0).collect())
    }

    pub fn shares(&self) -> impl Iterator<Item = (&N, u8)> {
        self.0.iter().map(|(name, share)| (name, *share))
    }

    /// Percent of one deployment.
    pub fn share(&self, name: &N) -> u8 {
        self.shares().find(|(found, _)| *found == name).map_or(0, |(_, share)| share)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The deployment that has all traffic.
    pub fn sole(&self) -> Option<&N> {
        match self.0.as_slice() {
            [(name, 100)] => Some(name),
            _ => None,
        }
    }

    /// Whether the shares sum to 100, or there are none.
    pub fn is_whole(&self) -> bool {
        self.is_empty() || self.0.iter().map(|(_, share)| u32::from(*share)).sum::<u32>() == 100
    }
}

impl<N: fmt::Display> fmt::Display for Split<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (i, (name, share)) in self.0.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{name}={share}")?;
        }
        Ok(())
    }
}

impl FromStr for Split<String> {
    type Err = SplitError;

    fn from_str(text: &str) -> Result<Self, SplitError> {
        if text.trim().is_empty() {
            return Err(SplitError::Absent);
        }
        let mut shares = BTreeMap::new();
        if text != NONE {
            for word in text.split_whitespace() {
                let (name, share) = share(word).ok_or_else(|| SplitError::Share(word.to_owned()))?;
                if shares.insert(name.to_owned(), share).is_some() {
                    return Err(SplitError::Twice(name.to_owned()));
                }
            }
        }
        let split = Self::as_found(shares);
        let sum = split.shares().map(|(_, share)| u32::from(share)).sum();
        if split.is_whole() { Ok(split) } else { Err(SplitError::Sum(sum)) }
    }
}

fn share(word: &str) -> Option<(&str, u8)> {
    let (name, percent) = word.split_once('=')?;
    // One spelling: neither `+5` nor `05`.
    let share = percent.parse::<u8>().ok().filter(|share| (1..=100).contains(share) && share.to_string() == percent)?;
    (!name.is_empty()).then_some((name, share))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    /// Any whole split of up to 20 deployments, as many as Azure has.
    fn splits() -> impl Strategy<Value = Split<String>> {
        let parts = btree_set(1_u8..100, 0..20).prop_map(|cuts| {
            let ends = cuts.iter().copied().chain([100]);
            let starts = std::iter::once(0).chain(cuts.iter().copied());
            starts.zip(ends).map(|(start, end)| end - start).collect::<Vec<u8>>()
        });
        let named = parts.prop_flat_map(|parts| {
            let names = btree_set("[a-zA-Z][a-zA-Z0-9-]{2,31}", parts.len());
            names.prop_map(move |names| Split::as_found(names.into_iter().zip(parts.clone()).collect()))
        });
        prop_oneof![1 => Just(Split::none()), 9 => named]
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(split in splits()) {
            prop_assert!(split.is_whole());
            prop_assert_eq!(split.to_string().parse(), Ok(split));
        }

        #[test]
        fn there_is_one_spelling(text in "([a-c]{0,2}=?[+0]{0,1}(5|50|100|0|95)? ?){1,3}") {
            if let Ok(split) = text.parse::<Split<String>>() {
                let mut words: Vec<&str> = text.split_whitespace().collect();
                words.sort_unstable();
                prop_assert_eq!(split.to_string(), words.join(" "));
            }
        }
    }

    #[test]
    fn what_is_no_split_is_told_so() {
        let parse = |text: &str| text.parse::<Split<String>>();
        assert_eq!(parse(""), Err(SplitError::Absent));
        assert_eq!(parse(" "), Err(SplitError::Absent));
        assert_eq!(parse("{}"), Ok(Split::none()));
        assert_eq!(parse("d-1=60 d-2=30"), Err(SplitError::Sum(90)));
        assert_eq!(parse("d-1=50 d-1=50"), Err(SplitError::Twice("d-1".into())));
        for word in ["d-1", "d-1=", "=100", "d-1=0", "d-1=101", "d-1=+9", "d-1=09", "d-1=1.5", "{} d-1=100"] {
            assert!(matches!(parse(word), Err(SplitError::Share(_))), "{word}");
        }
    }
}
