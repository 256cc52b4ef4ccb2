/* Asks the server what it has seen lately, keeps the past, and shows both. */
const byId = (id) => document.getElementById(id);
const store = { run: null, last: 0, times: [], series: {} };
const charts = {
  latency: new Chart("latency", "Latency", seconds, { log: true }),
  hits: new Chart("hits", "Hit ratio by cache", percent, { top: 1 }),
  memory: new Chart("memory", "Memory", bytes, { base: 2 }),
  workers: new Chart("workers", "Tasks of the workers", count, { whole: true }),
  alerts: new Chart("alerts", "Alerts that fire", count, { whole: true, stairs: true }),
  arms: new Chart("arms", "The arm that rules each cache", (value) => Chart.arms[value] ?? "", { whole: true, stairs: true }),
};
Chart.arms = [];
let token = null, paused = false, live = null, timer = 0, seen = null;

function readToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("perfcore-token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("perfcore-token");
}

function say(text) { byId("news").textContent = text; }

function setState(state, text) {
  const place = byId("state");
  if (place.dataset.state !== state && place.dataset.state !== "waiting") say(text);
  place.dataset.state = state;
  if (byId("state-text").textContent !== text) byId("state-text").textContent = text;
}

function askForToken() {
  sessionStorage.removeItem("perfcore-token");
  byId("content").hidden = true;
  byId("door").hidden = false;
  setState("waiting", token ? "That is not the token" : "A token is required");
  if (token) say("That is not the token");
  token = null;
  byId("token").value = "";
  byId("token").focus();
}

/* Columns that are new begin with gaps. */
function keep(fresh) {
  if (store.run !== fresh.run) Object.assign(store, { run: fresh.run, last: 0, times: [], series: {} });
  const { numbers, times, series } = fresh.history;
  for (const name of Object.keys(series)) store.series[name] ??= store.times.map(() => null);
  times.forEach((time, at) => {
    if (numbers[at] <= store.last) return;
    store.times.push(time);
    for (const [name, values] of Object.entries(store.series)) values.push(series[name]?.[at] ?? null);
  });
  store.last = numbers.at(-1) ?? store.last;
  const past = store.times.filter((time) => time < store.times.at(-1) - 960).length;
  for (const values of [store.times, ...Object.values(store.series)]) values.splice(0, past);
}

function named(prefix, suffix = "") {
  return Object.keys(store.series)
    .filter((name) => name.startsWith(prefix) && name.endsWith(suffix))
    .map((name) => [name.slice(prefix.length, name.length - suffix.length), store.series[name]]);
}

function latencyLines() {
  const names = named("latency.", ".p95");
  if (names.length !== 1) return names.map(([name, values]) => ({ name: `${name} p95`, values }));
  const [[only]] = names;
  return ["p50", "p95", "p99"].map((q) => ({ name: `${only} ${q}`, values: store.series[`latency.${only}.${q}`] }));
}

function armLines() {
  const lines = named("policy.");
  Chart.arms = [...new Set([...Chart.arms, ...lines.flatMap(([, values]) => values)])].filter((arm) => arm !== null);
  return lines.map(([name, values]) => ({ name, values: values.map((arm) => (arm === null ? null : Chart.arms.indexOf(arm))) }));
}

function drawAll() {
  const range = +byId("range").value, to = store.times.at(-1) ?? Date.now() / 1000;
  const begin = store.times.findIndex((time) => time >= to - range);
  const cut = (values) => values.slice(Math.max(0, begin));
  const times = cut(store.times);
  const from = Math.max(to - range, Math.min(times[0] ?? to, to - 60));
  const draw = (chart, lines) => chart.draw(times, lines.map((line) => ({ ...line, values: cut(line.values) })), from, to, 2.5 * live.interval);
  const lines = (wanted) => Object.entries(wanted).filter(([key]) => store.series[key]).map(([key, name]) => ({ name, values: store.series[key] }));
  draw(charts.latency, latencyLines());
  draw(charts.hits, named("hit_ratio.").map(([name, values]) => ({ name, values })));
  draw(charts.memory, lines({ "memory.process": "process", "memory.caches": "memory tier" }));
  draw(charts.workers, lines({ "workers.active": "busy", "workers.queued": "queued" }));
  draw(charts.alerts, lines({ "alerts.firing": "firing" }));
  const arms = armLines();
  charts.arms.top = Math.max(1, Chart.arms.length - 1);
  draw(charts.arms, arms);
}

function showNow() {
  const memory = live.memory || {}, calls = live.latency?.[0], front = live.caches?.[0];
  const tiles = [
    ["Memory of the process", or(memory.process, bytes), memory.limit ? `of ${bytes(memory.limit)}` : ""],
    [front ? `Hit ratio, ${front.name}` : "Hit ratio", or(front?.hit_ratio, percent), ""],
    [calls ? `${calls.name}, p95` : "Latency, p95", or(calls?.p95, seconds), calls?.rate ? `${count(calls.rate)}/s` : ""],
    ["Workers busy", or(live.workers?.active, count), live.workers ? `${count(live.workers.queued)} queued` : ""],
    ["Alerts that fire", String((live.firing || []).length), ""],
  ];
  fill("now", ...tiles.map(([name, value, more]) => element("div", {}, element("dt", {}, name),
    element("dd", {}, value, " ", element("small", {}, more)))));
}

function announce(before) {
  const rules = (one) => new Set((one?.firing || []).map((alert) => alert.rule));
  const was = rules(before), is = rules(live);
  const begun = [...is].filter((rule) => !was.has(rule)), ended = [...was].filter((rule) => !is.has(rule));
  if (before && (begun.length || ended.length)) {
    say([...begun.map((rule) => `Alert ${rule} fires`), ...ended.map((rule) => `Alert ${rule} has ended`)].join(". "));
  }
}

function show(fresh) {
  const before = live;
  live = fresh;
  keep(fresh);
  byId("process").textContent = `process ${fresh.process.pid}, Python ${fresh.process.python}, perfcore ${fresh.process.perfcore}`;
  const problems = fresh.health.problems;
  byId("trouble").hidden = fresh.health.ok;
  fill("problems", ...problems.map((text) => element("li", {}, text)));
  setState(fresh.health.ok ? "live" : "failing", fresh.health.ok ? "Live: all parts serve" : `Live: ${problems.length} failing`);
  announce(before);
  showNow();
  drawAll();
  for (const part of [showAlerts, showPolicies, showCaches, showPools, showCalls, showParts]) part(fresh);
}

async function refresh() {
  clearTimeout(timer);
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const since = store.run ? `?since=${store.last}` : "";
    const answer = await fetch(`live.json${since}`, { headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.status === 401) return askForToken();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    let fresh = await answer.json();
    if (store.run && fresh.run !== store.run) {  // another process has taken its place: its past from the beginning
      fresh = await (await fetch("live.json", { headers, cache: "no-store" })).json();
    }
    seen = Date.now() / 1000;
    if (!paused) show(fresh);
  } catch (error) {
    setState("lost", seen ? `No answer since ${clock(seen)}` : "No answer");
  }
  if (!paused) timer = setTimeout(refresh, Math.max(250, 1000 * (live?.interval ?? 2)));
}

function begin() {
  byId("charts").append(...Object.values(charts).map((chart) => chart.figure));
  byId("range").addEventListener("change", () => live && drawAll());
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    if (paused) setState("waiting", "Paused");
    else refresh();
  });
  byId("door").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    sessionStorage.setItem("perfcore-token", token);
    byId("door").hidden = true;
    byId("content").hidden = false;
    refresh();
  });
  addEventListener("hashchange", () => { readToken(); refresh(); });
  readToken();
  refresh();
}

begin();
