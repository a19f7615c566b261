'use strict';

const at = id => document.getElementById(id);
const rows = new Map();   // of flows, by number
const chosen = new Set(); // numbers of flows to save
let shown = null;         // the update on the page
let paused = false;
let order = {by: 'last', down: true};

// ---- numbers

const units = ['', 'k', 'M', 'G', 'T'];
function scaled(value) {
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; ++unit) value /= 1000;
  return (unit === 0 ? String(Math.round(value)) : value.toPrecision(3)) + ' ' + units[unit];
}
const count = value => value.toLocaleString('en');
const bytes = value => scaled(value) + 'B';
const bits = value => scaled(value) + 'bit/s';
const place = end => {
  if (!end.port) return end.address;
  return end.address.includes(':') ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`;
};

// ---- the page's parts

function put(node, text, value) {
  if (node.textContent !== text) node.textContent = text;
  if (value !== undefined) node.dataset.value = value;
}

function showTotals(now) {
  const last = now.seconds.at(-2) ?? now.seconds.at(-1) ?? [0, 0, 0, 0, 0]; // the last one is not over
  put(at('interface'), now.interface);
  put(at('rate'), scaled(last[2] * 8));
  put(at('packet-rate'), scaled(last[1]));
  put(at('event-rate'), scaled(last[4]));
  put(at('active'), count(now.active), now.active);
  put(at('drops'), count(now.drops), now.drops);
  at('drops').className = now.drops ? 'lost' : '';
  put(at('packets'), count(now.packets), now.packets);
  put(at('bytes'), bytes(now.bytes), now.bytes);
}

const width = 600, height = 150, span = 120;
function showChart(now) {
  const end = now.seconds.length ? now.seconds.at(-1)[0] : 0;
  const left = time => width * (1 - (end - time) / span);
  const peak = Math.max(1, ...now.seconds.map(s => s[2] * 8));
  const most = Math.max(1, ...now.seconds.map(s => s[3]));
  const top = value => height - (height - 6) * value / peak;
  const by = new Map(now.seconds.map(s => [s[0], s]));
  const whole = []; // a second without packets is one, too
  for (let t = end - span; t < end; ++t) whole.push([t, by.get(t)?.[2] ?? 0]);
  const line = whole.map(([t, b], i) => `${i ? 'L' : 'M'}${left(t).toFixed(1)} ${top(b * 8).toFixed(1)}`).join('');
  at('line').setAttribute('d', line);
  at('area').setAttribute('d', line ? `${line}V${height}H0Z` : '');
  at('losses').replaceChildren(...now.seconds.filter(s => s[3]).map(s => {
    const bar = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    const size = Math.max(4, height / 2 * s[3] / most);
    for (const [name, value] of Object.entries({x: left(s[0]) - 2, y: height - size, width: 4, height: size}))
      bar.setAttribute(name, value);
    return bar;
  }));
  put(at('peak'), bits(peak));
}

function showTalkers(now) {
  const list = at('talkers');
  while (list.children.length > now.talkers.length) list.lastChild.remove();
  while (list.children.length < now.talkers.length) {
    const item = document.createElement('li');
    for (const name of ['who', 'much', 'bar']) item.append(Object.assign(document.createElement('span'), {className: name}));
    list.append(item);
  }
  now.talkers.forEach((talker, i) => {
    const [who, much, bar] = list.children[i].children;
    list.children[i].dataset.address = talker.address;
    put(who, talker.name ? `${talker.name}  ${talker.address}` : talker.address);
    const total = talker.sent + talker.received;
    put(much, `↑ ${bytes(talker.sent)}  ↓ ${bytes(talker.received)}  ${count(talker.flows)} flows`, total);
    bar.style.width = `${100 * total / (now.talkers[0].sent + now.talkers[0].received || 1)}%`;
  });
}

// ---- flows

const columns = ['choose', 'protocol', 'from', 'to', 'server', 'state', 'history', 'packets', 'up', 'down', 'last'];
const labels = {packets: 'packets', up: 'sent', down: 'received'};
const key = {
  protocol: f => f.protocol, from: f => f.from.name || f.from.address, to: f => f.to.name || f.to.address,
  server: f => f.server, state: f => f.state, history: f => f.history,
  packets: f => f.up.packets + f.down.packets, up: f => f.up.bytes, down: f => f.down.bytes, last: f => f.last,
};

function makeRow(flow) {
  const row = document.createElement('tr');
  row.dataset.id = flow.id;
  for (const name of columns) {
    const cell = row.insertCell();
    cell.className = labels[name] || name === 'last' ? `${name} number` : name;
    if (labels[name]) cell.dataset.label = labels[name];
  }
  const box = Object.assign(document.createElement('input'), {type: 'checkbox'});
  box.setAttribute('aria-label', 'Select this flow');
  box.addEventListener('change', () => choose([flow.id], box.checked));
  row.cells[0].append(box);
  for (const end of [row.cells[2], row.cells[3]])
    end.append(document.createElement('span'), Object.assign(document.createElement('span'), {className: 'name'}));
  return row;
}

function fillRow(row, flow, latest) {
  const [, protocol, from, to, server, state, history, packets, up, down, last] = row.cells;
  put(protocol, flow.protocol);
  for (const [cell, end] of [[from, flow.from], [to, flow.to]]) {
    put(cell.firstChild, place(end));
    put(cell.lastChild, end.name);
  }
  put(server, flow.server);
  const told = flow.kind === 'ended' ? `ended (${flow.reason})` : flow.kind;
  put(state, flow.protocol === 'tcp' ? `${flow.state} ${told}` : told);
  put(history, flow.history);
  put(packets, count(key.packets(flow)), key.packets(flow));
  put(up, bytes(flow.up.bytes), flow.up.bytes);
  put(down, bytes(flow.down.bytes), flow.down.bytes);
  put(last, `${Math.max(0, Math.round(latest - flow.last))} s ago`);
  row.classList.toggle('ended', flow.kind === 'ended');
}

function showFlows(now) {
  const flows = [...now.flows].sort((a, b) => {
    const [x, y] = [key[order.by](a), key[order.by](b)];
    return (x < y ? -1 : x > y ? 1 : a.id - b.id) * (order.down ? -1 : 1);
  });
  const latest = Date.now() / 1000;
  const present = new Set();
  const body = at('flows');
  flows.forEach((flow, i) => {
    present.add(flow.id);
    if (!rows.has(flow.id)) rows.set(flow.id, makeRow(flow));
    const row = rows.get(flow.id);
    fillRow(row, flow, latest);
    if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
  });
  for (const [id, row] of rows)
    if (!present.has(id)) {
      row.remove();
      rows.delete(id);
      chosen.delete(id);
    }
  put(at('flow-count'), `${count(now.active)} active, ${count(now.ended)} ended; ${flows.length} shown`);
  showChoice();
}

function choose(ids, yes) {
  for (const id of ids) yes ? chosen.add(id) : chosen.delete(id);
  showChoice();
}

function showChoice() {
  for (const [id, row] of rows) {
    row.classList.toggle('chosen', chosen.has(id));
    row.cells[0].firstChild.checked = chosen.has(id);
  }
  at('all').checked = chosen.size !== 0 && chosen.size === rows.size;
  const save = at('save');
  save.setAttribute('aria-disabled', chosen.size === 0);
  put(save, chosen.size ? `Save ${chosen.size} as pcap` : 'Save selected as pcap');
  const query = new URLSearchParams(location.search);
  if (chosen.size) save.href = `flows.pcap?${query.size ? query + '&' : ''}flows=${[...chosen].join(',')}`;
  else save.removeAttribute('href');
}

// ---- what comes and what is asked

function show(now) {
  if (!shown || shown.filter !== now.filter && document.activeElement !== at('expression'))
    at('expression').value = now.filter;
  shown = now;
  showTotals(now);
  showChart(now);
  showTalkers(now);
  showFlows(now);
}

function answer(to) {
  at('wrong').textContent = to.error;
  at('wrong').hidden = !to.error;
  at('expression').setAttribute('aria-invalid', Boolean(to.error));
}

let socket;
function connect() {
  socket = new WebSocket(`ws://${location.host}/updates${location.search}`);
  const say = (text, live) => {
    put(at('link'), text);
    at('link').classList.toggle('live', live);
  };
  socket.onopen = () => say('live', true);
  socket.onclose = () => {
    say('not connected', false);
    setTimeout(connect, 1000);
  };
  socket.onmessage = message => {
    const what = JSON.parse(message.data);
    if ('error' in what) answer(what);
    else if (!paused) show(what);
  };
}

at('filter').addEventListener('submit', event => {
  event.preventDefault();
  socket.send(at('expression').value);
});
at('pause').addEventListener('click', () => {
  paused = !paused;
  at('pause').setAttribute('aria-pressed', paused);
  put(at('pause'), paused ? 'Go on' : 'Pause');
});
at('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});
at('all').addEventListener('change', event => choose([...rows.keys()], event.target.checked));
at('none').addEventListener('click', () => choose([...rows.keys()], false));
for (const head of document.querySelectorAll('th[data-sort]'))
  head.addEventListener('click', () => {
    const by = head.dataset.sort;
    order = {by, down: order.by === by ? !order.down : true};
    for (const other of document.querySelectorAll('th[aria-sort]')) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', order.down ? 'descending' : 'ascending');
    if (shown) showFlows(shown);
  });
at('chart').addEventListener('pointermove', event => {
  if (!shown?.seconds.length) return;
  const box = at('chart').getBoundingClientRect();
  const part = (event.clientX - box.left) / box.width;
  const time = Math.round(shown.seconds.at(-1)[0] - span * (1 - part));
  const found = shown.seconds.find(s => s[0] === time) ?? [time, 0, 0, 0, 0];
  at('cursor').setAttribute('x1', part * width);
  at('cursor').setAttribute('x2', part * width);
  at('cursor').removeAttribute('hidden');
  put(at('readout'), `${new Date(time * 1000).toLocaleTimeString()}: ${bits(found[2] * 8)}, ${count(found[1])} packets, ${count(found[3])} dropped`);
});
at('chart').addEventListener('pointerleave', () => {
  at('cursor').setAttribute('hidden', '');
  put(at('readout'), '');
});

connect();
