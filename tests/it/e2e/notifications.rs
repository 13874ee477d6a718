//! The recipients and texts of notices about stakes, burns, redemptions, divergences and rate cards.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use aws::DynamoStore;
use consumer::schedule::{self, Job};
use events::Sequence;
use futures::{StreamExt, TryStreamExt, stream};
use local_programs::proxy::{Kind, ProxyControl, Rule, Rules};
use millrace::audit::{Options, Sources, audit};
use notifications_sender::job::Sender;
use outbox::{Clock as _, SystemClock, Table};
use testkit::bootstraps::Bootstraps;
use views::{fanouts, units};

use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::*;

/// The number of members who get a notice of a rate card.
const MEMBERS: usize = 1_000;

/// The number of concurrent API calls.
const AT_ONCE: usize = 8;

/// How long the fan-out may take: a thousand mails, and a lease that must expire after the kill.
const LONG: Duration = Duration::from_secs(300);

/// Waits for the note with this title and the mail with this subject. Returns the note.
async fn note_of(stack: &Stack, member: &str, title: &str, subject: Option<&str>) -> Result<Value> {
    let note = until(title, SOON, || async {
        let mut all = notes(stack, member).await?;
        all.retain(|note| note["title"] == title);
        Ok(all.pop())
    })
    .await?;
    if let Some(subject) = subject {
        until(subject, SOON, || async {
            let mails = mails_to(stack, member).await?;
            Ok(mails.into_iter().find(|mail| mail.subject == subject))
        })
        .await?;
    }
    Ok(note)
}

/// Proposes a rate card. Returns its number.
async fn propose(stack: &Stack, by: &str) -> Result<u64> {
    let body = json!({
        "effective_date": "2026-01-01T00:00:00.000Z", "notice_date": "2026-01-01T00:00:00.000Z",
        "rates": { "compute": 4, "transfer": 0.05, "ltm": 0.2, "stm": 0.1 }, "proposed_by": by,
    });
    let card = post(stack, "/api/v1/cloud/rate-cards", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    card["version"].as_u64().ok_or_else(|| "no version".into())
}

#[tokio::test]
async fn stakes_burns_and_redemptions_are_told_to_their_member() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    mint(&stack, &ada, 100.0).await?;
    let stake = json!({ "member_id": ada, "amount": 40, "lock_duration_days": 30 });
    let staked = post(&stack, "/api/v1/cloud/stakes", &stake)
        .await?
        .expect(StatusCode::CREATED)?;
    let note = note_of(
        &stack,
        &ada,
        "Credits Staked",
        Some("$CLOUD Credits Staked"),
    )
    .await?;
    assert_eq!(
        (&note["link"], &note["event_id"]),
        (&json!("/cloud/staking"), &staked["event_id"])
    );

    // Only the tests' table of revenue shares allows a lock of no days.
    let stake = json!({ "member_id": ada, "amount": 10, "lock_duration_days": 0 });
    let staked = post(&stack, "/api/v1/cloud/stakes", &stake)
        .await?
        .expect(StatusCode::CREATED)?;
    let position = staked["position_id"].as_str().ok_or("no position_id")?;
    let path = format!("/api/v1/cloud/stakes/{position}/unstake");
    let unstaked = post(&stack, &path, &json!({ "revenue_earned": 0.5 })).await?;
    if !unstaked.status.is_success() {
        return Err(format!("not unstaked: {}", unstaked.body).into());
    }
    let note = note_of(
        &stack,
        &ada,
        "Credits Unstaked",
        Some("$CLOUD Credits Unstaked"),
    )
    .await?;
    assert_eq!(note["body"], "10 CLOUD are free again after 0 days.");

    let burn = json!({ "member_id": ada, "amount": 2, "reason": "expired" });
    post(&stack, "/api/v1/cloud/burns", &burn)
        .await?
        .expect(StatusCode::CREATED)?;
    let note = note_of(
        &stack,
        &ada,
        "Credits Removed",
        Some("$CLOUD Credits Removed"),
    )
    .await?;
    assert_eq!(note["body"], "2 CLOUD left your account: expired.");

    let version = propose(&stack, &ada).await?;
    let approval = approve_card(&stack, version, &bob).await?;
    if !approval.status.is_success() {
        return Err(format!("not approved: {}", approval.body).into());
    }
    // A rate of 4 credits per hour: a redemption of 12 credits causes a note, one of 8 does not.
    let mut redeemed = Vec::new();
    for hours in [2, 3] {
        let body = json!({
            "member_id": ada, "primitive": "compute", "quantity": hours, "unit": "compute-hour",
            "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": version,
        });
        let answer = post(&stack, "/api/v1/cloud/redemptions", &body).await?;
        redeemed.push(answer.expect(StatusCode::CREATED)?);
    }
    let note = note_of(&stack, &ada, "Credits Redeemed", None).await?;
    assert_eq!(note["body"], "12 CLOUD paid for compute: 3 compute-hour.");
    assert_eq!(note["link"], "/cloud/usage");
    let small = redeemed[0]["event_id"].as_str().ok_or("no event_id")?;
    let since = now_millis() - 120_000;
    outcome(&stack, "NotificationsFunction", small, "done", since).await?;
    let all = notes(&stack, &ada).await?;
    assert!(all.iter().all(|note| note["event_id"] != small), "{all:?}");
    let mails = mails_to(&stack, &ada).await?;
    assert!(mails.iter().all(|mail| !mail.subject.contains("Redeemed")));
    Ok(())
}

/// Registers a member who gets notices of rate cards.
async fn subnamed(stack: &Stack, id: &str) -> Result {
    let body = json!({
        "member_id": id, "name": "Holder", "email": format!("{id}@example.com"),
        "ens_subname": format!("{id}.example.eth"),
    });
    let reply = post(stack, "/api/v1/members", &body).await?;
    reply.expect(StatusCode::CREATED).map(drop)
}

/// Removes a member's subname, so that later stories send this member no notices of rate cards.
async fn unname(stack: &Stack, id: &str) -> Result {
    let path = format!("/api/v1/members/{id}");
    let patch = json!({ "ens_subname": null });
    let key = unique("key");
    let reply = stack
        .call(Method::PATCH, &path, Some(&key), Some(&patch))
        .await?;
    reply.expect(StatusCode::OK).map(drop)
}

/// The rows of fan-outs.
struct FanoutRows {
    store: DynamoStore,
    table: Table,
    marks: Table,
}

impl FanoutRows {
    fn of(stack: &Stack) -> Result<Self> {
        Ok(Self {
            store: DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk())),
            table: Table::domain(stack.resource("NotificationsTable")?),
            marks: Table::marks(stack.resource("MarksTable")?),
        })
    }

    async fn some(&self, query: &outbox::Query) -> Result<bool> {
        let page = outbox::Store::query(&self.store, query).await?;
        Ok(!page.items.is_empty())
    }

    /// Whether all notices are sent. If not, starts the sender, unless a run holds its lease.
    async fn worked_off(&self, stack: &Stack) -> Result<Option<()>> {
        let is_open = self.some(&fanouts::open(&self.table, 1, None)).await?;
        if !is_open && !self.some(&units::due(&self.table, None, 1, None)).await? {
            return Ok(Some(()));
        }
        let lease = schedule::lease(&self.store, &self.marks, Sender::NAME).await?;
        if lease.is_none_or(|lease| lease.held_until <= SystemClock.now()) {
            let sender = stack.resource("NotificationsSenderFunction")?;
            stack.signed().start(sender).await?;
        }
        Ok(None)
    }
}

/// Does something for each member, several members at once.
async fn for_each(members: &[String], act: impl AsyncFn(&str) -> Result) -> Result {
    stream::iter(members)
        .map(|member| act(member))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Kills the sender while it sends a mail, after it has sent this many.
async fn kill_amid_mails(
    stack: &Stack,
    proxy: &ProxyControl,
    sent: usize,
    over: &AtomicBool,
) -> Result<bool> {
    let bootstraps = Bootstraps::of_group(stack.env("MILLRACE_LOCAL_AWS_GROUP")?.parse()?);
    until("enough mails", LONG, || async {
        Ok((proxy.counts().await?.of("ses.SendEmail").calls >= sent as u64).then_some(()))
    })
    .await?;
    while !over.load(Ordering::Relaxed) {
        let calls = proxy.in_flight().await?;
        let sending = calls.iter().find(|call| call.operation == "ses.SendEmail");
        if let Some(call) = sending
            && let Some(one) = bootstraps.holding(call.peer)
            && bootstraps.kill(&one).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test]
async fn an_approved_rate_card_is_told_to_whoever_has_a_subname_and_to_nobody_else() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let rows = FanoutRows::of(&stack)?;
    let (ada, bob) = (unique("ada"), new_member(&stack, "Bob").await?);
    subnamed(&stack, &ada).await?;
    let contact = views::contacts::key(&rows.table, &events::MemberId::new(ada.as_str())?);
    until("the contact", SOON, || async {
        Ok(outbox::Store::get(&rows.store, &contact).await?)
    })
    .await?;
    let version = usage::rate_card(&stack, &bob, &ada, "2026-01-01").await?;
    for (title, subject) in [
        ("Rate Card Proposed", "New $CLOUD Rate Card Proposed"),
        ("Rate Card Approved", "$CLOUD Rate Card Approved"),
    ] {
        let mine = until(title, LONG, || async {
            rows.worked_off(&stack).await?;
            let mut all = notes(&stack, &ada).await?;
            all.retain(|note| {
                note["title"] == title && note["body"].to_string().contains(&format!("{version}"))
            });
            Ok((!all.is_empty()).then_some(all))
        })
        .await?;
        assert_eq!(mine.len(), 1, "{mine:?}");
        until(subject, LONG, || async {
            rows.worked_off(&stack).await?;
            let mails = mails_to(&stack, &ada).await?;
            Ok(mails.into_iter().find(|mail| mail.subject == subject))
        })
        .await?;
    }
    assert_eq!(notes(&stack, &bob).await?, Vec::<Value>::new());
    unname(&stack, &ada).await
}

#[tokio::test]
async fn a_rate_card_is_told_to_a_thousand_members_though_the_sender_is_killed_in_between() -> Result
{
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let proxy = ProxyControl::new(stack.env("MILLRACE_FAULT_PROXY")?);
    let rows = FanoutRows::of(&stack)?;
    // Notices that earlier stories still have to send are not part of this test.
    until("earlier fan-outs are complete", LONG, || {
        rows.worked_off(&stack)
    })
    .await?;
    let proposer = new_member(&stack, "Proposer").await?;
    let name = unique("holder");
    let members: Vec<String> = (0..MEMBERS)
        .map(|number| format!("{name}-{number}"))
        .collect();
    for_each(&members, async |id| subnamed(&stack, id).await).await?;
    let query = views::contacts::subnamed(&rows.table, 5_000, None);
    until("every contact", LONG, || async {
        let page = outbox::Store::query(&rows.store, &query).await?;
        Ok((page.items.len() >= MEMBERS).then_some(()))
    })
    .await?;

    // Slow enough to catch the sender while it sends.
    proxy.reset().await?;
    let slow = Rule::on("ses", "SendEmail", [(Kind::Delay, 1.0)]).delayed_by(10, 20);
    let rules = Rules {
        seed: 1,
        rules: vec![slow],
    };
    proxy.set_rules(&rules).await?;
    let outcome = tell(&stack, &proxy, &rows, &proposer).await;
    proxy.set_rules(&Rules::calm()).await?;
    let version = outcome?;

    for_each(&members, async |id| {
        let mut found = notes(&stack, id).await?;
        found.retain(|note| note["title"] == "Rate Card Proposed");
        match found.len() {
            1 => Ok(()),
            number => Err(format!("{id} has {number} notes").into()),
        }
    })
    .await?;
    let mut mails: BTreeMap<String, Vec<SentMail>> = BTreeMap::new();
    for mail in stack.emulator().mails().await? {
        let to = mail.to.first().cloned().unwrap_or_default();
        if to.starts_with(&name) {
            mails.entry(to).or_default().push(mail);
        }
    }
    assert_eq!(mails.len(), MEMBERS, "a member has no mail");
    let repeated: Vec<&Vec<SentMail>> = mails.values().filter(|all| all.len() > 1).collect();
    assert!(
        repeated.is_empty() || (repeated.len() == 1 && repeated[0].len() == 2),
        "one kill repeats one mail at most: {repeated:?}"
    );
    for copies in repeated {
        assert_eq!(
            copies[0], copies[1],
            "both copies are the same, with the same reference"
        );
    }

    // The audit finds nothing wrong, and its counts agree.
    let sources = Sources::of_stack(stack.sdk(), stack.name()?).await?;
    let options = Options {
        settled: true,
        items_per_second: 10_000,
        scope: vec![("rate_card".to_owned(), version.to_string())],
        ..Options::default()
    };
    let report = audit(&sources, &options, &mut |_| {}).await?;
    assert!(report.clean, "{report}");
    let counts = ["fanouts", "mails_recorded", "mails_due", "mails_failed"]
        .map(|name| report.count("notifications", name));
    let reached = reached_by_mail(&stack).await?;
    assert_eq!(counts, [1, reached, 0, 0].map(Some));
    // Later stories send these members no notices of rate cards.
    for_each(&members, async |id| unname(&stack, id).await).await
}

/// Proposes a rate card and lets the fan-out complete, with one kill in between. Returns the card's number.
async fn tell(
    stack: &Stack,
    proxy: &ProxyControl,
    rows: &FanoutRows,
    proposer: &str,
) -> Result<Sequence> {
    let version = propose(stack, proposer).await?;
    until("the fan-out is open", SOON, || async {
        let query = fanouts::open(&rows.table, 1, None);
        Ok(rows.some(&query).await?.then_some(()))
    })
    .await?;
    let over = AtomicBool::new(false);
    let work = async {
        let worked = until("all notices are sent", LONG, || rows.worked_off(stack)).await;
        over.store(true, Ordering::Relaxed);
        worked
    };
    let (worked, killed) = tokio::join!(work, kill_amid_mails(stack, proxy, MEMBERS / 3, &over));
    worked?;
    assert!(killed?, "the sender was not killed, so nothing was proven");
    Ok(Sequence::new(version)?)
}

/// The number of members in the whole stack with a subname who accept mail: members of other stories get the notices
/// too.
async fn reached_by_mail(stack: &Stack) -> Result<u64> {
    let client = aws_sdk_dynamodb::Client::new(stack.sdk());
    let (mut reached, mut after) = (0, None);
    loop {
        let page = client
            .scan()
            .table_name(stack.resource("NotificationsTable")?)
            .filter_expression("attribute_exists(subnamed) AND preferences.email_enabled = :yes")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .select(Select::Count)
            .consistent_read(true)
            .set_exclusive_start_key(after)
            .send()
            .await?;
        reached += u64::try_from(page.count)?;
        after = page.last_evaluated_key;
        if after.is_none() {
            return Ok(reached);
        }
    }
}
