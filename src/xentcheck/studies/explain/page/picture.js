"use strict";
const given = JSON.parse(document.getElementById("numbers").textContent);
const z = given.z.slice(), y = given.y, K = z.length;
const all = (name) => [...document.querySelectorAll(`[data-of="${name}"]`)];
const text = (x) => (Object.is(x, -0) ? "0" : String(Number(x.toPrecision(6))).replace("Infinity", "inf"));

// (78), with the largest logit taken off, which changes nothing but keeps exp from overflowing.
function softmax() {
  const largest = Math.max(...z), e = z.map((x) => Math.exp(x - largest)), total = e.reduce((s, x) => s + x, 0);
  return { a: e.map((x) => x / total), cost: Math.log(total) + largest - z[y] };
}

function paint(cell, x) {
  const light = 100 - 45 * Math.min(1, 4 * Math.abs(x));
  cell.style.background = `hsl(${x < 0 ? 210 : 25} 90% ${light}%)`;
}

function show(moved) {
  const { a, cost } = softmax(), jacobian = (i, j) => a[i] * ((j === i ? 1 : 0) - a[j]);
  all("jacobian").forEach((cell, at) => {
    const value = jacobian(Math.floor(at / K), at % K);
    paint(cell, value);
    if (moved) cell.textContent = text(value);
  });
  all("bar").forEach((bar, j) => { bar.value = a[j]; });
  if (!moved) return;
  all("z").forEach((cell, j) => { cell.textContent = text(z[j]); });
  all("a").forEach((cell, j) => { cell.textContent = text(a[j]); });
  all("gradient").forEach((cell, j) => { cell.textContent = text(a[j] - (j === y ? 1 : 0)); });
  document.getElementById("cost").textContent = text(cost);
  document.getElementById("factor").textContent = text(-1 / a[y]);
}

const which = document.getElementById("which"), slider = document.getElementById("slider");
const said = document.getElementById("said");
function choose() {
  const x = z[which.value];
  slider.min = Math.min(-10, Math.floor(x) - 10);
  slider.max = Math.max(10, Math.ceil(x) + 10);
  slider.value = x;
  said.textContent = text(x);
}
which.addEventListener("change", choose);
slider.addEventListener("input", () => {
  z[which.value] = Number(slider.value);
  said.textContent = text(z[which.value]);
  show(true);
});
choose();
show(false);
