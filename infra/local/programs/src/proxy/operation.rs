//! The AWS operation of a request, derived from what every SDK sends.

use std::fmt;

use hyper::{HeaderMap, Method, header::AUTHORIZATION};

/// The header in which the JSON protocols name the operation.
const TARGET: &str = "x-amz-target";

/// An operation of a service, such as `dynamodb.PutItem`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// `dynamodb`, `sqs`, `events`, `ses`; the prefix of another service in lower case; `other` if the request does not
    /// name one.
    pub service: String,
    /// The operation as the service's documentation spells it; method and path if the request does not name one.
    pub name: String,
}

impl Operation {
    /// Reads a request's target header, or its path if the protocol is REST.
    #[must_use]
    pub fn of(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let target = headers.get(TARGET).and_then(|value| value.to_str().ok());
        if let Some((prefix, name)) = target.and_then(|target| target.split_once('.')) {
            let service = match prefix {
                "DynamoDB_20120810" => "dynamodb".to_owned(),
                "AmazonSQS" => "sqs".to_owned(),
                "AWSEvents" => "events".to_owned(),
                other => other.to_ascii_lowercase(),
            };
            return Self::new(service, name);
        }
        match path.strip_prefix("/v2/email/") {
            Some("outbound-emails") if method == Method::POST => Self::new("ses", "SendEmail"),
            Some(rest) => Self::new("ses", format!("{method} {rest}")),
            None => Self::new("other", format!("{method} {path}")),
        }
    }

    /// An operation with these names.
    pub fn new(service: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            name: name.into(),
        }
    }

    /// Whether the proxy reads the operation's bodies, which are JSON of a known shape. All other bodies pass as a
    /// stream.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.service.as_str(), "dynamodb" | "sqs" | "events" | "ses")
    }

    /// Whether this is one of these operations.
    pub(crate) fn is(&self, service: &str, names: &[&str]) -> bool {
        self.service == service && names.contains(&self.name.as_str())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.name)
    }
}

/// The caller: the access key id in the signature, or `unsigned`. On the local AWS, each function has an access key of
/// its own.
pub(crate) fn caller(headers: &HeaderMap) -> String {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once("Credential="))
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or("unsigned")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(target: Option<&'static str>, path: &str) -> String {
        let mut headers = HeaderMap::new();
        if let Some(target) = target {
            headers.insert(TARGET, target.parse().expect("a header"));
        }
        Operation::of(&Method::POST, path, &headers).to_string()
    }

    #[test]
    fn operations_are_known_by_their_target_or_path() {
        for (target, path, expected) in [
            (
                Some("DynamoDB_20120810.TransactWriteItems"),
                "/",
                "dynamodb.TransactWriteItems",
            ),
            (Some("AmazonSQS.SendMessage"), "/", "sqs.SendMessage"),
            (Some("AWSEvents.PutEvents"), "/", "events.PutEvents"),
            (
                Some("Logs_20140328.PutLogEvents"),
                "/",
                "logs_20140328.PutLogEvents",
            ),
            (None, "/v2/email/outbound-emails", "ses.SendEmail"),
            (None, "/v2/email/identities", "ses.POST identities"),
            (None, "/bucket/key", "other.POST /bucket/key"),
        ] {
            assert_eq!(operation(target, path), expected);
        }
    }

    #[test]
    fn callers_are_known_by_their_access_key() {
        let mut headers = HeaderMap::new();
        assert_eq!(caller(&headers), "unsigned");
        let value = "AWS4-HMAC-SHA256 Credential=ASIA0123/20261121/us-east-1/dynamodb/aws4_request, SignedHeaders=host";
        headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        assert_eq!(caller(&headers), "ASIA0123");
    }
}
