//! Many balances at once, of the right chain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use events::EthereumAddress;
use futures::{StreamExt, stream};
use num_bigint::BigUint;
use outbox::{Clock, Fault, FaultKind};

use crate::Balances;

/// Calls under way at once: what public nodes allow one caller.
const AT_ONCE: usize = 8;

/// How often a balance is asked for where the node is unavailable.
const TRIES: u32 = 2;

/// The pause between two tries, spread by half to both sides.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads the balances of many holders, after it has seen that the node is on the right chain.
pub struct Reader {
    balances: Arc<dyn Balances>,
    expected: Option<BigUint>,
    is_right_chain: AtomicBool,
    within: Duration,
}

impl Reader {
    /// Over a chain; `expected` is the id it must have, `None` any. No balance is asked for later than `within` after the
    /// beginning of [`Self::read`].
    #[must_use]
    pub fn new(balances: Arc<dyn Balances>, expected: Option<BigUint>, within: Duration) -> Self {
        Self {
            balances,
            is_right_chain: AtomicBool::new(expected.is_none()),
            expected,
            within,
        }
    }

    /// The balances, in the holders' order. One that fails holds back none of the others.
    ///
    /// # Errors
    /// Where the node is down as a whole: it is on another chain than expected, or it gave no answer for any holder and
    /// the last one's fault is not about that holder. Then nothing is known of anybody.
    pub async fn read(
        &self,
        clock: &dyn Clock,
        holders: &[&EthereumAddress],
    ) -> Result<Vec<Result<BigUint, Fault>>, Fault> {
        let begun = clock.now();
        self.be_sure_of_the_chain().await?;
        let is_time_left = || clock.now().since(begun) < self.within;
        let reads: Vec<_> = holders
            .iter()
            .map(|holder| self.one(clock, holder, &is_time_left))
            .collect();
        let mut answers: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        let is_down = !answers.is_empty()
            && answers.iter().all(|answer| {
                answer.as_ref().is_err_and(|fault| {
                    matches!(fault.kind, FaultKind::Unavailable | FaultKind::Denied)
                })
            });
        match answers.pop() {
            Some(Err(fault)) if is_down => Err(fault),
            Some(answer) => {
                answers.push(answer);
                Ok(answers)
            }
            None => Ok(answers),
        }
    }

    async fn be_sure_of_the_chain(&self) -> Result<(), Fault> {
        let Some(expected) = &self.expected else {
            return Ok(());
        };
        if self.is_right_chain.load(Ordering::Relaxed) {
            return Ok(());
        }
        let found = self.balances.chain_id().await?;
        if found != *expected {
            return Err(Fault::new(
                FaultKind::Rejected,
                "ethereum eth_chainId",
                format!("the node is on chain {found}, not on chain {expected}"),
            ));
        }
        self.is_right_chain.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn one(
        &self,
        clock: &dyn Clock,
        holder: &EthereumAddress,
        is_time_left: &(dyn Fn() -> bool + Sync),
    ) -> Result<BigUint, Fault> {
        let mut last = Err(Fault::new(
            FaultKind::Unavailable,
            "ethereum eth_call",
            "not asked: the time was up",
        ));
        for again in 0..TRIES {
            if again > 0 {
                clock.sleep(clock.jittered(PAUSE, 50)).await;
            }
            if !is_time_left() {
                break;
            }
            last = self.balances.balance(holder).await;
            match &last {
                Err(fault) if fault.kind == FaultKind::Unavailable => {}
                Ok(_) | Err(_) => break,
            }
        }
        last
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("expected", &self.expected)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use testkit::TestClock;

    use super::*;
    use crate::MemoryChain;

    const WITHIN: Duration = Duration::from_secs(5);

    fn holder(number: u8) -> EthereumAddress {
        EthereumAddress::new(format!("0x{number:040x}")).expect("an address")
    }

    fn kinds(answers: &[Result<BigUint, Fault>]) -> Vec<Option<FaultKind>> {
        answers
            .iter()
            .map(|answer| answer.as_ref().err().map(|fault| fault.kind))
            .collect()
    }

    #[tokio::test]
    async fn one_holder_that_cannot_be_read_holds_back_nobody() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        let holders: Vec<_> = (0..20).map(holder).collect();
        chain.set(&holders[7], BigUint::from(7_u8));
        chain.fail(&holders[3], Some(FaultKind::Unreadable));
        chain.fail(&holders[4], Some(FaultKind::Unavailable));
        let reader = Reader::new(Arc::clone(&chain) as _, None, WITHIN);
        let all: Vec<_> = holders.iter().collect();
        let answers = reader.read(&clock, &all).await.expect("not down");
        let mut expected = vec![None; 20];
        expected[3] = Some(FaultKind::Unreadable);
        expected[4] = Some(FaultKind::Unavailable);
        assert_eq!(kinds(&answers), expected);
        assert_eq!(answers[7].as_ref().expect("read"), &BigUint::from(7_u8));
        assert_eq!(chain.reads(), 21, "only what is unavailable is asked again");
    }

    #[tokio::test]
    async fn a_node_that_answers_nobody_is_down_and_one_that_refuses_each_is_not() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        let reader = Reader::new(Arc::clone(&chain) as _, None, WITHIN);
        let (one, two) = (holder(1), holder(2));
        for kind in [FaultKind::Unavailable, FaultKind::Denied] {
            chain.down(Some(kind));
            let fault = reader.read(&clock, &[&one, &two]).await.expect_err("down");
            assert_eq!(fault.kind, kind);
        }
        for kind in [FaultKind::Rejected, FaultKind::Unreadable] {
            chain.down(Some(kind));
            let answers = reader.read(&clock, &[&one, &two]).await.expect("answers");
            assert_eq!(kinds(&answers), [Some(kind); 2]);
        }
        assert!(reader.read(&clock, &[]).await.expect("nobody").is_empty());
    }

    #[tokio::test]
    async fn when_the_time_is_up_nobody_else_is_asked() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        chain.down(Some(FaultKind::Unavailable));
        let reader = Reader::new(Arc::clone(&chain) as _, None, Duration::from_millis(50));
        let holders: Vec<_> = (0..30).map(holder).collect();
        let all: Vec<_> = holders.iter().collect();
        reader.read(&clock, &all).await.expect_err("down");
        assert!(chain.reads() <= 8, "{} reads", chain.reads());
    }

    #[tokio::test]
    async fn another_chain_than_expected_is_not_read_and_the_right_one_is_asked_once() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        let reader = Reader::new(Arc::clone(&chain) as _, Some(BigUint::from(1_u8)), WITHIN);
        chain.set_chain_id(5);
        let fault = reader.read(&clock, &[&holder(1)]).await.expect_err("wrong");
        assert_eq!(
            outbox::chain(&fault),
            "ethereum eth_chainId failed: the node is on chain 5, not on chain 1"
        );
        assert_eq!(chain.reads(), 0);
        chain.set_chain_id(1);
        reader.read(&clock, &[&holder(1)]).await.expect("right");
        chain.set_chain_id(5);
        reader.read(&clock, &[&holder(1)]).await.expect("known");
    }
}
