//! The certificates of all listeners, and keeping them up to date.

use std::{sync::Arc, time::Duration};

use super::Config;
use crate::tls::{LoadError, LoadedCertificate, Tls};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What listeners encrypt with.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub amqp: Option<Arc<Tls>>,
    /// Of the management interface and of metrics.
    pub management: Option<Arc<Tls>>,
}

impl Certificates {
    /// Reads what the configuration names.
    pub fn load(config: &Config) -> Result<Certificates, LoadError> {
        let load = |settings: Option<_>| settings.map(Tls::load).transpose();
        Ok(Certificates { amqp: load(config.amqp_tls())?, management: load(config.management_tls())? })
    }

    pub fn is_empty(&self) -> bool {
        self.amqp.is_none() && self.management.is_none()
    }

    /// Those of a listener's protocol, by its name.
    pub fn of(&self, protocol: &str) -> Vec<LoadedCertificate> {
        let tls = match protocol {
            "amqp/ssl" => &self.amqp,
            "https" | "https/prometheus" => &self.management,
            _ => return Vec::new(),
        };
        tls.as_ref().map(|tls| tls.certificates()).unwrap_or_default()
    }

    /// Reads those again that are chosen. What cannot be used changes nothing.
    pub fn reload(&self, is_chosen: impl Fn(&Tls) -> bool) {
        for tls in self.amqp.iter().chain(&self.management).filter(|tls| is_chosen(tls)) {
            let path = tls.path().display();
            match tls.reload() {
                Ok(()) => tracing::info!("TLS: new connections get the certificate now in {path}"),
                Err(error) => {
                    tracing::error!("TLS: new connections get the certificate that was in {path}: {error}")
                }
            }
        }
    }

    /// Reads again what changes, for ever.
    pub async fn watch(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let certificates = self.clone();
            // Files may be far away.
            let look = move || certificates.reload(Tls::has_changed);
            let _ended = tokio::task::spawn_blocking(look).await;
        }
    }
}
