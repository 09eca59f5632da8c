//! A way to the API server that can be cut.

use std::{net::Ipv4Addr, path::PathBuf};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::Ground;

/// Passes on connections to the API server. Once it is cut, what was sent is lost without a word, as in a network that
/// drops packets: open connections hang, new ones too, until it is mended; then they are closed.
#[derive(Debug)]
pub struct Cable {
    port: u16,
    api_server: u16,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Cable {
    pub async fn lay(ground: &Ground) -> Self {
        Self::to(ground.plane().port()).await
    }

    /// To what listens on that port of this machine.
    pub async fn to(api_server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cut = watch::Sender::new(false);
        let seen = cut.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(pass_on(from, api_server, seen.clone()));
            }
        });
        Self { port, api_server, cut, task }
    }

    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.cut.send_replace(false);
    }

    /// A kubeconfig like `kubeconfig`, through this cable.
    pub fn kubeconfig(&self, kubeconfig: &PathBuf) -> PathBuf {
        let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig");
        let (straight, cabled) = (format!("127.0.0.1:{}", self.api_server), format!("127.0.0.1:{}", self.port));
        assert!(text.contains(&straight), "{text}");
        let path = kubeconfig.with_extension(format!("cable-{}", self.port));
        std::fs::write(&path, text.replace(&straight, &cabled)).expect("written");
        path
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut from: TcpStream, api_server: u16, mut cut: watch::Receiver<bool>) {
    let flow = async {
        if let Ok(mut to) = TcpStream::connect((Ipv4Addr::LOCALHOST, api_server)).await {
            let _either_side_closed = copy_bidirectional(&mut from, &mut to).await;
        }
    };
    let is_cut = tokio::select! {
        is_cut = async { cut.wait_for(|is_cut| *is_cut).await.is_ok() } => is_cut,
        () = flow => false,
    };
    if is_cut {
        // `from` stays open and nobody reads it.
        let _mended = cut.wait_for(|is_cut| !is_cut).await.is_ok();
    }
}

/// What a kubeconfig says, for clients with settings of their own.
pub async fn config(kubeconfig: &PathBuf) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("usable");
    config.proxy_url = None;
    config
}
