//! The Azure simulator: an HTTPS proxy under Azure's real host names. It shares no type, constant or parser with
//! `azure/`, so that a mistake there is not repeated here.
//!
//! One module answers for one service; each has `handle(&Arc<Sim>, &http::Request) -> http::Response`
//! (`model` has one of them for each of its services):
//!
//! | module     | hosts                                                                                  |
//! |------------|----------------------------------------------------------------------------------------|
//! | `entra`    | `login.microsoftonline.com`                                                            |
//! | `arm`      | `management.azure.com`                                                                 |
//! | `blob`     | `*.blob.core.windows.net`                                                              |
//! | `flow`     | `*.api.azureml.ms`                                                                     |
//! | `insights` | `api.applicationinsights.io` (query), `*.in.applicationinsights.azure.com` (ingestion) |
//! | `scoring`  | `*.inference.ml.azure.com`                                                             |
//! | `model`    | `*.openai.azure.com`, `*.cognitiveservices.azure.com` (Content Safety)                  |
//! | `webhook`  | `*.example.com`, `*.example.net` (the receiver of pages)                               |
//!
//! A service is a folder. What it keeps stands below [`Sim`], the state of all services together; what it answers stands
//! above, for every answer has the whole of it in hand. Its `mod.rs` uses the parts, and no part uses it.
//!
//! The modules are listed in groups, the ground first: an import goes to the same group or to an earlier one.

// What everything stands on.
pub mod clock;
mod digest;
pub mod http;
mod mutex;
mod service;
mod settings;

// What is scripted, and what is noted.
pub mod faults;
mod graph;
pub mod requests;
pub mod scenario;

// The services, what they begin with (`world`), and all that they keep (`cloud`).
pub mod arm;
pub mod blob;
mod cloud;
pub mod entra;
pub mod flow;
pub mod insights;
pub mod live;
pub mod model;
pub mod promptflow;
pub mod registry;
pub mod scoring;
pub mod traffic;
pub mod webhook;
pub mod world;

// The way to them.
mod answer;
mod control;
mod proxy;
mod start;
pub mod tls;

#[cfg(test)]
mod testing;

pub use cloud::Sim;
pub use mutex::lock;
pub use service::Service;
pub use settings::Settings;
pub use start::{Options, RealFlows, Running, start};
