//! `rabbitmqadmin`: the HTTP API from the command line, in both syntaxes that it has had.
//!
//! The first is `declare queue name=q durable=true`, the second `declare queue --name q --durable true` or
//! `queues declare --name q`. Both become a verb, a kind of object and named arguments, and do the same from there.

mod line;
mod print;
mod settings;
mod table;
mod work;

use super::{
    Surroundings,
    api::{Api, Reply, Silence, Target},
    failure::{Failure, Result},
};
use line::Line;
use settings::Settings;

/// Everything that went wrong ends with this.
const FAILED: u8 = 1;

/// A request to the broker, and what the answer is printed with.
struct Session {
    api: Api,
    settings: Settings,
}

pub fn run(words: &[String], surroundings: &Surroundings) -> Result<()> {
    let line = Line::parse(words)?;
    if line.is_set("version") {
        println!("rabbitmqadmin {}", surroundings.version);
        return Ok(());
    }
    if line.is_set("help") || line.verb == "help" {
        println!("{}", table::usage());
        return Ok(());
    }
    let Some(command) = table::find(&line) else {
        let text = match (line.verb.as_str(), line.noun.as_str()) {
            ("", _) => "Action not specified".to_owned(),
            (verb, "") => format!("Action {verb} not understood"),
            (verb, noun) => format!("Don't know how to {verb} {noun}"),
        };
        return Err(misuse(&text));
    };
    let settings = Settings::gather(&line, surroundings)?;
    let arguments = command.arguments(&line)?;
    let target = Target::Remote(settings.remote.clone());
    let mut api = Api::new(target).map_err(|error| died(error.to_string()))?;
    api.timeout = Some(settings.timeout);
    let mut session = Session { api, settings };
    work::perform(&mut session, command, &line, &arguments)
}

/// A command line that cannot be meant so.
fn misuse(text: &str) -> Failure {
    Failure::bare(FAILED, format!("\nERROR: {text}\n\nrabbitmqadmin --help for help\n"))
}

/// Something that the broker refuses, or that fails on the way.
fn died(text: impl AsRef<str>) -> Failure {
    Failure::bare(FAILED, format!("*** {}\n", text.as_ref()))
}

impl Session {
    fn ask(&mut self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Result<Reply> {
        let method = hyper::Method::from_bytes(method.as_bytes()).map_err(|error| died(error.to_string()))?;
        let reply = self.api.ask(method, path, body).map_err(|silence| match silence {
            Silence::Down(reason) => died(format!("Could not connect: {reason}")),
            Silence::TimedOut => died(format!(
                "Timed out getting HTTP response (request timeout: {} seconds)",
                self.settings.timeout.as_secs()
            )),
        })?;
        let shown = path.split('?').next().unwrap_or_default();
        match reply.status {
            200..=299 => Ok(reply),
            400 => Err(died(reply.reason())),
            401 => Err(died(format!("Access refused: /api/{shown}"))),
            404 => Err(died(format!("Not found: /api/{shown}"))),
            status => {
                Err(died(format!("Received response {status} for path /api/{shown}\n{}", reply.reason())))
            }
        }
    }

    /// Status messages can be turned off.
    fn say(&self, text: &str) {
        if !self.settings.is_quiet {
            println!("{text}");
        }
    }
}
