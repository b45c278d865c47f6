"use strict";
// Draws the charts that `drawing.py` describes, each on a canvas. Needs nothing else.
const Picture = (() => {
  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
  const SIDES = [[0, 1], [0, -1], [1, 0], [-1, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]];
  const CELL = 5; // pixels of the squares of which is known whether a line runs through
  const NAMES_AT_ONCE = 1500; // beyond so many in sight, names of buses wait until the reader comes closer
  const pick = (value, k) => (Array.isArray(value) ? value[k] : value);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const words = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  // Draws the outline of a symbol of diameter 2 r around a place.
  const SHAPES = {
    circle: (c, x, y, r) => c.arc(x, y, r, 0, 7),
    ring: (c, x, y, r) => c.arc(x, y, r, 0, 7),
    square: (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r),
    crossed: (c, x, y, r) => { c.rect(x - r, y - r, 2 * r, 2 * r); stroke(c, [x - r, y - r, x + r, y + r], [x + r, y - r, x - r, y + r]); },
    diamond: (c, x, y, r) => { stroke(c, [x, y - r, x + r, y, x, y + r, x - r, y]); c.closePath(); },
    cross: (c, x, y, r) => stroke(c, [x - r, y - r, x + r, y + r], [x + r, y - r, x - r, y + r]),
    plus: (c, x, y, r) => stroke(c, [x - r, y, x + r, y], [x, y - r, x, y + r]),
  };

  function stroke(c, ...ways) {
    for (const way of ways) {
      c.moveTo(way[0], way[1]);
      for (let k = 2; k < way.length; k += 2) c.lineTo(way[k], way[k + 1]);
    }
  }

  const cell = (x, y) => Math.floor(x / CELL) * 65536 + Math.floor(y / CELL);

  // The lowest and highest x and y of a way.
  function around(way) {
    const box = [Infinity, -Infinity, Infinity, -Infinity];
    way.forEach((value, k) => {
      const low = k % 2 ? 2 : 0;
      box[low] = Math.min(box[low], value);
      box[low + 1] = Math.max(box[low + 1], value);
    });
    return box;
  }

  // Values at round numbers between low and high, some `count` of them.
  function ticks(low, high, count) {
    const raw = (high - low) / Math.max(count, 1);
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((k) => k * power >= raw * 0.999);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step + 0);
    return { found, digits };
  }

  return class Picture {
    constructor(place, data) {
      Object.assign(this, { place, data, hidden: new Set(), ringed: [], isGrid: Boolean(data.unit), named: true, moved: false });
      this.view = this.home();
      this.canvas = document.createElement("canvas");
      this.pen = this.canvas.getContext("2d");
      this.head = document.createElement("div");
      this.head.className = "head";
      this.legend();
      place.append(this.head, this.canvas);
      new ResizeObserver(() => this.size()).observe(place);
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", place.getAttribute("aria-label") || "");
      this.size();
    }

    home() {
      const { x, y } = this.data;
      return { x0: x.low, x1: x.high, y0: y.low, y1: y.high };
    }

    // The names that the layers share, each a button that hides what it names.
    legend() {
      const layers = this.data.layers.filter((layer) => layer.name);
      if (!layers.length) return;
      const list = document.createElement("ul");
      list.className = "legend";
      for (const name of new Set(layers.map((layer) => layer.name))) {
        const looks = layers.filter((layer) => layer.name === name);
        const button = document.createElement("button");
        const mark = document.createElement("i");
        const line = looks.find((layer) => layer.kind === "lines");
        const dot = looks.find((layer) => layer.kind !== "lines" && layer.size !== 0);
        mark.className = line ? "line" : dot.kind === "areas" ? "area" : "dot";
        mark.style.color = this.css(line ? line.colour : pick(dot.edge, 0) || pick(dot.fill ?? dot.colour, 0));
        if (!line && dot.edge && pick(dot.fill ?? dot.colour, 0) === "@paper") mark.classList.add("hollow");
        if (line && line.dash) mark.classList.add("dashed");
        button.type = "button";
        button.setAttribute("aria-pressed", "true");
        button.append(mark, name);
        button.addEventListener("click", () => {
          const hide = !this.hidden.has(name);
          if (hide) this.hidden.add(name); else this.hidden.delete(name);
          button.setAttribute("aria-pressed", String(!hide));
          this.draw();
        });
        const item = document.createElement("li");
        item.append(button);
        list.append(item);
      }
      this.head.append(list);
    }

    css(colour) {
      if (!colour.startsWith("@")) return colour;
      return `var(--${colour.slice(1)})`;
    }

    colour(name) {
      return name.startsWith("@") ? this.sheet.getPropertyValue(`--${name.slice(1)}`).trim() : name;
    }

    // Takes the size of the place. It paints in the same frame, since a new size makes a canvas empty.
    size() {
      const width = this.place.clientWidth, dense = Math.max(2, window.devicePixelRatio || 1);
      if (!width || (width === this.width && dense === this.dense)) return;
      const high = this.data.height;
      this.width = width;
      // On a narrow screen a picture that is wide by nature is not stretched to a tower.
      this.height = this.isGrid && width < 500 ? Math.min(high, Math.max(280, Math.round(width * 1.35))) : high;
      Object.assign(this.canvas, { width: width * dense, height: this.height * dense });
      this.place.style.minHeight = "0";
      this.canvas.style.height = `${this.height}px`;
      this.dense = dense;
      this.paint();
    }

    // Room of the axes: the titles and numbers that were measured decide.
    frame() {
      if (this.isGrid) return { l: 2, r: 2, t: 2, b: 2 };
      const c = this.pen;
      c.font = `12px ${FONT}`;
      const marks = this.data.y.ticks ? this.data.y.ticks.map((tick) => tick[1]) : this.labels(this.view.y0, this.view.y1, this.data.y, this.height / 50).map((tick) => tick[1]);
      const least = Math.min(this.data.room || 0, this.width * 0.25), named = (this.data.x.ticks || [[0, "0"]]).some((tick) => tick[1]);
      this.wide = Math.min(Math.max(...marks.map((mark) => c.measureText(mark).width), 10, least), this.width * (this.data.room ? 0.25 : 0.45));
      return { l: this.wide + (this.data.y.title ? 30 : 14), r: 14, t: 10, b: this.data.x.title ? 44 : named ? 24 : 6 };
    }

    labels(low, high, axis, count) {
      if (axis.ticks) return axis.ticks.filter((tick) => tick[0] >= low && tick[0] <= high);
      const factor = axis.percent ? 100 : 1;
      const { found, digits } = ticks(low * factor, high * factor, count);
      return found.map((value) => [value / factor, words(value, digits) + (axis.percent ? " %" : "")]);
    }

    // Pixels of a place, by the view and the size.
    scale() {
      const box = this.frame();
      const wide = this.width - box.l - box.r, high = this.height - box.t - box.b;
      const { x0, x1, y0, y1 } = this.view;
      let sx = wide / (x1 - x0), sy = high / (y1 - y0);
      if (this.data.equal) sx = sy = Math.min(sx, sy);
      const left = box.l + (wide - sx * (x1 - x0)) / 2, bottom = box.t + high - (high - sy * (y1 - y0)) / 2;
      Object.assign(this, { box, sx, sy, left, bottom });
    }

    px(x) { return this.left + (x - this.view.x0) * this.sx; }
    py(y) { return this.bottom - (y - this.view.y0) * this.sy; }

    draw() {
      if (!this.place.clientWidth) return; // of a state that is not shown
      cancelAnimationFrame(this.waiting);
      this.waiting = requestAnimationFrame(() => this.paint());
    }

    paint() {
      const c = this.pen;
      this.sheet = getComputedStyle(document.documentElement);
      this.scale();
      // Symbols shrink with the picture, and grow a little when the reader comes closer.
      const unit = this.data.unit;
      this.small = unit ? clamp(Math.min(this.sx / unit[0], this.sy / unit[1]), 0.5, clamp(20 / Math.min(...unit), 1.3, 3.5)) : 1;
      c.setTransform(this.dense, 0, 0, this.dense, 0, 0);
      c.clearRect(0, 0, this.width, this.height);
      this.taken = new Map();
      this.crossed = new Set();
      if (!this.isGrid) this.axes();
      c.save();
      c.beginPath();
      c.rect(this.isGrid ? 0 : this.box.l - 5, this.isGrid ? 0 : this.box.t - 5, this.width, this.height - this.box.b - this.box.t + (this.isGrid ? 99 : 10));
      c.clip();
      for (const rule of this.data.rules || []) this.rule(rule);
      const layers = this.data.layers.filter((layer) => !this.hidden.has(layer.name));
      layers.filter((layer) => layer.kind === "areas").forEach((layer) => this.areas(layer));
      layers.filter((layer) => layer.kind === "lines").forEach((layer) => this.lines(layer));
      const dots = layers.filter((layer) => layer.kind === "dots" && layer.size);
      dots.forEach((layer) => this.dots(layer));
      layers.filter((layer) => layer.kind === "words" && (this.named || !layer.names)).forEach((layer) => this.words(layer));
      for (const { x, y } of this.ringed) {
        c.beginPath();
        c.arc(this.px(x), this.py(y), 16, 0, 7);
        c.strokeStyle = this.colour("@opens");
        c.lineWidth = 3;
        c.stroke();
      }
      c.restore();
      this.canvas.style.touchAction = this.moved ? "none" : "pan-y";
      this.place.dataset.drawn = "yes";
    }

    axes() {
      const c = this.pen, { box, width, height, view, data } = this;
      const right = width - box.r, low = height - box.b;
      c.font = `12px ${FONT}`;
      c.lineWidth = 1;
      c.strokeStyle = this.colour("@pale");
      c.fillStyle = this.colour("@ink");
      c.textAlign = "center";
      c.textBaseline = "top";
      const along = this.labels(view.x0, view.x1, data.x, (right - box.l) / 70);
      let end = -Infinity;
      along.forEach(([value, text], k) => {
        const x = this.px(value), next = along[k + 1];
        c.beginPath();
        stroke(c, [x, box.t, x, low]);
        c.stroke();
        if (!text || (data.x.between && !next)) return;
        // A text that would run into the one before is left out.
        const half = c.measureText(text).width / 2, middle = data.x.between ? (x + this.px(next[0])) / 2 : clamp(x, box.l, right - half + 10);
        if (middle - half < end) return;
        c.fillText(text, middle, low + 5);
        end = middle + half + 6;
      });
      c.textAlign = "right";
      c.textBaseline = "middle";
      for (const [value, text] of this.labels(view.y0, view.y1, data.y, height / 50)) {
        const y = this.py(value);
        c.beginPath();
        stroke(c, [box.l, y, right, y]);
        c.stroke();
        c.fillText(this.cut(text, this.wide), box.l - 6, y);
      }
      c.fillStyle = this.colour("@soft");
      c.textAlign = "center";
      c.textBaseline = "bottom";
      const title = this.cut(data.x.title || "", width - 8), half = c.measureText(title).width / 2 + 2;
      c.fillText(title, clamp((box.l + right) / 2, half, width - half), height - 4);
      if (data.y.title) {
        c.save();
        c.translate(4, (box.t + low) / 2);
        c.rotate(-Math.PI / 2);
        c.textBaseline = "top";
        c.fillText(this.cut(data.y.title, low - box.t), 0, 0);
        c.restore();
      }
    }

    cut(text, room) {
      if (this.pen.measureText(text).width <= room) return text;
      let kept = text;
      while (kept.length > 1 && this.pen.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
      return `${kept}…`;
    }

    rule(rule) {
      const c = this.pen, { box } = this, low = this.height - box.b, right = this.width - box.r;
      const along = rule.axis === "x" ? this.px(rule.at) : this.py(rule.at);
      c.strokeStyle = c.fillStyle = this.colour(rule.colour || "@broken");
      c.lineWidth = 1.2;
      c.setLineDash([6, 4]);
      c.beginPath();
      stroke(c, rule.axis === "x" ? [along, box.t, along, low] : [box.l, along, right, along]);
      c.stroke();
      c.setLineDash([]);
      if (!rule.text) return;
      c.font = `11px ${FONT}`;
      const wide = c.measureText(rule.text).width;
      c.textAlign = "left";
      c.textBaseline = "bottom";
      const x = rule.axis === "x" ? Math.min(along + 4, right - wide) : right - wide - 2;
      const y = rule.axis === "x" ? low - 4 : along - 2;
      c.fillText(rule.text, x, y);
    }

    areas(layer) {
      const c = this.pen;
      c.globalAlpha = layer.opacity ?? 1;
      c.beginPath();
      for (const way of layer.ways) {
        c.moveTo(this.px(way[0]), this.py(way[1]));
        for (let k = 2; k < way.length; k += 2) c.lineTo(this.px(way[k]), this.py(way[k + 1]));
        c.closePath();
      }
      c.fillStyle = this.colour(layer.colour);
      c.fill();
      if (layer.width) {
        c.strokeStyle = this.colour(layer.edge);
        c.lineWidth = layer.width;
        c.stroke();
      }
      c.globalAlpha = 1;
    }

    lines(layer) {
      const c = this.pen;
      c.globalAlpha = layer.opacity ?? 1;
      c.strokeStyle = this.colour(layer.colour);
      c.lineWidth = layer.width * (this.isGrid ? Math.max(this.small, 0.6) : 1);
      c.lineCap = layer.dash ? "butt" : "round";
      c.lineJoin = "round";
      c.setLineDash(layer.dash || []);
      c.beginPath();
      layer.boxes ??= layer.ways.map(around);
      layer.ways.forEach((way, i) => {
        const [x0, x1, y0, y1] = layer.boxes[i];
        if (this.px(x1) < -30 || this.px(x0) > this.width + 30 || this.py(y0) < -30 || this.py(y1) > this.height + 30) return;
        c.moveTo(this.px(way[0]), this.py(way[1]));
        for (let k = 2; k < way.length; k += 2) c.lineTo(this.px(way[k]), this.py(way[k + 1]));
        if (this.isGrid) this.cross(way);
      });
      c.stroke();
      c.setLineDash([]);
      c.globalAlpha = 1;
    }

    dots(layer) {
      const c = this.pen;
      for (let k = 0; k < layer.x.length; k++) {
        if (layer.x[k] === null || layer.y[k] === null) continue;
        const x = this.px(layer.x[k]), y = this.py(layer.y[k]), r = (pick(layer.size, k) / 2) * this.small;
        if (x < -30 || y < -30 || x > this.width + 30 || y > this.height + 30) continue;
        const shape = pick(layer.shape, k) || "circle", wide = pick(layer.width, k) || 0;
        c.beginPath();
        if (shape !== "circle" || r) SHAPES[shape](c, x, y, r);
        if (shape !== "ring" && shape !== "cross" && shape !== "plus") {
          c.fillStyle = this.colour(pick(layer.fill, k));
          c.fill();
        }
        if (wide) {
          c.strokeStyle = this.colour(pick(layer.edge, k));
          c.lineWidth = wide * Math.max(this.small, 0.7);
          c.stroke();
        }
        if (this.isGrid) this.take([x - r, y - r, x + r, y + r]);
      }
    }

    // Boxes that are drawn over, by the squares of 64 pixels that they touch.
    take(box) {
      for (const square of this.squares(box)) {
        if (!this.taken.has(square)) this.taken.set(square, []);
        this.taken.get(square).push(box);
      }
    }

    // Notes the squares that a line runs through.
    cross(way) {
      for (let k = 0; k + 3 < way.length; k += 2) {
        const x = this.px(way[k]), y = this.py(way[k + 1]), dx = this.px(way[k + 2]) - x, dy = this.py(way[k + 3]) - y;
        const count = Math.min(Math.ceil(Math.hypot(dx, dy) / CELL) + 1, 2000);
        for (let i = 0; i <= count; i++) this.crossed.add(cell(x + (dx * i) / count, y + (dy * i) / count));
      }
    }

    // Whether no line runs through a box.
    clear([x0, y0, x1, y1]) {
      for (let x = x0; x < x1 + CELL; x += CELL) {
        for (let y = y0; y < y1 + CELL; y += CELL) if (this.crossed.has(cell(Math.min(x, x1), Math.min(y, y1)))) return false;
      }
      return true;
    }

    squares([x0, y0, x1, y1]) {
      const found = [];
      for (let i = Math.floor(x0 / 64); i <= Math.floor(x1 / 64); i++) {
        for (let j = Math.floor(y0 / 64); j <= Math.floor(y1 / 64); j++) found.push((i + 2) * 1000 + j + 2);
      }
      return found;
    }

    free(box) {
      if (box[0] < 0 || box[1] < 0 || box[2] > this.width || box[3] > this.height) return false;
      return this.squares(box).every((square) => (this.taken.get(square) || []).every((b) => b[0] >= box[2] || b[2] <= box[0] || b[1] >= box[3] || b[3] <= box[1]));
    }

    words(layer) {
      const c = this.pen, size = (layer.size || 11) * (layer.centred ? Math.max(this.small, 0.6) : 1);
      c.font = `${layer.bold ? "bold " : ""}${size}px ${FONT}`;
      c.textBaseline = "middle";
      c.textAlign = "center";
      const seen = [];
      for (let k = 0; k < layer.x.length; k++) {
        const x = this.px(layer.x[k]), y = this.py(layer.y[k]);
        if (layer.text[k] && x > 0 && y > 0 && x < this.width && y < this.height) seen.push([k, x, y]);
      }
      if (layer.names && seen.length > NAMES_AT_ONCE) return;
      for (const [k, x, y] of seen) {
        const wide = c.measureText(layer.text[k]).width, near = ((layer.gap ?? 5) / 2) * this.small + 2;
        c.fillStyle = this.colour(pick(layer.colour, k));
        if (layer.centred) {
          c.fillText(layer.text[k], x, y + 0.5);
          continue;
        }
        const boxes = [near, 2 * near].flatMap((away) => SIDES.map(([dx, dy]) => {
          const cx = x + dx * (away + wide / 2), cy = y - dy * (away + size / 2);
          return [cx - wide / 2 - 1, cy - size / 2, cx + wide / 2 + 1, cy + size / 2];
        })).filter((box) => this.free(box));
        // Best where no line runs through it.
        const box = boxes.find((each) => this.clear(each)) || boxes[0];
        if (!box) continue;
        this.take(box);
        const cx = (box[0] + box[2]) / 2, cy = (box[1] + box[3]) / 2;
        c.strokeStyle = this.colour("@paper");
        c.lineWidth = 3;
        c.lineJoin = "round";
        c.strokeText(layer.text[k], cx, cy + 0.5);
        c.fillText(layer.text[k], cx, cy + 0.5);
      }
    }
  };
})();
