//! What a pass has read of the cluster before it looks at Azure.

use kube::api::{Api, DynamicObject};

use super::{
    claim::{Claims, Key},
    context::Context,
    objects::Endpoint,
    story::Holder,
    tenant::Tenant,
};
use crate::api::PromptEndpointSpec;

/// What a pass has read of the cluster.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    pub context: &'a Context,
    pub key: Key<'a>,
    pub api: &'a Api<DynamicObject>,
    pub endpoint: &'a Endpoint,
    pub spec: &'a PromptEndpointSpec,
    pub claims: &'a Claims,
    pub holder: &'a Holder,
    pub tenant: &'a Tenant,
    /// Value of our owner tag.
    pub owner: &'a str,
}
