//! One run of a tool, and what is expected of it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Called {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Called {
    pub fn run(command: &mut Command, input: &str) -> Called {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // A tool that does not read has closed it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).expect("what is printed is text");
        Called { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What was printed; fails unless it ended well.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// Fails unless it ended with this code and these words on standard error.
    #[track_caller]
    pub fn fails(self, code: i32, err: &str) {
        assert_eq!((self.code, self.err.as_str()), (Some(code), err), "{}", self.out);
    }

    /// Fails unless it ended with this code and these words are somewhere on standard error.
    #[track_caller]
    pub fn fails_with(self, code: i32, words: &str) {
        assert!(self.code == Some(code) && self.err.contains(words), "{code} {words:?}: {self:?}");
    }
}
