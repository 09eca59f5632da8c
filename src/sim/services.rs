//! Placeholders for the services that another branch brings. When it is merged, this file goes and `sim/mod.rs` names
//! its modules with `pub mod`.

macro_rules! placeholder {
    ($name:ident $(, $state:ident)?) => {
        pub mod $name {
            use std::sync::Arc;

            use crate::sim::{Sim, http};

            $(#[derive(Default)]
            pub struct $state;)?

            pub async fn handle(_sim: &Arc<Sim>, req: &http::Request) -> http::Response {
                http::Response::text(501, format!("{} is not part of this build", req.host))
            }
        }
    };
}

placeholder!(blob, Blobs);
placeholder!(flow, Flow);
placeholder!(insights, Store);
placeholder!(scoring);
placeholder!(webhook, Inbox);

impl webhook::Inbox {
    /// What has been received, for the control API.
    pub fn describe(&self) -> serde_json::Value {
        serde_json::json!([])
    }
}

pub mod scenario {
    use serde::Deserialize;

    #[derive(Default, Deserialize)]
    pub struct Scenario {}
}

pub mod traffic {
    use std::sync::Arc;

    use crate::sim::Sim;

    pub async fn run(_sim: Arc<Sim>) {}
}
