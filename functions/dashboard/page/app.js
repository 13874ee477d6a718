// The dashboard of the event stream: one page without dependencies and without a build step.
//
// Rules of this file:
// - Data from events is only set as text (textContent, or attributes that this file names). Nothing is parsed as HTML.
// - The key is kept in sessionStorage and leaves the page only in the Authorization header.
// - Everything that grows has a limit, and the page shows what a limit has dropped.
// - Drawing is batched: the page is drawn a few times a second, however many events arrive.

// --- settings ---------------------------------------------------------------------------------------------------------

// Relative to the page, so that a proxy with a path prefix works too.
const API = new URL('../api/v1/', document.baseURI);
const KEY_ITEM = 'millrace-api-key';

const KEPT_EVENTS = 1000; // the newest, in memory
const KEPT_CHARACTERS = 16_000_000; // limit on their JSON: an event can have 200 KB
const SHOWN_EVENTS = 200; // rows in the document
const WAITING_EVENTS = 1000; // kept while paused
const SEEN_IDS = 5000; // for recognising repeated events
const SHOWN_SETTLEMENTS = 12;
const KEPT_SETTLEMENTS = 500;
const SETTLED_STAYS_MS = 20_000;
const NOTICES = 4;
const HISTORY_PAGE = 25;

const DRAW_EVERY_MS = 150;
const POLL_EVERY_MS = 5000;
const WINDOW_SECONDS = 60;
const RATE_SECONDS = 10;

// Heartbeats arrive every 30 s. If two are missing, the connection is dead, whatever the browser reports.
const SILENCE_MS = 75_000;
const ANSWER_WITHIN_MS = 15_000;
const BACKOFF_MS = 500;
const BACKOFF_MOST_MS = 30_000;
// What the server asks for with Retry-After is heeded up to this.
const RETRY_AFTER_MOST_MS = 60_000;
// The pause after a stream that ended as planned: the server's hint.
const PLANNED_END_MS = 250;
// After this many failures in a row the state is "offline"; the page keeps trying.
const OFFLINE_AFTER = 4;

const PRIORITIES = ['critical', 'high', 'normal', 'low'];
// The objectives for p95 from commit to handler; low is best effort. The chart shows them for comparison.
const OBJECTIVE_MS = { critical: 1000, high: 5000, normal: 30_000 };
// The thresholds of the alarms.
const OLDEST_SECONDS = { express: 60, standard: 300 };
const DEPTH = 1000;

// --- the document -----------------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

/** An element with properties set and children appended; strings become text. */
function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.includes('-') || property === 'role' || property === 'scope') made.setAttribute(property, value);
    else made[property] = value;
  }
  made.append(...children);
  return made;
}

/** The same for SVG, where everything is an attribute. */
function svg(name, attributes = {}) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** Sets text only where it differs: a live region speaks when it is written, not when it changes. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** For screen readers: what sighted users see by colour and place. */
const announce = (text) => say($('announce'), text);

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

// --- words for numbers ------------------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat('en');
const two = (number) => String(number).padStart(2, '0');

/** The time of day here, with milliseconds where wanted. */
function clock(moment, milliseconds = false) {
  const at = new Date(moment);
  if (Number.isNaN(at.getTime())) return asText(moment);
  const text = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return milliseconds ? `${text}.${String(at.getMilliseconds()).padStart(3, '0')}` : text;
}

function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const plural = (count, one, many) => `${whole.format(count)} ${count === 1 ? one : many}`;

const short = (text) => (text.length > 22 ? `${text.slice(0, 8)}…${text.slice(-6)}` : text);

// Characters that change the text direction are shown by their code, so that one text cannot look like another.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const plain = (text) => text.replace(TURNS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Any value of an event as text: what should be a string may be anything. */
const asText = (value) => (value === undefined ? '' : plain(typeof value === 'string' ? value : JSON.stringify(value)));

// --- calls ------------------------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }

  /** Nothing but another key can help. */
  get isKey() {
    return this.status === 401;
  }
}

let key = null;

/** One JSON call with the key; throws Refused for any answer that is not 2xx. */
async function call(path, { method = 'GET', signal } = {}) {
  const headers = { Authorization: `Bearer ${key}`, Accept: 'application/json' };
  if (method !== 'GET') headers['Idempotency-Key'] = randomId();
  const within = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const response = await fetch(new URL(path, API), {
    method,
    headers,
    signal: signal ? AbortSignal.any([signal, within]) : within,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, asText(problem?.detail ?? problem?.title) || `HTTP ${response.status}`);
  }
  return response.json();
}

// crypto.randomUUID is missing if the page is not served over https or from localhost.
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const reason = (error) => (error instanceof Refused ? `${error.status}: ${error.message}` : error.message);

// --- the stream -------------------------------------------------------------------------------------------------------

// Uses fetch instead of EventSource. EventSource delivers named events only to listeners of exactly that name, so events of
// an unknown type would be lost silently. It also does not report the status of a refused connection.

/** The messages of a body in the format of server-sent events: {type, data, id}; id is null where none was named. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let type = '';
  let id = null;
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    // A CR at the end can be half of a CRLF, so it is kept for the next chunk.
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0 || id !== null) yield { type: type || 'message', data: data.join('\n'), id };
        type = '';
        id = null;
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') type = text;
      else if (field === 'data') data.push(text);
      else if (field === 'id' && !text.includes('\0')) id = text;
    }
  }
}

const stream = {
  lastId: null, // the position to resume from
  lostAt: null, // when the connection was lost
  openedAt: null,
  resumed: '', // how long it was lost, in words; empty if it was not
  failures: 0, // in a row
  caughtUp: 0, // events that arrived after a resume and had occurred before it
  running: null, // aborts everything of this session
  attempt: null, // aborts this connection
  wake: null, // ends the wait before the next try
};

function setState(state, word, detail = '') {
  $('connection').dataset.state = state;
  if ($('connection-state').textContent !== word) announce(`Connection: ${word}`);
  say($('connection-state'), word);
  say($('connection-detail'), detail);
  $('retry-now').hidden = stream.wake === null;
}

/** Connects again and again until the key is forgotten. */
async function follow() {
  const session = new AbortController();
  stream.running = session;
  let continued = false;
  while (!session.signal.aborted) {
    let why = 'the stream ended';
    let notBefore = 0;
    try {
      continued = await connectOnce(session.signal, continued);
      if (continued) {
        await pause(PLANNED_END_MS);
        continue;
      }
    } catch (error) {
      continued = false;
      if (session.signal.aborted) return;
      if (error instanceof Refused && error.isKey) return askForKey(`The key was refused (${reason(error)}).`);
      if (error instanceof Refused && error.status === 403) return askForKey(`This key may not read events (${reason(error)}).`);
      why = error.name === 'AbortError' || error.name === 'TimeoutError' ? 'no answer' : reason(error);
      notBefore = 1000 * Number(error.cause?.headers?.get('retry-after') ?? 0);
    }
    if (session.signal.aborted) return;
    if (stream.openedAt !== null || stream.lostAt === null) stream.lostAt = Date.now();
    stream.openedAt = null;
    stream.failures += 1;
    await waitBeforeNext(why, session.signal, notBefore);
  }
}

/** One connection from its token to its end. Returns whether the next one continues it: the stream ended as planned. */
async function connectOnce(session, continued) {
  const attempt = new AbortController();
  stream.attempt = attempt;
  const signal = AbortSignal.any([session, attempt.signal]);
  if (stream.lostAt !== null) showLost('trying now');
  else if (!continued) setState('connecting', 'connecting');

  // A token is short-lived and used for one connection. The key itself is never in a URL.
  const { token, url: address } = await call('stream-tokens', { method: 'POST', signal });
  // The stream usually has an address of its own.
  const url = new URL(address ?? 'events/stream', API);
  url.searchParams.set('token', token);
  if (stream.lastId !== null) url.searchParams.set('last_event_id', stream.lastId);

  let watchdog = setTimeout(() => attempt.abort(), ANSWER_WITHIN_MS);
  let messagesSeen = 0;
  try {
    const response = await fetch(url, {
      headers: { Accept: 'text/event-stream' },
      signal,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
    // A refused token does not mean a refused key: the next attempt gets a new token.
    if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`, { cause: response });
    if (!continued) opened();
    for await (const message of watched(messages(response.body), () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => attempt.abort(), SILENCE_MS);
    })) {
      stream.failures = 0;
      messagesSeen += 1;
      received(message);
    }
    // The stream ended by itself, as it does within a minute on Lambda. One that says nothing before is a failure.
    return messagesSeen > 0;
  } finally {
    clearTimeout(watchdog);
    attempt.abort();
  }
}

/** The same items; calls `alive` at the start and at each. */
async function* watched(items, alive) {
  alive();
  for await (const item of items) {
    alive();
    yield item;
  }
}

function opened() {
  const away = stream.lostAt;
  stream.openedAt = Date.now();
  stream.lostAt = null;
  stream.caughtUp = 0;
  stream.resumed = away === null ? '' : `resumed after ${duration(stream.openedAt - away)}`;
  if (away === null) return setState('live', 'live', `since ${clock(stream.openedAt)}`);
  if (stream.lastId === null) {
    // No position has arrived yet, so the stream cannot be resumed.
    notice(`Connected again after ${duration(stream.openedAt - away)}; events in between are not shown.`);
  }
  setState('live', 'live', stream.resumed);
}

function showLost(next) {
  const since = `since ${clock(stream.lostAt)}`;
  if (!navigator.onLine || stream.failures >= OFFLINE_AFTER) setState('offline', 'offline', `${since}; ${next}`);
  else setState('resuming', 'resuming', `${since}; ${next}`);
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function waitBeforeNext(why, session, notBefore) {
  const most = Math.min(BACKOFF_MOST_MS, BACKOFF_MS * 2 ** (stream.failures - 1));
  const jittered = most * (0.5 + Math.random() / 2); // so that not all clients reconnect at once after an outage
  const wait = Math.max(jittered, Math.min(notBefore || 0, RETRY_AFTER_MOST_MS));
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, wait);
    stream.wake = () => {
      clearTimeout(timer);
      resolve();
    };
    session.addEventListener('abort', stream.wake, { once: true });
    showLost(`${why}; next try in ${duration(wait)}`);
  });
  session.removeEventListener('abort', stream.wake);
  stream.wake = null;
}

function received({ type, data, id }) {
  // An overrun reports events that were not sent, so its position is not one to resume from.
  if (id !== null && type !== 'overrun') stream.lastId = id;
  if (type === 'heartbeat' || data === '') return;
  let body;
  try {
    body = JSON.parse(data);
  } catch {
    body = null;
  }
  if (type === 'gap') {
    notice(`Events ${asText(body?.from)} to ${asText(body?.to)} of the feed are missing here, because they have expired.`);
  } else if (type === 'overrun') {
    notice('Events arrived faster than this page could read them. It connects again and continues where it was.');
    stream.attempt.abort();
  } else if (body === null || typeof body !== 'object' || typeof body.event_id !== 'string') {
    notice(`The message at position ${asText(id ?? 'unknown')} is not an event and is not shown.`);
  } else {
    arrived({ id, body, data, at: Date.now() });
  }
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
  if (types.has(type)) return;
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

function drawCharts() {
  const now = Date.now();
  const from = now - WINDOW_SECONDS * 1000;
  const firstKept = samples.findIndex(({ at }) => at > from);
  samples = firstKept < 0 ? [] : samples.slice(firstKept);

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
  if (document.hidden || polling) return;
  polling = call('status', { signal: session });
  try {
    const { consumers } = await polling;
    drawConsumers(consumers);
    say($('consumers-when'), `as of ${clock(Date.now())}`);
    say($('consumers-error'), '');
  } catch (error) {
    if (!session.aborted) say($('consumers-error'), `Not up to date: ${reason(error)}.`);
  } finally {
    polling = null;
  }
}

/** A number that says by word and colour when it is over what is usual. */
function figure(text, isOver) {
  const cell = el('td', { className: isOver ? 'number over' : 'number', textContent: text });
  if (isOver) cell.append(el('span', { className: 'unseen', textContent: ' too many' }));
  return cell;
}

function drawConsumers(consumers) {
  const byName = [...consumers].sort((a, b) => `${a.consumer}/${a.lane}`.localeCompare(`${b.consumer}/${b.lane}`));
  const rows = byName.map((lane) => {
    const oldest = lane.oldest_seconds;
    return el(
      'tr',
      {},
      el('th', { scope: 'row', textContent: asText(lane.consumer) }),
      el('td', { className: 'quiet', textContent: asText(lane.lane) }),
      figure(whole.format(lane.depth), lane.depth > DEPTH),
      figure(whole.format(lane.in_flight), false),
      figure(oldest === null || oldest === undefined ? '–' : oldest < 10 ? `${oldest} s` : duration(oldest * 1000), oldest > (OLDEST_SECONDS[lane.lane] ?? Infinity)),
      figure(whole.format(lane.letters), lane.letters > 0),
    );
  });
  $('consumers').replaceChildren(...rows);
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

// --- beginning and end ------------------------------------------------------------------------------------------------

function askForKey(why) {
  stream.running?.abort();
  stream.running = null;
  key = null;
  sessionStorage.removeItem(KEY_ITEM);
  if ($('detail').open) $('detail').close();
  for (const id of ['board', 'connection', 'forget-key', 'keys']) $(id).hidden = true;
  $('key-form').hidden = false;
  say($('key-error'), why);
  $('key').focus();
}

function begin(given) {
  key = given;
  sessionStorage.setItem(KEY_ITEM, key);
  $('key').value = '';
  $('key-form').hidden = true;
  for (const id of ['board', 'connection', 'forget-key', 'keys']) $(id).hidden = false;
  Object.assign(stream, { lostAt: null, openedAt: null, failures: 0 });
  follow();
  const { signal } = stream.running;
  poll(signal);
  const timer = setInterval(() => poll(signal), POLL_EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}

$('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  // A header cannot contain other characters.
  const given = $('key').value.trim();
  if (/^[\x21-\x7e]+$/.test(given)) begin(given);
  else say($('key-error'), 'A key contains only ASCII characters and no spaces.');
});
$('forget-key').addEventListener('click', () => {
  sessionStorage.removeItem(KEY_ITEM);
  location.reload(); // this also removes all data that was read with the key
});
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
document.addEventListener('visibilitychange', () => stream.running && poll(stream.running.signal));
window.addEventListener('online', () => stream.wake?.());
// Without this, the page would take a minute to notice the lost connection.
window.addEventListener('offline', () => stream.attempt?.abort());

buildCharts();
setInterval(() => {
  drawCharts();
  drawSettlements();
}, 1000);
drawCharts();

const remembered = sessionStorage.getItem(KEY_ITEM);
if (remembered) begin(remembered);
else askForKey('');
