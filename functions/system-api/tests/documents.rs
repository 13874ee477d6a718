//! Compares the checked-in `openapi.json`, which `system-api` merges, with the endpoints. `make schemas` writes it
//! again; of all tests it compiles only this one.
#![allow(missing_docs)]

use events::Registry;
use topology::Deployment;

#[test]
fn the_openapi_document_is_checked_in_as_rendered() {
    let rendered = format!("{:#}\n", system_api::router::openapi());
    expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
}

#[test]
fn the_asyncapi_document_is_checked_in_as_rendered() {
    let mut document = system_api::asyncapi::document(&Registry::shipped(), &Deployment::whole());
    document.sort_all_objects();
    let rendered = format!("{document:#}\n");
    expect_test::expect_file!["../../../infra/docs/asyncapi.json"].assert_eq(&rendered);
}
