// The page "Jobs": what runs by a schedule, when it last ran, and how that ended.

import { Refused, asText, badge, call, duration, el, facts, link, panel, quietText, reading, redraw, table, to, when, whole } from './kit.js';

const POLL_EVERY_MS = 10_000;
const STATE = { never_ran: '', idle: 'good', unfinished: 'warn', running: 'warn' };
const OUTCOME = { finished: 'good', continues: 'good', busy: '', ousted: 'warn', failed: 'bad' };

const countsText = (counts) => Object.entries(counts ?? {}).map(([name, count]) => `${asText(name)} ${typeof count === 'number' ? whole.format(count) : asText(count)}`).join(', ');
const took = ({ started_at: from, ended_at: until }) => (until ? duration(Math.max(0, Date.parse(until) - Date.parse(from))) : '–');

/** How a run ended. One without an end is under way only if it is the newest of a running job; else it was killed or lost its lease. */
function outcomeOf(run, { state, runs }) {
  if (run.outcome) return badge(asText(run.outcome).replaceAll('_', ' '), OUTCOME[run.outcome]);
  return state === 'running' && run === runs[0] ? badge('running', 'warn') : badge('no end', 'bad');
}

/** What a job is at: facts, as far as its lease tells them. */
function pass({ state, lease, looks_for: looksFor }) {
  const isUnderWay = state === 'running' || state === 'unfinished';
  return facts([
    ['looks for', looksFor],
    ['state', badge(asText(state).replaceAll('_', ' '), STATE[state])],
    ['pass begun', isUnderWay && lease?.pass_started_at ? when(lease.pass_started_at) : ''],
    ['next page of the pass', isUnderWay && lease ? lease.page : ''],
    ['done in this pass', isUnderWay ? countsText(lease?.counts) : ''],
    ['lease held until', state === 'running' && lease?.held_until ? when(lease.held_until) : ''],
  ]);
}

/** The jobs that pass `fits`, read and drawn in this part. `chosen`: draws the runs of a job. */
export function jobsTable(view, part, { fits = () => true, chosen = () => {} } = {}) {
  const made = table({
    label: 'Jobs',
    empty: 'There is no job.',
    key: ({ job }) => job,
    columns: [
      { label: 'Job', head: true, cell: ({ job }) => link(job, to(['jobs'], { job })) },
      { label: 'State', cell: ({ state }) => badge(state.replaceAll('_', ' '), STATE[state]) },
      { label: 'Last run', cell: ({ runs }) => when(runs[0]?.started_at) },
      { label: 'Outcome', cell: (job) => (job.runs[0] ? outcomeOf(job.runs[0], job) : '–') },
      { label: 'Counts', cell: ({ runs }) => countsText(runs[0]?.counts) },
      { label: 'Error', cell: ({ runs }) => runs[0]?.error ?? '' },
    ],
  });
  const absent = quietText('This stack does not serve the list of jobs (404). Its release is older than this page.');
  absent.hidden = true;
  part.section.append(made.element, absent);
  made.element.hidden = true;
  const read = reading(view, {
    into: part.section,
    note: part.note,
    every: POLL_EVERY_MS,
    held: () => !absent.hidden,
    ask: (signal) => call('jobs', { signal }),
    draw: ({ jobs }) => {
      made.element.hidden = false;
      made.draw(jobs.filter(fits));
      chosen(jobs);
    },
    failed: (error) => {
      if (!(error instanceof Refused && error.status === 404)) return false;
      absent.hidden = false;
      return true;
    },
  });
  read.run();
  return read;
}

function show(view) {
  const part = panel(view, 'Jobs');
  const runs = panel(view, 'Runs of a job');
  const hold = runs.section.appendChild(el('div'));
  const runTable = table({
    label: 'Runs',
    empty: 'It has never run.',
    key: ({ fence }) => fence,
    columns: [
      { label: 'Run', head: true, number: true, cell: ({ fence }) => whole.format(fence) },
      { label: 'Started', cell: (run) => when(run.started_at) },
      { label: 'Took', cell: took },
      { label: 'Outcome', cell: (run) => outcomeOf(run, job) },
      { label: 'Pages', number: true, cell: ({ pages: count }) => whole.format(count) },
      { label: 'Counts', cell: ({ counts }) => countsText(counts) },
      { label: 'Notes', cell: ({ notes, notes_left_out: more }) => [...(notes ?? []).map(asText), ...(more > 0 ? [`and ${whole.format(more)} more`] : [])].join('; ') },
      { label: 'Error', cell: ({ error }) => error ?? '' },
    ],
  });
  runs.section.append(runTable.element);
  runs.section.hidden = true;
  let known = [];
  let job;
  const draw = () => {
    const name = view.query.get('job');
    job = known.find(({ job: one }) => one === name);
    runs.section.hidden = !job;
    if (!job) return;
    runs.heading.textContent = `Runs of ${asText(job.job)}`;
    redraw(hold, pass(job));
    runTable.draw(job.runs);
  };
  jobsTable(view, part, {
    chosen: (jobs) => {
      known = jobs;
      draw();
    },
  });
  view.changed = draw;
}

export const pages = [{ pattern: ['jobs'], title: () => 'Jobs', show }];
