//! `docs/fidelity.md` says of each operation that is simulated by what it is known. It has a row for each route of the
//! simulator and no other, and names as witness exactly who was seen to use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{clients, recordings};

const PAGE: &str = "docs/fidelity.md";
const ENTRA: &str = "login.microsoftonline.com";
const ARM: &str = "management.azure.com";
const FLOW: &str = "*.api.azureml.ms";
/// Below these headings every row is held against the sources; the others are kept by hand.
const CHECKED: [&str; 3] = [ENTRA, ARM, FLOW];
/// The two routes of the management API outside the workspace, and the workspace itself, as the page spells them.
const OUTSIDE: [(&str, &str); 4] = [
    ("Workspace", "workspace"),
    ("Component", "components/{}"),
    ("OperationStatus", "mfeoperationsstatus/{}"),
    ("OperationResult", "mfeoperationresults/{}"),
];

/// Heading and operation, in lower case: `POST bulkruns/{}/cancel`.
type Operation = (&'static str, String);

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Rows of the page: witnesses by operation.
fn page() -> BTreeMap<Operation, BTreeSet<String>> {
    let (mut rows, mut section) = (BTreeMap::new(), None);
    for line in text(PAGE).lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = CHECKED.into_iter().find(|host| heading.contains(&format!("`{host}`")));
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(host), [_, operation, witnesses, ..]) = (section, cells.as_slice()) else { continue };
        let Some(operation) = operation.strip_prefix('`').and_then(|text| text.strip_suffix('`')) else { continue };
        let witnesses = witnesses.split(", ").filter(|witness| !witness.is_empty()).map(str::to_owned).collect();
        assert!(rows.insert((host, normal(operation)), witnesses).is_none(), "{PAGE} has {operation} twice");
    }
    rows
}

/// `GET datastores/{name}` → `GET datastores/{}`.
fn normal(operation: &str) -> String {
    let (method, path) = operation.split_once(' ').unwrap_or((operation, ""));
    let segment = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_lowercase() };
    format!("{method} {}", path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// The patterns of a slice pattern such as `["runs", id, "modify"]`, as a path.
fn path_of(pattern: &str) -> String {
    let inner = pattern.trim().trim_start_matches('[').trim_end_matches(']');
    let segment = |part: &str| match part.trim().strip_prefix('"') {
        Some(literal) => literal.trim_end_matches('"').to_lowercase(),
        None => "{}".to_owned(),
    };
    inner.split(',').map(segment).collect::<Vec<_>>().join("/")
}

/// Arms of a match on the method: `("GET", <rest>) =>`.
fn arms(source: &str) -> Vec<(String, String)> {
    let arm = |line: &str| {
        let (method, rest) = line.trim().strip_prefix("(\"")?.split_once("\", ")?;
        let (rest, _) = rest.split_once(") =>")?;
        Some((method.to_owned(), rest.to_owned()))
    };
    source.lines().filter_map(arm).collect()
}

/// What the sources say that is answered.
fn routes() -> BTreeSet<Operation> {
    let mut routes = BTreeSet::new();
    for (method, pattern) in arms(&text("src/sim/entra/exchange.rs")) {
        routes.insert((ENTRA, format!("{method} {}", path_of(&pattern))));
    }
    for (method, rest) in arms(&text("src/sim/flow/mod.rs")) {
        let (service, pattern) = rest.split_once(", ").expect("a service and a path");
        routes.insert((FLOW, format!("{method} {}/{}", service.trim_matches('"'), path_of(pattern))));
    }
    let mut paths: BTreeMap<String, String> =
        OUTSIDE.iter().map(|(variant, path)| ((*variant).to_owned(), (*path).to_owned())).collect();
    for line in text("src/sim/arm/route.rs").lines() {
        if let Some((pattern, route)) = line.trim().split_once("] => Route::")
            && let Some(variant) = route.split(['(', ',']).next()
        {
            paths.entry(variant.to_owned()).or_insert_with(|| path_of(pattern));
        }
    }
    for (method, rest) in arms(&text("src/sim/arm/mod.rs")) {
        for variant in rest.split("Route::").skip(1) {
            let variant = variant.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let path = paths.get(variant).unwrap_or_else(|| panic!("Route::{variant} has no path"));
            routes.insert((ARM, format!("{method} {path}")));
        }
    }
    routes
}

/// The row that a request belongs to: of those that fit, the one with most words of its own.
pub fn operation(known: &BTreeSet<Operation>, host: &str, method: &str, path: &str) -> Option<Operation> {
    let (section, path) = match host {
        ENTRA => (ENTRA, path.trim_matches('/').to_owned()),
        ARM => (ARM, below_workspace(path).map_or_else(|| last_two(path), |(_, rest)| rest)),
        _ if host.ends_with(".api.azureml.ms") => {
            let (service, rest) = below_workspace(path)?;
            (FLOW, format!("{service}/{rest}"))
        }
        _ => return None,
    };
    let path = path.to_lowercase();
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |operation: &&Operation| {
        let Some(path) = operation.1.strip_prefix(method).and_then(|rest| rest.strip_prefix(' ')) else { return false };
        let row: Vec<&str> = path.split('/').collect();
        operation.0 == section
            && row.len() == asked.len()
            && row.iter().zip(&asked).all(|(row, asked)| *row == "{}" || row == asked)
    };
    known.iter().filter(fits).min_by_key(|operation| operation.1.matches("{}").count()).cloned()
}

/// What comes before `/subscriptions/`, and after the workspace's name.
fn below_workspace(path: &str) -> Option<(String, String)> {
    let path = path.trim_matches('/');
    let (before, _) = path.split_once("subscriptions/")?;
    let (_, rest) = path.split_once("/workspaces/")?;
    let rest = rest.split_once('/').map_or("workspace", |(_, rest)| rest);
    Some((before.trim_matches('/').to_owned(), rest.to_owned()))
}

fn last_two(path: &str) -> String {
    let parts: Vec<&str> = path.rsplitn(3, '/').take(2).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

#[test]
fn each_route_has_a_row_in_the_page_and_each_row_a_route() {
    let (rows, routes) = (page(), routes());
    let rows: BTreeSet<Operation> = rows.into_keys().collect();
    let missing: Vec<_> = routes.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&routes).collect();
    assert!(missing.is_empty() && stale.is_empty(), "{PAGE} lacks {missing:#?}\nand has, of no route, {stale:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_names_as_witness_who_was_seen() {
    let rows = page();
    let known: BTreeSet<Operation> = rows.keys().cloned().collect();
    let (ml, flow) = tokio::join!(clients::azure_ai_ml(), clients::promptflow_azure());
    let mut seen: Vec<(&str, BTreeSet<Operation>)> = Vec::new();
    for (client, work) in [("azure-ai-ml", ml), ("promptflow-azure", flow)] {
        let answered = work.answered.iter().filter_map(|(host, method, path)| operation(&known, host, method, path));
        seen.push((client, answered.collect()));
    }
    if let Some(folder) = recordings::folder() {
        let recorded = recordings::answered(&folder);
        let recorded = recorded.iter().filter_map(|(host, method, path)| operation(&known, host, method, path));
        seen.push(("recording", recorded.collect()));
    }
    let mut wrong = Vec::new();
    for (row, witnesses) in &rows {
        for (who, seen) in &seen {
            match (witnesses.contains(*who), seen.contains(row)) {
                (true, false) => wrong.push(format!("{} {}: {who} was not seen to use it", row.0, row.1)),
                (false, true) => wrong.push(format!("{} {}: {who} uses it, and is not named", row.0, row.1)),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{PAGE}:\n{}", wrong.join("\n"));
}
