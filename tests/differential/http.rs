//! The management interfaces of the brokers: requests of a script, and their answers as one line each.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::common::Address;

/// One request: `PUT policies/~/%p {"pattern":...}`, where `~` is the vhost of the run, or `GET queues/~/%q .policy`
/// for one field of the answer.
pub struct Request {
    method: String,
    path: String,
    body: String,
    field: Option<String>,
}

impl Request {
    /// From a script's line, in which names are real already.
    pub fn parse(text: &str, address: &Address) -> Request {
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, path, rest) = (word(), word(), word());
        let vhost = address.vhost.replace('/', "%2F");
        let path =
            path.split('/').map(|part| if part == "~" { &vhost } else { part }).collect::<Vec<_>>().join("/");
        let field = rest.strip_prefix('.').map(str::to_owned);
        let body = if field.is_some() { String::new() } else { rest };
        Request { method, path, body, field }
    }

    /// What takes back what this one makes.
    pub fn undo(&self) -> Option<Request> {
        let kinds = ["policies/", "operator-policies/", "users/", "vhosts/"];
        let makes = self.method == "PUT" && kinds.iter().any(|kind| self.path.starts_with(kind));
        makes.then(|| Request {
            method: "DELETE".to_owned(),
            path: self.path.clone(),
            body: String::new(),
            field: None,
        })
    }

    /// Asks, and says what the answer is.
    pub fn ask(&self, address: &Address) -> String {
        let Some(management) = address.management else { return "nothing to ask".to_owned() };
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", address.user, address.password));
        let Request { method, path, body, .. } = self;
        let request = format!(
            "{method} /api/{path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Basic {credentials}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = TcpStream::connect(management).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        match answer {
            Ok(answer) => self.shown(&answer),
            Err(error) => format!("http {error}"),
        }
    }

    fn shown(&self, answer: &str) -> String {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        if let Some(field) = &self.field {
            return format!("http {status} {}", body.get(field).unwrap_or(&Value::Null));
        }
        match (body["error"].as_str(), body["reason"].as_str()) {
            (Some(error), Some(reason)) => {
                format!("http {status} {error} \"{}\"", reason.replace('\n', "\\n"))
            }
            _ => format!("http {status}"),
        }
    }
}
