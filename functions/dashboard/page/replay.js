// The page "Replay": events of the event log, sent to one consumer again. What is chosen is in the address; the dialog shows
// how many they are, how long it takes and what reading costs, before it is begun. And events that are still pending, published.

import { REASON, act, aggregateParts, asText, button, call, change, el, facts, field, moment, panel, plural, quietText, to, values, when, whole, words } from './kit.js';

const PATH = 'replays';
const CHOICES = [
  { name: 'consumer', label: 'Consumer', required: true, maxLength: 28, placeholder: 'wallet-balances' },
  { name: 'aggregate', label: 'Only about this aggregate', placeholder: 'type/id', maxLength: 1281 },
  { name: 'types', label: 'Only these types', placeholder: 'loan.funded loan.repaid', hint: 'Separated by spaces.' },
  { name: 'from', label: 'Committed from', placeholder: '2026-04-01' },
  { name: 'to', label: 'Committed before', placeholder: '2026-04-02T12:00:00Z' },
  { name: 'rate', label: 'Events a second', kind: 'number', min: 1, max: 100, placeholder: '10' },
];

/** What the form chose, as the API's body without a reason. Throws what is wrong with it. */
function chosen(given) {
  const body = { consumer: given.consumer };
  if (given.aggregate) {
    const parts = aggregateParts(given.aggregate);
    if (!parts) throw new Error('The aggregate has to be type/id.');
    Object.assign(body, parts);
  }
  const types = words(given.types);
  if (types.length > 0) body.event_types = types;
  for (const name of ['from', 'to']) if (given[name]) body[name] = moment(given[name]);
  const isNarrowed = Object.keys(body).length > 1;
  if (given.before) {
    if (isNarrowed) throw new Error('"All that was before it began" goes without any other choice.');
    body.before_it_began = true;
  } else if (!isNarrowed) {
    // The whole log is not read because a choice was forgotten.
    throw new Error('Choose an aggregate, types, a time, or all that was before the consumer began.');
  }
  if (given.rate) body.rate_per_second = Number(given.rate);
  return body;
}

const optional = (value) => value !== null && value !== undefined;

/** How long it takes at least, and what reading the whole log costs; `otherwise` where it is not read, or its size not known. */
function costs(seen, otherwise) {
  const rows = optional(seen.log_rows) && optional(seen.log_bytes) && optional(seen.read_units);
  return [
    ['takes at least', optional(seen.seconds_at_least) ? `${whole.format(seen.seconds_at_least)} s` : 'not known'],
    ['reads', rows ? `the whole log: ${whole.format(seen.log_rows)} rows, ${whole.format(seen.log_bytes)} bytes, ${whole.format(seen.read_units)} read units, as of up to six hours ago` : otherwise],
  ];
}

const HOW = { event_log: 'counted in the event log', analytics: 'about, by the counts over time' };

function foreseen(seen) {
  const consumer = asText(seen.consumer);
  const known = optional(seen.count);
  return [
    el('p', {}, el('strong', { textContent: known ? plural(seen.count, 'event', 'events') : 'An unknown number of events' }), known ? ` (${HOW[seen.counted_by] ?? ''})` : ': no count covers them'),
    facts([
      ['committed before', when(seen.to)],
      ['passed over', seen.passed_over > 0 ? `${whole.format(seen.passed_over)} more: ${consumer} does not listen to them` : ''],
      ['too old', seen.too_old > 0 ? `${whole.format(seen.too_old)} more: ${consumer} could not tell them from repeats` : ''],
      ['it began', seen.began ? when(seen.began) : ''],
      ['goes on', seen.goes_on ? 'where a cancelled replay stopped' : ''],
      ...costs(seen, 'this aggregate alone, or not known'),
    ]),
  ];
}

/** The dialog that publishes what is still pending. */
function republish() {
  const path = 'letters/operations/republish';
  const body = ({ failed, rate }) => ({ include_failed: Boolean(failed), ...(rate ? { rate_per_second: Number(rate) } : {}) });
  act({
    title: 'Publish what is pending',
    about: ['Events that were committed more than a day ago and never published. Consumers ignore what arrives twice.'],
    fields: [
      REASON,
      { name: 'failed', label: 'Also what the bus had refused for good: the cause is mended', kind: 'checkbox' },
      { name: 'rate', label: 'Events a second', kind: 'number', min: 1, max: 100, placeholder: '10' },
    ],
    confirm: 'Publish them',
    // The reason of a preview is not recorded.
    preview: async (given, signal) => {
      const seen = await call(path, { method: 'POST', body: { ...body(given), preview: true, reason: 'preview' }, signal });
      return { nodes: [el('p', { textContent: 'How many these are is not known before the log is read.' }), facts([['committed by', when(seen.republish?.to)], ...costs(seen, 'the whole log')])] };
    },
    request: ({ reason, ...given }) => ({ path, body: { ...body(given), reason } }),
    done: ({ operation_id: id }) => ({ go: to(['operations', id]) }),
  });
}

function show(view) {
  const part = panel(view, 'Which events, and to whom');
  part.section.append(quietText('They go to this consumer and to no other. What it has handled already changes nothing.'));
  const made = CHOICES.map((one) => field({ ...one, value: view.query.get(one.name) ?? '' }));
  const before = field({ name: 'before', label: 'All that was before the consumer began (to a consumer by mark once)', kind: 'checkbox', value: view.query.get('before') });
  const trouble = el('p', { className: 'error', role: 'alert' });
  const form = el('form', { className: 'choices', 'aria-label': 'Which events' }, ...made.map(({ element }) => element), before.element, trouble, el('div', { className: 'buttons' }, el('button', { className: 'primary', textContent: 'Preview…' })));
  part.section.append(form);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const given = values(form);
    let body;
    try {
      body = chosen(given);
      trouble.textContent = '';
    } catch (error) {
      trouble.textContent = error.message;
      return;
    }
    change(view, { ...given, before: given.before ? 'yes' : '' }, { replace: true });
    act({
      title: `Replay to ${asText(given.consumer)}`,
      fields: [REASON],
      confirm: 'Begin the replay',
      // The reason of a preview is not recorded.
      preview: async (_, signal) => ({ nodes: foreseen(await call(PATH, { method: 'POST', body: { ...body, preview: true, reason: 'preview' }, signal })) }),
      request: ({ reason }) => ({ path: PATH, body: { ...body, reason } }),
      done: ({ operation_id: id }) => ({ go: to(['operations', id]) }),
    });
  });
  const pending = panel(view, 'What is still pending');
  pending.section.append(
    quietText('An event that the stream could not bring to the bus within a day, or that the bus refused for good, is published by nothing any more unless it is asked for.'),
    el('div', { className: 'buttons' }, button('Publish what is pending…', republish)),
  );
  view.changed = (query) => {
    for (const { control } of made) control.value = query.get(control.name) ?? '';
    before.control.checked = query.has('before');
  };
}

export const pages = [{ pattern: ['replay'], title: () => 'Replay', show }];
