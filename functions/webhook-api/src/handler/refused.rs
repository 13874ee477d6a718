//! Converts refusals into problems.

use api::{CommandError, Problem};
use endpoints::{EndpointStatus, Refusal};
use events::WebhookId;

/// The 404 problem for an unknown or removed webhook.
pub(super) fn unknown(id: WebhookId) -> Problem {
    Problem::not_found(format!("there is no webhook {id}")).with("webhook_id", id.to_string())
}

/// The 409 problem for a webhook that is not sent anything.
pub(super) fn not_enabled(id: WebhookId, status: EndpointStatus) -> Problem {
    Problem::conflict("webhook-not-enabled", "The webhook is not enabled")
        .detail(format!("the webhook is {status}"))
        .with("webhook_id", id.to_string())
        .with("webhook_status", status.to_string())
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
///
/// # Errors
/// [`CommandError`] if the refusal is a fault of ours.
pub(super) fn refused(id: WebhookId, refusal: &Refusal) -> Result<Problem, CommandError> {
    let words = refusal.to_string();
    let conflict = |name, title| Problem::conflict(name, title).detail(words.as_str());
    Ok(match refusal {
        Refusal::Unknown => unknown(id),
        Refusal::Illegal(illegal) => conflict(
            "illegal-transition",
            "The webhook's status does not allow this step",
        )
        .with("webhook_id", id.to_string())
        .with("from", illegal.from.as_str())
        .with("to", illegal.to.as_str())
        .with("allowed", illegal.allowed.clone()),
        Refusal::Nothing => conflict("nothing-changed", "The webhook is so already")
            .with("webhook_id", id.to_string()),
        Refusal::TooMany { most } => {
            conflict("too-many-webhooks", "There are too many webhooks").with("most", *most)
        }
        Refusal::Number(error) => return Err(CommandError::internal(error)),
    })
}
