//! TLS towards the pods: a certificate authority of one run, and the server side of the handshake.
//!
//! Owns the keys, which never leave this process's memory, and the certificates: one for each name by
//! which a client asks for the server, so that `verify-full` works whatever name a job knows it by. Says
//! what a failed handshake means. Knows no message of Postgres and no file.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use super::link::{ReadEnd, Resumed, WriteEnd};

/// The protocol's name in ALPN, which a client must offer that begins with TLS at once.
const ALPN: &[u8] = b"postgresql";
/// By these names the proxy is known to every pod.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Certificates for so many names are kept; one for a name beyond is made each time.
const KEPT_NAMES: usize = 64;

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate for the proxy: {0}")]
pub struct TlsError(String);

impl TlsError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The certificate authority of a run. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    certificate: Arc<str>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one with new keys.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new() -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        dated(&mut params);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        name.push(DnType::CommonName, "lockproof, the authority of one run");
        let key = KeyPair::generate().map_err(TlsError::of)?;
        let certificate = params.self_signed(&key).map_err(TlsError::of)?.pem();
        let maker = Maker {
            issuer: Issuer::new(params, key),
            leaf: KeyPair::generate().map_err(TlsError::of)?,
        };
        let names = Names {
            default: maker.certified(None)?,
            made: Mutex::default(),
            maker,
        };
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::of)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(names));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A ticket would be bytes that no server of Postgres sends.
        config.send_tls13_tickets = 0;
        Ok(Self {
            certificate: certificate.into(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Its certificate as PEM: who trusts it trusts the run's proxies.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Makes the handshake with a client. One that did not ask for TLS first (`direct`) must name the
    /// protocol, as a server demands it.
    pub(super) async fn accept(
        &self,
        stream: Resumed,
        direct: bool,
    ) -> Result<(ReadEnd, WriteEnd), String> {
        let stream = self.acceptor.accept(stream).await;
        let stream = stream.map_err(|error| meaning(&error))?;
        if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(
                "it began with TLS without asking for it first, and did not name the protocol \
                 (ALPN `postgresql`), which a server demands"
                    .to_owned(),
            );
        }
        let (read, write) = tokio::io::split(stream);
        Ok((ReadEnd::Tls(read), WriteEnd::Tls(write)))
    }
}

/// Valid for long: a job may have set its clock to whenever.
fn dated(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
}

/// What makes the proxy's certificates.
struct Maker {
    issuer: Issuer<'static, KeyPair>,
    leaf: KeyPair,
}

impl Maker {
    /// A certificate for the proxy's own names and this one.
    fn certified(&self, name: Option<&str>) -> Result<Arc<CertifiedKey>, TlsError> {
        let names = OWN_NAMES.into_iter().chain(name);
        let names: Vec<String> = names.map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).map_err(TlsError::of)?;
        dated(&mut params);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let subject = &mut params.distinguished_name;
        *subject = rcgen::DistinguishedName::new();
        subject.push(DnType::CommonName, name.unwrap_or("localhost"));
        let signed = params.signed_by(&self.leaf, &self.issuer);
        let signed = signed.map_err(TlsError::of)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf.serialize_der()));
        let key = ring::sign::any_supported_type(&key).map_err(TlsError::of)?;
        Ok(Arc::new(CertifiedKey::new(vec![signed.der().clone()], key)))
    }
}

/// The certificates by the names that clients ask for.
struct Names {
    default: Arc<CertifiedKey>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    maker: Maker,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name().filter(|name| !OWN_NAMES.contains(name)) else {
            return Some(Arc::clone(&self.default));
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(name) {
            return Some(Arc::clone(known));
        }
        let certified = self.maker.certified(Some(name)).ok()?;
        if made.len() < KEPT_NAMES {
            made.insert(name.to_owned(), Arc::clone(&certified));
        }
        Some(certified)
    }
}

/// What it means that a handshake came to nothing.
fn meaning(error: &io::Error) -> String {
    use rustls::AlertDescription as Alert;
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(
            alert @ (Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError),
        )) => format!("it does not trust the certificate of lockproof's proxy ({alert:?})"),
        Some(rustls::Error::AlertReceived(Alert::ProtocolVersion))
        | Some(rustls::Error::PeerIncompatible(_)) => {
            "it speaks no TLS that lockproof and a server of today speak (1.2 or 1.3)".to_owned()
        }
        Some(other) => format!("its handshake failed: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed its connection in the middle of the handshake, as a client does that does not trust \
             the certificate"
                .to_owned()
        }
        None => format!("its handshake failed: {error}"),
    }
}
