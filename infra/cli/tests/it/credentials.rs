//! The kinds of credentials that the AWS CLI takes, as an operator has them: in the files of `~/.aws`. A stub stands in
//! for the stack, a listener for IAM Identity Center.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::PathBuf,
    process::Output,
    sync::mpsc,
    time::Duration,
};

use outbox::Table;
use testkit::dynamo_stub::DynamoStub;

const RESOURCES: &str = r#"{ "StackResourceSummaries": [
    { "LogicalResourceId": "MarksTable", "PhysicalResourceId": "marks", "ResourceType": "AWS::DynamoDB::Table" } ] }"#;

/// What a `credential_process` prints
/// (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sourcing-external.html>, read 2026-11-29).
const OF_PROCESS: &str = r#"{ "Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "secret", "SessionToken": "token" }"#;

/// The session of `aws sso login` with an access token that is still valid. The file is named after the SHA-1 of the
/// session's name, `company`.
const SSO_CACHE: &str = ".aws/sso/cache/71b21161ffa1e6516bcc072aaf5ef38cbe85b511.json";
const SSO_SESSION: &str = r#"{ "accessToken": "of-the-portal", "expiresAt": "2099-01-01T00:00:00Z", "region": "eu-central-1",
    "startUrl": "https://company.awsapps.com/start" }"#;

/// The session of `aws login`. The file is named after the SHA-256 of the session's ARN.
const LOGIN_CACHE: &str =
    ".aws/login/cache/dbcf04d3d9e2e4ad3b8ce63fed0dd7f23001582361741f451a6c9028137732bc.json";
const LOGIN_SESSION: &str = r#"{ "accessToken": { "accessKeyId": "AKIALOGIN", "secretAccessKey": "secret", "sessionToken": "token",
    "accountId": "123456789012", "expiresAt": "2099-01-01T00:00:00Z" }, "tokenType": "aws_sigv4", "refreshToken": "refresh",
    "clientId": "arn:aws:signin:::devtools/same-device", "dpopKey": "not used before the token ends" }"#;

/// An operator's home folder. It goes when this is dropped.
struct Home(PathBuf);

impl Home {
    fn new(name: &str, config: &str) -> Self {
        let name = format!("millrace credentials {name} {}", std::process::id());
        let home = Self(std::env::temp_dir().join(name));
        home.write("resources.json", RESOURCES);
        home.write(".aws/config", config);
        home
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    /// Asks for a job of the stub's stack, with nothing in the environment but home, path and these variables.
    async fn jobs(
        &self,
        stub: &DynamoStub,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(["jobs", "audit-anchor", "--resources", "resources.json"])
            .args(options)
            .env_clear()
            .env("HOME", &self.0)
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_DYNAMODB", stub.endpoint())
            .envs(variables.iter().copied())
            .current_dir(&self.0)
            .output()
            .await
            .expect("it runs")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn stub() -> DynamoStub {
    DynamoStub::start([&Table::marks("marks")], Duration::ZERO, None).expect("a stub")
}

fn assert_it_called_the_stack(ended: &Output) {
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{err}");
    let out = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(
        out, "audit-anchor: never ran, or never had anything to do\n",
        "{err}"
    );
}

#[tokio::test]
async fn a_profile_s_own_program_gives_credentials_and_the_profile_its_region() {
    let stub = stub();
    let config = "[profile ops]\nregion = eu-central-1\ncredential_process = sh -c 'echo used >> asked; cat of-process.json'\n";
    let home = Home::new("process", config);
    home.write("of-process.json", OF_PROCESS);
    let ended = home.jobs(&stub, &["--profile", "ops"], &[]).await;
    assert_it_called_the_stack(&ended);
    let ended = home.jobs(&stub, &[], &[("AWS_PROFILE", "ops")]).await;
    assert_it_called_the_stack(&ended);
    // A profile on the command line outranks credentials in the environment.
    std::fs::remove_file(home.0.join("asked")).expect("it was asked");
    let others = [
        ("AWS_ACCESS_KEY_ID", "AKIAOTHER"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let ended = home.jobs(&stub, &["--profile", "ops"], &others).await;
    assert_it_called_the_stack(&ended);
    assert!(home.0.join("asked").exists());
}

#[tokio::test]
async fn a_region_on_the_command_line_is_used_where_none_is_configured() {
    let stub = stub();
    let home = Home::new(
        "region",
        "[profile ops]\ncredential_process = cat of-process.json\n",
    );
    home.write("of-process.json", OF_PROCESS);
    let ended = home.jobs(&stub, &["--profile", "ops"], &[]).await;
    assert_eq!(ended.status.code(), Some(1));
    let options = ["--profile", "ops", "--region", "eu-central-1"];
    assert_it_called_the_stack(&home.jobs(&stub, &options, &[]).await);
}

#[tokio::test]
async fn a_session_of_iam_identity_center_gives_credentials() {
    let stub = stub();
    let config = "[profile ops]\nregion = eu-central-1\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Ops\n\
        [sso-session company]\nsso_region = eu-central-1\nsso_start_url = https://company.awsapps.com/start\n";
    let home = Home::new("sso", config);
    home.write(SSO_CACHE, SSO_SESSION);
    let portal = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", portal.local_addr().expect("an address"));
    let (asked, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for mut call in portal.incoming().flatten() {
            let mut request = [0; 4096];
            let read = call.read(&mut request).unwrap_or_default();
            let body = r#"{"roleCredentials":{"accessKeyId":"AKIASSO","secretAccessKey":"s","sessionToken":"t","expiration":4070908800000}}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let answered = call.write_all(answer.as_bytes()).is_ok();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            if !answered || asked.send(request).is_err() {
                return;
            }
        }
    });
    let variables = [("AWS_ENDPOINT_URL_SSO", url.as_str())];
    let ended = home.jobs(&stub, &["--profile", "ops"], &variables).await;
    assert_it_called_the_stack(&ended);
    let request = requests
        .recv_timeout(Duration::from_secs(10))
        .expect("the portal was asked");
    assert!(
        request.contains("of-the-portal") && request.contains("role_name=Ops"),
        "{request}"
    );
}

#[tokio::test]
async fn a_session_of_aws_login_gives_credentials() {
    let stub = stub();
    let config = "[profile ops]\nregion = eu-central-1\nlogin_session = arn:aws:sts::123456789012:assumed-role/Ops/ada\n";
    let home = Home::new("login", config);
    home.write(LOGIN_CACHE, LOGIN_SESSION);
    let ended = home.jobs(&stub, &["--profile", "ops"], &[]).await;
    assert_it_called_the_stack(&ended);
}
