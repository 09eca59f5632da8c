//! The Azure simulator: an HTTPS proxy under Azure's real host names. It shares no type, constant or parser with
//! `azure/`, so that a mistake there is not repeated here.
//!
//! One module answers for one service; each has `handle(&Arc<Sim>, &http::Request) -> http::Response`:
//!
//! | module     | hosts                                                                                  |
//! |------------|----------------------------------------------------------------------------------------|
//! | `entra`    | `login.microsoftonline.com`                                                            |
//! | `arm`      | `management.azure.com`                                                                 |
//! | `blob`     | `*.blob.core.windows.net`                                                              |
//! | `flow`     | `*.api.azureml.ms`                                                                     |
//! | `insights` | `api.applicationinsights.io` (query), `*.in.applicationinsights.azure.com` (ingestion) |
//! | `scoring`  | `*.inference.ml.azure.com`                                                             |
//! | `webhook`  | `*.example.com`, `*.example.net` (the receiver of pages)                               |
//!
//! An import goes to the same group or to one above it, never in a circle. A service is a folder in two of them: what it
//! keeps is a part of [`Sim`], and what it answers is read from there.

// What everything stands on.
pub mod clock;
mod digest;
pub mod http;
mod mutex;
mod service;
mod settings;

// What the world is at the start, what is scripted, and what is noted.
pub mod faults;
pub mod requests;
pub mod scenario;
pub mod world;

// The services: what each keeps, and what it answers.
pub mod arm;
pub mod blob;
mod cloud;
pub mod entra;
pub mod flow;
pub mod insights;
pub mod scoring;
pub mod traffic;
pub mod webhook;

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
pub use start::{Options, Running, start};
