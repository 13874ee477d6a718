//! One escrow: it is held once and ended at most once, and the stored row agrees with its events.

use outbox::Item;
use wallet::{
    Escrow,
    books::{Books, WrongEscrow, check_escrow},
};

use super::Wallets;
use crate::audit::{
    Kind,
    walk::{
        advice,
        audit::{Audit, is_state, version},
    },
};

impl Wallets {
    /// Compares a stored escrow with its events.
    pub(super) fn escrow(
        &mut self,
        audit: &mut Audit<'_>,
        books: &Books,
        pk: &str,
        id: &str,
        items: Vec<Item>,
    ) {
        let table = self.table.clone();
        let Some(item) = items.into_iter().find(is_state) else {
            self.escrow_wrong(audit, books, id, check_escrow(books.escrow(id), None));
            return;
        };
        self.escrows += 1;
        let version = version(&item);
        let Some(escrow) = audit.typed::<Escrow>(&table, item) else {
            return;
        };
        let recorded = books.escrow(id);
        if escrow.escrow_id().to_string() != id {
            let what = format!("it holds escrow {}", escrow.escrow_id());
            audit.of_state(Kind::Unreadable, pk, what, advice::UNREADABLE);
            return;
        }
        self.escrow_wrong(
            audit,
            books,
            id,
            check_escrow(recorded, Some((version, &escrow))),
        );
    }

    /// Reports what is wrong with an escrow.
    pub(super) fn escrow_wrong(
        &mut self,
        audit: &mut Audit<'_>,
        books: &Books,
        id: &str,
        wrong: Vec<WrongEscrow>,
    ) {
        if wrong.is_empty() {
            return;
        }
        let recorded = books
            .escrow(id)
            .iter()
            .map(|recorded| recorded.transaction_id);
        self.suspected.extend(recorded);
        for one in wrong {
            let (kind, event_id, what, advice) = match one {
                WrongEscrow::NotHeldFirst { event_id } => (
                    Kind::OutOfSequence,
                    event_id,
                    "it is the first event of an escrow and does not hold it".to_owned(),
                    advice::TWICE,
                ),
                WrongEscrow::HeldAgain { event_id } => (
                    Kind::Doubled,
                    event_id,
                    "holds an escrow that is held already".to_owned(),
                    advice::TWICE,
                ),
                WrongEscrow::EndedTwice { event_id } => (
                    Kind::Doubled,
                    event_id,
                    "ends an escrow that has ended".to_owned(),
                    advice::TWICE,
                ),
                WrongEscrow::Parts {
                    event_id,
                    held,
                    parts,
                } => (
                    Kind::Books,
                    event_id,
                    format!("{held} were held, {parts} went back or were earned"),
                    advice::BOOKS,
                ),
                WrongEscrow::OtherUser { event_id } => (
                    Kind::Books,
                    event_id,
                    "ends an escrow of another user".to_owned(),
                    advice::BOOKS,
                ),
                WrongEscrow::OtherState {
                    event_id,
                    differing,
                } => (
                    Kind::Books,
                    event_id,
                    format!(
                        "the stored escrow has another {} than its events",
                        differing.join(", ")
                    ),
                    advice::BOOKS,
                ),
            };
            audit.of_event(kind, event_id, what, advice);
        }
    }
}
