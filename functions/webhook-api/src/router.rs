//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};
use serde_json::Value;

use crate::handler::{App, change, deliveries, reads, redeliver};

const NO_WEBHOOK: &str = "There is no such webhook, or it was removed (`webhook_id`).";
const HAS_STATUS: &str =
    "The webhook has this status already (`illegal-transition`: `from`, `to`, `allowed`).";
const WRONG_SETTINGS: &str = "The URL may not be called or its name cannot be resolved, or an event type or a domain is unknown; the nearest \
     one is named.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let about_one = |summary| Doc::new(summary).problem(404, NO_WEBHOOK);
    Routes::new("webhook-api")
        .get(
            "/api/v1/webhooks",
            reads::list,
            Doc::new("List webhooks").describe("All of them, the oldest first: there are 200 at most. No answer shows a URL's path and query."),
        )
        .post(
            "/api/v1/webhooks",
            change::create,
            Doc::new("Set up a webhook")
                .describe(
                    "It is sent the events that it selects, from this moment on, signed with its secret (Standard Webhooks). An event has to fit \
                     every field of the selection that is given; `event_types` and `domains` count as one field. Only this answer shows the secret. A \
                     repeat of the request gets the webhook as it is then, without the secret.",
                )
                .problem(409, "There are 200 webhooks (`too-many-webhooks`: `most`).")
                .problem(422, WRONG_SETTINGS),
        )
        .get(
            "/api/v1/webhooks/{webhook_id}",
            reads::read,
            about_one("Read a webhook and how far it has got"),
        )
        .patch(
            "/api/v1/webhooks/{webhook_id}",
            change::patch,
            about_one("Change a webhook")
                .describe(
                    "A field that is absent stays as it is. But the selection is one thing: if any of `event_types`, `domains`, `tenant_id`, \
                     `aggregate_type`, `aggregate_id` and `member_id` is given, those that are absent are emptied. So `{\"event_types\": []}` \
                     selects every event.",
                )
                .problem(409, "It is so already (`nothing-changed`).")
                .problem(422, WRONG_SETTINGS),
        )
        .post(
            "/api/v1/webhooks/{webhook_id}/enable",
            change::enable,
            about_one("Enable a webhook")
                .describe("It is sent what occurs from this moment on, and what still was to be tried again.")
                .problem(409, HAS_STATUS),
        )
        .post(
            "/api/v1/webhooks/{webhook_id}/disable",
            change::disable,
            about_one("Disable a webhook")
                .describe("It is sent nothing until it is enabled. What occurs meanwhile is not sent later.")
                .problem(409, HAS_STATUS),
        )
        .post(
            "/api/v1/webhooks/{webhook_id}/rotate",
            change::rotate,
            about_one("Give a webhook a new secret").describe(
                "For 24 hours each message is signed with the new secret and with the one before. A second rotation ends older ones at once. Only \
                 this answer shows the secret; a repeat of the request does not get it.",
            ),
        )
        .post(
            "/api/v1/webhooks/{webhook_id}/remove",
            change::remove,
            about_one("Remove a webhook").describe("It is sent nothing any more. Its URL and its secrets are deleted."),
        )
        .get(
            "/api/v1/webhooks/{webhook_id}/deliveries",
            deliveries::list,
            about_one("List the attempts to deliver events").describe(
                "Newest first, of the last 30 days. A page looks at 500 rows at most, so it may have fewer items than requested, or none: \
                 continue with `next_cursor` until it is null.",
            ),
        )
        .post(
            "/api/v1/webhooks/{webhook_id}/redeliver",
            redeliver::redeliver,
            about_one("Send events once more")
                .describe(
                    "Up to 20 events of the feed, whether they were delivered or not, and whether the webhook selects them or not. They are sent soon; \
                     `/deliveries` shows what becomes of them. `unknown` lists those that the feed does not know, or no longer.",
                )
                .problem(404, "The feed knows none of the events (`event_ids`).")
                .problem(409, "The webhook is not enabled (`webhook-not-enabled`: `webhook_status`)."),
        )
}

/// The OpenAPI document of the function.
#[must_use]
pub fn openapi() -> Value {
    routes().openapi()
}
