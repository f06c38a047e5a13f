"use strict";

/** Colours of the page as it is read now: light, dark or on paper. */
function palette() {
  const style = getComputedStyle(document.documentElement), get = name => style.getPropertyValue(name).trim();
  const triple = name => get(name).split(",").map(Number);
  const hex = /^#(.)(.)(.)$/.exec(get("--ground"))?.slice(1).map(digit => digit + digit) ?? get("--ground").slice(1).match(/../g);
  return {up: triple("--up"), down: triple("--down"), ground: hex.map(pair => parseInt(pair, 16)),
    ink: get("--ink"), quiet: get("--quiet"), line: get("--line"), faint: get("--faint"), link: get("--link")};
}

/** Mix the colour of an effect with the ground by its share of the limit: that, and the ink that can be read on it. */
function shade(value, limit, colours) {
  const strength = Math.min(1, Math.abs(value) / limit), hue = value > 0 ? colours.up : colours.down;
  const mixed = colours.ground.map((ground, k) => Math.round(ground + (hue[k] - ground) * strength));
  const light = .299 * mixed[0] + .587 * mixed[1] + .114 * mixed[2];
  return {ground: `rgb(${mixed.join(", ")})`, ink: light < 140 ? "#fff" : "#1d2129"};
}

/** Prepare a canvas for sharp drawing: its context, width and height. */
function prepare(canvas) {
  const {clientWidth: width, clientHeight: height} = canvas, ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return [context, width, height];
}

/** Give round positions between two, at most so many. */
function ticks(from, to, most) {
  const step = [1, 2, 5].flatMap(digit => Array.from({length: 9}, (_, power) => digit * 10 ** power))
    .sort((a, b) => a - b).find(step => (to - from) / step <= most);
  return Array.from({length: Math.floor(to / step) - Math.ceil(from / step) + 1}, (_, k) => (Math.ceil(from / step) + k) * step);
}

/** Put intervals [start, end, name] into as few rows as keep them apart. */
function stack(items) {
  const rows = [];
  for (const item of [...items].sort((a, b) => a[0] - b[0])) {
    const row = rows.find(row => row[row.length - 1][1] <= item[0]);
    row ? row.push(item) : rows.push([item]);
  }
  return rows;
}

/** Find codons [start, end], where letters in upper case begin them: where the text has both cases, and most stand three apart. */
function codons(cells) {
  const letters = cells.filter(cell => cell.text.length === 1 && /[a-z]/i.test(cell.text));
  const starts = letters.filter(cell => /[A-Z]/.test(cell.text)).map(cell => cell.start);
  const apart = starts.slice(1).filter((start, k) => start - starts[k] === 3).length;
  if (starts.length < 2 || starts.length === letters.length || apart < (starts.length - 1) / 2) return [];
  return starts.map(start => [start, start + 3]);
}

const LEFT = 62, RIGHT = 14, LANE = 13;

/** Effects along a sequence, whole below and a part above. Mouse: drag to zoom, in the whole to move the part, double-click for
    all. Keyboard: arrows go from token to token, with shift they select, Enter zooms there. */
class Track {
  constructor(detail, whole, pick, tell) {
    Object.assign(this, {detail, whole, pick, tell, data: null});
    detail.onkeydown = event => this.key(event);
    this.drag(detail, () => [this.from, this.to]);
    this.drag(whole, () => [this.first, this.last]);
    detail.ondblclick = whole.ondblclick = () => this.zoom(this.first, this.last);
    detail.onpointerleave = () => { if (!this.brush) { this.cursor = null; this.draw(); this.tell(null); } };
  }

  /** Show data: the id of a sequence; cells {start, end, text, value, sd} from left to right, value null where there is none;
      elements [start, end, name]; limit, unit and ends. What was zoomed in on stays where the sequence is the same. */
  show(data) {
    const same = this.data?.id === data.id;
    this.data = data;
    this.lanes = stack(data.elements);
    this.frame = codons(data.cells);
    this.first = data.cells[0].start;
    this.last = data.cells[data.cells.length - 1].end;
    this.cursor = this.brush = null;
    // Bars, letters, the lanes of elements, that of codons, and the axis.
    this.detail.style.height = `${150 + LANE * (this.lanes.length + (this.frame.length ? 1 : 0)) + 60}px`;
    same ? this.zoom(this.from, this.to) : this.zoom(this.first, this.last);
  }

  zoom(from, to) {
    const least = Math.min(10, this.last - this.first), span = Math.max(least, to - from);
    const middle = (from + to) / 2;
    this.from = Math.max(this.first, Math.min(this.last - span, middle - span / 2));
    this.to = Math.min(this.last, this.from + span);
    this.draw();
  }

  /** Find the number of the cell at a position, or that of the next one. */
  at(position) {
    let low = 0, high = this.data.cells.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      this.data.cells[middle].end > position ? high = middle : low = middle + 1;
    }
    return low;
  }

  point(number) {
    this.cursor = Math.max(0, Math.min(this.data.cells.length - 1, number));
    this.tell(this.cursor);
    this.draw();
  }

  drag(canvas, range) {
    const place = event => {
      const [from, to] = range(), share = (event.offsetX - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
      return from + Math.max(0, Math.min(1, share)) * (to - from);
    };
    let begun = null;
    canvas.onpointerdown = event => {
      const inside = canvas === this.whole && this.to - this.from < this.last - this.first
        && place(event) > this.from && place(event) < this.to;
      begun = {x: event.offsetX, at: place(event), move: inside ? [this.from, this.to] : null};
      canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = event => {
      if (begun?.move) return this.zoom(...begun.move.map(end => end + place(event) - begun.at));
      if (begun && Math.abs(event.offsetX - begun.x) > 3) this.brush = [begun.at, place(event)];
      this.point(this.at(place(event)));
    };
    canvas.onpointerup = event => {
      const [brush, moved] = [this.brush, begun?.move];
      begun = this.brush = null;
      if (brush) this.zoom(Math.min(...brush), Math.max(...brush));
      else if (!moved) { this.point(this.at(place(event))); this.pick(this.cursor); }
    };
    canvas.onpointercancel = () => { begun = this.brush = null; this.draw(); };
  }

  key(event) {
    const {cells} = this.data, span = this.to - this.from;
    const before = this.cursor ?? this.at(this.from), middle = this.cursor === null ? (this.from + this.to) / 2 : cells[before].start;
    const to = {ArrowLeft: before - 1, ArrowRight: this.cursor === null ? before : before + 1, Home: 0, End: cells.length - 1,
      PageUp: this.at(cells[before].start - span / 2), PageDown: this.at(cells[before].start + span / 2)}[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) {
      this.point(to);
      const cell = cells[this.cursor];
      this.brush = event.shiftKey ? [this.brush?.[0] ?? cells[before].start, cell.end] : null;
      cell.start < this.from || cell.end > this.to ? this.zoom(cell.start - span / 2, cell.start + span / 2) : this.draw();
    } else if (event.key === "Enter" && this.brush) {
      const brush = this.brush;
      this.brush = null;
      this.zoom(Math.min(...brush), Math.max(...brush));
    } else if (event.key === "Enter" && this.cursor !== null) this.pick(this.cursor);
    else if (["+", "="].includes(event.key)) this.zoom(middle - span / 4, middle + span / 4);
    else if (event.key === "-") this.zoom(middle - span, middle + span);
    else if (["Escape", "0"].includes(event.key)) { this.brush = null; this.zoom(this.first, this.last); }
    else return;
    event.preventDefault();
  }

  draw() {
    if (!this.data || !this.detail.clientWidth) return;
    this.colours = palette();
    this.drawDetail();
    this.drawWhole();
  }

  /** Draw bars from a line of zero upward and downward; cut ones have a cap. */
  bars(context, [from, to], across, top, height, spread) {
    const {cells, limit} = this.data, middle = top + height / 2;
    for (let number = this.at(from); number < cells.length && cells[number].start < to; number++) {
      const {start, end, value, sd} = cells[number];
      if (value === null) continue;
      const left = across(start), wide = across(end) - left, size = Math.min(1, Math.abs(value) / limit) * height / 2;
      context.fillStyle = `rgb(${value > 0 ? this.colours.up : this.colours.down})`;
      context.fillRect(left, value > 0 ? middle - size : middle, Math.max(.7, wide - (wide > 4 ? 1 : 0)), size);
      if (!spread) continue;
      if (Math.abs(value) > limit) {
        context.fillStyle = this.colours.ink;
        context.fillRect(left, value > 0 ? top - 2 : top + height, Math.max(1, wide - 1), 2);
      }
      if (sd) {
        const [low, high] = [value - sd, value + sd].map(end => middle - Math.max(-1, Math.min(1, end / limit)) * height / 2);
        context.globalAlpha = .35;
        context.fillStyle = this.colours.ink;
        context.fillRect(left, high, Math.max(.7, wide - (wide > 4 ? 1 : 0)), low - high);
        context.globalAlpha = 1;
      }
    }
    context.fillStyle = this.colours.quiet;
    context.fillRect(LEFT, middle - .5, across(to) - LEFT, 1);
  }

  drawDetail() {
    const [context, width, height] = prepare(this.detail), {data, colours, from, to} = this, top = 8, tall = 140;
    const across = position => LEFT + (position - from) / (to - from) * (width - LEFT - RIGHT);
    context.font = "11px Helvetica, Arial, sans-serif";
    context.fillStyle = colours.quiet;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const share of [-1, -.5, 0, .5, 1]) {
      const up = top + tall / 2 * (1 - share);
      context.fillText(share ? signed(share * data.limit) : "0", LEFT - 8, up);
      context.fillRect(LEFT - 5, up - .5, 5, 1);
    }
    context.save();
    context.translate(9, top + tall / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(data.unit ? `effect (${data.unit})` : "effect", 0, 0);
    context.restore();
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT - RIGHT, height);
    context.clip();
    this.bars(context, [from, to], across, top, tall, true);
    let below = top + tall + 8;
    this.drawLetters(context, across, below);
    below += 18;
    for (const row of this.lanes) { this.lane(context, across, row, below); below += LANE; }
    if (this.frame.length) this.codons(context, across, below);
    if (this.brush) {
      context.globalAlpha = .2;
      context.fillStyle = colours.link;
      context.fillRect(across(Math.min(...this.brush)), 0, across(Math.max(...this.brush)) - across(Math.min(...this.brush)), height);
      context.globalAlpha = 1;
    }
    if (this.cursor !== null) {
      const {start, end} = data.cells[this.cursor];
      context.strokeStyle = colours.ink;
      context.strokeRect(across(start) - .5, top - 4, Math.max(1, across(end) - across(start)), tall + 26);
    }
    context.restore();
    this.names(context, below);
    this.axis(context, across, width, height - 32);
  }

  /** Draw what letters there is room for, on the colours of their effects. */
  drawLetters(context, across, top) {
    const {cells, limit} = this.data, room = (across(this.to) - LEFT) / Math.max(1, this.at(this.to) - this.at(this.from) + 1);
    if (room < 8) return;
    context.font = '12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';
    context.textAlign = "center";
    for (let number = this.at(this.from); number < cells.length && cells[number].start < this.to; number++) {
      const {start, end, text, value} = cells[number], left = across(start), wide = across(end) - left;
      const {ground, ink} = shade(value ?? 0, limit, this.colours);
      context.fillStyle = ground;
      context.fillRect(left, top - 6, wide, 16);
      context.fillStyle = value === null ? this.colours.quiet : ink;
      if (value !== null && Math.abs(value) < limit / 100) context.fillStyle = this.colours.ink;
      if (context.measureText(text).width <= wide) context.fillText(text, left + wide / 2, top + 2.5);
    }
    context.font = "11px Helvetica, Arial, sans-serif";
  }

  lane(context, across, row, top) {
    context.textAlign = "left";
    for (const [start, end, name] of row) {
      if (end < this.from || start > this.to) continue;
      const left = Math.max(LEFT, across(start)), wide = across(end) - left;
      context.fillStyle = this.colours.quiet;
      context.fillRect(left, top, Math.max(2, wide), LANE - 3);
      context.fillStyle = `rgb(${this.colours.ground})`;
      if (name && context.measureText(name).width < wide - 4) context.fillText(name, left + 2, top + LANE / 2 - 1);
    }
  }

  codons(context, across, top) {
    this.frame.forEach(([start, end], number) => {
      if (end < this.from || start > this.to) return;
      context.fillStyle = number % 2 ? this.colours.line : this.colours.quiet;
      context.fillRect(across(start), top + 2, Math.max(.7, across(end) - across(start)), LANE - 6);
    });
  }

  /** Name the lanes at the left. */
  names(context, frame) {
    context.textAlign = "right";
    context.fillStyle = this.colours.quiet;
    if (this.lanes.length) context.fillText("elements", LEFT - 6, frame - LANE * this.lanes.length + LANE / 2 - 1);
    if (this.frame.length) context.fillText("codons", LEFT - 6, frame + LANE / 2 - 1);
  }

  axis(context, across, width, top) {
    const {from, to, colours, data} = this;
    context.fillStyle = colours.quiet;
    context.fillRect(LEFT, top, width - LEFT - RIGHT, 1);
    context.textAlign = "center";
    for (const position of ticks(from, to, (width - LEFT - RIGHT) / 70)) {
      context.fillRect(across(position) - .5, top, 1, 5);
      context.fillText(position.toLocaleString("en"), across(position), top + 12);
    }
    context.fillText("position (0-based)", LEFT + (width - LEFT - RIGHT) / 2, top + 26);
    context.textAlign = "left";
    context.fillText(data.ends[0], LEFT, top + 26);
    context.textAlign = "right";
    context.fillText(data.ends[1], width - RIGHT, top + 26);
  }

  drawWhole() {
    this.whole.hidden = this.to - this.from >= this.last - this.first;
    if (this.whole.hidden) return;
    const [context, width, height] = prepare(this.whole);
    const across = position => LEFT + (position - this.first) / (this.last - this.first) * (width - LEFT - RIGHT);
    this.bars(context, [this.first, this.last], across, 2, height - 4, false);
    context.fillStyle = this.colours.link;
    context.globalAlpha = .18;
    context.fillRect(across(this.from), 0, Math.max(3, across(this.to) - across(this.from)), height);
    context.globalAlpha = 1;
    context.strokeStyle = this.colours.link;
    context.strokeRect(across(this.from), .5, Math.max(3, across(this.to) - across(this.from)), height - 1);
    context.fillStyle = this.colours.quiet;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.font = "11px Helvetica, Arial, sans-serif";
    context.fillText("whole", LEFT - 6, height / 2);
  }
}
