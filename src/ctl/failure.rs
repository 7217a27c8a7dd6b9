//! Why a command failed: the text on standard error and the exit code, which are RabbitMQ's.

/// Exit codes, of which most are those of `sysexits.h`.
pub const USAGE: u8 = 64;
pub const DATA: u8 = 65;
pub const NO_USER: u8 = 67;
pub const UNAVAILABLE: u8 = 69;
pub const DENIED: u8 = 77;
pub const SOFTWARE: u8 = 70;
pub const IO: u8 = 74;
pub const TEMPORARY: u8 = 75;

/// How a refusal of an argument begins, behind which the usage is told.
pub const ARGUMENT: &str = "Error (argument validation): ";

/// What is said and how the process ends.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// As it is printed, without the last line feed.
    pub text: String,
}

impl Failure {
    /// Something that the broker or we refuse.
    pub fn new(code: u8, text: impl AsRef<str>) -> Failure {
        Failure { code, text: format!("Error:\n{}", text.as_ref()) }
    }

    /// The same on one line.
    pub fn line(code: u8, text: impl AsRef<str>) -> Failure {
        Failure { code, text: format!("Error: {}", text.as_ref()) }
    }

    /// A text of its own.
    pub fn bare(code: u8, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }

    /// An argument that cannot be what is meant.
    pub fn argument(text: impl AsRef<str>) -> Failure {
        Failure::bare(USAGE, format!("{ARGUMENT}{}", text.as_ref()))
    }

    pub fn no_user(name: &str) -> Failure {
        Failure::new(NO_USER, format!("User \"{name}\" does not exist"))
    }

    pub fn no_vhost(name: &str) -> Failure {
        Failure::bare(DATA, format!("Virtual host '{name}' does not exist"))
    }
}

pub type Result<T> = std::result::Result<T, Failure>;
