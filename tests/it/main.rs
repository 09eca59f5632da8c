mod prompt_flow;
mod simulator;

#[tokio::test]
async fn up() {
    let assets = promptrelease::plane::assets().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let t = std::time::Instant::now();
    let plane = promptrelease::plane::ControlPlane::start(&assets, dir.path(), |s| eprintln!("{s}")).await.unwrap();
    eprintln!("ready {:?}", t.elapsed());
    let out = plane.kubectl(&["get", "ns", "-o", "wide"], "").await.unwrap();
    eprintln!("{out:?}");
    let out = plane.kubectl(&["create", "sa", "x"], "").await.unwrap();
    eprintln!("{out:?}");
    let kc = plane.service_account_kubeconfig("default", "x").await.unwrap();
    let out = plane.kubectl(&["--kubeconfig", kc.to_str().unwrap(), "get", "ns"], "").await.unwrap();
    eprintln!("{out:?}");
    let out = plane.kubectl(&["create", "token", "x", "--audience", "api://AzureADTokenExchange"], "").await.unwrap();
    eprintln!("{out:?}");
}
