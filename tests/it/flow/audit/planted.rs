//! Damage to marks, projections, publication, credits, cards, jobs and notes, each by itself.

use super::*;

/// Each damage, and the findings it must cause: these and no others.
const PLANTED: &[(&str, Plant)] = &[
    ("a mark is gone", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.forget::<Treasury>(&event);
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a mark whose event has a fact is gone", |stand| {
        let event = stand
            .log
            .iter()
            .find(|event| {
                event.idempotency_key.is_some() && event.event_type.as_str() == "cloud.minted"
            })
            .expect("a charge")
            .clone();
        stand.forget::<Notifications>(&event);
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a projection did not happen", |stand| {
        let event = stand.event::<contracts::member::Updated>();
        let first = stand
            .log
            .iter()
            .find(|one| one.aggregate() == event.aggregate())
            .expect("a registration");
        let tables = evidence::EvidenceTables::new(Table::marks("marks")).with(
            &topology::functions::notifications::TABLE,
            notifications_table(),
        );
        let put = evidence::checked_consumers()
            .into_iter()
            .find(|one| one.name == Notifications::NAME)
            .and_then(|one| one.proof(first, &tables).expect("a member's event"))
            .and_then(|proof| match proof {
                evidence::Proof::Row(put) => Some(put),
                evidence::Proof::Mark(_) | evidence::Proof::Cursor(..) => None,
            })
            .expect("a row");
        now(stand.store.put_all(&notifications_table(), &[put.item])).expect("written");
        let updates = stand
            .log
            .iter()
            .filter(|one| one.aggregate() == event.aggregate())
            .count();
        assert!(updates > 1);
        // All events after the first are missing then, and the audit reports the last.
        for other in stand.log.clone() {
            if other.aggregate() == event.aggregate()
                && other.event_id != event.event_id
                && other.sequence.number() > 1
            {
                stand.log.retain(|one| one.event_id != other.event_id);
            }
        }
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a projection has other content", |stand| {
        let event = stand.event::<contracts::member::Updated>();
        let id = &event.aggregate_id;
        stand.change(
            &notifications_table().key(format!("contact#{id}"), "contact"),
            |item| {
                item.insert("name".into(), json!("Somebody Else"));
            },
        );
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("an event was never published", |stand| {
        let event = stand.event::<contracts::cloud::Transferred>();
        stand.change(&Stand::row(&event), |item| {
            item.remove("published_at");
        });
        (Kind::Stuck, Some(event.event_id.to_string()))
    }),
    ("the bus refused an event", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.change(&Stand::row(&event), |item| {
            item.remove("published_at");
            item.insert("failed_at".into(), json!("2026-01-01T00:00:00.000Z"));
            item.insert("last_error".into(), json!("NotAuthorized"));
        });
        (Kind::Stuck, Some(event.event_id.to_string()))
    }),
    ("an event was parked", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.forget::<Notifications>(&event);
        let body = event.to_json().expect("small");
        // Twice: the event was parked again after a crash.
        for _ in 0..2 {
            stand.park(
                body.clone(),
                &[
                    ("consumer", "notifications"),
                    ("reason", "retries_exhausted"),
                    ("error", "no"),
                ],
            );
        }
        (Kind::Parked, Some(event.event_id.to_string()))
    }),
    ("the bus could not deliver an event", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.forget::<Treasury>(&event);
        let detail: Value = serde_json::from_str(&event.to_json().expect("small")).expect("JSON");
        let body =
            json!({ "version": "0", "id": "x", "detail-type": "cloud.minted", "detail": detail });
        stand.park(
            body.to_string(),
            &[
                ("ERROR_CODE", "NO_PERMISSIONS"),
                (
                    "TARGET_ARN",
                    "arn:aws:sqs:us-east-1:000000000000:mill_cloud-treasury-express",
                ),
            ],
        );
        (Kind::Parked, Some(event.event_id.to_string()))
    }),
    ("a dead letter that is not an event", |stand| {
        stand.drained(
            "a",
            "not JSON",
            &[("consumer", "notifications"), ("reason", "malformed")],
        );
        (Kind::Parked, None)
    }),
    ("an event was counted twice", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let amount = Stand::payload::<contracts::cloud::Minted>(&event).amount;
        let key = totals::key(&cloud_table(), totals::shard_of(event.event_id));
        stand.change(&key, |item| add(item, "outstanding", &json!(amount)));
        // Another event of the same size in the same row would explain it too.
        (Kind::Doubled, None)
    }),
    ("analytics counted an event twice", |stand| {
        let event = stand.event::<contracts::cloud::Transferred>();
        let moved = Stand::payload::<contracts::cloud::Transferred>(&event);
        let count = views::analytics::counted(&event, &analytics_table()).expect("it is counted");
        let steps = moved.amount.decimal() * Decimal::from(1_000_000);
        let steps: Value = serde_json::from_str(&steps.normalize().to_string()).expect("a number");
        stand.change(&count.key, |item| {
            add(item, &format!("c{:02}", count.hour), &json!(1));
            add(item, &format!("a{:02}", count.hour), &steps);
        });
        // Another event of the same size in the same hour would explain it too.
        (Kind::Doubled, None)
    }),
    ("a count over time was changed by hand", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let count = views::analytics::counted(&event, &analytics_table()).expect("it is counted");
        stand.change(&count.key, |item| {
            add(item, &format!("a{:02}", count.hour), &json!(1));
        });
        (Kind::Books, None)
    }),
    ("a count of all time was changed by hand", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let key = views::analytics::ever_key(&analytics_table(), &event);
        stand.change(&key, |item| add(item, "n", &json!(1)));
        (Kind::Books, None)
    }),
    ("a balance was raised twice", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let minted = Stand::payload::<contracts::cloud::Minted>(&event);
        stand.change(&Stand::state(&cloud_table(), &event), |item| {
            add(item, "balance", &json!(minted.amount));
        });
        (Kind::Doubled, None)
    }),
    ("a balance was changed by hand", |stand| {
        let event = stand.event::<contracts::cloud::Transferred>();
        stand.change(&Stand::state(&cloud_table(), &event), |item| {
            add(item, "balance", &json!(0.123_457));
        });
        (Kind::Books, None)
    }),
    ("a treasury account was changed by hand", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.change(&Stand::state(&cloud_table(), &event), |item| {
            add(item, "balance", &json!(0.01));
        });
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a member was changed by hand", |stand| {
        let event = stand.event::<contracts::member::Updated>();
        stand.change(&Stand::state(&member_table(), &event), |item| {
            item.insert("name".into(), json!("Somebody Else"));
        });
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("an event has no state", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.store.remove(&Stand::state(&cloud_table(), &event));
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a stake was ended by hand", |stand| {
        let (last, staked) = stand.staked();
        let table = cloud_table();
        let key = cloud::stake::Position::key(&table, &staked.member_id, staked.position_id);
        stand.change(&key, |item| {
            item.insert("status".into(), json!("released"));
        });
        (Kind::Books, Some(last))
    }),
    ("the staked sum was changed by hand", |stand| {
        let (last, staked) = stand.staked();
        let account = format!("cloud_account#{}", staked.member_id);
        stand.change(&cloud_table().key(account, "state"), |item| {
            add(item, "staked", &json!(7));
        });
        (Kind::Books, Some(last))
    }),
    ("a rate card is gone", |stand| {
        let card = stand.event::<contracts::cloud::RateCardCreated>();
        let id = card.aggregate_id.as_str();
        let key = <cloud::rate_card::RateCard as outbox::State>::key(&cloud_table(), id);
        stand.store.remove(&key);
        let of_card = |event: &&Envelope| event.aggregate() == card.aggregate();
        let last = stand
            .log
            .iter()
            .filter(of_card)
            .max_by_key(|event| event.sequence);
        (Kind::Books, last.map(|event| event.event_id.to_string()))
    }),
    ("a rate card was approved before it was proposed", |stand| {
        let second = stand.event::<contracts::cloud::RateCardApproved>();
        let key = |number| events_table().numbered_key(second.aggregate(), number);
        let row = |number| {
            now(stand.store.get(&key(number)))
                .expect("answers")
                .expect("there")
        };
        let (one, two) = (row(1), row(2));
        for (number, mut item) in [(1, two), (2, one)] {
            let text = item["envelope"].as_str().expect("text");
            let mut envelope: Value = serde_json::from_str(text).expect("JSON");
            envelope["sequence"] = json!(number);
            item.insert("sequence".into(), json!(number));
            item.insert("envelope".into(), json!(envelope.to_string()));
            now(stand.store.put_all(&events_table(), &[item])).expect("written");
        }
        // Both are named: the proposal because it is late, the approval because it is first.
        stand.log.retain(|one| one.event_id != second.event_id);
        let of_card = |event: &&Envelope| event.aggregate() == second.aggregate();
        let first = stand.log.iter().find(of_card).expect("a proposal");
        (Kind::Doubled, Some(first.event_id.to_string()))
    }),
    ("the record of the chain account is gone", |stand| {
        let event = stand.event::<contracts::cloud::SyncDiverged>();
        stand.store.remove(&Stand::state(&cloud_table(), &event));
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a movement has two jobs", |stand| {
        let (_, mut job) = stand.job();
        let again = job["queued_at"]
            .as_str()
            .expect("a moment")
            .replacen("20", "21", 1);
        let sk = job["sk"].as_str().expect("a key").replacen("20", "21", 1);
        job.insert("sk".into(), json!(sk));
        job.insert("queued_at".into(), json!(again));
        let event_id = job["event_id"].as_str().map(str::to_owned);
        now(stand.store.put_all(&cloud_table(), &[job])).expect("written");
        (Kind::Doubled, event_id)
    }),
    ("a job was changed by hand", |stand| {
        let (key, job) = stand.job();
        stand.change(&key, |item| {
            item.insert("event_type".into(), json!("cloud.staked"));
        });
        (Kind::Books, job["event_id"].as_str().map(str::to_owned))
    }),
    ("a job belongs to no event", |stand| {
        let (key, _) = stand.job();
        let nobodys = "00000000-0000-7000-8000-000000000001";
        stand.change(&key, |item| {
            item.insert("event_id".into(), json!(nobodys));
        });
        (Kind::OutOfSequence, Some(nobodys.to_owned()))
    }),
    ("a line of a statement is gone", |stand| {
        let event = stand.event::<contracts::cloud::Burned>();
        let burned = Stand::payload::<contracts::cloud::Burned>(&event);
        let sk = format!("transaction#{:016}", burned.version.number());
        stand
            .store
            .remove(&cloud_table().key(event.aggregate(), sk));
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a note is gone though its mark is there", |stand| {
        let (event, note) = stand.noted::<contracts::cloud::Minted>();
        stand.store.remove(&note);
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a member has a note twice", |stand| {
        let (event, note) = stand.noted::<contracts::cloud::Minted>();
        let mut item = now(stand.store.get(&note))
            .expect("answers")
            .expect("there");
        let sk = format!("{}#again", item["sk"].as_str().expect("a key"));
        item.insert("sk".into(), json!(sk));
        now(stand.store.put_all(&notifications_table(), &[item])).expect("written");
        (Kind::Doubled, Some(event.event_id.to_string()))
    }),
    (
        "the last event of an account is gone from the log",
        |stand| {
            // No other account's statement knows this event, and no consumer keeps a note of it.
            let event = stand.event::<contracts::treasury::AccountChanged>();
            stand.store.remove(&Stand::row(&event));
            (Kind::OutOfSequence, None)
        },
    ),
    ("an event in the middle is gone from the log", |stand| {
        let last = stand.event::<contracts::treasury::AccountChanged>();
        assert!(last.sequence.number() > 1);
        let key = events_table().numbered_key(last.aggregate(), last.sequence.number() - 1);
        stand.store.remove(&key);
        (Kind::OutOfSequence, None)
    }),
    ("a row of the log is torn", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.change(&Stand::row(&event), |item| {
            item.insert("envelope".into(), json!("{\"event_id\": "));
        });
        (Kind::Unreadable, None)
    }),
    (
        "a row of the log has the envelope of another event",
        |stand| {
            let event = stand.event::<contracts::treasury::AccountChanged>();
            stand.change(&Stand::row(&event), |item| {
                item.insert(
                    "event_id".into(),
                    json!("00000000-0000-7000-8000-000000000001"),
                );
            });
            (Kind::Unreadable, None)
        },
    ),
];

#[test]
fn each_thing_that_is_damaged_is_named_and_nothing_else_is() {
    each_is_named(PLANTED, || Stand::quiet(7));
}
