//! The log of attempts.

use std::sync::Arc;

use api::{CursorToken, Path, Problem, Query, Reply, State};
use endpoints::Attempt;
use events::WebhookId;
use outbox::{Cursor, Error, decode_item};

use super::App;
use crate::wire::{DeliveriesPage, DeliveriesQuery, DeliveryView, WebhookPath};

/// How many rows a page looks at. They have less than the 1 MB that one read returns
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html>, read 2026-11-29) as long as
/// answers are short; if not, the page ends earlier.
const LOOKED_AT_MOST: u32 = 500;

/// GET `/webhooks/{webhook_id}/deliveries`.
///
/// # Errors
/// 400 for a cursor of another list; 404 for an unknown webhook.
pub async fn list(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    Query(asked): Query<DeliveriesQuery>,
) -> Result<Reply<DeliveriesPage>, Problem> {
    let id = path.webhook_id;
    let list = format!("deliveries#{id}#{:?}#{:?}", asked.outcome, asked.event_id);
    let after = asked.cursor.as_ref().map(|cursor| cursor.open(&list));
    let after = after.transpose()?;
    app.existing(id).await?;
    let (items, next) = app.attempts(id, &asked, after).await?;
    Reply::of(&DeliveriesPage {
        items,
        next_cursor: next.map(|next| CursorToken::seal(&list, &next)),
    })
}

impl App {
    /// The attempts that fit, newest first, and where to go on; `None` at the end.
    async fn attempts(
        &self,
        id: WebhookId,
        asked: &DeliveriesQuery,
        after: Option<Cursor>,
    ) -> Result<(Vec<DeliveryView>, Option<Cursor>), Error> {
        let table = &self.config.webhooks;
        let limit = asked.limit.number();
        let every_row_fits = asked.outcome.is_none() && asked.event_id.is_none();
        let rows = if every_row_fits {
            limit
        } else {
            LOOKED_AT_MOST
        };
        let query = outbox::Query {
            after,
            ..Attempt::of_endpoint(table, id, rows)
        };
        let page = self.outbox.store().query(&query).await?;
        let place = table.key(query.pk.as_str(), "*");
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut found, mut rows) = (Vec::new(), page.items.into_iter());
        while let Some(item) = rows.next() {
            let here = Cursor::at(table, None, &item);
            let attempt: Attempt = decode_item(&place, item)?;
            let fits = asked.outcome.is_none_or(|one| one == attempt.outcome)
                && asked.event_id.is_none_or(|one| one == attempt.event_id);
            if !fits {
                continue;
            }
            found.push(attempt.into());
            if found.len() >= limit {
                let is_last = rows.len() == 0 && page.next.is_none();
                return Ok((found, (!is_last).then_some(here)));
            }
        }
        Ok((found, page.next))
    }
}
