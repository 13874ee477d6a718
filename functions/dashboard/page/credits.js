// The page "Credits": whether the reserve covers the credits, where books and chain differ, and whether the jobs run that
// find that out.

import { Refused, asText, ask, call, el, facts, link, listing, panel, quietText, reading, to, when, whole } from './kit.js';
import { jobsTable } from './jobs.js';

const POLL_EVERY_MS = 30_000;
const money = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const amount = (value, unit) => (value === null || value === undefined ? '–' : `${typeof value === 'number' ? money.format(value) : asText(value)} ${unit}`);
const event = (label, cell, more) => ({ label, cell: (item) => cell(item.event.payload, item.event), ...more });

/** The latest events of one type. The columns take its payload. */
function latest(view, title, type, empty, columns) {
  const part = panel(view, title);
  listing(view, {
    into: part.section,
    note: part.note,
    label: title,
    empty,
    rows: 10,
    every: POLL_EVERY_MS,
    key: ({ event: one }) => one.event_id,
    // One page each: the list of recent events has the others.
    ask: async (_, signal) => ({ ...(await ask('events/recent', { type, limit: 10 }, signal)), next_cursor: null }),
    columns: [event('When', (_, one) => el('a', { href: to(['events', asText(one.event_id)]) }, when(one.occurred_at)), { head: true }), ...columns],
  }).run();
  const more = quietText('');
  more.append(link('All recent events of this type', to(['events'], { type })));
  part.section.append(more);
}

function show(view) {
  const treasury = panel(view, 'Treasury');
  const hold = treasury.section.appendChild(el('div'));
  reading(view, {
    into: treasury.section,
    note: treasury.note,
    every: POLL_EVERY_MS,
    ask: (signal) => call('cloud/treasury', { signal }),
    draw: (found) =>
      hold.replaceChildren(
        facts([
          ['outstanding', amount(found.outstanding, 'CLOUD')],
          ['their value', amount(found.outstanding_usd, 'USD')],
          ['reserve', amount(found.reserve_usd, 'USD')],
          ['backing', found.backing_percent === null || found.backing_percent === undefined ? 'nothing is outstanding' : `${whole.format(found.backing_percent)} %${found.backing_percent < 100 ? ': too low' : ''}`],
        ]),
      ),
    failed: (error) => {
      if (!(error instanceof Refused && error.status === 404)) return false;
      hold.textContent = 'The cloud domain is not deployed in this stack (404).';
      return true;
    },
  }).run();

  latest(view, 'Divergences of books and chain', 'cloud.sync_diverged', 'None in the feed: books and chain agreed, or the cloud domain is not deployed.', [
    event('Member', ({ member_name: name, member_id: id }) => `${asText(name)} (${asText(id)})`),
    event('Books', (found) => amount(found.database_balance, ''), { number: true }),
    event('Chain', (found) => amount(found.onchain_balance, ''), { number: true }),
    event('Difference', (found) => amount(found.difference, ''), { number: true }),
    event('In USD', (found) => amount(found.difference_usd, ''), { number: true }),
    event('Last agreed', ({ last_synced_at: at }) => when(at)),
  ]);
  latest(view, 'Alerts: the reserve is too low', 'alert.treasury_backing_low', 'None in the feed.', [
    event('Backing', ({ backing_percent: percent }) => amount(percent, '%'), { number: true }),
    event('Outstanding', (found) => amount(found.total_cloud_outstanding, ''), { number: true }),
    event('Reserve', (found) => amount(found.mercury_balance, 'USD'), { number: true }),
    event('Missing', (found) => amount(found.shortfall, 'USD'), { number: true }),
  ]);

  const jobs = panel(view, 'Jobs of the chain');
  jobsTable(view, jobs, { fits: ({ job }) => asText(job).startsWith('cloud-') });
}

export const pages = [{ pattern: ['credits'], title: () => 'Credits', show }];
