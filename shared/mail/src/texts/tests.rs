//! Checks the texts, and that text written by a member never becomes markup or a header.

use events::{
    Cause, Contract, Draft, EventId, MemberId, Sequence, Stamp,
    contracts::wallet::{EscrowPartialSettled, EscrowSettled},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\nBcc: all@example.com\t\"x\" & 'y' \u{202e}evil";

fn writer() -> Writer {
    Writer {
        app_url: "https://app.example.com".into(),
        usd_rate: "10".parse().expect("dollars"),
    }
}

fn transferred(from: &str, to: &str) -> Transferred {
    serde_json::from_value(serde_json::json!({
        "transaction_id": "00000000-0000-4000-8000-000000000001",
        "from_member_id": "m-1", "from_member_name": from, "to_member_id": "m-2", "to_member_name": to,
        "amount": 12.5, "amount_usd": 125, "from_balance_after": 87.5, "to_balance_after": 12.5,
        "from_version": 2, "to_version": 1,
    }))
    .expect("a transfer")
}

fn minted(balance: f64) -> Minted {
    serde_json::from_value(serde_json::json!({
        "transaction_id": "00000000-0000-4000-8000-000000000001",
        "member_id": "m-1", "member_name": "Ada", "amount": 100, "amount_usd": 1000, "balance_after": balance,
        "stripe_charge_id": "ch_<1>", "version": 1,
    }))
    .expect("a mint")
}

fn key(template: &str) -> MailKey {
    MailKey::of("e-1", &MemberId::new("m-1").expect("an id"), template)
}

fn mail(notice: &Notice<'_>, name: &str) -> Content {
    writer()
        .mail(notice, name, &key(notice.name()))
        .expect("renders")
        .expect("goes by mail")
}

#[test]
fn a_mint_mail_says_amount_balance_payment_and_where_to_look() {
    let content = mail(&Notice::Added(&minted(100.125)), "Ada");
    assert_eq!(content.subject, "$CLOUD Credits Added");
    assert_eq!(
        content.text,
        format!(
            "Hello Ada,\n\n100 CLOUD ($1000.00) arrived in your account.\nYou now hold 100.125 CLOUD ($1001.25).\n\
             Payment: ch_<1>\n\nSee your balance: https://app.example.com/cloud\n\nReference: {}",
            key("added")
        )
    );
    assert!(
        content
            .html
            .contains(r#"href="https://app.example.com/cloud""#)
    );
    assert!(content.html.contains("100.125 CLOUD ($1001.25)"));
    assert!(content.html.contains("ch_&#60;1&#62;"));
}

#[test]
fn a_balance_beyond_the_largest_amount_of_dollars_is_shown_in_credits_only() {
    let rich = Writer {
        usd_rate: "9999999999".parse().expect("dollars"),
        ..writer()
    };
    let minted = minted(999_999_999.999_999);
    let content = rich.mail(&Notice::Added(&minted), "Ada", &key("added"));
    let content = content.expect("renders").expect("goes by mail");
    assert!(content.text.contains("hold 999999999.999999 CLOUD."));
}

#[test]
fn hostile_names_are_escaped_and_stay_on_their_line() {
    let moved = transferred(HOSTILE, HOSTILE);
    for notice in [Notice::Sent(&moved), Notice::Received(&moved)] {
        let content = mail(&notice, HOSTILE);
        assert!(!content.html.contains("<script"), "{}", content.html);
        assert!(content.html.contains("&#60;script&#62;alert(1)&#60;/script&#62; Bcc: all@example.com &#34;x&#34; &#38; &#39;y&#39; evil"));
        let plain = "<script>alert(1)</script> Bcc: all@example.com \"x\" & 'y' evil";
        assert!(
            content.text.starts_with(&format!("Hello {plain},\n")),
            "{}",
            content.text
        );
        assert!(!content.subject.contains("Bcc"));
        for body in [&content.html, &content.text] {
            assert!(!body.contains("\nBcc") && !body.contains('\u{202e}'));
        }
    }
}

#[test]
fn both_sides_of_a_transfer_read_their_own_balance_and_the_others_name() {
    let moved = transferred("Ada", "Bob");
    let sent = mail(&Notice::Sent(&moved), "Ada");
    assert_eq!(sent.subject, "$CLOUD Credits Sent");
    assert!(
        sent.text
            .contains("12.50 CLOUD ($125.00) to Bob is done.\nYou now hold 87.50 CLOUD.")
    );
    let received = mail(&Notice::Received(&moved), "Bob");
    assert_eq!(received.subject, "$CLOUD Credits Received");
    assert!(
        received
            .text
            .contains("Ada gave you 12.50 CLOUD ($125.00).\nYou now hold 12.50 CLOUD.")
    );
}

#[test]
fn the_alert_mail_says_how_much_is_missing() {
    let alert = TreasuryBackingLow {
        backing_percent: "87.50".parse().expect("per cent"),
        total_cloud_outstanding: "200".parse().expect("credits"),
        mercury_balance: "1750".parse().expect("dollars"),
        shortfall: "250".parse().expect("dollars"),
    };
    let content = mail(&Notice::BackingLow(&alert), "Eve");
    assert_eq!(content.subject, "$CLOUD Backing Below 100 %");
    for words in [
        "87.50 %",
        "200 CLOUD",
        "$1750.00",
        "Missing to reach 100 %: $250.00",
    ] {
        assert!(content.text.contains(words), "{}", content.text);
        assert!(content.html.contains(words), "{}", content.html);
    }
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a payload")
}

fn envelope<C: Contract>(payload: &C) -> Envelope {
    let id = "00000000-0000-7000-8000-000000000001";
    Draft::of(payload).expect("a draft").seal(&Stamp {
        event_id: id.parse::<EventId>().expect("an id"),
        sequence: Sequence::new(1).expect("a number"),
        now: Timestamp::EPOCH,
        cause: &Cause::default(),
    })
}

fn note<C: Contract>(payload: &C, notice: &Notice<'_>) -> Note {
    notice.note(&envelope(payload)).expect("goes by note")
}

/// Asserts that both bodies contain each of the lines; in HTML, tags are ignored.
fn assert_says(content: &Content, lines: &[&str]) {
    for line in lines {
        assert!(
            content
                .text
                .lines()
                .any(|one| one == *line || one == format!("- {line}")),
            "no line {line:?} in {}",
            content.text
        );
        let plain = content
            .html
            .replace("<strong>", "")
            .replace("</strong>", "");
        assert!(plain.contains(line), "no {line:?} in {}", content.html);
    }
}

fn redeemed() -> Redeemed {
    read(json!({
        "transaction_id": "00000000-0000-4000-8000-000000000001", "member_id": "m-1", "member_name": "Ada",
        "amount": 12.5, "amount_usd": 125, "balance_after": 87.5, "primitive": "ltm", "quantity": 62.5,
        "unit": "GB-month", "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": 3,
        "credits_per_unit": 0.2, "version": 2,
    }))
}

fn burned(member: bool) -> Burned {
    let mut burned = json!({
        "transaction_id": "00000000-0000-4000-8000-000000000001", "amount": 2, "amount_usd": 20,
        "reason": format!("expired {HOSTILE}"), "version": 2,
    });
    if member {
        burned["member_id"] = "m-1".into();
        burned["member_name"] = "Ada".into();
        burned["balance_after"] = json!(98);
    }
    read(burned)
}

fn staked() -> Staked {
    read(json!({
        "position_id": "00000000-0000-4000-8000-000000000002", "transaction_id": "00000000-0000-4000-8000-000000000001",
        "member_id": "m-1", "member_name": "Ada", "amount": 40, "amount_usd": 400, "lock_duration_days": 90,
        "unlock_at": "2026-04-01T23:59:59.999Z", "revenue_share_percent": 12.5, "liquid_balance_after": 60,
        "staked_balance_after": 45, "version": 2,
    }))
}

fn unstaked(earned: Option<f64>) -> Unstaked {
    let mut unstaked = json!({
        "position_id": "00000000-0000-4000-8000-000000000002", "transaction_id": "00000000-0000-4000-8000-000000000001",
        "member_id": "m-1", "member_name": "Ada", "amount": 40, "amount_usd": 400, "staked_duration": 91,
        "liquid_balance_after": 100, "staked_balance_after": 5, "version": 3,
    });
    if let Some(earned) = earned {
        unstaked["revenue_earned"] = json!(earned);
    }
    read(unstaked)
}

fn proposed(by: &str) -> RateCardCreated {
    read(json!({
        "version": 7, "effective_date": "2026-04-01T00:00:00.000Z", "notice_date": "2026-03-01T00:00:00.000Z",
        "rates": {"compute": 1, "transfer": 0.05, "ltm": 0.2, "stm": 0.000001},
        "proposed_by": "m-1", "proposed_by_name": by, "revision": 1,
    }))
}

fn approved() -> RateCardApproved {
    read(json!({
        "version": 7, "effective_date": "2026-04-01T00:00:00.000Z", "approved_by": "m-2",
        "approved_by_name": "Grace", "approved_at": "2026-03-14T09:26:53.589Z", "revision": 2,
    }))
}

fn diverged(difference: &str, usd: &str, last: Option<&str>) -> SyncDiverged {
    let mut diverged = json!({
        "member_id": "m-1", "member_name": "Ada", "database_balance": 100, "onchain_balance": "112.5",
        "difference": difference, "difference_usd": usd, "version": 1,
    });
    if let Some(last) = last {
        diverged["last_synced_at"] = last.into();
    }
    read(diverged)
}

#[test]
fn a_redemption_is_told_by_note_only() {
    let redeemed = redeemed();
    let notice = Notice::Redeemed(&redeemed);
    assert_eq!(notice.subject(), None);
    let mail = writer().mail(&notice, "Ada", &key("redeemed"));
    assert_eq!(mail.expect("renders"), None);
    let note = note(&redeemed, &notice);
    assert_eq!(note.body, "12.50 CLOUD paid for ltm: 62.50 GB-month.");
    assert_eq!(
        (note.title.as_str(), note.link.as_str()),
        ("Credits Redeemed", "/cloud/usage")
    );
    assert_eq!(note.icon, Icon::Info);
}

#[test]
fn a_burn_says_why_and_what_is_left_on_one_line_each() {
    let burned = burned(true);
    let notice = Notice::Burned(&burned);
    let content = mail(&notice, "Ada");
    assert_says(
        &content,
        &[
            "2 CLOUD ($20.00) left your account for good.",
            "You now hold 98 CLOUD.",
        ],
    );
    assert!(
        content
            .text
            .contains("\nReason: expired <script>alert(1)</script> Bcc: all@example.com")
    );
    assert!(!content.html.contains("<script"));
    let note = note(&burned, &notice);
    assert!(
        note.body
            .starts_with("2 CLOUD left your account: expired <script>")
    );
    assert!(!note.body.contains('\n') && !note.body.contains('\u{202e}'));
}

#[test]
fn a_stake_says_amount_days_share_day_and_both_balances() {
    let staked = staked();
    let notice = Notice::Staked(&staked);
    let content = mail(&notice, "Ada");
    assert_eq!(content.subject, "$CLOUD Credits Staked");
    assert_says(
        &content,
        &[
            "40 CLOUD ($400.00) are locked for 90 days.",
            "Share of the revenue: 12.50 %",
            "Free again on: 2026-04-01",
            "Staked now: 45 CLOUD",
            "Free to spend: 60 CLOUD",
        ],
    );
    assert!(
        content
            .html
            .contains(r#"href="https://app.example.com/cloud/staking""#)
    );
    let note = note(&staked, &notice);
    assert_eq!(
        note.body,
        "40 CLOUD are locked for 90 days at 12.50 % of the revenue, until 2026-04-01."
    );
    assert_eq!(
        (note.link.as_str(), note.icon),
        ("/cloud/staking", Icon::Success)
    );
}

#[test]
fn an_unstake_says_what_was_earned_where_that_is_known() {
    let (known, unknown) = (unstaked(Some(1.25)), unstaked(None));
    let content = mail(&Notice::Unstaked(&known), "Ada");
    assert_says(
        &content,
        &[
            "40 CLOUD ($400.00) are free again after 91 days.",
            "Earned meanwhile: 1.25 CLOUD",
            "Staked now: 5 CLOUD",
            "Free to spend: 100 CLOUD",
        ],
    );
    let content = mail(&Notice::Unstaked(&unknown), "Ada");
    assert!(!content.text.contains("Earned") && !content.html.contains("Earned"));
    assert_says(&content, &["Staked now: 5 CLOUD"]);
}

#[test]
fn a_proposed_rate_card_says_who_from_when_and_each_rate_with_its_unit() {
    let card = proposed("Ada");
    let notice = Notice::RateCardCreated(&card);
    let content = mail(&notice, "Bob");
    assert_eq!(content.subject, "New $CLOUD Rate Card Proposed");
    assert_says(
        &content,
        &[
            "Ada proposed rate card v7. Once it is approved, it applies from 2026-04-01.",
            "Compute: 1 CLOUD per compute-hour",
            "Transfer: 0.05 CLOUD per GB",
            "Long-term memory: 0.20 CLOUD per GB-month",
            "Short-term memory: 0.000001 CLOUD per GB-hour",
        ],
    );
    assert!(
        content
            .text
            .contains("https://app.example.com/cloud/rate-cards")
    );
    let note = note(&card, &notice);
    assert_eq!(
        note.body,
        "Ada proposed rate card v7, effective 2026-04-01."
    );
    assert_eq!(note.link, "/cloud/rate-cards");

    let card = proposed(HOSTILE);
    let content = mail(&Notice::RateCardCreated(&card), "Bob");
    assert!(!content.html.contains("<script") && !content.text.contains("\nBcc"));
}

#[test]
fn an_approved_rate_card_says_who_when_and_from_when() {
    let card = approved();
    let notice = Notice::RateCardApproved(&card);
    let content = mail(&notice, "Bob");
    assert_eq!(content.subject, "$CLOUD Rate Card Approved");
    assert_says(
        &content,
        &[
            "Rate card v7 is approved. Its rates apply from 2026-04-01.",
            "Approved by Grace on 2026-03-14.",
        ],
    );
    let note = note(&card, &notice);
    assert_eq!(
        note.body,
        "Rate card v7 is approved and applies from 2026-04-01."
    );
}

#[test]
fn a_divergence_says_both_balances_the_difference_and_when_they_last_agreed() {
    let diverged_now = diverged("-12.5", "-125.00", None);
    let notice = Notice::SyncDiverged(&diverged_now);
    assert_eq!(notice.note(&envelope(&diverged_now)), None);
    let content = mail(&notice, "Eve");
    assert_eq!(content.subject, "$CLOUD Balance Sync Diverged");
    assert_says(
        &content,
        &[
            "Books and chain state different balances for Ada (m-1).",
            "Books: 100 CLOUD",
            "Chain: 112.5 CLOUD",
            "Difference (books less chain): -12.5 CLOUD (-$125.00)",
            "Last in agreement: never",
        ],
    );
    assert!(
        content
            .text
            .contains("https://app.example.com/admin/cloud/reconciliation")
    );
    let once = diverged("12.5", "125.00", Some("2026-03-14T09:26:53.589Z"));
    let content = mail(&Notice::SyncDiverged(&once), "Eve");
    assert_says(
        &content,
        &[
            "Difference (books less chain): 12.5 CLOUD ($125.00)",
            "Last in agreement: 2026-03-14 09:26 UTC",
        ],
    );
}

#[test]
fn earnings_say_how_much_when_and_what_they_came_to_whether_of_all_or_of_a_part() {
    let at: Timestamp = "2026-03-14T09:26:53.589Z".parse().expect("a moment");
    let id = "00000000-0000-4000-8000-000000000001";
    let both = json!({
        "user_id": "m-1", "model_id": "m-2", "escrow_id": id, "transaction_id": id, "model_earned_balance": 169.75,
        "user_version": 3, "model_version": 2, "version": 2,
    });
    let with = |more: Value| {
        let mut payload = both.clone();
        let fields = payload.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        payload
    };
    let settled: EscrowSettled = read(with(json!({ "amount": 69.75 })));
    let divided = |refund: f64, settle: f64| -> EscrowPartialSettled {
        read(with(json!({
            "refund_amount": refund, "settle_amount": settle, "user_available_balance": 30.25,
        })))
    };
    let part = Earned::part(&divided(30.25, 69.75), at).expect("something was earned");
    assert_eq!(part, Earned::whole(&settled, at));
    assert_eq!(Earned::part(&divided(100.0, 0.0), at), None);

    let notice = Notice::EarningsReceived(part);
    let content = mail(&notice, "Kim");
    assert_eq!(content.subject, "Earnings Received");
    assert_says(
        &content,
        &[
            "You earned 69.75 points on 2026-03-14 09:26 UTC.",
            "Your earnings balance is now 169.75 points.",
        ],
    );
    let link = r#"href="https://app.example.com/wallet/earnings""#;
    assert!(content.html.contains(link), "{}", content.html);
    let note = note(&settled, &notice);
    assert_eq!(
        note.body,
        "You earned 69.75 points on 2026-03-14 09:26 UTC."
    );
    assert_eq!(
        (note.title.as_str(), note.link.as_str(), note.icon),
        ("Earnings Received", "/wallet/earnings", Icon::Success)
    );
}

/// The payload fields that all events of the loan below share.
fn loan(more: Value) -> Value {
    let mut payload = json!({
        "loan_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60", "borrower_id": "m-1", "currency": "USD", "version": 4,
    });
    if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
        fields.extend(more);
    }
    payload
}

const LOAN_LINE: &str = "Loan: 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60";

fn planned(revision: u64, open_payments: u32) -> PaymentScheduleGenerated {
    read(loan(json!({
        "schedule_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a63", "revision": revision, "total_payments": 36,
        "open_payments": open_payments, "instalment": 3099.15, "first_due_on": "2026-02-28",
        "last_due_on": "2029-01-31", "open_principal": 100_000, "open_interest": 11569.4,
    })))
}

/// Asserts the title, link and icon of an in-app notice about a loan.
fn assert_tells_of_loan(note: &Note, title: &str, icon: Icon) {
    assert_eq!(
        (note.title.as_str(), note.link.as_str(), note.icon),
        (title, "/loans", icon)
    );
}

#[test]
fn a_funded_loan_says_when_the_first_payment_is_due_how_much_and_how_many() {
    let plan = planned(1, 36);
    let notice = Notice::LoanFunded(&plan);
    let content = mail(&notice, "Ada");
    assert_eq!(content.subject, "Loan Funded");
    assert_says(
        &content,
        &[
            "Your loan is funded.",
            "First payment due on: 2026-02-28",
            "Instalment: 3099.15 USD; the last one may differ",
            "Payments: 36",
            LOAN_LINE,
        ],
    );
    let link = r#"href="https://app.example.com/loans""#;
    assert!(content.html.contains(link), "{}", content.html);
    let note = note(&plan, &notice);
    assert_eq!(
        note.body,
        "Your loan is funded. Payments: 36 of 3099.15 USD, the first due on 2026-02-28."
    );
    assert_tells_of_loan(&note, "Loan Funded", Icon::Success);
}

#[test]
fn a_new_payment_plan_says_the_next_due_day_the_instalment_and_the_last_due_day() {
    let plan = planned(2, 35);
    let notice = Notice::LoanPlanChanged(&plan);
    let content = mail(&notice, "Ada");
    assert_eq!(content.subject, "New Payment Plan");
    assert_says(
        &content,
        &[
            "A new payment plan applies to your loan from now on.",
            "Next payment due on: 2026-02-28",
            "Instalment: 3099.15 USD; the first and the last one may differ",
            "Last payment due on: 2029-01-31",
            LOAN_LINE,
        ],
    );
    let note = note(&plan, &notice);
    assert_eq!(
        note.body,
        "A new plan applies to your loan: 3099.15 USD a month, the first due on 2026-02-28, the last on 2029-01-31."
    );
    assert_tells_of_loan(&note, "New Payment Plan", Icon::Info);
}

#[test]
fn a_loan_payment_says_what_of_it_was_interest_and_principal_and_what_is_still_open() {
    let payment: PaymentReceived = read(loan(json!({
        "payment_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a62", "amount": 3099.15, "payment_method": "ach",
        "interest_paid": 604.17, "principal_paid": 2494.98, "currency": "EUR",
        "balance": {"open_principal": 97505.02, "interest_due": 0, "months_begun": 1},
    })));
    let notice = Notice::LoanPaymentReceived(&payment);
    let content = mail(&notice, "Ada");
    assert_eq!(content.subject, "Loan Payment Received");
    assert_says(
        &content,
        &[
            "3099.15 EUR arrived for your loan.",
            "Interest paid: 604.17 EUR",
            "Principal paid: 2494.98 EUR",
            "Principal still open: 97505.02 EUR",
            "Interest still due: 0.00 EUR",
            LOAN_LINE,
        ],
    );
    let note = note(&payment, &notice);
    assert_eq!(
        note.body,
        "3099.15 EUR arrived for your loan: 604.17 EUR paid interest, 2494.98 EUR principal. \
         Still open: 97505.02 EUR of principal, 0.00 EUR of interest."
    );
    assert_tells_of_loan(&note, "Loan Payment Received", Icon::Info);
}

#[test]
fn an_approved_draw_says_how_much_and_what_is_open_with_it() {
    let draw: DrawApproved = read(loan(json!({
        "draw_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a61", "amount": 5000, "approved_by": "<desk>",
        "balance": {"open_principal": 102_505.02, "interest_due": 0, "months_begun": 1},
    })));
    let notice = Notice::LoanDrawApproved(&draw);
    let content = mail(&notice, "Ada");
    assert_eq!(content.subject, "Loan Draw Approved");
    assert_says(
        &content,
        &[
            "5000.00 USD more was paid out from your loan.",
            "Open principal now: 102505.02 USD",
            LOAN_LINE,
        ],
    );
    // The borrower must not learn which staff member approved.
    assert!(!content.text.contains("desk") && !content.html.contains("desk"));
    let note = note(&draw, &notice);
    assert_eq!(
        note.body,
        "5000.00 USD more was paid out from your loan. Its open principal is now 102505.02 USD."
    );
    assert_tells_of_loan(&note, "Loan Draw Approved", Icon::Success);
}

#[test]
fn a_loan_that_is_paid_off_says_what_came_back_in_all_and_that_nothing_is_open() {
    let end: PaidOff = read(loan(json!({
        "payment_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a62", "principal_paid": 100_000, "interest_paid": 11569.4,
    })));
    let notice = Notice::LoanPaidOff(&end);
    let content = mail(&notice, "Ada");
    assert_eq!(content.subject, "Loan Paid Off");
    assert_says(
        &content,
        &[
            "Your loan is paid off. Nothing is left to pay.",
            "Principal paid: 100000.00 USD",
            "Interest paid: 11569.40 USD",
            LOAN_LINE,
        ],
    );
    let note = note(&end, &notice);
    assert_eq!(
        note.body,
        "Your loan is paid off: 100000.00 USD of principal and 11569.40 USD of interest. Nothing is left to pay."
    );
    assert_tells_of_loan(&note, "Loan Paid Off", Icon::Success);
}

/// The payload fields that the events of the order below share.
fn ordered(more: Value) -> Value {
    let mut payload = json!({
        "order_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "order_number": "ORD-00012345",
        "customer_id": "CUST-00123", "customer_type": "b2b", "amount": 1785, "currency": "EUR",
        "items": [{"sku": "PRD-001", "quantity": 10}, {"sku": "PRD-002", "quantity": 1}], "version": 3,
    });
    if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
        fields.extend(more);
    }
    payload
}

/// Asserts that a notice is sent by mail alone, under this subject, and leads to this page. Returns the mail.
fn assert_only_mailed<C: Contract>(
    event: &C,
    notice: &Notice<'_>,
    subject: &str,
    page: &str,
) -> Content {
    assert_eq!(notice.note(&envelope(event)), None);
    let content = mail(notice, "Acme SRL");
    assert_eq!(content.subject, subject);
    let link = format!("https://app.example.com{page}");
    assert!(content.text.contains(&link), "{}", content.text);
    let link = format!("href=\"{link}\"");
    assert!(content.html.contains(&link), "{}", content.html);
    content
}

#[test]
fn an_order_that_was_received_says_its_number_each_line_and_what_it_comes_to() {
    let mut payload = ordered(json!({
        "created_at": "2026-02-13T12:00:00.000Z", "status": "pending", "payment_status": "pending",
        "fulfillment_status": "unfulfilled",
        "items": [
            {
                "item_id": "f1e2d3c4-b5a6-9876-fedc-987654321098", "product_id": "PRD-001", "sku": "PRD-001",
                "quantity": 10, "unit_price": 150, "line_total": 1500,
            },
            {
                "item_id": "f1e2d3c4-b5a6-9876-fedc-987654321099", "product_id": "PRD-002", "sku": "PRD-002",
                "quantity": 1, "unit_price": 0.5, "line_total": 0.5,
            },
        ],
        "totals": {"subtotal": 1500.5, "tax_amount": 285.1, "total": 1785.6, "currency": "EUR"},
    }));
    payload["items"][1]["name"] = format!("Bolt {HOSTILE}").into();
    let placed: order::Created = read(payload);
    let notice = Notice::OrderReceived(&placed);
    let content = assert_only_mailed(&placed, &notice, "Order Received", "/orders");
    assert_says(
        &content,
        &[
            "We received your order ORD-00012345. You get another mail once it is confirmed or rejected.",
            "10 × PRD-001: 1500.00 EUR",
            "Without tax: 1500.50 EUR",
            "Tax: 285.10 EUR",
            "Total: 1785.60 EUR",
        ],
    );
    let named = "- 1 × Bolt <script>alert(1)</script> Bcc: all@example.com \"x\" & 'y' evil (PRD-002): 0.50 EUR\n";
    assert!(content.text.contains(named), "{}", content.text);
    assert!(!content.html.contains("<script"), "{}", content.html);
}

#[test]
fn a_confirmed_order_says_that_its_goods_are_reserved() {
    let confirmed: order::Confirmed = read(ordered(json!({
        "confirmed_at": "2026-02-13T12:00:01.000Z",
    })));
    let notice = Notice::OrderConfirmed(&confirmed);
    let content = assert_only_mailed(&confirmed, &notice, "Order Confirmed", "/orders");
    assert_says(
        &content,
        &[
            "Your order ORD-00012345 is confirmed. Its goods are reserved for you, and you get another mail when they are \
             shipped.",
        ],
    );
}

#[test]
fn a_rejected_order_says_why_in_plain_words_and_what_there_is_too_little_of() {
    let rejected = |reason: &str, shortages: Value| -> order::Rejected {
        read(ordered(json!({
            "reason": reason, "shortages": shortages, "rejected_at": "2026-02-13T12:00:01.000Z",
        })))
    };
    for (reason, words) in [
        (
            "insufficient_credit",
            "Reason: the order is more than what is left of your credit",
        ),
        ("account_blocked", "Reason: your credit account is blocked"),
        ("no_account", "Reason: you have no credit account in EUR"),
        (
            "out_of_stock",
            "Reason: there are not enough of the goods in stock",
        ),
    ] {
        let rejected = rejected(reason, json!([]));
        let notice = Notice::OrderRejected(&rejected);
        let content = assert_only_mailed(&rejected, &notice, "Order Rejected", "/orders");
        assert_says(
            &content,
            &[
                "Your order ORD-00012345 over 1785.00 EUR is rejected. Nothing of it will be shipped.",
                words,
            ],
        );
        assert!(!content.text.contains("available") && !content.html.contains("<ul>"));
    }
    let short = rejected(
        "out_of_stock",
        json!([
            {"sku": "PRD-001", "wanted": 10, "available": 3}, {"sku": "PRD-002", "wanted": 1, "available": 0},
        ]),
    );
    let content = mail(&Notice::OrderRejected(&short), "Acme SRL");
    assert_says(
        &content,
        &[
            "PRD-001: 10 ordered, 3 available",
            "PRD-002: 1 ordered, 0 available",
        ],
    );
}

#[test]
fn a_cancelled_order_says_why_where_that_is_known_and_not_by_whom() {
    let cancelled = |more: Value| -> order::Cancelled {
        let mut payload = ordered(json!({
            "previous_status": "confirmed", "cancelled_at": "2026-02-13T12:00:02.000Z", "cancelled_by": "the-clerk",
        }));
        if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
            fields.extend(more);
        }
        read(payload)
    };
    let known = cancelled(json!({ "reason": format!("ordered twice {HOSTILE}") }));
    let notice = Notice::OrderCancelled(&known);
    let content = assert_only_mailed(&known, &notice, "Order Cancelled", "/orders");
    assert_says(
        &content,
        &["Your order ORD-00012345 over 1785.00 EUR is cancelled. Nothing of it will be shipped."],
    );
    let why = "\nReason: ordered twice <script>alert(1)</script> Bcc: all@example.com";
    assert!(content.text.contains(why), "{}", content.text);
    assert!(!content.html.contains("<script"), "{}", content.html);
    assert!(!content.text.contains("clerk") && !content.html.contains("clerk"));

    let unknown = cancelled(json!({}));
    let content = mail(&Notice::OrderCancelled(&unknown), "Acme SRL");
    assert!(!content.text.contains("Reason") && !content.html.contains("Reason"));
}

#[test]
fn a_shipped_order_says_what_is_on_its_way_and_how_to_follow_it() {
    let shipped = |more: Value| -> order::Shipped {
        let mut payload = ordered(json!({
            "shipped_at": "2026-02-13T12:00:02.000Z", "shipped_by": "the-clerk",
        }));
        if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
            fields.extend(more);
        }
        read(payload)
    };
    let known = shipped(json!({ "carrier": "Same\nday", "tracking": "1SDY123456" }));
    let notice = Notice::OrderShipped(&known);
    let content = assert_only_mailed(&known, &notice, "Order Shipped", "/orders");
    let goods = ["10 × PRD-001", "1 × PRD-002"];
    assert_says(
        &content,
        &[
            "The goods of your order ORD-00012345 are on their way.",
            "Carrier: Same day",
            "Tracking number: 1SDY123456",
            goods[0],
            goods[1],
        ],
    );
    assert!(!content.text.contains("clerk") && !content.html.contains("clerk"));
    let unknown = shipped(json!({}));
    let content = mail(&Notice::OrderShipped(&unknown), "Acme SRL");
    assert_says(&content, &goods);
    for word in ["Carrier", "Tracking"] {
        assert!(!content.text.contains(word) && !content.html.contains(word));
    }
}

#[test]
fn blocked_credit_says_what_that_means_why_and_what_is_owed() {
    let blocked = |reason: Option<String>| -> credit::Changed {
        let mut payload = json!({
            "customer_id": "CUST-00123", "change_type": "blocked", "changed_at": "2026-02-13T12:00:00.000Z",
            "changed_by": "the-clerk", "currency": "RON", "credit_limit": 5000, "reserved": 0, "balance": 1000,
            "available_credit": 4000, "blocked": true, "version": 5,
        });
        if let Some(reason) = reason {
            payload["reason"] = reason.into();
        }
        read(payload)
    };
    let known = blocked(Some(format!("nothing was paid {HOSTILE}")));
    let notice = Notice::CreditBlocked(&known);
    let content = assert_only_mailed(&known, &notice, "Credit Account Blocked", "/credit");
    assert_says(
        &content,
        &[
            "Your credit account is blocked. Until it is unblocked, new orders are rejected. Orders that are confirmed are \
             not affected.",
            "Owed now: 1000.00 RON",
        ],
    );
    let why = "\n- Reason: nothing was paid <script>alert(1)</script> Bcc: all@example.com";
    assert!(content.text.contains(why), "{}", content.text);
    assert!(!content.html.contains("<script"), "{}", content.html);
    assert!(!content.text.contains("clerk") && !content.html.contains("clerk"));
    let unknown = blocked(None);
    let content = mail(&Notice::CreditBlocked(&unknown), "Acme SRL");
    assert!(!content.text.contains("Reason") && !content.html.contains("Reason"));
}

#[test]
fn an_order_that_is_stuck_says_since_when_and_what_it_waits_for() {
    for awaits in ["credit", "stock"] {
        let stuck: order::Stuck = read(ordered(json!({
            "awaits": awaits, "created_at": "2026-02-13T12:00:00.000Z", "stuck_at": "2026-02-13T12:15:30.000Z",
        })));
        let notice = Notice::OrderStuck(&stuck);
        let content = assert_only_mailed(&stuck, &notice, "Order Stuck", "/admin/orders");
        let since = format!(
            "Order ORD-00012345 has been pending since 2026-02-13 12:00 UTC: {awaits} has not answered."
        );
        assert_says(
            &content,
            &[
                since.as_str(),
                "Order: a1b2c3d4-e5f6-7890-abcd-ef1234567890",
                "Customer: CUST-00123",
                "You get this because you are an admin. It is sent once per order.",
            ],
        );
    }
}
