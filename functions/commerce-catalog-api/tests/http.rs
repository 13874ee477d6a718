//! The endpoints as callers see them, in process, over the store in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use commerce_catalog_api::{handler::App, router};
use http::Method;
use outbox::Table;
use serde_json::{Value, json};
use testkit::service::{Answer, Service};

const STOCK: &str = "/api/v1/stock/PRD-001-A";

async fn service() -> Service {
    Service::start(|outbox, keys| {
        let app = App::new(outbox.clone(), Table::domain("commerce"));
        router::routes().router(Arc::new(app), keys)
    })
    .await
}

async fn counted(service: &Service, key: &str, quantity: u32) -> Answer {
    let body = json!({ "product_id": "PRD-00123", "quantity": quantity });
    service.put(STOCK, key, &body).await
}

#[tokio::test]
async fn stock_is_counted_received_and_corrected_and_each_step_is_an_event() {
    let service = service().await;
    assert_eq!(
        counted(&service, "1", 50).await.body["stock_status"],
        "in_stock"
    );
    let low = json!({ "threshold_low_stock": 60 });
    let low = service.put(&format!("{STOCK}/threshold"), "2", &low).await;
    assert_eq!(low.body["stock_status"], "low_stock");
    let received = json!({ "quantity": 20 });
    let received = service
        .post(&format!("{STOCK}/receipts"), "3", &received)
        .await;
    assert_eq!(
        (&received.body["available"], &received.body["stock_status"]),
        (&json!(70), &json!("in_stock"))
    );
    let broken = json!({ "delta": -70, "reason": "flooded" });
    let broken = service
        .post(&format!("{STOCK}/adjustments"), "4", &broken)
        .await;
    assert_eq!(broken.status, 200, "{broken:?}");
    assert_eq!(
        service.get(STOCK).await.body,
        json!({
            "sku": "PRD-001-A", "product_id": "PRD-00123", "on_hand": 0, "reserved": 0, "available": 0,
            "threshold_low_stock": 60, "stock_status": "out_of_stock", "updated_at": broken.body["updated_at"],
            "updated_by": broken.body["updated_by"], "version": 4,
        })
    );
    let events = service.history("stock#PRD-001-A").await;
    let changes: Vec<Value> = events
        .iter()
        .map(|event| {
            serde_json::from_str::<Value>(event.payload.json()).unwrap()["change_type"].take()
        })
        .collect();
    assert_eq!(
        changes,
        ["adjusted", "threshold_changed", "received", "adjusted"]
    );
    let listed = service
        .get(&format!("{STOCK}/history?order=newest&limit=1"))
        .await;
    assert_eq!(listed.body["items"][0]["payload"]["reason"], "flooded");
    assert_eq!(listed.body["next_cursor"], "3");
}

#[tokio::test]
async fn what_the_rules_forbid_is_a_problem_and_writes_nothing() {
    let service = service().await;
    for path in [STOCK.to_owned(), format!("{STOCK}/history")] {
        assert_eq!(
            service.get(&path).await.refusal(),
            (404, "not-found"),
            "{path}"
        );
    }
    let adjust = format!("{STOCK}/adjustments");
    let one = json!({ "delta": 1, "reason": "found" });
    assert_eq!(
        service.post(&adjust, "1", &one).await.refusal(),
        (404, "not-found")
    );
    counted(&service, "2", 3).await;
    let four = json!({ "delta": -4, "reason": "lost" });
    let below = service.post(&adjust, "3", &four).await;
    assert_eq!(below.refusal(), (409, "below-reserved"));
    assert_eq!(
        (&below.body["on_hand"], &below.body["reserved"]),
        (&json!(3), &json!(0))
    );
    let much = json!({ "quantity": 1_000_000_000 });
    let much = service.post(&format!("{STOCK}/receipts"), "4", &much).await;
    assert_eq!(much.refusal(), (422, "too-much"));
    let other = json!({ "product_id": "PRD-9", "quantity": 3 });
    let other = service.put(STOCK, "5", &other).await;
    assert_eq!(other.refusal(), (409, "other-product"));
    let invalid = json!({ "delta": 0.5 });
    let invalid = service.post(&adjust, "6", &invalid).await;
    assert_eq!(invalid.pointers(), ["/delta", "/reason"]);
    // Counting what is there already is no event.
    counted(&service, "7", 3).await;
    assert_eq!(service.history("stock#PRD-001-A").await.len(), 1);
}

const PRODUCT: &str = "/api/v1/products/PRD-00123";

fn product(skus: &[&str]) -> Value {
    let variants: Vec<Value> = skus.iter().map(|sku| json!({ "sku": sku })).collect();
    json!({ "name": "Chair", "status": "active", "visibility": "public", "variants": variants })
}

#[tokio::test]
async fn a_product_is_put_into_the_catalogue_changed_shown_and_taken_out() {
    let service = service().await;
    let none = service.get(PRODUCT).await;
    assert_eq!(none.refusal(), (404, "not-found"));
    counted(&service, "1", 50).await;
    let made = service.put(PRODUCT, "2", &product(&["PRD-001-A"])).await;
    assert_eq!(made.status, 200, "{made:?}");
    let shown = service.get(PRODUCT).await.body;
    assert_eq!(
        shown["variants"],
        json!([{ "sku": "PRD-001-A", "stock_status": "in_stock", "prices": {}, "available": 50 }])
    );
    let same = service.put(PRODUCT, "3", &product(&["PRD-001-A"])).await;
    assert_eq!(same.body["version"], 1);
    let more = product(&["PRD-001-A", "PRD-001-B"]);
    let more = service.put(PRODUCT, "4", &more).await;
    assert_eq!(more.body["version"], 2, "{more:?}");
    let listed = service.get("/api/v1/products").await.body;
    assert_eq!(listed["items"], json!([more.body]));
    let history = service.get(&format!("{PRODUCT}/history")).await.body;
    let update = &history["items"][1]["payload"];
    assert_eq!(update["change_type"], "variant_added");
    assert_eq!(
        update["new_values"],
        json!({ "variants": [{ "sku": "PRD-001-B" }] })
    );
    let gone = service.delete(PRODUCT, "5").await;
    assert_eq!(gone.body["deleted"], true, "{gone:?}");
    let twice = service.delete(PRODUCT, "6").await;
    assert_eq!(twice.refusal(), (404, "not-found"));
    for path in [PRODUCT.to_owned(), format!("{PRODUCT}/history")] {
        assert_eq!(service.get(&path).await.refusal(), (404, "not-found"));
    }
    let back = service.put(PRODUCT, "7", &product(&["PRD-001-A"])).await;
    assert_eq!(back.refusal(), (409, "product-deleted"));
    assert_eq!(
        service.get("/api/v1/products").await.body["items"],
        json!([])
    );
    let types: Vec<String> = service
        .history("product#PRD-00123")
        .await
        .iter()
        .map(|event| event.event_type.to_string())
        .collect();
    assert_eq!(
        types,
        ["product.created", "product.updated", "product.deleted"]
    );
}

#[tokio::test]
async fn a_sku_belongs_to_the_first_product_that_names_it_for_ever() {
    let service = service().await;
    service.put(PRODUCT, "1", &product(&["A", "B"])).await;
    // Given up, but never another's.
    service.put(PRODUCT, "2", &product(&["A"])).await;
    let other = "/api/v1/products/OTHER";
    let taken = service.put(other, "3", &product(&["C", "B"])).await;
    assert_eq!(taken.refusal(), (409, "other-product"));
    assert_eq!(
        (&taken.body["product_id"], &taken.body["pointer"]),
        (&json!("PRD-00123"), &json!("/variants/1/sku"))
    );
    assert_eq!(service.get(other).await.status, 404);
    let again = service.put(PRODUCT, "4", &product(&["A", "B"])).await;
    assert_eq!(again.status, 200, "{again:?}");
    let twice = service.put(PRODUCT, "5", &product(&["A", "A"])).await;
    assert_eq!(twice.refusal(), (422, "invalid-request"));
    assert_eq!(twice.pointers(), ["/variants/1/sku"]);
    let none = service.put(PRODUCT, "6", &product(&[])).await;
    assert_eq!(none.pointers(), ["/variants"]);
    // A stock, too, is only that of the product that has the sku. One that was counted before can be put right.
    let count = |product: &str| json!({ "product_id": product, "quantity": 5 });
    let stock = "/api/v1/stock/D";
    service.put(stock, "7", &count("TYPO")).await;
    let more = service.put(PRODUCT, "8", &product(&["A", "D"])).await;
    assert_eq!(more.status, 200, "{more:?}");
    let typo = service.put(stock, "9", &count("TYPO")).await;
    assert_eq!(typo.refusal(), (409, "other-product"));
    let right = service.put(stock, "10", &count("PRD-00123")).await;
    assert_eq!(right.body["product_id"], "PRD-00123", "{right:?}");
    let shown = service.get(PRODUCT).await.body;
    assert_eq!(shown["variants"][1]["available"], 5);
}

#[tokio::test]
async fn the_largest_product_is_taken_and_a_larger_one_is_refused() {
    let service = service().await;
    let sized = |variants: usize, value: usize| {
        let attributes: Vec<Value> = (0..4)
            .map(|number| json!({ "name": format!("a{number}"), "value": "x".repeat(value) }))
            .collect();
        let variants: Vec<Value> = (0..variants)
            .map(|number| json!({ "sku": format!("S-{number}"), "attributes": attributes }))
            .collect();
        json!({ "name": "Chair", "status": "active", "visibility": "public", "variants": variants })
    };
    let large = service.put(PRODUCT, "1", &sized(45, 200)).await;
    assert_eq!(large.status, 200, "{large:?}");
    // All of it once more, otherwise.
    let other = service.put(PRODUCT, "2", &sized(45, 199)).await;
    assert_eq!(other.body["version"], 2, "{other:?}");
    let many = service.put(PRODUCT, "3", &sized(46, 1)).await;
    assert_eq!(many.pointers(), ["/variants"]);
    let mut larger = sized(45, 200);
    larger["description"] = json!("x".repeat(2_000));
    for variant in larger["variants"].as_array_mut().unwrap() {
        let attributes = variant["attributes"].as_array_mut().unwrap();
        attributes.push(json!({ "name": "one more", "value": "x".repeat(200) }));
    }
    let larger = service.put(PRODUCT, "4", &larger).await;
    assert_eq!(larger.refusal(), (422, "product-too-large"));
}

const CHAIRS: &str = "/api/v1/categories/chairs";

async fn delete_to(service: &Service, path: &str, key: &str, to: &str) -> Answer {
    let request = service.request(Method::DELETE, path);
    let request = request.header("idempotency-key", key);
    service.send(request, &json!({ "reassign_to": to })).await
}

#[tokio::test]
async fn categories_are_made_shown_with_their_paths_moved_and_deleted() {
    let service = service().await;
    let put = async |id: &str, key: &str, body: Value| {
        service
            .put(&format!("/api/v1/categories/{id}"), key, &body)
            .await
    };
    assert_eq!(service.get(CHAIRS).await.refusal(), (404, "not-found"));
    let seats = json!({ "name": "Seats", "slug": "seats", "position": 2 });
    assert_eq!(put("seats", "1", seats).await.status, 200);
    let chairs = json!({ "name": "Chairs", "slug": "chairs", "parent_id": "seats" });
    let made = put("chairs", "2", chairs.clone()).await;
    assert_eq!(made.body["version"], 1, "{made:?}");
    let office = json!({ "name": "Office", "slug": "office", "parent_id": "chairs" });
    put("office", "3", office.clone()).await;
    // What is so already changes nothing.
    assert_eq!(put("chairs", "4", chairs).await.body["version"], 1);
    let shown = service.get(CHAIRS).await.body;
    assert_eq!(
        (&shown["path"], &shown["depth"], &shown["attributes"]),
        (&json!("seats/chairs"), &json!(2), &json!([]))
    );
    assert_eq!(shown["children"][0]["path"], "seats/chairs/office");
    // It takes along what stands below it.
    let top = json!({ "name": "Chairs", "slug": "chairs", "position": 1 });
    assert_eq!(put("chairs", "5", top).await.body["version"], 2);
    let listed = service.get("/api/v1/categories").await.body;
    let paths: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["path"])
        .collect();
    assert_eq!(paths, ["chairs", "chairs/office", "seats"]);
    let history = service.get(&format!("{CHAIRS}/history")).await.body;
    let moved = &history["items"][1]["payload"];
    assert_eq!(
        (
            &moved["change_type"],
            &moved["previous_path"],
            &moved["path"],
            &moved["previous_values"]
        ),
        (
            &json!("moved"),
            &json!("seats/chairs"),
            &json!("chairs"),
            &json!({ "parent_id": "seats", "position": 0 })
        )
    );
    let gone = service.delete("/api/v1/categories/seats", "6").await;
    assert_eq!(gone.body["deleted"], true, "{gone:?}");
    let twice = service.delete("/api/v1/categories/seats", "7").await;
    assert_eq!(twice.refusal(), (404, "not-found"));
    let back = put("seats", "8", json!({ "name": "Seats", "slug": "seats" })).await;
    assert_eq!(back.refusal(), (409, "category-deleted"));
}

#[tokio::test]
async fn a_category_that_cannot_be_as_it_is_asked_for_is_refused_by_name() {
    let service = service().await;
    let put = async |id: &str, key: &str, body: Value| {
        service
            .put(&format!("/api/v1/categories/{id}"), key, &body)
            .await
    };
    let of = |parent: &str, slug: &str| json!({ "name": "x", "slug": slug, "parent_id": parent });
    put("chairs", "1", json!({ "name": "Chairs", "slug": "chairs" })).await;
    put("office", "2", of("chairs", "office")).await;
    for (number, (id, parent)) in [
        ("chairs", "chairs"),
        ("chairs", "office"),
        ("new", "nowhere"),
        ("new", "new"),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = put(id, &format!("parent-{number}"), of(parent, "x")).await;
        assert_eq!(
            refused.refusal(),
            (422, "invalid-request"),
            "{id}, {parent}"
        );
        assert_eq!(refused.pointers(), ["/parent_id"]);
    }
    let taken = put("new", "3", of("chairs", "office")).await;
    assert_eq!(taken.refusal(), (409, "slug-taken"));
    assert_eq!(taken.body["category_id"], "office");
    let shape = put("new", "4", json!({ "name": "x", "slug": "Not a slug" })).await;
    assert_eq!(shape.pointers(), ["/slug"]);
    let attributes =
        json!({ "name": "x", "slug": "x", "attributes": [{ "name": "colour", "type": "enum" }] });
    let attributes = put("new", "5", attributes).await;
    assert_eq!(attributes.pointers(), ["/attributes/0/values"]);
    let children = service.delete(CHAIRS, "6").await;
    assert_eq!(children.refusal(), (409, "category-has-children"));
    for (key, to) in [("7", "chairs"), ("8", "office"), ("9", "nowhere")] {
        let refused = delete_to(&service, CHAIRS, key, to).await;
        assert_eq!(refused.refusal(), (422, "invalid-request"), "{to}");
        assert_eq!(refused.pointers(), ["/reassign_to"]);
    }
    put(
        "stools",
        "10",
        json!({ "name": "Stools", "slug": "stools" }),
    )
    .await;
    put("other", "11", of("stools", "office")).await;
    let taken = delete_to(&service, CHAIRS, "12", "stools").await;
    assert_eq!(taken.refusal(), (409, "slug-taken"));
    assert_eq!(service.history("category#chairs").await.len(), 1);
}

#[tokio::test]
async fn products_are_in_categories_that_exist_and_their_attributes_are_as_these_say() {
    let service = service().await;
    let category = json!({ "name": "Chairs", "slug": "chairs", "attributes": [
        { "name": "colour", "type": "enum", "values": ["blue", "red"], "filterable": true },
        { "name": "height", "type": "number" },
    ] });
    let in_category = |category: &str, height: &str| {
        json!({
            "name": "Chair", "status": "active", "visibility": "public", "category_id": category,
            "variants": [{ "sku": "A" }, { "sku": "B", "attributes": [
                { "name": "colour", "value": "blue" }, { "name": "height", "value": height },
            ] }],
        })
    };
    let unknown = service
        .put(PRODUCT, "1", &in_category("chairs", "45"))
        .await;
    assert_eq!(unknown.refusal(), (422, "invalid-request"));
    assert_eq!(unknown.pointers(), ["/category_id"]);
    service.put(CHAIRS, "2", &category).await;
    let high = service
        .put(PRODUCT, "3", &in_category("chairs", "high"))
        .await;
    assert_eq!(high.pointers(), ["/variants/1/attributes/1/value"]);
    let made = service
        .put(PRODUCT, "4", &in_category("chairs", "45"))
        .await;
    assert_eq!(made.body["category_id"], "chairs", "{made:?}");
    let listed = service.get(&format!("{CHAIRS}/products")).await.body;
    assert_eq!(listed["items"], json!([made.body]));
    let full = service.delete(CHAIRS, "5").await;
    assert_eq!(full.refusal(), (409, "category-has-products"));

    let other = json!({ "name": "Stools", "slug": "stools" });
    service.put("/api/v1/categories/stools", "6", &other).await;
    // Closing: nothing is put into it any more, and it is still shown.
    let closing = delete_to(&service, CHAIRS, "7", "stools").await;
    assert_eq!(
        (&closing.body["deleted"], &closing.body["reassigned_to"]),
        (&json!(false), &json!("stools"))
    );
    let again = delete_to(&service, CHAIRS, "8", "stools").await;
    assert_eq!(again.refusal(), (409, "category-closing"));
    let renamed = service.put(CHAIRS, "9", &category).await;
    assert_eq!(renamed.refusal(), (409, "category-closing"));
    let late = service
        .put("/api/v1/products/LATE", "10", &product(&["C"]))
        .await;
    assert_eq!(late.status, 200, "{late:?}");
    let mut late = product(&["C"]);
    late["category_id"] = json!("chairs");
    let late = service.put("/api/v1/products/LATE", "11", &late).await;
    assert_eq!(late.pointers(), ["/category_id"]);
    let below = json!({ "name": "x", "slug": "x", "parent_id": "chairs" });
    let below = service.put("/api/v1/categories/x", "12", &below).await;
    assert_eq!(below.pointers(), ["/parent_id"]);

    // A product that moves, and one that is deleted, is not listed where it was.
    let mut moved = in_category("stools", "any text");
    let moved_to = service.put(PRODUCT, "13", &moved).await;
    assert_eq!(moved_to.body["category_id"], "stools");
    let stools = "/api/v1/categories/stools/products";
    assert_eq!(
        service.get(stools).await.body["items"],
        json!([moved_to.body])
    );
    assert_eq!(
        service.get(&format!("{CHAIRS}/products")).await.body["items"],
        json!([])
    );
    moved.as_object_mut().unwrap().remove("category_id");
    let out = service.put(PRODUCT, "14", &moved).await;
    assert_eq!(out.body["category_id"], Value::Null);
    assert_eq!(service.get(stools).await.body["items"], json!([]));
    moved["category_id"] = json!("stools");
    service.put(PRODUCT, "15", &moved).await;
    service.delete(PRODUCT, "16").await;
    assert_eq!(service.get(stools).await.body["items"], json!([]));
    let changes: Vec<Value> = service
        .history("product#PRD-00123")
        .await
        .iter()
        .filter(|event| event.event_type.as_str() == "product.updated")
        .map(|event| {
            serde_json::from_str::<Value>(event.payload.json()).unwrap()["change_type"].take()
        })
        .collect();
    // Of attributes and category, the attributes are named.
    assert_eq!(
        changes,
        ["variant_changed", "category_changed", "category_changed"]
    );
}

#[tokio::test]
async fn the_largest_product_is_put_into_another_category() {
    let service = service().await;
    for (key, id) in [("1", "one"), ("2", "two")] {
        let body = json!({ "name": id, "slug": id });
        service
            .put(&format!("/api/v1/categories/{id}"), key, &body)
            .await;
    }
    let skus =
        |from: u32| -> Vec<String> { (from..from + 45).map(|one| format!("S-{one}")).collect() };
    let of = |category: &str, from: u32| {
        let skus = skus(from);
        let mut body = product(&skus.iter().map(String::as_str).collect::<Vec<_>>());
        body["category_id"] = json!(category);
        body
    };
    // 45 new skus each time, and another category.
    for (key, category, from) in [("3", "one", 0), ("4", "two", 100)] {
        let made = service.put(PRODUCT, key, &of(category, from)).await;
        assert_eq!(made.body["category_id"], category, "{made:?}");
    }
}
