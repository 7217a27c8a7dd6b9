//! Routes of what operators set: policies, parameters, limits, rights on topics; and of features.

use super::{
    parameters::ParameterPath,
    route::{DELETE_PUT, Endpoint as E, Found, GET, ITEM, Level, POST, PUT},
};
use crate::broker::policy::Owner;

/// The endpoint of a path, if it is one of these.
pub fn find(segments: &[&str]) -> Option<Found> {
    policies(segments)
        .or_else(|| parameters(segments))
        .or_else(|| limits(segments))
        .or_else(|| topics(segments))
        .or_else(|| features(segments))
}

fn name(name: &str) -> String {
    name.to_owned()
}

fn policies(segments: &[&str]) -> Option<Found> {
    let (kind, rest) = segments.split_first()?;
    let owner = match *kind {
        "policies" => Owner::User,
        "operator-policies" => Owner::Operator,
        _ => return None,
    };
    Some(match rest {
        [] => (E::Policies(owner, None), GET, Level::Manager),
        [vhost] => (E::Policies(owner, Some(name(vhost))), GET, Level::Vhost(name(vhost))),
        [vhost, policy] => {
            let level = match owner {
                Owner::User => Level::PolicymakerOf(name(vhost)),
                Owner::Operator => Level::Administrator,
            };
            (E::Policy { owner, vhost: name(vhost), name: name(policy) }, ITEM, level)
        }
        _ => return None,
    })
}

fn parameters(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["parameters"] => (E::Parameters(None, None), GET, Level::Policymaker),
        ["parameters", component] => (E::Parameters(Some(name(component)), None), GET, Level::Policymaker),
        ["parameters", component, vhost] => {
            let level = Level::PolicymakerOf(name(vhost));
            (E::Parameters(Some(name(component)), Some(name(vhost))), GET, level)
        }
        ["parameters", component, vhost, parameter] => {
            let path =
                ParameterPath { component: name(component), vhost: name(vhost), name: name(parameter) };
            (E::Parameter(path), ITEM, Level::PolicymakerOf(name(vhost)))
        }
        ["global-parameters"] => (E::GlobalParameters, GET, Level::Policymaker),
        ["global-parameters", parameter] => (E::GlobalParameter(name(parameter)), ITEM, Level::Policymaker),
        _ => return None,
    })
}

fn limits(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["vhost-limits"] => (E::VhostLimits(None), GET, Level::Manager),
        ["vhost-limits", vhost] => (E::VhostLimits(Some(name(vhost))), GET, Level::Vhost(name(vhost))),
        ["vhost-limits", vhost, limit] => {
            (E::VhostLimit { vhost: name(vhost), name: name(limit) }, DELETE_PUT, Level::Administrator)
        }
        ["user-limits"] => (E::UserLimits(None), GET, Level::Administrator),
        ["user-limits", user] => (E::UserLimits(Some(name(user))), GET, Level::Administrator),
        ["user-limits", user, limit] => {
            (E::UserLimit { user: name(user), name: name(limit) }, DELETE_PUT, Level::Administrator)
        }
        _ => return None,
    })
}

fn topics(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["topic-permissions"] => (E::TopicPermissions, GET, Level::Administrator),
        ["topic-permissions", vhost, user, exchange @ ..] if exchange.len() <= 1 => {
            let exchange = exchange.first().map(|exchange| name(exchange));
            (
                E::TopicPermission { vhost: name(vhost), user: name(user), exchange },
                ITEM,
                Level::Administrator,
            )
        }
        ["vhosts", vhost, "topic-permissions"] => {
            (E::VhostTopicPermissions(name(vhost)), GET, Level::Administrator)
        }
        ["users", user, "topic-permissions"] => {
            (E::UserTopicPermissions(name(user)), GET, Level::Administrator)
        }
        _ => return None,
    })
}

fn features(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["login"] => (E::Login, POST, Level::Open),
        ["feature-flags"] => (E::FeatureFlags, GET, Level::Manager),
        ["feature-flags", flag, "enable"] => (E::FeatureFlag(name(flag)), PUT, Level::Administrator),
        ["deprecated-features"] => (E::DeprecatedFeatures, GET, Level::Manager),
        ["deprecated-features", "used"] => (E::DeprecatedFeaturesUsed, GET, Level::Manager),
        ["auth", "hash_password", password] => (E::HashPassword(name(password)), GET, Level::Administrator),
        _ => return None,
    })
}
