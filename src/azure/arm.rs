//! Requests to Azure Resource Manager.

use reqwest::Method;
use url::Url;

use super::{Azure, Error, Result, Service, wire::Outgoing};

/// The stable version of Azure Machine Learning's ARM API with `startupProbe`; all shapes here are its.
pub(super) const ML_VERSION: &str = "2024-10-01";
/// Microsoft.Insights/components.
pub(super) const INSIGHTS_VERSION: &str = "2020-02-02";

impl Azure {
    /// A request about something in the workspace, `path` given as segments that are percent-encoded here.
    pub(super) fn arm(&self, method: Method, path: &[&str]) -> Result<Outgoing> {
        let id = &self.inner.workspace;
        let workspace = [
            "subscriptions",
            &id.subscription,
            "resourceGroups",
            &id.resource_group,
            "providers",
            "Microsoft.MachineLearningServices",
            "workspaces",
            &id.workspace,
        ];
        let what = if path.is_empty() { format!("workspace {}", id.workspace) } else { path.join("/") };
        self.arm_at(method, workspace.iter().chain(path), what, ML_VERSION)
    }

    /// A request about any resource of ARM.
    pub(super) fn arm_at<'a>(
        &self,
        method: Method,
        segments: impl IntoIterator<Item = &'a &'a str>,
        what: String,
        version: &str,
    ) -> Result<Outgoing> {
        let url = join(&format!("https://{}", self.inner.cloud.arm_host), segments);
        let mut url = url.ok_or_else(|| Error::NotSent { call: what.clone(), reason: "its name is no path".into() })?;
        url.query_pairs_mut().append_pair("api-version", version);
        let within = match method {
            Method::GET | Method::POST => self.inner.timeouts.read,
            _ => self.inner.timeouts.write,
        };
        Ok(Outgoing::new(Service::Arm, method, url, what, within))
    }
}

/// `base` and the segments, each one percent-encoded. `None` for a segment that a URL would swallow (empty, `.`, `..`):
/// the request would go to another resource than its name says.
pub(super) fn join<'a>(base: &str, segments: impl IntoIterator<Item = &'a &'a str>) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    let mut path = url.path_segments_mut().ok()?;
    path.pop_if_empty();
    for segment in segments {
        if segment.is_empty() || *segment == "." || *segment == ".." {
            return None;
        }
        path.push(segment);
    }
    drop(path);
    Some(url)
}
