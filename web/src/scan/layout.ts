export type View = 'four' | 'axial' | 'coronal' | 'sagittal' | '3d'

export const VIEWS: readonly (readonly [View, string])[] = [
  ['four', 'Four views'],
  ['axial', 'Axial'],
  ['coronal', 'Coronal'],
  ['sagittal', 'Sagittal'],
  ['3d', '3D']
]

interface SliceTypes {
  AXIAL: number
  CORONAL: number
  SAGITTAL: number
  RENDER: number
}

interface Tile {
  sliceType: number
  position: [left: number, top: number, width: number, height: number]
}

/** Tiles as shares of the canvas. Axial slices are what radiologists read, so they get most room. */
export function layoutFor(view: View, aspect: number, types: SliceTypes): Tile[] {
  const whole: Tile['position'] = [0, 0, 1, 1]
  const single = { axial: types.AXIAL, coronal: types.CORONAL, sagittal: types.SAGITTAL, '3d': types.RENDER }
  if (view !== 'four') return [{ sliceType: single[view], position: whole }]
  if (aspect >= 1.15) {
    const left = 0.6
    const gap = 0.004
    const right = 1 - left - gap
    const third = (1 - 2 * gap) / 3
    return [
      { sliceType: types.AXIAL, position: [0, 0, left, 1] },
      { sliceType: types.CORONAL, position: [left + gap, 0, right, third] },
      { sliceType: types.SAGITTAL, position: [left + gap, third + gap, right, third] },
      { sliceType: types.RENDER, position: [left + gap, 2 * (third + gap), right, third] }
    ]
  }
  return [
    { sliceType: types.AXIAL, position: [0, 0, 0.5, 0.5] },
    { sliceType: types.CORONAL, position: [0.504, 0, 0.496, 0.5] },
    { sliceType: types.SAGITTAL, position: [0, 0.504, 0.5, 0.496] },
    { sliceType: types.RENDER, position: [0.504, 0.504, 0.496, 0.496] }
  ]
}
