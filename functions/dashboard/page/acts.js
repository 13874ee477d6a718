// The page "Who did what": the acts of operators, which are events. Each has who did it, with whose key, and why.

import { Refused, asText, ask, cut, el, explain, filters, follow, link, listing, panel, quietText, to, when } from './kit.js';

// The domains and types of which the events name who acted. Keys are made and deleted without an event.
const SOURCES = {
  operation: ['operations', { domain: 'operation' }],
  consumer: ['consumers', { domain: 'consumer' }],
  webhook: ['webhooks', { domain: 'webhook' }],
  card_created: ['rate cards proposed', { type: 'cloud.rate_card_created' }],
  card_approved: ['rate cards approved', { type: 'cloud.rate_card_approved' }],
};
const EACH = 25;

const actor = ({ payload, metadata }) => payload.actor ?? payload.proposed_by ?? payload.approved_by ?? metadata?.user_id;
const owner = ({ payload }) => payload.key_owner ?? payload.proposed_by_key_owner ?? payload.approved_by_key_owner;

/** What was done, in words, with a link to what it was done to. */
function what({ event_type: type, aggregate_type: kind, aggregate_id: id, payload }) {
  const word = payload.act ?? payload.to ?? '';
  const text = word ? `${asText(type)}: ${asText(word)}` : asText(type);
  const page = { operation: 'operations', webhook: 'webhooks' }[kind];
  const name = `${asText(kind)}/${asText(id)}`;
  return el('span', {}, `${text} `, page ? link(cut(name, 60), to([page, asText(id)])) : el('span', { className: 'aggregate', textContent: cut(name, 60) }));
}

function show(view) {
  const form = filters(view, 'Filter acts', [
    { name: 'what', label: 'Acts on', kind: 'select', options: [['', 'everything'], ...Object.entries(SOURCES).map(([name, [label]]) => [name, label])] },
    { name: 'from', label: 'Recorded from', placeholder: '2026-04-01' },
    { name: 'to', label: 'Recorded before', placeholder: '2026-04-02T12:00:00Z' },
  ]);
  const part = panel(view, 'Acts, newest first');
  part.section.append(form.form);
  const hint = quietText('');
  part.section.append(hint);

  const times = () => {
    const { from, to: until } = form.given();
    return { ...(from ? { from } : {}), ...(until ? { to: until } : {}) };
  };
  /** The newest of each source in one list. Their cursors are not one, so older acts are read source by source. */
  async function newestOfAll(signal) {
    const trouble = [];
    const pages = await Promise.all(
      Object.values(SOURCES).map(async ([label, query]) => {
        try {
          return await ask('events/recent', { ...query, ...times(), limit: EACH }, signal);
        } catch (error) {
          // A domain that is not deployed is unknown. Anything else concerns the whole list.
          if (!(error instanceof Refused && error.status === 422)) throw error;
          trouble.push(`${label}: ${explain(error)}`);
          return { items: [] };
        }
      }),
    );
    hint.textContent = [`The newest ${EACH} of each kind at most. Choose a kind to read on.`, ...trouble].join(' ');
    const items = pages.flatMap((page) => page.items).sort((a, b) => asText(b.event.occurred_at).localeCompare(asText(a.event.occurred_at)));
    return { items, next_cursor: null };
  }

  const list = listing(view, {
    into: part.section,
    note: part.note,
    label: 'Acts of operators',
    empty: 'No act on this page.',
    every: 15_000,
    key: ({ event }) => event.event_id,
    ask: (page, signal) => {
      const source = SOURCES[form.given().what];
      if (!source) return newestOfAll(signal);
      hint.textContent = 'A page looks at 5,000 events at most: it may show fewer acts than there are, or none. Go on to the next page.';
      return ask('events/recent', { ...source[1], ...times(), ...page }, signal);
    },
    columns: [
      { label: 'When', cell: ({ event }) => when(event.occurred_at) },
      { label: 'What', head: true, cell: ({ event }) => what(event) },
      { label: 'Who', cell: ({ event }) => actor(event) ?? '–' },
      { label: 'Key of', cell: ({ event }) => owner(event) ?? 'by itself' },
      { label: 'Why', cell: ({ event }) => event.payload.reason ?? '' },
      { label: 'Event', cell: ({ event }) => link('event', to(['events', asText(event.event_id)]), { 'aria-label': `Event ${asText(event.event_id)}` }) },
    ],
  });
  follow(view, form, list);
}

export const pages = [{ pattern: ['acts'], title: () => 'Who did what', show }];
