//! Notices about loans: funding, payment plans, payments, draws and the payoff.

use askama::Template as _;
use events::contracts::loan::{DrawApproved, PaidOff, PaymentReceived, PaymentScheduleGenerated};
use views::notes::Icon;

use super::{Bodies, Head, Page, Rendered, Words};

/// The page that shows loans.
const LOANS: &str = "/loans";

const fn head(subject: &'static str) -> Head {
    Head {
        subject,
        link: LOANS,
        link_text: "See your loans",
    }
}

pub(super) const FUNDED: Head = head("Loan Funded");
pub(super) const PLAN_CHANGED: Head = head("New Payment Plan");
pub(super) const PAYMENT_RECEIVED: Head = head("Loan Payment Received");
pub(super) const DRAW_APPROVED: Head = head("Loan Draw Approved");
pub(super) const PAID_OFF: Head = head("Loan Paid Off");

pub(super) fn funded_note(plan: &PaymentScheduleGenerated) -> Words {
    Words {
        title: "Loan Funded",
        body: format!(
            "Your loan is funded. Payments: {} of {} {}, the first due on {}.",
            plan.total_payments, plan.instalment, plan.currency, plan.first_due_on
        ),
        link: LOANS,
        icon: Icon::Success,
    }
}

pub(super) fn plan_changed_note(plan: &PaymentScheduleGenerated) -> Words {
    Words {
        title: "New Payment Plan",
        body: format!(
            "A new plan applies to your loan: {} {} a month, the first due on {}, the last on {}.",
            plan.instalment, plan.currency, plan.first_due_on, plan.last_due_on
        ),
        link: LOANS,
        icon: Icon::Info,
    }
}

pub(super) fn payment_received_note(payment: &PaymentReceived) -> Words {
    let currency = payment.currency;
    let (interest, principal) = (payment.interest_paid, payment.principal_paid);
    let (open, due) = (payment.balance.open_principal, payment.balance.interest_due);
    Words {
        title: "Loan Payment Received",
        body: format!(
            "{} {currency} arrived for your loan: {interest} {currency} paid interest, {principal} {currency} principal. \
             Still open: {open} {currency} of principal, {due} {currency} of interest.",
            payment.amount
        ),
        link: LOANS,
        icon: Icon::Info,
    }
}

pub(super) fn draw_approved_note(draw: &DrawApproved) -> Words {
    let (amount, open, currency) = (draw.amount, draw.balance.open_principal, draw.currency);
    Words {
        title: "Loan Draw Approved",
        body: format!(
            "{amount} {currency} more was paid out from your loan. Its open principal is now {open} {currency}."
        ),
        link: LOANS,
        icon: Icon::Success,
    }
}

pub(super) fn paid_off_note(end: &PaidOff) -> Words {
    let (principal, interest, currency) = (end.principal_paid, end.interest_paid, end.currency);
    Words {
        title: "Loan Paid Off",
        body: format!(
            "Your loan is paid off: {principal} {currency} of principal and {interest} {currency} of interest. \
             Nothing is left to pay."
        ),
        link: LOANS,
        icon: Icon::Success,
    }
}

pub(super) fn funded(page: &Page<'_>, data: &PaymentScheduleGenerated) -> Rendered {
    bodies!(
        "loan_funded.html",
        "loan_funded.txt",
        PaymentScheduleGenerated,
        page,
        data
    )
}

pub(super) fn plan_changed(page: &Page<'_>, data: &PaymentScheduleGenerated) -> Rendered {
    bodies!(
        "loan_plan_changed.html",
        "loan_plan_changed.txt",
        PaymentScheduleGenerated,
        page,
        data
    )
}

pub(super) fn payment_received(page: &Page<'_>, data: &PaymentReceived) -> Rendered {
    bodies!(
        "loan_payment_received.html",
        "loan_payment_received.txt",
        PaymentReceived,
        page,
        data
    )
}

pub(super) fn draw_approved(page: &Page<'_>, data: &DrawApproved) -> Rendered {
    bodies!(
        "loan_draw_approved.html",
        "loan_draw_approved.txt",
        DrawApproved,
        page,
        data
    )
}

pub(super) fn paid_off(page: &Page<'_>, data: &PaidOff) -> Rendered {
    bodies!(
        "loan_paid_off.html",
        "loan_paid_off.txt",
        PaidOff,
        page,
        data
    )
}
