//! The files that make a folder a flow.

use crate::stage::build::archive;

/// Name of the file that makes a folder a flow.
pub const FILE: &str = "flow.dag.yaml";
/// Name of the file that makes it the other kind of flow, which is a function.
pub const FLEX_FILE: &str = "flow.flex.yaml";
/// Bytes of that file; a graph is text written by people.
pub const MAX_BYTES: usize = 1 << 20;

/// The flow's file for the flow's folder, as people write it: `flows/qa/flow.dag.yaml`.
pub fn file(path: &str) -> String {
    match archive::normal(path) {
        root if root.is_empty() => FILE.to_owned(),
        path => format!("{path}/{FILE}"),
    }
}
