//! PromptRelease: progressive delivery of LLM prompts and flows on Azure ML, as a Kubernetes operator.
//!
//! Modules in the order of their layers; who may import whom is data in `tests/it/architecture.rs`.

pub mod api;

pub mod azure;
pub mod metrics;
pub mod policy;
pub mod telemetry;
pub mod view;

pub mod endpoint;
pub mod notify;
pub mod runner;
pub mod stage;

pub mod controller;
pub mod leader;
pub mod serve;

pub mod samples;

#[cfg(feature = "sim")]
pub mod plane;
#[cfg(feature = "sim")]
pub mod sim;
