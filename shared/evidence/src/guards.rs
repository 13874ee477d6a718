//! The rows that events whose evidence is a guard leave. The rows themselves are made where the consumers have theirs made.

use events::{
    Contract, Envelope,
    contracts::{
        member::{Registered, Updated},
        wallet::BalanceUpdated,
    },
    decode_payload,
};
use outbox::{GuardedPut, Table};

/// The row that an event leaves in the consumer's table.
pub type GuardedRow = fn(&Envelope, &Table) -> Result<GuardedPut, String>;

/// Consumer and row.
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

fn contact(envelope: &Envelope, table: &Table) -> Result<GuardedPut, String> {
    use views::contacts::Contact;
    of_member::<Contact>(envelope)?
        .guarded_put(table)
        .map_err(|error| error.to_string())
}

/// What a registration or an update states of a member.
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
    use wallet::balances::Row;
    Row::of(&decoded::<BalanceUpdated>(envelope)?, envelope.occurred_at)
        .guarded_put(table)
        .map_err(|error| error.to_string())
}

fn decoded<C: Contract>(envelope: &Envelope) -> Result<C, String> {
    decode_payload(envelope).map_err(|error| error.to_string())
}
