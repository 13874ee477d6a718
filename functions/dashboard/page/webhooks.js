// The pages of webhooks: the list, setting up a new one, one with its progress and deliveries, and what can be done to it:
// among others, changing what it was set up with.

import {
  REASON, act, aggregateParts, asText, ask, badge, button, call, cut, el, facts, filters, follow, link, listing, panel, plain, plural, reading, redraw, table, to, when, whole, words,
} from './kit.js';

const LIST_EVERY_MS = 15_000;
const ONE_EVERY_MS = 5000;
// The most events that one request can send once more.
const REDELIVERED = 20;
const KIND = { enabled: 'good', disabled: 'bad', removed: '' };
const OUTCOME = { delivered: 'good', failed: 'warn', given_up: 'bad' };

function selectionText({ event_types: types = [], domains = [], tenant_id: tenant, aggregate_type: type, aggregate_id: id, member_id: member }) {
  const parts = [...domains.map((domain) => `${asText(domain)}: all`), ...types.map(asText)];
  const about = [];
  if (parts.length > 0) about.push(parts.join(', '));
  if (tenant) about.push(`tenant ${asText(tenant)}`);
  if (type) about.push(`about ${asText(type)}${id ? `/${asText(id)}` : ''}`);
  if (member) about.push(`notices of member ${asText(member)}`);
  return about.length === 0 ? 'every event' : about.join('; ');
}

/** The secret, shown once: it is in the dialog only, and goes with it. */
function secretNodes(secret, more) {
  if (!secret) return [el('p', { textContent: 'This was a repeat of a request that had been done: its secret was shown then. Rotate to get a new one.' }), ...more];
  const shown = el('output', { className: 'secret', textContent: secret, tabIndex: 0 });
  return [el('p', { textContent: 'The secret with which messages are signed. It is shown only now: copy it to the receiver.' }), shown, ...more];
}

// A field of one line drops line breaks.
const line = (text) => (text ?? '').replace(/[\r\n]/g, '').trim();

/** What a webhook is set up with, as the fields hold it. They cannot have the URL: no answer shows it. */
function fieldsOf({ description, in_order: inOrder, selection }) {
  const { event_types: types = [], domains = [], tenant_id: tenant, aggregate_type: type, aggregate_id: id, member_id: member } = selection;
  return { url: '', description: line(description), domains: domains.join(' '), types: types.join(' '), tenant: line(tenant), aggregate: [type, id].filter(Boolean).join('/'), member: member ?? '', in_order: inOrder };
}

/** The fields of what a webhook is set up with: empty, or as they are for this one. */
function settingFields(webhook) {
  const url = webhook ? { hint: `Now at ${asText(webhook.origin)}. Its path and query are never shown: leave this empty, and the URL stays.` } : { required: true, hint: 'https, public addresses only. Its path and query are never shown again.' };
  const fields = [
    { name: 'url', label: 'URL', kind: 'url', maxLength: 2000, placeholder: 'https:…', ...url },
    { name: 'description', label: 'What it is for', maxLength: 500 },
    { name: 'domains', label: 'Domains', placeholder: 'loan wallet', hint: 'Separated by spaces. Domains and types together; nothing: every event.' },
    { name: 'types', label: 'Types', placeholder: 'loan.funded' },
    { name: 'tenant', label: 'Tenant', maxLength: 256 },
    { name: 'aggregate', label: 'Aggregate', placeholder: 'type or type/id', maxLength: 321 },
    { name: 'member', label: 'Notices of this member', maxLength: 64 },
    { name: 'in_order', label: 'The events of an aggregate one after the other, in their order', kind: 'checkbox' },
  ];
  const now = webhook ? fieldsOf(webhook) : {};
  return fields.map((one) => ({ ...one, value: now[one.name] ?? '' }));
}

/** What the fields say, as the API's bodies have it. What is empty is left out. */
function settings(given) {
  const selection = {};
  if (words(given.domains).length > 0) selection.domains = words(given.domains);
  if (words(given.types).length > 0) selection.event_types = words(given.types);
  if (given.tenant) selection.tenant_id = given.tenant;
  if (given.aggregate) Object.assign(selection, aggregateParts(given.aggregate) ?? { aggregate_type: given.aggregate });
  if (given.member) selection.member_id = given.member;
  return { url: given.url || undefined, description: given.description || undefined, in_order: given.in_order || undefined, selection };
}

/** A selection as a text that is the same for the same events: the order of types and domains means nothing. */
const selectionKey = (selection) => JSON.stringify(Object.entries(selection).map(([name, value]) => [name, Array.isArray(value) ? [...new Set(value)].sort() : value]));

/** What the fields say otherwise than the webhook is, as the body of a change. Throws if that is nothing, or not possible. */
function difference(given, webhook) {
  const now = settings(fieldsOf(webhook));
  const wanted = settings(given);
  const body = {};
  if (wanted.url) body.url = wanted.url;
  if (now.description && !wanted.description) throw new Error('What it is for can be replaced, but not removed.');
  if (wanted.description !== now.description) body.description = wanted.description;
  if (wanted.in_order !== now.in_order) body.in_order = given.in_order;
  // The API replaces the whole selection if one field of it is given. An empty list alone selects every event.
  if (selectionKey(wanted.selection) !== selectionKey(now.selection)) Object.assign(body, Object.keys(wanted.selection).length > 0 ? wanted.selection : { event_types: [] });
  if (Object.keys(body).length === 0) throw new Error('Nothing is changed: the webhook is set up like this already.');
  if (given.reason) body.reason = given.reason;
  return body;
}

function setUp(again) {
  act({
    title: 'Set up a webhook',
    about: ['It is sent the events that it selects, from this moment on, signed with its secret.'],
    fields: settingFields(null),
    confirm: 'Set up',
    request: (given) => {
      const { selection, ...others } = settings(given);
      return { path: 'webhooks', body: { ...others, ...selection } };
    },
    done: ({ secret, webhook }) => {
      again();
      return { title: 'The webhook is set up', nodes: secretNodes(secret, [el('p', {}, link('To the webhook', to(['webhooks', webhook.webhook_id])))]) };
    },
  });
}

function showList(view) {
  const part = panel(view, 'Webhooks, the oldest first');
  part.section.append(el('div', { className: 'buttons' }, button('Set up a webhook…', () => setUp(() => read.run()), { className: 'primary' })));
  const made = table({
    label: 'Webhooks',
    empty: 'There is no webhook.',
    key: ({ webhook_id: id }) => id,
    columns: [
      { label: 'Endpoint', head: true, cell: ({ origin, webhook_id: id }) => link(origin, to(['webhooks', id])) },
      { label: 'Status', cell: ({ status }) => badge(status, KIND[status]) },
      { label: 'Since', cell: ({ since }) => when(since) },
      { label: 'Why', cell: ({ reason }) => reason ?? '' },
      { label: 'Is sent', cell: ({ selection }) => cut(selectionText(selection)) },
      { label: 'For', cell: ({ description }) => description ?? '' },
    ],
  });
  part.section.append(made.element);
  const read = reading(view, { into: part.section, note: part.note, every: LIST_EVERY_MS, ask: (signal) => call('webhooks', { signal }), draw: ({ items }) => made.draw(items) });
  read.run();
}

function showOne(view) {
  const { id } = view.params;
  const path = `webhooks/${encodeURIComponent(id)}`;
  const what = panel(view, 'The endpoint');
  const hold = what.section.appendChild(el('div'));
  const acts = what.section.appendChild(el('div', { className: 'buttons' }));
  const far = panel(view, 'How far it has got');
  const progress = far.section.appendChild(el('div'));
  const log = panel(view, 'Deliveries', { note: 'newest first, of the last 30 days' });
  let drawn = '';
  let known;

  const read = reading(view, {
    into: what.section,
    note: what.note,
    every: ONE_EVERY_MS,
    ask: (signal) => call(path, { signal }),
    draw: (webhook) => {
      known = webhook;
      redraw(
        hold,
        facts([
          ['webhook', webhook.webhook_id],
          ['endpoint', webhook.origin],
          ['status', badge(webhook.status, KIND[webhook.status])],
          ['since', when(webhook.since)],
          ['why', webhook.reason],
          ['for', webhook.description],
          ['is sent', selectionText(webhook.selection)],
          ['in order', webhook.in_order ? 'the events of an aggregate one after the other' : 'no'],
          ['set up', when(webhook.created_at)],
          ['old secret until', webhook.old_secret_until ? when(webhook.old_secret_until) : ''],
        ]),
      );
      const { progress: at } = webhook;
      redraw(
        progress,
        facts([
          ['position', `${whole.format(at.position)} of ${whole.format(at.head)}, ${whole.format(at.behind)} behind`],
          ['wait to be tried again', whole.format(at.waiting)],
          ['halted', at.halted ? badge('yes: it failed ten times in a row, or too much waits', 'bad') : ''],
          ['last delivered', when(at.delivered_at)],
          ['last tried', when(at.tried_at)],
          ['failures since', at.failures > 0 ? whole.format(at.failures) : ''],
          ['failing since', at.failing_since ? when(at.failing_since) : ''],
          ['last error', at.last_error],
          ['next attempt', at.next_attempt_at ? when(at.next_attempt_at) : ''],
          ['disabled if it goes on', at.disabled_at ? when(at.disabled_at) : ''],
        ]),
      );
      // Buttons keep the focus while nothing else can be done than before.
      if (drawn === webhook.status) return;
      drawn = webhook.status;
      const isEnabled = webhook.status === 'enabled';
      redraw(
        acts,
        button('Change…', () => changeIt()),
        button(isEnabled ? 'Disable…' : 'Enable…', () => enableOrDisable(isEnabled)),
        button('Rotate the secret…', () => rotate()),
        button('Send events once more…', () => redeliver([])),
        button('Remove…', () => remove(), { className: 'danger' }),
      );
    },
  });

  const again = () => {
    read.run();
    return {};
  };
  const changeIt = () => {
    const webhook = known;
    act({
      title: `Change ${asText(webhook.origin)}`,
      about: ['What you leave as it is stays. What it selects holds for the events that it has not been sent yet.'],
      fields: [...settingFields(webhook), { ...REASON, required: false }],
      confirm: 'Change',
      request: (given) => ({ path, method: 'PATCH', body: difference(given, webhook) }),
      done: again,
    });
  };
  const enableOrDisable = (isEnabled) =>
    act({
      title: `${isEnabled ? 'Disable' : 'Enable'} ${asText(known.origin)}`,
      about: [isEnabled ? 'It is sent nothing until it is enabled. What occurs meanwhile is not sent later.' : 'It is sent what occurs from this moment on, and what still was to be tried again.'],
      fields: [{ ...REASON, required: isEnabled }],
      confirm: isEnabled ? 'Disable' : 'Enable',
      isDangerous: isEnabled,
      request: ({ reason }) => ({ path: `${path}/${isEnabled ? 'disable' : 'enable'}`, body: reason ? { reason } : {} }),
      done: again,
    });
  const rotate = () =>
    act({
      title: `Rotate the secret of ${asText(known.origin)}`,
      about: ['For 24 hours each message is signed with the new secret and with the one before. A second rotation ends older ones at once.'],
      confirm: 'Rotate',
      request: () => ({ path: `${path}/rotate`, body: {} }),
      done: ({ secret, old_secret_until: until }) => {
        read.run();
        return { title: 'The new secret', nodes: secretNodes(secret, until ? [el('p', {}, 'The secret before is used beside it until ', when(until), '.')] : []) };
      },
    });
  const remove = () =>
    act({
      title: `Remove ${asText(known.origin)}`,
      about: ['It is sent nothing any more. Its URL and its secrets are deleted. This cannot be undone.'],
      confirm: 'Remove',
      isDangerous: true,
      request: () => ({ path: `${path}/remove`, body: {} }),
      done: () => ({ go: to(['webhooks']) }),
    });
  const redeliver = (ids) =>
    act({
      title: 'Send events once more',
      about: ['Whether they were delivered or not, and whether the webhook selects them or not. The endpoint has to expect repeats.'],
      fields: [{ name: 'ids', label: `Event ids, 1 to ${REDELIVERED}`, kind: 'textarea', rows: 4, required: true, value: ids.join('\n'), hint: 'Separated by spaces or lines.' }],
      confirm: 'Send',
      request: ({ ids: text }) => {
        const found = [...new Set(words(text))];
        if (found.length > REDELIVERED) throw new Error(`These are ${found.length} events; ${REDELIVERED} can be sent at once.`);
        return { path: `${path}/redeliver`, body: { event_ids: found } };
      },
      done: ({ accepted, unknown }) => {
        list.drop();
        const nodes = [el('p', { textContent: `${plural(accepted.length, 'event is', 'events are')} sent soon. The deliveries show what becomes of them.` })];
        if (unknown.length > 0) nodes.push(el('p', { className: 'error', textContent: `The feed does not know, or no longer: ${unknown.map(asText).join(', ')}` }));
        return { nodes, title: 'Sent once more' };
      },
    });
  read.run();

  const form = filters(view, 'Filter deliveries', [
    { name: 'outcome', label: 'Outcome', kind: 'select', options: [['', 'all'], 'delivered', 'failed', ['given_up', 'given up']] },
    { name: 'event_id', label: 'Event', placeholder: 'its id' },
  ]);
  log.section.append(form.form);
  const list = listing(view, {
    into: log.section,
    label: 'Deliveries',
    empty: 'No attempt fits.',
    every: LIST_EVERY_MS,
    key: ({ at, event_id: event, attempt }) => `${event} ${attempt} ${at}`,
    ask: (page, signal) => ask(`${path}/deliveries`, { ...form.given(), ...page }, signal),
    selected: () => {},
    actions: [button('Send the selected once more…', () => redeliver([...new Set(list.chosen().map(({ event_id: event }) => event))].slice(0, REDELIVERED)))],
    columns: [
      { label: 'When', cell: ({ at }) => when(at) },
      { label: 'Event', head: true, cell: ({ event_type: type, event_id: event }) => link(type, to(['events', event])) },
      { label: 'Attempt', number: true, cell: ({ attempt }) => whole.format(attempt) },
      { label: 'Outcome', cell: ({ outcome }) => badge(outcome.replaceAll('_', ' '), OUTCOME[outcome]) },
      { label: 'Status', number: true, cell: ({ status }) => status ?? '–' },
      { label: 'Took', number: true, cell: ({ took_ms: took }) => `${whole.format(took)} ms` },
      { label: 'Answer', cell: ({ detail }) => cut(detail ?? '') },
      { label: 'Next', cell: ({ next_at: next }) => (next ? when(next) : '') },
    ],
  });
  follow(view, form, list);
}

export const pages = [
  { pattern: ['webhooks'], title: () => 'Webhooks', show: showList },
  { pattern: ['webhooks', ':id'], title: ({ id }) => `Webhook ${plain(id.slice(0, 8))}`, show: showOne },
];
