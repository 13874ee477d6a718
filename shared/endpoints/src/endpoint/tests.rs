//! The rules of endpoints, and the way back from their events.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use domain::{
    rebuild,
    testing::{Log, at, number},
};

use super::*;

fn by() -> By {
    By {
        actor: Some(Text::new("ada").expect("a user")),
        key_owner: Text::new("on-call").expect("an owner"),
    }
}

fn url(host: &str) -> CheckedUrl {
    CheckedUrl {
        url: format!("https://{host}/token-in-the-path"),
        origin: Text::new(format!("https://{host}")).expect("a text"),
    }
}

fn created() -> Change {
    let new = New {
        webhook_id: "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4aa0"
            .parse()
            .expect("an id"),
        url: url("a.example"),
        secret: Secret::new([1; 32]),
        selection: WebhookSelection::default(),
        in_order: false,
        description: None,
    };
    Endpoint::create(new, by(), number(1), at(1))
}

fn recorded(endpoint: &Endpoint) -> Endpoint {
    // What no event states.
    Endpoint {
        url: String::new(),
        secrets: Vec::new(),
        ..endpoint.clone()
    }
}

#[test]
fn an_endpoint_can_be_rebuilt_from_its_events_but_for_url_and_secrets() {
    let mut log = Log::default();
    let mut state = created();
    let mut step = 1;
    let mut check = |change: &Change, step: u64| {
        log.append([change.event.draft().expect("a draft")], at(step));
        let rebuilt = rebuild::<Endpoint>(&log.0)
            .expect("follows")
            .expect("events");
        assert_eq!(recorded(&rebuilt.state), recorded(&change.state));
        assert_eq!(rebuilt.version, number(step));
        assert!(log.names_every_fact_once());
        let text = format!("{:?}", log.0);
        assert!(!text.contains("token-in-the-path") && !text.contains("whsec_"));
    };
    check(&state, step);
    let patches = [
        Patch {
            url: Some(url("b.example")),
            in_order: Some(true),
            ..Patch::default()
        },
        Patch {
            secret: Some(Secret::new([2; 32])),
            ..Patch::default()
        },
        Patch {
            status: Some(WebhookStatus::Disabled),
            reason: Some(Text::new("The shop moves.").expect("a text")),
            ..Patch::default()
        },
        Patch {
            status: Some(WebhookStatus::Enabled),
            ..Patch::default()
        },
    ];
    for patch in patches {
        step += 1;
        let before = state.state.clone();
        state = before
            .change(patch, by(), number(step), at(step))
            .expect("allowed");
        check(&state, step);
    }
    step += 1;
    let error = || Text::new("status 500").expect("a text");
    let now = at(step);
    let since = Timestamp::from_unix_millis(now.unix_millis() - 2 * 86_400_000).expect("a moment");
    state = state
        .state
        .failed(since, 0, false, error(), number(step), now)
        .expect("a warning");
    assert!(matches!(state.event, Event::Failing(_)));
    check(&state, step);
    assert!(
        state
            .state
            .failed(since, 1, false, error(), number(step + 1), now)
            .is_none(),
        "warned already"
    );
    step += 1;
    state = state
        .state
        .failed(since, 1, true, error(), number(step), at(step))
        .expect("gone");
    assert_eq!(state.state.status(), EndpointStatus::Disabled);
    check(&state, step);
    step += 1;
    state = state
        .state
        .remove(by(), number(step), at(step))
        .expect("removed");
    assert!(state.state.is_removed() && state.state.url().is_empty());
    check(&state, step);
    let again = state.state.remove(by(), number(step + 1), at(step + 1));
    assert_eq!(again, Err(Refusal::Unknown));
    let changed = state.state.change(Patch::default(), by(), number(9), at(9));
    assert_eq!(changed, Err(Refusal::Unknown));
}

#[test]
fn two_secrets_are_used_for_a_day_after_a_rotation_and_one_afterwards() {
    let endpoint = created().state;
    let rotated = |endpoint: &Endpoint, byte: u8, step: u64| {
        let patch = Patch {
            secret: Some(Secret::new([byte; 32])),
            ..Patch::default()
        };
        let change = endpoint.change(patch, by(), number(step), at(step));
        change.expect("allowed").state
    };
    let texts = |endpoint: &Endpoint, now: Timestamp| -> Vec<String> {
        let secrets = endpoint.secrets(now).expect("readable").into_iter();
        secrets.map(|secret| secret.expose()).collect()
    };
    let secret = |byte: u8| Secret::new([byte; 32]).expose();
    let second = rotated(&endpoint, 2, 2);
    assert_eq!(texts(&second, at(3)), [secret(2), secret(1)]);
    let later = at(2).plus(OLD_SECRET_LIFE);
    assert_eq!(texts(&second, later), [secret(2)]);
    assert_eq!(second.old_secret_until(at(3)), Some(later));
    assert_eq!(second.old_secret_until(later), None);
    let third = rotated(&second, 3, 3);
    assert_eq!(texts(&third, at(4)), [secret(3), secret(2)]);
}

#[test]
fn nothing_changed_and_a_status_that_it_has_are_refused() {
    let endpoint = created().state;
    let nothing = endpoint.change(Patch::default(), by(), number(2), at(2));
    assert_eq!(nothing, Err(Refusal::Nothing));
    let patch = Patch {
        status: Some(WebhookStatus::Enabled),
        ..Patch::default()
    };
    let refused = endpoint.change(patch, by(), number(2), at(2));
    assert!(matches!(refused, Err(Refusal::Illegal(_))), "{refused:?}");
}

#[test]
fn warnings_come_after_one_and_three_days_and_the_end_after_five() {
    let endpoint = created().state;
    let (now, day) = (at(100 * 86_400), 86_400_000);
    let after = |days: i64, warned: usize| {
        let since = Timestamp::from_unix_millis(now.unix_millis() - days * day).expect("a moment");
        let error = Text::new("no answer in time").expect("a text");
        let change = endpoint.failed(since, warned, false, error, number(2), now);
        change.map(|change| match change.event {
            Event::Failing(_) => "failing",
            Event::Disabled(_) => "disabled",
            _ => "other",
        })
    };
    assert_eq!(
        [after(0, 0), after(1, 1), after(2, 1), after(4, 2)],
        [None; 4]
    );
    assert_eq!(
        [after(1, 0), after(3, 1), after(4, 0)],
        [Some("failing"); 3]
    );
    assert_eq!([after(5, 2), after(9, 0)], [Some("disabled"); 2]);
}
