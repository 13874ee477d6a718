//! The filter and the format that a client chooses for its stream.

use std::borrow::Cow;

use api::Problem;
use events::{Registry, unknown_domain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::feed::FeedRow;

/// The maximum number of `type` values.
const MAX_TYPES: usize = 50;
/// The maximum length of one value, in bytes.
const MAX_LENGTH: usize = 255;

/// A filter on events. All conditions must hold; an empty filter accepts every event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Event types, or domains with a trailing dot (`settlement.`). An event must match one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The aggregate, as `type/id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Filter {
    /// Whether a row passes the filter.
    #[must_use]
    pub fn wants(&self, row: &FeedRow) -> bool {
        let of_type = |wanted: &String| {
            if wanted.ends_with('.') {
                row.event_type.starts_with(wanted.as_str())
            } else {
                row.event_type == *wanted
            }
        };
        (self.types.is_empty() || self.types.iter().any(of_type))
            && (self.aggregate.as_ref()).is_none_or(|wanted| row.aggregate == *wanted)
            && (self.tenant.as_ref()).is_none_or(|wanted| row.tenant_id.as_ref() == Some(wanted))
    }

    /// Returns the first error and the field that has it.
    fn fault(&self) -> Option<(&'static str, String)> {
        if self.types.len() > MAX_TYPES {
            return Some(("type", format!("at most {MAX_TYPES} types")));
        }
        if let Some(wrong) = self.types.iter().find(|one| !is_type(one)) {
            let message =
                "must be an event type (settlement.created) or a domain with its dot (settlement.)";
            let wrong: String = wrong.chars().take(MAX_LENGTH).collect();
            return Some(("type", format!("{message}: {wrong:?}")));
        }
        let mut domains = self.types.iter().filter_map(|one| one.strip_suffix('.'));
        if let Some((unknown, meant)) = domains.find_map(|one| Some((one, unknown_domain(one)?))) {
            return Some(("type", format!("{unknown} is not a known domain{meant}")));
        }
        let is_aggregate = |text: &String| {
            let parts = text.split_once('/');
            parts.is_some_and(|(kind, id)| is_name(kind) && !id.is_empty()) && is_text(text)
        };
        if self
            .aggregate
            .as_ref()
            .is_some_and(|one| !is_aggregate(one))
        {
            return Some(("aggregate", "must be type/id".into()));
        }
        if self
            .tenant
            .as_ref()
            .is_some_and(|one| one.is_empty() || !is_text(one))
        {
            return Some((
                "tenant",
                format!("must be 1 to {MAX_LENGTH} printable characters"),
            ));
        }
        None
    }

    /// Refuses a filter that can never match.
    ///
    /// # Errors
    /// 422, with the field's pointer under `place`.
    pub fn checked(self, place: &str) -> Result<Self, Problem> {
        match self.fault() {
            None => Ok(self),
            Some((name, message)) => Err(refused(&format!("{place}/{name}"), message)),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_type(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.split_once('.').is_some_and(|(domain, action)| {
            is_name(domain) && (action.is_empty() || is_name(action))
        })
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_LENGTH && !text.chars().any(char::is_control)
}

fn refused(pointer: &str, message: impl Into<String>) -> Problem {
    Problem::invalid(Vec::new()).violation(pointer, message)
}

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
