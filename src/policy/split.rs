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
    let (name, share) = word.split_once('=')?;
    let share = share.parse().ok().filter(|share| (1..=100).contains(share))?;
    (!name.is_empty()).then_some((name, share))
}
