//! The event stream beside the deployed stack: whoever watches sees each event once and in order, however often it is cut off.

use std::collections::VecDeque;

use rand::Rng as _;

use super::*;

/// A client that reads frames as a browser does.
struct Watcher {
    url: String,
    key: String,
    answer: Option<reqwest::Response>,
    text: String,
    last: Option<String>,
}

impl Watcher {
    fn new(stack: &Stack, query: &str) -> Result<Self> {
        Ok(Self {
            url: format!("{}/api/v1/events/stream{query}", stack.env("STREAM_URL")?),
            key: stack.env("API_KEY")?.to_owned(),
            answer: None,
            text: String::new(),
            last: None,
        })
    }

    /// As when a network goes: what was on its way is lost.
    fn cut_off(&mut self) {
        self.answer = None;
        self.text.clear();
    }

    /// The next frame's event and data; opens a connection where there is none.
    async fn frame(&mut self) -> Result<(String, String)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let value = block.lines().find_map(|line| line.strip_prefix(name));
                    value.map(str::to_owned)
                };
                let (event, data) = (field("event: "), field("data: "));
                self.last = field("id: ").or_else(|| self.last.take());
                if let (Some(event), Some(data)) = (event, data) {
                    return Ok((event, data));
                }
            }
            if self.answer.is_none() {
                let mut request = reqwest::Client::new().get(&self.url).bearer_auth(&self.key);
                if let Some(last) = &self.last {
                    request = request.header("Last-Event-ID", last);
                }
                self.answer = Some(request.send().await?.error_for_status()?);
            }
            let Some(answer) = &mut self.answer else {
                continue;
            };
            match answer.chunk().await? {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk)?),
                None => self.cut_off(),
            }
        }
    }
}

/// One settlement through 30 confirmations, as slowly as a network might.
async fn settle(stack: &Stack) -> Result<String> {
    let body = json!({ "amount": "100.10", "currency": "EUR" });
    let payment = post(stack, "/api/v1/payments", &body).await?;
    let payment = payment.expect(StatusCode::CREATED)?["payment_id"].clone();
    let network = json!({
        "network": "polygon", "cost_usd": "0.01", "seconds": 60, "reliability": 0.99, "gas_estimate": "0.000021",
        "required_confirmations": 30
    });
    let body = json!({ "payment_id": payment, "amount": "100.10", "networks": [network] });
    let made = post(stack, "/api/v1/settlements", &body).await?;
    let made = made.expect(StatusCode::CREATED)?;
    let id = made["settlement_id"].as_str().ok_or("no settlement_id")?;
    let path = format!("/api/v1/settlements/{id}");
    let step = async |name: &str, body: Value| {
        let done = post(stack, &format!("{path}/{name}"), &body).await?;
        done.expect(StatusCode::OK)
    };
    step("submit", json!({ "tx_hash": "0xabc" })).await?;
    for confirmations in 1..=30 {
        step("confirmations", json!({ "confirmations": confirmations })).await?;
    }
    step("settle", json!({ "gas_actual": "0.000019" })).await?;
    Ok(id.to_owned())
}

#[tokio::test]
async fn a_client_that_is_cut_off_three_times_sees_each_event_of_a_settlement_once_and_in_order()
-> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let mut watcher = Watcher::new(&stack, "?type=settlement.")?;
    // From here on nothing may be missed.
    assert_eq!(watcher.frame().await?.0, "heartbeat");
    let settling = settle(&stack);
    let watching = async {
        let mut cuts: VecDeque<usize> = {
            let mut random = rand::rng();
            let mut cuts = [0; 3].map(|_| random.random_range(1..35));
            cuts.sort_unstable();
            cuts.into()
        };
        let mut seen: Vec<Value> = Vec::new();
        loop {
            let next = tokio::time::timeout(SOON, watcher.frame()).await;
            let (event, data) =
                next.map_err(|_| format!("nothing after {} events", seen.len()))??;
            assert!(
                !["gap", "overrun"].contains(&event.as_str()),
                "{event}: {data}"
            );
            if event == "heartbeat" {
                continue;
            }
            let envelope: Value = serde_json::from_str(&data)?;
            assert_eq!(envelope["event_type"], event.as_str());
            let is_last = event == "settlement.settled";
            seen.push(envelope);
            while cuts.front().is_some_and(|at| *at <= seen.len()) {
                cuts.pop_front();
                watcher.cut_off();
            }
            if is_last {
                return Ok::<_, BoxError>(seen);
            }
        }
    };
    let (id, seen) = tokio::try_join!(settling, watching)?;
    let logged = history(&stack, "settlement", &id).await?;
    let of_ours = |events: Vec<Value>| -> Vec<Value> {
        events
            .into_iter()
            .filter(|event| event["aggregate_id"] == id.as_str())
            .collect()
    };
    let mut seen = of_ours(seen);
    // Another story's settlement may have ended first.
    while seen.len() < logged.len() {
        let (event, data) = tokio::time::timeout(SOON, watcher.frame()).await??;
        if event != "heartbeat" {
            seen.extend(of_ours(vec![serde_json::from_str(&data)?]));
        }
    }
    assert_eq!(seen.len(), logged.len());
    assert!(logged.len() >= 36, "{}", logged.len());
    assert_eq!(seen, logged, "exactly these, in order");

    // Who has handled the last one is shown beside the stream.
    let last = seen.last().ok_or("no event")?["event_id"].clone();
    let last = last.as_str().ok_or("no event_id")?;
    let url = format!("{}/api/v1/events/{last}/handled", stack.env("STREAM_URL")?);
    let asked = reqwest::Client::new()
        .get(url)
        .bearer_auth(stack.env("API_KEY")?);
    let told: Value = asked.send().await?.error_for_status()?.json().await?;
    let feed = told["items"]
        .as_array()
        .and_then(|items| items.iter().find(|one| one["consumer"] == "event-feed"));
    assert_eq!(
        feed.map(|one| &one["state"]),
        Some(&json!("handled")),
        "{told}"
    );
    Ok(())
}
