//! The format in which events are returned: as Millrace's envelopes, or as CloudEvents.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use events::{Envelope, Registry, cloudevents};
use http::{HeaderValue, Uri, header, request::Parts};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use crate::{
    Problem, Reply,
    routes::{Input, Operation, Output},
};

/// The format that the `Accept` header asks for, and the address that the link to the next page is built from.
#[derive(Debug, Clone)]
pub struct Form {
    is_cloudevent: bool,
    uri: Uri,
}

impl<S: Sync> FromRequestParts<S> for Form {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let accepted = parts.headers.get_all(header::ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let mut ranges = accepted.flat_map(|value| value.split(','));
        let wanted = |range: &str| {
            let media = range.split(';').next().unwrap_or_default().trim();
            [cloudevents::MEDIA_TYPE, cloudevents::BATCH_MEDIA_TYPE]
                .iter()
                .any(|one| media.eq_ignore_ascii_case(one))
        };
        Ok(Self {
            is_cloudevent: ranges.any(wanted),
            uri: parts.uri.clone(),
        })
    }
}

impl Input for Form {
    fn describe(_: &mut Operation) {}
}

impl Form {
    /// Answers with one event; `json` is its text.
    ///
    /// # Errors
    /// [`Problem`] if the text cannot be read as an envelope.
    pub fn one(&self, json: String) -> Result<OneEvent, Problem> {
        if !self.is_cloudevent {
            return Ok(OneEvent {
                media: "application/json",
                body: json,
            });
        }
        Ok(OneEvent {
            media: cloudevents::MEDIA_TYPE,
            body: as_cloudevent(&json)?.get().to_owned(),
        })
    }

    /// Answers with a page of events: `page` itself, or, as CloudEvents, a list of these `envelopes` and a link to the
    /// next page.
    ///
    /// # Errors
    /// [`Problem`] if an envelope cannot be read or the page cannot be serialised.
    pub fn page<'e, P: Serialize>(
        &self,
        page: &P,
        envelopes: impl IntoIterator<Item = &'e str>,
        next_cursor: Option<&str>,
    ) -> Result<Events<P>, Problem> {
        if !self.is_cloudevent {
            return Ok(Events::Page(Reply::of(page)?));
        }
        let all = envelopes.into_iter().map(as_cloudevent);
        let all = all.collect::<Result<Vec<_>, _>>()?;
        Ok(Events::Batch {
            body: serde_json::to_string(&all).map_err(|error| Problem::internal(&error))?,
            link: next_cursor.and_then(|cursor| self.link(cursor)),
        })
    }

    /// The address of the next page, relative to this one's (<https://www.rfc-editor.org/rfc/rfc8288>).
    fn link(&self, cursor: &str) -> Option<HeaderValue> {
        let query = self.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        let next = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.filter(|(name, _)| name != "cursor"))
            .append_pair("cursor", cursor)
            .finish();
        HeaderValue::from_str(&format!("<?{next}>; rel=\"next\"")).ok()
    }
}

fn as_cloudevent(json: &str) -> Result<Box<RawValue>, Problem> {
    let envelope = Registry::read(json).map_err(|error| Problem::internal(&error))?;
    envelope
        .to_cloudevent()
        .map_err(|error| Problem::internal(&error))
}

/// An answer with one event.
#[derive(Debug, Clone)]
pub struct OneEvent {
    media: &'static str,
    body: String,
}

impl IntoResponse for OneEvent {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, self.media)], self.body).into_response()
    }
}

impl Output for OneEvent {
    fn describe(operation: &mut Operation) {
        operation.answers::<Envelope>(200);
        operation.also(200, cloudevents::MEDIA_TYPE, &cloudevent_schema());
    }
}

/// An answer with a page of events.
#[derive(Debug)]
pub enum Events<P> {
    /// The endpoint's own format.
    Page(Reply<P>),
    /// A list of CloudEvents.
    Batch {
        /// The list.
        body: String,
        /// The `Link` header that points to the next page.
        link: Option<HeaderValue>,
    },
}

impl<P> IntoResponse for Events<P> {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => page.into_response(),
            Self::Batch { body, link } => {
                let media = [(header::CONTENT_TYPE, cloudevents::BATCH_MEDIA_TYPE)];
                let mut response = (media, body).into_response();
                if let Some(link) = link {
                    response.headers_mut().insert(header::LINK, link);
                }
                response
            }
        }
    }
}

impl<P: JsonSchema> Output for Events<P> {
    fn describe(operation: &mut Operation) {
        operation.answers::<P>(200);
        let list = json!({ "type": "array", "items": cloudevent_schema() });
        operation.also(200, cloudevents::BATCH_MEDIA_TYPE, &list);
    }
}

fn cloudevent_schema() -> serde_json::Value {
    json!({
        "type": "object",
        "description": "A CloudEvent 1.0 (https://cloudevents.io).",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "type": "string", "const": "1.0" },
            "id": { "type": "string" },
            "source": { "type": "string" },
            "type": { "type": "string" },
            "data": { "type": "object" },
        },
    })
}
