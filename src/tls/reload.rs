//! Certificates that change while the broker runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::{Mutex, RwLock};
use tokio::net::TcpStream;

use super::{
    accept::{AcceptError, TlsStream, accept},
    certificate::Certificate,
    load::{LoadError, Loaded, load},
    settings::TlsSettings,
};
use crate::engine::Encryption;

/// A certificate in use, for whoever watches when it runs out.
#[derive(Debug, Clone)]
pub struct LoadedCertificate {
    pub path: PathBuf,
    pub subject: String,
    /// `2027-11-21T22:49:31Z`.
    pub expires: String,
    /// The same in seconds since 1970.
    pub expires_at: i64,
    /// It is not ours but an issuer of those of clients.
    pub is_issuer: bool,
}

/// The TLS of some listeners.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    current: RwLock<Arc<Loaded>>,
    /// What the files looked like when they were read last, whatever came of it.
    seen: Mutex<Vec<Stamp>>,
}

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    fn of(path: &Path) -> Stamp {
        let metadata = std::fs::metadata(path).ok();
        Stamp(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))))
    }
}

impl Tls {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn load(settings: TlsSettings) -> Result<Arc<Tls>, LoadError> {
        // Looked at before they are read: what is written meanwhile is found to be new afterwards.
        let seen = stamps(&settings);
        let loaded = load(&settings)?;
        Ok(Arc::new(Tls { settings, current: RwLock::new(Arc::new(loaded)), seen: Mutex::new(seen) }))
    }

    /// Reads everything again; new connections get what is new.
    ///
    /// # Errors
    /// When it cannot be used. Then all stays as it is.
    pub fn reload(&self) -> Result<(), LoadError> {
        *self.seen.lock() = stamps(&self.settings);
        let loaded = Arc::new(load(&self.settings)?);
        *self.current.write() = loaded;
        Ok(())
    }

    /// Whether files are not what they were when they were read last.
    pub fn has_changed(&self) -> bool {
        *self.seen.lock() != stamps(&self.settings)
    }

    /// The certificate that most clients get.
    pub fn path(&self) -> &Path {
        &self.settings.cert
    }

    /// Every certificate in use.
    pub fn certificates(&self) -> Vec<LoadedCertificate> {
        let loaded = self.current.read().clone();
        let show = |(path, certificate): &(PathBuf, Certificate)| LoadedCertificate {
            path: path.clone(),
            subject: certificate.subject.clone(),
            expires: certificate.not_after.text.clone(),
            expires_at: certificate.not_after.seconds,
            is_issuer: self.settings.ca.as_ref() == Some(path),
        };
        loaded.certificates.iter().map(show).collect()
    }

    /// Makes a connection of a socket.
    ///
    /// # Errors
    /// When the peer does not speak TLS as it should, has no certificate that it should have, or takes too long.
    pub async fn accept(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> Result<(TlsStream, Encryption), AcceptError> {
        let config = self.current.read().config.clone();
        accept(stream, config, self.settings.login, patience).await
    }
}

fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let named = settings.names.iter().flat_map(|named| [&named.cert, &named.key]);
    let files = [&settings.cert, &settings.key].into_iter().chain(&settings.ca).chain(named);
    files.map(|path| Stamp::of(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{made, write},
        *,
    };

    fn config(tls: &Tls) -> *const () {
        Arc::as_ptr(&tls.current.read()).cast()
    }

    #[test]
    fn a_new_pair_takes_the_place_of_the_old_one_and_a_broken_one_does_not() {
        let (_directory, settings) = made("one.example");
        let tls = Tls::load(settings.clone()).unwrap();
        assert!(!tls.has_changed());
        let first = config(&tls);

        let key = std::fs::read(&settings.key).unwrap();
        write(&settings, "longer-than-the-first.example");
        assert!(tls.has_changed());
        tls.reload().unwrap();
        let second = config(&tls);
        assert!(first != second && !tls.has_changed());

        std::fs::write(&settings.key, key).unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains("do not go together"));
        assert_eq!(config(&tls), second);
        assert!(!tls.has_changed(), "what is broken is read once");
        std::fs::remove_file(&settings.key).unwrap();
        assert!(tls.has_changed());
    }
}
