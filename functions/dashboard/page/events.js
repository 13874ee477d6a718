// Events by their ids and histories: pages that other pages lead to. And the story of an event across its consumers, which
// letters show, too.

import { aggregateParts, asText, ask, badge, block, call, cut, el, facts, filters, follow, link, listing, panel, plain, pretty, quietText, reading, redraw, table, to, when } from './kit.js';

const POLL_EVERY_MS = 10_000;
const KIND = { handled: 'good', waiting: 'warn', parked: 'bad', blocked: 'bad', unclear: '' };
const NAMES = ['event_id', 'event_type', 'event_version', 'occurred_at', 'priority', 'producer', 'correlation_id', 'causation_id'];

/** A table of what each consumer of an event did. */
export function consumersStory() {
  return table({
    label: 'Consumers of the event',
    empty: 'No consumer listens to it, or it is no event.',
    key: ({ consumer }) => consumer,
    columns: [
      { label: 'Consumer', head: true, cell: ({ consumer }) => consumer },
      { label: 'State', cell: ({ state }) => badge(state, KIND[state]) },
      { label: 'When', cell: ({ handled_at: at, parked }) => when(at ?? parked?.parked_at) },
      { label: 'Evidence', cell: ({ evidence }) => evidence },
      { label: 'Attempts', number: true, cell: ({ parked }) => parked?.attempts ?? '' },
      { label: 'Error', cell: ({ parked }) => (parked ? `${asText(parked.reason)}: ${cut(parked.error)}` : '') },
    ],
  });
}

/** The columns of a list of envelopes. */
export const envelopeColumns = (of = (item) => item) => [
  { label: 'When', cell: (item) => when(of(item).occurred_at) },
  { label: 'Type', head: true, cell: (item) => link(of(item).event_type, to(['events', asText(of(item).event_id)])) },
  { label: 'Aggregate', cell: (item) => el('span', { className: 'aggregate', textContent: `${asText(of(item).aggregate_type)}/${asText(of(item).aggregate_id)} #${asText(of(item).sequence)}` }) },
];

function showEvent(view) {
  const path = `events/${encodeURIComponent(view.params.id)}`;
  const what = panel(view, 'Envelope');
  const way = panel(view, 'Its way');
  const payload = panel(view, 'Payload');
  const hold = what.section.appendChild(el('div'));
  const journey = way.section.appendChild(el('div'));
  const story = consumersStory();
  way.section.append(story.element);
  reading(view, {
    into: what.section,
    ask: (signal) => call(path, { signal }),
    draw: (event) => {
      const aggregate = `${asText(event.aggregate_type)}/${asText(event.aggregate_id)}`;
      redraw(
        hold,
        facts([
          ...NAMES.map((name) => [name, event[name]]),
          ['aggregate', link(`${aggregate} #${asText(event.sequence)}`, to(['history'], { aggregate }))],
          ...Object.entries(event.metadata ?? {}).map(([name, value]) => [plain(name), value]),
        ]),
      );
      payload.section.append(block('Payload', pretty(event.payload)));
    },
  }).run();
  reading(view, {
    into: way.section,
    note: way.note,
    every: POLL_EVERY_MS,
    ask: (signal) => call(`${path}/journey`, { signal }),
    draw: (found) => {
      redraw(
        journey,
        facts([
          ['committed', found.committed_at ? when(found.committed_at) : ''],
          ['published', found.published_at ? when(found.published_at) : ''],
          ['recorded by the feed', found.recorded_at ? when(found.recorded_at) : ''],
          ['position in the feed', found.position],
          ['refused by the bus', found.failed_at ? when(found.failed_at) : ''],
          ['because', found.last_error],
        ]),
      );
      story.draw(found.consumers);
    },
  }).run();
}

function showHistory(view) {
  const form = filters(view, 'Which aggregate', [{ name: 'aggregate', label: 'Aggregate', placeholder: 'type/id', required: true }]);
  const part = panel(view, 'Events, newest first');
  part.section.append(form.form);
  const list = listing(view, {
    into: part.section,
    note: part.note,
    label: 'Events of the aggregate',
    empty: 'The event log has no event of it.',
    key: (event) => event.event_id,
    ask: (page, signal) => {
      const parts = aggregateParts(view.query.get('aggregate') ?? '');
      return parts ? ask('events', { ...parts, order: 'newest', ...page }, signal) : { items: [], next_cursor: null };
    },
    columns: envelopeColumns(),
  });
  follow(view, form, list);
}

function showRecent(view) {
  const part = panel(view, 'Recent events');
  const form = filters(view, 'Filter events', [
    { name: 'type', label: 'Type', placeholder: 'loan.funded', maxLength: 128 },
    { name: 'domain', label: 'Domain', placeholder: 'loan', maxLength: 64 },
    { name: 'from', label: 'Recorded from', placeholder: '2026-04-01' },
    { name: 'to', label: 'Recorded before', placeholder: '2026-04-02T12:00:00Z' },
  ]);
  part.section.append(form.form, quietText('From the feed, newest first. A page looks at 5,000 events at most: it may show fewer than there are, or none. Go on to the next page.'));
  const list = listing(view, {
    into: part.section,
    note: part.note,
    label: 'Recent events',
    empty: 'No event on this page.',
    key: ({ event }) => event.event_id,
    ask: (page, signal) => ask('events/recent', { ...form.given(), ...page }, signal),
    columns: envelopeColumns(({ event }) => event),
  });
  follow(view, form, list);
}

export const pages = [
  { pattern: ['events'], title: () => 'Recent events', show: showRecent },
  { pattern: ['events', ':id'], title: ({ id }) => `Event ${plain(id.slice(0, 8))}`, show: showEvent },
  { pattern: ['history'], title: () => 'History of an aggregate', show: showHistory },
];
