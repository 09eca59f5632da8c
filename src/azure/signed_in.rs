//! Who acts where there is no cluster: on a person's machine, or in a job of continuous integration.

use std::{path::PathBuf, sync::Arc};

use azure_core::credentials::TokenCredential;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions};
use futures::future::BoxFuture;

use super::{Assertion, Audience, BoxError, CloudName, fault::shorten, federated};

/// Names as the Azure SDKs and the workload-identity webhook use them.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";

/// A credential, and who it is, for people.
pub struct SignedIn {
    pub credential: Arc<dyn TokenCredential>,
    pub who: String,
    cloud: CloudName,
}

impl SignedIn {
    /// Asks for a token, so that who cannot act learns it before anything is done.
    ///
    /// # Errors
    /// [`SignInError::Nobody`].
    pub async fn check(&self) -> Result<(), SignInError> {
        let scope = self.cloud.cloud().scope(Audience::Arm);
        let asked = self.credential.get_token(&[scope], None).await;
        asked.map(drop).map_err(|error| SignInError::Nobody { who: self.who.clone(), why: shorten(&error.to_string()) })
    }
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("{TOKEN_FILE} is set and {0} is not; a workload identity needs {TOKEN_FILE}, {TENANT_ID} and {CLIENT_ID}")]
    Half(&'static str),
    #[error(
        "no token for {who}: {why}. Sign in with `az login`, or let {TOKEN_FILE}, {TENANT_ID} and {CLIENT_ID} name a \
         workload identity"
    )]
    Nobody { who: String, why: String },
    #[error("no credential: {0}")]
    Azure(#[from] azure_core::Error),
}

/// The workload identity that the environment names; else whoever signed in with `az login`, in the tenant of this
/// subscription. `env` reads a variable.
///
/// # Errors
/// If the environment names half an identity, or one that cannot be.
pub fn signed_in(
    http: reqwest::Client,
    cloud: CloudName,
    subscription: &str,
    env: impl Fn(&str) -> Option<String>,
) -> Result<SignedIn, SignInError> {
    let set = |name: &'static str| env(name).filter(|value| !value.is_empty());
    let Some(file) = set(TOKEN_FILE) else {
        let of = AzureCliCredentialOptions { subscription: Some(subscription.to_owned()), ..Default::default() };
        let credential: Arc<dyn TokenCredential> = AzureCliCredential::new(Some(of))?;
        return Ok(SignedIn { credential, who: "whoever signed in with az".into(), cloud });
    };
    let needed = |name: &'static str| set(name).ok_or(SignInError::Half(name));
    let (tenant, client) = (needed(TENANT_ID)?, needed(CLIENT_ID)?);
    let credential = federated(http, cloud, &tenant, &client, Arc::new(TokenFile(file.into())))?;
    Ok(SignedIn { credential, who: format!("the workload identity {client}"), cloud })
}

/// Read with each exchange: whoever projects it replaces it before it expires.
struct TokenFile(PathBuf);

impl Assertion for TokenFile {
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        Box::pin(async {
            let read = tokio::fs::read_to_string(&self.0).await;
            let text = read.map_err(|error| format!("{TOKEN_FILE} {}: {error}", self.0.display()))?;
            Ok(text.trim().to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIPTION: &str = "7f0c2a51-4a0b-4d3e-9c61-2b1f8d0e6a34";

    #[test]
    fn half_a_workload_identity_is_refused_by_the_name_that_is_missing() {
        let env = |name: &str| (name != CLIENT_ID).then(|| "set".to_owned());
        let error = signed_in(reqwest::Client::new(), CloudName::AzurePublic, SUBSCRIPTION, env).err().expect("half");
        assert!(error.to_string().contains("AZURE_CLIENT_ID is not"), "{error}");
    }

    #[test]
    fn without_one_it_is_whoever_signed_in() {
        let found =
            signed_in(reqwest::Client::new(), CloudName::AzurePublic, SUBSCRIPTION, |_| None).expect("a credential");
        assert_eq!(found.who, "whoever signed in with az");
    }

    #[tokio::test]
    async fn a_token_is_read_anew_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let source = TokenFile(file.clone());
        let missing = source.token().await.expect_err("no file").to_string();
        assert!(missing.starts_with("AZURE_FEDERATED_TOKEN_FILE "), "{missing}");
        for token in ["one", "two"] {
            std::fs::write(&file, format!("{token}\n")).expect("writes");
            assert_eq!(source.token().await.expect("a token"), token);
        }
    }
}
