//! Serves the console's static files, which are compiled into the binary.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::config::StreamAddress;

/// Each file's name and text.
macro_rules! page {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../page/", $name)))),+]
    };
}

const FILES: &[(&str, &str)] = page![
    "index.html",
    "acts.js",
    "app.js",
    "consumers.js",
    "contracts.js",
    "credits.js",
    "events.js",
    "jobs.js",
    "kit.js",
    "letters.js",
    "live.js",
    "operations.js",
    "replay.js",
    "stream.js",
    "webhooks.js",
    "style.css",
];

/// The type of a file, by the end of its name.
fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    }
}

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
        let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
            let text = self.headers("text/plain");
            return (StatusCode::NOT_FOUND, text, "no such file\n").into_response();
        };
        (self.headers(kind(name)), *text).into_response()
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
