// Reads a study's segmentation by DICOMweb: codes, colours and the bits of its frames.

// SNOMED CT codes of the segments.
const [LUNG, LESION, RIGHT, LEFT] = ["39607008", "52988006", "24028007", "7771000"];

const values = (set, tag) => set?.[tag]?.Value ?? [];
const value = (set, tag) => values(set, tag)[0];
const numbers = (set, tag) => values(set, tag).map(Number);

async function json(url) {
  const answer = await fetch(url, { headers: { Accept: "application/dicom+json" } });
  if (!answer.ok) throw new Error(`${url}: HTTP ${answer.status}`);
  return answer.json();
}

// The sRGB colour of a RecommendedDisplayCIELabValue: 16-bit L*, a*, b* under D50 (PS3.3 C.10.7.1.1).
export function rgbFromCielab([l, a, b]) {
  const fy = ((l / 65535) * 100 + 16) / 116;
  const fx = fy + ((a / 65535) * 255 - 128) / 500;
  const fz = fy - ((b / 65535) * 255 - 128) / 200;
  const linear = (t) => (t > 6 / 29 ? t ** 3 : 3 * (6 / 29) ** 2 * (t - 4 / 29));
  const [x, y, z] = [0.96422 * linear(fx), linear(fy), 0.82521 * linear(fz)];
  // XYZ under D50 to linear sRGB (Bradford).
  return [
    3.1338561 * x - 1.6168667 * y - 0.4906146 * z,
    -0.9787684 * x + 1.9161415 * y + 0.033454 * z,
    0.0719453 * x - 0.2289914 * y + 1.4052427 * z,
  ]
    .map((c) => Math.min(1, Math.max(0, c)))
    .map((c) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055))
    .map((c) => Math.round(255 * c));
}

// The value of PixelData in a DICOM file of Explicit VR Little Endian, of which it is the last element.
function pixelData(file, length) {
  for (const vr of ["OB", "OW"]) {
    const header = Buffer.from([0xe0, 0x7f, 0x10, 0x00, ...Buffer.from(vr), 0, 0, 0, 0, 0, 0]);
    header.writeUInt32LE(length, 8);
    const at = file.indexOf(header);
    if (at >= 0) return file.subarray(at + header.length, at + header.length + length);
  }
  throw new Error(`the segmentation has no PixelData of ${length} bytes in Explicit VR Little Endian`);
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export async function readSegmentation(study) {
  const series = await json(`${study}/series?Modality=SEG`);
  if (series.length !== 1) throw new Error(`the study has ${series.length} series of segmentations`);
  const uid = value(series[0], "0020000E");
  const metadata = await json(`${study}/series/${uid}/metadata`);
  if (metadata.length !== 1) throw new Error(`the series has ${metadata.length} segmentations`);
  const set = metadata[0];
  const instance = value(set, "00080018");
  const [rows, columns] = [value(set, "00280010"), value(set, "00280011")];
  const perFrame = values(set, "52009230");
  const answer = await fetch(`${study}/series/${uid}/instances/${instance}`, {
    headers: { Accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' },
  });
  if (!answer.ok) throw new Error(`WADO-RS of the segmentation: HTTP ${answer.status}`);
  const length = 2 * Math.ceil((perFrame.length * rows * columns) / 16);
  const bits = pixelData(Buffer.from(await answer.arrayBuffer()), length);
  const shared = value(set, "52009229");
  const [spacingY, spacingX] = numbers(value(shared, "00289110"), "00280030");
  const orientation = numbers(value(shared, "00209116"), "00200037");
  const segments = values(set, "00620002").map((segment) => {
    const type = value(segment, "0062000F");
    return {
      number: value(segment, "00620004"),
      label: value(segment, "00620005"),
      type: value(type, "00080100"),
      side: value(value(type, "00620011"), "00080100"),
      rgb: rgbFromCielab(numbers(segment, "0062000D")),
      bit: 1 << (value(segment, "00620004") - 1),
      frames: 0,
    };
  });
  // The frames of each source slice.
  const frames = new Map();
  perFrame.forEach((frame, index) => {
    const source = value(value(value(frame, "00089124"), "00082112"), "00081155");
    if (!source) throw new Error(`frame ${index + 1} of the segmentation refers to no slice`);
    const number = value(value(frame, "0062000A"), "0062000B");
    const segment = segments.find((s) => s.number === number);
    segment.frames += 1;
    if (!frames.has(source)) frames.set(source, []);
    frames.get(source).push({ index, segment, position: numbers(value(frame, "00209113"), "00200032") });
  });
  const bit = (frame, pixel) => {
    const at = frame * rows * columns + pixel;
    return (bits[at >> 3] >> (at & 7)) & 1;
  };
  // For each pixel of a source slice, the segments that hold it, as a sum of their bits.
  const sets = (source) => {
    const found = new Uint8Array(rows * columns);
    for (const { index, segment } of frames.get(source)) {
      for (let i = 0; i < found.length; i++) if (bit(index, i)) found[i] |= segment.bit;
    }
    return found;
  };
  const source = value(value(set, "00081115"), "0020000E");
  if (!source) throw new Error("the segmentation refers to no series");
  const find = (what, holds) => {
    const found = segments.find(holds);
    if (!found?.frames) throw new Error(`the segmentation has no voxels of ${what} (take another scan)`);
    return found;
  };
  const right = find("the right lung", (s) => s.type === LUNG && s.side === RIGHT);
  const left = find("the left lung", (s) => s.type === LUNG && s.side === LEFT);
  const lesion = find("a lesion", (s) => s.type === LESION);
  return {
    // The series to which the segmentation refers.
    source,
    segments,
    right,
    left,
    lungs: [right, left],
    lesion,
    // SOP Instance UIDs of the slice where the smaller lung is largest, and of that with the most lesion.
    slices() {
      const best = { lungs: 0, lesion: 0 };
      const slices = { lungs: null, lesion: null };
      for (const source of frames.keys()) {
        const count = { right: 0, left: 0, lesion: 0 };
        for (const value of sets(source)) {
          count.right += value === right.bit;
          count.left += value === left.bit;
          count.lesion += (value & lesion.bit) !== 0;
        }
        const sizes = { lungs: Math.min(count.right, count.left), lesion: count.lesion };
        for (const what of Object.keys(best)) {
          if (sizes[what] > best[what]) [best[what], slices[what]] = [sizes[what], source];
        }
      }
      if (!slices.lungs) throw new Error("no slice has both lungs");
      return slices;
    },
    // For each pixel of a picture of a slice, the segments that hold its position.
    setsAt(source, picture) {
      const found = sets(source);
      const origin = frames.get(source)[0].position;
      const result = new Uint8Array(picture.size);
      for (let i = 0; i < result.length; i++) {
        const offset = picture.world(i).map((v, k) => v - origin[k]);
        const column = Math.round(dot(offset, orientation.slice(0, 3)) / spacingX);
        const row = Math.round(dot(offset, orientation.slice(3)) / spacingY);
        if (column >= 0 && column < columns && row >= 0 && row < rows) result[i] = found[row * columns + column];
      }
      return result;
    },
  };
}
