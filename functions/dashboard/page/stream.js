// The connection to the event stream: opened again whenever it ends, resumed where it was, and given up only if the key may
// not read events. It goes on while other pages are shown.

import { $, ANSWER_WITHIN_MS, API, RETRY_AFTER_MOST_MS, Refused, announce, asText, call, clock, duration, isTimeout, pause, reason, say } from './kit.js';

// Heartbeats arrive every 30 s. If two are missing, the connection is dead, whatever the browser reports.
const SILENCE_MS = 75_000;
const BACKOFF_MS = 500;
const BACKOFF_MOST_MS = 30_000;
// The pause after a stream that ended as planned: the server's hint.
const PLANNED_END_MS = 250;
// After this many failures in a row the state is "offline"; the page keeps trying.
const OFFLINE_AFTER = 4;

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

export const stream = {
  lastId: null, // the position to resume from
  lostAt: null, // when the connection was lost
  openedAt: null,
  resumed: '', // how long it was lost, in words; empty if it was not
  failures: 0, // in a row
  caughtUp: 0, // events that arrived after a resume and had occurred before it
  running: null, // aborts everything of this session
  attempt: null, // aborts this connection
  wake: null, // ends the wait before the next try
  to: null, // who is told: {event, notice, forbidden}
};

function setState(state, word, detail = '') {
  $('connection').dataset.state = state;
  if ($('connection-state').textContent !== word) announce(`Connection: ${word}`);
  say($('connection-state'), word);
  say($('connection-detail'), detail);
  $('retry-now').hidden = stream.wake === null;
}

/** Connects again and again until the key is forgotten, and tells `to` what arrives. */
export async function follow(to) {
  stream.to = to;
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
      if (error instanceof Refused && error.status === 403) {
        // Other pages may still be of use with this key.
        setState('offline', 'no stream', 'this key may not read events');
        return stream.to.forbidden(error);
      }
      why = isTimeout(error) ? 'no answer' : reason(error);
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
    stream.to.notice(`Connected again after ${duration(stream.openedAt - away)}; events in between are not shown.`);
  }
  setState('live', 'live', stream.resumed);
}

function showLost(next) {
  const since = `since ${clock(stream.lostAt)}`;
  if (!navigator.onLine || stream.failures >= OFFLINE_AFTER) setState('offline', 'offline', `${since}; ${next}`);
  else setState('resuming', 'resuming', `${since}; ${next}`);
}

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
    stream.to.notice(`Events ${asText(body?.from)} to ${asText(body?.to)} of the feed are missing here, because they have expired.`);
  } else if (type === 'overrun') {
    stream.to.notice('Events arrived faster than this page could read them. It connects again and continues where it was.');
    stream.attempt.abort();
  } else if (body === null || typeof body !== 'object' || typeof body.event_id !== 'string') {
    stream.to.notice(`The message at position ${asText(id ?? 'unknown')} is not an event and is not shown.`);
  } else {
    stream.to.event({ id, body, data, at: Date.now() });
  }
}

