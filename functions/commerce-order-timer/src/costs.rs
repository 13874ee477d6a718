//! Compares the cost of a run with nothing to do with COSTS.md. The shipped job, runtime and store run on a DynamoDB that
//! counts units.

use std::time::Duration;

use commerce::{order::Patience, testing::table};
use testkit::costs::{Site, steps};

use crate::job::OrderTimer;

#[tokio::test]
async fn a_run_with_nothing_due_costs_what_is_stated() {
    let site = Site::start(&[table()]).await;
    let outbox = site.outbox().clone();
    let patience = Patience {
        pending: Duration::from_secs(86_400),
        unpaid: Duration::from_secs(3_600),
    };
    let timer = OrderTimer::new(outbox.clone(), table(), patience);
    let (report, counts) = site.run(timer, &outbox).await;
    assert_eq!(report.pages, 0);
    let counted = vec![counts.write_units, counts.read_units, counts.all_calls()];
    let stated = steps("step behind an order", "commerce-order-timer");
    assert_eq!(stated["a run with nothing to do"], counted);
}
