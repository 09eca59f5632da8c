//! The rows. The first that fits counts, so what says more comes first.
//!
//! Codes of deployments are those of Microsoft's "Troubleshoot online endpoints"; those of runs are Prompt flow's own, from
//! its source and from recorded traffic of its tests; the rest are replies of Azure Resource Manager.

use super::{
    Blame::{Content, Environment},
    EXPIRED,
    Place::{Call, Line, Operation, Run, Token},
    Service, Sign, Trouble,
    Who::{Author, Cluster, Nobody, Owner},
};

const ANY: Sign = Sign { service: None, statuses: &[], codes: &[], texts: &[] };

const fn codes(codes: &'static [&'static str]) -> Sign {
    Sign { codes, ..ANY }
}

const fn texts(texts: &'static [&'static str]) -> Sign {
    Sign { texts, ..ANY }
}

const fn of(service: Service, status: &'static [u16]) -> Sign {
    Sign { service: Some(service), statuses: status, ..ANY }
}

/// What most rows have.
const ROW: Trouble = Trouble {
    name: "",
    places: &[Operation],
    sign: ANY,
    blame: Environment,
    who: Owner,
    meaning: "",
    remedy: "",
    command: "",
    says: "",
};

const LOGS: &str = "az ml online-deployment get-logs --endpoint-name ENDPOINT --name DEPLOYMENT --lines 100";
const QUOTA: &str = "az ml compute list-usage --resource-group GROUP --workspace-name WORKSPACE";
const ROLES: &str = "az role assignment list --assignee CLIENT-ID --all --output table";
const FEDERATED: &str = "az identity federated-credential list --identity-name IDENTITY --resource-group GROUP";
const ACCOUNT: &str = "kubectl get serviceaccount -n NAMESPACE ACCOUNT -o yaml";
const CONNECTIONS: &str = "az ml connection list --resource-group GROUP --workspace-name WORKSPACE --output table";
const ENDPOINT: &str = "az ml online-endpoint show --name ENDPOINT --query provisioning_state";
const SUPPORT: &str = "ship the content under another version, or open a support case";

/// All that is known.
pub const TABLE: &[Trouble] = &[
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
        name: "FlowForbidden",
        places: &[Call],
        sign: of(Service::Flow, &[403]),
        remedy: "grant the identity the role AzureML Data Scientist on the workspace",
        command: ROLES,
        says: "Forbidden: The identity does not have authorization to perform this action.",
        ..ROW
    },
    Trouble {
        name: "StorageForbidden",
        places: &[Call],
        sign: of(Service::Blob, &[403]),
        remedy: "grant the identity the role Storage Blob Data Contributor on the container, and let the cluster's \
                 network through the storage account's firewall",
        command: ROLES,
        says: "AuthorizationPermissionMismatch: This request is not authorized to perform this operation using this \
               permission.",
        ..ROW
    },
    Trouble {
        name: "InsightsForbidden",
        places: &[Call],
        sign: of(Service::Insights, &[403]),
        remedy: "grant the identity the role Monitoring Reader on the Application Insights component",
        command: ROLES,
        says: "InsufficientAccessError: The provided credentials have insufficient access to perform the requested \
               operation.",
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
        ..ROW
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
        ..ROW
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
    // Deployments.
    Trouble {
        name: "ImageTooLarge",
        sign: texts(&["no space left on device", "disk space", "disk quota", "image size", "image is too large"]),
        blame: Content,
        who: Author,
        meaning: "the image, or what it writes, does not fit on the instance's disk",
        remedy: "build it in stages and leave caches out, or take an instance type with a larger disk",
        command: "docker history IMAGE",
        says: "ResourceNotReady: User container has crashed or terminated; log ends: no space left on device",
        ..ROW
    },
    Trouble {
        name: "ResourceNotReady",
        sign: codes(&["ResourceNotReady"]),
        blame: Content,
        who: Author,
        meaning: "the container started and died",
        remedy: "read the end of its log, run the image locally",
        command: LOGS,
        says: "ResourceNotReady: User container has crashed or terminated.",
        ..ROW
    },
    Trouble {
        name: "Unhealthy",
        sign: texts(&["state unhealthy"]),
        blame: Content,
        who: Author,
        meaning: "the container runs, and does not answer its probes, or is too large to start in time",
        remedy: "read the end of its log, compare its routes with those of the environment, make the image smaller",
        command: LOGS,
        says: "OperationFailed: Deployment 'd-1428' transitioned to state Unhealthy",
        ..ROW
    },
    Trouble {
        name: "ImageBuildFailure",
        sign: codes(&["ImageBuildFailure"]),
        blame: Content,
        who: Author,
        meaning: "the image cannot be pulled or built",
        remedy: "check its name, digest and the registry's access",
        command: "az acr manifest show-metadata REGISTRY.azurecr.io/NAME@DIGEST",
        says: "ImageBuildFailure: The image build of the environment failed.",
        ..ROW
    },
    Trouble {
        name: "BadArgument",
        sign: codes(&["BadArgument"]),
        blame: Content,
        who: Author,
        meaning: "Azure refuses a setting of the deployment",
        remedy: "compare it with the message",
        command: "kubectl get promptrelease -n NAMESPACE NAME -o jsonpath={.spec.deployment}",
        says: "BadArgument: The instance type is not known.",
        ..ROW
    },
    Trouble {
        name: "SecretsInjectionError",
        sign: codes(&["SecretsInjectionError"]),
        blame: Content,
        meaning: "a secret that env names cannot be read",
        remedy: "let the endpoint's identity read the connections that env names: role Azure Machine Learning Workspace \
                 Connection Secrets Reader on the workspace",
        command: CONNECTIONS,
        says: "SecretsInjectionError: The secret could not be retrieved and injected.",
        ..ROW
    },
    Trouble {
        name: "ResourceNotFound",
        sign: codes(&["ResourceNotFound"]),
        blame: Content,
        who: Author,
        meaning: "something that the deployment names does not exist",
        remedy: "compare the names in the spec with the workspace's",
        command: CONNECTIONS,
        says: "ResourceNotFound: The specified resource was not found.",
        ..ROW
    },
    Trouble {
        name: "OutOfQuota",
        places: &[Call, Operation],
        sign: codes(&["OutOfQuota"]),
        meaning: "the subscription has no room for it",
        remedy: "ask for more quota, or delete deployments that are not used",
        command: QUOTA,
        says: "OutOfQuota: Not enough quota available for the requested SKU in this region.",
        ..ROW
    },
    Trouble {
        name: "OperationCanceled",
        sign: codes(&["OperationCanceled"]),
        meaning: "an operation of higher priority took its place",
        remedy: "ship the content under another version",
        command: "az monitor activity-log list --offset 1h --resource-group GROUP --output table",
        says: "OperationCanceled: The operation was superseded by one with a higher priority.",
        ..ROW
    },
    Trouble {
        name: "InternalServerError",
        sign: codes(&["InternalServerError", "ServiceError"]),
        meaning: "Azure's fault",
        remedy: SUPPORT,
        command: LOGS,
        says: "InternalServerError: An internal server error occurred.",
        ..ROW
    },
    Trouble {
        name: "WorkspaceManagedNetworkNotReady",
        sign: codes(&["WorkspaceManagedNetworkNotReady"]),
        meaning: "the workspace's managed network does not exist yet",
        remedy: "provision it",
        command: "az ml workspace provision-network --resource-group GROUP --name WORKSPACE",
        says: "WorkspaceManagedNetworkNotReady: The workspace managed network is not provisioned.",
        ..ROW
    },
    Trouble {
        name: "SubscriptionNotRegistered",
        places: &[Call, Operation],
        sign: codes(&["SubscriptionNotRegistered"]),
        meaning: "the subscription lacks a resource provider",
        remedy: "register those that managed endpoints need, such as Microsoft.PolicyInsights and Microsoft.Cdn",
        command: "az provider register --namespace Microsoft.PolicyInsights",
        says: "SubscriptionNotRegistered: Resource provider [N/A] isn't registered with Subscription [N/A].",
        ..ROW
    },
    Trouble {
        name: "AuthorizationFailed",
        sign: codes(&["AuthorizationFailed"]),
        meaning: "the endpoint's identity lacks a right",
        remedy: "grant it the role AzureML Data Scientist on the workspace and AcrPull on its registry",
        command: ROLES,
        says: "AuthorizationFailed: The client does not have authorization to perform action.",
        ..ROW
    },
    // Runs.
    Trouble {
        name: "ConnectionNotFound",
        places: &[Run],
        sign: codes(&["ConnectionNotFound", "ConnectionNotFoundError", "OpenURLNotFoundError"]),
        meaning: "the workspace has no connection of this name, or the identity may not see it",
        remedy: "create it, or name another one in `connectionOverrides`; the role is AzureML Data Scientist on the \
                 workspace",
        command: CONNECTIONS,
        says: "ConnectionNotFound: Connection 'azure-openai-prod' is not found in the workspace.",
        ..ROW
    },
    Trouble {
        name: "ConnectionForbidden",
        places: &[Run],
        sign: codes(&["OpenURLUserAuthenticationError"]),
        meaning: "the identity may not read the secrets of connections",
        remedy: "grant it the role Azure Machine Learning Workspace Connection Secrets Reader on the workspace",
        command: ROLES,
        says: "OpenURLUserAuthenticationError: Access denied to list workspace secret.",
        ..ROW
    },
    Trouble {
        name: "InvalidConnectionOverride",
        places: &[Run],
        sign: codes(&["InvalidConnectionOverride"]),
        blame: Content,
        who: Author,
        meaning: "`connectionOverrides` names what the flow does not have",
        remedy: "compare it with the connections of the flow's nodes",
        command: "pf flow validate --source FLOW",
        says: "InvalidConnectionOverride: Connection input 'connection' is not found in node 'draft'.",
        ..ROW
    },
    Trouble {
        name: "ApplyInputMappingError",
        places: &[Run],
        sign: codes(&["ApplyInputMappingError", "InvalidColumnMapping"]),
        blame: Content,
        who: Author,
        meaning: "a row lacks what `columnMapping` takes an input from",
        remedy: "{columns}",
        command: "az storage blob download --account-name ACCOUNT --container-name CONTAINER --name DATASET --auth-mode \
                  login | head -1",
        says: "ApplyInputMappingError: Couldn't find these mapping relations: ${data.gold_answer}.",
        ..ROW
    },
    Trouble {
        name: "NoCompleteLine",
        places: &[Run],
        sign: texts(&["could not find one complete line"]),
        meaning: "no row was answered, so there was nothing to judge",
        remedy: "look at the lines of the run before",
        command: "pfazure run show-details --name RUN",
        says: "InputMappingError: Could not find one complete line on the provided input.",
        ..ROW
    },
    Trouble {
        name: "EmptyInputsData",
        places: &[Run],
        sign: codes(&["EmptyInputsData", "InputMappingError"]),
        blame: Content,
        who: Author,
        meaning: "the data set has no rows, or not as many as the run that is judged",
        remedy: "ship an archive whose data set has every row",
        command: "wc -l DATASET",
        says: "EmptyInputsData: Couldn't find any inputs data at the given input paths.",
        ..ROW
    },
    Trouble {
        name: "AutomaticRuntimeFailed",
        places: &[Run],
        sign: codes(&["AutomaticRuntimeFailed"]),
        meaning: "no compute session could be started",
        remedy: "read promptflow-automatic.log of the run; look at the workspace's quota, and at the flow's \
                 requirements.txt",
        command: "pfazure run stream --name RUN",
        says: "AutomaticRuntimeFailed: Failed to submit bulk run due to Automatic runtime provision failed.",
        ..ROW
    },
    // Lines.
    Trouble {
        name: "ContentSafetyTooManyRequests",
        places: &[Line],
        sign: texts(&["contentsafetytoomanyrequests"]),
        meaning: "the content safety service takes fewer requests than the run sends",
        remedy: "let the node retry with growing pauses, or take a larger SKU",
        command: "az cognitiveservices account show --name ACCOUNT --resource-group GROUP --query sku",
        says: "Execution failure in 'safety_check': (HttpResponseError) 429 ContentSafetyTooManyRequests",
        ..ROW
    },
    Trouble {
        name: "LineThrottled",
        places: &[Line],
        sign: texts(&["429", "toomanyrequests", "too many requests", "ratelimit", "rate limit"]),
        meaning: "a service behind the flow takes fewer requests than the run sends",
        remedy: "let the node retry with growing pauses, or raise the limit of its model or service",
        command: "az cognitiveservices account deployment list --name ACCOUNT --resource-group GROUP",
        says: "Execution failure in 'draft_answer': (RateLimitError) Error code: 429",
        ..ROW
    },
    Trouble {
        name: "LineFailed",
        places: &[Line],
        sign: ANY,
        meaning: "the flow itself fails on such a row",
        remedy: "run it there on your machine, with pf flow test",
        command: "pfazure run show-details --name RUN",
        says: "Execution failure in 'draft_answer': (KeyError) 'citations'",
        ..ROW
    },
];
