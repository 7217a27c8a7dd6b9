//! Methods of exchanges and bindings, and the dispatch of every method but publish and settlements.

use super::{Core, Output, errors};
use crate::{
    amqp::{AMQPClass, ChannelId, Failure, ReplyCode, access, channel, confirm, exchange},
    broker::topology::ExchangeDeclare,
    engine::{Resource, Right, Vhost},
};
use std::sync::Arc;

/// Carriage returns and line feeds do not belong in names (CH-08).
pub fn clean_name(name: &str) -> String {
    name.replace(['\r', '\n'], "")
}

impl Core {
    /// Every session that runs methods has opened a vhost.
    pub(super) fn opened_vhost(&self) -> Result<Arc<Vhost>, Failure> {
        let vhost = self.vhost.clone();
        vhost.ok_or_else(|| Failure::connection(ReplyCode::ChannelError, "no virtual host is open"))
    }

    pub(super) fn method(
        &mut self,
        id: ChannelId,
        class: AMQPClass,
        out: &mut Output,
    ) -> Result<(), Failure> {
        match class {
            AMQPClass::Basic(method) => self.on_basic(id, method, out),
            AMQPClass::Queue(method) => self.on_queue(id, method, out),
            AMQPClass::Exchange(method) => self.on_exchange(id, method, out),
            AMQPClass::Tx(method) => self.on_tx(id, &method, out),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                self.confirm_select(id, select.nowait, out)
            }
            AMQPClass::Channel(channel::AMQPMethod::Flow(flow)) => flow_ok(id, flow.active, out),
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                request_ok(id, out);
                Ok(())
            }
            AMQPClass::Confirm(_)
            | AMQPClass::Channel(_)
            | AMQPClass::Access(_)
            | AMQPClass::Connection(_) => Err(errors::unimplemented_method()),
        }
    }

    fn on_exchange(
        &mut self,
        id: ChannelId,
        method: exchange::AMQPMethod,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let vhost = self.opened_vhost()?;
        let (result, nowait, reply) = match method {
            exchange::AMQPMethod::Declare(declare) => {
                let nowait = declare.nowait;
                let reply = exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {});
                self.demand_declare(&declare).map_err(errors::of_queue)?;
                (declare_exchange(&vhost, declare), nowait, reply)
            }
            exchange::AMQPMethod::Delete(delete) => {
                let name = clean_name(delete.exchange.as_str());
                self.demand(Right::Configure, Resource::Exchange(&name)).map_err(errors::of_queue)?;
                let reply = exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {});
                (vhost.delete_exchange(&name, delete.if_unused), delete.nowait, reply)
            }
            exchange::AMQPMethod::Bind(bind) => {
                let (source, destination) =
                    (clean_name(bind.source.as_str()), clean_name(bind.destination.as_str()));
                self.demand_binding(&source, Resource::Exchange(&destination), bind.routing_key.as_str())
                    .map_err(errors::of_queue)?;
                let bound =
                    vhost.bind_exchange(&source, &destination, bind.routing_key.as_str(), bind.arguments);
                let bound = bound.map(|replay| self.node.replay(replay, self.now));
                (bound, bind.nowait, exchange::AMQPMethod::BindOk(exchange::BindOk {}))
            }
            exchange::AMQPMethod::Unbind(unbind) => {
                let source = clean_name(unbind.source.as_str());
                let destination = clean_name(unbind.destination.as_str());
                let key = unbind.routing_key.as_str();
                self.demand_binding(&source, Resource::Exchange(&destination), key)
                    .map_err(errors::of_queue)?;
                let unbound = vhost.unbind_exchange(&source, &destination, key, unbind.arguments);
                (unbound, unbind.nowait, exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}))
            }
            _ => return Err(errors::unimplemented_method()),
        };
        result.map_err(errors::of_topology)?;
        if !nowait {
            self.promise_definitions(out);
            out.method(id, reply);
        }
        Ok(())
    }
}

fn declare_exchange(
    vhost: &Vhost,
    declare: exchange::Declare,
) -> Result<(), crate::broker::topology::TopologyError> {
    let name = clean_name(declare.exchange.as_str());
    if declare.passive {
        return vhost.check_exchange(&name);
    }
    let attributes = ExchangeDeclare {
        kind: declare.kind.as_str(),
        durable: declare.durable,
        auto_delete: declare.auto_delete,
        internal: declare.internal,
        arguments: declare.arguments,
    };
    vhost.declare_exchange(&name, attributes)
}

/// Only clients may be told to pause, and RabbitMQ never does (CH-04).
fn flow_ok(id: ChannelId, active: bool, out: &mut Output) -> Result<(), Failure> {
    if !active {
        return Err(Failure::connection(ReplyCode::NotImplemented, "active=false"));
    }
    out.method(id, channel::AMQPMethod::FlowOk(channel::FlowOk { active: true }));
    Ok(())
}

/// access.request-ok with ticket 1; the generated type has no room for the ticket (CH-05).
fn request_ok(id: ChannelId, out: &mut Output) {
    let [high, low] = id.to_be_bytes();
    out.buffer().extend_from_slice(&[1, high, low, 0, 0, 0, 6, 0, 30, 0, 11, 0, 1, 0xCE]);
}
