//! One story: a control plane, a simulated Azure, and operators.

use promptrelease::sim::{self, world::World};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Ground, Operator, Setup, Simulator};

/// Stories that run at the same time. Each has five processes on its own, and most machines that test have two cores.
pub const AT_ONCE: usize = 2;

/// So many of the last requests to Azure are shown of a story that failed.
const SHOWN: u64 = 40;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Waits for the right to run beside at most `AT_ONCE - 1` other stories.
pub async fn place() -> SemaphorePermit<'static> {
    PLACES.acquire().await.expect("it is never closed")
}

/// What one story needs. All of it ends with the story.
pub struct Story {
    ground: Ground,
    azure: Simulator,
    _place: SemaphorePermit<'static>,
}

impl Story {
    /// Waits for a place, and starts everything but an operator. `name` names files, so it must be a story's alone.
    pub async fn begin(name: &str, world: World) -> Self {
        let place = place().await;
        let ground = Ground::start(name).await;
        let azure = Simulator::start(ground.plane(), world).await;
        Self { ground, azure, _place: place }
    }

    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    pub fn azure(&self) -> &Simulator {
        &self.azure
    }

    /// Starts an operator called `pod` that takes the simulator for Azure.
    pub async fn operator(&self, pod: &str, setup: Setup) -> Operator {
        let setup = self.azure.env().fold(setup, |setup, (name, value)| setup.env(name, value));
        Operator::start(&self.ground, pod, &setup).await
    }
}

impl Drop for Story {
    /// A story that fails shows what the cluster and Azure held.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let args = ["get", "promptendpoints,promptreleases", "--all-namespaces", "-o", "yaml"];
        if let Ok(output) = self.ground.plane().kubectl_command().args(args).output() {
            eprintln!("---- the objects ----\n{}", String::from_utf8_lossy(&output.stdout));
        }
        let sim = self.azure.sim();
        eprintln!("---- Azure ----\n{:#}", sim::lock(&sim.arm).describe());
        let requests = sim::lock(&sim.requests);
        for request in requests.since(requests.last().saturating_sub(SHOWN)) {
            let (status, why) = (request.status.unwrap_or(0), request.why.as_deref().unwrap_or_default());
            eprintln!("{:5} {status:3} {} {}{} {why}", request.n, request.method, request.host, request.path);
        }
    }
}
