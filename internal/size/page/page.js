"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byID = (id) => document.getElementById(id);
  const two = data.images.length === 2;
  const rowsShown = 100;
  const colours = [
    ["code", "code and function table"], ["types", "type data"], ["data", "data and strings"], ["file", "files"], ["image", "layers, modules, packages"], ["other", "everything else"],
  ];
  const changes = [["grew", "grew or is new"], ["shrank", "shrank"], ["same", "same size"]];
  let path = []; // names, from the root's parts down
  let all = false;

  // Nodes are arrays: name, level, kind, size, parts.
  const name = (n) => n[0], size = (n) => n[3], parts = (n) => n[4] || [];
  const level = (n) => data.levels[n[1]], kind = (n) => data.kinds[n[2]] || "";
  const what = (n) => (level(n) === "bytes" ? kind(n) : level(n));
  const find = (n, part) => n && parts(n).find((p) => name(p) === part);
  const at = (root, names) => names.reduce(find, root);

  function bytes(n) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    for (; Math.abs(n) >= (unit ? 999.95 : 1000) && unit < units.length - 1; unit++) n /= 1000;
    return (unit ? n.toFixed(1) : n) + " " + units[unit];
  }
  const signed = (n) => (n > 0 ? "+" : n < 0 ? "−" : "±") + bytes(Math.abs(n));
  const percent = (n, whole) => (whole ? ((100 * n) / whole).toFixed(1) : "0.0") + " %";

  function make(tag, text, attributes) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    return element;
  }

  function roots() {
    const platform = byID("platform").value;
    const alone = data.images.every((image) => image.platforms.length === 1);
    return data.images.map((image) => (image.platforms.find((p) => alone || p.platform === platform) || {}).tree);
  }

  function colour(n) {
    const k = kind(n);
    if (k === "code" || k === "function table") return "code";
    if (k === "type data") return "types";
    if (k === "data" || k === "read-only data") return "data";
    if (k === "embedded files" || level(n) === "file" || level(n) === "distribution package") return "file";
    return k ? "other" : "image";
  }

  // squarify fills a rectangle with tiles whose areas are the sizes, as near to squares as their order allows.
  function squarify(nodes, x, y, w, h) {
    const tiles = [];
    let rest = nodes.reduce((sum, n) => sum + size(n), 0);
    for (let i = 0; i < nodes.length && rest > 0 && w > 0 && h > 0; ) {
      const area = (w * h) / rest, side = Math.min(w, h);
      let sum = 0, best = Infinity, end = i;
      for (; end < nodes.length; end++) {
        const total = sum + size(nodes[end]);
        const thick = (total * area) / side;
        const worst = Math.max(thick / ((size(nodes[end]) * area) / thick), (size(nodes[i]) * area) / thick / thick);
        if (worst > best) break;
        [sum, best] = [total, worst];
      }
      const thick = (sum * area) / side;
      let along = 0;
      for (; i < end; i++) {
        const long = (size(nodes[i]) * area) / thick;
        tiles.push(w < h ? [nodes[i], x + along, y, long, thick] : [nodes[i], x, y + along, thick, long]);
        along += long;
      }
      if (w < h) [y, h] = [y + thick, h - thick];
      else [x, w] = [x + thick, w - thick];
      rest -= sum;
    }
    return tiles;
  }

  // visible joins what is too small to be seen.
  function visible(n, w, h) {
    const least = (size(n) * 60) / Math.max(1, w * h);
    const shown = parts(n).filter((p) => size(p) > 0 && size(p) >= least);
    const small = parts(n).reduce((sum, p) => sum + (size(p) > 0 && size(p) < least ? size(p) : 0), 0);
    if (small >= least) shown.push(["smaller ones", -1, data.kinds.indexOf("other"), small]);
    return shown.sort((a, b) => size(b) - size(a));
  }

  function drawMap(box, n, other) {
    const w = box.clientWidth, h = box.clientHeight;
    box.textContent = "";
    const nodes = parts(n).length ? visible(n, w, h) : [n];
    for (const [part, x, y, tw, th] of squarify(nodes, 0, 0, w, h)) {
      const opens = part !== n && parts(part).length > 0;
      const tile = make("button", undefined, { type: "button", tabindex: "-1", class: opens ? "tile opens" : "tile" });
      Object.assign(tile.style, { left: x + "px", top: y + "px", width: tw + "px", height: th + "px" });
      const words = [name(part), bytes(size(part)), percent(size(part), size(n))];
      let shade = colour(part);
      if (two && part[1] >= 0) {
        const twin = part === n ? other : find(other, name(part));
        const before = twin ? size(twin) : 0;
        const growth = box.dataset.image === "1" ? size(part) - before : before - size(part);
        shade = growth > 0 ? "grew" : growth < 0 ? "shrank" : "same";
        words.push(signed(growth));
      }
      tile.style.background = `var(--${shade})`;
      tile.title = words.join(", ");
      if (opens && tw > 60 && th > 44) {
        for (const [, ix, iy, iw, ih] of squarify(visible(part, tw, th - 34), 1, 34, tw - 4, th - 37)) {
          const inner = make("i", undefined, { "aria-hidden": "true" });
          Object.assign(inner.style, { left: ix + "px", top: iy + "px", width: iw + "px", height: ih + "px" });
          tile.append(inner);
        }
      }
      // What there is room for is seen; all of it is read out.
      tile.append(make("span", tile.title, { class: "hidden" }));
      if (tw > 34 && th > 18) tile.append(make("span", short(name(part), tw), { "aria-hidden": "true" }));
      if (tw > 34 && th > 34) tile.append(make("span", bytes(size(part)), { "aria-hidden": "true" }));
      if (opens) tile.addEventListener("click", () => go([...path, name(part)], box.dataset.image));
      box.append(tile);
    }
    if (box.firstChild) box.firstChild.tabIndex = 0;
  }

  // short leaves out the beginning of a path that does not fit.
  function short(text, width) {
    if (text.length * 6.5 <= width - 8) return text;
    const end = text.match(/[^/]*(\/v\d+[^/]*)?$/);
    return end && end[0] ? end[0] : text;
  }

  // move is the tile that lies nearest in the direction of an arrow key.
  function move(tile, key) {
    const middle = (t) => [t.offsetLeft + t.offsetWidth / 2, t.offsetTop + t.offsetHeight / 2];
    const [x, y] = middle(tile);
    let best, least = Infinity;
    for (const other of tile.parentElement.children) {
      const [ox, oy] = middle(other);
      const [ahead, aside] = { ArrowRight: [ox - x, oy - y], ArrowLeft: [x - ox, oy - y], ArrowDown: [oy - y, ox - x], ArrowUp: [y - oy, ox - x] }[key];
      const distance = ahead + 2 * Math.abs(aside);
      if (ahead > 0.5 && distance < least) [best, least] = [other, distance];
    }
    return best;
  }

  function keys(event) {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    if (event.key === "Escape" && path.length > 0) {
      event.preventDefault();
      go(path.slice(0, -1), tile.parentElement.dataset.image);
    } else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      const next = move(tile, event.key);
      if (next) {
        tile.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    }
  }

  function drawMaps(here) {
    byID("maps").textContent = "";
    const boxes = here.map((n, i) => {
      const section = make("section");
      if (two) section.append(make("h2", data.images[i].name + (n ? ", " + bytes(size(n)) : "")));
      const box = make("div", undefined, { class: "map", role: "group", "aria-label": `Treemap${two ? " of " + data.images[i].name : ""}; the table below has the same`, "data-image": String(i) });
      section.append(box);
      byID("maps").append(section);
      return box;
    });
    here.forEach((n, i) => {
      const box = boxes[i];
      if (n && size(n) > 0) drawMap(box, n, here[1 - i]);
      else {
        box.classList.add("empty");
        box.textContent = "not in this image";
      }
    });
    const legend = byID("legend");
    legend.textContent = "";
    for (const [key, text] of two ? changes : colours) {
      const swatch = make("span", undefined, { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = `var(--${key})`;
      legend.append(swatch, text);
    }
  }

  function drawPath() {
    const list = byID("path");
    list.textContent = "";
    ["everything", ...path].forEach((text, i) => {
      const item = make("li");
      if (i === path.length) item.append(make("span", text, { "aria-current": "location", tabindex: "-1" }));
      else {
        const button = make("button", text, { type: "button" });
        button.addEventListener("click", () => go(path.slice(0, i)));
        item.append(button);
      }
      list.append(item);
    });
  }

  function rowsOf(here) {
    const rows = new Map();
    here.forEach((n, i) => {
      for (const p of n ? parts(n) : []) {
        const row = rows.get(name(p)) || { node: p, sizes: here.map(() => 0), opens: false };
        row.sizes[i] += size(p);
        row.opens = row.opens || parts(p).length > 0;
        rows.set(name(p), row);
      }
    });
    const weight = (row) => (two ? Math.abs(row.sizes[1] - row.sizes[0]) : row.sizes[0]);
    return [...rows.values()].sort((a, b) => weight(b) - weight(a) || b.sizes[0] - a.sizes[0]);
  }

  function drawTable(here) {
    const columns = two ? ["Name", "What", "Before", "After", "Change"] : ["Name", "What", "Size", "Share"];
    byID("columns").replaceChildren(...columns.map((text, i) => make("th", text, i > 1 ? { scope: "col", class: "number" } : { scope: "col" })));
    byID("heading").textContent = "Parts of " + (path.at(-1) || "everything");
    const rows = rowsOf(here);
    byID("rows").replaceChildren(...rows.slice(0, all ? rows.length : rowsShown).map((row) => {
      const line = make("tr"), first = make("td");
      if (row.opens) {
        const button = make("button", name(row.node), { type: "button" });
        button.addEventListener("click", () => go([...path, name(row.node)]));
        first.append(button);
      } else first.textContent = name(row.node);
      line.append(first, make("td", what(row.node)));
      const numbers = two
        ? [bytes(row.sizes[0]), bytes(row.sizes[1]), signed(row.sizes[1] - row.sizes[0])]
        : [bytes(row.sizes[0]), percent(row.sizes[0], size(here[0]))];
      for (const text of numbers) line.append(make("td", text, { class: "number" }));
      return line;
    }));
    const more = byID("more");
    more.hidden = all || rows.length <= rowsShown;
    more.textContent = `Show all ${rows.length} parts`;
  }

  function draw() {
    const here = roots().map((root) => at(root, path));
    drawPath();
    drawMaps(here);
    drawTable(here);
    return here;
  }

  // go shows what is at a path, and leaves the focus in the map that it was in.
  function go(to, image) {
    path = to;
    all = false;
    const here = draw();
    byID("status").textContent = `${path.at(-1) || "everything"}: ${here.map((n) => bytes(n ? size(n) : 0)).join(" and ")}`;
    const tile = image && document.querySelector(`.map[data-image="${image}"] .tile`);
    (tile || byID("path").querySelector("[aria-current]")).focus();
  }

  function begin() {
    const names = [...new Set(data.images.flatMap((image) => image.platforms.map((p) => p.platform)))];
    byID("platform").replaceChildren(...names.map((text) => make("option", text)));
    byID("platform").addEventListener("change", () => { path = []; summary(); draw(); });
    byID("more").addEventListener("click", () => { all = true; draw(); });
    byID("maps").addEventListener("keydown", keys);
    let wait;
    addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(draw, 100); });
    summary();
    draw();
  }

  function summary() {
    const platform = byID("platform").value;
    const alone = data.images.every((image) => image.platforms.length === 1);
    byID("summary").textContent = data.images.map((image) => {
      const p = image.platforms.find((one) => alone || one.platform === platform);
      if (!p) return `${image.name} is not for ${platform}`;
      return (two ? image.name + ": " : "") + (p.compressed ? bytes(p.compressed) + " compressed, " : "") + bytes(size(p.tree)) + (p.compressed ? " unpacked" : "");
    }).join("; ");
  }

  begin();
})();
