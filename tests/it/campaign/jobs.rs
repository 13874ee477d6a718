//! The scheduled jobs. By themselves they start once a minute or once an hour, which is too rare for a storm of a
//! minute.

use audit_anchor::job::AuditAnchor;
use cloud::chain::Job;
use cloud_chain_worker::job::Worker;
use cloud_reconcile::job::Reconcile;
use commerce::cart::Refresh;
use commerce_cart_worker::job::CartWorker;
use commerce_order_timer::job::OrderTimer;
use consumer::schedule::{self, Job as _};
use heartbeat::job::Heartbeats;
use notifications_sender::job::Sender;
use operator_worker::job::Redrive;
use outbox::{Clock as _, Query, SystemClock};
use topology::functions::webhook_sender;
use views::{fanouts, units};

use super::{Field, books::whole};
use crate::e2e::Result;

/// A job's name, and its function's logical id in the template.
type Scheduled = (&'static str, &'static str);

const SENDER: Scheduled = (Sender::NAME, "NotificationsSenderFunction");
const WORKER: Scheduled = (Worker::NAME, "CloudChainWorkerFunction");
const RECONCILE: Scheduled = (Reconcile::NAME, "CloudReconcileFunction");
const ANCHOR: Scheduled = (AuditAnchor::NAME, "AuditAnchorFunction");
const HEARTBEAT: Scheduled = (Heartbeats::NAME, "HeartbeatFunction");
pub(super) const REDRIVE: Scheduled = (Redrive::NAME, "OperatorWorkerFunction");
pub(super) const WEBHOOKS: Scheduled = (webhook_sender::FUNCTION.name, "WebhookSenderFunction");
const CARTS: Scheduled = (CartWorker::NAME, "CommerceCartWorkerFunction");
const ORDERS: Scheduled = (OrderTimer::NAME, "CommerceOrderTimerFunction");

/// All jobs that run during the storm.
pub(super) const ALL: [Scheduled; 9] = [
    SENDER, WORKER, RECONCILE, ANCHOR, HEARTBEAT, REDRIVE, WEBHOOKS, CARTS, ORDERS,
];

/// Starts a run of a job, if no run holds its lease.
pub(super) async fn start(field: &Field, (job, function): Scheduled) -> Result {
    let lease = schedule::lease(field.outbox.store(), &field.marks, job).await?;
    if lease.is_none_or(|lease| lease.held_until <= SystemClock.now()) {
        field
            .stack
            .signed()
            .start(field.stack.resource(function)?)
            .await?;
    }
    Ok(())
}

/// Seals the current heads of all chains, if no run holds the lease.
pub(super) async fn anchor(field: &Field) -> Result {
    start(field, ANCHOR).await
}

/// Whether all notices are sent, no movement of the campaign's members waits for the chain, and the shop's carts follow what has
/// changed. If not, starts the jobs.
pub(super) async fn idle(field: &Field) -> Result<bool> {
    let table = &field.notifications;
    let mut is_idle = true;
    for query in [
        fanouts::open(table, 1, None),
        units::due(table, None, 1, None),
    ] {
        is_idle &= field.outbox.store().query(&query).await?.items.is_empty();
    }
    if !is_idle {
        start(field, SENDER).await?;
    }
    let changes = Refresh::first(&field.commerce, 1);
    if !field.outbox.store().query(&changes).await?.items.is_empty() {
        is_idle = false;
        start(field, CARTS).await?;
    }
    for member in &field.members {
        if of_member(field, member)
            .await?
            .iter()
            .any(|job| job.status.waits())
        {
            is_idle = false;
            start(field, WORKER).await?;
            break;
        }
    }
    Ok(is_idle)
}

/// The chain jobs of a member.
pub(super) async fn of_member(field: &Field, member: &str) -> Result<Vec<Job>> {
    let query = Query::partition(&field.cloud, format!("chain_job#{member}"), 100);
    let items = whole(field, &query).await?;
    let jobs = items
        .into_iter()
        .map(|item| serde_json::from_value(item.into()));
    Ok(jobs.collect::<std::result::Result<_, _>>()?)
}
