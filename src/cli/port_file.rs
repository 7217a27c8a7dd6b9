//! The file that tells scripts where the broker listens, for those who asked for any free port.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::json;

/// A written port file, removed when it is dropped: without a broker it would mislead.
pub struct PortFile(PathBuf);

impl PortFile {
    /// Writes `{"pid":1,"amqp_port":5672,"amqp":["0.0.0.0:5672"],"management_port":15672,...}`.
    pub fn write(
        path: &Path,
        amqp: &[SocketAddr],
        management: &[SocketAddr],
        prometheus: &[SocketAddr],
    ) -> io::Result<PortFile> {
        let content = json!({
            "pid": std::process::id(),
            "amqp_port": amqp.first().map(SocketAddr::port),
            "amqp": amqp,
            "management_port": management.first().map(SocketAddr::port),
            "management": management,
            "prometheus_port": prometheus.first().map(SocketAddr::port),
            "prometheus": prometheus,
        });
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
        let file = PortFile::write(&path, &["127.0.0.1:4000".parse().unwrap()], &[], &[]).unwrap();
        let content: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((&content["amqp_port"], &content["amqp"][0]), (&4000.into(), &"127.0.0.1:4000".into()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
    }
}
