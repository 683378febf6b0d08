// Colours of Okabe and Ito, which people with any colour vision can tell apart.

export type Rgb = readonly [number, number, number]

export const COLOURS = {
  lesion: [230, 159, 0] as Rgb,
  ground_glass: [86, 180, 233] as Rgb,
  consolidation: [230, 159, 0] as Rgb,
  lungs: [0, 158, 115] as Rgb
}

export interface ColourMap {
  R: number[]
  G: number[]
  B: number[]
  A: number[]
  I: number[]
  labels?: string[]
}

/** Colours of labels 0 (transparent), 1, 2, … */
export function labelMap(entries: readonly (readonly [label: string, colour: Rgb])[]): ColourMap {
  const all = [['', [0, 0, 0]], ...entries] as [string, Rgb][]
  return {
    R: all.map(([, c]) => c[0]),
    G: all.map(([, c]) => c[1]),
    B: all.map(([, c]) => c[2]),
    A: all.map((_, i) => (i === 0 ? 0 : 255)),
    I: all.map((_, i) => i),
    labels: all.map(([label]) => label)
  }
}

// Both scales rise evenly in lightness. Low values are transparent, so the CT stays readable.
const STOPS = [0, 64, 128, 192, 255]
const FADE = [0, 110, 190, 225, 255]

export const PROBABILITY_MAP: ColourMap = {
  R: [68, 59, 33, 94, 253],
  G: [1, 82, 145, 201, 231],
  B: [84, 139, 140, 98, 37],
  A: FADE,
  I: STOPS
}

export const HEAT_MAP: ColourMap = {
  R: [0, 87, 188, 249, 252],
  G: [0, 16, 55, 142, 255],
  B: [4, 110, 84, 9, 164],
  A: FADE,
  I: STOPS
}

/**
 * The grey scale of the CT. Its opacity matters in 3D only: bone shows, and soft tissue and air are
 * transparent, so that the lungs and lesions within the chest are seen.
 */
export function ctMap(low: number, high: number): ColourMap {
  const bone = 200
  const index = Math.round((255 * (bone - low)) / Math.max(1, high - low))
  if (index >= 254) return { R: [0, 254, 255], G: [0, 254, 255], B: [0, 254, 255], A: [0, 0, 40], I: [0, 254, 255] }
  const at = Math.max(1, index)
  return { R: [0, at, 255], G: [0, at, 255], B: [0, at, 255], A: [0, 0, 60], I: [0, at, 255] }
}

export function lesionMap(hasKinds: boolean): ColourMap {
  if (!hasKinds) return labelMap([['lesion', COLOURS.lesion]])
  return labelMap([
    ['ground glass', COLOURS.ground_glass],
    ['consolidation', COLOURS.consolidation]
  ])
}
