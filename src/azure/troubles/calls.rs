//! Tokens that are not given, and calls that are refused.

use super::row::{
    ANY,
    Blame::Content,
    Place::{Call, Operation, Token},
    ROLES, ROW, Sign, Trouble,
    Who::{Author, Cluster, Nobody, Owner},
    codes, of, texts,
};
use crate::azure::Service;
use crate::azure::service::EXPIRED;

const FEDERATED: &str = "az identity federated-credential list --identity-name IDENTITY --resource-group GROUP";
const ACCOUNT: &str = "kubectl get serviceaccount -n NAMESPACE ACCOUNT -o yaml";
const ENDPOINT: &str = "az ml online-endpoint show --name ENDPOINT --query provisioning_state";

pub(super) const ROWS: &[Trouble] = &[
    // Tokens that Entra ID does not give.
    Trouble {
        name: "NoFederatedCredential",
        places: &[Token],
        sign: texts(&["aadsts70021"]),
        who: Owner,
        remedy: "give the identity a federated credential with the issuer, subject and audience named here",
        command: FEDERATED,
        says: "AADSTS700213: No matching federated identity record found for presented assertion subject \
               'system:serviceaccount:team:release'.",
        ..ROW
    },
    Trouble {
        name: "ClusterClock",
        places: &[Token],
        sign: texts(&["aadsts700024"]),
        who: Cluster,
        remedy: "check the clocks of the cluster's nodes",
        command: "timedatectl",
        says: "AADSTS700024: Client assertion is not within its valid time range.",
        ..ROW
    },
    Trouble {
        name: "IssuerKeys",
        places: &[Token],
        sign: texts(&["aadsts700027"]),
        who: Cluster,
        remedy: "check that the issuer of the cluster publishes the keys with which it signs now",
        command: "kubectl get --raw /openid/v1/jwks",
        says: "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered.",
        ..ROW
    },
    Trouble {
        name: "ClientUnknown",
        places: &[Token],
        sign: texts(&["aadsts700016"]),
        who: Cluster,
        remedy: "check the client id of the ServiceAccount",
        command: ACCOUNT,
        says: "AADSTS700016: Application with identifier was not found in the directory.",
        ..ROW
    },
    Trouble {
        name: "TenantUnknown",
        places: &[Token],
        sign: texts(&["aadsts90002"]),
        who: Cluster,
        remedy: "check the tenant id of the ServiceAccount",
        command: ACCOUNT,
        says: "AADSTS90002: Tenant not found.",
        ..ROW
    },
    // Tokens that a service does not take.
    Trouble {
        name: "TokenExpired",
        places: &[Call],
        sign: Sign { statuses: &[401], texts: &[EXPIRED], ..ANY },
        who: Cluster,
        remedy: "check the clocks of the cluster's nodes",
        command: "timedatectl",
        says: "ExpiredAuthenticationToken: The access token expiry UTC time is earlier than current UTC time.",
        ..ROW
    },
    Trouble {
        name: "FlowTokenRefused",
        places: &[Call],
        sign: of(Service::Flow, &[401]),
        remedy: "check that cloud and tenant are those of the resource: this service wants two tokens of them, one of the \
                 management API and one of Azure Machine Learning",
        command: "az ml workspace show --resource-group GROUP --name WORKSPACE --query discovery_url",
        says: "Unauthorized: The access token has been obtained for wrong audience or resource.",
        ..ROW
    },
    Trouble {
        name: "TokenRefused",
        places: &[Call],
        sign: Sign { statuses: &[401], ..ANY },
        remedy: "check that cloud and tenant are those of the resource",
        command: ACCOUNT,
        says: "InvalidAuthenticationToken: The access token signature is invalid.",
        ..ROW
    },
    // Roles that are missing.
    Trouble {
        name: "Forbidden",
        places: &[Call],
        sign: of(Service::Arm, &[403]),
        remedy: "grant the identity {role} {where} (a change of roles takes up to an hour)",
        command: "az role assignment create --assignee CLIENT-ID --role ROLE --scope SCOPE",
        says: "AuthorizationFailed: The client does not have authorization to perform action \
               'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action' over scope '/subscriptions/…'.",
        ..ROW
    },
    Trouble {
        name: "ApplicationTokenRefused",
        places: &[Call],
        sign: Sign { texts: &["aml-user-token", "app-only", "token of an application"], ..of(Service::Flow, &[403]) },
        meaning: "the service takes no application's token here, and no role mends that",
        remedy: "ask Microsoft's support to let workload identities run bulk runs; until then evaluate as a person, with \
                 promptrelease eval --remote",
        command: "az ad sp show --id CLIENT-ID",
        says: "Forbidden: The token in aml-user-token is that of an application; a bulk run needs that of a user.",
        ..ROW
    },
    Trouble {
        name: "FlowForbidden",
        places: &[Call],
        sign: of(Service::Flow, &[403]),
        remedy: "grant the identity the role AzureML Data Scientist {where}",
        command: ROLES,
        says: "Forbidden: The identity does not have authorization to perform this action.",
        ..ROW
    },
    Trouble {
        name: "StorageForbidden",
        places: &[Call],
        sign: of(Service::Blob, &[403]),
        remedy: "grant the identity the role Storage Blob Data Contributor {where}, and let the cluster's network through \
                 the storage account's firewall",
        command: ROLES,
        says: "AuthorizationPermissionMismatch: This request is not authorized to perform this operation using this \
               permission.",
        ..ROW
    },
    Trouble {
        name: "InsightsForbidden",
        places: &[Call],
        sign: of(Service::Insights, &[403]),
        remedy: "grant the identity the role Monitoring Reader {where}",
        command: ROLES,
        says: "InsufficientAccessError: The provided credentials have insufficient access to perform the requested \
               operation.",
        ..ROW
    },
    Trouble {
        name: "IngestionForbidden",
        places: &[Call],
        sign: of(Service::Ingestion, &[403]),
        remedy: "grant the identity the role Monitoring Metrics Publisher {where}",
        command: ROLES,
        says: "The provided credentials do not grant access to ingest telemetry into the component.",
        ..ROW
    },
    Trouble {
        name: "ArchiveForbidden",
        places: &[Call],
        sign: of(Service::Web, &[403]),
        who: Author,
        remedy: "no token is sent to a host outside this cloud, nor with a signed address; use a public address, or one \
                 whose signature is valid",
        command: "curl -I URL",
        says: "403 Forbidden",
        ..ROW
    },
    Trouble {
        name: "RequestDisallowedByPolicy",
        places: &[Call, Operation],
        sign: codes(&["RequestDisallowedByPolicy"]),
        meaning: "a policy of the subscription forbids it",
        remedy: "have the policy changed, or an exemption made",
        command: "az policy state list --resource-group GROUP --filter \"complianceState eq 'NonCompliant'\"",
        says: "RequestDisallowedByPolicy: Resource was disallowed by policy.",
        ..ROW
    },
    // Limits.
    Trouble {
        name: "TooManyRequests",
        places: &[Call],
        sign: Sign { statuses: &[429], ..ANY },
        who: Nobody,
        remedy: "it is tried again then; if it goes on, find who else uses up this subscription's limit",
        command: "az monitor activity-log list --offset 1h --caller CLIENT-ID --output table",
        says: "TooManyRequests: Too many requests.",
        ..ROW
    },
    Trouble {
        name: "ArtifactTooLarge",
        places: &[Call],
        sign: Sign { statuses: &[413], ..ANY },
        blame: Content,
        who: Author,
        meaning: "what is released is too large",
        remedy: "put models, tokenizers and caches into the image, not into the archive",
        command: "tar -tvzf ARCHIVE | sort -k3 -n -r | head",
        says: "RequestBodyTooLarge: The request body is too large and exceeds the maximum permissible limit.",
    },
    // Writes that come at the wrong time.
    Trouble {
        name: "EndpointUpdating",
        places: &[Call, Operation],
        sign: Sign {
            statuses: &[],
            texts: &["in updating provisioning state", "in 'updating' state", "in updating state"],
            ..ANY
        },
        who: Nobody,
        meaning: "another operation runs on the endpoint",
        remedy: "it is tried again when that has ended",
        command: ENDPOINT,
        says: "Cannot create a deployment in endpoint because it is in Updating provisioning state.",
        ..ROW
    },
    Trouble {
        name: "DeploymentUnrecoverable",
        places: &[Call, Operation],
        sign: texts(&["failed during initial provisioning"]),
        meaning: "a deployment whose first provisioning failed takes no update",
        remedy: "delete it; the next attempt takes another name",
        command: "az ml online-deployment delete --endpoint-name ENDPOINT --name DEPLOYMENT",
        says: "Specified deployment [d-1428] failed during initial provisioning and is in an unrecoverable state. Delete \
               and re-create.",
        ..ROW
    },
    Trouble {
        name: "EndpointUnrecoverable",
        places: &[Call, Operation],
        sign: texts(&["has not been created successfully"]),
        meaning: "the endpoint itself failed, or is being deleted",
        remedy: "delete and create it anew",
        command: ENDPOINT,
        says: "Specified endpoint has not been created successfully. Please recreate the endpoint.",
        ..ROW
    },
    Trouble {
        name: "Conflict",
        places: &[Call, Operation],
        sign: codes(&["Conflict", "AnotherOperationInProgress"]),
        who: Nobody,
        meaning: "another operation runs on the same resource",
        remedy: "it is tried again when that has ended",
        command: ENDPOINT,
        says: "AnotherOperationInProgress: Another operation on this resource is in progress.",
        ..ROW
    },
    Trouble {
        name: "AssetPathChanged",
        places: &[Call],
        sign: texts(&["asset paths cannot be updated"]),
        blame: Content,
        who: Author,
        meaning: "this version of the asset exists with other content",
        remedy: "ship the content under another version",
        command: "az ml model show --name MODEL --version VERSION --resource-group GROUP --workspace-name WORKSPACE",
        says: "UserError: Asset paths cannot be updated.",
    },
    Trouble {
        name: "NotFound",
        places: &[Call],
        sign: Sign { statuses: &[404], codes: &["NotFound", "ResourceNotFound", "ResourceGroupNotFound"], ..ANY },
        meaning: "nothing of this name exists there",
        remedy: "compare subscription, resource group, workspace and name with Azure's",
        command: "az ml online-endpoint list --resource-group GROUP --workspace-name WORKSPACE --output table",
        says: "ResourceNotFound: The Resource under resource group was not found.",
        ..ROW
    },
    Trouble {
        name: "AzureFailed",
        places: &[Call],
        sign: Sign { statuses: &[408, 500, 502, 503, 504], texts: &["the service failed with"], ..ANY },
        who: Nobody,
        meaning: "Azure's fault",
        remedy: "it is tried again; if it goes on, open a support case",
        command: "az rest --method get --url https://management.azure.com/subscriptions?api-version=2022-12-01",
        says: "ServiceError: Received 500 from a service request",
        ..ROW
    },
];
