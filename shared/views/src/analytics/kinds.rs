//! What is counted: every event, and the sums of amounts for some types.

use std::sync::LazyLock;

use events::{
    Cloud, Contract, Reward, Unit,
    contracts::{
        cloud::{Burned, Minted, Redeemed, Staked, Transferred, Unstaked},
        wallet::{
            Deposited, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled, Withdrawn,
        },
    },
};

/// An event type that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `domain.action`.
    pub event_type: &'static str,
    /// The unit of its amounts; `None` if it moves nothing.
    pub unit: Option<&'static str>,
    /// Whether it is about a metered resource and therefore has a row for each primitive.
    pub metered: bool,
    /// Whether its amount is divided into a settled and a refunded part.
    pub divided: bool,
    /// How many decimals its amounts have.
    pub(super) scale: u32,
}

const fn moves<C: Contract, U: Unit>() -> Kind {
    Kind {
        event_type: C::TYPE,
        unit: Some(U::NAME),
        metered: false,
        divided: false,
        scale: U::SCALE,
    }
}

const fn happens(event_type: &'static str) -> Kind {
    Kind {
        event_type,
        unit: None,
        metered: false,
        divided: false,
        scale: 0,
    }
}

/// The counted event types that move an amount. All others are only counted.
pub(super) const SUMMED: [Kind; 12] = [
    moves::<Burned, Cloud>(),
    moves::<Minted, Cloud>(),
    Kind {
        metered: true,
        ..moves::<Redeemed, Cloud>()
    },
    moves::<Staked, Cloud>(),
    moves::<Transferred, Cloud>(),
    moves::<Unstaked, Cloud>(),
    moves::<Deposited, Reward>(),
    moves::<EscrowHeld, Reward>(),
    Kind {
        divided: true,
        ..moves::<EscrowPartialSettled, Reward>()
    },
    moves::<EscrowRefunded, Reward>(),
    moves::<EscrowSettled, Reward>(),
    moves::<Withdrawn, Reward>(),
];

/// Every event type that is counted, ordered by name: those of the shipped contracts.
#[must_use]
pub fn kinds() -> &'static [Kind] {
    static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
        let counted = topology::functions::analytics::SELECTION;
        let summed = |event_type| {
            SUMMED
                .into_iter()
                .find(|kind| kind.event_type == event_type)
        };
        let types = counted.types().into_iter().map(|one| one.event_type);
        types
            .map(|event_type| summed(event_type).unwrap_or(happens(event_type)))
            .collect()
    });
    &KINDS
}

impl Kind {
    /// The kind of an event type; `None` if it is not counted.
    #[must_use]
    pub fn of(event_type: &str) -> Option<&'static Self> {
        kinds().iter().find(|kind| kind.event_type == event_type)
    }
}

#[cfg(test)]
mod tests {
    use events::Registry;

    use super::*;

    #[test]
    fn every_type_of_a_counted_domain_is_a_kind_and_one_that_is_not_summed_is_only_counted() {
        let registry = Registry::shipped();
        for contract in registry.contracts() {
            let is_selected = topology::functions::analytics::SELECTION.takes(contract.event_type);
            assert_eq!(Kind::of(contract.event_type).is_some(), is_selected);
        }
        for kind in kinds() {
            let summed = SUMMED.contains(kind);
            assert_eq!(kind.unit.is_some(), summed, "{kind:?}");
        }
        assert!(SUMMED.iter().all(|kind| kinds().contains(kind)));
    }
}
