//! One connection: the frames that it sends, in order, until it ends.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use api::Problem;
use bytes::Bytes;
use futures::Stream;
use outbox::Error;
use serde_json::json;
use stream_token::Filter;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, Interval, MissedTickBehavior},
};
use views::feed::FeedRow;

use crate::{
    hub::{Hub, Seat, Subscription},
    leases::Lease,
    query::{Format, beyond_head},
};

/// How long a client should wait before it connects again, in milliseconds.
const RETRY: &str = "retry: 1000\n\n";

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The time limit is reached.
    Deadline,
    /// The client lagged too far behind.
    Overrun,
    /// The feed could not be read.
    Unreadable,
    /// The client disconnected.
    Gone,
}

/// The next part of the feed for a client that catches up.
enum Past {
    /// Rows, without a gap.
    Rows(Vec<FeedRow>),
    /// The rows up to this position are gone.
    Gone(u64),
}

/// A connection.
pub(crate) struct Connection {
    hub: Hub,
    seat: Seat,
    /// The connection's places among those of the stack, if they are counted.
    lease: Option<Lease>,
    owner: String,
    filters: Vec<Filter>,
    format: Format,
    subscription: Subscription,
    /// The last position that was examined, sent or not.
    position: u64,
    /// Whether the connection has caught up with the live rows.
    live: bool,
    /// Whether a live row was taken since the connection caught up.
    keeps_up: bool,
    waiting: VecDeque<Bytes>,
    heartbeat: Interval,
    deadline: Instant,
    sent: u64,
    ended: Option<End>,
}

impl Connection {
    /// Starts after a position, or at the feed's head.
    pub(crate) async fn begin(
        hub: Hub,
        seat: Seat,
        owner: String,
        (filters, format): (Vec<Filter>, Format),
        from: Option<u64>,
        heartbeat: Duration,
        deadline: Instant,
    ) -> Result<Self, Problem> {
        let subscription = hub.subscribe(&seat).await?;
        let position = match from {
            Some(from) if from <= subscription.live_from => from,
            // This process's reader may lag behind the process that sent the position.
            Some(from) => {
                let head = hub.head().await?;
                if from > head {
                    return Err(beyond_head(head));
                }
                from
            }
            None => hub.head().await?,
        };
        let mut heartbeat = tokio::time::interval(heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            hub,
            seat,
            lease: None,
            owner,
            filters,
            format,
            subscription,
            position,
            live: false,
            keeps_up: false,
            waiting: VecDeque::from([Bytes::from_static(RETRY.as_bytes())]),
            heartbeat,
            deadline,
            sent: 0,
            ended: None,
        })
    }

    /// Gives these places back when the connection ends.
    pub(crate) fn holding(mut self, lease: Option<Lease>) -> Self {
        self.lease = lease;
        self
    }

    /// Returns the connection's bytes.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures::stream::unfold(self, |mut connection| async move {
            let bytes = connection.next().await?;
            Some((Ok(bytes), connection))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            if self.ended.is_some() {
                // Before the end of the body, after which Lambda freezes the process.
                if let Some(lease) = self.lease.take() {
                    lease.give_back().await;
                }
                return None;
            }
            if Instant::now() >= self.deadline {
                self.end(End::Deadline);
            } else if self.live {
                self.go_on().await;
            } else {
                self.catch_up().await;
            }
        }
    }

    /// Reads rows from the table, up to the start of the live rows.
    async fn catch_up(&mut self) {
        let to = self.subscription.live_from;
        if self.position >= to {
            self.live = true;
            self.keeps_up = false;
            return;
        }
        match self.past(to).await {
            Ok(Past::Rows(rows)) => rows.iter().for_each(|row| self.take(row)),
            Ok(Past::Gone(up_to)) => self.gap(up_to),
            Err(error) => {
                tracing::warn!(error = outbox::chain(&error), "the feed cannot be read");
                self.end(End::Unreadable);
            }
        }
    }

    /// Reads the next part before the live rows, which is not empty.
    async fn past(&self, to: u64) -> Result<Past, Error> {
        let rows = self.hub.rows(self.position, to).await?;
        if !rows.is_empty() {
            return Ok(Past::Rows(rows));
        }
        // Rows that still exist are never skipped.
        self.hub.gone_up_to(self.position, to).await.map(Past::Gone)
    }

    /// Waits for the next live row, the next heartbeat or the deadline.
    async fn go_on(&mut self) {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.deadline) => self.end(End::Deadline),
            row = self.subscription.rows.recv() => match row {
                Ok(row) => {
                    self.keeps_up = true;
                    if row.position > self.position + 1 {
                        self.gap(row.position - 1);
                    }
                    if row.position > self.position {
                        self.take(&row);
                    }
                }
                // More live rows arrived during the catch-up than the buffer holds. The table has them too.
                Err(RecvError::Lagged(_)) if !self.keeps_up => {
                    match self.hub.subscribe(&self.seat).await {
                        Ok(subscription) => {
                            self.subscription = subscription;
                            self.live = false;
                        }
                        Err(error) => {
                            tracing::warn!(error = outbox::chain(&error), "the feed cannot be read");
                            self.end(End::Unreadable);
                        }
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    let data = json!({ "missed": missed, "last_event_id": self.position.to_string() });
                    self.waiting.push_back(frame("overrun", None, &data.to_string()));
                    self.end(End::Overrun);
                }
                Err(RecvError::Closed) => self.end(End::Unreadable),
            },
            _ = self.heartbeat.tick() => {
                let data = json!({ "position": self.position });
                self.waiting.push_back(frame("heartbeat", Some(self.position), &data.to_string()));
            }
        }
    }

    fn take(&mut self, row: &FeedRow) {
        self.position = row.position;
        if self.filters.iter().all(|filter| filter.wants(row)) {
            let data = self.format.of(&row.envelope);
            self.waiting
                .push_back(frame(&row.event_type, Some(row.position), &data));
            self.sent += 1;
        }
    }

    /// Reports to the client that the rows up to a position are gone.
    fn gap(&mut self, to: u64) {
        let data = json!({ "from": self.position + 1, "to": to });
        self.position = to;
        self.waiting
            .push_back(frame("gap", Some(to), &data.to_string()));
    }

    fn end(&mut self, why: End) {
        self.ended = Some(why);
        if why == End::Deadline {
            self.waiting
                .push_back(Bytes::from_static(b"retry: 250\n: its time is up\n\n"));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        tracing::info!(
            key_id = self.seat.key_id(),
            owner = self.owner,
            position = self.position,
            sent = self.sent,
            ended = ?self.ended.unwrap_or(End::Gone),
            "stream closed"
        );
    }
}

/// Writes a frame: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. JSON text has line feeds only
/// between tokens, where a space means the same, and never inside a string. So the data is always one line.
fn frame(event: &str, id: Option<u64>, data: &str) -> Bytes {
    let one_line = |text: &str| text.replace(['\n', '\r'], " ");
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!(
        "{id}event: {}\ndata: {}\n\n",
        one_line(event),
        one_line(data)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_data_says_it_stays_data() {
        let hostile = "{\n\"a\":\"\\n\\nevent: overrun\\ndata: x\"\r\n,\"b\":\"</script>\"}";
        let written = frame("a.b", Some(7), hostile);
        let text = String::from_utf8_lossy(&written);
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[..2], ["id: 7", "event: a.b"]);
        assert!(lines[2].starts_with("data: {"));
        assert_eq!(lines[3..], ["", ""]);
        assert!(!text.contains('\r'));
    }
}
