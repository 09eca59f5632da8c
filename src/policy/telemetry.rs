//! Scores of live answers and manifests of windows, as they were read.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

pub use super::manifest::Manifest;
use super::windows::Window;
use crate::api::At;

/// One judged request: the event promptrelease.sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub request_id: String,
    pub deployment: String,
    pub class: String,
    /// Event time: when the request was answered.
    pub at: At,
    /// One measurement a metric.
    pub scores: BTreeMap<String, f64>,
    /// `ingestion_time()` and `itemId` of the row: who came first.
    pub ingested: At,
    pub item_id: String,
}

/// All rows that one query returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    pub samples: Vec<Sample>,
    pub manifests: Vec<Manifest>,
}

impl Telemetry {
    /// Samples of one deployment in a window, one a request. A request that was judged twice counts with the row that
    /// was ingested first, so that a later copy cannot change what was seen.
    pub fn samples(&self, deployment: &str, window: &Window) -> Vec<&Sample> {
        let mut first: HashMap<&str, &Sample> = HashMap::new();
        for sample in self.samples.iter().filter(|s| s.deployment.eq_ignore_ascii_case(deployment)) {
            match first.entry(&sample.request_id) {
                Entry::Vacant(entry) => {
                    entry.insert(sample);
                }
                Entry::Occupied(mut entry) => {
                    if (sample.ingested, &sample.item_id) < (entry.get().ingested, &entry.get().item_id) {
                        entry.insert(sample);
                    }
                }
            }
        }
        let mut samples: Vec<&Sample> = first.into_values().filter(|s| window.contains(s.at)).collect();
        samples.sort_unstable_by_key(|s| &s.request_id);
        samples
    }

    /// The manifest of one deployment's window: of several the one that was ingested first.
    pub fn manifest(&self, deployment: &str, window: &Window) -> Option<&Manifest> {
        self.manifests
            .iter()
            .filter(|m| m.deployment.eq_ignore_ascii_case(deployment) && m.start == window.start && m.end == window.end)
            .min_by_key(|m| (m.ingested, &m.item_id))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::policy::windows::Grid;

    fn at(second: i64) -> At {
        Timestamp::from_second(second).expect("in range").into()
    }

    fn sample(request: &str, second: i64, ingested: i64, item: &str) -> Sample {
        Sample {
            request_id: request.into(),
            deployment: "d-1428".into(),
            at: at(second),
            ingested: at(ingested),
            item_id: item.into(),
            ..Sample::default()
        }
    }

    #[test]
    fn a_request_counts_once_with_the_row_that_came_first() {
        let rows = vec![
            sample("a", 10, 70, "2"),
            sample("a", 11, 70, "1"),
            sample("a", 12, 90, "0"),
            sample("b", 60, 70, "3"),
            sample("c", 59, 300, "4"),
            Sample { deployment: "d-1427".into(), ..sample("d", 10, 70, "5") },
        ];
        let window = Grid::new(at(0), 60_000).window_at(0);
        for rotation in 0..rows.len() {
            let mut samples = rows.clone();
            samples.rotate_left(rotation);
            let telemetry = Telemetry { samples, ..Telemetry::default() };
            let found = telemetry.samples("D-1428", &window);
            assert_eq!(found.iter().map(|s| s.item_id.as_str()).collect::<Vec<_>>(), ["1", "4"]);
        }
    }

    #[test]
    fn a_manifest_is_of_one_window_and_deployment() {
        let manifest = |start, end, ingested, seen| Manifest {
            deployment: "d-1428".into(),
            start: at(start),
            end: at(end),
            ingested: at(ingested),
            seen,
            ..Manifest::default()
        };
        let manifests =
            vec![manifest(0, 60, 99, 1), manifest(0, 60, 70, 2), manifest(0, 30, 60, 3), manifest(60, 120, 60, 4)];
        let telemetry = Telemetry { manifests, ..Telemetry::default() };
        let grid = Grid::new(at(0), 60_000);
        assert_eq!(telemetry.manifest("d-1428", &grid.window_at(0)).map(|m| m.seen), Some(2));
        assert_eq!(telemetry.manifest("d-1427", &grid.window_at(0)), None);
        assert_eq!(telemetry.manifest("d-1428", &grid.window_at(2)), None);
    }
}
