// What every page of the console is made of: elements, words, calls, routes, tables with pages, and the dialog of an act.
//
// Rules of these files:
// - Data from the API is only set as text (textContent, or attributes that a file names). Nothing is parsed as HTML.
// - The key is kept in sessionStorage and leaves the page only in the Authorization header.
// - What a page shows is in its address: path and query behind the `#`. Reload, back and forward work.
// - Everything that grows has a limit, and the page shows what a limit has dropped.

// Relative to the page, so that a proxy with a path prefix works too.
export const API = new URL('../api/v1/', document.baseURI);

export const ANSWER_WITHIN_MS = 15_000;
// What the server asks for with Retry-After is heeded up to this.
export const RETRY_AFTER_MOST_MS = 60_000;
const RETRY_AFTER_MS = 2000;
// How often an act is sent again by itself after a 503. A person is asked after that.
const ACT_TRIES = 3;
// Acts of which the answer was lost, whose keys are kept.
const KEPT_ACTS = 50;
const PAGE_ROWS = 25;
// The most letters that an operation can name, and rows that can be selected.
const SELECTED_MOST = 1000;

// --- the document -----------------------------------------------------------------------------------------------------

export const $ = (id) => document.getElementById(id);

/** An element with properties set and children appended; strings become text. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.includes('-') || property === 'role' || property === 'scope' || property === 'list') made.setAttribute(property, value);
    else made[property] = value;
  }
  made.append(...children);
  return made;
}

/** The same for SVG, where everything is an attribute. */
export function svg(name, attributes = {}) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** Sets text only where it differs: a live region speaks when it is written, not when it changes. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** For screen readers: what sighted users see by colour and place. */
export const announce = (text) => say($('announce'), text);

export const button = (text, press, properties = {}) => {
  const made = el('button', { type: 'button', textContent: text, ...properties });
  made.addEventListener('click', press);
  return made;
};

export const link = (text, to, properties = {}) => el('a', { href: to, textContent: asText(text), ...properties });

let lastId = 0;
const newId = (prefix) => `${prefix}-${(lastId += 1)}`;

/** A part of a page with a heading of its own. */
export function panel(view, title, { note = '', id = newId('part') } = {}) {
  const heading = el('h2', { id, textContent: title });
  const quiet = el('span', { className: 'quiet', textContent: note });
  const head = el('div', { className: 'head' }, heading, quiet);
  const section = el('section', { className: 'panel', 'aria-labelledby': id }, head);
  view.root.append(section);
  return { section, head, heading, note: quiet };
}

/** Replaces what an element holds. What has the focus in it keeps it, by its place among the others. */
export function redraw(holder, ...nodes) {
  const stops = () => [...holder.querySelectorAll('a, button, input, [tabindex="0"]')];
  const at = holder.contains(document.activeElement) ? stops().indexOf(document.activeElement) : -1;
  holder.replaceChildren(...nodes);
  if (at >= 0) stops()[at]?.focus();
}

/** Names and values. A value is text, an element, or absent: then its line is left out. */
export function facts(pairs) {
  const lines = pairs
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => el('div', {}, el('dt', { textContent: name }), el('dd', {}, value instanceof Node ? value : asText(value))));
  return el('dl', { className: 'facts' }, ...lines);
}

/** A text of several lines that can be scrolled by keyboard. */
export const block = (label, text) => el('pre', { role: 'group', 'aria-label': label, tabIndex: 0, textContent: plain(text) });

export const pretty = (value) => JSON.stringify(value ?? null, null, 2);

/** A word with a colour. The word alone says it. */
export const badge = (word, kind = '') => el('span', { className: `badge ${kind}`, textContent: asText(word) });

export const quietText = (text) => el('p', { className: 'quiet', textContent: text });

// --- words for numbers ------------------------------------------------------------------------------------------------

export const whole = new Intl.NumberFormat('en');
const two = (number) => String(number).padStart(2, '0');

/** The time of day here, with milliseconds where wanted. */
export function clock(moment, milliseconds = false) {
  const at = new Date(moment);
  if (Number.isNaN(at.getTime())) return asText(moment);
  const text = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return milliseconds ? `${text}.${String(at.getMilliseconds()).padStart(3, '0')}` : text;
}

/** Day and time here, as an element that has the exact time, too. */
export function when(moment) {
  if (moment === null || moment === undefined) return el('span', { textContent: '–' });
  const at = new Date(moment);
  const text = Number.isNaN(at.getTime()) ? asText(moment) : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`;
  return el('time', { dateTime: asText(moment), title: asText(moment), textContent: text });
}

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export const plural = (count, one, many) => `${whole.format(count)} ${count === 1 ? one : many}`;

export const short = (text) => (text.length > 22 ? `${text.slice(0, 8)}…${text.slice(-6)}` : text);

/** The beginning of a text that may be long. */
export const cut = (text, most = 160) => {
  const all = asText(text);
  return all.length > most ? `${all.slice(0, most)}…` : all;
};

// Characters that change the text direction are shown by their code, so that one text cannot look like another.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
export const plain = (text) => text.replace(TURNS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Any value of an event as text: what should be a string may be anything. */
export const asText = (value) => (value === undefined ? '' : plain(typeof value === 'string' ? value : JSON.stringify(value)));

/** `type#id`, as the rows have it, in the form that people write. */
export const aggregateText = (aggregate) => asText(aggregate ?? '').replace('#', '/');

/** `type/id` in its two parts, or null. The id may contain further slashes. */
export function aggregateParts(text) {
  const slash = text.indexOf('/');
  return slash > 0 && slash < text.length - 1 ? { aggregate_type: text.slice(0, slash), aggregate_id: text.slice(slash + 1) } : null;
}

/** Who did something, and with whose key. */
export const who = ({ actor, key_owner: owner }) => (actor ? `${asText(actor)} (key of ${asText(owner)})` : `key of ${asText(owner)}`);

/** The words of a text, which blanks or commas separate. */
export const words = (text) => text.split(/[\s,]+/).filter((word) => word !== '');

/** A time or a day as a request's body has it. What is neither goes as it is: the API says what is wrong with it. */
export function moment(text) {
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN);
  return Number.isNaN(at.getTime()) ? text : at.toISOString();
}

// --- calls ------------------------------------------------------------------------------------------------------------

export class Refused extends Error {
  constructor(status, text, problem = {}) {
    super(text);
    this.status = status;
    this.problem = problem;
  }

  /** Nothing but another key can help. */
  get isKey() {
    return this.status === 401;
  }

  /** How long the server asks to wait. */
  get waitMs() {
    const seconds = Number(this.problem.retry_after);
    return Math.min(seconds > 0 ? seconds * 1000 : RETRY_AFTER_MS, RETRY_AFTER_MOST_MS);
  }
}

/** The key, and what happens if it is refused. */
export const session = { key: null, refused: null };

/** One JSON call with the key; throws Refused for any answer that is not 2xx. */
export async function call(path, { method = 'GET', body, signal, idempotencyKey = randomId() } = {}) {
  const headers = { Authorization: `Bearer ${session.key}`, Accept: 'application/json' };
  if (method !== 'GET') headers['Idempotency-Key'] = idempotencyKey;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const within = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const response = await fetch(new URL(path, API), {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, within]) : within,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) ?? {};
    if (problem.retry_after === undefined) problem.retry_after = response.headers.get('retry-after');
    const text = asText(problem.detail ?? problem.title) || `HTTP ${response.status}`;
    const refused = new Refused(response.status, text, problem);
    if (refused.isKey) session.refused?.(refused);
    throw refused;
  }
  return response.json();
}

// crypto.randomUUID is missing if the page is not served over https or from localhost.
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const reason = (error) => (error instanceof Refused ? `${error.status}: ${error.message}` : error.message);

export const isTimeout = (error) => error.name === 'TimeoutError' || error.name === 'AbortError';

/** What went wrong, and what to do. */
export function explain(error) {
  if (!(error instanceof Refused)) return isTimeout(error) ? 'No answer came in time. Try again.' : `The server cannot be reached (${error.message}). Try again.`;
  // The title of a 403 says that a scope is missing, its detail which one.
  if (error.status === 403) return `403: this key lacks a scope (${error.message}). Use a key that has it: "Forget key", then enter it; millrace keys create makes one.`;
  if (error.status === 404) return `404: ${error.message}. It may have expired, or this stack does not serve it.`;
  return `${reason(error)}.`;
}

/** The violations that a refusal names, each with its place in what was sent. */
export function violations(list, more = 0) {
  const lines = (list ?? []).map(({ pointer, message }) => el('li', {}, el('code', { textContent: asText(pointer) || 'the whole' }), ` ${asText(message)}`));
  if (more > 0) lines.push(el('li', { textContent: `and ${whole.format(more)} more` }));
  return el('ul', { className: 'violations' }, ...lines);
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Acts of which no answer came, by their content. The same act sent again gets the same key, also from a dialog that was
// opened anew: if it was done, the API answers for what it did then.
const unanswered = new Map();

/** Sends an act. Its key stays the same until an answer comes. */
export async function send(path, body, { method = 'POST', signal, tell = () => {} } = {}) {
  const content = JSON.stringify([method, path, body]);
  const idempotencyKey = unanswered.get(content) ?? randomId();
  unanswered.set(content, idempotencyKey);
  if (unanswered.size > KEPT_ACTS) unanswered.delete(unanswered.keys().next().value);
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await call(path, { method, body, signal, idempotencyKey });
      unanswered.delete(content);
      return answer;
    } catch (error) {
      const isDefinite = error instanceof Refused && error.status < 500;
      if (isDefinite) unanswered.delete(content);
      if (!(error instanceof Refused) || error.status !== 503 || tries >= ACT_TRIES || signal?.aborted) throw error;
      tell(`The service is not available. The same request is sent again in ${duration(error.waitMs)}.`);
      await pause(error.waitMs);
    }
  }
}

// --- routes -----------------------------------------------------------------------------------------------------------

/** An address of the console. Empty parts of the query are left out. */
export function to(path, query = {}) {
  const given = [...(query instanceof URLSearchParams ? query : Object.entries(query))].filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false);
  const text = new URLSearchParams(given).toString();
  return `#/${path.map((part) => encodeURIComponent(part)).join('/')}${text ? `?${text}` : ''}`;
}

function here() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const parts = path.split('/').filter((part) => part !== '');
  const read = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // an address that somebody typed
    }
  };
  return { path: parts.length === 0 ? ['live'] : parts.map(read), query: new URLSearchParams(query) };
}

const router = { routes: [], view: null, title: null, isRunning: false };

/** Goes to an address: a new entry in the history, unless it replaces the present one. */
export function go(address, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, '', address);
    if (router.view) router.view.query = here().query;
  } else if (address === location.hash) {
    arrive();
  } else {
    location.hash = address;
  }
}

/** The same page with other values in its query. */
export function change(view, values, options) {
  const query = new URLSearchParams(view.query);
  for (const [name, value] of Object.entries(values)) {
    if (value === '' || value === null || value === undefined) query.delete(name);
    else query.set(name, value);
  }
  go(to(view.path, query), options);
}

function arrive({ focus = true } = {}) {
  if (!router.isRunning) return;
  const { path, query } = here();
  const { view } = router;
  if (view && view.path.join('/') === path.join('/')) {
    // The same page: what has the focus stays where it is.
    view.query = query;
    view.changed?.(query);
    return;
  }
  view?.controller.abort();
  // A question about the page before is no longer asked.
  if ($('act').open) $('act').close();
  const found = router.routes.find(({ pattern }) => pattern.length === path.length && pattern.every((part, at) => part.startsWith(':') || part === path[at]));
  const controller = new AbortController();
  const root = el('div', { className: 'page' });
  const next = { path, query, root, controller, signal: controller.signal, changed: null, params: {} };
  found?.pattern.forEach((part, at) => {
    if (part.startsWith(':')) next.params[part.slice(1)] = path[at];
  });
  router.view = next;
  $('page').replaceChildren(root);
  const title = found ? found.title(next.params) : 'There is no such page';
  say($('title'), title);
  document.title = `${title} – Millrace`;
  for (const anchor of $('nav').querySelectorAll('a')) {
    if (anchor.dataset.page === path[0]) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
  if (found) found.show(next);
  else root.append(quietText('The address leads nowhere. Choose a page above.'));
  if (focus) {
    window.scrollTo(0, 0);
    $('title').focus({ preventScroll: true });
  }
}

/** Starts to follow the address. `routes`: {pattern, title, show}. */
export function startRoutes(routes, options) {
  router.routes = routes;
  router.isRunning = true;
  arrive(options);
}

/** Leaves the present page. */
export function stopRoutes() {
  router.isRunning = false;
  router.view?.controller.abort();
  router.view = null;
  $('page').replaceChildren();
}

window.addEventListener('hashchange', () => arrive());

// --- reading and reading again ----------------------------------------------------------------------------------------

/**
 * Reads something, draws it, and says when that was or why it failed. Reads again: every so often while the tab is visible
 * and nothing holds it, and after a 503 when the server wants it.
 */
export function reading(view, { into, note, ask, draw, every = 0, held = () => false, failed }) {
  const trouble = el('p', { className: 'error', role: 'status' });
  const again = button('Try again', () => run(), { hidden: true });
  into.append(el('div', { className: 'trouble' }, trouble, again));
  let running = null;
  let retry = null;
  let last = '';

  /** `isPoll`: what has not changed is not drawn again, so that selected text stays selected. */
  async function run({ isPoll = false } = {}) {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    clearTimeout(retry);
    const { signal } = view;
    let answer;
    try {
      if (note && last === '') say(note, 'reading…');
      answer = await ask(AbortSignal.any([signal, mine.signal]));
      if (mine.signal.aborted || signal.aborted) return;
    } catch (error) {
      if (mine.signal.aborted || signal.aborted) return;
      if (note && last === '') say(note, '');
      if (failed?.(error)) {
        say(trouble, '');
        return;
      }
      const isBusy = error instanceof Refused && error.status === 503;
      say(trouble, isBusy ? `${explain(error)} It is read again in ${duration(error.waitMs)}.` : explain(error));
      again.hidden = isBusy;
      if (isBusy) retry = setTimeout(whenVisible, error.waitMs);
      return;
    } finally {
      if (running === mine) running = null;
    }
    const text = JSON.stringify(answer);
    try {
      if (!isPoll || text !== last) draw(answer);
    } catch (error) {
      say(trouble, `This page cannot show the answer: it has another form than expected (${error.message}).`);
      throw error; // also for the browser's log
    }
    last = text;
    if (note) say(note, `as of ${clock(Date.now())}`);
    say(trouble, '');
    again.hidden = true;
  }

  const whenVisible = () => {
    if (document.hidden) document.addEventListener('visibilitychange', whenVisible, { once: true, signal: view.signal });
    else run();
  };
  const poll = () => {
    if (!document.hidden && running === null && !held() && !$('act').open) run({ isPoll: true });
  };
  if (every > 0) {
    const timer = setInterval(poll, every);
    view.signal.addEventListener('abort', () => clearInterval(timer));
    document.addEventListener('visibilitychange', poll, { signal: view.signal });
  }
  view.signal.addEventListener('abort', () => clearTimeout(retry));
  return { run };
}

// --- tables -----------------------------------------------------------------------------------------------------------

/**
 * A table. `columns`: {label, cell(item), number, head}. The cell is text or an element. A row keeps the focus when it is
 * drawn again.
 */
export function table({ label, columns, key = (item, at) => String(at), empty = 'Nothing.', id }) {
  const heads = columns.map(({ label: name, number, unseen }) => el('th', { scope: 'col', className: number ? 'number' : '' }, el('span', { className: unseen ? 'unseen' : '', textContent: name })));
  const body = el('tbody', id ? { id } : {});
  const none = el('p', { className: 'quiet empty', textContent: empty, hidden: true });
  const scroll = el('div', { className: 'scroll', role: 'group', 'aria-label': label, tabIndex: 0 }, el('table', {}, el('thead', {}, el('tr', {}, ...heads)), body));
  const element = el('div', {}, scroll, none);
  const stops = (row) => [...row.querySelectorAll('a, button, input')];

  function draw(items, otherwise = empty) {
    say(none, otherwise);
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && [focused.closest('tr').dataset.key, stops(focused.closest('tr')).indexOf(focused)];
    const rows = items.map((item, at) => {
      const cells = columns.map(({ cell, number, head }) => {
        const value = cell(item);
        return el(head ? 'th' : 'td', { ...(head ? { scope: 'row' } : {}), className: number ? 'number' : '' }, value instanceof Node ? value : asText(value ?? '–'));
      });
      const row = el('tr', {}, ...cells);
      row.dataset.key = asText(key(item, at));
      return row;
    });
    body.replaceChildren(...rows);
    scroll.hidden = rows.length === 0;
    none.hidden = rows.length > 0;
    if (place) {
      const row = rows.find(({ dataset }) => dataset.key === place[0]);
      if (row) stops(row)[place[1]]?.focus();
      else scroll.focus();
    }
  }
  return { element, draw, body };
}

/** One labelled control of a form. */
export function field({ name, label, kind = 'text', value = '', options = [], hint, required = false, ...more }) {
  const id = newId('field');
  const attributes = { id, name, required, autocomplete: 'off', ...more };
  let control;
  if (kind === 'select') {
    control = el('select', attributes, ...options.map((option) => el('option', Array.isArray(option) ? { value: option[0], textContent: option[1] } : { value: option, textContent: option })));
    control.value = value;
  } else if (kind === 'textarea') {
    control = el('textarea', { ...attributes, value, spellcheck: false, rows: more.rows ?? 3 });
  } else if (kind === 'checkbox') {
    control = el('input', { ...attributes, type: 'checkbox', checked: Boolean(value) });
    return { control, element: el('label', { className: 'check' }, control, ` ${label}`) };
  } else {
    control = el('input', { ...attributes, type: kind, value, spellcheck: false });
  }
  const parts = [el('label', { htmlFor: id, textContent: label }), control];
  if (hint) {
    const hintId = `${id}-hint`;
    control.setAttribute('aria-describedby', hintId);
    parts.push(el('span', { id: hintId, className: 'quiet', textContent: hint }));
  }
  return { control, element: el('div', { className: 'field' }, ...parts) };
}

/** What a form's controls hold, by name. */
export function values(form) {
  const found = {};
  for (const { name, type, checked, value } of form.elements) {
    if (name) found[name] = type === 'checkbox' ? checked : value.trim();
  }
  return found;
}

/** A form whose values are the query of the page. */
export function filters(view, label, fields) {
  const made = fields.map((one) => field({ ...one, value: view.query.get(one.name) ?? '' }));
  const form = el('form', { className: 'filters', role: 'search', 'aria-label': label }, ...made.map(({ element }) => element));
  const clear = button('Clear', () => go(to(view.path)));
  form.append(el('div', { className: 'buttons' }, el('button', { textContent: 'Filter' }), clear));
  const names = fields.map(({ name }) => name);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    change(view, { ...values(form), cursor: '' });
  });
  for (const { control } of made) if (control.matches('select')) control.addEventListener('change', () => form.requestSubmit());
  const fill = () => {
    for (const [at, { control }] of made.entries()) {
      const wanted = view.query.get(names[at]) ?? '';
      if (control.value !== wanted && control !== document.activeElement) control.value = wanted;
    }
  };
  return { form, fill, given: () => Object.fromEntries(names.map((name) => [name, view.query.get(name) ?? '']).filter(([, value]) => value !== '')) };
}

/** The first and the next page as links: the cursor is in the address. */
function pager(view) {
  const first = link('First page', '#');
  const next = link('Next page', '#');
  const element = el('p', { className: 'pager' }, first, next);
  const show = (cursor) => {
    const query = new URLSearchParams(view.query);
    query.delete('cursor');
    first.href = to(view.path, query);
    first.hidden = !view.query.has('cursor');
    if (cursor) query.set('cursor', cursor);
    next.href = to(view.path, query);
    next.hidden = !cursor;
    element.hidden = first.hidden && next.hidden;
  };
  return { element, show };
}

/**
 * A table with pages. `ask(query, signal)` answers {items, next_cursor}. With `selected(items)`, rows can be selected, and
 * the list is then not read again until nothing is selected: rows must not move under the hand.
 */
export function listing(view, { into, note, label, columns, key, ask, empty, every = 0, selected, actions, drawn, rows = PAGE_ROWS, id }) {
  const chosen = new Map();
  const held = el('p', { className: 'paused', role: 'status', hidden: true });
  const bar = el('div', { className: 'buttons', hidden: true });
  let shown = [];

  const tick = (item) => {
    const box = el('input', { type: 'checkbox', checked: chosen.has(key(item)), 'aria-label': `Select ${asText(key(item))}` });
    box.addEventListener('change', () => {
      if (!box.checked) chosen.delete(key(item));
      else if (chosen.size < SELECTED_MOST) chosen.set(key(item), item);
      else box.checked = false;
      tell();
    });
    return box;
  };
  const all = selected ? [{ label: 'Selected', cell: tick, unseen: true }, ...columns] : columns;
  const made = table({ label, columns: all, key, empty, id });
  const pages = pager(view);

  function tell() {
    const any = chosen.size > 0;
    held.hidden = !any;
    bar.hidden = !any;
    if (any) say(held, `${plural(chosen.size, 'row is', 'rows are')} selected. The list is not refreshed until nothing is selected.`);
    else say(held, '');
    selected?.([...chosen.values()]);
  }
  const drop = () => {
    if (chosen.size > 0) {
      chosen.clear();
      made.draw(shown);
      tell();
    }
    read.run();
  };
  if (selected) {
    const thisPage = button('Select this page', () => {
      for (const item of shown) if (chosen.size < SELECTED_MOST) chosen.set(key(item), item);
      made.draw(shown);
      tell();
    });
    into.append(el('div', { className: 'buttons' }, thisPage));
    bar.append(...(actions ?? []), button('Select nothing', drop));
    into.append(held, bar);
  }
  into.append(made.element, pages.element);
  const read = reading(view, {
    into,
    note,
    every,
    held: () => chosen.size > 0,
    ask: (signal) => ask({ limit: rows, ...(view.query.get('cursor') ? { cursor: view.query.get('cursor') } : {}) }, signal),
    draw: (answer) => {
      shown = answer.items;
      // A page looks at a limited number of rows, so an empty one need not be the last.
      made.draw(shown, answer.next_cursor ? 'None on this page. There may be more: go on to the next page.' : empty);
      pages.show(answer.next_cursor ?? null);
      drawn?.(answer);
    },
  });
  return { run: read.run, drop, chosen: () => [...chosen.values()] };
}

/** Reads a list, and reads it anew whenever the form's filters change in the address. */
export function follow(view, form, list) {
  view.changed = () => {
    form.fill();
    list.drop();
  };
  list.run();
}

/** A path with a query for a call. */
export function ask(path, query, signal) {
  const text = new URLSearchParams(query).toString();
  return call(text ? `${path}?${text}` : path, { signal });
}

// --- acts -------------------------------------------------------------------------------------------------------------

/** The field that nearly every act has. */
export const REASON = { name: 'reason', label: 'Why (recorded)', required: true, maxLength: 500, kind: 'textarea', rows: 2 };

let closed = null;

/**
 * Asks before an act, and does it. The dialog shows what the act would do (`about`, then `preview`), asks for `fields`, and
 * sends what `request(values)` says: {path, body, method}. `preview(values, signal)` resolves to {nodes, hindrance, label}:
 * with a hindrance the act cannot be sent. `done(answer)` resolves to {go} (an address) or {nodes, title}, which are shown
 * until the dialog closes.
 */
export function act({ title, about = [], fields = [], preview, request, confirm, done, isDangerous = false }) {
  const dialog = $('act');
  const inside = new AbortController();
  const heading = el('h2', { id: 'act-title', textContent: title });
  const foreseen = el('div', { className: 'foreseen', role: 'status' });
  const trouble = el('div', { role: 'alert' });
  const progress = el('p', { className: 'quiet', role: 'status' });
  const made = fields.map((one) => ({ ...field(one), one }));
  const doIt = el('button', { className: isDangerous ? 'danger' : 'primary', textContent: confirm, disabled: Boolean(preview) });
  const cancel = button('Cancel', () => dialog.close());
  const form = el('form', {}, ...about.map((part) => (part instanceof Node ? part : el('p', { textContent: part }))), foreseen, ...made.map(({ element }) => element), trouble, progress, el('div', { className: 'buttons' }, doIt, cancel));
  dialog.replaceChildren(heading, form);

  let isSending = false;
  let looking = null;
  async function look() {
    looking?.abort();
    const mine = new AbortController();
    looking = mine;
    doIt.disabled = true;
    say(progress, 'Looking at what this would do…');
    try {
      const seen = await preview(values(form), AbortSignal.any([mine.signal, inside.signal]));
      if (mine.signal.aborted || inside.signal.aborted) return;
      foreseen.replaceChildren(...seen.nodes);
      if (seen.hindrance) foreseen.append(el('p', { className: 'error', textContent: seen.hindrance }));
      doIt.disabled = Boolean(seen.hindrance);
      if (seen.label) say(doIt, seen.label);
      for (const { control, one } of made) if (seen.values?.[one.name] !== undefined && control.value === '') control.value = seen.values[one.name];
      trouble.replaceChildren();
    } catch (error) {
      if (mine.signal.aborted || inside.signal.aborted) return;
      fail(error, false);
      trouble.append(button('Look again', look));
    }
    say(progress, '');
  }

  function fail(error, isAct) {
    const isLost = isAct && (!(error instanceof Refused) || error.status >= 500);
    const lines = [el('p', { className: 'error', textContent: isLost ? `${explain(error)} Whether it was done is not known. Press the button again: the same act is not done twice.` : explain(error) })];
    const { problem } = error;
    if (problem?.violations?.length) lines.push(violations(problem.violations, problem.more_violations));
    trouble.replaceChildren(...lines);
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (doIt.disabled) return;
    let wanted;
    try {
      wanted = request(values(form));
    } catch (error) {
      trouble.replaceChildren(el('p', { className: 'error', textContent: error.message }));
      return;
    }
    isSending = true;
    doIt.disabled = true;
    cancel.disabled = true;
    trouble.replaceChildren();
    say(progress, 'Asking…');
    try {
      const answer = await send(wanted.path, wanted.body, { method: wanted.method, signal: inside.signal, tell: (text) => say(progress, text) });
      announce(`${title}: done`);
      const result = (await done?.(answer)) ?? {};
      if (result.nodes) {
        say(heading, result.title ?? title);
        const close = button('Close', () => dialog.close(), { className: 'primary' });
        dialog.replaceChildren(heading, ...result.nodes, el('div', { className: 'buttons' }, close));
        close.focus();
      } else {
        if (!inside.signal.aborted) dialog.close();
        if (result.go) go(result.go);
      }
    } catch (error) {
      if (inside.signal.aborted) return;
      doIt.disabled = false;
      fail(error, true);
      doIt.focus();
    } finally {
      isSending = false;
      cancel.disabled = false;
      say(progress, '');
    }
  });

  // The dialog waits for the answer of what it has sent: it would be lost with the dialog.
  dialog.oncancel = (event) => {
    if (isSending) event.preventDefault();
  };
  closed = () => {
    inside.abort();
    // A secret that was shown is gone with the dialog.
    dialog.replaceChildren();
  };
  dialog.showModal();
  (made.find(({ one }) => one.required) ?? made[0])?.control.focus();
  if (preview) look();
}

$('act').addEventListener('close', () => {
  closed?.();
  closed = null;
});
