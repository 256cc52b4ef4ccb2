/* Numbers and tables for people. */
function clock(time) {
  return new Date(time * 1000).toLocaleTimeString([], { hour12: false });
}

function scaled(value, base, units) {
  let size = Math.abs(value), unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit += 1;
  }
  return `${+size.toPrecision(3)} ${units[unit]}`.trim();
}

function bytes(value) { return scaled(value, 1024, ["B", "KB", "MB", "GB", "TB"]); }
function percent(value) { return `${+(value * 100).toFixed(1)} %`; }
function count(value) { return scaled(value, 1000, ["", "k", "M", "G"]); }
function seconds(value) {
  if (value === 0) return "0 s";
  return value >= 1 ? `${+value.toPrecision(3)} s` : scaled(value * 1e9, 1000, ["ns", "µs", "ms"]);
}
function or(value, format) { return value === null || value === undefined ? "–" : format(value); }

/* A table; `rows` are lists of texts or nodes, those of columns in `numbers` stand at the right. */
function table(caption, heads, rows, numbers = []) {
  const cell = (name, value, at, more = {}) => element(name, { ...more, ...(numbers.includes(at) ? { class: "number" } : {}) }, value);
  const head = element("thead", {}, element("tr", {}, ...heads.map((text, at) => cell("th", text, at, { scope: "col" }))));
  const body = element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((value, at) =>
    at === 0 ? cell("th", value, at, { scope: "row" }) : cell("td", value, at)))));
  return element("table", {}, element("caption", {}, caption), head, body);
}

/* Fill a place, unless it says so already: a reader of the screen, or a selection, is not to lose its place. */
function fill(id, ...nodes) {
  const place = document.getElementById(id);
  if (place.textContent !== nodes.map((node) => node.textContent).join("")) place.replaceChildren(...nodes);
}

function none(text) { return element("p", { class: "quiet" }, text); }

function showAlerts(live) {
  const rows = (live.alerts || []).slice(0, 20).map((alert) => {
    const fires = (live.firing || []).some((one) => one.rule === alert.rule) && alert.state !== "resolved";
    return [alert.rule, element("span", { class: fires ? "bad" : alert.state === "resolved" ? "good" : "" }, alert.state), alert.severity, alert.message, clock(alert.time)];
  });
  fill("firing", rows.length ? table("Latest first", ["Rule", "State", "Severity", "Message", "Time"], rows) : none("None so far."));
}

function showPolicies(live) {
  const rows = (live.policies || []).map((one) => [
    one.cache, one.policy, one.arm, `${count(one.window)} + ${count(one.main)}`, String(one.switches),
    Object.entries(one.hits).map(([arm, hits]) => `${arm} ${count(hits)}`).join(", ") || "–"]);
  const heads = ["Cache", "Policy", "Arm", "Window + main", "Switches", "Shadow hits"];
  fill("policies", rows.length ? table("By cache: the arm that rules, and what the sampled shadow of each arm would have hit lately", heads, rows, [3, 4]) : none("No cache is built yet."));
  const changes = (live.decisions || []).map((one) => [clock(one.time), one.cache, one.what, one.why || "–"]);
  fill("decisions", changes.length ? table("Changes that nobody made: of policies and arms with their shadow hits, and the memory optimizer's", ["Time", "Where", "Change", "Why"], changes) : none("None so far."));
}

function showCaches(live) {
  const rows = (live.caches || []).map((one) => {
    const all = one.hits + one.misses;
    const serves = one.ok === null ? "–" : one.ok ? "serves" : one.detail || "does not serve";
    return [one.name, element("span", { class: one.ok === false ? "bad" : "" }, serves), or(one.hit_ratio, percent),
            all ? percent(one.hits / all) : "–", or(one.entries, count), or(one.bytes, bytes), or(one.evictions, count)];
  });
  const heads = ["Cache", "State", "Hit ratio now", "Since the start", "Entries", "Bytes", "Evictions"];
  fill("caches", rows.length ? table("By cache, tiers first", heads, rows, [2, 3, 4, 5, 6]) : none("No cache is built yet."));
}

function showPools(live) {
  const rows = (live.pools || []).map((one) => {
    const amount = one.unit === "bytes" ? bytes : count;
    return [one.name, one.unit, or(one.in_use, amount), or(one.idle, amount), or(one.hit_ratio, percent),
            one.acquired ? percent(one.reused / one.acquired) : "–", or(one.acquired, count), or(one.leaked, count)];
  });
  const heads = ["Pool", "Of", "Lent", "Idle", "Were there now", "Since the start", "Acquired", "Leaked"];
  fill("pools", rows.length ? table("By pool", heads, rows, [2, 3, 4, 5, 6, 7]) : none("No pool is built yet."));
}

function showCalls(live) {
  const rows = (live.latency || []).map((one) => [
    one.name, or(one.rate, count), or(one.p50, seconds), or(one.p95, seconds), or(one.p99, seconds), count(one.count)]);
  const heads = ["Calls", "A second", "p50", "p95", "p99", "All"];
  fill("calls", rows.length ? table("Since the last look", heads, rows, [1, 2, 3, 4, 5]) : none("No timer has recorded a call."));
}

function showParts(live) {
  const rows = (live.parts || []).map((one) => [
    one.name, element("span", { class: one.state === "failed" ? "bad" : "" }, one.state), one.detail || "–"]);
  fill("parts", rows.length ? table("Of the manager", ["Part", "State", "Detail"], rows) : none("No manager."));
}
