//! Every counter that a scheduled job reports as a metric needs an operator's attention: its declaration has an alarm on it.

use audit_anchor::job::AuditAnchor;
use cloud_chain_worker::job::Worker;
use cloud_reconcile::job::Reconcile;
use commerce_cart_worker::job::CartWorker;
use commerce_order_timer::job::OrderTimer;
use consumer::schedule::Job as _;
use heartbeat::job::Heartbeats;
use notifications_sender::job::Sender;
use operator_worker::job::Redrive;
use topology::Deployment;
use webhook_sender::job::Sender as Webhooks;

#[test]
fn every_counter_of_a_job_has_an_alarm_in_its_declaration() {
    let jobs = [
        (AuditAnchor::NAME, AuditAnchor::METRICS),
        (Worker::NAME, Worker::METRICS),
        (Reconcile::NAME, Reconcile::METRICS),
        (CartWorker::NAME, CartWorker::METRICS),
        (OrderTimer::NAME, OrderTimer::METRICS),
        (Sender::NAME, Sender::METRICS),
        (Heartbeats::NAME, Heartbeats::METRICS),
        (Redrive::NAME, Redrive::METRICS),
        (Webhooks::NAME, Webhooks::METRICS),
    ];
    for declared in Deployment::whole().functions() {
        let Some(job) = declared.job() else { continue };
        let known = jobs.iter().find(|(name, _)| *name == declared.name);
        let Some((name, metrics)) = known else {
            unreachable!("add the job {} to this test", declared.name);
        };
        for (_, counter) in *metrics {
            let mut alarms = job.alarms.iter();
            let has_alarm = alarms.any(|alarm| alarm.metric == counter.name());
            assert!(
                has_alarm,
                "{name} declares no alarm on its {}",
                counter.name()
            );
        }
    }
}
