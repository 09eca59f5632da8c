//! Deployments that fail: codes of Microsoft's "Troubleshoot online endpoints".

use super::row::{
    Blame::Content,
    CONNECTIONS,
    Place::{Call, Operation},
    ROLES, ROW, Trouble,
    Who::Author,
    codes, texts,
};

const LOGS: &str = "az ml online-deployment get-logs --endpoint-name ENDPOINT --name DEPLOYMENT --lines 100";
const QUOTA: &str = "az ml compute list-usage --resource-group GROUP --workspace-name WORKSPACE";
const SUPPORT: &str = "ship the content under another version, or open a support case";

pub(super) const ROWS: &[Trouble] = &[
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
];
