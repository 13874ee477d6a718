// The console: one page without dependencies and without a build step. Each of its pages has a module; what they share is in
// kit.js. This module asks for the key and follows the address.

import * as acts from './acts.js';
import * as consumers from './consumers.js';
import * as contracts from './contracts.js';
import * as credits from './credits.js';
import * as events from './events.js';
import * as jobs from './jobs.js';
import { $, reason, say, session, startRoutes, stopRoutes } from './kit.js';
import * as letters from './letters.js';
import * as live from './live.js';
import * as operations from './operations.js';
import * as replay from './replay.js';
import * as webhooks from './webhooks.js';

const KEY_ITEM = 'millrace-api-key';
// What is shown only with a key.
const FRAME = ['connection', 'forget-key', 'nav', 'title', 'page'];

const routes = [live, consumers, letters, operations, replay, jobs, webhooks, contracts, credits, acts, events].flatMap(({ pages }) => pages);

function askForKey(why) {
  live.stopLive();
  stopRoutes();
  session.key = null;
  sessionStorage.removeItem(KEY_ITEM);
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  for (const id of FRAME) $(id).hidden = true;
  document.title = 'Millrace';
  $('key-form').hidden = false;
  say($('key-error'), why);
  $('key').focus();
}

function begin(given, options) {
  session.key = given;
  sessionStorage.setItem(KEY_ITEM, given);
  $('key').value = '';
  $('key-form').hidden = true;
  for (const id of FRAME) $(id).hidden = false;
  live.startLive();
  startRoutes(routes, options);
}

session.refused = (error) => askForKey(`The key was refused (${reason(error)}).`);

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
// The address of the page behind the link is in use.
$('skip').addEventListener('click', (event) => {
  event.preventDefault();
  $('title').focus();
});

const remembered = sessionStorage.getItem(KEY_ITEM);
if (remembered) begin(remembered, { focus: false });
else askForKey('');
