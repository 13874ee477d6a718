//! Serves the dashboard's static files, which are compiled into the binary.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};

/// Allows only files of this origin, and nothing inline: a payload that got into the page could not run a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FILES: [(&str, &str, &str); 3] = [
    (
        "index.html",
        "text/html; charset=utf-8",
        include_str!("../dashboard/index.html"),
    ),
    (
        "app.js",
        "text/javascript; charset=utf-8",
        include_str!("../dashboard/app.js"),
    ),
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../dashboard/style.css"),
    ),
];

/// Returns a file under `/dashboard/`. The empty name is the page itself.
#[must_use]
pub fn file(name: &str) -> Response {
    let name = if name.is_empty() { "index.html" } else { name };
    let Some((_, kind, text)) = FILES.into_iter().find(|(known, _, _)| *known == name) else {
        return (
            StatusCode::NOT_FOUND,
            headers("text/plain"),
            "no such file\n",
        )
            .into_response();
    };
    (headers(kind), text).into_response()
}

fn headers(kind: &'static str) -> [(HeaderName, &'static str); 5] {
    [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ]
}
