//! What a user may do in a vhost: three patterns on names (PRM-01 to PRM-13).

use regex::Regex;

use crate::broker::pattern;

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Configure,
    Write,
    Read,
}

impl Right {
    /// As it stands in refusals (PRM-14).
    pub fn name(self) -> &'static str {
        match self {
            Right::Configure => "configure",
            Right::Write => "write",
            Right::Read => "read",
        }
    }
}

/// What rights are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    Exchange(&'a str),
    Queue(&'a str),
}

impl<'a> Resource<'a> {
    /// Its kind, as it stands in refusals.
    pub fn kind(self) -> &'static str {
        match self {
            Resource::Exchange(_) => "exchange",
            Resource::Queue(_) => "queue",
        }
    }

    /// The name that patterns match; the default exchange has one for that (PRM-08).
    pub fn name(self) -> &'a str {
        match self {
            Resource::Exchange("") => "amq.default",
            Resource::Exchange(name) | Resource::Queue(name) => name,
        }
    }
}

/// A pattern on names; not anchored.
#[derive(Debug, Clone)]
enum Matcher {
    Nothing,
    Everything,
    Some(Box<Regex>),
}

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) text: String,
    matcher: Matcher,
}

impl Pattern {
    pub(super) fn new(text: String) -> Result<Pattern, regex::Error> {
        let matcher = match text.as_str() {
            // Nothing, instead of everything that contains nothing.
            "" => Matcher::Nothing,
            ".*" | "^.*$" | "^.*" => Matcher::Everything,
            other => Matcher::Some(Box::new(pattern::compile(other)?)),
        };
        Ok(Pattern { text, matcher })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            // An empty name is all that RabbitMQ's `^$` matches.
            Matcher::Nothing => name.is_empty(),
            Matcher::Everything => true,
            Matcher::Some(regex) => regex.is_match(name),
        }
    }
}

/// A pattern that cannot be used: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("invalid regular expression for '{right}': {error}", right = .right.name())]
pub struct BadPattern {
    pub right: Right,
    pub error: regex::Error,
}

/// The rights of one user in one vhost.
#[derive(Debug, Clone)]
pub struct Permission {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

impl Permission {
    /// # Errors
    /// When a pattern is no regular expression, or one that is too large.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Permission, BadPattern> {
        let pattern =
            |right, text: &str| Pattern::new(text.to_owned()).map_err(|error| BadPattern { right, error });
        Ok(Permission {
            configure: pattern(Right::Configure, configure)?,
            write: pattern(Right::Write, write)?,
            read: pattern(Right::Read, read)?,
        })
    }

    /// All rights on everything.
    pub fn full() -> Permission {
        let everything = || Pattern { text: ".*".to_owned(), matcher: Matcher::Everything };
        Permission { configure: everything(), write: everything(), read: everything() }
    }

    fn pattern(&self, right: Right) -> &Pattern {
        match right {
            Right::Configure => &self.configure,
            Right::Write => &self.write,
            Right::Read => &self.read,
        }
    }

    /// A pattern as it was given.
    pub fn text(&self, right: Right) -> &str {
        &self.pattern(right).text
    }

    pub fn allows(&self, right: Right, resource: Resource<'_>) -> bool {
        self.pattern(right).matches(resource.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_not_anchored_and_the_empty_one_matches_nothing() {
        let permission = Permission::new("", "b", "^amq\\.default$").unwrap();
        assert!(!permission.allows(Right::Configure, Resource::Queue("a")));
        assert!(permission.allows(Right::Write, Resource::Exchange("abc")));
        assert!(!permission.allows(Right::Write, Resource::Exchange("ac")));
        assert!(permission.allows(Right::Read, Resource::Exchange("")));
        assert_eq!(permission.text(Right::Write), "b");
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused() {
        let error = Permission::new(".*", "(", ".*").unwrap_err();
        assert_eq!(error.right, Right::Write);
        assert!(Permission::new("a{100000}{100000}", "", "").is_err(), "too large");
    }
}
