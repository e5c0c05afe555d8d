//! How a run's certificate authority reaches its pods: files, and the variables that name them.
//!
//! Owns which variables those are, and that what a job trusts already it still trusts. Makes no
//! certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::server::{Dwelling, Lodging, ServerError};
use crate::wire::Authority;

/// Where distributions keep the certificates that the system trusts, in one file.
const SYSTEM: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];
/// Where libpq looks by itself, in the home.
const LIBPQ_FILE: &str = ".postgresql/root.crt";

/// The authority of a run, and the files by which its pods trust it.
#[derive(Debug)]
pub(crate) struct Trust {
    authority: Authority,
    alone: PathBuf,
    with_system: PathBuf,
    with_node: PathBuf,
}

impl Trust {
    /// Makes an authority, and its files where the pods live.
    ///
    /// # Errors
    /// When a file cannot be written or there are no random numbers.
    pub fn new(dwelling: &Dwelling) -> Result<Self, super::error::RunError> {
        let authority = Authority::new()?;
        let own = authority.certificate();
        let beside = |others: &[u8]| [others, own.as_bytes()].concat();
        Ok(Self {
            alone: dwelling.keep("ca.pem", own.as_bytes())?,
            with_system: dwelling.keep("ca-with-system.pem", &beside(system()))?,
            with_node: dwelling.keep("ca-for-node.pem", &beside(for_node()))?,
            authority,
        })
    }

    /// Who vouches for the proxies.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The file with the run's authority alone.
    pub fn file(&self) -> &Path {
        &self.alone
    }

    /// The variables that name the files: for libpq, for OpenSSL and what goes by its variable, for Node.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let named = |path: &Path| path.display().to_string();
        [
            ("PGSSLROOTCERT", named(&self.alone)),
            ("SSL_CERT_FILE", named(&self.with_system)),
            ("NODE_EXTRA_CA_CERTS", named(&self.with_node)),
        ]
    }

    /// Puts the authority where libpq and its kin look for one without being told.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn move_in(&self, lodging: &Lodging) -> Result<(), ServerError> {
        lodging.keep(LIBPQ_FILE, self.authority.certificate().as_bytes())
    }
}

/// What lockproof's own programs trust, and so the pods': the system's, or what SSL_CERT_FILE names. Read
/// once.
fn system() -> &'static [u8] {
    static READ: OnceLock<Vec<u8>> = OnceLock::new();
    READ.get_or_init(|| {
        let chosen = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        match chosen {
            Some(file) => ended(fs::read(file).unwrap_or_default()),
            None => {
                let mut found = SYSTEM.iter().filter_map(|file| fs::read(file).ok());
                ended(found.next().unwrap_or_default())
            }
        }
    })
}

/// What Node trusts besides its own list.
fn for_node() -> &'static [u8] {
    static READ: OnceLock<Vec<u8>> = OnceLock::new();
    READ.get_or_init(|| {
        let chosen = std::env::var_os("NODE_EXTRA_CA_CERTS");
        ended(
            chosen
                .and_then(|file| fs::read(file).ok())
                .unwrap_or_default(),
        )
    })
}

/// With its last line ended: another certificate follows.
fn ended(mut file: Vec<u8>) -> Vec<u8> {
    if file.last().is_some_and(|last| *last != b'\n') {
        file.push(b'\n');
    }
    file
}
