//! What a client wants to see of the feed.

use std::borrow::Cow;

use api::Problem;
use events::Registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::feed::Row;

/// The most values of `type`.
const MAX_TYPES: usize = 50;
/// The most bytes of one value.
const MAX_LENGTH: usize = 255;

/// Which events; empty: all of them. What is said of different things must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Types, or domains with the dot behind them: `settlement.`. Any of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// What they are about, `type/id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<String>,
    /// Whose they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Filter {
    /// Whether a row is wanted.
    #[must_use]
    pub fn wants(&self, row: &Row) -> bool {
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

    /// What is wrong with it, and where.
    fn fault(&self) -> Option<(&'static str, String)> {
        if self.types.len() > MAX_TYPES {
            return Some(("type", format!("at most {MAX_TYPES} types")));
        }
        if let Some(wrong) = self.types.iter().find(|one| !is_type(one)) {
            let told =
                "must be an event type (settlement.created) or a domain with its dot (settlement.)";
            let wrong: String = wrong.chars().take(MAX_LENGTH).collect();
            return Some(("type", format!("{told}: {wrong:?}")));
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

    /// Refuses one that can never be what somebody meant.
    ///
    /// # Errors
    /// 422, naming it under `place`.
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

/// As what an event is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// As the envelope.
    #[default]
    Envelope,
    /// As its payload alone.
    Payload,
    /// As a CloudEvent.
    CloudEvents,
}

impl Format {
    /// Reads it; `None` where it is none.
    fn read(text: &str) -> Option<Self> {
        match text {
            "envelope" => Some(Self::Envelope),
            "payload" => Some(Self::Payload),
            "cloudevents" => Some(Self::CloudEvents),
            _ => None,
        }
    }

    /// An envelope in this format; as it stands where it cannot be read, which only its writer could explain.
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

/// What stands in the query of a stream's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Which events.
    pub filter: Filter,
    /// A stream token, for clients that cannot send a header.
    pub token: Option<String>,
    /// Where to go on, for clients that cannot send the header `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// As what events are sent.
    pub format: Format,
}

impl Asked {
    /// Reads it.
    ///
    /// # Errors
    /// 422, naming the parameter that is not known, is there twice or is not what it must be.
    pub fn read(uri: &http::Uri) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| refused("/query", "is not a query string"))?;
        let mut asked = Self::default();
        let mut format = None;
        for (name, value) in pairs.0 {
            let place = match name.as_str() {
                "type" => {
                    let types = value.split(',').map(|one| one.trim().to_owned());
                    asked.filter.types.extend(types);
                    continue;
                }
                "aggregate" => &mut asked.filter.aggregate,
                "tenant" => &mut asked.filter.tenant,
                "token" => &mut asked.token,
                "last_event_id" => &mut asked.last_event_id,
                "format" => &mut format,
                _ => {
                    let name: String = name.chars().take(MAX_LENGTH).collect();
                    let known =
                        "is not known: type, aggregate, tenant, last_event_id, token, format";
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
            let told = "must be envelope, payload or cloudevents";
            asked.format = Format::read(&format).ok_or_else(|| refused("/query/format", told))?;
        }
        asked.filter = asked.filter.checked("/query")?;
        Ok(asked)
    }
}

/// Reads a position.
///
/// # Errors
/// 422, naming where it stood.
pub fn position(place: &str, text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|position| *position < u64::MAX)
        .ok_or_else(|| refused(place, "must be an id that this stream gave: a whole number"))
}

/// A position that the feed has not given.
pub(crate) fn beyond_head(head: u64) -> Problem {
    refused(
        "/header/last-event-id",
        format!("is beyond the feed's head ({head}): it was not given by this stream"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn read(query: &str) -> Result<Asked, Problem> {
        Asked::read(&format!("/api/v1/events/stream?{query}").parse().unwrap())
    }

    fn row(event_type: &str, aggregate: &str, tenant_id: Option<&str>) -> Row {
        Row {
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
}
