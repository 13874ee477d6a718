//! The port to the network: whether a URL leads to addresses that may be called.

use std::{io, time::Duration};

use async_trait::async_trait;
use webhook::{Client, ClientSettings, ResolveError, Rules, Target};

/// How long the lookup of a name may take. With the commit it is less than the function's timeout.
const LOOKUP_WITHIN: Duration = Duration::from_secs(5);

/// Looks up where a URL leads.
#[async_trait]
pub trait Reach: Send + Sync {
    /// Checks every address that the target's name has now. An adapter MUST end in time: a lookup that takes too long is
    /// [`ResolveError::NotFound`]. It MUST NOT connect to the target.
    async fn check(&self, target: &Target) -> Result<(), ResolveError>;
}

/// Looks names up as the operating system does.
#[derive(Debug)]
pub struct NetworkReach(Client);

impl NetworkReach {
    /// The lookup by these rules.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(rules: Rules) -> io::Result<Self> {
        let settings = ClientSettings {
            timeout: LOOKUP_WITHIN,
            ..ClientSettings::new(rules)
        };
        Client::new(settings).map(Self)
    }
}

#[async_trait]
impl Reach for NetworkReach {
    async fn check(&self, target: &Target) -> Result<(), ResolveError> {
        self.0.check(target).await
    }
}
