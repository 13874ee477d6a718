//! Compares the cost of a page with README.md. The shipped job, runtime and store run on a DynamoDB that counts units.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use events::{Cause, Contract, Draft, EventId, MemberId, Sequence, Stamp, contracts};
use mail::{Announcement, MemoryMailer, texts::Writer};
use outbox::{Clock as _, Outbox, Store as _, SystemClock, Table, encode_item};
use serde_json::{Value, json};
use testkit::{
    costs::{Indexed, Site, steps},
    dynamo_stub::Counts,
};
use uuid::Uuid;
use views::{
    contacts::{self, Contact},
    fanouts::{self, Fanout},
};

use crate::job::{MEMBERS_PER_PAGE, Pace, Sender};

fn member(number: u32) -> String {
    format!("member-{number:03}")
}

struct Bench {
    site: Site,
    /// How many members the index lists.
    members: Arc<AtomicU32>,
    outbox: Outbox,
    table: Table,
    mailer: Arc<MemoryMailer>,
}

impl Bench {
    async fn start() -> Self {
        let table = Table::domain("notifications");
        let site = Site::without_log(std::slice::from_ref(&table)).await;
        let members = Arc::<AtomicU32>::default();
        let listed = Arc::clone(&members);
        let store = Indexed::of(&site, move |query| {
            let entries = (0..listed.load(Ordering::Relaxed)).map(|number| {
                let id = MemberId::new(member(number)).unwrap();
                contacts::key(&query.table, &id).attributes()
            });
            entries.collect()
        });
        Self {
            outbox: site.outbox().with_store(store),
            site,
            members,
            table,
            mailer: Arc::default(),
        }
    }

    /// Counts a run until nothing is left to do.
    async fn run(&self) -> Counts {
        let pace = Pace {
            between_mails: Duration::from_millis(1),
            fanout_delay: Duration::ZERO,
        };
        let sender = Sender::new(
            self.outbox.clone(),
            Arc::<MemoryMailer>::clone(&self.mailer),
            self.table.clone(),
            Writer::of_settings("https://app.example.com", "10").unwrap(),
            pace,
        );
        self.site.run(sender, &self.outbox).await.1
    }

    /// Adds members with a subname, and an approved rate card to announce to them.
    async fn open(&self, members: u32, by_mail: bool) {
        self.members.store(members, Ordering::Relaxed);
        let mut items = Vec::new();
        for number in 0..members {
            let registered: contracts::member::Registered = serde_json::from_value(json!({
                "member_id": member(number), "name": "Ada Lovelace", "role": "member",
                "email": format!("member-{number}@example.com"), "ens_subname": format!("m{number}.example.eth"),
                "notification_preferences": {"email_enabled": by_mail, "in_app_enabled": true, "webhook_enabled": false},
                "version": 1,
            }))
            .unwrap();
            let put = Contact::from(&registered).guarded_put(&self.table).unwrap();
            items.push(put.item);
        }
        let sample =
            include_str!("../../../shared/events/samples/cloud/rate-card-approved-v1/full.json");
        let card: contracts::cloud::RateCardApproved = serde_json::from_str(sample).unwrap();
        let envelope = sealed(&card);
        let announcement = Announcement::read(&envelope).unwrap().unwrap();
        let not_before = announcement.not_before(&envelope);
        let fanout = Fanout::open(&envelope, not_before, SystemClock.now()).unwrap();
        let key = fanouts::open_key(&self.table, &fanout.name());
        items.push(encode_item(&key, &fanout).unwrap());
        for item in items {
            let mut item: serde_json::Map<String, Value> = item;
            item.insert("version".to_owned(), 1.into());
            self.site
                .store()
                .put_all(&self.table, &[item])
                .await
                .unwrap();
        }
    }
}

fn sealed<C: Contract>(payload: &C) -> events::Envelope {
    Draft::of(payload).unwrap().seal(&Stamp {
        event_id: EventId::new(Uuid::now_v7()).unwrap(),
        sequence: Sequence::new(2).unwrap(),
        now: SystemClock.now(),
        cause: &Cause::default(),
    })
}

/// The write units of a run besides those of its pages: taking the lease, the mark of the last page, and giving the lease
/// back.
const RUN: u64 = 12;

#[tokio::test]
async fn a_run_with_nothing_to_do_costs_what_is_stated() {
    let counts = Bench::start().await.run().await;
    let counted = vec![counts.write_units, counts.read_units, counts.all_calls()];
    let stated = steps("step of the sender", "notifications-sender");
    assert_eq!(stated["a run with nothing to do"], counted);
}

#[tokio::test]
async fn a_member_costs_four_write_units_and_a_mail_eight() {
    let notes_only = Bench::start().await;
    notes_only.open(MEMBERS_PER_PAGE, false).await;
    let quiet = notes_only.run().await;
    let both = Bench::start().await;
    both.open(MEMBERS_PER_PAGE, true).await;
    let loud = both.run().await;
    assert_eq!(both.mailer.sent().len(), 48);
    let members = u64::from(MEMBERS_PER_PAGE);
    // The page writes its mark, the lease, the end of the fan-out (two rows) and a note for each member. Then the pass
    // reads once more and finds nothing.
    let (page, notes) = (4 + 4, 2 * members);
    assert_eq!(quiet.write_units, RUN + page + notes);
    // Each member costs a unit and then a mail: removing the unit, the record, the mark and the lease.
    assert_eq!(
        loud.write_units,
        quiet.write_units + 2 * members + 8 * members
    );
    // Each mail reads whether a fan-out is open, the first due unit, the record and the contact. The fan-out's story is
    // read once.
    assert_eq!(loud.read_units - quiet.read_units, 4 * members + 2);
}
