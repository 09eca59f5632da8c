//! Whose identity acts: a ServiceAccount of the tenant's namespace, whose token Entra ID has been told to trust. There is
//! no identity of the operator's own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::credentials::TokenCredential;
use futures::future::BoxFuture;

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use reqwest::{Method, StatusCode};
use tokio::sync::OnceCell;

use crate::{
    api::endpoint::{ApplicationInsights, AzureEndpoint},
    azure::{self, Assertion, Azure, BoxError, Meter, NoIdentity, Service, Timeouts},
    metrics::Metrics,
    stage::{canary::scores, workspace::workspace},
};

const AUDIENCE: &str = "api://AzureADTokenExchange";
const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";
/// The API server gives no shorter one.
const TOKEN_SECONDS: i64 = 600;

/// Why there is no identity to act with.
#[derive(Debug, thiserror::Error)]
enum TenantError {
    #[error("ServiceAccount {0} does not exist in this namespace")]
    NoAccount(String),
    #[error("ServiceAccount {account} has no annotation {annotation}; it names the identity in Entra ID")]
    NoAnnotation { account: String, annotation: &'static str },
    #[error("the operator may not use ServiceAccount {0}: give it the Role of deploy/samples in this namespace")]
    Forbidden(String),
    #[error("ServiceAccount {account} cannot be read: {error}")]
    Unreadable { account: String, error: kube::Error },
    #[error("ServiceAccount {account}: {error}")]
    Malformed { account: String, error: String },
}

/// One endpoint's Azure, as its tenant's identity.
pub struct Tenant {
    pub azure: Azure,
    location: OnceCell<String>,
    /// The component that was asked for last, and its id.
    app_id: Mutex<Option<(ApplicationInsights, String)>>,
    made_for: (AzureEndpoint, String),
    identity: Option<Identity>,
}

/// An identity in Entra ID, as a ServiceAccount's annotations name it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    tenant_id: String,
    client_id: String,
}

impl Tenant {
    /// The workspace's region, asked once.
    ///
    /// # Errors
    /// Azure's.
    pub async fn location(&self) -> azure::Result<&str> {
        let ask = || async { Ok(self.azure.get_workspace().await?.value.location) };
        self.location.get_or_try_init(ask).await.map(String::as_str)
    }

    /// The same, if it was asked already.
    pub fn known_location(&self) -> Option<&str> {
        self.location.get().map(String::as_str)
    }

    /// Where scores come from, asked once for as long as the spec names the same component.
    ///
    /// # Errors
    /// Azure's.
    pub async fn scores(&self, component: &ApplicationInsights) -> azure::Result<scores::ApplicationInsights> {
        let known = self.app_id.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let app_id = match known.filter(|(of, _)| of == component) {
            Some((_, app_id)) => app_id,
            None => {
                let group = component.resource_group.as_deref();
                let app_id = self.azure.get_component(group, &component.name).await?.value.app_id;
                let found = Some((component.clone(), app_id.clone()));
                *self.app_id.lock().unwrap_or_else(PoisonError::into_inner) = found;
                app_id
            }
        };
        Ok(scores::ApplicationInsights { azure: self.azure.clone(), app_id })
    }

    /// Sends events to the component.
    ///
    /// # Errors
    /// Azure's.
    pub async fn track(&self, component: &ApplicationInsights, events: &[azure::CustomEvent]) -> azure::Result<()> {
        let found = self.azure.get_component(component.resource_group.as_deref(), &component.name).await?.value;
        let Some(ingestion) = found.ingestion else {
            let reason = "its connection string names no ingestion endpoint".to_owned();
            return Err(azure::Error::Malformed { call: format!("GET components/{}", component.name), reason });
        };
        self.azure.track(&ingestion, events).await
    }
}

/// All tenants that this process has met.
pub struct Tenants {
    client: Client,
    http: reqwest::Client,
    timeouts: Timeouts,
    meter: Arc<dyn Meter>,
    met: Mutex<HashMap<String, Arc<Tenant>>>,
}

impl Tenants {
    pub fn new(client: Client, http: reqwest::Client, timeouts: Timeouts, meter: Arc<dyn Meter>) -> Self {
        Self { client, http, timeouts, meter, met: Mutex::default() }
    }

    /// The tenant of `namespace/endpoint`, with its token cache. Where there is no identity to act with, Azure denies
    /// everything, for that reason: so it is waited for, paged and told like any other denial.
    pub async fn get(&self, namespace: &str, endpoint: &str, azure: &AzureEndpoint, account: &str) -> Arc<Tenant> {
        let key = format!("{namespace}/{endpoint}");
        let made_for = (azure.clone(), account.to_owned());
        let known = self.met.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        // After a refused token the ServiceAccount's annotations may have been mended, or what Entra ID trusts.
        let known = known.filter(|tenant| tenant.made_for == made_for && !tenant.azure.is_mistrusted());
        if let Some(known) = known.as_ref().filter(|tenant| !tenant.azure.take_forbidden()) {
            return known.clone();
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let identity = match (identity(&accounts, account).await, known) {
            // What is forbidden for want of a role needs no new token, and the old one may be what takes traffic back.
            (Ok(identity), Some(known)) if known.identity.as_ref() == Some(&identity) => return known,
            (Err(_), Some(known)) => return known,
            (identity, _) => identity,
        };
        let met = identity.and_then(|identity| Ok((self.meet(accounts, azure, account, &identity)?, identity)));
        let (credential, identity) = match met {
            Ok((credential, identity)) => (credential, Some(identity)),
            Err(why) => (azure::no_identity(NoIdentity(why.to_string())), None),
        };
        let (cloud, workspace) = workspace(azure);
        let meter = Some(self.meter.clone());
        let azure = Azure::new(self.http.clone(), cloud, credential, workspace, self.timeouts, meter);
        let tenant = Tenant { azure, location: OnceCell::new(), app_id: Mutex::default(), made_for, identity };
        let tenant = Arc::new(tenant);
        if tenant.identity.is_some() {
            self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(key, tenant.clone());
        }
        tenant
    }

    fn meet(
        &self,
        accounts: Api<ServiceAccount>,
        azure: &AzureEndpoint,
        account: &str,
        identity: &Identity,
    ) -> Result<Arc<dyn TokenCredential>, TenantError> {
        let assertion = Arc::new(AccountToken { accounts, account: account.to_owned() });
        let malformed = |e: azure_core::Error| TenantError::Malformed { account: account.into(), error: e.to_string() };
        let Identity { tenant_id, client_id } = identity;
        azure::federated(self.http.clone(), workspace(azure).0, tenant_id, client_id, assertion).map_err(malformed)
    }
}

impl Meter for Metrics {
    fn request(&self, service: Service, method: &Method, status: Option<StatusCode>, took: Duration) {
        self.azure_request(service.as_str(), method.as_str(), status.map(|status| status.as_u16()), took);
    }
}

async fn identity(accounts: &Api<ServiceAccount>, account: &str) -> Result<Identity, TenantError> {
    let found = accounts.get_opt(account).await.map_err(|error| match error {
        kube::Error::Api(status) if status.is_forbidden() => TenantError::Forbidden(account.to_owned()),
        error => TenantError::Unreadable { account: account.to_owned(), error },
    })?;
    let found = found.ok_or_else(|| TenantError::NoAccount(account.to_owned()))?;
    let annotation = |annotation: &'static str| {
        let value = found.annotations().get(annotation).filter(|v| !v.is_empty()).cloned();
        value.ok_or_else(|| TenantError::NoAnnotation { account: account.to_owned(), annotation })
    };
    Ok(Identity { tenant_id: annotation(TENANT_ID)?, client_id: annotation(CLIENT_ID)? })
}

/// A short-lived token of exactly one ServiceAccount, by TokenRequest.
struct AccountToken {
    accounts: Api<ServiceAccount>,
    account: String,
}

impl Assertion for AccountToken {
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        Box::pin(async {
            let spec = TokenRequestSpec {
                audiences: vec![AUDIENCE.to_owned()],
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            };
            let request = TokenRequest { spec, ..TokenRequest::default() };
            let answer = self.accounts.create_token_request(&self.account, &PostParams::default(), &request).await?;
            Ok(answer.status.map(|status| status.token).ok_or("the API server answered without a token")?)
        })
    }
}

#[cfg(test)]
impl Tenant {
    /// A tenant that talks to this Azure.
    pub fn of(azure: Azure) -> Self {
        let names = serde_json::json!({"subscriptionID": "s", "resourceGroup": "g", "workspace": "w", "endpoint": "e"});
        let made_for = (serde_json::from_value(names).expect("names"), "account".to_owned());
        Self { azure, location: OnceCell::new(), app_id: Mutex::default(), made_for, identity: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::azure::loopback::{self, Loopback};

    fn component(name: &str) -> ApplicationInsights {
        ApplicationInsights { name: name.to_owned(), resource_group: None }
    }

    #[tokio::test]
    async fn an_edited_component_is_asked_for_anew_and_an_unchanged_one_is_not() {
        let answers = ["id-1", "id-2"].map(|id| loopback::json(200, &json!({"properties": {"AppId": id}})));
        let server = Loopback::answering(answers).await;
        let tenant = Tenant::of(server.azure());
        for (name, id) in [("first", "id-1"), ("first", "id-1"), ("second", "id-2"), ("second", "id-2")] {
            assert_eq!(tenant.scores(&component(name)).await.expect("an id").app_id, id, "{name}");
        }
        let asked: Vec<String> = server.seen().iter().map(|got| got.path().to_owned()).collect();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert!(asked[1].ends_with("/components/second"), "{asked:?}");
    }
}
