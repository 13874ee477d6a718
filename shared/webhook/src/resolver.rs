//! Resolves names, and refuses those that do not lead to allowed addresses only.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

use crate::{Allowed, target::NOT_PUBLIC};

/// Looks up the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of this name. An adapter MUST return every address that it was given, because the caller judges
    /// the name by all of them.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Looks names up as the operating system does: its hosts file, then DNS.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|socket| socket.ip()).collect())
    }
}

/// Why a name cannot be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// At least one of the name's addresses may not be called.
    #[error("{NOT_PUBLIC}")]
    Refused,
    /// The name has no addresses, or the lookup failed.
    #[error("the host name was not found")]
    NotFound,
}

/// Which of the allowed addresses a connection may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of them.
    Allowed,
    /// Only those of the added networks: without TLS, nothing may leave the operator's network.
    Additional,
}

/// Resolves a name and checks every address before the connector gets them. If one is not allowed, the whole name is
/// refused. The connector connects to no other addresses than those returned here, so a name that changes its addresses
/// between two lookups gains nothing.
#[derive(Clone)]
pub struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    allowed: Allowed,
    reach: Reach,
}

impl GuardedResolver {
    /// A resolver that returns allowed addresses only.
    #[must_use]
    pub fn new(lookup: Arc<dyn Lookup>, allowed: Allowed) -> Self {
        Self {
            lookup,
            allowed,
            reach: Reach::Allowed,
        }
    }

    pub(crate) fn reaching(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Resolves and checks a name. The port of the addresses is 0: the connector sets it.
    ///
    /// # Errors
    /// [`ResolveError`] if the name is refused or not found.
    pub async fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = self.lookup.lookup(name).await;
        let found = found.map_err(|_| ResolveError::NotFound)?;
        if found.is_empty() {
            return Err(ResolveError::NotFound);
        }
        let permitted = |address: &IpAddr| match self.reach {
            Reach::Allowed => self.allowed.permits(*address),
            Reach::Additional => self.allowed.adds(*address),
        };
        if !found.iter().all(permitted) {
            return Err(ResolveError::Refused);
        }
        Ok(found
            .into_iter()
            .map(|address| SocketAddr::new(address, 0))
            .collect())
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver")
            .field("allowed", &self.allowed)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

impl Service<Name> for GuardedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.resolve(name.as_str()).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [&'static str]);

    #[async_trait]
    impl Lookup for Fixed {
        async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            if name != "hooks.example.com" {
                return Err(io::Error::other("no such name"));
            }
            Ok(self
                .0
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect())
        }
    }

    async fn resolved(
        addresses: &'static [&'static str],
        reach: Reach,
    ) -> Result<usize, ResolveError> {
        let allowed = Allowed::public().and(["10.0.0.0/8"]).expect("networks");
        let resolver = GuardedResolver::new(Arc::new(Fixed(addresses)), allowed).reaching(reach);
        let found = resolver.resolve("hooks.example.com").await?;
        Ok(found.len())
    }

    #[tokio::test]
    async fn one_refused_address_refuses_the_name() {
        let reach = Reach::Allowed;
        assert_eq!(resolved(&["8.8.8.8", "2600::1"], reach).await, Ok(2));
        assert_eq!(resolved(&["8.8.8.8", "10.1.1.1"], reach).await, Ok(2));
        for mixed in [
            &["8.8.8.8", "127.0.0.1"] as &[_],
            &["::1", "8.8.8.8"],
            &["8.8.8.8", "::ffff:8.8.4.4"],
            &["169.254.169.254"],
        ] {
            assert_eq!(resolved(mixed, reach).await, Err(ResolveError::Refused));
        }
    }

    #[tokio::test]
    async fn without_tls_every_address_must_belong_to_an_added_network() {
        let reach = Reach::Additional;
        assert_eq!(resolved(&["10.1.1.1"], reach).await, Ok(1));
        let mixed = resolved(&["10.1.1.1", "8.8.8.8"], reach).await;
        assert_eq!(mixed, Err(ResolveError::Refused));
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_not_found() {
        assert_eq!(
            resolved(&[], Reach::Allowed).await,
            Err(ResolveError::NotFound)
        );
        let resolver = GuardedResolver::new(Arc::new(Fixed(&["8.8.8.8"])), Allowed::public());
        let other = resolver.resolve("other.example.com").await;
        assert_eq!(other, Err(ResolveError::NotFound));
    }

    #[tokio::test]
    async fn the_system_knows_the_loopback_address() {
        let found = SystemLookup.lookup("localhost").await.expect("found");
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
        let resolver = GuardedResolver::new(Arc::new(SystemLookup), Allowed::public());
        let refused = resolver.resolve("localhost").await;
        assert_eq!(refused, Err(ResolveError::Refused));
    }
}
