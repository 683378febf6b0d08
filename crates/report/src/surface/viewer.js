"use strict";
// Turns surfaces by mouse, touch and keyboard. The data is in the page; nothing is fetched.
(() => {
  const data = JSON.parse(document.getElementById("surfaces").textContent);
  const canvas = document.getElementById("view");
  const status = document.getElementById("status");
  const gl = canvas.getContext("webgl", { antialias: true, alpha: false, preserveDrawingBuffer: true });
  if (!gl || !gl.getExtension("OES_element_index_uint")) {
    document.getElementById("interactive").hidden = true;
    document.getElementById("fallback").hidden = false;
    return;
  }

  const VERTEX = `
    attribute vec3 position; attribute vec3 normal;
    uniform mat3 axes; uniform vec3 centre; uniform vec3 scale;
    varying vec3 n;
    void main() {
      n = axes * normal;
      gl_Position = vec4(axes * (position - centre) * scale, 1.0);
    }`;
  // The looks of the program's own pictures: Lambert's law, stripes, dots, glass.
  const FRAGMENT = `
    precision mediump float;
    uniform vec3 colour; uniform int finish; uniform float unit;
    varying vec3 n;
    void main() {
      vec3 m = normalize(n);
      if (finish == 3) {
        float edge = 1.0 - min(abs(m.z), 1.0);
        gl_FragColor = vec4(colour, 0.05 + 0.4 * edge * edge * edge);
        return;
      }
      float bright = 0.34 + 0.66 * max(dot(m, normalize(vec3(-0.45, 0.55, 1.0))), 0.0);
      vec2 p = gl_FragCoord.xy / unit;
      bool marked = false;
      if (finish == 1) marked = mod(p.x - p.y, 8.0) < 2.5;
      if (finish == 2) {
        float shift = mod(floor(p.y / 6.0), 2.0) * 3.0;
        marked = length(mod(p + vec2(shift, 0.0), 6.0) - 3.0) < 1.7;
      }
      gl_FragColor = vec4(colour * bright * (marked ? 0.45 : 1.0), 1.0);
    }`;
  const FINISHES = ["solid", "striped", "dotted", "glass"];

  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const at = { axes: uniform("axes"), centre: uniform("centre"), scale: uniform("scale"),
    colour: uniform("colour"), finish: uniform("finish"), unit: uniform("unit") };
  const slot = { position: gl.getAttribLocation(program, "position"), normal: gl.getAttribLocation(program, "normal") };
  gl.enableVertexAttribArray(slot.position);
  gl.enableVertexAttribArray(slot.normal);

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const [low, high] = data.box;
  const size = high.map((h, k) => Math.max(h - low[k], 1e-6));
  const radius = Math.hypot(...size) / 2;

  const upload = (target, array) => {
    const buffer = gl.createBuffer();
    gl.bindBuffer(target, buffer);
    gl.bufferData(target, array, gl.STATIC_DRAW);
    return buffer;
  };
  const normals = (p, t) => {
    const n = new Float32Array(p.length);
    for (let i = 0; i < t.length; i += 3) {
      const [a, b, c] = [3 * t[i], 3 * t[i + 1], 3 * t[i + 2]];
      const u = [0, 1, 2].map((k) => p[b + k] - p[a + k]);
      const v = [0, 1, 2].map((k) => p[c + k] - p[a + k]);
      const w = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const at of [a, b, c]) for (let k = 0; k < 3; k++) n[at + k] += w[k];
    }
    return n;
  };
  const surfaces = data.surfaces.map((s) => {
    const steps = new Uint16Array(bytes(s.positions));
    const positions = Float32Array.from(steps, (v, i) => low[i % 3] + (v / 65535) * size[i % 3]);
    const triangles = new Uint32Array(bytes(s.triangles));
    return { finish: FINISHES.indexOf(s.finish), colour: s.colour.map((c) => c / 255), shown: s.shown,
      count: triangles.length, positions: upload(gl.ARRAY_BUFFER, positions),
      normals: upload(gl.ARRAY_BUFFER, normals(positions, triangles)),
      triangles: upload(gl.ELEMENT_ARRAY_BUFFER, triangles) };
  });

  // Radians: yaw turns the viewer to the patient's left, pitch upwards.
  const VIEWS = { anterior: [0, 0], posterior: [Math.PI, 0], left: [Math.PI / 2, 0], right: [-Math.PI / 2, 0],
    superior: [Math.PI, Math.PI / 2], inferior: [0, -Math.PI / 2], oblique: [0.67, 0.3] };
  let [yaw, pitch] = VIEWS.oblique;
  const WHOLE = 1.3;
  let zoom = WHOLE;
  let waiting = false;

  const draw = () => {
    waiting = false;
    const unit = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.max(1, Math.round(v * unit)));
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    gl.viewport(0, 0, w, h);
    gl.clearColor(1, 1, 1, 1);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    const [sy, cy, sp, cp] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
    const near = [sy * cp, -cy * cp, sp];
    const right = [cy, sy, 0];
    const up = [near[1] * right[2] - near[2] * right[1], near[2] * right[0] - near[0] * right[2],
      near[0] * right[1] - near[1] * right[0]];
    gl.uniformMatrix3fv(at.axes, false, [right[0], up[0], near[0], right[1], up[1], near[1], right[2], up[2], near[2]]);
    gl.uniform3fv(at.centre, low.map((v, k) => v + size[k] / 2));
    const s = (zoom * Math.min(w, h)) / radius;
    gl.uniform3f(at.scale, s / w, s / h, -1 / (1.01 * radius));
    gl.uniform1f(at.unit, unit);
    for (const glass of [false, true]) {
      if (glass) {
        gl.enable(gl.BLEND);
        gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
        gl.depthMask(false);
      } else gl.disable(gl.BLEND);
      for (const f of surfaces) {
        if (!f.shown || (f.finish === 3) !== glass) continue;
        gl.uniform3fv(at.colour, f.colour);
        gl.uniform1i(at.finish, f.finish);
        for (const name of ["position", "normal"]) {
          gl.bindBuffer(gl.ARRAY_BUFFER, f[name + "s"]);
          gl.vertexAttribPointer(slot[name], 3, gl.FLOAT, false, 0, 0);
        }
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, f.triangles);
        gl.drawElements(gl.TRIANGLES, f.count, gl.UNSIGNED_INT, 0);
      }
    }
  };
  const redraw = () => {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  };
  const degrees = (v) => Math.round((v * 180) / Math.PI);
  const tell = () => {
    const turn = degrees(Math.atan2(Math.sin(yaw), Math.cos(yaw)));
    status.textContent = `Viewer ${Math.abs(turn)}° to the patient's ${turn < 0 ? "right" : "left"} of the front, ` +
      `${Math.abs(degrees(pitch))}° ${pitch < 0 ? "below" : "above"}; zoom ${Math.round((100 * zoom) / WHOLE)} %.`;
  };
  const turn = (dx, dy) => {
    yaw -= dx;
    pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, pitch + dy));
    redraw();
  };
  const enlarge = (factor) => {
    zoom = Math.max(0.3, Math.min(12, zoom * factor));
    redraw();
  };
  const look = (name) => {
    [yaw, pitch] = VIEWS[name];
    zoom = WHOLE;
    redraw();
    tell();
  };

  const pointers = new Map();
  canvas.addEventListener("pointerdown", (e) => {
    canvas.setPointerCapture(e.pointerId);
    pointers.set(e.pointerId, [e.clientX, e.clientY]);
  });
  canvas.addEventListener("pointermove", (e) => {
    const before = pointers.get(e.pointerId);
    if (!before) return;
    const now = [e.clientX, e.clientY];
    if (pointers.size === 1) turn((now[0] - before[0]) / 150, (now[1] - before[1]) / 150);
    else {
      const other = [...pointers].find(([id]) => id !== e.pointerId)[1];
      const apart = (p) => Math.max(1, Math.hypot(p[0] - other[0], p[1] - other[1]));
      enlarge(apart(now) / apart(before));
    }
    pointers.set(e.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (e) => {
    pointers.delete(e.pointerId);
    tell();
  });
  // Zooms only while the picture has the focus. Otherwise the wheel scrolls the page.
  canvas.addEventListener("wheel", (e) => {
    if (document.activeElement !== canvas) return;
    e.preventDefault();
    enlarge(Math.exp(-e.deltaY / 600));
    tell();
  }, { passive: false });
  const KEYS = { ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, -0.1),
    ArrowDown: () => turn(0, 0.1), "+": () => enlarge(1.15), "=": () => enlarge(1.15), "-": () => enlarge(1 / 1.15),
    Home: () => look("oblique"), 0: () => look("oblique") };
  canvas.addEventListener("keydown", (e) => {
    if (!KEYS[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    KEYS[e.key]();
    tell();
  });
  for (const button of document.querySelectorAll("button[data-view]"))
    button.addEventListener("click", () => look(button.dataset.view));
  for (const box of document.querySelectorAll("input[data-surface]"))
    box.addEventListener("change", () => {
      surfaces[Number(box.dataset.surface)].shown = box.checked;
      redraw();
    });
  new ResizeObserver(redraw).observe(canvas);
  tell();
  redraw();
})();
