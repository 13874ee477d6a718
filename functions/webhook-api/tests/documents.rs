//! Compares the checked-in `openapi.json`, which `system-api` merges, with the endpoints. `make schemas` writes it
//! again; of all tests it compiles only this one.
#![allow(missing_docs)]

#[test]
fn the_openapi_document_is_checked_in_as_rendered() {
    let rendered = format!("{:#}\n", webhook_api::router::openapi());
    expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
}
