//! A member from its events alone. It shares no step with the decisions: what an event says is taken as it is.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Retention,
    contracts::member::{Registered, Updated},
    subscription,
};

use crate::Member;

subscription! {
    /// What there is to read of a member.
    enum Told {
        /// They became one.
        Registered(events::contracts::member::Registered) by Mark,
        /// Something about them changed.
        Updated(events::contracts::member::Updated) by Mark,
    }
}

impl Rebuild for Member {
    type Row = Self;
    const RETENTION: Retention = Registered::RETENTION;

    fn row(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let now = envelope.occurred_at;
        let (member, version) = match (before, <Told as events::Subscription>::decode(envelope)?) {
            (None, Told::Registered(event)) => {
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
            (Some(before), Told::Updated(event)) => {
                let version = event.version;
                (updated(&before, event, envelope)?, version)
            }
            (None, Told::Updated(_)) => {
                return Err(Contradiction::Says("they did not register"));
            }
            (Some(_), Told::Registered(_)) => {
                return Err(Contradiction::Says("they register twice"));
            }
        };
        must(member.member_id.as_str() == id, "it is another member's")?;
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
