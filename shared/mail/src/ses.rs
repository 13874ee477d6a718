//! The mail port's adapter for Amazon SES.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sesv2::{
    Client,
    config::{self, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::send_email::SendEmailError,
    types::{Body, Content, Destination, EmailContent, Message, MessageHeader},
};
use events::EmailAddress;
use outbox::{Fault, FaultKind, chain};

use crate::{KEY_HEADER, Mail, MailKey, Mailer};

const OPERATION: &str = "ses SendEmail";

/// Sends mails through the SES API v2.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Client,
    sender: EmailAddress,
}

impl SesMailer {
    /// A mailer whose calls end within `timeout`.
    ///
    /// The SDK's own retries are off: a call whose answer was lost can have sent the mail, and the caller repeats it
    /// soon enough.
    #[must_use]
    pub fn new(sdk: &SdkConfig, sender: EmailAddress, timeout: Duration) -> Self {
        let timeouts = sdk
            .timeout_config()
            .map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
            .operation_timeout(timeout)
            .operation_attempt_timeout(timeout)
            .build();
        let config = config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        Self {
            client: Client::from_conf(config),
            sender,
        }
    }

    /// The message id that every copy of a mail refers to, so that mail programs show the copies as one conversation.
    /// No message has this id: SES gives each copy its own `Message-ID` and does not let the sender choose it.
    fn thread(&self, key: &MailKey) -> String {
        let domain = self.sender.as_str().rsplit('@').next().unwrap_or_default();
        format!("<{key}@{domain}>")
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: &Mail) -> Result<String, Fault> {
        let malformed = |error| Fault::new(FaultKind::Rejected, OPERATION, error);
        let content = |text: &str| {
            Content::builder()
                .data(text)
                .charset("UTF-8")
                .build()
                .map_err(malformed)
        };
        let header = |name: &str, value: &str| {
            MessageHeader::builder()
                .name(name)
                .value(value)
                .build()
                .map_err(malformed)
        };
        let thread = self.thread(&mail.key);
        let body = Body::builder()
            .html(content(&mail.html)?)
            .text(content(&mail.text)?)
            .build();
        let message = Message::builder()
            .subject(content(mail.subject)?)
            .body(body)
            .headers(header(KEY_HEADER, mail.key.as_str())?)
            .headers(header("References", &thread)?)
            .headers(header("In-Reply-To", &thread)?)
            .build();
        let sent = self
            .client
            .send_email()
            .from_email_address(self.sender.as_str())
            .destination(
                Destination::builder()
                    .to_addresses(mail.to.as_str())
                    .build(),
            )
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await
            .map_err(|error| fault(&error, &mail.to))?;
        Ok(sent.message_id.unwrap_or_default())
    }
}

fn fault(error: &SdkError<SendEmailError>, to: &EmailAddress) -> Fault {
    use SendEmailError as E;
    let (kind, text) = match error {
        SdkError::ServiceError(context) => {
            let refusal = context.err();
            let kind = match refusal {
                E::MessageRejected(_) | E::BadRequestException(_) => FaultKind::Rejected,
                E::TooManyRequestsException(_)
                | E::LimitExceededException(_)
                | E::SendingPausedException(_)
                | E::AccountSuspendedException(_) => FaultKind::Unavailable,
                _ => match context.raw().status().as_u16() {
                    429 | 500.. => FaultKind::Unavailable,
                    // Not permitted, the sender's domain is not verified, or a configuration is missing: an operator
                    // can fix it.
                    _ => FaultKind::Denied,
                },
            };
            let code = refusal.code().unwrap_or("no code");
            (
                kind,
                format!("{code}: {}", refusal.message().unwrap_or("no message")),
            )
        }
        other => (FaultKind::Unavailable, chain(other)),
    };
    // SES can repeat the address in its message; logs and dead letters must not contain it.
    Fault::new(kind, OPERATION, text.replace(to.as_str(), "<recipient>"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sesv2::config::{Credentials, SharedCredentialsProvider};
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
    use events::MemberId;
    use serde_json::{Value, json};

    use super::*;

    /// Gives every call the same answer and records the requests.
    #[derive(Debug, Clone)]
    struct Stub {
        status: u16,
        code: &'static str,
        body: &'static str,
        asked: Arc<Mutex<Vec<Value>>>,
    }

    impl HttpConnector for Stub {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let asked = request.body().bytes().unwrap_or_default();
            let asked = serde_json::from_slice(asked).expect("a JSON request");
            self.asked.lock().expect("unpoisoned").push(asked);
            let status = StatusCode::try_from(self.status).expect("a status");
            let mut response = HttpResponse::new(status, SdkBody::from(self.body));
            if !self.code.is_empty() {
                response.headers_mut().insert("x-amzn-errortype", self.code);
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

    fn stub(status: u16, code: &'static str, body: &'static str) -> Stub {
        Stub {
            status,
            code,
            body,
            asked: Arc::default(),
        }
    }

    async fn send(stub: &Stub) -> Result<String, Fault> {
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(stub.clone())
            .build();
        let sender = EmailAddress::new("millrace@example.com").expect("an address");
        SesMailer::new(&sdk, sender, Duration::from_secs(2))
            .send(&mail())
            .await
    }

    fn mail() -> Mail {
        Mail {
            key: MailKey::of("e-1", &MemberId::new("m-1").expect("an id"), "added"),
            to: EmailAddress::new("ada@example.com").expect("an address"),
            subject: "$CLOUD Credits Added",
            html: "<p>hé</p>".into(),
            text: "hé".into(),
        }
    }

    #[tokio::test]
    async fn a_mail_carries_both_bodies_and_its_key_in_headers_that_ses_keeps() {
        let stub = stub(200, "", r#"{"MessageId":"ses-1"}"#);
        assert_eq!(send(&stub).await.expect("sent"), "ses-1");
        let asked = stub.asked.lock().expect("unpoisoned").clone();
        let content = |data: &str| json!({"Data": data, "Charset": "UTF-8"});
        let thread = format!("<{}@example.com>", mail().key);
        assert_eq!(
            asked,
            [json!({
                "FromEmailAddress": "millrace@example.com",
                "Destination": {"ToAddresses": ["ada@example.com"]},
                "Content": {"Simple": {
                    "Subject": content("$CLOUD Credits Added"),
                    "Body": {"Html": content("<p>hé</p>"), "Text": content("hé")},
                    "Headers": [
                        {"Name": "X-Millrace-Key", "Value": mail().key.as_str()},
                        {"Name": "References", "Value": thread},
                        {"Name": "In-Reply-To", "Value": thread},
                    ],
                }},
            })]
        );
    }

    #[tokio::test]
    async fn a_failure_says_what_may_be_done_about_it_is_tried_once_and_hides_the_address() {
        for (status, code, expected) in [
            (400, "MessageRejected", FaultKind::Rejected),
            (400, "BadRequestException", FaultKind::Rejected),
            (429, "TooManyRequestsException", FaultKind::Unavailable),
            (400, "LimitExceededException", FaultKind::Unavailable),
            (400, "SendingPausedException", FaultKind::Unavailable),
            (400, "MailFromDomainNotVerifiedException", FaultKind::Denied),
            (403, "AccessDeniedException", FaultKind::Denied),
            (500, "InternalFailure", FaultKind::Unavailable),
            (503, "", FaultKind::Unavailable),
        ] {
            let stub = stub(
                status,
                code,
                r#"{"message":"Address ada@example.com is not verified"}"#,
            );
            let fault = send(&stub).await.expect_err("fails");
            assert_eq!(fault.kind, expected, "{status} {code}");
            let text = chain(&fault);
            assert!(text.contains(code), "{text} does not say {code}");
            assert!(!text.contains("ada@example.com"), "{text}");
            assert_eq!(stub.asked.lock().expect("unpoisoned").len(), 1);
        }
    }
}
