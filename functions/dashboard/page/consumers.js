// The page "Consumers": what waits in their lanes, which are paused, by whom and why; pause and resume.

import { REASON, act, asText, ask, badge, button, call, duration, el, facts, link, panel, plural, quietText, reading, table, to, when, who, whole } from './kit.js';

const POLL_EVERY_MS = 5000;
// The thresholds of the alarms.
const OLDEST_SECONDS = { express: 60, standard: 300 };
const DEPTH = 1000;
// SQS deletes the oldest message of a paused consumer: a warning from this on.
const DELETED_SOON_SECONDS = 2 * 86_400;

export const sortedLanes = (lanes) => [...lanes].sort((a, b) => `${a.consumer}/${a.lane}`.localeCompare(`${b.consumer}/${b.lane}`));

/** A number that says by word and colour when it is over what is usual. */
function figure(text, isOver) {
  const cell = el('td', { className: isOver ? 'number over' : 'number', textContent: text });
  if (isOver) cell.append(el('span', { className: 'unseen', textContent: ' too many' }));
  return cell;
}

const seconds = (span) => (span === null || span === undefined ? '–' : span < 10 ? `${span} s` : duration(span * 1000));

/** The cells of a lane's row: consumer, lane, depth, in flight, oldest, dead letters. */
export function laneCells(lane) {
  return [
    el('th', { scope: 'row', textContent: asText(lane.consumer) }),
    el('td', { className: 'quiet', textContent: asText(lane.lane) }),
    figure(whole.format(lane.depth), lane.depth > DEPTH),
    figure(whole.format(lane.in_flight), false),
    figure(seconds(lane.oldest_seconds), lane.oldest_seconds > (OLDEST_SECONDS[lane.lane] ?? Infinity)),
    figure(whole.format(lane.letters), lane.letters > 0),
  ];
}

function pauseOrResume(name, isPaused, status, again) {
  const verb = isPaused ? 'resume' : 'pause';
  const lanes = (status?.consumers ?? []).filter(({ consumer }) => consumer === name);
  const waits = lanes.map((lane) => `${lane.lane}: ${plural(lane.depth, 'event waits', 'events wait')}, ${whole.format(lane.in_flight)} in flight`).join('; ');
  const paused = status?.paused?.find(({ consumer }) => consumer === name);
  const about = isPaused
    ? [`${asText(name)} goes on with the events that waited in its lanes.`]
    : [`${asText(name)} takes no further events. Its lanes keep them for 14 days from their arrival; then SQS deletes them. What it has received is handled to the end. A deployment does not resume it.`];
  if (waits) about.push(quietText(`Now: ${waits}.`));
  if (paused) about.push(facts([['paused since', when(paused.since)], ['because', paused.reason]]));
  act({
    title: `${isPaused ? 'Resume' : 'Pause'} ${asText(name)}`,
    about,
    fields: [REASON],
    confirm: isPaused ? 'Resume' : 'Pause',
    isDangerous: !isPaused,
    request: ({ reason }) => ({ path: `consumers/${encodeURIComponent(name)}/${verb}`, body: { reason } }),
    done: ({ applied, note }) => {
      again();
      const nodes = [el('p', { textContent: applied ? 'Lambda has accepted it, and takes up to a minute to do it.' : 'It is recorded. Lambda has not accepted it yet; that is tried again until it does.' })];
      if (note) nodes.push(el('p', { textContent: asText(note) }));
      return { nodes, title: `${asText(name)}: ${isPaused ? 'resumed' : 'paused'}` };
    },
  });
}

function show(view) {
  let status = null;
  const paused = panel(view, 'Paused');
  const consumers = panel(view, 'Consumers');
  const lanes = panel(view, 'Lanes', { note: 'approximate, as SQS counts' });

  const pausedTable = table({
    label: 'Paused consumers',
    empty: 'No consumer is paused.',
    key: ({ consumer }) => consumer,
    columns: [
      { label: 'Consumer', head: true, cell: ({ consumer }) => consumer },
      { label: 'Since', cell: ({ since }) => when(since) },
      { label: 'By', cell: who },
      { label: 'Why', cell: ({ reason }) => reason },
      { label: 'Oldest message', cell: ({ oldest_seconds: oldest }) => (oldest === null || oldest === undefined ? 'not measured' : `${seconds(oldest)} old`) },
      {
        label: 'SQS deletes it',
        cell: ({ deleted_in_seconds: left }) => {
          if (left === null || left === undefined) return 'not known';
          return badge(left === 0 ? 'now' : `in ${seconds(left)}`, left < DELETED_SOON_SECONDS ? 'bad' : '');
        },
      },
    ],
  });
  const laneTable = table({
    label: 'Lanes',
    empty: 'There are no lanes.',
    key: ({ consumer, lane }) => `${consumer}/${lane}`,
    columns: ['Consumer', 'Lane', 'Depth', 'In flight', 'Oldest', 'Dead letters'].map((label, at) => ({ label, number: at > 1, cell: () => '' })),
  });
  const allTable = table({
    label: 'Consumers',
    empty: 'No consumer is deployed.',
    key: ({ consumer }) => consumer,
    columns: [
      { label: 'Consumer', head: true, cell: ({ consumer }) => consumer },
      { label: 'Lanes', cell: ({ lanes: names }) => (names.length === 0 ? 'not deployed' : names.join(', ')) },
      { label: 'Status', cell: (one) => (one.paused ? badge('paused', 'warn') : badge('running', 'good')) },
      {
        label: 'Open dead letters',
        number: true,
        cell: ({ consumer }) => {
          if (status === null) return '–';
          const open = status.letters.find((one) => one.consumer === consumer)?.open ?? 0;
          return open > 0 ? link(whole.format(open), to(['letters'], { consumer }), { 'aria-label': `${plural(open, 'dead letter', 'dead letters')} of ${asText(consumer)}` }) : '0';
        },
      },
      {
        label: 'Act',
        unseen: true,
        cell: (one) => button(one.paused ? 'Resume…' : 'Pause…', () => pauseOrResume(one.consumer, Boolean(one.paused), status, both), { 'aria-label': `${one.paused ? 'Resume' : 'Pause'} ${asText(one.consumer)}` }),
      },
    ],
  });
  paused.section.append(pausedTable.element);
  lanes.section.append(laneTable.element);
  consumers.section.append(allTable.element);

  let known = null;
  const readStatus = reading(view, {
    into: lanes.section,
    note: lanes.note,
    every: POLL_EVERY_MS,
    ask: (signal) => call('status', { signal }),
    draw: (answer) => {
      status = answer;
      pausedTable.draw(answer.paused ?? []);
      // The same cells as on the page "Live".
      laneTable.body.replaceChildren(...sortedLanes(answer.consumers).map((lane) => el('tr', {}, ...laneCells(lane))));
      if (known) allTable.draw(known);
    },
  });
  const readConsumers = reading(view, {
    into: consumers.section,
    note: consumers.note,
    every: POLL_EVERY_MS * 2,
    ask: (signal) => ask('consumers', {}, signal),
    draw: ({ items }) => {
      known = items;
      allTable.draw(items);
    },
  });
  function both() {
    readStatus.run();
    readConsumers.run();
  }
  both();
}

export const pages = [{ pattern: ['consumers'], title: () => 'Consumers', show }];
