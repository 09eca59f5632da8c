//! What registries hold, and whom they let in.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::sim::digest::hex;

/// Images of all registries, and the tokens that were given out.
#[derive(Debug, Default)]
pub struct Registry {
    /// By `host/repository` and digest.
    pub(super) manifests: BTreeMap<(String, String), Bytes>,
    /// Refresh tokens, with the host that gave them.
    pub(super) refresh: BTreeSet<(String, String)>,
    /// Access tokens, with the `host/repository` that they pull from.
    pub(super) access: BTreeSet<(String, String)>,
}

impl Registry {
    /// Puts a manifest under `host/repository`; its digest.
    pub fn push(&mut self, name: &str, manifest: &Value) -> String {
        let bytes = Bytes::from(manifest.to_string());
        let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
        self.manifests.insert((name.to_owned(), digest.clone()), bytes);
        digest
    }
}
