//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App, rate_cards, redemptions, stakes};

const UNKNOWN: &str = "There is no such member.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let mint = Doc::new("Mint credits")
        .describe("Without a member they go to the unallocated account. A Stripe charge mints once.")
        .problem(404, UNKNOWN)
        .problem(409, "The Stripe charge was minted before (`transaction_id` names the first), or the account is full.");
    let transfer = Doc::new("Transfer credits")
        .problem(404, "One of the members does not exist.")
        .problem(
            409,
            "The giver has not enough (`available`, `needed`), or the receiver's account is full.",
        )
        .problem(422, "Giver and receiver are the same member.");
    let burn = Doc::new("Burn credits")
        .describe("Without a member those of the unallocated account.")
        .problem(404, UNKNOWN)
        .problem(409, "The account has not enough (`available`, `needed`).");
    let redeem = Doc::new("Redeem credits")
        .describe("Uses credits up for a metered resource: quantity × the rate of the rate card, rounded half to even to six decimals.")
        .problem(404, "There is no such member, or no such rate card (`unknown-rate-card`).")
        .problem(409, "The card is not approved (`rate-card-not-approved`), not effective yet (`rate-card-not-effective`), or the balance is not enough (`insufficient-balance`).")
        .problem(422, "Unknown primitive or unit (`unknown-primitive`, `unknown-unit`, `wrong-unit`), a quantity that costs nothing or too much (`redemption-rounds-to-zero`, `redemption-too-large`), or another amount than the card's (`amount-differs`: `stated`, `computed`).");
    let stake = Doc::new("Stake credits")
        .describe("Locks liquid credits for a share of the revenue.")
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The liquid balance is not enough (`available`, `needed`).",
        )
        .problem(
            422,
            "Credits are not locked for that long (`unknown-lock-duration`).",
        );
    let unstake = Doc::new("End a stake")
        .describe("Makes the credits liquid again. The body may be left out.")
        .problem(404, "There is no such stake.")
        .problem(409, "It is still locked (`stake-locked`, with `unlock_at`), or was ended before (`stake-released`).");
    let propose = Doc::new("Propose a rate card")
        .describe("Its number is the next one. Its rates hold from the effective date on, once it is approved: by another member, with a key of another owner.")
        .problem(404, UNKNOWN)
        .problem(422, "The notice date is after the effective date (`notice-after-effective`).");
    let approve = Doc::new("Approve a rate card")
        .describe("The owner of the key must be another one than proposed it, and so must the member.")
        .approves()
        .problem(404, "There is no such rate card, or no such member.")
        .problem(409, "It was approved before (`rate-card-already-approved`), or this member proposed it (`approval-by-proposer`).");
    Routes::new("cloud-api")
        .post("/api/v1/cloud/redemptions", redemptions::redeem, redeem)
        .post("/api/v1/cloud/stakes", stakes::stake, stake)
        .get(
            "/api/v1/cloud/stakes",
            stakes::stakes,
            Doc::new("List a member's stakes, newest first").problem(404, UNKNOWN),
        )
        .post(
            "/api/v1/cloud/stakes/{position_id}/unstake",
            stakes::unstake,
            unstake,
        )
        .post("/api/v1/cloud/rate-cards", rate_cards::propose, propose)
        .get(
            "/api/v1/cloud/rate-cards",
            rate_cards::rate_cards,
            Doc::new("List rate cards, newest first"),
        )
        .get(
            "/api/v1/cloud/rate-cards/{version}",
            rate_cards::rate_card,
            Doc::new("Read a rate card").problem(404, "There is no such rate card."),
        )
        .post(
            "/api/v1/cloud/rate-cards/{version}/approve",
            rate_cards::approve,
            approve,
        )
        .post("/api/v1/cloud/mints", handler::mint, mint)
        .post("/api/v1/cloud/transfers", handler::transfer, transfer)
        .post("/api/v1/cloud/burns", handler::burn, burn)
        .get(
            "/api/v1/cloud/balances/{member_id}",
            handler::balance,
            Doc::new("Read a balance").problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/cloud/members/{member_id}/transactions",
            handler::transactions,
            Doc::new("List the movements of an account, newest first").problem(404, UNKNOWN),
        )
        .put(
            "/api/v1/cloud/treasury/accounts/{account_id}",
            handler::state_treasury_account,
            Doc::new("State the balance of a treasury account")
                .describe("The balance it has already changes nothing and tells nobody."),
        )
        .get(
            "/api/v1/cloud/treasury",
            handler::treasury,
            Doc::new("Read what is outstanding and what backs it"),
        )
}

/// The OpenAPI document of the function, for the one that `system-api` joins.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}

#[cfg(test)]
mod tests {
    /// `system-api` merges what stands checked in. `make schemas` writes it anew.
    #[test]
    fn the_openapi_document_is_checked_in_as_rendered() {
        let rendered = format!("{:#}\n", super::openapi());
        expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
    }
}
