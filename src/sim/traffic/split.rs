//! Who answers a request, and what the endpoint's tag says about the split.

use jiff::SignedDuration;

/// The deployment at `point` of 0 to 99: names in their order, each as many points wide as it has percent.
pub fn route(live: &[(String, u8)], point: u64) -> Option<&str> {
    let mut upto = 0;
    let found = live.iter().find(|(_, weight)| {
        upto += u64::from(*weight);
        point < upto
    });
    found.map(|(name, _)| name.as_str())
}

/// Puts the nth of many at one of `total` points, so that any `total` in a row cover each point once and fewer are
/// evenly spread: steps of the golden section, the nearest that shares no factor with `total`.
pub fn spread(n: u64, total: u64) -> u64 {
    let total = total.max(1);
    let golden = total.saturating_mul(618_034) / 1_000_000;
    let step = (golden..total).find(|step| gcd(*step, total) == 1).unwrap_or(1);
    let nth = u128::from(n % total) * u128::from(step) % u128::from(total);
    u64::try_from(nth).unwrap_or_default()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The tag `promptrelease.split`: `stable=d-1427;canary=d-1428;window=60s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// Deployments with a role.
    pub deployments: Vec<String>,
    /// Period of the windows. Without one, nobody wants window events.
    pub window: Option<SignedDuration>,
}

impl Tag {
    /// Pieces that cannot be read count as absent.
    pub fn parse(text: &str) -> Self {
        let mut tag = Self::default();
        for (name, value) in text.split(';').filter_map(|piece| piece.split_once('=')) {
            match name.trim() {
                "stable" | "canary" if !value.is_empty() => tag.deployments.push(value.to_owned()),
                "window" => tag.window = value.parse().ok().filter(|window| *window >= SignedDuration::from_millis(1)),
                _ => {}
            }
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_names_roles_and_the_period() {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        for (text, seconds) in [("60s", 60.0), ("2s", 2.0), ("1500ms", 1.5), ("1m", 60.0)] {
            let tag = Tag::parse(&format!("stable=d-1427;canary=d-1428;window={text}"));
            assert_eq!(
                (tag.deployments, tag.window.map(|w| w.as_secs_f64())),
                (names(["d-1427", "d-1428"]), Some(seconds))
            );
        }
        assert_eq!(Tag::parse("stable=d-1427"), Tag { deployments: vec!["d-1427".into()], window: None });
        for text in ["", "window=0s", "window=soon", "stable=", "nonsense"] {
            assert_eq!(Tag::parse(text), Tag::default(), "{text}");
        }
    }

    #[test]
    fn a_request_without_a_deployment_that_has_weight_goes_nowhere() {
        assert_eq!(route(&[], 0), None);
        let live = [("d-1427".to_owned(), 90), ("d-1428".to_owned(), 10)];
        assert_eq!(
            [0, 89, 90, 99].map(|point| route(&live, point)),
            [90, 90, 10, 10].map(|w| Some(if w == 90 { "d-1427" } else { "d-1428" }))
        );
    }

    proptest! {
        #[test]
        fn any_total_in_a_row_cover_each_point_once(from in 0_u64..u64::MAX / 2, total in 1_u64..200) {
            let points: BTreeSet<u64> = (from..from + total).map(|n| spread(n, total)).collect();
            prop_assert_eq!(points.len() as u64, total);
            prop_assert!(points.iter().all(|point| *point < total));
        }

        #[test]
        fn ten_percent_are_a_tenth_of_every_twenty(from in 0_u64..1_000_000) {
            let hits = (from..from + 20).filter(|n| spread(*n, 100) < 10).count();
            prop_assert!((1..=3).contains(&hits), "{}", hits);
        }
    }
}
