//! What exchanges keep of messages: given when they are declared, gone when they are deleted.

use super::{DelayRef, Holder, PageRequest, Vhost};
use crate::{
    broker::{queue::Effects, topology::Exchange},
    store::{Definition, ExchangeDefinition, QueueId},
};

impl Vhost {
    /// An exchange is new: gives it what it needs to keep messages. The caller holds the lock of the topology.
    pub(super) fn give_memory(&self, exchange: &Exchange) {
        if exchange.is_delayed() {
            self.add_delay(exchange, self.journal.next_queue());
        }
        let survives = exchange.cache().is_some_and(|cache| cache.survives);
        if survives && exchange.durable() && self.journal.is_on() {
            self.duplicates.give_number(exchange.name(), self.journal.next_queue());
        }
    }

    /// As [`Vhost::give_memory`], for an exchange that the log knows.
    pub(super) fn restore_memory(&self, exchange: &Exchange, definition: &ExchangeDefinition) {
        if exchange.is_delayed() {
            let number = definition.delay.unwrap_or_else(|| self.journal.next_queue());
            self.add_delay(exchange, number);
        }
        if let Some(number) = definition.cache.filter(|_| exchange.cache().is_some()) {
            self.duplicates.give_number(exchange.name(), number);
        }
    }

    fn add_delay(&self, exchange: &Exchange, number: QueueId) {
        let survives = exchange.durable() && self.journal.is_on();
        self.delays.add(DelayRef::new(number, exchange.name(), &self.name, survives, self.account));
    }

    /// Forgets what deleted exchanges kept; returns what the log must learn of that before it learns of the
    /// deletions.
    pub(super) fn forget_exchanges<'a>(
        &self,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<Definition> {
        self.stats.ended.forget_exchanges(names.clone());
        self.histories.forget(names.clone());
        let mut numbers = self.duplicates.forget(names.clone());
        for delay in names.filter_map(|name| self.delays.remove(name)) {
            let mut effects = Effects::default();
            delay.state.lock().delete(&mut effects);
            let dropped = effects.dropped_pages.drain(..);
            self.paging.request(dropped.map(|page| PageRequest::Drop(Holder::Delay(delay.clone()), page)));
            numbers.push(delay.number);
        }
        let deleted = |id| Definition::DeleteKept { vhost: self.name.to_string(), id };
        numbers.into_iter().map(deleted).collect()
    }
}
