// Opens a study in OHIF in Chromium and looks at the pixels of its viewport.
//
//   node look.mjs URL STUDY_UID OUT
//
// URL is where serve.mjs serves OHIF, OUT the folder for screenshots. The variable PACKAGES names the
// folder that has node_modules/playwright-core, and CHROMIUM the browser.
//
// 1. The CT is shown first, in grey.
// 2. The segmentation is opened as a reader opens it. Every segment's pixels then have its colour, and
//    they lie where the segmentation's frames have them. segmentation.mjs decodes these frames.
// 3. The secondary capture is opened and has colour.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { readSegmentation } from "./segmentation.mjs";

const [url, study, out] = process.argv.slice(2);
if (!out) {
  console.error("usage: node look.mjs URL STUDY_UID OUT");
  process.exit(2);
}
const { chromium } = createRequire(path.resolve(process.env.PACKAGES ?? ".", "package.json"))("playwright-core");
mkdirSync(out, { recursive: true });

// Software rendering on busy cores takes its time.
const PATIENCE_S = Number(process.env.PATIENCE_S ?? 300);
// Largest difference of a pixel's channels that counts as grey.
const GREY = 8;
// The same for the colours of the secondary capture, whose background is a dark blue.
const VIVID = 60;
// Largest distance of hues, in degrees.
const HUE_TOLERANCE = 12;
// Smallest intersection over union of coloured pixels and segments, and share of pixels with the right hue.
const OVERLAP = 0.95;
// A segment with fewer pixels than this on a picture is not judged.
const FEW = 40;

const begin = Date.now();
const say = (text) => console.log(`${((Date.now() - begin) / 1000).toFixed(0).padStart(4)} s  ${text}`);
const percent = (share) => `${(100 * share).toFixed(1)}%`;

class Failure extends Error {}
function check(holds, message) {
  if (!holds) throw new Failure(message);
}

async function until(what, poll, pause = 500) {
  const end = Date.now() + PATIENCE_S * 1000;
  for (;;) {
    const found = await poll();
    if (found) return found;
    check(Date.now() < end, `waited ${PATIENCE_S} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

// Pixels of a canvas.

class Picture {
  constructor({ width, height, data, ...rest }) {
    Object.assign(this, rest, { width, height, data: Buffer.from(data, "base64") });
  }
  get size() {
    return this.width * this.height;
  }
  rgb(i) {
    return this.data.subarray(4 * i, 4 * i + 3);
  }
  chroma(i) {
    const [r, g, b] = this.rgb(i);
    return Math.max(r, g, b) - Math.min(r, g, b);
  }
  count(holds) {
    let n = 0;
    for (let i = 0; i < this.size; i++) n += holds(i) ? 1 : 0;
    return n;
  }
  coloured() {
    return this.count((i) => this.chroma(i) > GREY);
  }
  lit() {
    return this.count((i) => Math.max(...this.rgb(i)) > 16);
  }
  levels() {
    const seen = new Set();
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < this.size; i++) {
      const grey = this.data[4 * i];
      seen.add(grey);
      sum += grey;
      squares += grey * grey;
    }
    const mean = sum / this.size;
    return { distinct: seen.size, deviation: Math.sqrt(squares / this.size - mean * mean) };
  }
  // The position in LPS of a pixel's centre.
  world(i) {
    const x = (i % this.width) + 0.5;
    const y = Math.floor(i / this.width) + 0.5;
    return this.origin.map((o, k) => o + x * this.alongX[k] + y * this.alongY[k]);
  }
}

// Hue in degrees. Blending with grey does not change it.
function hue([r, g, b]) {
  const [max, min] = [Math.max(r, g, b), Math.min(r, g, b)];
  if (max === min) return NaN;
  const sixth =
    max === r ? (g - b) / (max - min) : max === g ? 2 + (b - r) / (max - min) : 4 + (r - g) / (max - min);
  return (sixth * 60 + 360) % 360;
}
function hueDistance(a, b) {
  const d = Math.abs(a - b) % 360;
  return Math.min(d, 360 - d);
}

// The page.

let page;
const shoot = async (name) => {
  await page.screenshot({ path: path.join(out, `${name}.png`) });
  say(`screenshot ${name}.png`);
};

// What the active viewport shows, with the pixels of its canvas once it has one.
const state = () =>
  page.evaluate(() => {
    const services = window.services;
    if (!services?.viewportGridService) return null;
    const id = services.viewportGridService.getState().activeViewportId;
    const viewport = services.cornerstoneViewportService?.getCornerstoneViewport(id);
    const canvas = viewport?.getCanvas?.();
    const imageId = viewport?.getCurrentImageId?.();
    const shown = (services.viewportGridService.getDisplaySetsUIDsForViewport(id) ?? [])
      .map((uid) => services.displaySetService.getDisplaySetByUID(uid))
      .filter((set) => set)
      .map((set) => ({ modality: set.Modality, series: set.SeriesInstanceUID, description: set.SeriesDescription }));
    if (!canvas?.width || !imageId) return { shown };
    const instance = /\/instances\/([0-9.]+)/.exec(imageId)?.[1];
    const result = { shown, instance, width: canvas.width, height: canvas.height };
    const ratio = canvas.clientWidth / canvas.width;
    const at = (x, y) => Array.from(viewport.canvasToWorld([x * ratio, y * ratio]));
    result.origin = at(0, 0);
    result.alongX = at(1000, 0).map((v, k) => (v - result.origin[k]) / 1000);
    result.alongY = at(0, 1000).map((v, k) => (v - result.origin[k]) / 1000);
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) {
      text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    }
    result.data = btoa(text);
    return result;
  });

// A picture of the viewport that no longer changes, once `ready` holds for what it shows.
async function picture(what, ready) {
  let last;
  let problem = "nothing is shown";
  try {
    return await until(what, async () => {
      // The page's objects are incomplete while OHIF sets up a viewport.
      const now = await state().catch((error) => {
        if (page.isClosed()) throw error;
        problem = error.message.split("\n")[0];
        return null;
      });
      const found = now?.data ? new Picture(now) : null;
      if (now?.shown.length) {
        const shown = now.shown.map((s) => `${s.modality} "${s.description}"`).join(", ");
        problem = `the viewport shows ${shown}, ${found ? `image ${found.instance}, ${found.coloured()} pixels with colour` : "without a picture"}`;
      }
      const same = found && last && found.instance === last.instance && found.data.equals(last.data);
      last = found;
      return same && ready(found) ? found : null;
    }, 1500);
  } catch (error) {
    if (error instanceof Failure) error.message += ` (${problem})`;
    throw error;
  }
}

async function scrollTo(instance) {
  const found = await page.evaluate((instance) => {
    const { viewportGridService, cornerstoneViewportService } = window.services;
    const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getState().activeViewportId);
    const imageIndex = viewport.getImageIds().findIndex((id) => id.includes(`/instances/${instance}/`));
    if (imageIndex >= 0) window.cornerstone.utilities.jumpToSlice(viewport.element, { imageIndex });
    return imageIndex >= 0;
  }, instance);
  check(found, `the viewport does not hold slice ${instance}, to which the segmentation refers`);
}

const thumbnail = (modality) =>
  page
    .locator('[data-cy="study-browser-thumbnail"], [data-cy="study-browser-thumbnail-no-image"]')
    .filter({ has: page.locator('[data-cy="series-modality-label"]', { hasText: new RegExp(`^\\s*${modality}\\s*$`) }) });

// The looks.

async function lookAtCt(segmentation) {
  const first = await picture("a slice of the CT", (p) => p.lit() > 0.02 * p.size);
  await until("the segmentation in the list of series", async () => (await thumbnail("SEG").count()) > 0);
  await shoot("1-first");
  check(
    first.shown.length === 1 && first.shown[0].modality === "CT",
    `the study opens with ${first.shown.map((s) => `${s.modality} "${s.description}"`).join(", ")} and not with the CT`,
  );
  check(
    first.shown[0].series === segmentation.source,
    `the study opens with series ${first.shown[0].series}, but the segmentation refers to ${segmentation.source}`,
  );
  const { distinct, deviation } = first.levels();
  check(distinct >= 24 && deviation >= 12, `the CT is flat: ${distinct} levels of grey, deviation ${deviation.toFixed(1)}`);
  check(first.coloured() === 0, `${first.coloured()} pixels have colour before anything is opened`);
  say(`the CT is shown first: ${distinct} levels of grey, deviation ${deviation.toFixed(1)}, no colour`);
}

async function shownSlice(what, instance) {
  await scrollTo(instance);
  return picture(what, (p) => p.instance === instance);
}

// Maps the HU of `range` to black and white. Returns the range that was shown before.
const setWindow = (range) =>
  page.evaluate((voiRange) => {
    const { viewportGridService, cornerstoneViewportService } = window.services;
    const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getState().activeViewportId);
    const before = viewport.getProperties().voiRange;
    viewport.setProperties({ voiRange });
    viewport.render();
    return before && { lower: before.lower, upper: before.upper };
  }, range);

// The lungs of the segmentation are the dark parts of the picture. Without this, a mask that is mirrored
// or moved in the file would pass, because the other looks compare the viewer with the file.
function checkLungsAreDark(plain, sets, lungs) {
  const reach = 8;
  const [inside, around] = [[], []];
  for (let i = 0; i < plain.size; i++) {
    const x = i % plain.width;
    const lungAt = (dx, dy) => x + dx >= 0 && x + dx < plain.width && (sets[i + dx + dy * plain.width] & lungs) !== 0;
    if (lungAt(0, 0)) {
      // Lesions are not dark.
      if ((sets[i] & ~lungs) === 0) inside.push(plain.data[4 * i]);
    } else if (lungAt(reach, 0) || lungAt(-reach, 0) || lungAt(0, reach) || lungAt(0, -reach)) {
      around.push(plain.data[4 * i]);
    }
  }
  const mean = (list) => list.reduce((sum, v) => sum + v, 0) / list.length;
  const [lung, tissue] = [mean(inside), mean(around)];
  const level = (lung + tissue) / 2;
  const dark = inside.filter((v) => v < level).length / inside.length;
  const bright = around.filter((v) => v >= level).length / around.length;
  const line =
    `grey ${lung.toFixed(0)}, and ${tissue.toFixed(0)} around them; ${percent(dark)} of their pixels are darker ` +
    `than the mean of both, ${percent(bright)} of those around them are brighter`;
  check(tissue > lung + 20 && dark >= 0.85 && bright >= 0.8, `the segmented lungs are not the dark parts of the CT: ${line}`);
  say(`the segmented lungs are the dark parts of the CT: ${line}`);
}

// The pixels with colour are those where `sets` has one of `segments`; those that belong to one segment
// alone have its hue. Returns the share of each segment's pixels on the left half of the picture.
function checkColours(what, shown, sets, segments) {
  const wanted = segments.reduce((mask, s) => mask | s.bit, 0);
  const expected = shown.count((i) => (sets[i] & wanted) !== 0);
  const both = shown.count((i) => (sets[i] & wanted) !== 0 && shown.chroma(i) > GREY);
  const coloured = shown.coloured();
  const overlap = both / (expected + coloured - both);
  check(
    overlap >= OVERLAP,
    `${what}: ${coloured} pixels have colour, the segmentation has ${expected} there, and ${both} are common ` +
      `(intersection over union ${percent(overlap)}, wanted ${percent(OVERLAP)})`,
  );
  say(`${what}: ${coloured} pixels have colour, ${expected} are in the segmentation, intersection over union ${percent(overlap)}`);
  const left = new Map();
  for (const segment of segments) {
    let [own, right, onLeft, sumX, sumY] = [0, 0, 0, 0, 0];
    for (let i = 0; i < shown.size; i++) {
      if ((sets[i] & wanted) !== segment.bit) continue;
      own += 1;
      // The hue as a vector, for the mean of the message.
      const found = hue(shown.rgb(i));
      right += hueDistance(found, segment.hue) <= HUE_TOLERANCE ? 1 : 0;
      if (!Number.isNaN(found)) {
        sumX += Math.cos((found * Math.PI) / 180);
        sumY += Math.sin((found * Math.PI) / 180);
      }
      onLeft += i % shown.width < shown.width / 2 ? 1 : 0;
    }
    if (own < FEW) continue;
    const mean = ((Math.atan2(sumY, sumX) * 180) / Math.PI + 360) % 360;
    const line = `"${segment.label}" has hue ${mean.toFixed(0)}° (its colour: ${segment.hue.toFixed(0)}°) in ${percent(right / own)} of ${own} pixels`;
    check(right >= OVERLAP * own, `${what}: ${line}`);
    say(`${what}: ${line}`);
    left.set(segment.number, onLeft / own);
  }
  return left;
}

function checkSides(left, { right, left: leftLung }) {
  const [r, l] = [left.get(right.number), 1 - left.get(leftLung.number)];
  check(r >= 0.85, `only ${percent(r)} of the right lung's colour lie on the left half of the picture`);
  check(l >= 0.85, `only ${percent(l)} of the left lung's colour lie on the right half of the picture`);
  say(`${percent(r)} of the right lung's colour lie on the picture's left half, ${percent(l)} of the left lung's on its right half`);
}

// Where lesion and lung overlap, the reader sees a blend that differs from the lung's colour.
function checkLesionStandsOut(shown, sets, { lungs, lesion }) {
  let [all, differs] = [0, 0];
  for (let i = 0; i < shown.size; i++) {
    if (!(sets[i] & lesion.bit)) continue;
    all += 1;
    const found = hue(shown.rgb(i));
    differs += lungs.every((lung) => hueDistance(found, lung.hue) > 3 * HUE_TOLERANCE) ? 1 : 0;
  }
  check(differs >= OVERLAP * all, `the lesion looks like lung in ${percent(1 - differs / all)} of its ${all} pixels`);
  say(`the lesion's colour differs from the lungs' in ${percent(differs / all)} of its ${all} pixels`);
}

// Lets the viewport show `segments` alone.
const showOnly = (segments) =>
  page.evaluate((numbers) => {
    const { segmentationService, viewportGridService } = window.services;
    const viewport = viewportGridService.getState().activeViewportId;
    const { segmentationId, type, segments } = segmentationService.getSegmentationRepresentations(viewport)[0];
    for (const index of Object.keys(segments).map(Number)) {
      segmentationService.setSegmentVisibility(viewport, segmentationId, index, numbers.includes(index), type);
    }
  }, segments.map((s) => s.number));

async function lookAtSegmentation(segmentation) {
  const { segments } = segmentation;
  const { lungs, lesion } = segmentation.slices();
  const plain = await shownSlice("the slice with the most lung", lungs);
  await shoot("2-lungs-before");
  check(plain.coloured() === 0, `${plain.coloured()} pixels have colour before the segmentation is opened`);
  const lungSets = segmentation.setsAt(lungs, plain);
  // In a window for soft tissue, the fat around the lungs is dark as well.
  const range = await setWindow({ lower: -1000, upper: 0 });
  const wide = await picture("a window for lungs", (p) => !p.data.equals(plain.data));
  await shoot("2-lungs-window");
  checkLungsAreDark(wide, lungSets, segmentation.lungs.reduce((mask, s) => mask | s.bit, 0));
  await setWindow(range);
  const plainLesion = await shownSlice("the slice with the most lesion", lesion);
  check(plainLesion.coloured() === 0, `${plainLesion.coloured()} pixels have colour before the segmentation is opened`);

  await thumbnail("SEG").first().dblclick();
  await page.locator('button:has-text("Yes")').first().click();
  await picture("coloured pixels after the segmentation was opened", (p) => p.coloured() > 0);
  say("the segmentation was opened by double click and Yes");
  await shoot("3-opened");

  const shownLungs = await shownSlice("the slice with the most lung", lungs);
  await shoot("4-lungs");
  const sides = checkColours("slice of the lungs", shownLungs, lungSets, segments);
  checkSides(sides, segmentation);
  const shownLesion = await shownSlice("the slice with the most lesion", lesion);
  await shoot("5-lesion");
  const lesionSets = segmentation.setsAt(lesion, shownLesion);
  checkColours("slice of the lesion", shownLesion, lesionSets, segments);
  checkLesionStandsOut(shownLesion, lesionSets, segmentation);

  // Colours of overlapping segments blend, so each is looked at alone as well.
  let before = shownLesion.data;
  for (const segment of segments) {
    const what = `"${segment.label}" alone`;
    if (shownLesion.count((i) => (lesionSets[i] & segment.bit) !== 0) < FEW) {
      check(segment !== segmentation.lesion, `the lesion has fewer than ${FEW} pixels on its largest slice`);
      say(`${what}: fewer than ${FEW} pixels, not looked at`);
      continue;
    }
    await showOnly([segment]);
    const alone = await picture(`${what}: the other segments vanish`, (p) => !p.data.equals(before));
    before = alone.data;
    await shoot(`6-segment-${segment.number}`);
    checkColours(what, alone, lesionSets, [segment]);
  }
  await showOnly(segments);
}

async function lookAtCapture() {
  await thumbnail("OT").first().dblclick();
  const capture = await picture("the secondary capture", (p) => p.shown.some((s) => s.modality === "OT") && p.lit() > 0.02 * p.size);
  await shoot("7-capture");
  const [lit, coloured] = [capture.lit() / capture.size, capture.count((i) => capture.chroma(i) > VIVID) / capture.size];
  check(lit > 0.1, `the secondary capture is black: only ${percent(lit)} of its pixels are not`);
  check(coloured > 0.002, `the secondary capture has no colour: only ${percent(coloured)} of its pixels do`);
  say(`the secondary capture is shown: ${percent(lit)} of the pixels are not black, ${percent(coloured)} have colour`);
}

async function main() {
  const segmentation = await readSegmentation(`${url}/dicom-web/studies/${study}`);
  for (const s of segmentation.segments) {
    s.hue = hue(s.rgb);
    say(`segment ${s.number} "${s.label}": rgb(${s.rgb}), hue ${s.hue.toFixed(0)}°, ${s.frames} frames`);
  }
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
    timeout: PATIENCE_S * 1000,
  });
  try {
    page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(PATIENCE_S * 1000);
    page.on("pageerror", (error) => say(`the page reports: ${error.message.split("\n")[0]}`));
    // OHIF leads new users around; the handler is for a tour of another name.
    await page.addInitScript(() => localStorage.setItem("shownTours", JSON.stringify(["basicViewerTour"])));
    await page.addLocatorHandler(page.getByText("Skip all"), (button) => button.click());
    await page.goto(`${url}/viewer?StudyInstanceUIDs=${study}`);
    await lookAtCt(segmentation);
    await lookAtSegmentation(segmentation);
    await lookAtCapture();
  } catch (error) {
    if (page) await shoot("failed").catch(() => {});
    throw error;
  } finally {
    await browser.close();
  }
  say("OHIF shows the CT, the segmentation in its colours and places, and the secondary capture");
}

main().catch((error) => {
  console.error(`FAILED: ${error.message}`);
  if (!(error instanceof Failure)) console.error(error.stack);
  process.exit(1);
});
