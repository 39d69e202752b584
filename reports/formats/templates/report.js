"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Sort: each head of a table is a button; numbers by size, the largest first, all else as text; "-" stays last.
function value(row, column) {
  const cell = row.cells[column], shown = (cell.querySelector("a, span") || cell).firstChild;
  const text = shown ? shown.textContent.trim() : "";
  const number = text.replace(/[^\d.e+\-a-z]/gi, " ").trim().split(" ")[0];
  const beyond = /^(inf|nan)/.test(number) || /^✗ [a-z]/.test(text);  // a crash is beyond any share
  return { text, number: beyond ? Infinity : number === "" ? NaN : Number(number), none: /^-?$/.test(text) };
}

function sort(table, column, heads) {
  const head = heads[column], rows = all("tbody > tr", table);
  const values = new Map(rows.map((row) => [row, value(row, column)]));
  const known = [...values.values()].filter((v) => !v.none);
  const numbers = known.length > 0 && known.some((v) => !Number.isNaN(v.number));
  const first = numbers ? "descending" : "ascending", second = numbers ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? second : first, sign = order === "ascending" ? 1 : -1;
  const rank = (v) => (Number.isNaN(v.number) ? -1 : v.number);
  rows.sort((a, b) => {
    const x = values.get(a), y = values.get(b);
    if (x.none || y.none) return x.none - y.none;
    if (!numbers) return sign * x.text.localeCompare(y.text);
    return rank(x) === rank(y) ? 0 : sign * (rank(x) < rank(y) ? -1 : 1);
  });
  heads.forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
  table.tBodies[0].append(...rows);
}

all("table").forEach((table) => {
  const heads = all("thead th", table);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, column, heads));
    head.append(button);
    head.setAttribute("aria-sort", "none");
  });
});

// Filter: by words that a row or card has, and by an outcome in it.
const words = document.getElementById("words"), outcome = document.getElementById("outcome");
const found = document.getElementById("found"), marked = all("[data-outcomes]");
function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  marked.forEach((element) => {
    const text = element.textContent.toLowerCase(), has = element.dataset.outcomes.split(" ");
    element.hidden = !(wanted.every((word) => text.includes(word)) && (!outcome.value || has.includes(outcome.value)));
  });
  const count = (kind) => `${all(`${kind}[data-outcomes]:not([hidden])`).length} of ${all(`${kind}[data-outcomes]`).length}`;
  found.textContent = wanted.length || outcome.value ? `${count("tr")} rows, ${count("article")} cases` : "";
}
if (words) {
  words.addEventListener("input", filter);
  outcome.addEventListener("change", filter);
  words.form.addEventListener("submit", (event) => event.preventDefault());
  words.form.addEventListener("reset", () => setTimeout(filter));
}

// Links: what an address names is opened, found again if it was filtered out, and has the focus.
function show() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  if (target.hidden) {
    words.value = outcome.value = "";
    filter();
  }
  for (let e = target; e; e = e.parentElement) if (e.localName === "details") e.open = true;
  target.scrollIntoView();
  target.focus();
}
addEventListener("hashchange", show);
show();

// Print: what is folded is printed too.
const folded = [];
addEventListener("beforeprint", () => {
  folded.push(...all("details:not([open])"));
  folded.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => folded.splice(0).forEach((details) => { details.open = false; }));
