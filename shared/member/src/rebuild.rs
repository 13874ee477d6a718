//! Rebuilds a member from its events alone. It shares no code with the decisions: it takes what an event states as
//! given.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Retention,
    contracts::member::{Registered, Updated},
    subscription,
};

use crate::Member;

subscription! {
    /// The events of a member.
    enum Recorded {
        /// The member was registered.
        Registered(events::contracts::member::Registered) by Mark,
        /// The member was changed.
        Updated(events::contracts::member::Updated) by Mark,
    }
}

impl Rebuild for Member {
    type Stored = Self;
    const RETENTION: Retention = Registered::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let now = envelope.occurred_at;
        let (member, version) = match (
            before,
            <Recorded as events::Subscription>::decode(envelope)?,
        ) {
            (None, Recorded::Registered(event)) => {
                let member = Self {
                    member_id: event.member_id,
                    name: event.name,
                    email: event.email,
                    role: event.role,
                    ens_subname: event.ens_subname,
                    ethereum_address: event.ethereum_address,
                    notification_preferences: event.notification_preferences,
                    registered_at: now,
                    updated_at: now,
                };
                (member, event.version)
            }
            (Some(before), Recorded::Updated(event)) => {
                let version = event.version;
                (updated(&before, event, envelope)?, version)
            }
            (None, Recorded::Updated(_)) => {
                return Err(Contradiction::Says("they were not registered before"));
            }
            (Some(_), Recorded::Registered(_)) => {
                return Err(Contradiction::Says("they were registered twice"));
            }
        };
        must(
            member.member_id.as_str() == id,
            "it is another member's event",
        )?;
        Ok((member, version))
    }
}

fn updated(before: &Member, event: Updated, envelope: &Envelope) -> Result<Member, Contradiction> {
    let after = Member {
        member_id: event.member_id,
        name: event.name,
        email: event.email,
        role: event.role,
        ens_subname: event.ens_subname,
        ethereum_address: event.ethereum_address,
        notification_preferences: event.notification_preferences,
        ..before.clone()
    };
    must(after != *before, "it changes nothing")?;
    let updated_at = envelope.occurred_at;
    Ok(Member {
        updated_at,
        ..after
    })
}
