//! Which stories run on LocalStack, and why the others do not. `make test-localstack` prints the second and runs the
//! first.
//!
//! Every story has its line here. A story belongs to [`LEFT_OUT`] only if LocalStack lacks what the story is about: a story
//! that is merely slow there gets its time by a deadline. `infra/docs/localstack.md` shows both lists; after a change
//! here, run its test with `UPDATE_EXPECT=1`.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/docs/localstack.md");
/// The lines between which the document has the lists.
const BEGIN: &str = "<!-- written from tests/it/e2e/localstack.rs: begin -->\n";
const END: &str = "<!-- written from tests/it/e2e/localstack.rs: end -->\n";
/// Stories that run at the same time. A transaction that LocalStack cancels takes back what others committed meanwhile in the
/// same tables, and the fewer contend, the fewer are cancelled.
const AT_ONCE: &str = "1";

/// The stories that run there, as `module::name`.
const RUN: &[&str] = &[
    "commerce::a_cart_follows_a_price_a_product_and_a_stock_by_itself",
    "commerce::a_contract_price_is_for_its_customer_and_a_price_list_begins_by_itself",
    "commerce::a_category_takes_along_what_is_below_it_and_leaves_its_products_to_another_one",
    "commerce::a_quote_is_priced_again_after_a_jump_and_its_order_keeps_its_total_after_a_step",
    "commerce::a_price_is_published_and_an_order_comes_to_the_seeds_total",
    "analytics::analytics_counts_what_members_did_once_and_in_every_bucket",
    "events_api::an_event_is_found_by_id_and_time_and_its_journey_tells_every_step",
    "events_api::an_event_from_outside_goes_all_the_way_once_and_its_producer_is_counted",
    "events_api::a_service_invokes_the_function_itself_and_so_does_a_rule_of_a_bus_of_its_own",
    "events_api::a_rule_of_a_callers_own_bus_publishes_by_itself",
    "events_api::events_are_handed_out_as_cloudevents_and_taken_back_as_such",
    "events_api::what_happens_is_described_and_an_event_is_checked_before_it_is_sent",
    "events_api::a_page_of_a_named_origin_may_call_api_and_stream_and_no_other_may",
    "example::the_example_in_another_language_handles_each_event_once",
    "letters::poison_is_parked_with_its_reason_while_its_neighbours_succeed",
    "loan::what_is_changed_before_the_funding_is_in_the_first_schedule",
    "mint::history_shows_every_movement_in_sequence_without_gaps",
    "pause::a_paused_consumer_stays_paused_while_others_go_on_and_handles_all_of_it_once_afterwards",
    "refusals::calls_without_a_key_with_a_wrong_one_or_without_the_scope_are_refused",
    "refusals::a_repeated_key_creation_shows_no_secret",
    "refusals::invalid_bodies_are_told_every_violation_with_its_pointer",
    "refusals::the_rules_refuse_what_they_must_and_write_nothing",
    "refusals::health_and_openapi_are_open_and_tell_the_truth",
    "repeats::a_repeated_call_gets_the_first_answer_even_after_the_balance_was_spent",
    "repeats::a_stripe_charge_is_minted_once_for_whoever_and_under_whatever_key",
    "replay::a_replay_of_a_span_reaches_one_consumer_and_changes_nothing",
    "replay::a_read_model_that_is_lost_comes_back_by_the_replay_of_its_aggregate",
    "republish::what_is_still_pending_is_published_by_an_operation_that_tells_who_and_why",
    "recovery::what_a_lane_and_a_read_model_have_lost_comes_back_from_the_event_log_and_the_audit_is_clean",
    "settlement::a_settlement_is_rebuilt_from_its_events_at_every_step",
    "settlement::what_a_status_does_not_allow_is_refused_by_the_deployed_function",
    "spine::an_event_goes_all_the_way_and_every_consumer_of_it_shows_that_it_handled_it",
    "spine::a_heartbeat_goes_the_whole_way",
    "spine::the_document_of_the_api_has_the_endpoints_of_what_is_deployed_and_no_others",
    "status::every_lane_is_shown_with_its_depth_and_the_age_that_cloudwatch_has",
    "stream::the_front_serves_the_dashboard_which_may_connect_to_the_stream",
    "stream::clients_that_are_cut_off_three_times_see_exactly_a_settlements_events_in_order",
    "stream::filters_by_type_aggregate_and_tenant_let_through_exactly_what_they_name",
    "stream::whose_last_event_is_gone_is_told_the_gap_and_goes_on_live",
    "stream::without_a_good_key_or_token_nothing_is_told",
    "stream::what_no_stream_can_be_asked_is_refused_by_name",
    "stream::a_key_has_ten_connections_and_a_place_comes_free_when_a_client_goes",
    "usage::a_redemption_at_an_approved_card_lowers_what_is_outstanding",
    "usage::what_a_card_does_not_allow_is_refused_with_its_own_problem_and_leaves_no_trace",
    "wallet::both_balance_events_of_a_hold_reach_a_marked_consumer",
    "webhooks::endpoints_that_fail_hang_redirect_or_are_gone_get_what_is_theirs_and_delay_no_other",
    "webhooks::a_secret_is_rotated_a_delivery_looked_up_and_sent_once_more",
    "webhooks::an_endpoint_must_not_lead_inside_and_the_refusal_says_nothing_of_the_inside",
];

/// What LocalStack lacks, and the stories that need it.
struct Lack {
    /// In a word.
    what: &'static str,
    /// In a sentence.
    why: &'static str,
    stories: &'static [&'static str],
}

const LEFT_OUT: &[Lack] = &[
    Lack {
        what: "SES v2",
        why: "Millrace sends its mails by SES v2, which is not in LocalStack's free part. No mail is sent, so an event with a mail is never handled by every consumer",
        stories: &[
            "audit::an_audit_is_clean_after_traffic_and_names_what_is_lost_stuck_doubled_or_parked",
            "backing::the_alert_fires_once_per_episode_also_when_only_the_reserve_moves",
            "commerce::an_order_goes_from_credit_over_stock_to_delivered_and_paid",
            "loan::a_funded_loan_gets_its_schedule_and_is_changed_drawn_on_and_paid_to_the_end",
            "mint::a_mint_reaches_balance_treasury_mail_and_note",
            "mint::a_transfer_tells_both_members",
            "mint::a_changed_contact_gets_the_next_mail_at_the_new_address",
            "notifications::stakes_burns_and_redemptions_are_told_to_their_member",
            "notifications::an_approved_rate_card_is_told_to_whoever_has_a_subname_and_to_nobody_else",
            "repeats::copies_of_an_event_change_nothing",
            "usage::staked_credits_are_locked_outstanding_and_had_back",
            "wallet::held_points_are_settled_to_the_model_and_everybody_hears_of_it",
            "wallet::held_points_go_back_in_whole_or_in_part_exactly_once",
            "wallet::copies_of_wallet_events_change_nothing_under_their_own_or_another_id",
            "whole_audit::an_audit_of_the_whole_stack_tells_of_no_gap_that_is_not_there",
            "whole_audit::a_consumer_that_is_added_to_a_stack_with_history_has_not_lost_what_came_before",
        ],
    },
    Lack {
        what: "enforced roles",
        why: "the story takes a permission away from a function's role, so that its handler fails. LocalStack's free part checks no role",
        stories: &[
            "dead_letters::a_thousand_letters_are_three_groups_and_what_is_mended_is_handled_once_each",
            "dead_letters::a_consumer_that_keeps_an_order_goes_on_from_the_letter_through_what_waited",
            "retries::a_handler_that_fails_twice_succeeds_on_the_third_try",
            "wallet::a_consumer_that_always_fails_ends_in_letters_while_all_others_go_on",
        ],
    },
    Lack {
        what: "atomicity under concurrency",
        why: "many transactions contend for one item, a wallet or the end of the feed. Of LocalStack's racing transactions two may succeed, and many at once time out",
        stories: &[
            "commerce::an_order_that_is_refused_or_cancelled_holds_nothing",
            "commerce::stock_is_corrected_once_however_often_and_at_the_same_time_it_is_asked_for",
            "settlement::of_settlements_of_one_payment_at_once_no_two_count_on_the_same_money",
            "stream::on_lambda_a_stream_is_over_within_a_minute_and_its_places_are_given_back",
            "stream::two_hundred_clients_end_with_exactly_the_same_events",
            "wallet::of_two_hundred_holds_at_once_on_funds_for_a_hundred_exactly_a_hundred_succeed",
        ],
    },
    Lack {
        what: "the fault proxy",
        why: "the story delays or kills functions. Only the local AWS that `make test` starts has the proxy, and its functions are processes that may be killed",
        stories: &[
            "notifications::a_rate_card_is_told_to_a_thousand_members_though_the_sender_is_killed_in_between",
            "wallet::a_slow_consumer_does_not_delay_the_others",
        ],
    },
    Lack {
        what: "the local chain",
        why: "it runs only beside the local AWS that `make` starts",
        stories: &[
            "chain::every_movement_is_found_on_the_chain",
            "chain::a_chain_that_lags_behind_is_waited_for_and_its_nonsense_is_not_believed",
            "chain::a_balance_that_cannot_be_read_is_named_and_everybody_else_is_compared",
            "chain::a_divergence_is_told_once_and_again_only_after_it_ended",
            "chain::a_node_that_is_down_fails_the_run_loses_nothing_and_the_schedule_comes_again",
        ],
    },
];

fn left_out() -> impl Iterator<Item = &'static str> {
    LEFT_OUT
        .iter()
        .flat_map(|lack| lack.stories.iter().copied())
}

/// The stories in the sources beside this file, as `module::name`.
fn written() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/e2e");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder of the stories") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a source");
        let module = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let bodies = text.split("\n#[tokio::test").skip(1);
        let names = bodies.filter_map(|body| body.split_once("fn ")?.1.split('(').next());
        found.extend(names.map(|name| format!("{module}::{name}")));
    }
    found
}

#[test]
fn every_story_says_whether_it_runs_on_localstack() {
    let listed: Vec<&str> = RUN.iter().copied().chain(left_out()).collect();
    let once: BTreeSet<String> = listed.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(once.len(), listed.len(), "a story is listed twice");
    let written = written();
    let silent: Vec<_> = written.difference(&once).collect();
    let gone: Vec<_> = once.difference(&written).collect();
    assert!(
        silent.is_empty() && gone.is_empty(),
        "tests/it/e2e/localstack.rs: say of {silent:#?} whether they run on LocalStack (try: make test-localstack STORIES=…); there is \
         no story {gone:#?}"
    );
}

/// The lists as the document has them.
fn rendered() -> String {
    let names = |stories: &[&str]| {
        let quoted: Vec<String> = stories.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    };
    let row = |Lack { what, why, stories }: &Lack| {
        format!("| **{what}**: {why} | {} |\n", names(stories))
    };
    let rows: String = LEFT_OUT.iter().map(row).collect();
    format!(
        "**{} of {} stories run on LocalStack.** These do not:\n\n| LocalStack lacks | so these stories do not run |\n|---|---|\n{rows}\n\
         These do: {}.\n",
        RUN.len(),
        RUN.len() + left_out().count(),
        names(RUN)
    )
}

#[test]
fn the_document_lists_which_stories_run_on_localstack() {
    let text = fs::read_to_string(DOCUMENT).expect("the document");
    let (before, rest) = text.split_once(BEGIN).expect("where the lists begin");
    let (_, after) = rest.split_once(END).expect("where the lists end");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", rendered());
    expect_test::expect_file![DOCUMENT].assert_eq(&wanted);
}

/// Runs this program again with the names of the stories, because libtest chooses tests only by its arguments.
#[test]
#[ignore = "needs a stack on LocalStack: make test-localstack"]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the choice of the person who runs it; what is left out must be seen"
)]
fn the_stories_that_run_on_localstack_pass_there() {
    for Lack { what, why, stories } in LEFT_OUT {
        println!("left out, for LocalStack lacks {what}: {why}");
        for story in *stories {
            println!("    {story}");
        }
    }
    let wanted = env::var("STORIES").unwrap_or_default();
    let chosen = RUN.iter().filter(|name| name.contains(&wanted));
    let names: Vec<String> = chosen.map(|name| format!("e2e::{name}")).collect();
    assert!(
        !names.is_empty(),
        "no story that runs on LocalStack has STORIES={wanted} in its name"
    );
    let this = env::current_exe().expect("this program");
    let status = Command::new(this)
        .args(["--exact", "--test-threads", AT_ONCE])
        .args(names)
        .status()
        .expect("started");
    assert!(status.success(), "a story failed on LocalStack: {status}");
}
