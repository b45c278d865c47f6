// A picture that answers to pointer, fingers and keys: it moves, comes closer, and says what lies under the pointer.
const Chart = (() => {
  const REACH = 10; // pixels from which a symbol or a line can be pointed at
  const NEAR = 0.15; // of the picture is shown around what was looked for
  const CLOSEST = 60; // how much closer than at first a reader may come
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

  // Distance of a point to the line between two others.
  function aside(px, py, ax, ay, bx, by) {
    const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
    const t = length ? Math.min(Math.max(((px - ax) * dx + (py - ay) * dy) / length, 0), 1) : 0;
    return Math.hypot(px - ax - t * dx, py - ay - t * dy);
  }

  return class Chart extends Picture {
    constructor(place, data) {
      super(place, data);
      this.fingers = new Map();
      this.linked = [this];
      this.canvas.tabIndex = 0;
      this.tools();
      this.listen();
      this.leads = data.layers.flatMap((layer) => (layer.leads || []).map((key, k) => this.lead(key, layer, k)));
      this.attach();
    }

    // A button on a symbol that leads to a state of the grid.
    lead(key, layer, k) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "lead";
      button.setAttribute("aria-label", layer.hover[k].replaceAll("\n", ", "));
      button.addEventListener("click", () => {
        location.hash = key;
        document.getElementById(`grid-${key}`).closest("figure").scrollIntoView({ block: "nearest" }); // where it is shown already
      });
      button.addEventListener("pointermove", (event) => this.tell(event));
      button.addEventListener("pointerleave", () => { tip.hidden = true; });
      this.place.append(button);
      return { key, button, layer, x: layer.x[k], y: layer.y[k] };
    }

    paint() {
      super.paint();
      this.attach();
    }

    // The buttons go where their symbols are.
    attach() {
      for (const { button, layer, x, y } of this.leads || []) {
        const left = this.px(x), top = this.py(y), { l, t, r, b } = this.box;
        button.hidden = this.hidden.has(layer.name) || left < l || top < t || left > this.width - r || top > this.height - b;
        button.style.left = `${left}px`;
        button.style.top = `${this.canvas.offsetTop + top}px`;
      }
    }

    // Marks the symbol that leads to the state that is shown.
    choose(key) {
      for (const each of this.leads) each.button.setAttribute("aria-pressed", String(each.key === key));
    }

    tools() {
      const bar = document.createElement("div");
      bar.className = "zoom";
      for (const [sign, told, act] of [
        ["+", "Zoom in", () => this.zoom(0.7)],
        ["−", "Zoom out", () => this.zoom(1 / 0.7)],
        ["⤢", "See all", () => this.reset()],
        ["⤓", "Save as picture", () => this.save()],
      ]) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = sign;
        button.title = told;
        button.setAttribute("aria-label", told);
        button.addEventListener("click", act);
        bar.append(button);
      }
      this.head.append(bar);
    }

    listen() {
      const { canvas } = this;
      canvas.addEventListener("pointerdown", (event) => this.down(event));
      canvas.addEventListener("pointermove", (event) => this.move(event));
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.up(event));
      canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
      canvas.addEventListener("dblclick", () => this.reset());
      canvas.addEventListener("keydown", (event) => this.key(event));
      canvas.addEventListener("wheel", (event) => {
        // Charts with axes let the page scroll unless Ctrl is held.
        if (!this.isGrid && !event.ctrlKey) return;
        event.preventDefault();
        this.zoom(1.0016 ** event.deltaY, this.spot(event));
      }, { passive: false });
    }

    spot(event) {
      const box = this.canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    }

    down(event) {
      this.fingers.set(event.pointerId, this.spot(event));
      // One finger scrolls the page while the whole picture is in sight.
      if (event.pointerType === "mouse" || this.moved || this.fingers.size > 1) this.canvas.setPointerCapture(event.pointerId);
      if (event.pointerType !== "mouse") this.tell(event);
    }

    move(event) {
      const now = this.spot(event), before = this.fingers.get(event.pointerId);
      if (!before) return this.tell(event);
      const others = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, spot]) => spot);
      this.fingers.set(event.pointerId, now);
      if (others.length) {
        const middle = { x: (now.x + others[0].x) / 2, y: (now.y + others[0].y) / 2 };
        this.zoom(distance(before, others[0]) / Math.max(distance(now, others[0]), 1), middle);
      } else if (event.pointerType === "mouse" || this.moved) {
        this.pan(now.x - before.x, now.y - before.y);
      }
      tip.hidden = true;
    }

    up(event) {
      this.fingers.delete(event.pointerId);
    }

    key(event) {
      const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (steps[event.key]) this.pan(...steps[event.key]);
      else if (event.key === "+") this.zoom(0.7);
      else if (event.key === "-") this.zoom(1 / 0.7);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    }

    pan(dx, dy) {
      const { x0, x1, y0, y1 } = this.view, mx = dx / this.sx, my = dy / this.sy;
      this.see({ x0: x0 - mx, x1: x1 - mx, y0: y0 + my, y1: y1 + my });
    }

    // Shows `factor` of what was in sight, around a spot.
    zoom(factor, spot = { x: this.width / 2, y: this.height / 2 }) {
      const { x0, x1, y0, y1 } = this.view, home = this.home();
      const share = (x1 - x0) / (home.x1 - home.x0);
      const by = Math.min(Math.max(factor, 1 / CLOSEST / share), 1 / share);
      if (by * share > 0.999) return this.reset();
      const x = x0 + (spot.x - this.left) / this.sx, y = y0 + (this.bottom - spot.y) / this.sy;
      this.see({ x0: x - (x - x0) * by, x1: x + (x1 - x) * by, y0: y - (y - y0) * by, y1: y + (y1 - y) * by });
    }

    reset() {
      for (const each of this.linked) Object.assign(each, { view: each.home(), moved: false }).draw();
    }

    see(view) {
      for (const each of this.linked) Object.assign(each, { view: { ...view }, moved: true }).draw();
    }

    // Comes close to the buses and branches of this name and rings them in all pictures of the grid; whether there are any.
    find(name, kinds = ["bus", "branch"]) {
      const spots = name ? kinds.map((kind) => this.placed(kind, name)).filter(Boolean) : [];
      for (const each of this.linked) each.ringed = spots;
      if (!spots.length) {
        for (const each of this.linked) each.draw();
        return false;
      }
      const home = this.home(), { x0, x1, y0, y1 } = this.view;
      const reach = (key) => Math.max(...spots.map((spot) => spot[key])) - Math.min(...spots.map((spot) => spot[key]));
      const middle = (key) => (Math.max(...spots.map((spot) => spot[key])) + Math.min(...spots.map((spot) => spot[key]))) / 2;
      const wide = home.x1 - home.x0, high = home.y1 - home.y0;
      const share = Math.max(Math.min((x1 - x0) / wide, NEAR), 1.2 * reach("x") / wide, 1.2 * reach("y") / high);
      const [x, y, dx, dy] = [middle("x"), middle("y"), wide * share / 2, high * share / 2];
      this.see({ x0: x - dx, x1: x + dx, y0: y - dy, y1: y + dy });
      return true;
    }

    // Where the symbol or the line is whose text begins with this name.
    placed(kind, name) {
      const told = name.length > 40 ? `${name.slice(0, 20)}…${name.slice(-19)}` : name; // as the texts shorten it
      const head = `${kind} ${told}`;
      const is = (text) => text === head || text.startsWith(`${head}\n`) || text.startsWith(`${head} (`);
      const layers = this.data.layers.filter((layer) => layer.hover);
      for (const layer of layers.filter((each) => each.kind === "dots")) {
        const k = layer.hover.findIndex(is);
        if (k >= 0 && layer.x[k] !== null) return { x: layer.x[k], y: layer.y[k] };
      }
      for (const layer of layers.filter((each) => each.kind === "lines")) {
        const way = layer.ways[layer.hover.findIndex(is)];
        if (!way) continue;
        const k = 2 * Math.floor(way.length / 4 - 0.5);
        return { x: (way[k] + way[k + 2]) / 2, y: (way[k + 1] + way[k + 3]) / 2 };
      }
      return null;
    }

    // The text of what lies nearest: a symbol before a line.
    under({ x, y }) {
      let best = null, reach = Infinity;
      const layers = this.data.layers.filter((layer) => layer.hover && !this.hidden.has(layer.name));
      for (const layer of layers.filter((each) => each.kind === "dots")) {
        for (let k = 0; k < layer.x.length; k++) {
          if (layer.x[k] === null || layer.y[k] === null) continue;
          const size = Array.isArray(layer.size) ? layer.size[k] : layer.size;
          const away = Math.hypot(this.px(layer.x[k]) - x, this.py(layer.y[k]) - y);
          if (away <= Math.max((size / 2) * this.small + 3, REACH) && away <= reach) [best, reach] = [layer.hover[k], away];
        }
      }
      if (best) return best;
      for (const layer of layers.filter((each) => each.kind === "lines")) {
        layer.ways.forEach((way, i) => {
          for (let k = 0; k + 3 < way.length; k += 2) {
            const away = aside(x, y, this.px(way[k]), this.py(way[k + 1]), this.px(way[k + 2]), this.py(way[k + 3]));
            if (away <= REACH && away < reach) [best, reach] = [layer.hover[i], away];
          }
        });
      }
      return best;
    }

    tell(event) {
      const told = this.under(this.spot(event));
      tip.hidden = !told;
      if (!told) return;
      const rows = told.split("\n").map((row, k) => {
        const line = document.createElement(k || !this.isGrid ? "div" : "strong");
        line.textContent = row;
        return line;
      });
      tip.replaceChildren(...rows);
      const { offsetWidth: wide, offsetHeight: high } = tip, screen = document.documentElement;
      const right = event.clientX + 14 + wide < screen.clientWidth;
      tip.style.left = `${Math.max(4, right ? event.clientX + 14 : Math.min(event.clientX - wide - 14, screen.clientWidth - wide - 4))}px`;
      tip.style.top = `${event.clientY + 18 + high < screen.clientHeight ? event.clientY + 18 : Math.max(4, event.clientY - high - 14)}px`;
    }

    save() {
      const sheet = document.createElement("canvas");
      Object.assign(sheet, { width: this.canvas.width, height: this.canvas.height });
      const pen = sheet.getContext("2d");
      pen.fillStyle = this.colour("@paper");
      pen.fillRect(0, 0, sheet.width, sheet.height);
      pen.drawImage(this.canvas, 0, 0);
      sheet.toBlob((blob) => {
        const link = document.createElement("a");
        link.download = `${this.place.id}.png`;
        link.href = URL.createObjectURL(blob);
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      });
    }
  };
})();
