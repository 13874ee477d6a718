//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App, rate_cards, redemptions, stakes};

const UNKNOWN: &str = "The member does not exist.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let mint = Doc::new("Mint credits")
        .describe("Without a member, the credits go to the unallocated account. A Stripe payment is minted only once: a mint records its charge and its payment intent, whichever it names.")
        .problem(404, UNKNOWN)
        .problem(409, "The Stripe charge or payment intent has already been minted (`charge-already-minted`, `payment-intent-already-minted`: `transaction_id` is the first mint), or the balance would exceed the maximum.");
    let transfer = Doc::new("Transfer credits")
        .problem(404, "One of the members does not exist.")
        .problem(
            409,
            "The sender's balance is insufficient (`available`, `needed`), or the receiver's would exceed the maximum.",
        )
        .problem(422, "Sender and receiver are the same member.");
    let burn = Doc::new("Burn credits")
        .describe("Without a member, credits of the unallocated account are burned.")
        .problem(404, UNKNOWN)
        .problem(409, "The balance is insufficient (`available`, `needed`).");
    let redeem = Doc::new("Redeem credits")
        .describe("Redeems credits for a metered resource. The amount is quantity × the rate of the rate card, rounded half to even to six decimals.")
        .problem(404, "The member or the rate card (`unknown-rate-card`) does not exist.")
        .problem(409, "The card is not approved (`rate-card-not-approved`) or not effective yet (`rate-card-not-effective`), or the balance is insufficient (`insufficient-balance`).")
        .problem(422, "The primitive or unit is unknown (`unknown-primitive`, `unknown-unit`, `wrong-unit`), the cost rounds to zero or is too large (`redemption-rounds-to-zero`, `redemption-too-large`), or the amount differs from the card's (`amount-differs`: `stated`, `computed`).");
    let stake = Doc::new("Stake credits")
        .describe("Locks liquid credits for a share of the revenue.")
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The liquid balance is insufficient (`available`, `needed`).",
        )
        .problem(
            422,
            "The lock duration is not offered (`unknown-lock-duration`).",
        );
    let unstake = Doc::new("End a stake")
        .describe("Makes the credits liquid again. The body is optional.")
        .problem(404, "The stake does not exist.")
        .problem(409, "The stake is still locked (`stake-locked`, with `unlock_at`) or has already ended (`stake-released`).");
    let propose = Doc::new("Propose a rate card")
        .describe("The card gets the next number. Its rates are effective from the effective date on, once another member has approved it with a key of another owner.")
        .problem(404, UNKNOWN)
        .problem(422, "The notice date is after the effective date (`notice-after-effective`).");
    let approve = Doc::new("Approve a rate card")
        .describe("Both the owner of the key and the member must differ from those who proposed the card.")
        .approves()
        .problem(404, "The rate card or the member does not exist.")
        .problem(409, "The card is already approved (`rate-card-already-approved`), or this member proposed it (`approval-by-proposer`).");
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
            Doc::new("Read a rate card").problem(404, "The rate card does not exist."),
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
            Doc::new("State the balance of a treasury account").describe(
                "Stating the current balance again changes nothing and publishes no event.",
            ),
        )
        .get(
            "/api/v1/cloud/treasury",
            handler::treasury,
            Doc::new("Read the outstanding credits and the reserve that backs them"),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
