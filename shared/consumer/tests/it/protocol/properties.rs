//! The invariants of every state, and the situations that some run must reach.

use stateright::Property;

use super::model::{
    Answer, Bounds, Event, EventId, Evidence, Execution, Outcome, Owner, Phase, Protocol, World,
};

pub(super) const NOT_DOUBLED: &str = "no effect is doubled";
pub(super) const NEVER_BACK: &str = "a projection never goes back";
pub(super) const STATE_AND_EVENT: &str = "no event without its state, no state without its event";
pub(super) const FIRST_ANSWER: &str = "a client's answer is the first answer";
pub(super) const NOT_OVERTAKEN: &str =
    "a commit that its sender gave up as not written is not written afterwards";
pub(super) const NOT_PARKED_DONE: &str = "no handled event is parked";
pub(super) const RELAY_ORDER: &str =
    "no call is started for an aggregate past an unpublished event of it";
pub(super) const PUBLISHED: &str =
    "the bus has accepted every event that the log records as published";
pub(super) const ENDS: &str = "every committed event ends handled or as a dead letter";
pub(super) const ALL_PUBLISHED: &str = "nothing stays pending in the log";
pub(super) const NOT_STUCK: &str = "an unfinished state always allows an action";
/// Holds only if a cut-off record comes back; see [`super::model::CutOff`].
pub(super) const CUT_OFF_NOT_OVERTAKEN: &str =
    "an event that was parked for its time limit is not handled afterwards";

/// The properties of every size, and the situations that this size must reach.
pub(super) fn of(bounds: &Bounds) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always(NOT_DOUBLED, not_doubled),
        Property::always(NEVER_BACK, |_, world: &World| !world.wrongs.regressed),
        Property::always(STATE_AND_EVENT, state_and_event),
        Property::always(FIRST_ANSWER, |_, world: &World| !world.wrongs.lied),
        Property::always(NOT_OVERTAKEN, |_, world: &World| !world.wrongs.overtaken),
        Property::always(NOT_PARKED_DONE, |_, world: &World| {
            !world.wrongs.parked_done
        }),
        Property::always(RELAY_ORDER, relay_order),
        Property::always(PUBLISHED, |_, world: &World| {
            world
                .events()
                .all(|(_, event)| !event.published || event.copies > 0)
        }),
        Property::always(ENDS, |protocol: &Protocol, world: &World| {
            !world.is_quiet()
                || world
                    .events()
                    .all(|(id, event)| ended(protocol, world, id, event))
        }),
        Property::always(ALL_PUBLISHED, |protocol: &Protocol, world: &World| {
            !world.is_quiet()
                || protocol.bounds.evidence == Evidence::Unread
                || world.events().all(|(_, event)| event.published)
        }),
        Property::always(NOT_STUCK, |protocol: &Protocol, world: &World| {
            let mut actions = Vec::new();
            world.is_quiet() || {
                stateright::Model::actions(protocol, world, &mut actions);
                !actions.is_empty()
            }
        }),
        Property::always(CUT_OFF_NOT_OVERTAKEN, |_, world: &World| {
            !world.wrongs.overtaken_cut_off
        }),
    ];
    properties.extend(
        sights()
            .into_iter()
            .filter(|one| bounds.sights.contains(&one.name)),
    );
    properties
}

fn not_doubled(protocol: &Protocol, world: &World) -> bool {
    let commands = 0..u8::try_from(protocol.bounds.commands.len()).unwrap_or(u8::MAX);
    let once = |command| {
        world
            .events()
            .filter(|(_, event)| event.command == command)
            .count()
            <= 1
    };
    world.events().all(|(_, event)| event.effects.len() <= 1) && commands.into_iter().all(once)
}

fn state_and_event(_: &Protocol, world: &World) -> bool {
    world
        .aggregates
        .iter()
        .all(|one| usize::from(one.version) == one.log.len() && one.log.iter().all(Option::is_some))
}

/// Checked while a call is in flight, so from the moment it was started. Its events are in order, and each earlier
/// event of the invocation is in the same call, published or permanently refused.
fn relay_order(_: &Protocol, world: &World) -> bool {
    let Some(relay) = &world.relay else {
        return true;
    };
    relay.calls.iter().all(|call| {
        let ids: Vec<EventId> = call.iter().map(|(id, _)| *id).collect();
        ids.iter().enumerate().all(|(place, id)| {
            let earlier = world.stream[..relay.batch]
                .iter()
                .filter(|other| other.aggregate == id.aggregate && other.sequence < id.sequence);
            earlier.into_iter().all(|other| {
                ids[..place].contains(other)
                    || relay.published.contains(other)
                    || relay.refused.contains(other)
            })
        })
    })
}

fn ended(protocol: &Protocol, world: &World, id: EventId, event: &Event) -> bool {
    event.letters > 0
        || match protocol.bounds.evidence {
            Evidence::Unread => true,
            Evidence::Nobody => event.copies > 0,
            Evidence::Mark | Evidence::BlindMark => !event.effects.is_empty(),
            Evidence::Guard => {
                world.aggregates[usize::from(id.aggregate)].projection >= id.sequence
            }
        }
}

pub(super) const SUPPRESSED: &str = "a duplicate is suppressed";
pub(super) const STORED_ANSWER: &str = "a repeated request gets the stored answer";
pub(super) const REFUSED: &str = "a request is refused";
pub(super) const LETTER: &str = "a dead letter is written";
pub(super) const TWO_LETTERS: &str = "an event has two dead letters";
pub(super) const SETTLED: &str = "a lost answer is resolved as committed";
pub(super) const LATE_FINDS_MARK: &str = "a late commit finds its mark";
pub(super) const DECIDED_AGAIN: &str = "a conflict is decided again";
pub(super) const GROUP_FELL_BACK: &str = "a member of a cancelled group goes alone";
pub(super) const GROUP_LOST_WRITTEN: &str =
    "a group took effect, and its members do not know it yet";
pub(super) const GROUP_SETTLED: &str = "both members of a group with a lost answer are resolved";
pub(super) const LATE_GROUP: &str = "a late group finds the mark of one of its members";
pub(super) const RELAYED_AGAIN: &str = "a crash makes the relay publish twice";
pub(super) const REMEMBERED: &str =
    "an instance remembers the published events of a batch that comes again";
pub(super) const OVERTAKES: &str =
    "an event reaches the bus before an earlier one of its aggregate";
pub(super) const REFUSED_BY_BUS: &str = "the bus refuses an event permanently";
pub(super) const IGNORED: &str = "a projection ignores an older event";
pub(super) const PARKED_AND_DONE: &str = "a copy is done while another one is parked";
pub(super) const REFUSED_AND_DONE: &str =
    "the commit of a dead call takes effect after its repeat was refused";

fn sights() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes(SUPPRESSED, |_, world: &World| {
            records(world).any(|one| matches!(one.phase, Phase::Over(Outcome::AlreadyDone(_))))
        }),
        Property::sometimes(STORED_ANSWER, |_, world: &World| {
            let mut calls = world.calls.iter();
            calls.any(|one| matches!(one.phase, Phase::Over(Outcome::AlreadyDone(_))))
        }),
        Property::sometimes(REFUSED, |_, world: &World| {
            world
                .requests
                .iter()
                .any(|one| one.answer == Some(Answer::Refused))
        }),
        Property::sometimes(LETTER, |_, world: &World| {
            world.events().any(|(_, event)| event.letters > 0)
        }),
        Property::sometimes(TWO_LETTERS, |_, world: &World| {
            world.events().any(|(_, event)| event.letters > 1)
        }),
        Property::sometimes(SETTLED, |_, world: &World| {
            executions(world).any(|one| matches!(one.phase, Phase::Over(Outcome::Settled(_))))
        }),
        Property::sometimes(LATE_FINDS_MARK, |_, world: &World| {
            let mut single = world.late.iter().filter(|late| late.contents.len() == 1);
            single.any(|late| is_marked(world, late.contents[0].token.owner))
        }),
        Property::sometimes(DECIDED_AGAIN, |_, world: &World| {
            executions(world).any(|one| one.decision > 0)
        }),
        Property::sometimes(GROUP_FELL_BACK, |_, world: &World| {
            let alone = |one: &Execution| {
                matches!(
                    one.phase,
                    Phase::Sending {
                        alone: true,
                        lost: false,
                        ..
                    }
                )
            };
            records(world).any(alone)
        }),
        Property::sometimes(GROUP_LOST_WRITTEN, |_, world: &World| {
            world.runs.iter().any(|run| {
                let unaware = run.iter().filter(|one| {
                    matches!(
                        one.phase,
                        Phase::Sending {
                            lost: true,
                            resend: 1,
                            ..
                        }
                    ) && is_marked(world, one.owner)
                });
                unaware.count() > 1
            })
        }),
        Property::sometimes(GROUP_SETTLED, |protocol: &Protocol, world: &World| {
            // One answer was lost and two records were resolved, so it was the answer for both.
            protocol.bounds.faults.lost == 1
                && world.runs.iter().any(|run| {
                    let settled = run
                        .iter()
                        .filter(|one| matches!(one.phase, Phase::Over(Outcome::Settled(_))));
                    settled.count() > 1
                })
        }),
        Property::sometimes(LATE_GROUP, |_, world: &World| {
            let mut groups = world.late.iter().filter(|late| late.contents.len() > 1);
            groups.any(|late| {
                let marked = |owner| is_marked(world, owner);
                let members = late.contents.iter().map(|one| one.token.owner);
                members.clone().any(marked) && !members.clone().all(marked)
            })
        }),
        Property::sometimes(RELAYED_AGAIN, |protocol: &Protocol, world: &World| {
            let (left, all) = (&world.faults, &protocol.bounds.faults);
            left.crashes < all.crashes
                && (left.bus, left.records, left.duplicates)
                    == (all.bus, all.records, all.duplicates)
                && world.events().any(|(_, event)| event.copies > 1)
        }),
        // The rows of the stream that the instance remembers. The relay leaves these out when they come again.
        Property::sometimes(REMEMBERED, |_, world: &World| {
            world.relay.is_none() && !world.memory.is_empty()
        }),
        Property::sometimes(OVERTAKES, |_, world: &World| {
            world.aggregates.iter().any(|one| {
                one.log.windows(2).any(|pair| {
                    let copies = |event: &Option<Event>| event.as_ref().map_or(0, |one| one.copies);
                    copies(&pair[0]) == 0 && copies(&pair[1]) > 0
                })
            })
        }),
        Property::sometimes(REFUSED_BY_BUS, |_, world: &World| {
            world.events().any(|(_, event)| event.refused)
        }),
        Property::sometimes(IGNORED, |_, world: &World| {
            records(world).any(|one| one.phase == Phase::Over(Outcome::Ignored))
        }),
        Property::sometimes(PARKED_AND_DONE, |_, world: &World| {
            world
                .events()
                .any(|(_, event)| event.letters > 0 && !event.effects.is_empty())
        }),
        Property::sometimes(REFUSED_AND_DONE, |_, world: &World| {
            (0_u8..).zip(&world.requests).any(|(command, request)| {
                request.answer == Some(Answer::Refused) && world.done(command).is_some()
            })
        }),
    ]
}

fn records(world: &World) -> impl Iterator<Item = &Execution> {
    world.runs.iter().flatten()
}

fn executions(world: &World) -> impl Iterator<Item = &Execution> {
    world.calls.iter().chain(records(world))
}

fn is_marked(world: &World, owner: Owner) -> bool {
    match owner {
        Owner::Call { command, .. } => world.requests[usize::from(command)].mark.is_some(),
        Owner::Record { event, .. } => world.event(event).is_some_and(|one| one.mark.is_some()),
    }
}
