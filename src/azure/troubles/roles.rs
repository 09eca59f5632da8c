//! Which built-in role has an action.

/// An action, or the beginning of one, and the least built-in role that has it.
///
/// The roles are those of Azure's list of built-in roles; AzureML Data Scientist has everything in a workspace but its
/// creation and that of computes. Reading the secrets of connections and assigning identities have roles of their own.
pub const ROLES: &[(&str, &str)] = &[
    (
        "Microsoft.MachineLearningServices/workspaces/connections/listsecrets/action",
        "Azure Machine Learning Workspace Connection Secrets Reader",
    ),
    ("Microsoft.MachineLearningServices/workspaces/", "AzureML Data Scientist"),
    ("Microsoft.Insights/", "Monitoring Reader"),
    ("Microsoft.OperationalInsights/", "Monitoring Reader"),
    ("Microsoft.Storage/storageAccounts/blobServices/", "Storage Blob Data Contributor"),
    ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "Managed Identity Operator"),
    ("Microsoft.ContainerRegistry/registries/pull", "AcrPull"),
    ("Microsoft.CognitiveServices/accounts/", "Cognitive Services OpenAI User"),
];

/// The role that has this action, if it is one that a release needs.
pub fn with(action: &str) -> Option<&'static str> {
    let begins = |known: &&str| action.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
    ROLES.iter().find(|(known, _)| begins(known)).map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_the_role_of_the_first_beginning_that_fits() {
        let score = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action";
        assert_eq!(with(score), Some("AzureML Data Scientist"));
        assert_eq!(with(&score.to_uppercase()), Some("AzureML Data Scientist"));
        let secrets = "Microsoft.MachineLearningServices/workspaces/connections/listsecrets/action";
        assert_eq!(with(secrets), Some("Azure Machine Learning Workspace Connection Secrets Reader"));
        assert_eq!(with("Microsoft.Compute/virtualMachines/read"), None);
        assert_eq!(with(""), None);
    }
}
