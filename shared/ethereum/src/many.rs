//! Reads many balances concurrently, after checking the chain and the token.

use std::{
    io,
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

use crate::{Balances, JsonRpc, Settings};

/// The number of concurrent calls: public nodes allow one caller about this many.
const AT_ONCE: usize = 8;

/// The number of tries for a balance if the node is unavailable.
const TRIES: u32 = 2;

/// The pause between two tries, with up to half of it added or removed at random.
const PAUSE: Duration = Duration::from_millis(200);

/// The chain and token that the settings state. A node that states others is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The chain's id; `None` allows any.
    pub chain_id: Option<BigUint>,
    /// The token's decimals.
    pub decimals: u8,
}

/// Reads the balances of many holders. Before the first read it checks that chain and token are the expected ones.
pub struct Reader {
    balances: Arc<dyn Balances>,
    expected: Expected,
    is_as_expected: AtomicBool,
    within: Duration,
}

impl Reader {
    /// A reader for a chain. It starts no balance read later than `within` after the beginning of [`Self::read`].
    #[must_use]
    pub fn new(balances: Arc<dyn Balances>, expected: Expected, within: Duration) -> Self {
        Self {
            balances,
            expected,
            is_as_expected: AtomicBool::new(false),
            within,
        }
    }

    /// A reader for the node in the settings, whose token must state these decimals. For `within`, see [`Self::new`].
    ///
    /// # Errors
    /// As [`JsonRpc::new`].
    pub fn of_node(settings: &Settings, decimals: u8, within: Duration) -> io::Result<Self> {
        let expected = Expected {
            chain_id: settings.chain_id.clone(),
            decimals,
        };
        Ok(Self::new(
            Arc::new(JsonRpc::new(settings)?),
            expected,
            within,
        ))
    }

    /// Reads the balances, in the order of the holders. A balance that cannot be read does not affect the others.
    ///
    /// # Errors
    /// Fails if no balance is known at all. Either the node as a whole is down (*unavailable*, *denied*); the error
    /// then states how many balances were not read. Or the chain or token differs from the settings (*rejected*). A
    /// node that reads no balance but still answers which chain it is on is not down; then each holder has a fault of
    /// its own.
    pub async fn read(
        &self,
        clock: &dyn Clock,
        holders: &[&EthereumAddress],
    ) -> Result<Vec<Result<BigUint, Fault>>, Fault> {
        if holders.is_empty() {
            return Ok(Vec::new());
        }
        let begun = clock.now();
        self.be_sure(holders.len()).await?;
        let is_time_left = || clock.now().since(begun) < self.within;
        let reads: Vec<_> = holders
            .iter()
            .map(|holder| self.one(clock, holder, &is_time_left))
            .collect();
        let answers: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        if answers.iter().all(Result::is_err) {
            self.balances
                .chain_id()
                .await
                .map_err(|fault| down(&fault, holders.len()))?;
        }
        Ok(answers)
    }

    /// Checks once that chain and token are the expected ones.
    async fn be_sure(&self, unread: usize) -> Result<(), Fault> {
        if self.is_as_expected.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(expected) = &self.expected.chain_id {
            let found = self.balances.chain_id().await;
            let found = found.map_err(|fault| down(&fault, unread))?;
            if found != *expected {
                return Err(Fault::new(
                    FaultKind::Rejected,
                    "ethereum eth_chainId",
                    format!("the node is on chain {found}, not on chain {expected}"),
                ));
            }
        }
        self.be_sure_of_the_token(unread).await?;
        self.is_as_expected.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn be_sure_of_the_token(&self, unread: usize) -> Result<(), Fault> {
        let expected = self.expected.decimals;
        let wrong = |why: String| Fault::new(FaultKind::Rejected, "ethereum decimals()", why);
        match self.balances.decimals().await {
            Ok(found) if found == BigUint::from(expected) => Ok(()),
            Ok(found) => Err(wrong(format!(
                "the token's contract states {found} decimals, the settings {expected}: CHAIN_TOKEN_CONTRACT or \
                 CHAIN_TOKEN_DECIMALS is wrong"
            ))),
            Err(fault) if matches!(fault.kind, FaultKind::Unavailable | FaultKind::Denied) => {
                Err(down(&fault, unread))
            }
            Err(fault) => Err(wrong(format!(
                "the token's contract does not state its decimals; is CHAIN_TOKEN_CONTRACT on this chain? {}",
                outbox::chain(&fault)
            ))),
        }
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
            "not read: the time was up",
        ));
        for again in 0..TRIES {
            if again > 0 {
                clock.sleep_jittered(PAUSE, 50).await;
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

/// The fault of a node that is down as a whole.
fn down(fault: &Fault, unread: usize) -> Fault {
    let balances = if unread == 1 { "balance" } else { "balances" };
    Fault::new(
        fault.kind,
        "reading the chain",
        format!(
            "the node is down, {unread} {balances} not read: {}",
            outbox::chain(fault)
        ),
    )
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

    fn expected(chain_id: Option<u8>) -> Expected {
        Expected {
            chain_id: chain_id.map(BigUint::from),
            decimals: 18,
        }
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
        let reader = Reader::new(Arc::clone(&chain) as _, expected(None), WITHIN);
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
    async fn a_node_that_answers_nothing_is_down_and_one_that_reads_nobody_is_not() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        let reader = Reader::new(Arc::clone(&chain) as _, expected(None), WITHIN);
        let (one, two) = (holder(1), holder(2));
        reader.read(&clock, &[&one]).await.expect("answers");
        for kind in [
            FaultKind::Unavailable,
            FaultKind::Denied,
            FaultKind::Rejected,
            FaultKind::Unreadable,
        ] {
            // The faults belong to the holders, whether one or two, as long as the node states which chain it is on.
            chain.fail(&one, Some(kind));
            chain.fail(&two, Some(kind));
            let answers = reader.read(&clock, &[&one, &two]).await.expect("answers");
            assert_eq!(kinds(&answers), [Some(kind); 2]);
            let answers = reader.read(&clock, &[&one]).await.expect("answers");
            assert_eq!(kinds(&answers), [Some(kind)]);

            chain.down(Some(kind));
            let fault = reader.read(&clock, &[&one, &two]).await.expect_err("down");
            assert_eq!(fault.kind, kind);
            assert_eq!(
                outbox::chain(&fault),
                "reading the chain failed: the node is down, 2 balances not read: \
                 memory chain id failed: told to fail"
            );
            chain.down(None);
        }
        chain.down(Some(FaultKind::Unavailable));
        assert!(reader.read(&clock, &[]).await.expect("nobody").is_empty());
    }

    #[tokio::test]
    async fn a_node_that_is_down_at_the_first_look_is_told_as_down_too() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        chain.down(Some(FaultKind::Unavailable));
        for chain_id in [None, Some(1)] {
            let reader = Reader::new(Arc::clone(&chain) as _, expected(chain_id), WITHIN);
            let fault = reader.read(&clock, &[&holder(1)]).await.expect_err("down");
            assert_eq!(fault.kind, FaultKind::Unavailable);
            let text = outbox::chain(&fault);
            assert!(
                text.contains("the node is down, 1 balance not read"),
                "{text}"
            );
        }
        assert_eq!(chain.reads(), 0);
    }

    #[tokio::test]
    async fn when_the_time_is_up_nobody_else_is_asked() {
        /// A chain with a clock that every read of a balance advances.
        struct Slow(MemoryChain, Arc<TestClock>);
        #[async_trait::async_trait]
        impl Balances for Slow {
            async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault> {
                self.1.advance(Duration::from_millis(20));
                self.0.balance(holder).await
            }
            async fn chain_id(&self) -> Result<BigUint, Fault> {
                self.0.chain_id().await
            }
            async fn decimals(&self) -> Result<BigUint, Fault> {
                self.0.decimals().await
            }
        }
        let clock = Arc::new(TestClock::new(1));
        let slow = Arc::new(Slow(MemoryChain::default(), Arc::clone(&clock)));
        let within = Duration::from_millis(50);
        let reader = Reader::new(Arc::clone(&slow) as _, expected(None), within);
        let holders: Vec<_> = (0..30).map(holder).collect();
        let all: Vec<_> = holders.iter().collect();
        let answers = reader.read(&*clock, &all).await.expect("not down");
        assert_eq!(slow.0.reads(), 3);
        assert_eq!(kinds(&answers)[2..4], [None, Some(FaultKind::Unavailable)]);
    }

    #[tokio::test]
    async fn another_chain_than_expected_is_not_read_and_the_right_one_is_asked_once() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        let reader = Reader::new(Arc::clone(&chain) as _, expected(Some(1)), WITHIN);
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

    #[tokio::test]
    async fn a_token_of_other_decimals_than_the_settings_say_is_not_read() {
        let (chain, clock) = (Arc::new(MemoryChain::default()), TestClock::new(1));
        let reader = Reader::new(Arc::clone(&chain) as _, expected(None), WITHIN);
        chain.set_decimals(6);
        let fault = reader.read(&clock, &[&holder(1)]).await.expect_err("wrong");
        assert_eq!(fault.kind, FaultKind::Rejected);
        let text = outbox::chain(&fault);
        assert!(
            text.contains("states 6 decimals, the settings 18"),
            "{text}"
        );
        assert_eq!(chain.reads(), 0);

        // No such contract on this chain: the node answers `0x`.
        chain.down(Some(FaultKind::Unreadable));
        let fault = reader.read(&clock, &[&holder(1)]).await.expect_err("wrong");
        assert_eq!(fault.kind, FaultKind::Rejected);
        let text = outbox::chain(&fault);
        assert!(text.contains("does not state its decimals"), "{text}");

        chain.down(None);
        chain.set_decimals(18);
        reader.read(&clock, &[&holder(1)]).await.expect("right");
        chain.set_decimals(6);
        reader.read(&clock, &[&holder(1)]).await.expect("known");
    }
}
