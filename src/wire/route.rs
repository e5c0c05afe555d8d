//! Where a proxy's connections go.
//!
//! Owns the servers that it knows. Opens nothing.

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Its number among the run's servers: 0 is the first primary.
    pub server: usize,
}

/// Where new connections go, and where old ones may have gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Route {
    /// Where new connections go; `None`: nowhere at the moment, they wait.
    pub current: Option<Upstream>,
    /// Every server so far. (A cancel request names a process, not a server.)
    pub known: Vec<Upstream>,
}

impl Route {
    /// Leads what comes from now on to this server or, without, nowhere.
    pub(super) fn lead_to(&mut self, upstream: Option<Upstream>) {
        if let Some(upstream) = &upstream
            && !self.known.contains(upstream)
        {
            self.known.push(upstream.clone());
        }
        self.current = upstream;
    }
}
