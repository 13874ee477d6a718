// The pages of dead letters: groups, a filtered list with selection, one letter with its story, and its edit; and how an
// operation over letters is begun: previewed, confirmed, then watched on its own page.

import {
  REASON, act, aggregateParts, aggregateText, announce, asText, ask, badge, block, button, call, cut, el, explain, facts, field, filters, link, listing,
  moment, panel, plain, plural, pretty, quietText, reading, redraw, table, to, violations, when, whole,
} from './kit.js';
import { consumersStory } from './events.js';

const POLL_EVERY_MS = 10_000;
const STATES = [['', 'unresolved'], 'open', 'redriving', 'failed_again', 'handled', 'discarded', 'resolved'];
const RESOLVED = ['handled', 'discarded'];
const KIND = { open: 'bad', failed_again: 'bad', redriving: 'warn', handled: 'good', discarded: '' };
const MOST_RATE = 100;
const MOST_CAP = 10_000;

const FIELDS = [
  { name: 'consumer', label: 'Consumer', maxLength: 256 },
  { name: 'event_type', label: 'Type', maxLength: 256, placeholder: 'loan.funded' },
  { name: 'reason', label: 'Reason', maxLength: 256, placeholder: 'retries_exhausted' },
  { name: 'signature', label: 'Group', maxLength: 256, placeholder: 'its id' },
  { name: 'aggregate', label: 'Aggregate', maxLength: 513, placeholder: 'type/id' },
  { name: 'tenant', label: 'Tenant', maxLength: 256 },
  { name: 'state', label: 'State', kind: 'select', options: STATES },
  { name: 'from', label: 'Parked from', placeholder: '2026-04-01' },
  { name: 'to', label: 'Parked before', placeholder: '2026-04-02T12:00:00Z' },
  { name: 'q', label: 'Text', kind: 'search', maxLength: 256, placeholder: 'error, id or type' },
];

/** The form's values as criteria of the API: the aggregate in its two parts. */
function criteria(given) {
  const { aggregate, ...others } = given;
  if (aggregate === undefined) return others;
  return { ...others, ...(aggregateParts(aggregate) ?? { aggregate_type: aggregate }) };
}

/** The same in a body, where times are exact. */
function bodyCriteria(given) {
  const all = criteria(given);
  for (const name of ['from', 'to']) if (all[name] !== undefined) all[name] = moment(all[name]);
  return all;
}

const sampleColumns = [
  { label: 'Letter', head: true, cell: ({ letter_id: id }) => id.slice(0, 8) },
  { label: 'Consumer', cell: ({ consumer }) => consumer },
  { label: 'Type', cell: ({ event_type: type }) => type ?? 'no event' },
  { label: 'Error', cell: ({ error }) => cut(error, 80) },
];

/** Begins an operation over letters. `chosen`: {letters} or {filter}. */
function operate(verb, words, chosen) {
  const isRedrive = verb === 'redrive';
  let count = null;
  const path = 'letters/operations';
  const fields = [REASON, { name: 'cap', label: 'At most', kind: 'number', min: 1, max: MOST_CAP, hint: 'If more letters fit by then, nothing is begun.' }];
  if (isRedrive) {
    fields.push({ name: 'rate', label: 'Letters a second', kind: 'number', min: 1, max: MOST_RATE, placeholder: '10' });
    fields.push({ name: 'canary', label: 'Send the first one alone, and the others only when it was handled', kind: 'checkbox' });
  }
  act({
    title: `${isRedrive ? 'Redrive' : 'Discard'} ${words}`,
    about: [isRedrive ? 'Sends them to their consumers again. What a consumer has handled already changes nothing.' : 'Closes them unhandled. They are kept for 90 days and are not sent again.'],
    fields,
    confirm: isRedrive ? 'Redrive' : 'Discard',
    isDangerous: !isRedrive,
    // The reason of a preview is not recorded.
    preview: async (_, signal) => {
      const seen = await call(path, { method: 'POST', body: { act: verb, reason: 'preview', preview: true, ...chosen }, signal });
      count = seen.count;
      const sample = table({ label: 'The first of them', columns: sampleColumns, key: ({ letter_id: id }) => id });
      sample.draw(seen.sample);
      const nodes = [el('p', {}, el('strong', { textContent: plural(count, 'letter', 'letters') })), sample.element];
      if (count > seen.sample.length) nodes.push(quietText(`and ${whole.format(count - seen.sample.length)} more`));
      if (seen.skipped > 0 && isRedrive) nodes.push(el('p', { textContent: `${plural(seen.skipped, 'letter has', 'letters have')} no event id and would be left alone: it can only be discarded, or edited.` }));
      let hindrance = count === 0 ? 'No unresolved letter fits.' : null;
      if (seen.conflict) {
        hindrance = `Letter ${asText(seen.conflict.letter_id)} is in an operation that is not finished. Wait for it, or cancel it.`;
        nodes.push(el('p', {}, link(`Operation ${seen.conflict.operation_id}`, to(['operations', seen.conflict.operation_id]))));
      }
      return { nodes, hindrance, label: `${isRedrive ? 'Redrive' : 'Discard'} ${plural(count, 'letter', 'letters')}`, values: { cap: String(Math.min(count, MOST_CAP)) } };
    },
    request: ({ reason, cap, rate, canary }) => {
      if (cap !== '' && count > Number(cap)) throw new Error(`${plural(count, 'letter fits', 'letters fit')}, which is more than ${cap}.`);
      const body = { act: verb, reason, ...chosen };
      if (cap !== '') body.cap = Number(cap);
      if (rate) body.rate_per_second = Number(rate);
      if (canary) body.canary = true;
      return { path, body };
    },
    done: ({ operation_id: id }) => ({ go: to(['operations', id]) }),
  });
}

function writeNote(group, again) {
  act({
    title: 'Note about a group',
    about: [facts([['group', group.signature_id], ['consumer', group.consumer], ['signature', group.signature]])],
    fields: [{ name: 'note', label: 'Note (replaces the one before)', kind: 'textarea', required: true, maxLength: 1000, value: group.note?.note ?? '' }],
    confirm: 'Write',
    request: ({ note }) => ({ path: `letters/groups/${encodeURIComponent(group.signature_id)}/note`, body: { note } }),
    done: () => {
      again();
      return {};
    },
  });
}

function noteText(note) {
  return note ? `${asText(note.note)} (${asText(note.by)}, ${asText(note.at)})` : '';
}

function showList(view) {
  const form = filters(view, 'Filter dead letters', FIELDS);
  const choose = panel(view, 'Which letters');
  choose.section.append(form.form);
  const groups = panel(view, 'Groups', { note: '' });
  const list = panel(view, 'Letters');

  const groupTable = table({
    label: 'Groups of dead letters',
    empty: 'No letter fits.',
    key: ({ signature_id: id }) => id,
    columns: [
      { label: 'Letters', number: true, cell: ({ count }) => whole.format(count) },
      { label: 'Consumer', cell: ({ consumer }) => consumer },
      { label: 'Reason', cell: ({ reason }) => reason },
      { label: 'Error in common', head: true, cell: (group) => link(cut(group.signature, 120) || group.signature_id, to(view.path, { ...form.given(), signature: group.signature_id })) },
      { label: 'First parked', cell: (group) => when(group.first_parked_at) },
      { label: 'Last parked', cell: (group) => when(group.last_parked_at) },
      { label: 'Note', cell: ({ note }) => noteText(note) },
      {
        label: 'Acts',
        unseen: true,
        cell: (group) => {
          const named = (verb) => ({ 'aria-label': `${verb} group ${asText(group.signature_id)}` });
          const chosen = { filter: { ...bodyCriteria(form.given()), signature: group.signature_id } };
          return el(
            'span',
            { className: 'buttons' },
            button('Note…', () => writeNote(group, () => readGroups.run()), named('Note about')),
            button('Redrive…', () => operate('redrive', 'a group', chosen), named('Redrive')),
            button('Discard…', () => operate('discard', 'a group', chosen), named('Discard')),
          );
        },
      },
    ],
  });
  groups.section.append(groupTable.element);
  const truncated = quietText('');
  groups.section.append(truncated);
  const readGroups = reading(view, {
    into: groups.section,
    note: groups.note,
    every: POLL_EVERY_MS * 2,
    held: () => letters.chosen().length > 0,
    ask: (signal) => ask('letters/groups', criteria(form.given()), signal),
    draw: (answer) => {
      groupTable.draw(answer.items);
      truncated.textContent = answer.truncated ? 'Only the 10,000 letters that were last parked are counted. Choose fewer.' : '';
    },
  });

  const names = () => letters.chosen().map(({ letter_id: id }) => id);
  const allOf = () => ({ filter: bodyCriteria(form.given()) });
  list.section.append(
    el('div', { className: 'buttons' }, button('Redrive all that fit…', () => operate('redrive', 'all that fit the filter', allOf())), button('Discard all that fit…', () => operate('discard', 'all that fit the filter', allOf()))),
  );
  const letters = listing(view, {
    into: list.section,
    note: list.note,
    label: 'Dead letters',
    id: 'letters',
    empty: 'No letter fits. Handled and discarded letters are listed by the state "resolved".',
    every: POLL_EVERY_MS,
    key: ({ letter_id: id }) => id,
    ask: (page, signal) => ask('letters', { ...criteria(form.given()), ...page }, signal),
    selected: () => {},
    actions: [
      button('Redrive the selected…', () => operate('redrive', plural(names().length, 'selected letter', 'selected letters'), { letters: names() })),
      button('Discard the selected…', () => operate('discard', plural(names().length, 'selected letter', 'selected letters'), { letters: names() })),
    ],
    columns: [
      { label: 'Letter', head: true, cell: ({ letter_id: id }) => link(id.slice(0, 8), to(['letters', id]), { 'aria-label': `Letter ${asText(id)}` }) },
      { label: 'Last parked', cell: (letter) => when(letter.last_parked_at) },
      { label: 'State', cell: ({ state }) => badge(state.replaceAll('_', ' '), KIND[state]) },
      { label: 'Consumer', cell: ({ consumer }) => consumer },
      { label: 'Type', cell: ({ event_type: type }) => type ?? 'no event' },
      { label: 'Aggregate', cell: ({ aggregate }) => el('span', { className: 'aggregate', textContent: aggregateText(aggregate) }) },
      { label: 'Reason', cell: ({ reason }) => reason },
      { label: 'Error', cell: ({ error }) => cut(error) },
    ],
  });
  const both = () => {
    form.fill();
    letters.drop();
    readGroups.run();
  };
  view.changed = both;
  both();
}

/** The text of a message: JSON is set out, anything else stays as it is. */
function bodyText(body) {
  try {
    return pretty(JSON.parse(body));
  } catch {
    return body;
  }
}

function showLetter(view) {
  const { id } = view.params;
  const what = panel(view, 'The letter');
  const error = panel(view, 'Error');
  const story = panel(view, 'What the consumers of its event did');
  const history = panel(view, 'What happened to the letter', { note: 'the newest 20 entries, the oldest first' });
  const message = panel(view, 'Message');
  const acts = el('div', { className: 'buttons' });
  const holds = Object.fromEntries(Object.entries({ what, error, story, history, message }).map(([name, part]) => [name, part.section.appendChild(el('div'))]));
  what.section.append(acts);

  const historyTable = table({
    label: 'History of the letter',
    empty: 'There is no entry.',
    columns: [
      { label: 'When', head: true, cell: ({ at }) => when(at) },
      { label: 'What', cell: ({ what: word }) => asText(word).replaceAll('_', ' ') },
      { label: 'By', cell: ({ by }) => (by ? link(`operation ${by}`, to(['operations', by])) : '') },
      { label: 'Error', cell: ({ error: text }) => text ?? '' },
    ],
  });
  holds.history.append(historyTable.element);
  const consumers = consumersStory();
  holds.story.append(consumers.element);

  const read = reading(view, {
    into: what.section,
    note: what.note,
    every: POLL_EVERY_MS,
    ask: (signal) => call(`letters/${encodeURIComponent(id)}`, { signal }),
    draw: (letter) => {
      const isOpen = !RESOLVED.includes(letter.state);
      redraw(
        holds.what,
        facts([
          ['letter', letter.letter_id],
          ['state', badge(letter.state.replaceAll('_', ' '), KIND[letter.state])],
          ['consumer', letter.consumer],
          ['event', letter.event_id ? link(letter.event_id, to(['events', letter.event_id])) : 'no event'],
          ['type', letter.event_type],
          ['aggregate', letter.aggregate ? link(`${aggregateText(letter.aggregate)}${letter.sequence ? ` #${letter.sequence}` : ''}`, to(['history'], { aggregate: aggregateText(letter.aggregate) })) : ''],
          ['tenant', letter.tenant_id],
          ['correlation', letter.correlation_id],
          ['group', link(letter.signature_id, to(['letters'], { signature: letter.signature_id }))],
          ['first parked', when(letter.first_parked_at)],
          ['last parked', when(letter.last_parked_at)],
          ['parked', plural(letter.parked, 'time', 'times')],
          ['operation', letter.operation_id ? link(letter.operation_id, to(['operations', letter.operation_id])) : ''],
          ['sent', letter.sent_at ? when(letter.sent_at) : ''],
          ['closed because', letter.closed_reason],
          ['kept until', when(letter.expires_at * 1000)],
        ]),
      );
      redraw(
        holds.error,
        facts([['reason', letter.reason], ['failed attempts', whole.format(letter.attempts)], ['in common', letter.signature]]),
        block('Error', asText(letter.error)),
      );
      consumers.draw(letter.handled_by);
      historyTable.draw(letter.history);
      const kept = letter.message;
      // What is read there must not move while it is selected.
      const text = kept ? bodyText(kept.body) : '';
      if (holds.message.dataset.text !== text || !holds.message.firstChild) {
        holds.message.dataset.text = text;
        holds.message.replaceChildren(kept ? block('Message', text) : quietText('The message is no longer kept.'));
        if (kept) holds.message.append(facts([['bytes', whole.format(kept.bytes)], ['kept until', when(kept.expires_at * 1000)], ...Object.entries(kept.attributes).map(([name, value]) => [plain(name), value])]));
      }
      const can = [
        button('Redrive…', () => operate('redrive', 'this letter', { letters: [id] }), { className: 'primary' }),
        button('Discard…', () => operate('discard', 'this letter', { letters: [id] })),
      ];
      if (kept) can.push(link('Edit the message', to(['letters', id, 'edit'])));
      redraw(acts, ...(isOpen ? can : [quietText('It is resolved: nothing can be done to it.')]));
    },
  });
  read.run();
}

function showEdit(view) {
  const { id } = view.params;
  const part = panel(view, 'Another message in the place of this one');
  part.section.append(
    el('p', { textContent: 'Only a message that never was an event of the log can be edited: a malformed one, or one from outside. The message before is kept, and the difference is recorded. Afterwards, redrive the letter.' }),
    el('p', {}, link('Back to the letter', to(['letters', id]))),
  );
  const text = field({ name: 'message', label: 'Message: a whole envelope, as JSON', kind: 'textarea', rows: 24, className: 'code' });
  const found = el('div', { role: 'status' });
  const form = el('form', {}, text.element, found, el('div', { className: 'buttons' }, el('button', { textContent: 'Replace the message…', className: 'primary' })));
  form.hidden = true;
  part.section.append(form);

  const parse = () => {
    try {
      const message = JSON.parse(text.control.value);
      if (message !== null && typeof message === 'object' && !Array.isArray(message)) return message;
      found.replaceChildren(el('p', { className: 'error', textContent: 'The message has to be a JSON object.' }));
    } catch (error) {
      found.replaceChildren(el('p', { className: 'error', textContent: `This is not JSON: ${plain(error.message)}` }));
    }
    return null;
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const message = parse();
    if (!message) return;
    found.replaceChildren();
    act({
      title: 'Replace the message',
      about: [`The message of letter ${asText(id)} is replaced by the edited one.`],
      fields: [REASON],
      confirm: 'Replace',
      // The API has no preview of an edit; the contract is the one thing that can be asked about before.
      preview: async (_, signal) => {
        if (typeof message.event_type !== 'string' || typeof message.event_version !== 'string') return { nodes: [quietText('It names no event type and version, so no contract can be asked.')] };
        try {
          const path = `contracts/${encodeURIComponent(message.event_type)}/${encodeURIComponent(message.event_version)}/validate`;
          const verdict = await call(path, { method: 'POST', body: message, signal });
          if (verdict.valid) return { nodes: [el('p', { textContent: 'It satisfies its contract.' })] };
          return { nodes: [el('p', { className: 'error', textContent: 'It breaks its contract:' }), violations(verdict.violations, verdict.more_violations)] };
        } catch (error) {
          if (signal.aborted) throw error;
          return { nodes: [quietText(`Its contract could not be asked. ${explain(error)}`)] };
        }
      },
      request: ({ reason }) => ({ path: `letters/${encodeURIComponent(id)}/edit`, body: { message, reason } }),
      done: ({ letter_id: next, patch }) => {
        announce(`Edited: ${plural(patch.length, 'change', 'changes')}`);
        return { go: to(['letters', next]) };
      },
    });
  });

  // It is read once: what is being written must not be overwritten.
  const read = reading(view, {
    into: part.section,
    note: part.note,
    ask: (signal) => call(`letters/${encodeURIComponent(id)}`, { signal }),
    draw: ({ message }) => {
      form.hidden = !message;
      if (message && text.control.value === '') text.control.value = bodyText(message.body);
      if (!message) part.section.append(quietText('The message is no longer kept.'));
    },
  });
  read.run();
}

export const pages = [
  { pattern: ['letters'], title: () => 'Dead letters', show: showList },
  { pattern: ['letters', ':id'], title: ({ id }) => `Dead letter ${plain(id.slice(0, 8))}`, show: showLetter },
  { pattern: ['letters', ':id', 'edit'], title: ({ id }) => `Edit dead letter ${plain(id.slice(0, 8))}`, show: showEdit },
];
