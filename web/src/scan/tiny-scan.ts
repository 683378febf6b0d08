/** A NIfTI file of a few voxels of 0. */
export function tinyScan(isLabels: boolean): ArrayBuffer {
  const n = 4
  const bytes = isLabels ? 1 : 2
  const view = new DataView(new ArrayBuffer(352 + n ** 3 * bytes))
  view.setInt32(0, 348, true)
  ;[3, n, n, n, 1, 1, 1, 1].forEach((v, i) => view.setInt16(40 + 2 * i, v, true))
  view.setInt16(70, isLabels ? 2 : 4, true)
  view.setInt16(72, 8 * bytes, true)
  for (let i = 0; i < 4; i++) view.setFloat32(76 + 4 * i, 1, true)
  view.setFloat32(108, 352, true)
  view.setFloat32(112, 1, true)
  view.setInt16(254, 1, true)
  for (const at of [280, 300, 320]) view.setFloat32(at, 1, true)
  ;[0x6e, 0x2b, 0x31].forEach((v, i) => view.setUint8(344 + i, v))
  return view.buffer
}
