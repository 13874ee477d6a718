// The pages of operations: a list, and one with its progress; pause, resume, cancel.

import { REASON, act, asText, ask, badge, button, call, cut, el, facts, link, listing, panel, plain, quietText, reading, redraw, say, to, when, who, whole } from './kit.js';

const LIST_EVERY_MS = 5000;
const RUNNING_EVERY_MS = 2000;
const KIND = { running: 'warn', paused: 'bad', cancelled: '', finished: 'good' };
const CHANGES = {
  pause: ['Pause', 'It takes nothing further until it is resumed. What it has sent is not called back.'],
  resume: ['Resume', 'It goes on where it was paused.'],
  cancel: ['Cancel', 'It gives back all that it has not sent. What it has sent can still be handled. It cannot be resumed.'],
};
// What can be done in which status.
const ALLOWED = { running: ['pause', 'cancel'], paused: ['resume', 'cancel'], cancelled: [], finished: [] };
const COUNTS = ['redriven', 'handled', 'failed_again', 'discarded', 'skipped', 'sent', 'passed_over', 'too_old', 'refused', 'left_failed'];

/** How far it has got, 0 to `count`; null where that is not known. */
function done({ status, count, progress }) {
  if (status === 'finished') return count;
  return count > 0 ? Math.max(0, count - progress.left - progress.waiting - progress.in_flight) : null;
}

/** Whether it is about the event log, and about no letter. */
const isWalk = ({ replay, republish }) => Boolean(replay || republish);

function progressText(operation) {
  const { count, progress } = operation;
  const at = done(operation);
  const parts = [at === null || (isWalk(operation) && count === 0) ? `${whole.format(progress.counts.sent ?? 0)} sent` : `${whole.format(at)} of ${whole.format(count)}`];
  if (progress.in_flight > 0) parts.push(`${whole.format(progress.in_flight)} in flight`);
  if (progress.counts.failed_again > 0) parts.push(`${whole.format(progress.counts.failed_again)} failed again`);
  return parts.join(', ');
}

/** Which letters or events it is about, in words. */
function selectionText({ selection, replay, republish }) {
  if (republish) {
    const parts = ['pending events', `committed by ${asText(republish.to)}`];
    if (republish.include_failed) parts.push('also what the bus had refused');
    if (republish.limit) parts.push(`${whole.format(republish.limit)} at most`);
    return parts.join(', ');
  }
  if (replay) {
    const parts = [`events to ${asText(replay.consumer)}`];
    if (replay.before_it_began) parts.push('all that was before it began');
    if (replay.aggregate_type) parts.push(`about ${asText(replay.aggregate_type)}/${asText(replay.aggregate_id)}`);
    if (replay.event_types?.length) parts.push(`of ${replay.event_types.map(asText).join(', ')}`);
    if (replay.from) parts.push(`from ${asText(replay.from)}`);
    parts.push(`before ${asText(replay.to)}`);
    return parts.join(', ');
  }
  if (!selection) return 'letters named one by one';
  const given = Object.entries(selection).filter(([, value]) => value !== null && value !== undefined);
  return given.length === 0 ? 'every unresolved letter' : given.map(([name, value]) => `${plain(name)} ${asText(value)}`).join(', ');
}

function showList(view) {
  const part = panel(view, 'Operations, newest first');
  listing(view, {
    into: part.section,
    note: part.note,
    label: 'Operations',
    empty: 'There is no operation. Dead letters and Replay begin them.',
    every: LIST_EVERY_MS,
    key: ({ operation_id: id }) => id,
    ask: (page, signal) => ask('letters/operations', page, signal),
    columns: [
      { label: 'Begun', cell: ({ begun_at: at }) => when(at) },
      { label: 'Act', head: true, cell: ({ act: word, operation_id: id }) => link(word, to(['operations', id]), { 'aria-label': `${asText(word)} ${asText(id)}` }) },
      { label: 'Status', cell: ({ status }) => badge(status, KIND[status]) },
      { label: 'Progress', cell: progressText },
      { label: 'What', cell: (one) => cut(selectionText(one)) },
      { label: 'By', cell: who },
      { label: 'Why', cell: ({ reason }) => reason },
    ],
  }).run();
}

function showOne(view) {
  const { id } = view.params;
  const path = `letters/operations/${encodeURIComponent(id)}`;
  const part = panel(view, 'Progress');
  const bar = el('progress', { max: 1, 'aria-label': 'Progress of the operation' });
  const words = el('p', { role: 'status' });
  const counts = el('div');
  const acts = el('div', { className: 'buttons' });
  part.section.append(words, bar, counts, acts);
  const what = panel(view, 'What it is');
  const hold = what.section.appendChild(el('div'));
  let last = '';

  const begin = (verb) => {
    const [label, about] = CHANGES[verb];
    act({
      title: `${label} the operation`,
      about: [about],
      fields: [REASON],
      confirm: `${label} it`,
      isDangerous: verb === 'cancel',
      request: ({ reason }) => ({ path: `${path}/${verb}`, body: { reason } }),
      done: () => {
        read.run();
        return {};
      },
    });
  };

  const read = reading(view, {
    into: part.section,
    note: part.note,
    every: RUNNING_EVERY_MS,
    // Nothing changes any more once it is finished.
    held: () => last === 'finished',
    ask: (signal) => call(path, { signal }),
    draw: (operation) => {
      const at = done(operation);
      if (at === null) bar.removeAttribute('value');
      else {
        bar.max = Math.max(1, operation.count);
        bar.value = operation.count === 0 ? 1 : at;
      }
      say(words, `${asText(operation.act)}: ${asText(operation.status)}, ${progressText(operation)}`);
      const ended = operation.outcome ?? operation.progress.counts;
      redraw(
        counts,
        facts([
          ...COUNTS.filter((name) => ended[name] > 0).map((name) => [name.replaceAll('_', ' '), whole.format(ended[name])]),
          ['not looked at yet', operation.status === 'finished' ? '' : whole.format(operation.progress.left)],
          ['waiting for their aggregate', operation.progress.waiting > 0 ? whole.format(operation.progress.waiting) : ''],
          ['canary', operation.canary ? (operation.progress.canary_passed ? 'was handled' : 'not handled yet') : ''],
          ['rows of the log read', operation.progress.rows_read > 0 ? whole.format(operation.progress.rows_read) : ''],
        ]),
      );
      if (operation.status !== last) {
        last = operation.status;
        redraw(acts, ...(ALLOWED[last] ?? []).map((verb) => button(`${CHANGES[verb][0]}…`, () => begin(verb))));
      }
      const letters = operation.selection ? { ...operation.selection } : null;
      if (letters?.aggregate_type) letters.aggregate = [letters.aggregate_type, letters.aggregate_id].filter(Boolean).join('/');
      redraw(
        hold,
        facts([
          ['operation', operation.operation_id],
          ['status', badge(operation.status, KIND[operation.status])],
          ['status because', operation.status_reason],
          ['about', selectionText(operation)],
          ['count', operation.count === 0 && isWalk(operation) ? 'not known when it began' : whole.format(operation.count)],
          ['at most', operation.cap === null || operation.cap === undefined ? '' : whole.format(operation.cap)],
          ['rate', `${whole.format(operation.rate_per_second)} a second at most`],
          ['why', operation.reason],
          ['by', who(operation)],
          ['begun', when(operation.begun_at)],
          ['changed', when(operation.changed_at)],
          ['letters now', letters ? link('those that fit the same filter', to(['letters'], { ...letters, aggregate_type: '', aggregate_id: '' })) : ''],
          ['its events', link('who did what to it', to(['history'], { aggregate: `operation/${operation.operation_id}` }))],
        ]),
      );
    },
  });
  read.run();
  view.root.append(quietText('What was sent is decided by its consumer. A letter that fails again is a dead letter again.'));
}

export const pages = [
  { pattern: ['operations'], title: () => 'Operations', show: showList },
  { pattern: ['operations', ':id'], title: ({ id }) => `Operation ${plain(id.slice(0, 8))}`, show: showOne },
];
