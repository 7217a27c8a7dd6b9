//! The command-line tools against a broker of each test's own: what they print, and how they end.

mod accounts;
mod admin;
mod admin_tls;
mod call;
mod entry_point;
mod health;
mod lists;
#[path = "../common/pki.rs"]
mod pki;
mod place;
mod process;
mod settings;
mod usage;
