//! What a client asks of its stream: filter, position and format.

use std::borrow::Cow;

use api::Problem;
use events::Registry;
use stream_token::filter::{Filter, MAX_LENGTH, refused};

/// The format in which events are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// The envelope.
    #[default]
    Envelope,
    /// Only the payload.
    Payload,
    /// A CloudEvent.
    CloudEvents,
}

impl Format {
    /// Parses a format; `None` if it is unknown.
    fn read(text: &str) -> Option<Self> {
        match text {
            "envelope" => Some(Self::Envelope),
            "payload" => Some(Self::Payload),
            "cloudevents" => Some(Self::CloudEvents),
            _ => None,
        }
    }

    /// Converts an envelope to this format. An envelope that cannot be parsed is returned unchanged.
    #[must_use]
    pub fn of(self, envelope: &str) -> Cow<'_, str> {
        let read = || Registry::read(envelope).ok();
        let other = match self {
            Self::Envelope => None,
            Self::Payload => read().map(|read| read.payload.json().to_owned()),
            Self::CloudEvents => read()
                .and_then(|read| read.to_cloudevent().ok())
                .map(|read| read.get().to_owned()),
        };
        other.map_or(Cow::Borrowed(envelope), Cow::Owned)
    }
}

/// The query parameters of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamQuery {
    /// The filter.
    pub filter: Filter,
    /// A stream token, for clients that cannot send a header.
    pub token: Option<String>,
    /// The position to resume after, for clients that cannot send the header `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// The format of the events.
    pub format: Format,
}

impl StreamQuery {
    /// Whether the query of a request has a stream token, valid or not.
    #[must_use]
    pub fn names_token(uri: &http::Uri) -> bool {
        let named = |pair: &str| pair.split('=').next() == Some("token");
        uri.query().is_some_and(|query| query.split('&').any(named))
    }

    /// Parses the query of a request.
    ///
    /// # Errors
    /// 422, naming the parameter that is unknown, repeated or invalid.
    pub fn read(uri: &http::Uri) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| refused("/query", "is not a query string"))?;
        let mut query = Self::default();
        let mut format = None;
        for (name, value) in pairs.0 {
            let place = match name.as_str() {
                "type" => {
                    let types = value.split(',').map(|one| one.trim().to_owned());
                    query.filter.types.extend(types);
                    continue;
                }
                "aggregate" => &mut query.filter.aggregate,
                "tenant" => &mut query.filter.tenant,
                "token" => &mut query.token,
                "last_event_id" => &mut query.last_event_id,
                "format" => &mut format,
                _ => {
                    let name: String = name.chars().take(MAX_LENGTH).collect();
                    let known = "is not known; the parameters are type, aggregate, tenant, last_event_id, token, format";
                    return Err(refused(&format!("/query/{name}"), known));
                }
            };
            if place.replace(value).is_some() {
                return Err(refused(
                    &format!("/query/{name}"),
                    "is given more than once",
                ));
            }
        }
        if let Some(format) = format {
            let message = "must be envelope, payload or cloudevents";
            query.format =
                Format::read(&format).ok_or_else(|| refused("/query/format", message))?;
        }
        query.filter = query.filter.checked("/query")?;
        Ok(query)
    }
}

/// Parses a position.
///
/// # Errors
/// 422, naming `place`.
pub fn position(place: &str, text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|position| *position < u64::MAX)
        .ok_or_else(|| refused(place, "must be an id of this stream: a whole number"))
}

/// The problem for a position that the feed has not reached.
pub(crate) fn beyond_head(head: u64) -> Problem {
    refused(
        "/header/last-event-id",
        format!("is beyond the feed's head ({head}), so this stream never sent it"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use views::feed::FeedRow;

    use super::*;

    fn read(query: &str) -> Result<StreamQuery, Problem> {
        StreamQuery::read(&format!("/api/v1/events/stream?{query}").parse().unwrap())
    }

    fn row(event_type: &str, aggregate: &str, tenant_id: Option<&str>) -> FeedRow {
        FeedRow {
            position: 1,
            event_type: event_type.into(),
            aggregate: aggregate.into(),
            tenant_id: tenant_id.map(str::to_owned),
            envelope: "{}".into(),
            fed_at: events::Timestamp::EPOCH,
            expires_at: 0,
        }
    }

    #[test]
    fn types_are_repeatable_or_by_comma_exact_or_a_domain() {
        let filter = read("type=settlement.,member.updated&type=wallet.deposited")
            .unwrap()
            .filter;
        for (event_type, wanted) in [
            ("settlement.created", true),
            ("member.updated", true),
            ("wallet.deposited", true),
            ("wallet.withdrawn", false),
            ("settlements.created", false),
        ] {
            assert_eq!(
                filter.wants(&row(event_type, "a/b", None)),
                wanted,
                "{event_type}"
            );
        }
    }

    #[test]
    fn aggregate_and_tenant_must_both_hold() {
        let filter = read("aggregate=member/a%2Fb&tenant=acme").unwrap().filter;
        assert!(filter.wants(&row("member.updated", "member/a/b", Some("acme"))));
        assert!(!filter.wants(&row("member.updated", "member/a/b", None)));
        assert!(!filter.wants(&row("member.updated", "member/a", Some("acme"))));
        assert!(Filter::default().wants(&row("member.updated", "member/a", None)));
    }

    #[test]
    fn an_event_is_sent_as_its_envelope_its_payload_or_a_cloudevent() {
        let envelope = include_str!("../../../shared/events/samples/common/envelope-v1/full.json");
        let of = |query: &str| -> serde_json::Value {
            let format = read(query).unwrap().format;
            serde_json::from_str(&format.of(envelope)).unwrap()
        };
        let whole = of("");
        assert_eq!(of("format=envelope"), whole);
        assert_eq!(of("format=payload"), whole["payload"]);
        assert_eq!(of("format=cloudevents")["data"], whole["payload"]);
        assert_eq!(of("format=cloudevents")["id"], whole["event_id"]);
        assert_eq!(Format::Payload.of("no envelope"), "no envelope");
    }

    #[test]
    fn what_is_not_known_or_malformed_is_named() {
        for (query, name) in [
            ("typ=a.b", "/query/typ"),
            ("type=", "/query/type"),
            ("type=Settlement.", "/query/type"),
            ("type=settlement", "/query/type"),
            ("type=a.b.c", "/query/type"),
            ("type=settlement.*", "/query/type"),
            ("aggregate=member", "/query/aggregate"),
            ("aggregate=/x", "/query/aggregate"),
            ("tenant=", "/query/tenant"),
            ("tenant=a%0Ab", "/query/tenant"),
            ("tenant=a&tenant=b", "/query/tenant"),
            ("token=a&token=b", "/query/token"),
            ("format=xml", "/query/format"),
            ("format=payload&format=payload", "/query/format"),
        ] {
            let problem = read(query).unwrap_err();
            assert_eq!(problem.status(), 422, "{query}");
            assert!(
                format!("{problem:?}").contains(name),
                "{query}: {problem:?}"
            );
        }
        for text in [
            "",
            "-1",
            "+1",
            "1a",
            "99999999999999999999",
            "18446744073709551615",
        ] {
            assert!(position("/query/last_event_id", text).is_err(), "{text}");
        }
        assert_eq!(position("", "7").unwrap(), 7);
    }

    #[test]
    fn an_unknown_domain_is_refused_with_the_nearest_and_an_unknown_type_is_accepted() {
        let problem = format!("{:?}", read("type=loan.,setlement.").unwrap_err());
        assert!(problem.contains("did you mean settlement?"), "{problem}");
        // Other repositories may publish it.
        assert!(read("type=inventory.counted").is_ok());
    }
}
