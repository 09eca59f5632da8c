//! One pass over one endpoint: read the cluster, look at Azure, decide, note, send, tell. It waits for nothing that Azure
//! takes time for; what is under way is looked at by the next pass.

use kube::{
    api::{Api, DynamicObject},
    runtime::controller::Action,
};

use super::{
    Error,
    claim::{self, Claimant, Claims, Key},
    context::{Context, Kept},
    deletion, losers,
    objects::{self, Endpoint, Object as _, Release},
    round::Round,
    story::Holder,
    unreadable,
};
use crate::{
    api::{At, log::Log},
    policy::naming,
    view::trouble,
};

/// Makes one pass; says when the next one is due.
///
/// # Errors
/// The API server's.
pub async fn reconcile(context: &Context, key: Key<'_>) -> Result<Action, Error> {
    let id = format!("{}/{}", key.namespace, key.name);
    let mut kept = context.memory.take(&id);
    let result = one(context, key, &mut kept).await;
    context.memory.keep(id, kept);
    result
}

async fn one(context: &Context, key: Key<'_>, kept: &mut Kept) -> Result<Action, Error> {
    let api = objects::endpoints(&context.client, key.namespace);
    let Some(raw) = api.get_opt(key.name).await? else {
        context.metrics.endpoint_gone(key.namespace, key.name);
        return Ok(Action::await_change());
    };
    let endpoint = Endpoint::read(raw);
    if deletion::is_forgotten(&endpoint) {
        deletion::forget(context, &api, &endpoint, key).await?;
        return Ok(Action::await_change());
    }
    let log = match (&endpoint.azure, &endpoint.log) {
        (Ok(_), Ok(log)) => log.clone().unwrap_or_default(),
        (Err(why), _) => return unreadable::tell(context, &api, &endpoint, &trouble::invalid_spec(why)).await,
        (_, Err(why)) => {
            let trouble = trouble::invalid_log(why, key.namespace, key.name);
            return unreadable::tell(context, &api, &endpoint, &trouble).await;
        }
    };
    let claims = claims(context, key, &endpoint, &log);
    losers::tell(context, key, &claims).await;
    let holder = hold(context, key, &claims, kept).await?;
    let (endpoint, holder) = finalizers(context, &api, endpoint, holder).await?;
    if endpoint.is_being_deleted() && !endpoint.has_finalizer() {
        return Ok(Action::await_change());
    }
    let Ok((azure, account)) = &endpoint.azure else { return Ok(Action::await_change()) };
    let tenant = context.tenants.get(key.namespace, key.name, azure, account).await;
    let (spec, owner) =
        (endpoint.lenient_spec(azure, account), naming::owner(&context.cluster, key.namespace, key.name));
    let round = Round {
        context,
        key,
        api: &api,
        endpoint: &endpoint,
        spec: &spec,
        claims: &claims,
        holder: &holder,
        tenant: &tenant,
        owner: &owner,
    };
    round.go(log, kept).await
}

fn claims(context: &Context, key: Key<'_>, endpoint: &Endpoint, log: &Log) -> Claims {
    let refers = |release: &DynamicObject| {
        release.metadata.namespace.as_deref() == Some(key.namespace) && Release::endpoint_of(release) == Some(key.name)
    };
    let all: Vec<Claimant> = context.releases.state().iter().filter(|r| refers(r)).map(|r| Claimant::of(r)).collect();
    let open = log.attempt.as_ref().filter(|a| a.ending.is_none()).map(|a| &a.release);
    let held = claim::claim(endpoint.status.claimed_by.as_ref(), open, &all, At::from(context.clock()));
    Claims { held, all }
}

/// Reads the holder itself: what the cache says of it may be old, and an abort must not be missed for long.
async fn hold(context: &Context, key: Key<'_>, claims: &Claims, kept: &mut Kept) -> Result<Holder, Error> {
    let Some(held) = &claims.held else { return Ok(Holder::Nobody) };
    let api = objects::releases(&context.client, key.namespace);
    let found = api.get_opt(&held.name).await?.map(Release::read).filter(|found| found.uid() == held.uid);
    let Some(release) = found else { return Ok(Holder::Gone) };
    match release.spec.clone() {
        Ok(spec) => {
            kept.invalid_since = None;
            Ok(Holder::Present(Box::new(release), Box::new(spec)))
        }
        Err(why) => {
            let since = *kept.invalid_since.get_or_insert_with(|| At::from(context.clock()));
            Ok(Holder::Invalid(Box::new(release), since, why))
        }
    }
}

/// Both are there before the first write to Azure: whoever deletes one of the two gets the traffic back first.
async fn finalizers(
    context: &Context,
    api: &Api<DynamicObject>,
    mut endpoint: Endpoint,
    holder: Holder,
) -> Result<(Endpoint, Holder), Error> {
    let Holder::Present(mut release, spec) = holder else { return Ok((endpoint, holder)) };
    let going = endpoint.is_being_deleted() || release.is_being_deleted();
    if !going && !endpoint.has_finalizer() {
        endpoint = Endpoint::read(objects::set_finalizer(api, &endpoint.raw, true).await?);
    }
    if !going && !release.has_finalizer() {
        let releases = objects::releases(&context.client, &release.namespace());
        release = Box::new(Release::read(objects::set_finalizer(&releases, &release.raw, true).await?));
    }
    Ok((endpoint, Holder::Present(release, spec)))
}
