//! Event source mappings on Lambda.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::{Client, types::EventSourceMappingConfiguration};
use outbox::{Fault, FaultKind};

use crate::{Answer, Mapping, MappingState, Mappings, Polling};

const LIST: &str = "lambda ListEventSourceMappings";
const UPDATE: &str = "lambda UpdateEventSourceMapping";

/// How many pages of a function's mappings are read at most. A page has 100
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html>, read 2026-11-29), and a consumer has
/// two.
const MOST_PAGES: usize = 10;

/// Event source mappings on Lambda. Permissions: `lambda:ListEventSourceMappings`, and `lambda:UpdateEventSourceMapping` on
/// the mappings of the consumers.
///
/// Lambda allows 15 calls of this kind a second in an account and region, all callers together
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>, read 2026-11-29). What is throttled is
/// unavailable.
#[derive(Debug, Clone)]
pub struct LambdaMappings {
    client: Client,
}

impl LambdaMappings {
    /// The mappings of an account and region.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

/// A mapping in a state of <https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html>, read 2026-11-29.
/// `None` if it is being deleted.
fn read(mapping: &EventSourceMappingConfiguration) -> Option<Result<Mapping, Fault>> {
    let Some(id) = mapping.uuid() else {
        let fault = Fault::new(FaultKind::Unreadable, LIST, "a mapping without an id");
        return Some(Err(fault));
    };
    let state = match mapping.state().unwrap_or_default() {
        "Enabled" => MappingState::Enabled,
        "Disabled" => MappingState::Disabled,
        "Enabling" | "Creating" => MappingState::Enabling,
        "Disabling" => MappingState::Disabling,
        "Deleting" => return None,
        // `Updating`, and what Lambda may yet invent: a later call finds another state.
        _ => MappingState::Updating,
    };
    let id = id.to_owned();
    Some(Ok(Mapping { id, state }))
}

#[async_trait]
impl Mappings for LambdaMappings {
    async fn of(&self, function: &str) -> Result<Vec<Mapping>, Fault> {
        let (mut found, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self
                .client
                .list_event_source_mappings()
                .function_name(function)
                .set_marker(marker)
                .send()
                .await;
            let page = match page {
                Ok(page) => page,
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|refusal| refusal.is_resource_not_found_exception()) =>
                {
                    return Ok(Vec::new());
                }
                Err(error) => return Err(aws::fault(LIST)(error)),
            };
            for mapping in page.event_source_mappings() {
                found.extend(read(mapping).transpose()?);
            }
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(found);
            }
        }
        let message = format!("{function} has more than {MOST_PAGES} pages of mappings");
        Err(Fault::new(FaultKind::Unreadable, LIST, message))
    }

    async fn set(&self, id: &str, wanted: Polling) -> Result<Answer, Fault> {
        let update = self.client.update_event_source_mapping();
        let asked = update
            .uuid(id)
            .enabled(wanted == Polling::Enabled)
            .send()
            .await;
        match asked {
            Ok(_) => Ok(Answer::Accepted),
            // Another change is being made, or a deployment has replaced the mapping: both are over soon.
            Err(error)
                if error.as_service_error().is_some_and(|refusal| {
                    refusal.is_resource_in_use_exception()
                        || refusal.is_resource_conflict_exception()
                        || refusal.is_resource_not_found_exception()
                }) =>
            {
                Ok(Answer::Busy)
            }
            Err(error) => Err(aws::fault(UPDATE)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, Region, retry::RetryConfig};
    use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
    use aws_smithy_runtime_api::{
        client::{
            http::{
                HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
                SharedHttpConnector,
            },
            orchestrator::{HttpRequest, HttpResponse},
            runtime_components::RuntimeComponents,
        },
        http::StatusCode,
    };
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// Status, error code and body.
    type HttpAnswer = (u16, &'static str, &'static str);

    /// Answers calls in order and records them.
    #[derive(Debug, Clone, Default)]
    struct Stub {
        answers: Arc<Mutex<Vec<HttpAnswer>>>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl HttpConnector for Stub {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            let body = String::from_utf8_lossy(body).into_owned();
            let (method, uri) = (request.method().to_owned(), request.uri().to_owned());
            let path = uri
                .split_once(".com")
                .map_or(uri.as_str(), |(_, path)| path);
            let mut asked = self.asked.lock().expect("unpoisoned");
            asked.push(format!("{method} {path} {body}").trim_end().to_owned());
            let (status, code, body) = self.answers.lock().expect("unpoisoned").remove(0);
            let status = StatusCode::try_from(status).expect("a status");
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            if !code.is_empty() {
                response.headers_mut().insert("x-amzn-errortype", code);
            }
            HttpConnectorFuture::ready(Ok(response))
        }
    }

    impl HttpClient for Stub {
        fn http_connector(
            &self,
            _: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    fn lambda(answers: &[HttpAnswer]) -> (LambdaMappings, Stub) {
        let stub = Stub::default();
        *stub.answers.lock().expect("unpoisoned") = answers.to_vec();
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .http_client(stub.clone())
            .build();
        (LambdaMappings::new(&sdk), stub)
    }

    fn mapping(id: &str, state: MappingState) -> Mapping {
        let id = id.to_owned();
        Mapping { id, state }
    }

    #[tokio::test]
    async fn every_page_is_read_and_what_is_being_deleted_is_left_out() {
        let first = r#"{"EventSourceMappings":[{"UUID":"a","State":"Enabled"},{"UUID":"b","State":"Deleting"}],"NextMarker":"m"}"#;
        let second = r#"{"EventSourceMappings":[{"UUID":"c","State":"Disabling"},{"UUID":"d","State":"Creating"},{"UUID":"e","State":"New"}]}"#;
        let (lambda, stub) = lambda(&[(200, "", first), (200, "", second)]);
        let found = lambda.of("mill_analytics").await.expect("read");
        assert_eq!(
            found,
            [
                mapping("a", MappingState::Enabled),
                mapping("c", MappingState::Disabling),
                mapping("d", MappingState::Enabling),
                mapping("e", MappingState::Updating),
            ]
        );
        let asked = stub.asked.lock().expect("unpoisoned").clone();
        let path = "GET /2015-03-31/event-source-mappings";
        assert_eq!(asked.len(), 2);
        assert!(asked[0].starts_with(path) && asked[0].contains("FunctionName=mill_analytics"));
        assert!(asked[1].contains("Marker=m"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_change_names_the_mapping_and_nothing_but_whether_it_is_polled() {
        let (lambda, stub) = lambda(&[(202, "", "{}"), (202, "", "{}")]);
        for wanted in [Polling::Disabled, Polling::Enabled] {
            assert_eq!(
                lambda.set("a", wanted).await.expect("asked"),
                Answer::Accepted
            );
        }
        let asked = stub.asked.lock().expect("unpoisoned").clone();
        let path = "PUT /2015-03-31/event-source-mappings/a";
        assert_eq!(
            asked,
            [
                format!(r#"{path} {{"Enabled":false}}"#),
                format!(r#"{path} {{"Enabled":true}}"#)
            ]
        );
    }

    #[tokio::test]
    async fn another_change_is_no_fault_and_what_is_throttled_or_denied_is() {
        for (status, code, expected) in [
            (400, "ResourceInUseException", Ok(Answer::Busy)),
            (409, "ResourceConflictException", Ok(Answer::Busy)),
            (404, "ResourceNotFoundException", Ok(Answer::Busy)),
            (429, "TooManyRequestsException", Err(FaultKind::Unavailable)),
            (500, "ServiceException", Err(FaultKind::Unavailable)),
            (403, "AccessDeniedException", Err(FaultKind::Denied)),
            (
                400,
                "InvalidParameterValueException",
                Err(FaultKind::Rejected),
            ),
        ] {
            let (lambda, _) = lambda(&[(status, code, "{}")]);
            let answer = lambda.set("a", Polling::Disabled).await;
            assert_eq!(answer.map_err(|fault| fault.kind), expected, "{code}");
        }
        let (gone, _) = lambda(&[(404, "ResourceNotFoundException", "{}")]);
        assert_eq!(gone.of("mill_gone").await.expect("read"), []);
        let (denied, _) = lambda(&[(403, "AccessDeniedException", "{}")]);
        let fault = denied.of("mill_analytics").await.expect_err("fails");
        assert_eq!(fault.kind, FaultKind::Denied);
    }
}
