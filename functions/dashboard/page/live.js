// The page "Live": events as they arrive, their rate and latency, settlements in progress, and the lanes.
//
// Its elements are in index.html, because it goes on while other pages are shown. Drawing is batched: it is drawn a few times
// a second, however many events arrive.

import { laneCells, sortedLanes } from './consumers.js';
import { $, asText, announce, call, change, clock, duration, el, explain, plain, plural, reason, say, short, svg, whole } from './kit.js';
import { follow, stream } from './stream.js';

const KEPT_EVENTS = 1000; // the newest, in memory
const KEPT_CHARACTERS = 16_000_000; // limit on their JSON: an event can have 200 KB
const SHOWN_EVENTS = 200; // rows in the document
const WAITING_EVENTS = 1000; // kept while paused
const SEEN_IDS = 5000; // for recognising repeated events
const KNOWN_TYPES = 500; // that can be chosen in the filter
const SHOWN_SETTLEMENTS = 12;
const KEPT_SETTLEMENTS = 500;
const SETTLED_STAYS_MS = 20_000;
const NOTICES = 4;
const HISTORY_PAGE = 25;

const DRAW_EVERY_MS = 150;
const POLL_EVERY_MS = 5000;
const WINDOW_SECONDS = 60;
const RATE_SECONDS = 10;

const PRIORITIES = ['critical', 'high', 'normal', 'low'];
// The objectives for p95 from commit to handler; low is best effort. The chart shows them for comparison.
const OBJECTIVE_MS = { critical: 1000, high: 5000, normal: 30_000 };

// The page's view while it is shown.
let shown = null;

/** Something the reader must know about the list, newest first. */
function notice(text) {
  const list = $('notices');
  const close = el('button', { type: 'button', textContent: 'Dismiss' });
  const item = el('li', { className: 'notice' }, el('span', { textContent: `${clock(Date.now())} ${text}` }), close);
  close.addEventListener('click', () => {
    item.remove();
    $('events-title').closest('section').querySelector('button').focus();
  });
  list.prepend(item);
  while (list.children.length > NOTICES) list.lastElementChild.remove();
}

// --- what arrived -----------------------------------------------------------------------------------------------------

const counts = { received: 0, repeated: 0 };
const seen = new Set();
let kept = []; // newest first
let keptCharacters = 0;
let fresh = []; // arrived, not yet drawn; oldest first
let waiting = []; // arrived while paused; oldest first
let waitingDropped = 0;
let paused = false;
let samples = []; // {at, priority, latency or null} of the last minute, oldest first

function arrived({ id, body, data, at }) {
  // The feed delivers each event at least once.
  if (seen.has(body.event_id)) {
    counts.repeated += 1;
    return;
  }
  seen.add(body.event_id);
  if (seen.size > SEEN_IDS) seen.delete(seen.values().next().value);
  counts.received += 1;

  const occurred = Date.parse(body.occurred_at);
  const isCatchingUp = occurred < stream.openedAt;
  if (isCatchingUp) stream.caughtUp += 1;
  // Events from before this connection waited for the page, not for Millrace, so they do not count for the latency.
  const latency = isCatchingUp || Number.isNaN(occurred) ? null : Math.max(0, at - occurred);
  samples.push({ at, priority: body.priority, latency });

  settle(body, at);

  const event = {
    id,
    body,
    at,
    size: data.length,
    aggregate: `${asText(body.aggregate_type)}/${asText(body.aggregate_id)}`,
    search: data.toLowerCase(),
  };
  if (paused) {
    waiting.push(event);
    if (waiting.length > WAITING_EVENTS) {
      waiting.shift();
      waitingDropped += 1;
    }
  } else {
    fresh.push(event);
    if (fresh.length > KEPT_EVENTS) fresh.shift();
  }
  drawSoon();
}

function keep(events) {
  for (const event of events) keptCharacters += event.size;
  kept = [...events.toReversed(), ...kept];
  while (kept.length > KEPT_EVENTS || (keptCharacters > KEPT_CHARACTERS && kept.length > 1)) {
    keptCharacters -= kept.pop().size;
  }
}

// --- drawing ----------------------------------------------------------------------------------------------------------

let drawing = null;

function drawSoon() {
  drawing ??= setTimeout(() => {
    drawing = null;
    drawEvents();
    drawSettlements();
  }, DRAW_EVERY_MS);
}

const filter = { text: '', type: '', aggregate: '' };
const types = new Set();

function matches(event) {
  const type = asText(event.body.event_type);
  const isOfType = filter.type.endsWith('.*') ? type.startsWith(filter.type.slice(0, -1)) : filter.type === '' || type === filter.type;
  if (!isOfType) return false;
  if (filter.aggregate && !event.aggregate.toLowerCase().includes(filter.aggregate)) return false;
  return !filter.text || event.search.includes(filter.text);
}

/** A row of the list: a button, because it can be pressed. Arrow keys go through them, the tab key stops at one. */
function row(event, open) {
  const { body } = event;
  const priority = PRIORITIES.includes(body.priority) ? body.priority : 'other';
  const button = el(
    'button',
    { type: 'button', className: 'event', tabIndex: -1, 'aria-haspopup': 'dialog' },
    el('time', { className: 'quiet', dateTime: asText(body.occurred_at), textContent: clock(body.occurred_at, true) }),
    el('span', { className: 'type', textContent: asText(body.event_type) }),
    // The number stays visible however long the name is.
    el('span', { className: 'aggregate' }, el('span', { textContent: event.aggregate }), el('span', { textContent: ` #${asText(body.sequence)}` })),
    el('span', { className: `priority ${priority}`, textContent: asText(body.priority) }),
  );
  button.addEventListener('click', () => open(event, button));
  const item = el('li', { className: 'new' }, button);
  item.dataset.event = asText(body.event_id);
  return item;
}

/** Adds what is fresh on top and takes away below: rows that stay are not touched, so focus and place stay too. */
function drawEvents() {
  const list = $('events');
  if (stream.openedAt !== null && stream.resumed && stream.caughtUp > 0) {
    say($('connection-detail'), `${stream.resumed}, ${plural(stream.caughtUp, 'event', 'events')} caught up`);
  }
  if (fresh.length > 0) {
    const batch = fresh;
    fresh = [];
    keep(batch);
    for (const { body } of batch) learnType(asText(body.event_type));
    const rows = batch.filter(matches).slice(-SHOWN_EVENTS).reverse().map((event) => row(event, openDetail));
    list.prepend(...rows);
    while (list.children.length > SHOWN_EVENTS) {
      const last = list.lastElementChild;
      if (last.contains(document.activeElement)) list.firstElementChild.firstElementChild.focus();
      last.remove();
    }
  }
  drawListState();
}

/** The whole list afresh, after the filter changed. */
function redrawEvents() {
  const rows = kept.filter(matches).slice(0, SHOWN_EVENTS).map((event) => row(event, openDetail));
  $('events').replaceChildren(...rows);
  drawEvents();
}

function drawListState() {
  const list = $('events');
  const isFiltered = filter.text || filter.type || filter.aggregate;
  list.hidden = list.children.length === 0;
  $('events-empty').hidden = !list.hidden;
  say($('events-empty'), isFiltered && kept.length > 0 ? 'None of the kept events passes the filter.' : 'No events yet. New events appear here automatically.');
  const matching = isFiltered ? kept.filter(matches).length : kept.length;
  const shown = Math.min(matching, SHOWN_EVENTS);
  const parts = [`${plural(counts.received, 'event', 'events')} received`];
  if (counts.received > kept.length + waiting.length) parts.push(`newest ${whole.format(kept.length)} kept`);
  if (isFiltered) parts.push(`${whole.format(matching)} pass the filter`);
  if (matching > shown) parts.push(`${shown} shown`);
  say($('events-count'), parts.join(', '));

  $('pause').setAttribute('aria-pressed', String(paused));
  say($('pause'), paused ? 'Continue' : 'Pause');
  $('paused').hidden = !paused;
  if (paused) {
    const lost = waitingDropped > 0 ? `; the oldest ${plural(waitingDropped, 'event was', 'events were')} dropped: at most ${whole.format(WAITING_EVENTS)} are kept while paused` : '';
    say($('paused'), `The list is paused: ${plural(waiting.length, 'event waits', 'events wait')}${lost}. Charts and settlements continue.`);
  }
  // The list is one tab stop, at the row that the arrow keys selected last.
  if (!list.querySelector('[tabindex="0"]') && list.firstElementChild) list.firstElementChild.firstElementChild.tabIndex = 0;
}

function setPaused(value) {
  if (paused === value) return;
  // Events that arrived before the pause belong to the paused list.
  drawEvents();
  paused = value;
  if (paused) {
    announce('List paused');
  } else {
    const dropped = waitingDropped;
    fresh = waiting;
    waiting = [];
    waitingDropped = 0;
    announce(`List continues, ${plural(fresh.length, 'event', 'events')} added`);
    if (dropped > 0) notice(`${plural(dropped, 'event', 'events')} that arrived during the pause ${dropped === 1 ? 'is' : 'are'} not shown.`);
  }
  drawEvents();
}

/** Types and domains that were seen can be chosen. */
function learnType(type) {
  if (types.has(type) || types.size >= KNOWN_TYPES) return;
  types.add(type);
  types.add(`${type.split('.')[0]}.*`);
  const chosen = $('filter-type').value;
  const options = [...types].sort().map((name) => el('option', { value: name, textContent: name.endsWith('.*') ? `${name.slice(0, -2)}: all` : name }));
  $('filter-type').replaceChildren(el('option', { value: '', textContent: 'all types' }), ...options);
  $('filter-type').value = chosen;
}

function readFilter() {
  filter.text = $('filter-text').value.trim().toLowerCase();
  filter.type = $('filter-type').value;
  filter.aggregate = $('filter-aggregate').value.trim().toLowerCase();
  redrawEvents();
  // Each letter typed is no step of the history.
  if (shown) change(shown, { text: $('filter-text').value.trim(), type: filter.type, aggregate: $('filter-aggregate').value.trim() }, { replace: true });
}

// --- settlements ------------------------------------------------------------------------------------------------------

const DONE = ['settled', 'failed'];
const settlements = new Map(); // id -> its known state

/** Takes in what an event says. No order is promised, so each part is guarded by the version that stated it. */
function settle(body, at) {
  const type = asText(body.event_type);
  const payload = body.payload;
  if (!type.startsWith('settlement.') || typeof payload?.settlement_id !== 'string') return;
  const id = payload.settlement_id;
  const known = settlements.get(id) ?? { id, body, status: 'created', transition: 0, version: 0, confirmations: 0, required: null, network: null, error: null, doneAt: null };
  const version = Number(payload.version) || 0;
  const transition = Number(payload.transition) || 0;

  let status = null;
  if (type === 'settlement.network_selected') status = 'network_selected';
  else if (type === 'settlement.status_changed') status = asText(payload.to_status);
  if (status !== null && transition > known.transition) {
    known.transition = transition;
    if (!DONE.includes(known.status)) known.status = status;
  }
  if (type === 'settlement.settled' || type === 'settlement.failed') {
    known.status = type.split('.')[1];
    if (typeof payload.error === 'string') known.error = payload.error;
  }

  if (typeof payload.network === 'string') known.network = payload.network;
  const required = payload.required ?? payload.required_confirmations;
  if (Number.isInteger(required)) known.required = required;
  if (Number.isInteger(payload.confirmations) && version >= known.version) {
    known.confirmations = payload.confirmations;
    known.version = version;
  }

  if (DONE.includes(known.status)) known.doneAt ??= at;
  known.body = body;
  known.at = at;
  // Newest last: the limit drops the one without events for the longest time.
  settlements.delete(id);
  settlements.set(id, known);
  if (settlements.size > KEPT_SETTLEMENTS) settlements.delete(settlements.keys().next().value);
}

const settlementRows = new Map();

function settlementRow(id) {
  const name = el('span', { className: 'aggregate', textContent: short(asText(id)), title: asText(id) });
  const network = el('span', { className: 'quiet' });
  const status = el('span', { className: 'status' });
  const bar = el('progress', { max: 1, 'aria-label': `Confirmations of settlement ${short(asText(id))}` });
  const numbers = el('span', { className: 'number quiet' });
  const item = el('li', {}, name, network, status, bar, numbers);
  item.dataset.settlement = id;
  return { item, network, status, bar, numbers };
}

function drawSettlements() {
  const now = Date.now();
  for (const [id, { doneAt }] of settlements) {
    if (doneAt !== null && now - doneAt > SETTLED_STAYS_MS) settlements.delete(id);
  }
  const all = [...settlements.values()];
  const inFlight = all.filter(({ doneAt }) => doneAt === null).length;
  // Settlements in progress come first, and the latest first in each group. In the order of arrival, new ones would be hidden.
  const shown = [...all.filter(({ doneAt }) => doneAt === null).reverse(), ...all.filter(({ doneAt }) => doneAt !== null).reverse()].slice(0, SHOWN_SETTLEMENTS);

  for (const [id, { item }] of settlementRows) {
    if (!shown.some((known) => known.id === id)) {
      item.remove();
      settlementRows.delete(id);
    }
  }
  for (const known of shown) {
    if (!settlementRows.has(known.id)) {
      const made = settlementRow(known.id);
      settlementRows.set(known.id, made);
      $('settlements').prepend(made.item);
    }
    const { item, network, status, bar, numbers } = settlementRows.get(known.id);
    item.dataset.status = known.status;
    say(network, asText(known.network ?? ''));
    say(status, asText(known.error ? `${known.status}: ${known.error}` : known.status.replaceAll('_', ' ')));
    status.title = status.textContent;
    if (known.doneAt !== null || known.required !== null) {
      const required = known.required ?? Math.max(1, known.confirmations);
      bar.max = required;
      bar.value = known.status === 'settled' ? required : Math.min(known.confirmations, required);
      say(numbers, known.required === null ? '' : `${whole.format(known.confirmations)} / ${whole.format(required)}`);
    } else {
      // The page has not seen the settlement's start, so the required number is not known yet.
      bar.removeAttribute('value');
      say(numbers, `${whole.format(known.confirmations)} / ?`);
    }
  }
  $('settlements').hidden = shown.length === 0;
  $('settlements-empty').hidden = shown.length > 0;
  const more = all.length > shown.length ? `, ${whole.format(all.length - shown.length)} more not shown` : '';
  say($('settlements-count'), shown.length === 0 ? '' : `${whole.format(inFlight)} in progress${more}`);
}

// --- charts -----------------------------------------------------------------------------------------------------------

const bars = [];
const latencyRows = new Map();
const LATENCY_FROM = Math.log10(10);
const LATENCY_TO = Math.log10(100_000);

/** Place of a latency on the logarithmic axis, 0 to 100. */
const place = (ms) => 100 * Math.min(1, Math.max(0, (Math.log10(Math.max(1, ms)) - LATENCY_FROM) / (LATENCY_TO - LATENCY_FROM)));

function buildCharts() {
  const chart = $('rate-chart');
  chart.setAttribute('viewBox', `0 0 ${WINDOW_SECONDS * 4} 40`);
  chart.append(svg('line', { class: 'ground', x1: 0, x2: WINDOW_SECONDS * 4, y1: 39.5, y2: 39.5 }));
  for (let second = 0; second < WINDOW_SECONDS; second += 1) {
    bars.push(svg('rect', { class: 'bar-of-rate', x: second * 4 + 0.5, width: 3, y: 39, height: 0 }));
  }
  chart.append(...bars);

  for (const priority of PRIORITIES) {
    const cells = Array.from({ length: 3 }, () => el('td', { className: 'number' }));
    const graph = svg('svg', { class: `span ${priority}`, viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    const p95 = svg('rect', { class: 'p95', x: 0, y: 2, width: 0, height: 6 });
    const median = svg('rect', { class: 'median', x: 0, y: 2, width: 0, height: 6 });
    graph.append(svg('rect', { class: 'track', x: 0, y: 2, width: 100, height: 6 }), p95, median);
    if (OBJECTIVE_MS[priority]) {
      const at = place(OBJECTIVE_MS[priority]);
      graph.append(svg('rect', { class: 'objective', x: at - 0.25, y: 0, width: 0.5, height: 10 }));
    }
    latencyRows.set(priority, { cells, p95, median });
    const name = el('th', { scope: 'row' }, el('span', { className: `priority ${priority}`, textContent: priority }));
    $('latency').append(el('tr', {}, name, ...cells, el('td', { className: 'wide' }, graph)));
  }
}

/** The value at a share of a sorted list, nearest rank. */
const rank = (sorted, share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];

/** Forgets what is older than the window, also while nothing is drawn. Returns when the window begins. */
function forgetSamples() {
  const from = Date.now() - WINDOW_SECONDS * 1000;
  const firstKept = samples.findIndex(({ at }) => at > from);
  samples = firstKept < 0 ? [] : samples.slice(firstKept);
  return from;
}

function drawCharts() {
  const from = forgetSamples();
  const perSecond = new Array(WINDOW_SECONDS).fill(0);
  for (const { at } of samples) perSecond[Math.min(WINDOW_SECONDS - 1, Math.floor((at - from) / 1000))] += 1;
  const peak = Math.max(...perSecond);
  perSecond.forEach((count, second) => {
    const height = count === 0 ? 0 : Math.max(1, (count / Math.max(peak, 4)) * 38);
    bars[second].setAttribute('height', height);
    bars[second].setAttribute('y', 39 - height);
  });
  const recent = perSecond.slice(-RATE_SECONDS).reduce((sum, count) => sum + count, 0) / RATE_SECONDS;
  say($('rate-text'), `${recent.toFixed(1)} now, peak ${peak}, ${plural(samples.length, 'event', 'events')} in a minute`);

  for (const [priority, { cells, p95, median }] of latencyRows) {
    const sorted = samples.filter((sample) => sample.priority === priority && sample.latency !== null).map(({ latency }) => latency).sort((a, b) => a - b);
    const [middle, high] = sorted.length > 0 ? [rank(sorted, 0.5), rank(sorted, 0.95)] : [null, null];
    say(cells[0], whole.format(sorted.length));
    say(cells[1], middle === null ? '–' : duration(middle));
    say(cells[2], high === null ? '–' : duration(high));
    cells[2].classList.toggle('over', high !== null && high > (OBJECTIVE_MS[priority] ?? Infinity));
    median.setAttribute('width', middle === null ? 0 : Math.max(1, place(middle)));
    p95.setAttribute('width', high === null ? 0 : Math.max(1, place(high)));
  }
}

// --- consumers --------------------------------------------------------------------------------------------------------

let polling = null;

async function poll(session) {
  if (document.hidden || polling || !shown) return;
  polling = call('status', { signal: session });
  try {
    const { consumers } = await polling;
    drawConsumers(consumers);
    say($('consumers-when'), `as of ${clock(Date.now())}`);
    say($('consumers-error'), '');
  } catch (error) {
    if (!session.aborted) say($('consumers-error'), `Not up to date: ${explain(error)}`);
  } finally {
    polling = null;
  }
}

function drawConsumers(consumers) {
  $('consumers').replaceChildren(...sortedLanes(consumers).map((lane) => el('tr', {}, ...laneCells(lane))));
}

// --- one event --------------------------------------------------------------------------------------------------------

// The event that the dialog shows. Answers that arrive after another event was opened are dropped.
let open = null;

const FACTS = ['event_id', 'event_type', 'event_version', 'occurred_at', 'priority', 'producer', 'aggregate_type', 'aggregate_id', 'sequence', 'correlation_id', 'causation_id'];

function openDetail(event, opener) {
  open = { event, opener: open?.opener ?? opener };
  const { body } = event;
  say($('detail-title'), asText(body.event_type));
  const names = [...FACTS, ...Object.keys(body).filter((name) => !FACTS.includes(name) && name !== 'payload')];
  const facts = names.filter((name) => body[name] !== undefined).map((name) => el('div', {}, el('dt', { textContent: name }), el('dd', { textContent: asText(body[name]) })));
  if (event.id !== null) facts.push(el('div', {}, el('dt', { textContent: 'position in the feed' }), el('dd', { textContent: asText(event.id) })));
  $('detail-facts').replaceChildren(...facts);
  say($('detail-payload'), plain(JSON.stringify(body.payload ?? null, null, 2)));
  if (!$('detail').open) $('detail').showModal();
  if (shown) change(shown, { event: asText(body.event_id) }, { replace: true });
  $('detail').scrollTop = 0;
  showHandled(event);
  showHistory(event, Math.max(1, body.sequence - HISTORY_PAGE + 5));
}

async function showHandled(event) {
  const body = $('handled');
  body.replaceChildren();
  say($('handled-note'), 'asking…');
  try {
    const answer = await call(`events/${encodeURIComponent(event.body.event_id)}/handled`);
    if (open?.event !== event) return;
    const rows = answer.map(({ consumer, state, evidence }) =>
      el('tr', {}, el('th', { scope: 'row', textContent: asText(consumer) }), el('td', { textContent: asText(state) }), el('td', { className: 'quiet', textContent: asText(evidence) })),
    );
    body.replaceChildren(...rows);
    say($('handled-note'), rows.length === 0 ? 'No consumer subscribes to this event.' : '');
  } catch (error) {
    if (open?.event === event) say($('handled-note'), `Could not be read: ${reason(error)}.`);
  }
}

async function showHistory(event, from) {
  const { body } = event;
  const list = $('history');
  say($('history-note'), 'asking…');
  try {
    const query = new URLSearchParams({ aggregate_type: body.aggregate_type, aggregate_id: body.aggregate_id, from_sequence: from, limit: HISTORY_PAGE });
    const { items, next_cursor: next } = await call(`events?${query}`);
    if (open?.event !== event) return;
    const rows = items.map((item) => {
      const made = row({ id: null, body: item, aggregate: `${asText(item.aggregate_type)}/${asText(item.aggregate_id)}` }, openDetail);
      const button = made.firstElementChild;
      button.tabIndex = 0;
      button.removeAttribute('aria-haspopup');
      if (item.event_id === body.event_id) button.setAttribute('aria-current', 'true');
      return made;
    });
    list.replaceChildren(...rows);
    say($('history-note'), rows.length === 0 ? 'The event log has no events of it.' : '');
    const last = items.at(-1)?.sequence ?? from;
    open.earlier = from > 1 ? Math.max(1, from - HISTORY_PAGE) : null;
    open.later = next === null || next === undefined ? null : last + 1;
    $('history-earlier').disabled = open.earlier === null;
    $('history-later').disabled = open.later === null;
  } catch (error) {
    if (open?.event !== event) return;
    list.replaceChildren();
    say($('history-note'), `Could not be read: ${reason(error)}.`);
  }
}

function closeDetail() {
  const opener = open?.opener;
  open = null;
  if (!shown) return;
  change(shown, { event: '' }, { replace: true });
  // The row may have left the list in the meantime.
  const target = opener?.isConnected ? opener : $('events').querySelector('[tabindex="0"]');
  target?.focus();
}

// --- keys and buttons -------------------------------------------------------------------------------------------------

function isTyping(target) {
  return target instanceof HTMLElement && (target.matches('input:not([type=checkbox]), select, textarea') || target.isContentEditable);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if ($('board').hidden || $('detail').open) return;
  if (event.key === 'Escape' && event.target.matches('.filters input') && event.target.value !== '') {
    event.target.value = '';
    readFilter();
    return;
  }
  if (isTyping(event.target) || !$('shortcuts').checked) return;
  if (event.key === '/') {
    event.preventDefault();
    $('filter-text').focus();
  } else if (event.key === 'p') {
    event.preventDefault();
    setPaused(!paused);
  }
}

function onListKey(event) {
  const item = event.target.closest('li');
  if (!item) return;
  const list = $('events');
  const to = { ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling, Home: list.firstElementChild, End: list.lastElementChild }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  to?.firstElementChild.focus();
}

function onListFocus(event) {
  if (!event.target.matches('.event')) return;
  for (const stop of $('events').querySelectorAll('[tabindex="0"]')) stop.tabIndex = -1;
  event.target.tabIndex = 0;
}

// --- the page ---------------------------------------------------------------------------------------------------------

function fillFilter(query) {
  const type = query.get('type') ?? '';
  // An address may name a type that has not arrived yet.
  if (type !== '') learnType(type.endsWith('.*') ? type.slice(0, -2) : type);
  if (type.endsWith('.*') && !types.has(type)) {
    types.add(type);
    $('filter-type').append(el('option', { value: type, textContent: `${type.slice(0, -2)}: all` }));
  }
  for (const name of ['text', 'aggregate']) {
    const control = $(`filter-${name}`);
    const wanted = query.get(name) ?? '';
    if (control.value.trim() !== wanted) control.value = wanted;
  }
  $('filter-type').value = type;
  filter.text = $('filter-text').value.trim().toLowerCase();
  filter.type = type;
  filter.aggregate = $('filter-aggregate').value.trim().toLowerCase();
  redrawEvents();
}

async function openNamed(id, view) {
  try {
    const body = await call(`events/${encodeURIComponent(id)}`, { signal: view.signal });
    if (view.signal.aborted || open) return;
    openDetail({ id: null, body, aggregate: `${asText(body.aggregate_type)}/${asText(body.aggregate_id)}` });
  } catch (error) {
    if (!view.signal.aborted) notice(`The event ${id} of the address could not be read: ${explain(error)}`);
  }
}

function showPage(view) {
  shown = view;
  for (const id of ['board', 'keys']) $(id).hidden = false;
  fillFilter(view.query);
  view.changed = (query) => {
    fillFilter(query);
    if (!query.get('event') && $('detail').open) $('detail').close();
    else if (query.get('event') && !open) openNamed(query.get('event'), view);
  };
  if (view.query.get('event')) openNamed(view.query.get('event'), view);
  poll(view.signal);
  const timer = setInterval(() => poll(view.signal), POLL_EVERY_MS);
  view.signal.addEventListener('abort', () => {
    clearInterval(timer);
    shown = null;
    if ($('detail').open) $('detail').close();
    for (const id of ['board', 'keys']) $(id).hidden = true;
  });
}

export const pages = [{ pattern: ['live'], title: () => 'Live', show: showPage }];

/** Opens the stream, whichever page is shown. */
export function startLive() {
  Object.assign(stream, { lostAt: null, openedAt: null, failures: 0 });
  say($('live-error'), '');
  follow({ event: arrived, notice, forbidden: (error) => say($('live-error'), explain(error)) });
}

export function stopLive() {
  stream.running?.abort();
  stream.running = null;
}

$('retry-now').addEventListener('click', () => stream.wake?.());
$('pause').addEventListener('click', () => setPaused(!paused));
for (const id of ['filter-text', 'filter-aggregate']) $(id).addEventListener('input', readFilter);
$('filter-type').addEventListener('change', readFilter);
$('filter-clear').addEventListener('click', () => {
  for (const id of ['filter-text', 'filter-type', 'filter-aggregate']) $(id).value = '';
  readFilter();
});
$('events').addEventListener('keydown', onListKey);
$('events').addEventListener('focusin', onListFocus);
$('detail-close').addEventListener('click', () => $('detail').close());
$('detail').addEventListener('close', closeDetail);
$('detail').addEventListener('click', (event) => {
  if (event.target === $('detail')) $('detail').close(); // the backdrop
});
$('handled-again').addEventListener('click', () => open && showHandled(open.event));
$('history-earlier').addEventListener('click', () => open?.earlier && showHistory(open.event, open.earlier));
$('history-later').addEventListener('click', () => open?.later && showHistory(open.event, open.later));
document.addEventListener('keydown', onKey);
document.addEventListener('visibilitychange', () => shown && poll(shown.signal));
window.addEventListener('online', () => stream.wake?.());
// Without this, the page would take a minute to notice the lost connection.
window.addEventListener('offline', () => stream.attempt?.abort());

buildCharts();
setInterval(() => {
  if (document.hidden || !shown) {
    forgetSamples();
    return;
  }
  drawCharts();
  drawSettlements();
}, 1000);
drawCharts();
