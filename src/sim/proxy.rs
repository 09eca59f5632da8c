//! An HTTPS proxy that reaches nobody: it ends TLS itself, with a certificate of its own authority for each host name,
//! and hands requests to the service of that name. What a client asks of the proxy itself is the control API.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::body::{Body, to_bytes};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{HOST, HeaderName, HeaderValue},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::{answer::answer, cloud::Sim, http, mutex::lock, service::Service, tls::Authority};

/// Bytes of a request body. Archives of flows are a hundredth of it.
const MOST_BODY: usize = 256 << 20;

/// One listening port.
pub struct Proxy {
    pub sim: Arc<Sim>,
    pub authority: Authority,
    pub control: TowerToHyperService<axum::Router>,
    /// Where it listens: a request for this host and port is for the proxy itself, even if it comes as a proxy request.
    pub address: SocketAddr,
    /// Ends everything that was begun here.
    pub stop: CancellationToken,
}

/// The client gets no reply: the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the reply is withheld")]
struct Withheld;

type Reply = Result<Response<Body>, Withheld>;

impl Proxy {
    /// Accepts connections until it is stopped.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let stop = self.stop.clone();
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => self.begin(self.clone().connection(stream)),
                    Err(error) => {
                        // Out of file descriptors, most likely; some will be closed.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(accept).await;
    }

    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |req| self.clone().outer(req));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    }

    /// The proxy's own layer: tunnels and the control API.
    async fn outer(self: Arc<Self>, req: Request<Incoming>) -> Reply {
        if req.method() == Method::CONNECT {
            return Ok(self.connect(req));
        }
        if let Some(authority) = req.uri().authority().filter(|a| a.as_str() != self.address.to_string()) {
            let text = format!("{authority}: only https is proxied here; use an https:// address.\n");
            return Ok(plain(StatusCode::BAD_REQUEST, text));
        }
        let Ok(reply) = self.control.call(req).await;
        Ok(reply)
    }

    fn connect(self: Arc<Self>, req: Request<Incoming>) -> Response<Body> {
        let target = req.uri().authority().map(ToString::to_string).unwrap_or_default();
        let host = req.uri().host().unwrap_or_default().to_ascii_lowercase();
        let port = req.uri().port_u16();
        let Some(service) = Service::of(&host).filter(|_| port == Some(443)) else {
            lock(&self.sim.requests).refuse(&target);
            let known = Service::HOSTS.map(|(pattern, _)| pattern).join(", ");
            let text = format!("{target} is not simulated. There are, each on port 443: {known}.\n");
            return plain(StatusCode::FORBIDDEN, text);
        };
        let config = match self.authority.server_config(&host) {
            Ok(config) => config,
            Err(error) => return plain(StatusCode::BAD_GATEWAY, format!("{error:#}\n")),
        };
        let upgrade = hyper::upgrade::on(req);
        let proxy = self.clone();
        self.begin(async move {
            let ended = async {
                let tunnel = TokioIo::new(upgrade.await?);
                let stream = TlsAcceptor::from(config).accept(tunnel).await?;
                let inner = service_fn(move |req| proxy.clone().inner(service, req, host.clone()));
                // The date is the simulator's.
                let mut layer = http1::Builder::new();
                layer.auto_date_header(false).serve_connection(TokioIo::new(stream), inner).await?;
                anyhow::Ok(())
            };
            if let Err(error) = ended.await {
                tracing::debug!(%error, target, "a tunnel ended");
            }
        });
        Response::new(Body::empty())
    }

    /// The layer inside TLS: what the service of `host` is asked.
    async fn inner(self: Arc<Self>, service: Service, req: Request<Incoming>, host: String) -> Reply {
        let received = self.sim.clock.now();
        let named = req.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
        if !named.trim_end_matches(":443").eq_ignore_ascii_case(&host) {
            let text = format!("Host is {named:?}, but this tunnel was opened to {host}.\n");
            return Ok(plain(StatusCode::MISDIRECTED_REQUEST, text));
        }
        let (head, body) = req.into_parts();
        let body = match to_bytes(Body::new(body), MOST_BODY).await {
            Ok(body) => body,
            Err(error) => {
                let text = format!("the body cannot be read, or has more than {MOST_BODY} bytes: {error}\n");
                return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
        };
        let req = http::Request {
            host,
            method: head.method.as_str().to_owned(),
            path: http::percent_decoded(head.uri.path()),
            query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body,
        };
        // hyper drops this future when the client goes away; what the service does with the request must go on.
        let work = answer(self.sim.clone(), service, req, received);
        let reply = tokio::spawn(self.stop.clone().run_until_cancelled_owned(work)).await;
        match reply {
            Ok(Some(Some(reply))) => Ok(from_service(reply)),
            Ok(Some(None) | None) => Err(Withheld),
            Err(panic) => Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, format!("the simulator is broken: {panic}\n"))),
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut reply = Response::new(Body::from(text));
    *reply.status_mut() = status;
    reply.headers_mut().insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

fn from_service(reply: http::Response) -> Response<Body> {
    let mut out = Response::new(Body::from(reply.body));
    let Ok(status) = StatusCode::from_u16(reply.status) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{} is no status\n", reply.status));
    };
    *out.status_mut() = status;
    for (name, value) in reply.headers {
        let (Ok(known), Ok(value)) = (HeaderName::try_from(&name), HeaderValue::try_from(value)) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{name} cannot be sent as a header\n"));
        };
        out.headers_mut().append(known, value);
    }
    out
}

#[cfg(test)]
mod tests;
