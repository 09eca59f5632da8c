//! Who counts requests.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::Service;

/// Told once of each that was tried, tokens aside.
pub trait Meter: Send + Sync {
    /// `status` is `None` if no reply came. `took` is from sending to the last byte of the reply.
    fn request(&self, service: Service, method: &Method, status: Option<StatusCode>, took: Duration);
}
