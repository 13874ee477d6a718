// The pages of contracts: the types of events with their versions; one with its schema and a sample; and a check of an event.

import { announce, asText, badge, block, call, el, explain, facts, field, filters, link, panel, plain, plural, pretty, quietText, reading, table, to, violations, whole } from './kit.js';

const SHOWN = 200;

const keptFor = ({ retention_days: days }) => (days === null || days === undefined ? 'forever' : plural(days, 'day', 'days'));

function showList(view) {
  const part = panel(view, 'Types of events');
  const form = filters(view, 'Filter contracts', [
    { name: 'q', label: 'Text', kind: 'search', placeholder: 'type, producer or consumer' },
    { name: 'priority', label: 'Priority', kind: 'select', options: [['', 'all'], 'critical', 'high', 'normal', 'low'] },
    { name: 'open', label: 'From outside', kind: 'select', options: [['', 'all'], ['yes', 'may be published']] },
  ]);
  const shown = quietText('');
  part.section.append(form.form, shown);
  const made = table({
    label: 'Contracts',
    empty: 'No contract fits.',
    key: ({ event_type: type, event_version: version }) => `${type}/${version}`,
    columns: [
      { label: 'Type', head: true, cell: ({ event_type: type, event_version: version }) => link(type, to(['contracts', type, version])) },
      { label: 'Version', cell: ({ event_version: version }) => version },
      { label: 'Priority', cell: ({ priority }) => el('span', { className: `priority ${['critical', 'high', 'normal', 'low'].includes(priority) ? priority : 'other'}`, textContent: asText(priority) }) },
      { label: 'Published by', cell: ({ producer, open }) => (open ? `${asText(producer)}; other systems may` : producer) },
      { label: 'Consumers', cell: ({ consumers }) => (consumers.length === 0 ? 'none' : consumers.map(asText).join(', ')) },
      { label: 'Kept', cell: keptFor },
    ],
  });
  part.section.append(made.element);
  let all = [];
  const draw = () => {
    const { q = '', priority, open } = form.given();
    const text = q.toLowerCase();
    const found = all.filter(
      (one) => (!text || `${one.event_type} ${one.producer} ${one.consumers.join(' ')}`.toLowerCase().includes(text)) && (!priority || one.priority === priority) && (!open || one.open),
    );
    made.draw(found.slice(0, SHOWN));
    shown.textContent = `${plural(found.length, 'contract', 'contracts')}${found.length > SHOWN ? `, the first ${SHOWN} shown: choose fewer` : ''}`;
  };
  view.changed = () => {
    form.fill();
    draw();
  };
  reading(view, {
    into: part.section,
    ask: (signal) => call('contracts', { signal }),
    draw: ({ items }) => {
      all = items;
      draw();
    },
  }).run();
}

function showOne(view) {
  const { type, version } = view.params;
  const path = `contracts/${encodeURIComponent(type)}/${encodeURIComponent(version)}`;
  const what = panel(view, 'The contract');
  const hold = what.section.appendChild(el('div'));
  const check = panel(view, 'Check an event');
  const sample = panel(view, 'A sample payload');
  const schema = panel(view, 'Schema of the payload');
  reading(view, {
    into: what.section,
    ask: (signal) => call(path, { signal }),
    draw: (contract) => {
      hold.replaceChildren(
        facts([
          ['type', contract.event_type],
          ['version', contract.event_version],
          ['aggregate', contract.aggregate],
          ['published by', contract.producer],
          ['from outside', contract.open ? 'other systems may publish it' : 'no'],
          ['priority', contract.priority],
          ['kept', keptFor(contract)],
          ['consumers', contract.consumers.length === 0 ? 'none in this deployment' : contract.consumers.join(', ')],
          ['recent events', link('of this type', to(['events'], { type: contract.event_type }))],
        ]),
      );
      sample.section.append(block('Sample payload', pretty(contract.sample)));
      schema.section.append(block('Schema', pretty(contract.schema)));
    },
  }).run();

  const text = field({ name: 'event', label: 'An event: an envelope or a CloudEvent, as JSON. Nothing is published', kind: 'textarea', rows: 10, className: 'code', required: true });
  const verdict = el('div', { role: 'status' });
  const form = el('form', {}, text.element, el('div', { className: 'buttons' }, el('button', { textContent: 'Check' })), verdict);
  check.section.append(form);
  const tell = (...nodes) => verdict.replaceChildren(...nodes);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    let body;
    try {
      body = JSON.parse(text.control.value);
    } catch (error) {
      tell(el('p', { className: 'error', textContent: `This is not JSON: ${plain(error.message)}` }));
      return;
    }
    tell(quietText('Asking…'));
    try {
      const found = await call(`${path}/validate`, { method: 'POST', body, signal: view.signal });
      if (found.valid) tell(el('p', {}, badge('valid', 'good'), ' It satisfies its contract.'));
      else tell(el('p', {}, badge(plural(found.violations.length + found.more_violations, 'violation', 'violations'), 'bad')), violations(found.violations, found.more_violations));
      announce(found.valid ? 'Valid' : `${whole.format(found.violations.length)} violations`);
    } catch (error) {
      if (!view.signal.aborted) tell(el('p', { className: 'error', textContent: explain(error) }));
    }
  });
}

export const pages = [
  { pattern: ['contracts'], title: () => 'Contracts', show: showList },
  { pattern: ['contracts', ':type', ':version'], title: ({ type, version }) => `${plain(type)} ${plain(version)}`, show: showOne },
];
