# SPDX-License-Identifier: GPL-2.0
"""A page that replays a recording: one file, no network, any browser."""

import json
from html import escape

import kheap_map

KEYS = ("held_bytes", "allocated_bytes", "large_bytes", "nr_arenas",
        "nr_holes")


def changes(frames):
    """Return the frames as what changed: arenas set, and numbers gone."""
    out = []
    before = {}
    for at, stats, _, arenas in frames:
        now = {a["arena"]: [a["node"], a["span"], a["map"],
                            run_lengths(a["sizes"])] for a in arenas}
        out.append({
            "at": at,
            "stats": {key: stats[key] for key in KEYS},
            "set": {nr: row for nr, row in now.items()
                    if before.get(nr) != row},
            "gone": [nr for nr in before if nr not in now]})
        before = now
    return out


def run_lengths(sizes):
    """Return [count, size, count, size, ...]."""
    runs = []
    for size in sizes:
        if runs and runs[-1] == size:
            runs[-2] += 1
        else:
            runs += [1, size]
    return runs


def colours(frames):
    """Return the colour of each block size that occurs."""
    sizes = {size for frame in frames for arena in frame[3]
             for size in arena["sizes"]} | {0}
    return {size: kheap_map.colour(size) for size in sorted(sizes)}


def page(name, frames, series):
    """Return the page of one heap of a recording."""
    data = {"name": name, "unit": series.unit, "frames": changes(frames),
            "colours": colours(frames),
            "scale": [[8 << i, colour] for i, colour in
                      enumerate(kheap_map.ANCHORS)]}
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return (PAGE.replace("@TITLE@", escape(f"kheap: {name}"))
            .replace("@DATA@", text))


PAGE = r"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>@TITLE@</title>
<style>
body { font: 14px sans-serif; margin: 16px; color: #222; max-width: 1100px }
h1 { font-size: 18px; margin: 0 0 8px }
#bar { display: flex; gap: 10px; align-items: center; margin-bottom: 6px }
#at { flex: 1 }
#say { font-variant-numeric: tabular-nums; margin: 6px 0 }
canvas { display: block }
.key { font-size: 12px; color: #555; margin: 4px 0 10px }
.key b { display: inline-block; width: 12px; height: 12px;
  margin: 0 3px 0 10px; vertical-align: -2px }
</style></head><body>
<h1>@TITLE@</h1>
<div id="bar"><button id="play">Play</button>
<input id="at" type="range" min="0" value="0" aria-label="moment">
<label>frames a second <select id="speed"><option>2<option selected>10
<option>30</select></label></div>
<div id="say"></div>
<canvas id="plot"></canvas>
<div class="key"><b style="background:#2f6f9f"></b>held
<b style="background:#d9a441"></b>live; click to go there</div>
<canvas id="map"></canvas>
<div class="key" id="key"></div>
<script>
"use strict";
const data = @DATA@;
const frames = data.frames, $ = id => document.getElementById(id);
let shown = -1, arenas = new Map(), timer = 0;

function unpack(row) {
  const sizes = [];
  for (let i = 0; i < row[3].length; i += 2)
    for (let n = 0; n < row[3][i]; n++) sizes.push(row[3][i + 1]);
  return {node: row[0], span: row[1], map: row[2], sizes: sizes};
}

function step(frame) {
  for (const nr of frame.gone) arenas.delete(nr);
  for (const nr in frame.set) arenas.set(Number(nr), unpack(frame.set[nr]));
}

// Frames hold what changed: going back starts again from the first.
function seek(nr) {
  if (nr < shown) { arenas = new Map(); shown = -1; }
  while (shown < nr) step(frames[++shown]);
  $("at").value = nr;
  draw();
}

function fill(c) {
  return c === "#" || c === "!" ? 1 : c >= "1" && c <= "9" ? c / 10 + .05 : 0;
}

function context(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio; canvas.height = height * ratio;
  canvas.style.width = width + "px"; canvas.style.height = height + "px";
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  return ctx;
}

function most(get) { return frames.reduce((m, f) => Math.max(m, get(f)), 1); }
const mostHeld = most(f => f.stats.held_bytes);
const mostRows = most(f => f.stats.nr_arenas);
const columns = mostRows <= 40 ? 1 : mostRows <= 160 ? 2 : 4;
const cellW = [0, 14, 7.5, 0, 3.6][columns];
const cellH = mostRows <= 40 ? 13 : mostRows <= 160 ? 9 : 4;

function drawPool(ctx, x, y, width, c, size) {
  const colour = data.colours[size] || data.colours[0];
  if (c === "_") {
    ctx.fillStyle = "#c9c9c9"; ctx.fillRect(x, y + cellH / 2, width, 1);
  } else if (c === ".") {
    ctx.fillStyle = "#e2e2e2"; ctx.fillRect(x, y, width, cellH);
  } else {
    ctx.fillStyle = c === "!" ? "#e00000" : colour;
    ctx.globalAlpha = .25; ctx.fillRect(x, y, width, cellH);
    ctx.globalAlpha = 1;
    const level = cellH * fill(c);
    ctx.fillRect(x, y + cellH - level, width, level);
  }
}

function drawMap() {
  const list = [...arenas].sort((a, b) => a[1].span - b[1].span ||
    a[1].node - b[1].node || a[0] - b[0]);
  const perColumn = Math.ceil(mostRows / columns), gap = cellH > 6 ? 3 : 1;
  const pitch = 40 + 64 * cellW;
  const ctx = context($("map"), columns * pitch,
    perColumn * (cellH + gap) + 4);
  ctx.font = "10px monospace"; ctx.textAlign = "right";
  const every = Math.ceil(11 / (cellH + gap));
  list.forEach(([nr, arena], i) => {
    const x = Math.floor(i / perColumn) * pitch + 36;
    const y = i % perColumn * (cellH + gap);
    if (i % perColumn % every === 0) {
      ctx.fillStyle = "#777"; ctx.fillText(nr, x - 4, y + Math.min(cellH, 10));
    }
    const width = arena.span * cellW;
    for (let p = 0; p < arena.map.length; p++)
      drawPool(ctx, x + p * width, y, width - (cellW > 4 ? 1 : 0),
        arena.map[p], arena.sizes[p] || 0);
  });
}

function curve(ctx, width, height, colour, get) {
  ctx.strokeStyle = colour; ctx.lineWidth = 2; ctx.beginPath();
  frames.forEach((f, i) => {
    const x = i / Math.max(frames.length - 1, 1) * width;
    const y = height - 2 - get(f) / mostHeld * (height - 6);
    i ? ctx.lineTo(x, y) : ctx.moveTo(x, y);
  });
  ctx.stroke();
}

function live(f) { return f.stats.allocated_bytes + f.stats.large_bytes; }

function drawPlot() {
  const width = columns * (40 + 64 * cellW), height = 70;
  const ctx = context($("plot"), width, height);
  ctx.fillStyle = "#f6f6f6"; ctx.fillRect(0, 0, width, height);
  curve(ctx, width, height, "#2f6f9f", f => f.stats.held_bytes);
  curve(ctx, width, height, "#d9a441", live);
  const x = shown / Math.max(frames.length - 1, 1) * width;
  ctx.fillStyle = "#b03030"; ctx.fillRect(Math.min(x, width - 1), 0, 1, height);
}

function draw() {
  const f = frames[shown], s = f.stats, kib = n => Math.round(n / 1024) + " KiB";
  $("say").textContent = (data.unit === "ms" ? (f.at / 1000).toFixed(1) + " s" :
    "event " + f.at) + ": " + kib(s.held_bytes) + " held, " + kib(live(f)) +
    " live, " + s.nr_arenas + " arenas, " + s.nr_holes + " holes";
  drawPlot(); drawMap();
}

function play(on) {
  clearInterval(timer); timer = 0;
  $("play").textContent = on ? "Stop" : "Play";
  if (!on) return;
  if (shown >= frames.length - 1) seek(0);
  timer = setInterval(() => shown < frames.length - 1 ? seek(shown + 1) :
    play(false), 1000 / $("speed").value);
}

function key() {
  const add = (colour, text) => {
    const b = document.createElement("b");
    b.style.background = colour;
    $("key").append(b, text);
  };
  $("key").append("filled from below: blocks in use.");
  add("#e2e2e2", "empty"); add("#c9c9c9", "line: a hole");
  add("#e00000", "corrupted");
  $("key").append(" \u00a0 bytes of a block:");
  data.scale.forEach(([size, colour]) => add(colour, size));
}

$("at").max = frames.length - 1;
$("at").oninput = e => { play(false); seek(Number(e.target.value)); };
$("play").onclick = () => play(!timer);
$("speed").onchange = () => timer && play(true);
$("plot").onclick = e => { play(false); seek(Math.round((frames.length - 1) *
  e.offsetX / $("plot").clientWidth)); };
key();
const asked = Number(location.hash.slice(1));
seek(asked > 0 && asked < frames.length ? asked : 0);
</script></body></html>
"""
