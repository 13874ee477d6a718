//! Tests leases: they hold across instances, whatever opens at the same time.

use std::{sync::Arc, time::Duration};

use aws::DynamoStore;
use event_stream::{
    hub::Full,
    leases::{Lease, Leases, Limits, NoPlace},
};
use events::Registry;
use futures::future::join_all;
use http::StatusCode;
use outbox::{Clock, Outbox, Store, SystemClock, Table, memory::MemoryStore};
use testkit::{TestClock, dynamo_stub::DynamoStub, service::YieldingStore};

use crate::http::{STREAM, Service};

const LIFE: Duration = Duration::from_secs(55);
const LIMITS: Limits = Limits {
    of_stack: 7,
    of_key: 3,
};

/// The leases as one instance has them.
fn instance(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Leases {
    let registry = Arc::new(Registry::shipped());
    let outbox = Outbox::for_guards(Arc::clone(store), Arc::clone(clock), registry);
    Leases::new(outbox, Table::domain("leases"), LIMITS)
}

/// Opens 40 streams at the same time, of four keys, each on an instance of its own, and again after all leases are
/// over. More than a limit must never be open; what is refused is refused for a full key or stack.
async fn raced(store: Arc<dyn Store>, clock: Arc<dyn Clock>, over: impl AsyncFn()) {
    for round in 0..3 {
        let opening = (0..40).map(|number| {
            let leases = instance(&store, &clock);
            async move {
                let key = format!("key-{}", number % 4);
                (key.clone(), leases.take(&key, LIFE).await)
            }
        });
        let opened = join_all(opening).await;
        let of = |key: &str| {
            let ours = opened.iter().filter(|(one, _)| one == key);
            ours.filter(|(_, lease)| lease.is_ok()).count()
        };
        let per_key = ["key-0", "key-1", "key-2", "key-3"].map(of);
        assert!(
            per_key.iter().all(|open| *open <= 3),
            "{round}: {per_key:?}"
        );
        let all: usize = per_key.iter().sum();
        assert!((1..=7).contains(&all), "{round}: {per_key:?}");
        for (key, lease) in &opened {
            if let Err(NoPlace::Store(error)) = lease {
                panic!("{round}, {key}: {error}");
            }
        }
        // Who comes later finds exactly the places that are left.
        let leases = instance(&store, &clock);
        let mut more = 0;
        for key in [
            "key-0", "key-1", "key-2", "key-3", "key-4", "key-5", "key-6",
        ] {
            more += usize::from(leases.take(key, LIFE).await.is_ok());
        }
        assert_eq!(all + more, 7, "{round}: {per_key:?} and {more}");
        over().await;
    }
}

#[tokio::test]
async fn of_streams_that_open_at_the_same_time_no_more_begin_than_may() {
    for seed in 0..30 {
        let clock = Arc::new(TestClock::new(seed));
        let store: Arc<dyn Store> = Arc::new(YieldingStore::default());
        let over = async || clock.advance(LIFE + Duration::from_secs(2));
        raced(store, Arc::clone(&clock) as _, over).await;
    }
}

/// The store on a small DynamoDB.
async fn store(stub: &DynamoStub) -> DynamoStore {
    DynamoStore::new(aws_sdk_dynamodb::Client::new(&stub.sdk().await))
}

#[tokio::test]
async fn on_dynamodb_too_no_more_begin_than_may() {
    let table = Table::domain("leases");
    let stub = DynamoStub::start([&table], Duration::from_millis(1), None).unwrap();
    let clock = Arc::new(TestClock::new(7));
    let over = async || clock.advance(LIFE + Duration::from_secs(2));
    raced(Arc::new(store(&stub).await), Arc::clone(&clock) as _, over).await;
}

#[tokio::test]
async fn a_lease_costs_what_the_price_list_says() {
    let table = Table::domain("leases");
    let stub = DynamoStub::start([&table], Duration::ZERO, None).unwrap();
    let leases = instance(
        &(Arc::new(store(&stub).await) as _),
        &(Arc::new(SystemClock) as _),
    );
    leases.take("ada", LIFE).await.unwrap().give_back().await;
    // Beside one read unit each for the API key and the feed's head: COSTS.md.
    let counts = stub.take_counts();
    assert_eq!(
        (counts.write_units, counts.read_units),
        (8, 2),
        "{counts:?}"
    );
}

async fn full(leases: &Leases, key: &str) -> (Full, Duration) {
    match leases.take(key, LIFE).await {
        Err(NoPlace::Full(full, wait)) => (full, wait),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_place_is_free_again_when_it_is_given_back_or_its_time_is_over() {
    let (clock, memory) = (Arc::new(TestClock::new(1)), Arc::new(MemoryStore::new()));
    let (store, time): (Arc<dyn Store>, Arc<dyn Clock>) = (memory, Arc::clone(&clock) as _);
    let leases = instance(&store, &time);
    let mut taken: Vec<Lease> = Vec::new();
    for _ in 0..3 {
        taken.push(leases.take("ada", LIFE).await.unwrap());
        clock.advance(Duration::from_secs(10));
    }
    // The first place becomes free 57 s after it was taken, rounded up.
    assert_eq!(
        full(&leases, "ada").await,
        (Full::OfKey, Duration::from_secs(28))
    );
    let last = taken.pop().unwrap();
    last.give_back().await;
    let _again = leases.take("ada", LIFE).await.unwrap();
    full(&leases, "ada").await;
    clock.advance(Duration::from_secs(27));
    let _first = leases.take("ada", LIFE).await.unwrap();
    full(&leases, "ada").await;
    // A lease that is over gives back what another stream holds now? It does not.
    taken.remove(0).give_back().await;
    full(&leases, "ada").await;
}

#[tokio::test]
async fn the_stack_has_a_ceiling_that_no_number_of_keys_lifts() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let leases = instance(&store, &clock);
    for number in 0..7 {
        leases.take(&format!("key-{number}"), LIFE).await.unwrap();
    }
    assert_eq!(full(&leases, "key-8").await.0, Full::All);
}

#[tokio::test(start_paused = true)]
async fn a_key_has_its_streams_in_all_instances_together() {
    let on_lambda = |arranged: &mut crate::http::Arranged| {
        arranged.times.life = Duration::from_secs(40);
        arranged.leased = Some(Limits {
            of_stack: 4,
            of_key: 2,
        });
    };
    let service = Service::with(on_lambda).await;
    let other = service.beside(on_lambda).await;
    let bearer = service.bearer();
    let headers = [("authorization", bearer.as_str())];
    let mut first = service.open("", None).await;
    let (status, _, gone) = other.send("GET", STREAM, &headers, "").await;
    assert_eq!(status, StatusCode::OK);
    let asked = service.beside(on_lambda).await;
    let (status, problem) = asked.refused("", &headers).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(problem["type"], "urn:millrace:problem:too-many-streams");
    assert_eq!(problem["retry_after"], 43, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("API key"),
        "{problem}"
    );

    // A client that is gone keeps its place: on Lambda its instance is still occupied.
    drop(gone);
    assert_eq!(asked.refused("", &headers).await.0, 429);
    // A stream that ends gives its place back before its body ends.
    while first.frame().await.is_some() {}
    let (status, _, _again) = asked.send("GET", STREAM, &headers, "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(asked.refused("", &headers).await.0, 429);
    service.clock.advance(Duration::from_secs(43));
    assert_eq!(
        asked.send("GET", STREAM, &headers, "").await.0,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_position_keeps_no_place() {
    let leased = |arranged: &mut crate::http::Arranged| {
        arranged.leased = Some(Limits {
            of_stack: 1,
            of_key: 1,
        });
    };
    let service = Service::with(leased).await;
    let bearer = service.bearer();
    let ahead = [("authorization", bearer.as_str()), ("last-event-id", "9")];
    assert_eq!(service.refused("", &ahead).await.0, 422);
    service.open("", None).await;
}
