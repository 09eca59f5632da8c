//! Served flows: `pf flow serve`, as the container of a deployment does it.

use std::{collections::BTreeSet, fs, net::TcpListener, path::Path, process::Stdio};

use anyhow::Context;
use serde_json::Value;

use super::process::{Environment, Group};

/// A flow that is served on a port of this machine.
pub struct Server {
    group: Group,
    port: u16,
    /// Of the flow, where its graph says them.
    pub(super) inputs: Option<BTreeSet<String>>,
}

/// How a served flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Starting,
    Up,
    /// Its process has ended.
    Down,
}

impl Server {
    pub(super) fn start(
        environment: &Environment,
        flow: &Path,
        inputs: Option<BTreeSet<String>>,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let log = fs::File::create(flow.with_extension("log"))?;
        let mut args: Vec<_> = ["flow", "serve", "--engine", "flask", "--host", "127.0.0.1"].map(Into::into).into();
        args.extend(["--skip-open-browser".into(), "--port".into(), port.to_string().into()]);
        args.extend(["--source".into(), flow.into()]);
        let group = environment.start("pf", &args, Stdio::from(log.try_clone()?), Stdio::from(log))?;
        Ok(Self { group, port, inputs })
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn exited(&mut self) -> bool {
        !matches!(self.group.child.try_wait(), Ok(None))
    }
}

/// Nobody else takes it in the moment until it is bound again, as long as ports are handed out in turn.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

pub(super) async fn health(http: &reqwest::Client, exited: bool, address: &str) -> Health {
    if exited {
        return Health::Down;
    }
    match http.get(format!("{address}/health")).send().await {
        Ok(reply) if reply.status().is_success() => Health::Up,
        _ => Health::Starting,
    }
}

pub(super) async fn ask(http: &reqwest::Client, address: &str, inputs: &Value) -> anyhow::Result<(u16, Value)> {
    let reply = http.post(format!("{address}/score")).json(inputs).send().await?;
    let status = reply.status().as_u16();
    Ok((status, reply.json().await?))
}
