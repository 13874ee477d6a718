//! Posts a body to a target.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING, UPGRADE},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

use crate::{
    GuardedResolver, Lookup, ResolveError, Rules, SystemLookup, Target, failure, resolver::Reach,
    target::Scheme,
};

/// Connections idle for longer are not reused: behind a load balancer, the endpoint's end can be gone.
const IDLE: Duration = Duration::from_secs(10);

/// The most bytes of an answer's headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The most characters of an answer that [`Answer::Answered`] repeats.
const MAX_EXCERPT_CHARS: usize = 500;

/// The longest wait that an endpoint can ask for. A longer one is shortened to this.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Headers that belong to the connection; the client sets them itself.
const OF_THE_CONNECTION: [http::HeaderName; 5] =
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE];

/// The authorities whose certificates are accepted.
#[derive(Debug, Clone, Default)]
pub enum Authorities {
    /// Those of the operating system.
    #[default]
    System,
    /// These only, for endpoints in a private network and for tests.
    Only(Vec<CertificateDer<'static>>),
}

/// The settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// What a target must fulfil. The client checks it again for each request.
    pub rules: Rules,
    /// The time limit of a request: name, connection, TLS, headers and body together.
    pub timeout: Duration,
    /// The most bytes of an answer's body that are read. The rest is not read, and the connection is closed.
    pub max_answer_bytes: usize,
    /// The authorities whose certificates are accepted.
    pub authorities: Authorities,
}

impl ClientSettings {
    /// Settings with a time limit of 15 s, as the Standard Webhooks specification recommends at least
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#request-timeouts>,
    /// read 2026-11-29), and at most 16 KiB of an answer.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            timeout: Duration::from_secs(15),
            max_answer_bytes: 16 * 1024,
            authorities: Authorities::System,
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The endpoint answered, with success or not.
    Answered {
        /// The HTTP status. Redirects are not followed: their status stands here.
        status: u16,
        /// The wait that the endpoint asks for, at most 24 hours.
        retry_after: Option<Duration>,
        /// The first 500 characters of the answer, without control characters.
        excerpt: String,
    },
    /// The URL or an address of its name may not be called. Nothing was sent.
    Refused,
    /// The whole answer did not come in time. The endpoint may have handled the request.
    TimedOut,
    /// No whole answer came. The reason is a fixed text without addresses.
    Failed(String),
}

type Http = legacy::Client<HttpConnector<GuardedResolver>, Full<Bytes>>;
type Https = legacy::Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>;

/// Posts to targets. One client serves any number of targets. Connections are kept for each host and port, and the
/// addresses of a kept connection were checked when it was made.
pub struct Client {
    http: Http,
    https: Https,
    resolver: GuardedResolver,
    settings: ClientSettings,
}

impl Client {
    /// A client that looks names up as the system does.
    ///
    /// # Errors
    /// If the system's authorities cannot be read.
    pub fn new(settings: ClientSettings) -> io::Result<Self> {
        Self::with_lookup(settings, Arc::new(SystemLookup))
    }

    /// A client with its own lookup of names.
    ///
    /// # Errors
    /// If the system's authorities cannot be read.
    pub fn with_lookup(settings: ClientSettings, lookup: Arc<dyn Lookup>) -> io::Result<Self> {
        let resolver = GuardedResolver::new(lookup, settings.rules.allowed.clone());
        let connector = |reach| {
            let mut connector = HttpConnector::new_with_resolver(resolver.clone().reaching(reach));
            connector.enforce_http(false);
            // The connector divides this among the addresses, so one dead address does not take all the time.
            connector.set_connect_timeout(Some(settings.timeout));
            connector
        };
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(MAX_HEAD_BYTES);
        let http = builder.build(connector(Reach::Additional));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&settings.authorities)?)
            .https_only()
            .enable_http1()
            .wrap_connector(connector(Reach::Allowed));
        let https = builder.build(https);
        Ok(Self {
            http,
            https,
            resolver,
            settings,
        })
    }

    /// Resolves the target's name once and checks its addresses, to refuse a wrong URL when it is registered. This
    /// does not replace the check at each connection, which [`Client::post`] makes in any case.
    ///
    /// # Errors
    /// [`ResolveError`] if the target is refused or its name is not found, in time or at all.
    pub async fn check(&self, target: &Target) -> Result<(), ResolveError> {
        if self.settings.rules.judge(target).is_err() {
            return Err(ResolveError::Refused);
        }
        let Some(name) = target.name() else {
            return Ok(());
        };
        let resolver = self.resolver.clone().reaching(match target.scheme() {
            Scheme::Http => Reach::Additional,
            Scheme::Https => Reach::Allowed,
        });
        match tokio::time::timeout(self.settings.timeout, resolver.resolve(name)).await {
            Ok(resolved) => resolved.map(|_| ()),
            Err(_) => Err(ResolveError::NotFound),
        }
    }

    /// Posts a body with these headers. Headers that belong to the connection, such as `host`, are ignored.
    pub async fn post(&self, target: &Target, headers: HeaderMap, body: Bytes) -> Answer {
        // A target can come from other rules, and the connector asks no resolver about a literal address.
        if self.settings.rules.judge(target).is_err() {
            return Answer::Refused;
        }
        let exchange = self.exchange(target, headers, body);
        match tokio::time::timeout(self.settings.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Answer::TimedOut,
        }
    }

    async fn exchange(&self, target: &Target, mut headers: HeaderMap, body: Bytes) -> Answer {
        for name in OF_THE_CONNECTION {
            headers.remove(name);
        }
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri().clone();
        *request.headers_mut() = headers;
        let response = match target.scheme() {
            Scheme::Http => self.http.request(request).await,
            Scheme::Https => self.https.request(request).await,
        };
        match response {
            Ok(response) => self.read(response).await,
            Err(error) => failure::of(&error),
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get(RETRY_AFTER);
        match beginning(body, self.settings.max_answer_bytes).await {
            Ok(body) => Answer::Answered {
                status: head.status.as_u16(),
                retry_after: retry_after.and_then(|value| wait(value, SystemTime::now())),
                excerpt: excerpt(&body),
            },
            Err(error) => failure::of(&error),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn tls(authorities: &Authorities) -> io::Result<ClientConfig> {
    use hyper_rustls::ConfigBuilderExt as _;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match authorities {
        Authorities::System => builder.with_native_roots()?,
        Authorities::Only(certificates) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots.add(certificate.clone()).map_err(io::Error::other)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}

/// The first bytes of a body, at most as many as given. The rest is left unread.
async fn beginning(mut body: Incoming, most: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = most.saturating_sub(kept.len());
        kept.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            break;
        }
    }
    Ok(kept)
}

/// The beginning of a text for a log line.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .filter_map(|char| match char {
            '\n' | '\t' => Some(' '),
            // They reorder or break the line in which they are shown.
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            char => (!char.is_control()).then_some(char),
        })
        .take(MAX_EXCERPT_CHARS)
        .collect()
}

/// The wait in a `Retry-After` header: seconds, or a date
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>).
fn wait(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = if text.is_empty() {
        return None;
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are more than a day.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_day() {
        let now = httpdate::parse_http_date("Sun, 29 Nov 2026 12:00:00 GMT").expect("a date");
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 29 Nov 2026 12:01:30 GMT", Some(90)),
            ("Sunday, 29-Nov-26 12:01:30 GMT", Some(90)),
            ("Sun Nov 29 12:01:30 2026", Some(90)),
            ("Sat, 28 Nov 2026 12:00:00 GMT", Some(0)),
            ("Fri, 29 Jan 2027 12:00:00 GMT", Some(86_400)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 29 Nov 2026", None),
        ] {
            let value = HeaderValue::from_str(text).expect("a header");
            assert_eq!(
                wait(&value, now),
                expected.map(Duration::from_secs),
                "{text}"
            );
        }
        let value = HeaderValue::from_bytes(b"\xff").expect("a header");
        assert_eq!(wait(&value, now), None);
    }

    #[test]
    fn an_excerpt_is_short_and_one_line() {
        assert_eq!(
            excerpt(b"line one\r\nline\ttwo\x1b[31m\0\xff"),
            "line one line two[31m\u{fffd}"
        );
        assert_eq!(excerpt("a\u{202e}b\u{2028}c".as_bytes()), "abc");
        let long = "\u{fc}".repeat(16 * 1024);
        assert_eq!(excerpt(long.as_bytes()).chars().count(), 500);
    }

    #[test]
    fn the_system_has_authorities_or_the_client_says_so() {
        // Machines without any are allowed to fail here, but not to panic.
        if let Err(error) = Client::new(ClientSettings::new(Rules::default())) {
            assert!(!error.to_string().is_empty());
        }
    }
}
