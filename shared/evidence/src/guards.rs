//! The projection rows that events with a guard as evidence write. The rows themselves are built by the same code as in
//! the consumers.

use events::{
    Contract, Envelope,
    contracts::{
        customer,
        member::{Registered, Updated},
        wallet::BalanceUpdated,
    },
    decode_payload,
};
use outbox::{GuardedPut, Table};

/// Builds the row that an event writes to the consumer's table.
pub type GuardedRow = fn(&Envelope, &Table) -> Result<GuardedPut, String>;

/// Each consumer, and the function that builds its row.
const ROWS: &[(&str, GuardedRow)] = &[
    ("cloud-chain-sync", chain_member),
    ("notifications", contact),
    ("wallet-balances", balance),
];

pub(crate) fn of(consumer: &str) -> Option<GuardedRow> {
    ROWS.iter()
        .find(|(name, _)| *name == consumer)
        .map(|(_, row)| *row)
}

fn chain_member(envelope: &Envelope, table: &Table) -> Result<GuardedPut, String> {
    use cloud::chain::Member;
    of_member::<Member>(envelope)?
        .guarded_put(table)
        .map_err(|error| error.to_string())
}

/// The contact of a member or of a customer.
fn contact(envelope: &Envelope, table: &Table) -> Result<GuardedPut, String> {
    use views::contacts::{Contact, CustomerContact};
    let put = match envelope.event_type.as_str() {
        customer::Registered::TYPE => {
            CustomerContact::from(&decoded::<customer::Registered>(envelope)?).guarded_put(table)
        }
        customer::Updated::TYPE => {
            CustomerContact::from(&decoded::<customer::Updated>(envelope)?).guarded_put(table)
        }
        _ => of_member::<Contact>(envelope)?.guarded_put(table),
    };
    put.map_err(|error| error.to_string())
}

/// The member data that a registration or an update carries.
fn of_member<T>(envelope: &Envelope) -> Result<T, String>
where
    T: for<'a> From<&'a Registered> + for<'a> From<&'a Updated>,
{
    if envelope.event_type.as_str() == Registered::TYPE {
        return decoded::<Registered>(envelope).map(|registered| T::from(&registered));
    }
    decoded::<Updated>(envelope).map(|updated| T::from(&updated))
}

fn balance(envelope: &Envelope, table: &Table) -> Result<GuardedPut, String> {
    use wallet::balances::BalanceRow;
    BalanceRow::of(&decoded::<BalanceUpdated>(envelope)?, envelope.occurred_at)
        .guarded_put(table)
        .map_err(|error| error.to_string())
}

fn decoded<C: Contract>(envelope: &Envelope) -> Result<C, String> {
    decode_payload(envelope).map_err(|error| error.to_string())
}
