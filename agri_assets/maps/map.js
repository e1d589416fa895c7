"use strict";
(async () => {
  const map = JSON.parse(document.getElementById("map-data").textContent);
  const at = (id) => document.getElementById(id);
  const view = at("view"), ground = at("ground"), mark = at("mark"), bar = at("bar"), readout = at("readout");
  const most = 40;
  let zoom = 1, left = 0, top = 0;

  // what the picture shows: place (0 to 1) from the left and from the top
  const box = () => ({ width: view.clientWidth, height: view.clientHeight });
  const place = (x, y) => ({ x: (x - left) / (box().width * zoom), y: (y - top) / (box().height * zoom) });

  function draw() {
    const { width, height } = box();
    left = Math.min(0, Math.max(width * (1 - zoom), left));
    top = Math.min(0, Math.max(height * (1 - zoom), top));
    ground.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
    ground.style.setProperty("--zoom", zoom);
    view.classList.toggle("near", zoom > 1);
    const longest = (map.metres / zoom) * 0.3, power = 10 ** Math.floor(Math.log10(longest));
    const length = power * Math.max(...[1, 2, 5].filter((times) => times * power <= longest));
    bar.style.width = `${((100 * length * zoom) / map.metres).toFixed(3)}%`;
    bar.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  function zoomAt(factor, x = box().width / 2, y = box().height / 2) {
    const next = Math.min(most, Math.max(1, zoom * factor)), moved = next / zoom;
    if (moved === 1) return false;
    [left, top, zoom] = [x - (x - left) * moved, y - (y - top) * moved, next];
    draw();
    return true;
  }

  function fit() {
    [zoom, left, top] = [1, 0, 0];
    draw();
  }

  // values of squares: a byte of percent and, after all of these, a byte of class; then two bytes of date by position
  async function unpack() {
    const packed = Uint8Array.from(atob(map.values), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new DataView(await new Response(stream).arrayBuffer());
  }
  const values = await unpack().catch(() => null);

  function valueAt(x, y) {
    const [rows, cols] = map.squares, [down, across] = map.positions;
    const row = Math.floor(y * rows), col = Math.floor(x * cols), square = row * cols + col;
    const position = Math.floor(y * down) * across + Math.floor(x * across);
    return {
      row, col,
      percent: values.getUint8(square),
      kind: values.getUint8(rows * cols + square),
      date: map.dates[values.getUint16(2 * rows * cols + 2 * position, true)],
    };
  }

  function degrees(x, y) {
    const across = 2 * x - 1, down = 2 * y - 1;
    const sum = (factors) => map.terms.reduce((total, [i, j], n) => total + factors[n] * across ** i * down ** j, 0);
    const longitude = ((((sum(map.longitude) + 180) % 360) + 360) % 360) - 180, latitude = sum(map.latitude);
    const side = (value, names) => `${Math.abs(value).toFixed(5)}° ${names[value < 0 ? 1 : 0]}`;
    return `${side(latitude, "NS")}, ${side(longitude, "EW")}`;
  }

  function tell(spot) {
    const inside = spot.x >= 0 && spot.x < 1 && spot.y >= 0 && spot.y < 1;
    mark.hidden = !inside || values === null;
    if (!inside) return;
    const lines = [degrees(spot.x, spot.y)];
    if (values !== null) {
      const found = valueAt(spot.x, spot.y), [rows, cols] = map.squares;
      Object.assign(mark.style, { left: `${(100 * found.col) / cols}%`, top: `${(100 * found.row) / rows}%`,
        width: `${100 / cols}%`, height: `${100 / rows}%` });
      lines.unshift(map.names[found.kind]);
      if (found.percent !== 255) lines.splice(1, 0, `probability ${found.percent} %`);
      lines.push(found.date ? `seen on ${found.date}` : "no clear date");
    }
    readout.replaceChildren(...lines.flatMap((line, number) => {
      const part = document.createElement(number ? "span" : "b");
      part.textContent = line;
      return number ? [document.createElement("br"), part] : [part];
    }));
  }
  const tellCentre = () => tell(place(box().width / 2, box().height / 2));

  // one finger or the mouse moves the map, two fingers zoom it
  const fingers = new Map();
  const local = (event) => {
    const edge = view.getBoundingClientRect();
    return { x: event.clientX - edge.left - view.clientLeft, y: event.clientY - edge.top - view.clientTop };
  };
  view.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    fingers.set(event.pointerId, local(event));
    view.setPointerCapture(event.pointerId);
    tell(place(local(event).x, local(event).y));
  });
  view.addEventListener("pointermove", (event) => {
    const now = local(event), before = fingers.get(event.pointerId);
    if (before && fingers.size === 1) {
      [left, top] = [left + now.x - before.x, top + now.y - before.y];
      draw();
    } else if (before && fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      zoomAt(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    if (before) fingers.set(event.pointerId, now);
    tell(place(now.x, now.y));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    view.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  view.addEventListener("wheel", (event) => {
    const spot = local(event);
    if (zoomAt(Math.exp(-event.deltaY * 0.0015), spot.x, spot.y)) event.preventDefault();
    tell(place(spot.x, spot.y));
  }, { passive: false });
  view.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button")) zoomAt(2, local(event).x, local(event).y);
  });

  const keys = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button")) return;
    if (event.key in keys) {
      const step = event.shiftKey ? 0.25 : 0.05;
      [left, top] = [left + keys[event.key][0] * box().width * step, top + keys[event.key][1] * box().height * step];
      draw();
    } else if (event.key === "+" || event.key === "=") zoomAt(1.5);
    else if (event.key === "-") zoomAt(1 / 1.5);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
    tellCentre();
  });
  at("nearer").addEventListener("click", () => { zoomAt(1.5); tellCentre(); });
  at("farther").addEventListener("click", () => { zoomAt(1 / 1.5); tellCentre(); });
  at("whole").addEventListener("click", () => { fit(); tellCentre(); });

  for (const choice of document.querySelectorAll("input[name=layer]")) {
    choice.addEventListener("change", () => {
      for (const part of document.querySelectorAll("[data-layer]")) part.hidden = part.dataset.layer !== choice.value;
      at("opacity").disabled = choice.value === "colour";
    });
  }
  at("opacity").addEventListener("input", (event) => {
    ground.style.setProperty("--opacity", event.target.value / 100);
    at("opacity-value").textContent = `${event.target.value} %`;
  });
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", fit);
  draw();
  document.documentElement.dataset.ready = "true";
})();
