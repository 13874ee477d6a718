//! A few signed AWS calls without an SDK crate. Tests need one or two operations of CloudFormation, IAM and CloudWatch
//! Logs, and the SDK crates of these services would double the build time.

use std::{collections::HashMap, time::SystemTime};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use serde_json::Value;

use crate::stack::BoxError;

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// Its type, such as `AWS::SQS::Queue`.
    pub kind: String,
    /// The id that the service uses: the name of a table, function, role or bus, the URL of a queue, the id of a key.
    pub physical_id: String,
}

/// Signs and sends.
#[derive(Debug, Clone)]
pub struct SignedCalls {
    http: reqwest::Client,
    endpoint: String,
    region: String,
    credentials: Credentials,
}

impl SignedCalls {
    pub(crate) fn new(
        http: reqwest::Client,
        endpoint: String,
        region: String,
        credentials: Credentials,
    ) -> Self {
        Self {
            http,
            endpoint,
            region,
            credentials,
        }
    }

    /// Calls an operation of a Query-protocol service. The response is XML.
    ///
    /// # Errors
    /// The service's message, on any status but 2xx.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, BoxError> {
        let mut form: Vec<(&str, &str)> = vec![("Action", action), ("Version", version)];
        form.extend_from_slice(parameters);
        let body = form
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(service, reqwest::Method::POST, "", &headers, body)
            .await
    }

    /// Calls an operation of a JSON-protocol service.
    ///
    /// # Errors
    /// The service's message, on any status but 2xx.
    pub async fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value, BoxError> {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        let text = self
            .send(
                service,
                reqwest::Method::POST,
                "",
                &headers,
                body.to_string(),
            )
            .await?;
        Ok(if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)?
        })
    }

    /// The resources of a stack, by their logical ids.
    ///
    /// # Errors
    /// When there is no such stack, or a resource is listed without id or type.
    pub async fn stack_resources(
        &self,
        stack: &str,
    ) -> Result<HashMap<String, StackResource>, BoxError> {
        let mut resources = HashMap::new();
        let mut token: Option<String> = None;
        loop {
            let mut parameters = vec![("StackName", stack)];
            parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
            let action = "ListStackResources";
            let xml = self
                .query("cloudformation", "2010-05-15", action, &parameters)
                .await?;
            for member in between(&xml, "<member>", "</member>") {
                let field = |name: &str| {
                    between(&member, &format!("<{name}>"), &format!("</{name}>"))
                        .pop()
                        .ok_or_else(|| {
                            format!("stack {stack}: a resource without {name}: {member}")
                        })
                };
                let resource = StackResource {
                    kind: field("ResourceType")?,
                    physical_id: field("PhysicalResourceId")?,
                };
                resources.insert(field("LogicalResourceId")?, resource);
            }
            token = between(&xml, "<NextToken>", "</NextToken>").pop();
            if token.is_none() {
                return Ok(resources);
            }
        }
    }

    /// Invokes a function without waiting for its response, as a schedule does.
    ///
    /// # Errors
    /// The service's message.
    pub async fn start(&self, function: &str) -> Result<(), BoxError> {
        self.start_with(function, &serde_json::json!({})).await
    }

    /// The same with an event.
    ///
    /// # Errors
    /// The service's message.
    pub async fn start_with(&self, function: &str, event: &Value) -> Result<(), BoxError> {
        let path = format!("2015-03-31/functions/{function}/invocations");
        let headers = [("x-amz-invocation-type", "Event")];
        self.send(
            "lambda",
            reqwest::Method::POST,
            &path,
            &headers,
            event.to_string(),
        )
        .await
        .map(drop)
    }

    async fn configuration(&self, function: &str) -> Result<Value, BoxError> {
        let path = format!("2015-03-31/functions/{function}/configuration");
        let text = self
            .send("lambda", reqwest::Method::GET, &path, &[], String::new())
            .await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// A function's ARN, as a rule's target names it.
    ///
    /// # Errors
    /// The service's message.
    pub async fn function_arn(&self, function: &str) -> Result<String, BoxError> {
        let configuration = self.configuration(function).await?;
        let arn = configuration["FunctionArn"].as_str();
        Ok(arn.ok_or("a function without ARN")?.to_owned())
    }

    /// The groups that have the lines of a function: its own, and Lambda's default, to which LocalStack writes whatever
    /// group the function has.
    async fn log_groups(&self, function: &str) -> Result<Vec<String>, BoxError> {
        let default = format!("/aws/lambda/{function}");
        let configuration = self.configuration(function).await?;
        let Some(own) = configuration["LoggingConfig"]["LogGroup"].as_str() else {
            return Ok(vec![default]);
        };
        let body = serde_json::json!({ "logGroupNamePrefix": default });
        let there = self
            .json("logs", "Logs_20140328.DescribeLogGroups", &body)
            .await?;
        let mut there = there["logGroups"].as_array().into_iter().flatten();
        let has_default =
            own != default && there.any(|group| group["logGroupName"] == default.as_str());
        let mut groups = vec![own.to_owned()];
        groups.extend(has_default.then_some(default));
        Ok(groups)
    }

    /// What a function logged since a moment, one line for each entry.
    ///
    /// # Errors
    /// The service's message.
    pub async fn logs(
        &self,
        function: &str,
        since_unix_millis: i64,
    ) -> Result<Vec<String>, BoxError> {
        let mut lines = Vec::new();
        for group in self.log_groups(function).await? {
            lines.extend(self.lines_of(&group, since_unix_millis).await?);
        }
        Ok(lines)
    }

    async fn lines_of(&self, group: &str, since_unix_millis: i64) -> Result<Vec<String>, BoxError> {
        let mut lines = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut body = serde_json::json!({
                "logGroupName": group, "startTime": since_unix_millis
            });
            if !token.is_null() {
                body["nextToken"] = token.clone();
            }
            let answer = self
                .json("logs", "Logs_20140328.FilterLogEvents", &body)
                .await?;
            let messages = answer["events"].as_array().into_iter().flatten();
            lines.extend(
                messages
                    .filter_map(|event| event["message"].as_str())
                    .map(str::to_owned),
            );
            if answer["nextToken"].is_null() || answer["nextToken"] == token {
                return Ok(lines);
            }
            token = answer["nextToken"].clone();
        }
    }

    /// Invokes a function and waits for its response.
    ///
    /// # Errors
    /// The function's message if it failed, or the service's message if it was not invoked.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, BoxError> {
        let path = format!("2015-03-31/functions/{function}/invocations");
        let headers = [("content-type", "application/json")];
        let text = self
            .send(
                "lambda",
                reqwest::Method::POST,
                &path,
                &headers,
                event.to_string(),
            )
            .await?;
        let answer: Value = serde_json::from_str(&text)?;
        match answer["errorMessage"].as_str() {
            Some(message) => Err(message.into()),
            None => Ok(answer),
        }
    }

    /// A role's inline policy.
    ///
    /// # Errors
    /// The service's message.
    pub async fn role_policy(&self, role: &str, policy: &str) -> Result<Value, BoxError> {
        let parameters = [("RoleName", role), ("PolicyName", policy)];
        let xml = self
            .query("iam", "2010-05-08", "GetRolePolicy", &parameters)
            .await?;
        let document = between(&xml, "<PolicyDocument>", "</PolicyDocument>")
            .pop()
            .ok_or("no policy document")?;
        Ok(serde_json::from_str(&decode(&document))?)
    }

    /// The names of a role's inline policies.
    ///
    /// # Errors
    /// The service's message.
    pub async fn role_policies(&self, role: &str) -> Result<Vec<String>, BoxError> {
        let xml = self
            .query(
                "iam",
                "2010-05-08",
                "ListRolePolicies",
                &[("RoleName", role)],
            )
            .await?;
        let names = between(&xml, "<PolicyNames>", "</PolicyNames>")
            .pop()
            .unwrap_or_default();
        Ok(between(&names, "<member>", "</member>"))
    }

    /// Writes a role's inline policy.
    ///
    /// # Errors
    /// The service's message.
    pub async fn put_role_policy(
        &self,
        role: &str,
        policy: &str,
        document: &Value,
    ) -> Result<(), BoxError> {
        let text = document.to_string();
        let parameters = [
            ("RoleName", role),
            ("PolicyName", policy),
            ("PolicyDocument", text.as_str()),
        ];
        self.query("iam", "2010-05-08", "PutRolePolicy", &parameters)
            .await
            .map(drop)
    }

    async fn send(
        &self,
        service: &str,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<String, BoxError> {
        let url = format!("{}/{path}", self.endpoint.trim_end_matches('/'));
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signable = SignableRequest::new(
            method.as_str(),
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let mut request = self.http.request(method.clone(), &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if status.is_success() {
            Ok(text)
        } else {
            Err(format!("{service}: {status}: {text}").into())
        }
    }
}

fn between(text: &str, open: &str, close: &str) -> Vec<String> {
    let parts = text.split(open).skip(1);
    parts
        .filter_map(|part| part.split_once(close))
        .map(|(inside, _)| unescape(inside))
        .collect()
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = (*first == b'%').then(|| others.get(..2)).flatten();
        let parsed = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = parsed {
            bytes.push(byte);
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
