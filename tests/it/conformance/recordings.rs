//! Recorded replies of the real Azure against the simulator's, field by field. `PROMPTRELEASE_RECORDINGS` names a folder of
//! recordings; they are third parties' and not part of this project, so without it the test does nothing.

mod asker;
mod cassette;
mod kind;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use promptrelease::sim::http::percent_decoded;

use super::{
    clients::Asked,
    differences::{self, Found},
    shape::Shapes,
};

/// Where the recordings are, if somebody has them.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("PROMPTRELEASE_RECORDINGS").map(PathBuf::from)
}

/// What was asked and answered when it was recorded.
pub fn answered(folder: &Path) -> BTreeSet<Asked> {
    let all = cassette::exchanges(folder).into_iter().filter(|exchange| exchange.status < 300);
    all.map(|exchange| {
        let host = exchange.url.host_str().unwrap_or_default().to_owned();
        (host, exchange.method, percent_decoded(exchange.url.path()))
    })
    .collect()
}

/// Shapes of the replies by kind, and what has no kind, such as `POST dc.services.visualstudio.com/v2.1/track`.
fn recorded(folder: &Path) -> (Shapes, BTreeSet<String>) {
    let (mut shapes, mut skipped) = (Shapes::new(), BTreeSet::new());
    for cassette::Exchange { method, url, status, headers, body } in cassette::exchanges(folder) {
        if let Some(kind) = kind::kind(&method, &url, status, &body) {
            let headers = headers.into_iter().map(|(name, values)| (name, values.join(", ")));
            shapes.entry(kind).or_default().add(&kind::document(status, headers, body));
        } else {
            skipped.insert(format!("{method} {}{}", url.host_str().unwrap_or_default(), url.path()));
        }
    }
    (shapes, skipped)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_answers_as_azure_was_recorded_to_answer() {
    let Some(folder) = folder() else {
        eprintln!("PROMPTRELEASE_RECORDINGS is not set: nothing is compared");
        return;
    };
    let ((recorded, skipped), answered) = (recorded(&folder), asker::asked().await);
    let mut found = Found::new();
    for (kind, model) in &recorded {
        let ours = answered.get(kind).unwrap_or_else(|| {
            let known: BTreeSet<&String> = answered.keys().collect();
            panic!("{kind} was recorded, and the simulator did not answer so; what it answered is {known:?}")
        });
        found.extend(model.differences(ours).into_iter().map(|(path, what)| (kind.clone(), path, what)));
    }
    differences::check_recordings(&found);
    differences::check_skipped(&skipped);
}
