//! A fan-out to all members, with a sender that may die at any point. Every note is written exactly once; every mail is
//! sent at least once. Each run that did not succeed repeats at most one mail, with the same key and right after the
//! first copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use consumer::schedule::{Ending, JobRunner, Report, RunError, Settings};
use events::{EventId, MemberId, contracts::member::Registered};
use mail::{Mail, MailKey, Mailer, texts::Writer};
use millrace::{
    audit::Kind,
    notifications::{failed_mails, queue_again},
};
use notifications_sender::job::{Pace, Sender};
use outbox::{Clock as _, Fault, FaultKind, Item, Store, Table};
use serde_json::json;
use testkit::flow::{Faults, Site};
use views::{
    contacts::Contact,
    fanouts::{self, Fanout},
    mails, notes, units,
};

use super::{
    audit::Stand,
    world::{Order, World, notifications_table},
};

/// The longest run, by the function's timeout.
const RUN: Duration = Duration::from_secs(60);

/// Longer than a lease.
const LEASE_OVER: Duration = Duration::from_secs(31);

/// Mails that the service has accepted, in order.
type Taken = Arc<Mutex<Vec<Mail>>>;

/// A mail service that can be late, throttle, and lose its answer. It refuses some recipients permanently.
struct Post {
    site: Site,
    taken: Taken,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: &Mail) -> Result<String, Fault> {
        if self
            .refused
            .lock()
            .expect("never poisoned")
            .contains(mail.to.as_str())
        {
            return Err(Fault::new(
                FaultKind::Rejected,
                "ses SendEmail",
                "not verified",
            ));
        }
        self.site
            .call("ses SendEmail", || {
                let mut taken = self.taken.lock().expect("never poisoned");
                taken.push(mail.clone());
                format!("mail-{}", taken.len())
            })
            .await
    }
}

fn runner(site: &Site, taken: &Taken, refused: &Arc<Mutex<BTreeSet<String>>>) -> JobRunner<Sender> {
    let post = Post {
        site: site.clone(),
        taken: Arc::clone(taken),
        refused: Arc::clone(refused),
    };
    let pace = Pace {
        between_mails: Duration::from_millis(200),
        fanout_delay: Duration::ZERO,
    };
    let writer = Writer::of_settings("https://example.org", "10").expect("settings");
    let sender = Sender::new(
        site.outbox().clone(),
        Arc::new(post),
        notifications_table(),
        writer,
        pace,
    );
    JobRunner::new(sender, site.outbox().clone(), Settings::default())
}

/// Runs the sender, under the current faults, until it finishes. For worlds in which no member gets a notice.
pub(super) fn submit(world: &mut World) {
    world.flow.submit(|site| async move {
        let runner = runner(&site, &Taken::default(), &Arc::default());
        let deadline = site.clock().now().plus(RUN);
        match runner.run(deadline).await?.outcome {
            Ending::Finished => Ok(()),
            other => Err(other.as_str().into()),
        }
    });
}

/// A fan-out to many members.
struct Scene {
    world: World,
    taken: Taken,
    refused: Arc<Mutex<BTreeSet<String>>>,
    members: usize,
    event_id: EventId,
    /// The number of runs that died.
    killed: usize,
    failed: usize,
}

fn member(number: usize) -> MemberId {
    MemberId::new(format!("holder-{number:04}")).expect("an id")
}

impl Scene {
    /// Members with a subname, and an approved rate card: its fan-out is open, and nothing else is in progress.
    fn set(seed: u64, members: usize) -> Self {
        let mut world = World::new(seed, Faults::NONE, |builder| builder);
        world.register_everybody();
        world.flow.drain().expect("drains");
        world.hand_in(&[Order::propose(0)]);
        // Completes the proposal before any member has a subname.
        world.settle().expect("sound");
        for number in 0..members {
            let id = member(number);
            let registered: Registered = serde_json::from_value(json!({
                "member_id": id, "name": format!("Holder {number}"), "email": format!("{id}@example.org"),
                "role": "member", "ens_subname": format!("{id}.example.eth"), "version": 1,
                "notification_preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
            }))
            .expect("a member");
            let put = Contact::from(&registered).guarded_put(&notifications_table());
            let put = put.expect("writes");
            let written = world.flow.look(|site| async move {
                let outbox = site.outbox();
                outbox.put_guarded(&put).await
            });
            written.expect("written");
        }
        world.hand_in(&[Order::approve(1, 1)]);
        world.flow.drain().expect("drains");
        let log = world.flow.log();
        let approved = log
            .iter()
            .find(|event| event.event_type.as_str() == "cloud.rate_card_approved");
        Self {
            event_id: approved.expect("approved").event_id,
            world,
            taken: Taken::default(),
            refused: Arc::default(),
            members,
            killed: 0,
            failed: 0,
        }
    }

    /// One run on a new instance; `None` if it died.
    fn run(&mut self) -> Option<Result<Report, RunError>> {
        let (taken, refused) = (Arc::clone(&self.taken), Arc::clone(&self.refused));
        self.world.flow.command(|site| async move {
            let deadline = site.clock().now().plus(RUN);
            runner(&site, &taken, &refused).run(deadline).await
        })
    }

    /// Runs until nothing is left to do. Returns the number of runs.
    fn finish(&mut self) -> usize {
        for runs in 1..3_000 {
            match self.run() {
                None => self.killed += 1,
                Some(Err(_)) => self.failed += 1,
                Some(Ok(report)) if report.outcome == Ending::Finished => return runs,
                Some(Ok(_)) => {}
            }
            self.world.flow.clock().advance(LEASE_OVER);
        }
        panic!("never finished");
    }

    fn taken(&self) -> Vec<Mail> {
        self.taken.lock().expect("never poisoned").clone()
    }

    fn row<T: serde::de::DeserializeOwned>(&self, query: outbox::Query) -> Vec<T> {
        let rows = self
            .world
            .flow
            .look(|site| async move { site.outbox().rows(&query).await });
        rows.expect("readable").0
    }

    /// All violations of what the fan-out promises.
    fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let table = notifications_table();
        for number in 0..self.members {
            let found: Vec<notes::Note> = self.row(notes::page(&table, &member(number), 10, None));
            if found
                .iter()
                .filter(|note| note.event_id == self.event_id)
                .count()
                != 1
            {
                wrong.push(format!("{} has {} notes", member(number), found.len()));
            }
        }
        let taken = self.taken();
        let mut seen: BTreeMap<&MailKey, usize> = BTreeMap::new();
        for (at, mail) in taken.iter().enumerate() {
            if let Some(before) = seen.insert(&mail.key, at) {
                if before + 1 != at {
                    wrong.push(format!("mail {at} repeats mail {before}, not the last one"));
                } else if taken[before] != *mail {
                    wrong.push(format!("mail {at} differs from its first copy"));
                }
            }
        }
        if seen.len() != self.members {
            wrong.push(format!("{} of {} were mailed", seen.len(), self.members));
        }
        let repeats = taken.len() - seen.len();
        if repeats > self.killed + self.failed {
            wrong.push(format!(
                "{repeats} repeats, {} runs killed, {} failed",
                self.killed, self.failed
            ));
        }
        let due: Vec<units::Unit> = self.row(units::due(&table, None, 10, None));
        let open: Vec<Fanout> = self.row(fanouts::open(&table, 10, None));
        if !due.is_empty() || !open.is_empty() {
            wrong.push(format!(
                "{} mails due, {} fan-outs open",
                due.len(),
                open.len()
            ));
        }
        let done: Vec<Fanout> = self.row(fanouts::done(&table, 10, None));
        let counts = done
            .iter()
            .find(|one| one.event_id == self.event_id)
            .map(|one| [one.members, one.notes, one.mails]);
        if counts != u64::try_from(self.members).ok().map(|all| [all; 3]) {
            wrong.push(format!("the fan-out counted {counts:?}"));
        }
        wrong
    }
}

fn only(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::NONE;
    change(&mut faults);
    faults
}

#[test]
fn a_thousand_members_are_told_through_kills_at_any_point() {
    let (mut killed, mut repeats) = (0, 0);
    for seed in 0..2 {
        let mut scene = Scene::set(seed, 1_000);
        scene
            .world
            .flow
            .set_faults(only(|faults| faults.crashes = 0.006));
        scene.finish();
        assert_eq!(scene.judge(), Vec::<String>::new(), "seed {seed}");
        assert_eq!(
            scene.failed, 0,
            "seed {seed}: a kill must not make another run fail"
        );
        killed += scene.killed;
        repeats += scene.taken().len() - scene.members;
    }
    // Kills that hit nothing would prove nothing.
    assert!(
        killed > 40 && repeats > 3,
        "{killed} killed, {repeats} repeats"
    );
}

#[test]
fn a_hundred_members_are_told_through_any_storm() {
    let (mut killed, mut failed) = (0, 0);
    for seed in 0..10 {
        let mut scene = Scene::set(seed, 100);
        scene.world.flow.set_faults(Faults::STORM);
        scene.finish();
        assert_eq!(scene.judge(), Vec::<String>::new(), "seed {seed}");
        killed += scene.killed;
        failed += scene.failed;
    }
    assert!(
        killed > 10 && failed > 10,
        "{killed} killed, {failed} failed"
    );
}

#[test]
fn conflicts_repeat_no_mail() {
    let mut scene = Scene::set(3, 200);
    scene
        .world
        .flow
        .set_faults(only(|faults| faults.conflicts = 0.1));
    scene.finish();
    assert_eq!(scene.judge(), Vec::<String>::new());
    assert_eq!((scene.taken().len(), scene.failed), (scene.members, 0));
}

#[test]
fn a_refused_mail_is_queued_again_by_the_operator_once_however_often_he_asks() {
    let mut scene = Scene::set(4, 10);
    let address = format!("{}@example.org", member(7));
    scene
        .refused
        .lock()
        .expect("never poisoned")
        .insert(address.clone());
    scene.finish();
    assert_eq!(scene.taken().len(), 9);
    scene.refused.lock().expect("never poisoned").clear();
    let table = notifications_table();
    let queued = scene.world.flow.look(|site| async move {
        let outbox = site.outbox();
        let failed = failed_mails(outbox, &table).await.expect("readable");
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].unit.member_id, member(7));
        let first = queue_again(outbox, &table, &failed[0]).await;
        let second = queue_again(outbox, &table, &failed[0]).await;
        (first.expect("queued"), second.expect("answers"))
    });
    assert_eq!(queued, (true, false));
    scene.finish();
    assert_eq!(scene.judge(), Vec::<String>::new());
    assert_eq!(
        scene.taken().last().map(|mail| mail.to.to_string()),
        Some(address)
    );
}

type Damage = fn(&Scene, &Table, &dyn Store);

/// Each damage to a fan-out, and what the audit must report: this and nothing else.
const DAMAGED: &[(&str, Kind, Damage)] = &[
    ("the fan-out is gone", Kind::Lost, |scene, table, _| {
        let done: Vec<Fanout> = scene.row(fanouts::done(table, 10, None));
        let one = done.iter().find(|one| one.event_id == scene.event_id);
        let key = fanouts::done_key(table, &one.expect("done").name());
        scene.world.flow.store().remove(&key);
    }),
    ("a member's note is gone", Kind::Lost, |scene, table, _| {
        let found: Vec<notes::Note> = scene.row(notes::page(table, &member(3), 10, None));
        let note = found.into_iter().next().expect("a note");
        let key = note.key(table, &member(3), "rate_card_approved");
        scene.world.flow.store().remove(&key);
    }),
    (
        "a member has a note of another name, too",
        Kind::Doubled,
        |scene, table, store| {
            let found: Vec<notes::Note> = scene.row(notes::page(table, &member(3), 10, None));
            let note = found.into_iter().next().expect("a note");
            put(
                store,
                table,
                &note.key(table, &member(3), "again"),
                &note.stored(),
            );
        },
    ),
    (
        "a mail was never recorded as sent",
        Kind::Lost,
        |scene, table, _| {
            let identity = scene.event_id.to_string();
            let key = mails::key(table, &identity, &member(5), "rate_card_approved");
            scene.world.flow.store().remove(&key);
        },
    ),
    (
        "a mail waits though nothing should",
        Kind::Late,
        |scene, table, store| {
            put(
                store,
                table,
                &unit(scene, table).due_key(table),
                &unit(scene, table),
            );
        },
    ),
    (
        "a mail was refused permanently",
        Kind::Parked,
        |scene, table, store| {
            let failed = units::Failed {
                unit: unit(scene, table),
                reason: "not verified".into(),
                failed_at: scene.world.flow.clock().now(),
            };
            put(
                store,
                table,
                &failed.unit.failed_key(table),
                &failed.stored(),
            );
        },
    ),
];

fn put<T: serde::Serialize>(store: &dyn Store, table: &Table, key: &outbox::Key, row: &T) {
    let item: Item = outbox::encode_item(key, row).expect("writes");
    super::audit::now(store.put_all(table, &[item])).expect("written");
}

fn unit(scene: &Scene, table: &Table) -> units::Unit {
    let done: Vec<Fanout> = scene.row(fanouts::done(table, 10, None));
    let one = done.iter().find(|one| one.event_id == scene.event_id);
    units::Unit {
        event_id: scene.event_id,
        fanout: one.expect("done").name(),
        member_id: member(5),
        template: "rate_card_approved".into(),
        queued_at: one.expect("done").opened_at,
        refusals: 0,
    }
}

#[test]
fn the_audit_counts_a_fan_outs_notes_and_mails_and_names_what_is_wrong_with_them() {
    let table = notifications_table();
    for (what, kind, damage) in DAMAGED {
        let mut scene = Scene::set(6, 60);
        let open = Stand::of(&scene.world).settled();
        assert_eq!(open.count("notifications", "fanouts_open"), Some(1));
        assert_eq!(open.findings.len(), 1, "{open}");
        assert_eq!(open.findings[0].kind, Kind::Late, "{open}");
        scene.finish();
        let clean = Stand::of(&scene.world).settled();
        assert!(clean.clean, "{clean}");
        let counts = [
            "fanouts",
            "fanouts_open",
            "mails_recorded",
            "mails_due",
            "mails_failed",
        ]
        .map(|name| clean.count("notifications", name));
        assert_eq!(counts, [2, 0, 60, 0, 0].map(Some));
        damage(&scene, &table, scene.world.flow.store());
        let report = Stand::of(&scene.world).settled();
        assert_eq!(report.findings.len(), 1, "{what}: {report}");
        let finding = &report.findings[0];
        assert_eq!(finding.kind, *kind, "{what}: {report}");
        assert_eq!(finding.event_id, Some(scene.event_id.to_string()), "{what}");
        assert_eq!(finding.consumer.as_deref(), Some("notifications"), "{what}");
    }
}
