//! What is said of the endpoints is checked in as rendered; `system-api` merges it. `make schemas` writes it anew: it compiles
//! this and nothing else of the tests.
#![allow(missing_docs)]

#[test]
fn the_openapi_document_is_checked_in_as_rendered() {
    let rendered = format!("{:#}\n", commerce_credit_api::router::openapi());
    expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
}
