//! What Azure Container Registry gives to whoever may pull: a token of Entra ID is exchanged for one of the registry's, and
//! that for one that pulls from one repository. (Azure/acr, `docs/AAD-OAuth.md`; the tenant, which may be named, is left
//! out, as the Azure SDKs do.)

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use url::{Url, form_urlencoded::Serializer};

use super::{Audience, Azure, Service, wire::Outgoing};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize)]
struct Access {
    access_token: String,
}

impl Azure {
    /// `Authorization` for pulls of `registry/repository`, as whoever this client acts. None where the registry is not
    /// one of this cloud's, or does not let us in.
    pub(super) async fn pull_token(&self, registry: &str, repository: &str) -> Option<HeaderValue> {
        let address = |path: &str| {
            let url = Url::parse(&format!("https://{registry}/oauth2/{path}")).ok()?;
            self.inner.cloud.admits(Audience::Registry, &url).then_some(url)
        };
        let (exchange, token) = (address("exchange")?, address("token")?);
        let ours = self.inner.tokens.raw(Audience::Registry, self.inner.timeouts.read).await.ok()?;
        let fields = [("grant_type", "access_token"), ("service", registry), ("access_token", ours.to_str().ok()?)];
        let Refresh { refresh_token } = self.exchanged(exchange, &fields).await?;
        let scope = format!("repository:{repository}:pull");
        let fields = [
            ("grant_type", "refresh_token"),
            ("service", registry),
            ("scope", &scope),
            ("refresh_token", &refresh_token),
        ];
        let Access { access_token } = self.exchanged(token, &fields).await?;
        let mut header = HeaderValue::try_from(format!("Bearer {access_token}")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    async fn exchanged<T: DeserializeOwned>(&self, url: Url, fields: &[(&str, &str)]) -> Option<T> {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let what = format!("token of {}", url.host_str().unwrap_or_default());
        let request = Outgoing::new(Service::Web, Method::POST, url, what, self.inner.timeouts.read);
        let request = Outgoing { body: Some(Bytes::from(form)), ..request.header(CONTENT_TYPE, FORM) };
        Some(self.send(request).await.ok()?.seen().ok()?.value)
    }
}
