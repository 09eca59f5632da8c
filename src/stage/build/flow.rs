//! A flow as it is read from an archive. A broken one is refused by naming the node, file or key.

mod check;
mod circle;
pub mod connections;
mod fault;
mod file;
mod graph;
mod jinja;
mod python;
mod schema;

use serde_json::{Map, Value};

use super::archive::{self, Folder};
pub use fault::FlowError;
pub use file::{FILE, FLEX_FILE, MAX_BYTES, file};
pub use graph::{Flow, Input, Node, Output, Source, Variant, Variants, Work};

/// Reads and checks the flow in the folder `path` of an archive.
///
/// # Errors
/// The first thing that is wrong, by the name of its node.
pub fn read(folder: &Folder, path: &str) -> Result<Flow, FlowError> {
    let file = file(path);
    let own = folder.below(path);
    let flex = own.get(FLEX_FILE).is_some();
    let bytes = match folder.get(&file) {
        Some(_) if flex => return Err(FlowError::TwoKinds(archive::normal(path))),
        Some(bytes) => bytes,
        None if flex => return Err(FlowError::Flex(file.replace(FILE, FLEX_FILE))),
        None => return Err(FlowError::Missing(file)),
    };
    let unreadable = |error: String| FlowError::Unreadable { path: file.clone(), error };
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {} KiB", MAX_BYTES >> 10)));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))?;
    let words = |error: serde_saphyr::Error| unreadable(first_line(&error.to_string()));
    let keys: Map<String, Value> = serde_saphyr::from_str(text).map_err(words)?;
    if keys.contains_key("entry") {
        return Err(FlowError::Flex(file));
    }
    schema::check(&keys)?;
    let flow: Flow = serde_saphyr::from_str(text).map_err(words)?;
    check::check(&flow, &own)?;
    Ok(flow)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
