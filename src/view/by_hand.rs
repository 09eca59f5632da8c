//! Commands for a person. They are complete, since whoever pastes one at night must not depend on how a shell was set up.

use crate::api::endpoint::AzureEndpoint;

/// `az ml online-endpoint update … --traffic d-1427=100`
pub fn all_traffic(azure: &AzureEndpoint, deployment: &str) -> String {
    format!("{} --traffic {deployment}=100", update(azure))
}

/// `az ml online-endpoint update … --mirror-traffic d-1428=0`
pub fn no_mirror(azure: &AzureEndpoint, deployment: &str) -> String {
    format!("{} --mirror-traffic {deployment}=0", update(azure))
}

fn update(azure: &AzureEndpoint) -> String {
    let AzureEndpoint { subscription_id, resource_group, workspace, endpoint, .. } = azure;
    format!(
        "az ml online-endpoint update --subscription {subscription_id} -g {resource_group} -w {workspace} -n {endpoint}"
    )
}

/// `kubectl annotate -n assistant promptrelease support-assistant promptrelease.io/abort-`; `what` may set an annotation
/// that has another value, or take one away.
pub fn annotate(namespace: &str, kind: &str, name: &str, what: &str) -> String {
    let overwrite = if what.ends_with('-') { "" } else { " --overwrite" };
    format!("kubectl annotate -n {namespace}{overwrite} {kind} {name} {what}")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An endpoint for the tests of this module's users.
    pub fn azure(endpoint: &str) -> AzureEndpoint {
        AzureEndpoint {
            subscription_id: "00000000-0000-0000-0000-000000000001".into(),
            resource_group: "rg".into(),
            workspace: "ws".into(),
            endpoint: endpoint.into(),
            cloud: crate::api::endpoint::Cloud::default(),
        }
    }

    #[test]
    fn a_command_needs_no_defaults() {
        assert_eq!(
            all_traffic(&azure("prod"), "d-1427"),
            "az ml online-endpoint update --subscription 00000000-0000-0000-0000-000000000001 -g rg -w ws -n prod --traffic \
             d-1427=100"
        );
    }

    #[test]
    fn an_annotation_that_stands_is_replaced() {
        assert_eq!(
            annotate("assistant", "promptrelease", "support", "promptrelease.io/abort=1428"),
            "kubectl annotate -n assistant --overwrite promptrelease support promptrelease.io/abort=1428"
        );
        assert_eq!(
            annotate("assistant", "promptrelease", "support", "promptrelease.io/abort-"),
            "kubectl annotate -n assistant promptrelease support promptrelease.io/abort-"
        );
    }
}
