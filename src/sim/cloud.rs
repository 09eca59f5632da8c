//! The whole simulated cloud: the state of every service in one place, so that each of them sees what the others did.

use std::sync::{Arc, Mutex, OnceLock};

use super::{
    arm::Arm, blob::Blobs, clock::Clock, entra::Entra, faults::Faults, flow::Flow, insights, live::Live, model::Model,
    promptflow::PromptFlow, registry::Registry, requests::Requests, scenario::Scenario, settings::Settings, traffic,
    webhook::Inbox, world::World,
};

/// What the services answer from.
pub struct Sim {
    pub clock: Clock,
    pub settings: Settings,
    pub entra: Entra,
    pub arm: Mutex<Arm>,
    pub faults: Mutex<Faults>,
    pub requests: Mutex<Requests>,
    pub blobs: Mutex<Blobs>,
    pub flow: Mutex<Flow>,
    pub insights: Mutex<insights::Store>,
    pub model: Mutex<Model>,
    pub registry: Mutex<Registry>,
    pub webhook: Mutex<Inbox>,
    pub scenario: Mutex<Scenario>,
    /// Executes flows, where one was given; else the scenario says how they turn out.
    pub promptflow: OnceLock<Arc<PromptFlow>>,
    /// Users and sampler where flows really run.
    pub live: Mutex<Live>,
    /// Users and sampler as scripted.
    pub traffic: Mutex<traffic::State>,
}

impl Sim {
    /// A cloud as `world` describes it. The token service trusts no issuer until it is told of one.
    pub fn new(world: &World) -> Self {
        let clock = Clock::default();
        Self {
            settings: world.settings(),
            entra: Entra::new(clock.clone(), &world.tenant, None, world.federated.clone()),
            arm: Mutex::new(Arm::new(world, clock.clone())),
            faults: Mutex::default(),
            requests: Mutex::default(),
            blobs: Mutex::default(),
            flow: Mutex::default(),
            insights: Mutex::default(),
            model: Mutex::new(Model::new(world)),
            registry: Mutex::default(),
            webhook: Mutex::default(),
            scenario: Mutex::default(),
            promptflow: OnceLock::new(),
            live: Mutex::default(),
            traffic: Mutex::new(traffic::State::new(&world.application_insights.instrumentation_key)),
            clock,
        }
    }
}
