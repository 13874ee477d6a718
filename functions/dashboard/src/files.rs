//! Serves the console's static files, which are compiled into the binary.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::config::StreamAddress;

const FILES: [(&str, &str, &str); 16] = [
    (
        "index.html",
        "text/html; charset=utf-8",
        include_str!("../page/index.html"),
    ),
    (
        "acts.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/acts.js"),
    ),
    (
        "app.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/app.js"),
    ),
    (
        "consumers.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/consumers.js"),
    ),
    (
        "contracts.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/contracts.js"),
    ),
    (
        "credits.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/credits.js"),
    ),
    (
        "events.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/events.js"),
    ),
    (
        "jobs.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/jobs.js"),
    ),
    (
        "kit.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/kit.js"),
    ),
    (
        "letters.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/letters.js"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/live.js"),
    ),
    (
        "operations.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/operations.js"),
    ),
    (
        "replay.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/replay.js"),
    ),
    (
        "stream.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/stream.js"),
    ),
    (
        "webhooks.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/webhooks.js"),
    ),
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../page/style.css"),
    ),
];

/// The static files, and the policy that they are served with.
#[derive(Debug, Clone)]
pub struct Files {
    policy: HeaderValue,
}

impl Files {
    /// The files of a deployment whose stream is at this address.
    ///
    /// The policy allows only files of the page's origin and calls to it and to the stream, and nothing inline: a
    /// payload that got into the page could not run a script. With trusted types and no policy that makes them, the
    /// browser refuses to parse text as HTML at all.
    #[must_use]
    pub fn new(stream: Option<&StreamAddress>) -> Self {
        let stream = stream.map_or(String::new(), |stream| format!(" {}", stream.origin()));
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{stream}; img-src 'self' data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types 'none'"
        );
        // An address that was read from a URI is always a header's text; without it the policy is stricter.
        let strictest = HeaderValue::from_static("default-src 'none'");
        Self {
            policy: HeaderValue::from_str(&policy).unwrap_or(strictest),
        }
    }

    /// Returns a file under `/dashboard/`. The empty name is the page itself.
    #[must_use]
    pub fn file(&self, name: &str) -> Response {
        let name = if name.is_empty() { "index.html" } else { name };
        let Some((_, kind, text)) = FILES.into_iter().find(|(known, _, _)| *known == name) else {
            let text = self.headers("text/plain");
            return (StatusCode::NOT_FOUND, text, "no such file\n").into_response();
        };
        (self.headers(kind), text).into_response()
    }

    fn headers(&self, kind: &'static str) -> [(HeaderName, HeaderValue); 5] {
        let fixed = HeaderValue::from_static;
        [
            (header::CONTENT_TYPE, fixed(kind)),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
            (header::REFERRER_POLICY, fixed("no-referrer")),
            (header::CACHE_CONTROL, fixed("no-cache")),
        ]
    }
}
