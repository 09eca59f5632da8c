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

placeholder!(flow, Flow);
