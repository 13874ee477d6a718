use super::*;

const ENV: &str = "export AWS_ENDPOINT_URL=http://127.0.0.1:4566
export AWS_DEFAULT_REGION=us-east-1
export AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=root
export AWS_SECRET_ACCESS_KEY='root key'
export STACK_NAME=millrace
export STACK_RESOURCES='/a checkout/.local/resources.json'
export EVENTS_TABLE=events
export MARKS_TABLE=marks
";

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("millrace-place-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    fn surroundings(&self, below: &str, variables: &[(&str, &str)]) -> Surroundings {
        let folder = self.0.join(below);
        std::fs::create_dir_all(&folder).expect("a folder");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Surroundings {
            variables: variables.iter().map(owned).collect(),
            folder,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn place(stack: Option<&str>, resources: Option<&str>, local: Option<&str>) -> Place {
    Place {
        stack: stack.map(str::to_owned),
        resources: resources.map(PathBuf::from),
        local: local.map(PathBuf::from),
        ..Place::default()
    }
}

/// The target, and the endpoint if a file names it.
fn chosen(
    place: &Place,
    given: Option<&str>,
    surroundings: &Surroundings,
) -> (Target<1>, Option<String>) {
    let given = given.map(|name| [name.to_owned()]);
    let choice = place.choose(given, ["MARKS_TABLE"], surroundings);
    let choice = choice.expect("a choice");
    let endpoint = match choice.aws {
        Aws::Environment => None,
        Aws::Local(local) => Some(local.endpoint.url),
    };
    (choice.target, endpoint)
}

fn table(name: &str) -> Target<1> {
    Target::Given([name.to_owned()])
}

fn stack(name: &str) -> Target<1> {
    Target::Stack(name.to_owned())
}

fn resources(path: &str) -> Target<1> {
    Target::Resources(path.into())
}

fn refused(place: &Place, surroundings: &Surroundings) -> String {
    let choice = place.choose(None::<[String; 0]>, [], surroundings);
    choice.expect_err("no choice").to_string()
}

#[test]
fn the_command_line_outranks_the_environment_and_both_outrank_the_file() {
    let folder = Folder::new("ranks");
    folder.write(".local/env", ENV);
    let sourced = [
        ("STACK_NAME", "sourced"),
        ("STACK_RESOURCES", "sourced.json"),
        ("MARKS_TABLE", "sourced-marks"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
    ];
    let sourced = folder.surroundings("", &sourced);
    let none = place(None, None, None);
    let named = place(Some("prod"), None, None);
    let filed = place(Some("prod"), Some("prod.json"), None);
    let both = |target| (target, None);
    assert_eq!(chosen(&none, Some("t"), &sourced), both(table("t")));
    assert_eq!(chosen(&named, Some("t"), &sourced), both(table("t")));
    assert_eq!(chosen(&named, None, &sourced), both(stack("prod")));
    assert_eq!(chosen(&filed, None, &sourced), both(resources("prod.json")));
    assert_eq!(chosen(&none, None, &sourced), both(table("sourced-marks")));

    let named_only = folder.surroundings("", &[("STACK_NAME", "other"), ("STACK_RESOURCES", "")]);
    assert_eq!(chosen(&none, None, &named_only), both(stack("other")));
    let filed_only = [("STACK_NAME", "other"), ("STACK_RESOURCES", "other.json")];
    let filed_only = folder.surroundings("", &filed_only);
    assert_eq!(
        chosen(&none, None, &filed_only),
        both(resources("other.json"))
    );
}

#[test]
fn a_stack_that_is_named_without_an_endpoint_is_in_the_real_aws() {
    let folder = Folder::new("real");
    folder.write(".local/env", ENV);
    for variables in [&[][..], &[("AWS_PROFILE", "prod")]] {
        let surroundings = folder.surroundings("", variables);
        let choice = chosen(&place(Some("prod"), None, None), None, &surroundings);
        assert_eq!(choice, (stack("prod"), None));
    }
}

#[test]
fn inside_a_checkout_the_file_of_make_up_is_used_and_the_operator_hears_of_it() {
    let folder = Folder::new("checkout");
    folder.write(".local/env", ENV);
    for below in ["", "infra/cli"] {
        let surroundings = folder.surroundings(below, &[("AWS_REGION", "eu-central-1")]);
        let choice = Place::default().choose(None::<[String; 0]>, [], &surroundings);
        let choice = choice.expect("a choice");
        let Aws::Local(local) = &choice.aws else {
            panic!("not the file's AWS: {:?}", choice.aws);
        };
        assert_eq!(
            local.endpoint,
            Endpoint {
                url: "http://127.0.0.1:4566".to_owned(),
                region: "us-east-1".to_owned(),
                access_key_id: "root".to_owned(),
                secret_access_key: "root key".to_owned(),
            }
        );
        assert_eq!(
            choice.target,
            Target::Resources("/a checkout/.local/resources.json".into())
        );
        let notice = choice.notice.expect("a notice");
        assert!(
            notice.starts_with("millrace: using the stack millrace of ")
                && notice.ends_with(".local/env")
                && !notice.contains('\n'),
            "{notice}"
        );
    }
}

#[test]
fn another_folder_is_used_if_it_is_named_whatever_the_environment_says() {
    let folder = Folder::new("named");
    folder.write(".local/env", ENV);
    let other = ENV.replace("4566", "4600").replace("STACK_RESOURCES", "X");
    folder.write(".local2/env", &other);
    let sourced = [
        ("STACK_NAME", "s"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
    ];
    let surroundings = folder.surroundings("infra", &sourced);
    let endpoint = Some("http://127.0.0.1:4600".to_owned());
    let named = place(None, None, Some(".local2"));
    assert_eq!(
        chosen(&named, None, &surroundings),
        (stack("millrace"), endpoint.clone())
    );
    let of_other_stack = place(Some("second"), None, Some(".local2"));
    assert_eq!(
        chosen(&of_other_stack, None, &surroundings),
        (stack("second"), endpoint)
    );
    let local = surroundings
        .named_file(Path::new(".local2"))
        .expect("a file");
    assert!(local.make_setting().starts_with(" LOCAL="));
    let local = surroundings
        .named_file(Path::new(".local"))
        .expect("a file");
    assert_eq!(local.make_setting(), "");

    let missing = refused(&place(None, None, Some(".local3")), &surroundings);
    assert!(missing.contains(".local3/env"), "{missing}");
}

#[test]
fn the_file_is_left_alone_while_the_environment_may_mean_a_real_account() {
    let folder = Folder::new("account");
    folder.write(".local/env", ENV);
    for variable in SELECT_AN_AWS {
        let surroundings = folder.surroundings("", &[(variable, "something")]);
        let message = refused(&Place::default(), &surroundings);
        assert!(
            message.contains(variable) && message.contains("--local .local"),
            "{message}"
        );
        let named = place(None, None, Some(".local"));
        assert!(chosen(&named, None, &surroundings).1.is_some());
    }
}

#[test]
fn a_profile_or_region_on_the_command_line_means_another_aws_than_the_file_s() {
    let folder = Folder::new("options");
    folder.write(".local/env", ENV);
    let surroundings = folder.surroundings("", &[]);
    for (option, named) in [
        (
            "--profile",
            Place {
                profile: Some("prod".to_owned()),
                ..Place::default()
            },
        ),
        (
            "--region",
            Place {
                region: Some("eu-central-1".to_owned()),
                ..Place::default()
            },
        ),
    ] {
        let message = refused(&named, &surroundings);
        assert!(message.contains(option), "{message}");
    }
}

#[test]
fn without_any_stack_the_three_ways_are_named() {
    let folder = Folder::new("nowhere");
    let surroundings = folder.surroundings("", &[]);
    let message = refused(&Place::default(), &surroundings);
    for way in ["--stack", "STACK_NAME", "source .local/env", "make up"] {
        assert!(message.contains(way), "{way} is not in: {message}");
    }
}

#[test]
fn a_file_that_make_up_did_not_write_is_named_with_what_is_wrong() {
    let folder = Folder::new("wrong");
    for (text, why) in [
        (
            ENV.replace("export STACK_NAME=millrace", ""),
            "does not set STACK_NAME",
        ),
        (
            ENV.replace("=http://127.0.0.1:4566", "="),
            "does not set AWS_ENDPOINT_URL",
        ),
        (ENV.replace("'root key'", "$KEY"), "line 5"),
    ] {
        folder.write(".local/env", &text);
        let message = refused(&Place::default(), &folder.surroundings("", &[]));
        assert!(
            message.starts_with(".local/env is not") && message.contains(why),
            "{message}"
        );
    }
}

#[test]
fn a_local_aws_that_is_gone_is_reported_with_what_to_do() {
    let folder = Folder::new("gone");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    folder.write(".local/env", &ENV.replace("http://127.0.0.1:4566", &url));
    let surroundings = folder.surroundings("", &[]);
    let choice = Place::default().choose(None::<[String; 0]>, [], &surroundings);
    let of_file = choice.expect("a choice").aws;
    let sourced = folder.surroundings("", &[("AWS_ENDPOINT_URL", &url)]);
    assert!(of_file.check_it_answers(&surroundings).is_ok());
    assert!(Aws::Environment.check_it_answers(&sourced).is_ok());
    drop(listener);
    for (aws, surroundings, named_by) in [
        (of_file, surroundings, ".local/env"),
        (Aws::Environment, sourced, "AWS_ENDPOINT_URL"),
    ] {
        let gone = aws.check_it_answers(&surroundings).expect_err("gone");
        let message = gone.to_string();
        for words in [url.as_str(), named_by, "make status", "make up"] {
            assert!(message.contains(words), "{words} is not in: {message}");
        }
    }
    // The SDK reports on an AWS that is not on this machine.
    let elsewhere = folder.surroundings("", &[("AWS_ENDPOINT_URL", "http://aws.invalid")]);
    assert!(Aws::Environment.check_it_answers(&elsewhere).is_ok());
}

#[test]
fn host_and_port_are_found_in_a_url() {
    for (url, expected) in [
        ("http://127.0.0.1:4566", "127.0.0.1:4566"),
        ("http://localhost/path", "localhost:80"),
        ("https://[::1]/", "[::1]:443"),
        ("https://[::1]:8443", "[::1]:8443"),
    ] {
        assert_eq!(authority(url), expected);
        assert!(is_loopback(url), "{url}");
    }
    assert!(!is_loopback("https://dynamodb.us-east-1.amazonaws.com"));
}

fn front(place: &Place, given: Option<&str>, surroundings: &Surroundings) -> Option<String> {
    let given = given.map(|url| [url.to_owned()]);
    let choice = place.choose(given, ["API_URL"], surroundings);
    choice.expect("a choice").api_url()
}

#[test]
fn the_api_of_a_stack_that_is_named_outranks_the_environment_s() {
    let folder = Folder::new("api");
    folder.write(
        ".local/env",
        &format!("{ENV}export API_URL=http://local\nexport API_KEY=local-key\n"),
    );
    let plain = folder.surroundings("", &[]);
    let sourced = folder.surroundings(
        "",
        &[("API_URL", "http://sourced"), ("API_KEY", "sourced-key")],
    );
    let url = |text: &str| Some(text.to_owned());
    let none = Place::default();
    let local = place(None, None, Some(".local"));
    assert_eq!(
        front(&none, Some("http://given"), &sourced),
        url("http://given")
    );
    assert_eq!(front(&local, None, &sourced), url("http://local"));
    assert_eq!(front(&none, None, &sourced), url("http://sourced"));
    assert_eq!(front(&none, None, &plain), url("http://local"));
    // These ask the stack's resources.
    for named in [
        place(Some("prod"), None, None),
        place(None, Some("prod.json"), None),
        place(Some("second"), None, Some(".local")),
    ] {
        assert_eq!(front(&named, None, &sourced), None, "{named:?}");
    }
}

#[test]
fn a_file_s_key_is_only_for_the_stack_of_the_file() {
    let folder = Folder::new("key");
    folder.write(".local/env", &format!("{ENV}export API_KEY=local-key\n"));
    let key = |place: &Place, variables: &[(&str, &str)]| {
        let surroundings = folder.surroundings("", variables);
        let choice = place.choose(None, ["API_URL"], &surroundings);
        let aws = choice.expect("a choice").aws;
        place.api_key(&aws, &surroundings)
    };
    let sourced = [("API_KEY", "sourced-key")];
    let of_prod = [("STACK_NAME", "prod")];
    let (none, local) = (Place::default(), place(None, None, Some(".local")));
    assert_eq!(key(&none, &[]).as_deref(), Some("local-key"));
    assert_eq!(key(&none, &sourced).as_deref(), Some("sourced-key"));
    assert_eq!(key(&local, &sourced).as_deref(), Some("local-key"));
    assert_eq!(key(&none, &of_prod), None);
    assert_eq!(key(&place(Some("prod"), None, None), &[]), None);
}

#[test]
fn an_api_is_below_a_local_endpoint_or_at_its_region() {
    let api = ("a1b2", "prod");
    for (endpoint, region, expected) in [
        (
            Some("http://127.0.0.1:4566/"),
            Some("us-east-1"),
            Some("http://127.0.0.1:4566/restapis/a1b2/prod/_user_request_"),
        ),
        (
            None,
            Some("eu-central-1"),
            Some("https://a1b2.execute-api.eu-central-1.amazonaws.com/prod"),
        ),
        (
            None,
            Some("cn-north-1"),
            Some("https://a1b2.execute-api.cn-north-1.amazonaws.com.cn/prod"),
        ),
        (None, None, None),
    ] {
        assert_eq!(api_url(endpoint, region, api).as_deref(), expected);
    }
}
