//! One planned fault: which operation it strikes, and what it does to it.

use std::{fmt, sync::Arc};

/// What can be asked of a disk. A rename counts under its new name, an open file under the name it was
/// opened by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Reading octets.
    Read,
    /// Writing octets.
    Write,
    /// Making a file durable.
    Sync,
    /// Taking space.
    Allocate,
    /// Giving space back.
    Discard,
    /// Cutting or extending a file.
    SetLength,
    /// Asking for a length.
    Length,
    /// Opening or creating a file.
    Open,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Making names durable.
    SyncDirectory,
    /// Making a directory.
    CreateDirectory,
    /// Listing a directory.
    List,
    /// Asking for the room on the disk.
    Space,
}

/// Which operations a rule strikes.
#[derive(Debug, Clone)]
pub struct When {
    operation: Operation,
    prefix: String,
    nth: u64,
    for_ever: bool,
}

impl When {
    /// The n-th operation of a kind, counted from one and from when the rule is planned.
    pub fn nth(operation: Operation, nth: u64) -> When {
        assert!(nth > 0, "operations are counted from one");
        When { operation, prefix: String::new(), nth, for_ever: false }
    }

    /// Every operation of a kind.
    pub fn every(operation: Operation) -> When {
        When::nth(operation, 1).and_after()
    }

    /// Strikes and counts only paths with a prefix.
    pub fn under(self, prefix: &str) -> When {
        When { prefix: prefix.to_owned(), ..self }
    }

    /// Strikes all later ones as well.
    pub fn and_after(self) -> When {
        When { for_ever: true, ..self }
    }

    /// They fail with an error number, and nothing is done.
    pub fn fail(self, number: i32) -> Rule {
        self.act(Act::Fault(Fault::Fail(number)))
    }

    /// Reads or writes that transfer no more than so many octets and say so.
    pub fn short(self, octets: usize) -> Rule {
        self.transfer(octets, None)
    }

    /// Reads or writes that transfer no more than so many octets and fail all the same.
    pub fn short_then_fail(self, octets: usize, number: i32) -> Rule {
        self.transfer(octets, Some(number))
    }

    /// Calls a hook with the path before the operation, and then does it.
    pub fn before(self, hook: impl Fn(&str) + Send + Sync + 'static) -> Rule {
        self.act(Act::Before(Hook(Arc::new(hook))))
    }

    /// Calls a hook with the path after the operation, before its caller learns of it.
    pub fn after(self, hook: impl Fn(&str) + Send + Sync + 'static) -> Rule {
        self.act(Act::After(Hook(Arc::new(hook))))
    }

    fn transfer(self, octets: usize, then: Option<i32>) -> Rule {
        let transfers = matches!(self.operation, Operation::Read | Operation::Write);
        assert!(transfers, "{:?} cannot be short", self.operation);
        self.act(Act::Fault(Fault::Short { octets, then }))
    }

    fn act(self, act: Act) -> Rule {
        Rule { when: self, seen: 0, act }
    }
}

/// A planned fault, made by [`When`].
#[derive(Debug, Clone)]
pub struct Rule {
    when: When,
    /// Operations it would count, so far.
    seen: u64,
    act: Act,
}

impl Rule {
    /// Counts an operation, and answers what to do if it is struck.
    pub(super) fn strikes(&mut self, operation: Operation, path: &str) -> Option<&Act> {
        if operation != self.when.operation || !path.starts_with(&self.when.prefix) {
            return None;
        }
        self.seen += 1;
        let struck = self.seen == self.when.nth || (self.when.for_ever && self.seen > self.when.nth);
        struck.then_some(&self.act)
    }
}

/// What a rule does.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Before(Hook),
    Fault(Fault),
    After(Hook),
}

/// What a caller gets instead of success.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Fail(i32),
    Short { octets: usize, then: Option<i32> },
}

/// Something a test wants to be called.
#[derive(Clone)]
pub(super) struct Hook(Arc<dyn Fn(&str) + Send + Sync>);

impl Hook {
    pub(super) fn call(&self, path: &str) {
        (self.0)(path);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hook")
    }
}
