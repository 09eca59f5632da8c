//! Which resource a path of the management API names. Fixed segments are compared in any case, as ARM does.

use super::errors;
use crate::sim::{http::Response, settings::Settings};

/// A resource or collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Workspace,
    Component(String),
    Datastores,
    Datastore(String),
    DatastoreSecrets(String),
    Connections,
    Connection(String),
    ConnectionSecrets(String),
    /// All names of one kind of asset.
    AssetNames(Kind),
    /// All versions of one name.
    AssetVersions(Kind, String),
    Asset(Kind, String, String),
    PendingUpload(String, String),
    Endpoints,
    Endpoint(String),
    EndpointKeys(String),
    EndpointToken(String),
    Deployments(String),
    Deployment(String, String),
    DeploymentLogs(String, String),
    DeploymentSkus(String, String),
    OperationStatus(String),
    OperationResult(String),
}

/// Kinds of versioned assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Model,
    Environment,
    Data,
    Code,
}

impl Kind {
    fn parse(segment: &str) -> Option<Self> {
        [Self::Model, Self::Environment, Self::Data, Self::Code].into_iter().find(|k| k.segment() == segment)
    }

    /// The path segment.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Environment => "environments",
            Self::Data => "data",
            Self::Code => "codes",
        }
    }

    /// The name in permissions, where data assets keep their old name.
    fn permission(self) -> &'static str {
        match self {
            Self::Data => "datasets",
            other => other.segment(),
        }
    }
}

/// Finds the resource.
///
/// # Errors
/// 404 in ARM's words, for the first part of the path that does not exist.
pub fn parse(path: &str, settings: &Settings) -> Result<Route, Response> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let lower: Vec<String> = parts.iter().map(|p| p.to_ascii_lowercase()).collect();
    let low: Vec<&str> = lower.iter().map(String::as_str).collect();
    let unknown =
        || errors::arm(404, "InvalidResourceType", format!("The resource type of '{path}' could not be found."));
    let ["subscriptions", subscription, rest @ ..] = low.as_slice() else { return Err(unknown()) };
    if *subscription != settings.subscription.to_ascii_lowercase() {
        let text = format!("The subscription '{}' could not be found.", parts[1]);
        return Err(errors::arm(404, "SubscriptionNotFound", text));
    }
    match rest {
        ["providers", "microsoft.machinelearningservices", "locations", _, kind, _] => match *kind {
            "mfeoperationsstatus" => Ok(Route::OperationStatus(parts[7].to_owned())),
            "mfeoperationresults" => Ok(Route::OperationResult(parts[7].to_owned())),
            _ => Err(unknown()),
        },
        ["resourcegroups", group, ..] if *group != settings.resource_group.to_ascii_lowercase() => {
            let text = format!("Resource group '{}' could not be found.", parts[3]);
            Err(errors::arm(404, "ResourceGroupNotFound", text))
        }
        ["resourcegroups", _, "providers", "microsoft.insights", "components", _] => {
            Ok(Route::Component(parts[7].to_owned()))
        }
        ["resourcegroups", _, "providers", "microsoft.machinelearningservices", "workspaces", name, inner @ ..] => {
            if *name != settings.workspace.to_ascii_lowercase() {
                return Err(absent(settings, "Microsoft.MachineLearningServices/workspaces", parts[7]));
            }
            in_workspace(inner, &parts[8..]).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

/// ARM's 404 for a resource of a resource group.
pub fn absent(settings: &Settings, kind: &str, name: &str) -> Response {
    let text = format!(
        "The Resource '{kind}/{name}' under resource group '{}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix",
        settings.resource_group
    );
    errors::arm(404, "ResourceNotFound", text)
}

fn in_workspace(low: &[&str], parts: &[&str]) -> Option<Route> {
    let own = |i: usize| parts[i].to_owned();
    Some(match low {
        [] => Route::Workspace,
        ["datastores"] => Route::Datastores,
        ["datastores", _] => Route::Datastore(own(1)),
        ["datastores", _, "listsecrets"] => Route::DatastoreSecrets(own(1)),
        ["connections"] => Route::Connections,
        ["connections", _] => Route::Connection(own(1)),
        ["connections", _, "listsecrets"] => Route::ConnectionSecrets(own(1)),
        ["onlineendpoints"] => Route::Endpoints,
        ["onlineendpoints", _] => Route::Endpoint(own(1)),
        ["onlineendpoints", _, "listkeys"] => Route::EndpointKeys(own(1)),
        ["onlineendpoints", _, "token"] => Route::EndpointToken(own(1)),
        ["onlineendpoints", _, "deployments"] => Route::Deployments(own(1)),
        ["onlineendpoints", _, "deployments", _] => Route::Deployment(own(1), own(3)),
        ["onlineendpoints", _, "deployments", _, "getlogs"] => Route::DeploymentLogs(own(1), own(3)),
        ["onlineendpoints", _, "deployments", _, "skus"] => Route::DeploymentSkus(own(1), own(3)),
        [kind] => Route::AssetNames(Kind::parse(kind)?),
        [kind, _, "versions"] => Route::AssetVersions(Kind::parse(kind)?, own(1)),
        [kind, _, "versions", _] => Route::Asset(Kind::parse(kind)?, own(1), own(3)),
        ["codes", _, "versions", _, "startpendingupload"] => Route::PendingUpload(own(1), own(3)),
        _ => return None,
    })
}

impl Route {
    /// The permission that `method` on this resource needs; None where a token is enough.
    pub fn action(&self, method: &str) -> Option<String> {
        let verb = match method {
            "GET" | "HEAD" => "read",
            "PUT" | "PATCH" => "write",
            "DELETE" => "delete",
            _ => "action",
        };
        let kind = match self {
            Self::Component(_) => return Some(format!("Microsoft.Insights/components/{verb}")),
            Self::OperationStatus(_) | Self::OperationResult(_) => return None,
            Self::Workspace => String::new(),
            Self::Datastores | Self::Datastore(_) => "/datastores".into(),
            Self::DatastoreSecrets(_) => "/datastores/listSecrets".into(),
            Self::Connections | Self::Connection(_) => "/connections".into(),
            Self::ConnectionSecrets(_) => "/connections/listsecrets".into(),
            Self::AssetNames(kind) => format!("/{}", kind.permission()),
            Self::AssetVersions(kind, _) | Self::Asset(kind, ..) => format!("/{}/versions", kind.permission()),
            Self::PendingUpload(..) => "/codes/versions/startPendingUpload".into(),
            Self::Endpoints | Self::Endpoint(_) => "/onlineEndpoints".into(),
            Self::EndpointKeys(_) => "/onlineEndpoints/listKeys".into(),
            Self::EndpointToken(_) => "/onlineEndpoints/token".into(),
            Self::Deployments(_) | Self::Deployment(..) => "/onlineEndpoints/deployments".into(),
            Self::DeploymentLogs(..) => "/onlineEndpoints/deployments/getLogs".into(),
            Self::DeploymentSkus(..) => "/onlineEndpoints/deployments/skus".into(),
        };
        Some(format!("Microsoft.MachineLearningServices/workspaces{kind}/{verb}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::World;

    const WS: &str = "/subscriptions/7F0C2A51-4a0b-4d3e-9c61-2b1f8d0e6a34/resourcegroups/RG-assistant-prod-eus2/\
                      providers/microsoft.machinelearningservices/Workspaces/mlw-assistant-prod";

    #[test]
    fn fixed_segments_fit_in_any_case_and_names_keep_theirs() {
        let settings = World::default().settings();
        let route = parse(&format!("{WS}/ONLINEENDPOINTS/Qa/Deployments/D-1"), &settings).unwrap();
        assert_eq!(route, Route::Deployment("Qa".into(), "D-1".into()));
        assert_eq!(
            route.action("PUT").as_deref(),
            Some("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write")
        );
    }

    #[test]
    fn the_404_names_the_first_part_that_is_absent() {
        let settings = World::default().settings();
        let code = |path: &str| {
            let body = parse(path, &settings).unwrap_err().body;
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["error"]["code"].as_str().unwrap().to_owned()
        };
        assert_eq!(code("/subscriptions/none/resourceGroups/x"), "SubscriptionNotFound");
        assert_eq!(code(&WS.replace("RG-assistant-prod-eus2", "other")), "ResourceGroupNotFound");
        assert_eq!(code(&WS.replace("mlw-assistant-prod", "other")), "ResourceNotFound");
        assert_eq!(code(&format!("{WS}/toasters")), "InvalidResourceType");
    }
}
