"use strict";
// Axes are D (to the head), H (to the front), W (to the patient's right); end up in every plane.
const PLANES = [
  { name: "axial", axis: 0, row: 1, column: 2, left: "L", right: "R" },
  { name: "coronal", axis: 1, row: 0, column: 2, left: "L", right: "R" },
  { name: "sagittal", axis: 2, row: 0, column: 1, left: "P", right: "A" },
];
const LONGEST = 364;
const SAID_NOT_SO = "#dc2828", MISSED = "#2878ff";

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function voxels(channel) {
  const picture = new Image();
  picture.src = channel.source;
  await picture.decode();
  const [depth, height, width] = channel.grid;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const values = new Uint8Array(depth * height * width);
  for (let d = 0; d < depth; d++) {
    const left = (d % channel.columns) * channel.tile[1];
    const top = Math.floor(d / channel.columns) * channel.tile[0];
    context.drawImage(picture, left, top, width, height, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data;
    for (let i = 0; i < height * width; i++) values[d * height * width + i] = pixels[4 * i];
  }
  return values;
}

// A plane of a volume, row by row from its upper end.
function plane(values, size, view, index) {
  const strides = [size[1] * size[2], size[2], 1];
  const rows = size[view.row], columns = size[view.column];
  const found = new Uint8Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    let at = index * strides[view.axis] + (rows - 1 - r) * strides[view.row];
    for (let c = 0; c < columns; c++, at += strides[view.column]) found[r * columns + c] = values[at];
  }
  return { values: found, rows, columns };
}

function drawGrey(context, channel, values, view, index, step) {
  const grid = channel.grid, steps = channel.steps;
  const at = Math.min(grid[view.axis] - 1, Math.floor(index / steps[view.axis]));
  const grey = plane(values, grid, view, at);
  const picture = new ImageData(grey.columns, grey.rows);
  grey.values.forEach((value, i) => picture.data.set([value, value, value, 255], 4 * i));
  const canvas = Object.assign(document.createElement("canvas"), { width: grey.columns, height: grey.rows });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const height = grey.rows * steps[view.row] * step.y;
  context.imageSmoothingQuality = "high";
  // Steps may reach beyond the scan, at the end of its axes: above and to the right.
  context.drawImage(canvas, 0, context.canvas.height - height, grey.columns * steps[view.column] * step.x, height);
}

// By place, not along the line: sides of voxels may be shorter than a dash.
function dashes(context, colour, side) {
  const tile = Object.assign(document.createElement("canvas"), { width: 2 * side, height: 2 * side });
  const brush = tile.getContext("2d");
  brush.fillStyle = colour;
  brush.fillRect(0, 0, side, side);
  brush.fillRect(side, side, side, side);
  return context.createPattern(tile, "repeat");
}

// The sides of voxels where a class ends, inside the class.
function drawOutlines(context, mask, colours, isOn, step, { width, isDashed }) {
  const { values, rows, columns } = mask, inset = width / 2;
  const of = (r, c) => (r < 0 || c < 0 || r >= rows || c >= columns ? -1 : values[r * columns + c]);
  const paths = new Map();
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const label = values[r * columns + c];
      if (!label || !isOn[label]) continue;
      const left = c * step.x + inset, right = (c + 1) * step.x - inset;
      const top = r * step.y + inset, bottom = (r + 1) * step.y - inset;
      if (!paths.has(label)) paths.set(label, new Path2D());
      const path = paths.get(label);
      const line = (x1, y1, x2, y2) => { path.moveTo(x1, y1); path.lineTo(x2, y2); };
      if (of(r - 1, c) !== label) line(left - inset, top, right + inset, top);
      if (of(r + 1, c) !== label) line(left - inset, bottom, right + inset, bottom);
      if (of(r, c - 1) !== label) line(left, top - inset, left, bottom + inset);
      if (of(r, c + 1) !== label) line(right, top - inset, right, bottom + inset);
    }
  }
  context.save();
  context.lineWidth = width;
  for (const [label, path] of paths) {
    context.strokeStyle = isDashed ? dashes(context, colours[label], 2 * width) : colours[label];
    context.stroke(path);
  }
  context.restore();
}

function fill(context, mask, step, alpha, colourOf) {
  context.save();
  context.globalAlpha = alpha;
  mask.values.forEach((value, i) => {
    const colour = colourOf(value, i);
    if (!colour) return;
    context.fillStyle = colour;
    const x = (i % mask.columns) * step.x, y = Math.floor(i / mask.columns) * step.y;
    context.fillRect(x, y, step.x, step.y);
  });
  context.restore();
}

function letters(context, view, ratio) {
  context.font = `${13 * ratio}px system-ui, sans-serif`;
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.shadowColor = "#000";
  context.shadowBlur = 4 * ratio;
  context.fillText(view.left, 3 * ratio, context.canvas.height / 2);
  context.textAlign = "right";
  context.fillText(view.right, context.canvas.width - 3 * ratio, context.canvas.height / 2);
  context.textAlign = "left";
  context.shadowBlur = 0;
}

async function start(section) {
  const data = JSON.parse(section.querySelector("script").textContent);
  const labels = await unpacked(data.labels);
  const truth = data.truth ? await unpacked(data.truth) : null;
  const greys = [];
  const isOn = data.colours.map(() => true);
  const at = [...data.start], layers = {};
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const longest = Math.max(...data.size.map((length, axis) => length * data.spacing[axis]));
  let channel = 0, active = 0;

  const views = PLANES.map((view, number) => {
    const box = section.querySelectorAll("figure")[number];
    const canvas = box.querySelector("canvas"), slider = box.querySelector("input");
    const wide = data.size[view.column] * data.spacing[view.column];
    const high = data.size[view.row] * data.spacing[view.row];
    const side = (length) => Math.max(24, Math.round((LONGEST * ratio * length) / longest));
    canvas.width = side(wide);
    canvas.height = side(high);
    canvas.style.width = `${canvas.width / ratio}px`;
    canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    const step = { x: canvas.width / data.size[view.column], y: canvas.height / data.size[view.row] };
    slider.max = data.size[view.axis];
    return { ...view, number, box, canvas, slider, step, text: box.querySelector("output") };
  });

  function draw(view) {
    const context = view.canvas.getContext("2d"), { step } = view, index = at[view.axis];
    context.fillStyle = "#000";
    context.fillRect(0, 0, view.canvas.width, view.canvas.height);
    drawGrey(context, data.channels[channel], greys[channel], view, index, step);
    const said = plane(labels, data.size, view, index);
    const true_ = truth && plane(truth, data.size, view, index);
    if (layers.fill) fill(context, said, step, 0.4, (value) => (value && isOn[value] ? data.colours[value] : null));
    if (layers.errors && true_) {
      fill(context, said, step, 0.6, (value, i) => {
        const is = true_.values[i];
        if (is === value || is === 255 || !(isOn[value] || isOn[is])) return null;
        return value ? SAID_NOT_SO : MISSED;
      });
    }
    if (layers.truth && true_) {
      drawOutlines(context, true_, data.colours, isOn, step, { width: 2 * ratio, isDashed: true });
    }
    if (layers.labels) drawOutlines(context, said, data.colours, isOn, step, { width: 1.5 * ratio, isDashed: false });
    letters(context, view, ratio);
    view.slider.value = index + 1;
    view.slider.setAttribute("aria-valuetext", `slice ${index + 1} of ${data.size[view.axis]}`);
    view.text.textContent = `${view.name} ${index + 1} of ${data.size[view.axis]}`;
    view.box.classList.toggle("active", view.number === active);
  }
  const drawAll = () => views.forEach(draw);
  const move = (view, index) => {
    at[view.axis] = Math.max(0, Math.min(data.size[view.axis] - 1, index));
    active = view.number;
    drawAll();
  };

  for (const view of views) {
    view.slider.addEventListener("input", () => move(view, view.slider.value - 1));
    view.slider.addEventListener("focus", () => move(view, at[view.axis]));
    view.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      move(view, at[view.axis] + (event.deltaY < 0 ? 1 : -1));
    }, { passive: false });
    view.canvas.addEventListener("click", (event) => {
      const box = view.canvas.getBoundingClientRect();
      const place = (share, axis) => Math.max(0, Math.min(data.size[axis] - 1, Math.floor(share * data.size[axis])));
      at[view.column] = place((event.clientX - box.left) / box.width, view.column);
      at[view.row] = place(1 - (event.clientY - box.top) / box.height, view.row);
      view.slider.focus({ preventScroll: true });
      move(view, at[view.axis]);
    });
  }
  section.tabIndex = 0;
  section.addEventListener("keydown", (event) => {
    if (event.target.type === "range" || event.target.tagName === "SELECT") return;
    const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!by) return;
    event.preventDefault();
    move(views[active], at[views[active].axis] + by);
  });
  for (const box of section.querySelectorAll("[data-layer]")) {
    layers[box.dataset.layer] = box.checked;
    box.addEventListener("change", () => { layers[box.dataset.layer] = box.checked; drawAll(); });
  }
  for (const box of section.querySelectorAll("[data-class]")) {
    isOn[box.dataset.class] = box.checked;
    box.addEventListener("change", () => { isOn[box.dataset.class] = box.checked; drawAll(); });
  }
  const choice = section.querySelector("select");
  if (choice) choice.addEventListener("change", async () => { await show(choice.selectedIndex); drawAll(); });
  async function show(index) {
    greys[index] = greys[index] || (await voxels(data.channels[index]));
    channel = index;
  }
  await show(choice ? choice.selectedIndex : 0);
  drawAll();
  section.classList.add("ready");
}

for (const section of document.querySelectorAll(".viewer")) {
  start(section).catch((error) => {
    section.querySelector(".trouble").textContent = `The slices cannot be shown in this browser: ${error.message}`;
  });
}
