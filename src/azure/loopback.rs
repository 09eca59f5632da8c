//! For tests of this module and of those that use it: a TLS server on loopback that stands in for every host, answers from
//! a list, and keeps what it was sent.
//!
//! The client under test is the real one with two differences: every name resolves to the server, and the server's
//! certificate, which is good for [`HOSTS`], is the only one that is trusted.

use std::{
    collections::{BTreeMap, VecDeque},
    future::ready,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use azure_core::{
    credentials::{AccessToken, TokenCredential},
    time::OffsetDateTime,
};
use futures::FutureExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{Azure, CloudName, Timeouts, WorkspaceId, answering, http};

/// Hosts that the server's certificate is good for: those of the public cloud, two of another, and two that are not Azure's.
pub const HOSTS: [&str; 11] = [
    "management.azure.com",
    "login.microsoftonline.com",
    "eastus.api.azureml.ms",
    "acct.blob.core.windows.net",
    "api.applicationinsights.io",
    "eastus-8.in.applicationinsights.azure.com",
    "acr.azurecr.io",
    "management.chinacloudapi.cn",
    "login.chinacloudapi.cn",
    "archives.example.com",
    "evil.example.com",
];

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// The connection is closed.
    Close,
    /// Nothing; the connection stays open.
    Hang,
}

/// A reply with a JSON body.
pub fn json(status: u16, body: &Value) -> Answer {
    reply(status, &[("content-type", "application/json")], body.to_string())
}

/// A reply with a length, as HTTP has it.
pub fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    let length = body.as_ref().len().to_string();
    raw(status, &[headers, &[("content-length", &length)]].concat(), body)
}

/// A reply with these headers and no other.
pub fn raw(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} Status\r\nconnection: close\r\n{lines}\r\n");
    Answer::Bytes([head.as_bytes(), body.as_ref()].concat())
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: String,
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// `PUT https://host/path`.
    pub fn line(&self) -> String {
        format!("{} https://{}{}", self.method, self.host, self.path())
    }
}

/// The server.
pub struct Loopback {
    addr: SocketAddr,
    certificate: reqwest::Certificate,
    seen: Arc<Mutex<Vec<Got>>>,
}

impl Loopback {
    /// A server that gives these answers, one to a request; a request beyond them is one too many, and its connection is
    /// closed.
    pub async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let names: Vec<String> = HOSTS.iter().map(|host| (*host).to_owned()).collect();
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).expect("certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key))
            .expect("TLS");
        let seen = Arc::default();
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), answers, Arc::clone(&seen)));
        let certificate = reqwest::Certificate::from_der(cert.der()).expect("certificate");
        Self { addr, certificate, seen }
    }

    /// What was sent so far.
    pub fn seen(&self) -> Vec<Got> {
        self.seen.lock().expect("lock").clone()
    }

    /// The one request that was sent.
    pub fn only(&self) -> Got {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen[0].clone()
    }

    /// The real client, with every name resolved to this server.
    pub fn http(&self) -> reqwest::Client {
        http::builder("test/1", Duration::from_secs(5))
            .no_proxy()
            .tls_certs_only([self.certificate.clone()])
            .dns_resolver(self.resolver())
            .build()
            .expect("a client")
    }

    /// A workspace of the public cloud, with a credential that answers `token of <scope>`.
    pub fn azure(&self) -> Azure {
        self.azure_within(Timeouts::default())
    }

    pub fn azure_within(&self, timeouts: Timeouts) -> Azure {
        Azure::new(self.http(), CloudName::AzurePublic, self.credential(), workspace(), timeouts, None)
    }

    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        answering(|scope| ready(Ok(token(format!("token of {scope}"), 3600))).boxed())
    }

    pub fn resolver(&self) -> Arc<dyn Resolve> {
        Arc::new(Here(self.addr))
    }

    /// The same server, said to be elsewhere.
    pub fn moved_to(&self, addr: SocketAddr) -> Self {
        Self { addr, certificate: self.certificate.clone(), seen: self.seen.clone() }
    }
}

pub fn workspace() -> WorkspaceId {
    WorkspaceId { subscription: "sub".into(), resource_group: "rg".into(), workspace: "ws".into() }
}

/// `/subscriptions/…/workspaces/ws/<path>`.
pub fn in_workspace(path: &str) -> String {
    workspace().child_id(path)
}

/// The header that a token of this scope makes.
pub fn bearer(scope: &str) -> String {
    format!("Bearer token of {scope}")
}

/// A token that lives so long.
pub fn token(text: impl Into<String>, seconds: i64) -> AccessToken {
    AccessToken::new(text.into(), OffsetDateTime::now_utc() + azure_core::time::Duration::seconds(seconds))
}

struct Here(SocketAddr);

impl Resolve for Here {
    fn resolve(&self, _: Name) -> Resolving {
        let addrs: Addrs = Box::new(std::iter::once(self.0));
        Box::pin(ready(Ok(addrs)))
    }
}

type Answers = Arc<Mutex<VecDeque<Answer>>>;

async fn accept(listener: TcpListener, tls: TlsAcceptor, answers: Answers, seen: Arc<Mutex<Vec<Got>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, answers, seen) = (tls.clone(), answers.clone(), seen.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let Some(got) = read(&mut stream).await else { return };
            seen.lock().expect("lock").push(got);
            let answer = answers.lock().expect("lock").pop_front();
            match answer.unwrap_or(Answer::Close) {
                Answer::Bytes(bytes) => {
                    // The client may have hung up, which is what some tests are about.
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                }
                Answer::Close => {}
                Answer::Hang => std::future::pending().await,
            }
        });
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Got> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let host = headers.get("host").cloned().unwrap_or_default();
    Some(Got { method, host, target, headers, body })
}
