//! Where `rabbitmqadmin` connects and how it prints: from its options, its file, its variables.

use std::{collections::BTreeMap, fs, time::Duration};

use super::{line::Line, misuse, print::Format};
use crate::ctl::{
    Surroundings,
    api::{self, Remote},
    failure::Result,
    tls::{Check, Tls},
};

/// What a call goes by.
pub struct Settings {
    pub remote: Remote,
    /// The one that was named.
    pub vhost: Option<String>,
    pub is_quiet: bool,
    pub format: Format,
    pub sort: Option<String>,
    pub sort_reverse: bool,
    pub depth: usize,
    pub timeout: Duration,
}

impl Settings {
    pub fn gather(line: &Line, surroundings: &Surroundings) -> Result<Settings> {
        let file = file(line, surroundings)?;
        let get = |name: &str, in_file: &str| {
            line.option(name).map(str::to_owned).or_else(|| file.get(in_file).cloned())
        };
        let mut remote = match line.option("base_uri") {
            None => Remote::default(),
            Some(uri) => {
                Remote::parse(uri).ok_or_else(|| misuse(&format!("'{uri}' is not http[s]://HOST:PORT")))?
            }
        };
        if let Some(tls) = tls(&get, remote.tls.is_some())
            && remote.tls.replace(tls).is_none()
            && remote.port == api::PORT
        {
            remote.port = api::TLS_PORT;
        }
        if let Some(host) = get("host", "hostname") {
            remote.host = host;
        }
        if let Some(port) = get("port", "port") {
            remote.port = port.parse().map_err(|_| misuse(&format!("'{port}' is not a port")))?;
        }
        if let Some(user) = get("username", "username") {
            remote.user = user;
        }
        if let Some(password) = get("password", "password") {
            remote.password = password;
        }
        if let Some(prefix) = get("path_prefix", "path_prefix") {
            // Of the second version it contains /api.
            let prefix = prefix.trim_matches('/').trim_end_matches("api").trim_end_matches('/').to_owned();
            remote.prefix = if prefix.is_empty() { prefix } else { format!("/{prefix}") };
        }
        let format = get("format", "format").unwrap_or_else(|| "table".to_owned());
        let number = |text: Option<String>, usual: u64| match text {
            None => Ok(usual),
            Some(text) => text.parse().map_err(|_| misuse(&format!("'{text}' is not a number"))),
        };
        let timeout =
            line.option("timeout").map(str::to_owned).or_else(|| get("request_timeout", "request_timeout"));
        Ok(Settings {
            vhost: get("vhost", "vhost"),
            is_quiet: line.is_set("quiet"),
            format: Format::named(&format)
                .ok_or_else(|| misuse(&format!("Format {format} not recognised")))?,
            sort: line.option("sort").map(str::to_owned),
            sort_reverse: line.is_set("sort_reverse"),
            depth: usize::try_from(number(get("depth", "depth"), 1)?).unwrap_or(usize::MAX),
            timeout: Duration::from_secs(number(timeout, 120)?),
            remote,
        })
    }
}

/// How to speak TLS, if that is wanted: by options, or by what either version calls them in its file.
fn tls(get: &impl Fn(&str, &str) -> Option<String>, is_wanted: bool) -> Option<Tls> {
    let is_true =
        |name, in_file| get(name, in_file).is_some_and(|text: String| text.eq_ignore_ascii_case("true"));
    if !is_wanted && !is_true("ssl", "ssl") && !is_true("ssl", "tls") {
        return None;
    }
    let check = if is_true("ssl_insecure", "ssl_insecure") || is_true("ssl_insecure", "insecure") {
        Check::Nothing
    } else if is_true("ssl_disable_hostname_verification", "ssl_disable_hostname_verification") {
        Check::AllButName
    } else {
        Check::All
    };
    let file = |name: &str, newer: &str| get(name, name).or_else(|| get(name, newer));
    Some(Tls {
        check,
        ca: file("ssl_ca_cert_file", "ca_certificate_bundle_path"),
        cert: file("ssl_cert_file", "client_certificate_file_path"),
        key: file("ssl_key_file", "client_private_key_file_path"),
    })
}

/// The section of the configuration file that is meant.
fn file(line: &Line, surroundings: &Surroundings) -> Result<BTreeMap<String, String>> {
    let section = line.option("node").unwrap_or("default");
    let named = line.option("config");
    let usual = surroundings.home.as_ref().map(|home| format!("{home}/.rabbitmqadmin.conf"));
    let Some(path) = named.map(str::to_owned).or(usual) else { return Ok(BTreeMap::new()) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if named.is_none() && line.option("node").is_none() => return Ok(BTreeMap::new()),
        Err(_) => return Err(misuse(&format!("Could not read config file '{path}'"))),
    };
    match sections(&text).remove(section) {
        Some(found) => Ok(found),
        None if section == "default" => Ok(BTreeMap::new()),
        None => Err(misuse(&format!("Could not read section '{section}' in config file '{path}'"))),
    }
}

/// Sections with their keys. Of TOML, which the second version writes, this reads as much as is needed: texts in
/// quotes, and comments.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) || line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = name.trim().trim_matches('"').to_owned();
            sections.entry(name.clone()).or_insert_with(BTreeMap::new);
            current = Some(name);
            continue;
        }
        let (Some(section), Some((key, value))) = (&current, line.split_once(['=', ':'])) else { continue };
        let value = value.trim();
        let value = match value.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            Some((inside, _)) => inside,
            None => value.split_once(" #").map_or(value, |(value, _)| value.trim()),
        };
        if let Some(found) = sections.get_mut(section) {
            found.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_both_versions_are_read() {
        let text = "# hosts\n[old]\nhostname = here\nport: 1234 # why\n\n[new]\nhostname = \"there\" # quoted\nusername = \"a=b\"\n";
        let read = sections(text);
        assert_eq!((read["old"]["hostname"].as_str(), read["old"]["port"].as_str()), ("here", "1234"));
        assert_eq!((read["new"]["hostname"].as_str(), read["new"]["username"].as_str()), ("there", "a=b"));
    }
}
