//! The file that tells scripts where the broker listens, for those who asked for any free port.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::Broker;

/// A written port file, removed when it is dropped: without a broker it would mislead.
pub struct PortFile(PathBuf);

impl PortFile {
    /// Writes `{"pid":1,"amqp_port":5672,"amqp":["0.0.0.0:5672"],"management_port":15672,...}`.
    pub fn write(path: &Path, broker: &Broker) -> io::Result<PortFile> {
        PortFile::write_all(
            path,
            &[
                ("amqp", broker.amqp_addrs()),
                ("amqps", broker.amqps_addrs()),
                ("management", broker.management_addrs()),
                ("management_tls", broker.management_tls_addrs()),
                ("prometheus", broker.prometheus_addrs()),
                ("prometheus_tls", broker.prometheus_tls_addrs()),
            ],
        )
    }

    fn write_all(path: &Path, listeners: &[(&str, &[SocketAddr])]) -> io::Result<PortFile> {
        let mut content = Map::new();
        content.insert("pid".to_owned(), json!(std::process::id()));
        for (name, addresses) in listeners {
            content.insert(format!("{name}_port"), json!(addresses.first().map(SocketAddr::port)));
            content.insert((*name).to_owned(), json!(addresses));
        }
        let content = Value::Object(content);
        // In one step, for readers that wait for the file to appear.
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        fs::write(&draft, format!("{content}\n"))?;
        fs::rename(&draft, path)?;
        Ok(PortFile(path.to_owned()))
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        // Someone else may have removed it already, which is just as well.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_json_and_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports");
        let file =
            PortFile::write_all(&path, &[("amqp", &["127.0.0.1:4000".parse().unwrap()]), ("amqps", &[])])
                .unwrap();
        let content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((&content["amqp_port"], &content["amqp"][0]), (&4000.into(), &"127.0.0.1:4000".into()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
    }
}
