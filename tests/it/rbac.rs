//! What the operator may do with the very roles of `deploy/operator.yaml`, and what a team's own role adds to that: one
//! account, its tokens, one Secret. There is no operator-wide identity towards Azure.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{Secret, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};

use crate::ground::{Ground, OPERATOR, OPERATOR_NAMESPACE, TEAM};

/// Verbs on something: group, resource with its subresource, namespace (empty: all), name (empty: any).
type Access = (&'static [&'static str], &'static str, &'static str, &'static str, &'static str);

const OURS: &str = "promptrelease.io";

const MAY: &[Access] = &[
    (&["get", "list", "watch", "patch"], OURS, "promptendpoints", "", ""),
    (&["get", "list", "watch", "patch"], OURS, "promptreleases", "", ""),
    (&["update"], OURS, "promptendpoints/status", "anywhere", "any"),
    (&["update"], OURS, "promptreleases/status", "anywhere", "any"),
    (&["create", "patch"], "events.k8s.io", "events", "anywhere", ""),
    (&["get"], "", "namespaces", "", "kube-system"),
    (&["create"], "coordination.k8s.io", "leases", OPERATOR_NAMESPACE, ""),
    (&["get", "update"], "coordination.k8s.io", "leases", OPERATOR_NAMESPACE, OPERATOR),
    // By the team's own role.
    (&["get"], "", "serviceaccounts", TEAM, "assistant-release"),
    (&["create"], "", "serviceaccounts/token", TEAM, "assistant-release"),
    (&["get"], "", "secrets", TEAM, "oncall-webhook"),
];

const MAY_NOT: &[Access] = &[
    // A release is the team's, an endpoint the platform's: neither is made, rewritten or deleted.
    (&["create", "update", "delete", "deletecollection"], OURS, "promptendpoints", "anywhere", ""),
    (&["create", "update", "delete", "deletecollection"], OURS, "promptreleases", "anywhere", ""),
    // A status is written as a whole, compared with what was read.
    (&["get", "patch"], OURS, "promptendpoints/status", "anywhere", "any"),
    (&["get", "patch"], OURS, "promptreleases/status", "anywhere", "any"),
    // Of the team's Secrets and accounts only those that it names.
    (&["get"], "", "secrets", TEAM, "another"),
    (&["list", "watch", "create", "update", "patch", "delete"], "", "secrets", TEAM, ""),
    (&["create"], "", "serviceaccounts/token", TEAM, "default"),
    (&["get"], "", "serviceaccounts", TEAM, "default"),
    (&["list", "create", "patch"], "", "serviceaccounts", TEAM, ""),
    // A team without a role of its own is out of reach.
    (&["get"], "", "secrets", "another-team", "oncall-webhook"),
    (&["create"], "", "serviceaccounts/token", "another-team", "assistant-release"),
    // Nothing of its own either.
    (&["create"], "", "serviceaccounts/token", OPERATOR_NAMESPACE, OPERATOR),
    (&["get", "list"], "", "secrets", OPERATOR_NAMESPACE, ""),
    (&["delete", "list", "patch"], "coordination.k8s.io", "leases", OPERATOR_NAMESPACE, OPERATOR),
    (&["get", "update"], "coordination.k8s.io", "leases", OPERATOR_NAMESPACE, "another"),
    (&["create", "get"], "coordination.k8s.io", "leases", "kube-system", OPERATOR),
    // The rest of the cluster.
    (&["list", "watch"], "", "namespaces", "", ""),
    (&["get"], "", "namespaces", "", TEAM),
    (&["get", "list", "create"], "", "pods", "anywhere", ""),
    (&["create"], "", "pods/exec", "anywhere", ""),
    (&["get", "list"], "", "configmaps", "anywhere", ""),
    (&["get", "update", "patch"], "apiextensions.k8s.io", "customresourcedefinitions", "", ""),
    (&["create", "update", "patch", "bind", "escalate"], "rbac.authorization.k8s.io", "clusterroles", "", ""),
    (&["create", "update", "patch"], "rbac.authorization.k8s.io", "rolebindings", "anywhere", ""),
    (&["impersonate"], "", "serviceaccounts", TEAM, ""),
];

/// Every verb of every access whose answer is not `expected`.
async fn answered_otherwise(client: &Client, accesses: &[Access], expected: bool) -> Vec<String> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut wrong = Vec::new();
    for (verbs, group, resource, namespace, name) in accesses {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for verb in *verbs {
            let resource_attributes = Some(ResourceAttributes {
                group: Some((*group).to_owned()),
                resource: Some(resource.to_owned()),
                subresource: given(subresource),
                namespace: given(namespace),
                name: given(name),
                verb: Some((*verb).to_owned()),
                ..ResourceAttributes::default()
            });
            let spec = SelfSubjectAccessReviewSpec { resource_attributes, ..SelfSubjectAccessReviewSpec::default() };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let answer = reviews.create(&PostParams::default(), &review).await.expect("a review");
            if answer.status.is_some_and(|status| status.allowed) != expected {
                wrong.push(format!("{verb} {group}/{resource}/{subresource} {name} in {namespace:?}"));
            }
        }
    }
    wrong
}

async fn operator(ground: &Ground) -> Client {
    ground.client_of(OPERATOR_NAMESPACE, OPERATOR).await
}

#[tokio::test]
async fn the_operator_may_do_what_it_needs() {
    let ground = Ground::shared().await;
    let refused = answered_otherwise(&operator(ground).await, MAY, true).await;
    assert!(refused.is_empty(), "refused, but needed:\n{}", refused.join("\n"));
}

#[tokio::test]
async fn the_operator_may_do_nothing_else() {
    let ground = Ground::shared().await;
    let allowed = answered_otherwise(&operator(ground).await, MAY_NOT, false).await;
    assert!(allowed.is_empty(), "allowed, but nobody needs it:\n{}", allowed.join("\n"));
}

#[tokio::test]
async fn the_teams_role_gives_one_identity_and_one_secret_away() {
    let ground = Ground::shared().await;
    let client = operator(ground).await;

    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), TEAM);
    let audiences = vec!["api://AzureADTokenExchange".to_owned()];
    let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let reply = accounts.create_token_request("assistant-release", &PostParams::default(), &request).await;
    let token = reply.expect("a token for Entra ID").status.expect("a status").token;
    assert_eq!(token.split('.').count(), 3, "a JWT");

    let secrets: Api<Secret> = Api::namespaced(client.clone(), TEAM);
    let secret = secrets.get("oncall-webhook").await.expect("the Secret that the role names");
    assert!(secret.data.is_some_and(|data| data.contains_key("url") && data.contains_key("hmac")));

    let list = secrets.list(&ListParams::default()).await.expect_err("a list shows every Secret");
    assert!(list.to_string().contains("forbidden"), "{list}");
    let other = accounts.create_token_request("default", &PostParams::default(), &request).await;
    assert!(other.expect_err("another account").to_string().contains("forbidden"));
}
