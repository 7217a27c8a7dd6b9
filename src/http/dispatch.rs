//! From an endpoint to the function that answers. What a change defined is durable before its answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use serde_json::json;

use super::{
    Management,
    answer::{Answer, Refusal},
    attempts, bindings,
    call::Call,
    channels, connections, definitions, delayed, deprecated, endpoints, exchanges, features, health, limits,
    live, messages, nodes, overview, parameters, permissions, policies, queues,
    route::Endpoint,
    super_streams, topic_permissions, users, vhosts,
};
use crate::engine::{Node, events::acting};

/// Answers what needs no login.
pub fn open(management: &Management, endpoint: &Endpoint) -> Result<Answer, Refusal> {
    match endpoint {
        Endpoint::Auth => Ok(Answer::json(&json!({ "oauth_enabled": false }))),
        Endpoint::Version => Ok(Answer::json(&json!(management.settings.advertised_version))),
        Endpoint::Health(check) => health::check(management, check),
        _ => Err(Refusal::not_found()),
    }
}

pub async fn run(call: &Call, endpoint: &Endpoint) -> Result<Answer, Refusal> {
    let answer = Box::pin(answer(call, endpoint));
    let answer = Acts { user: call.user.name.clone(), answer }.await?;
    if !call.is_get() {
        definitions_are_durable(call.node()).await;
    }
    Ok(answer)
}

/// Answers in the name of a user: its thread acts for that user while it polls, and only then.
struct Acts<F> {
    user: Arc<str>,
    answer: Pin<Box<F>>,
}

impl<F: Future> Future for Acts<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _acting = acting(&self.user);
        self.answer.as_mut().poll(context)
    }
}

/// Waits until everything defined so far is in the log.
pub async fn definitions_are_durable(node: &Node) {
    let journal = &node.journal;
    let position = journal.last_definition();
    std::future::poll_fn(|context| {
        if journal.is_durable(position, context.waker()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The last lines of the log, those after a number.
fn log(call: &Call) -> Result<Answer, Refusal> {
    let after = call.query.get("after").unwrap_or("0").parse();
    let after = after.map_err(|_| Refusal::bad_request("after: expected a number"))?;
    let (lines, last) = (call.management.settings.log)(after);
    let line = |line: &super::LogLine| json!({ "number": line.number, "at": line.at, "level": line.level, "text": line.text });
    Ok(Answer::json(&json!({ "items": lines.iter().map(line).collect::<Vec<_>>(), "last": last })))
}

async fn answer(call: &Call, endpoint: &Endpoint) -> Result<Answer, Refusal> {
    use Endpoint as E;
    match endpoint {
        E::Auth | E::Version | E::Health(_) => open(&call.management, endpoint),
        E::Nothing => Ok(Answer::json(&json!([]))),
        E::NothingIn(vhost) => call.vhost(vhost).map(|_| Answer::json(&json!([]))),
        E::Overview => overview::overview(call),
        E::ClusterName => overview::cluster_name(call),
        E::Whoami => Ok(overview::whoami(call)),
        E::Extensions => Ok(Answer::json(&json!([{ "javascript": "dispatcher.js" }]))),
        E::AuthAttempts { node, by_source } => attempts::of_node(call, node, *by_source),
        E::Nodes => nodes::list(call),
        E::Node(name) => nodes::one(call, name),
        E::NodeMemory(name, relative) => nodes::memory(call, name, *relative),
        E::NodeHealth(name) => health::node(call, name.as_deref()),
        E::Reset(name) => nodes::reset(call, name.as_deref()),
        E::OpenApi => Ok(Answer::json(&endpoints::document(&call.management))),
        E::EffectiveConfig => Ok(Answer::json(&call.management.settings.effective)),
        E::Aliveness(vhost) => health::aliveness(call, vhost),
        E::Vhosts => vhosts::list(call),
        E::Vhost(name) => vhosts::item(call, name),
        E::VhostProtection(name) => vhosts::protect(call, name),
        E::VhostStart(name, node) => vhosts::start(call, name, node),
        E::VhostPermissions(vhost) => permissions::of_vhost(call, vhost),
        E::Users => users::list(call),
        E::UsersWithoutPermissions => users::without_permissions(call),
        E::UsersBulkDelete => users::bulk_delete(call),
        E::User(name) => users::item(call, name).await,
        E::UserPermissions(user) => permissions::of_user(call, user),
        E::Permissions => Ok(permissions::list(call)),
        E::Permission { vhost, user } => permissions::item(call, vhost, user),
        E::Exchanges(vhost) => exchanges::list(call, vhost.as_deref()),
        E::Exchange { vhost, name } => exchanges::item(call, vhost, name),
        E::ExchangeBindings { vhost, name, side } => bindings::of_exchange(call, vhost, name, *side),
        E::Delayed { vhost, name } => delayed::all(call, vhost, name).await,
        E::DelayedMessage { vhost, name, id } => delayed::one(call, vhost, name, id).await,
        E::Publish { vhost, name } => messages::publish(call, vhost, name).await,
        E::Queues(vhost) => queues::list(call, vhost.as_deref()),
        E::Queue { vhost, name } => queues::item(call, vhost, name).await,
        E::QueueBindings { vhost, name } => bindings::of_queue(call, vhost, name),
        E::QueueContents { vhost, name } => queues::purge(call, vhost, name),
        E::QueueGet { vhost, name } => messages::get(call, vhost, name).await,
        E::QueueActions { vhost, name } => queues::act(call, vhost, name),
        E::QuorumStatus { vhost, name } => queues::quorum_status(call, vhost, name),
        E::Bindings(vhost) => bindings::list(call, vhost.as_deref()),
        E::BindingsBetween(path) => bindings::between(call, path),
        E::Binding(path, key) => bindings::item(call, path, key),
        E::Connections(vhost) => connections::list(call, vhost.as_deref()).await,
        E::Connection(name) => connections::item(call, name).await,
        E::ConnectionChannels(name) => channels::of_connection(call, name).await,
        E::ConnectionSessions(name) => call.connection(name).map(|_| Answer::json(&json!([]))),
        E::ConnectionsOf(user) => connections::of_user(call, user),
        E::Channels(vhost) => channels::list(call, vhost.as_deref()).await,
        E::Channel(name) => channels::one(call, name).await,
        E::Consumers(vhost) => channels::consumers(call, vhost.as_deref()).await,
        E::Log => log(call),
        E::Local(local) => super::local::change(call, *local),
        E::LiveLog => live::log(call),
        E::Own { vhost, name, own } => super::own::queue(call, vhost, name, *own).await,
        E::SuperStream { vhost, name } => super_streams::item(call, vhost, name),
        E::Definitions(vhost) => definitions::exchange(call, vhost.as_deref()).await,
        settings => answer_settings(call, settings).await,
    }
}

/// Endpoints of what operators set.
async fn answer_settings(call: &Call, endpoint: &Endpoint) -> Result<Answer, Refusal> {
    use Endpoint as E;
    match endpoint {
        E::Policies(owner, vhost) => policies::list(call, *owner, vhost.as_deref()),
        E::Policy { owner, vhost, name } => policies::item(call, *owner, vhost, name).await,
        E::Parameters(component, vhost) => parameters::list(call, component.as_deref(), vhost.as_deref()),
        E::Parameter(path) => parameters::item(call, path).await,
        E::GlobalParameters => Ok(parameters::global_list(call)),
        E::GlobalParameter(name) => parameters::global_item(call, name),
        E::VhostLimits(vhost) => limits::of_vhosts(call, vhost.as_deref()),
        E::VhostLimit { vhost, name } => limits::of_vhost(call, vhost, name),
        E::UserLimits(user) => limits::of_users(call, user.as_deref()),
        E::UserLimit { user, name } => limits::of_user(call, user, name),
        E::TopicPermissions => Ok(topic_permissions::list(call)),
        E::TopicPermission { vhost, user, exchange } => {
            topic_permissions::item(call, vhost, user, exchange.as_deref())
        }
        E::VhostTopicPermissions(vhost) => topic_permissions::of_vhost(call, vhost),
        E::UserTopicPermissions(user) => topic_permissions::of_user(call, user),
        E::FeatureFlags => Ok(features::flags(call)),
        E::DeprecatedFeatures => Ok(deprecated::all(call)),
        E::DeprecatedFeaturesUsed => Ok(deprecated::used(call).await),
        E::FeatureFlag(name) => features::enable(name),
        E::Rebalance => Ok(Answer::done()),
        E::HashPassword(password) => Ok(users::hash_password(call, password).await),
        _ => Err(Refusal::not_found()),
    }
}
