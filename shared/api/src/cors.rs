//! Which web pages are allowed to call the API from a browser: those of the origins in the setting `CORS_ORIGINS`, by
//! default none.
//!
//! This is not access control; the API key is. CORS only lets a browser pass answers to a page that already has a key.

use axum::Router;
use http::{HeaderName, HeaderValue, Method, header};
use outbox::env::{Env, SettingError, wrong};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The name of the setting.
const KEY: &str = "CORS_ORIGINS";

/// How long a browser caches the permission.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// The origins whose pages are allowed to call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// Reads `CORS_ORIGINS`: origins separated by commas, `https://app.example,http://localhost:5173`. Empty means
    /// none.
    ///
    /// # Errors
    /// [`SettingError`] if an entry is not an origin. An origin is scheme, host and optionally a port, without a path.
    /// `*` is not allowed.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let text = env.optional(KEY).unwrap_or_default();
        let named = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let origins = named.map(|one| {
            origin(one).ok_or_else(|| {
                wrong(
                    KEY,
                    "origins separated by commas: https://app.example,http://localhost:5173",
                )
            })
        });
        Ok(Self {
            origins: origins.collect::<Result<_, _>>()?,
        })
    }

    /// Wraps the router so that it answers preflight requests and adds the CORS headers.
    pub fn around(&self, router: Router) -> Router {
        if self.origins.is_empty() {
            return router;
        }
        let custom = HeaderName::from_static;
        router.layer(
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(self.origins.clone()))
                .allow_methods([
                    Method::GET,
                    Method::POST,
                    Method::PUT,
                    Method::PATCH,
                    Method::DELETE,
                ])
                .allow_headers([
                    header::ACCEPT,
                    header::AUTHORIZATION,
                    header::CONTENT_TYPE,
                    custom("idempotency-key"),
                    custom("last-event-id"),
                    custom("traceparent"),
                    custom("x-correlation-id"),
                    custom("x-session-id"),
                    custom("x-tenant-id"),
                    custom("x-user-id"),
                ])
                .expose_headers([
                    header::LINK,
                    header::RETRY_AFTER,
                    custom("idempotency-replayed"),
                    custom("x-correlation-id"),
                ])
                .max_age(GOOD_FOR),
        )
    }
}

/// An origin as a browser sends it (<https://www.rfc-editor.org/rfc/rfc6454#section-6.2>).
fn origin(text: &str) -> Option<HeaderValue> {
    let uri: http::Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let bare = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    let is_bare = text == bare && !text.contains('@') && text == text.to_ascii_lowercase();
    (is_web && is_bare).then(|| HeaderValue::from_str(text).ok())?
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        routing::{get, post},
    };
    use http::{Request, StatusCode};
    use tower::ServiceExt as _;

    use super::*;

    fn of(origins: &'static str) -> Result<Cors, SettingError> {
        Cors::from_env(&Env::of([(KEY, origins)]))
    }

    async fn asked(origins: &'static str, method: Method, origin: &str) -> (StatusCode, String) {
        let router = Router::new()
            .route("/get", get(|| async { "here" }))
            .route("/post", post(|| async { "done" }));
        let request = Request::builder()
            .uri("/get")
            .method(method)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header(
                "access-control-request-headers",
                "authorization,idempotency-key",
            )
            .body(Body::empty())
            .expect("a request");
        let router = of(origins).expect("origins").around(router);
        let Ok(answer) = router.oneshot(request).await;
        let allowed = answer.headers().get("access-control-allow-origin");
        let allowed = allowed.map_or("", |value| value.to_str().expect("text"));
        (answer.status(), allowed.to_owned())
    }

    #[tokio::test]
    async fn a_named_origin_may_call_and_no_other() {
        const BOTH: &str = "https://app.example, http://localhost:5173";
        for origin in ["https://app.example", "http://localhost:5173"] {
            for method in [Method::OPTIONS, Method::GET] {
                let answer = asked(BOTH, method, origin).await;
                assert_eq!(answer, (StatusCode::OK, origin.to_owned()));
            }
        }
        for (origins, origin) in [(BOTH, "https://evil.example"), ("", "https://app.example")] {
            for method in [Method::OPTIONS, Method::GET] {
                assert_eq!(asked(origins, method, origin).await.1, "", "{origin}");
            }
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        assert_eq!(of(""), Ok(Cors::default()));
        for wrong in [
            "*",
            "app.example",
            "https://app.example/",
            "https://app.example/page",
            "https://App.example",
            "ftp://app.example",
            "https://ada@app.example",
            "https://a.example,,https://b.example/x",
        ] {
            let error = of(wrong).expect_err(wrong);
            assert!(error.to_string().contains(KEY), "{wrong}: {error}");
        }
    }
}
