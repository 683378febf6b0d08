import type { NVImage } from '@niivue/niivue'
import type { ColourMap } from '../scan/colours'
import type { Plane, Point, Viewer } from '../scan/viewer'
import { Grid } from './grid'
import { History, type Stroke } from './history'

export type Brush = 'paint' | 'erase' | 'fill' | 'threshold'

export interface BrushSettings {
  brush: Brush
  /** Diameter in millimetres. */
  size: number
  label: number
  low: number
  high: number
}

type Voxel = [number, number, number]

/** The lesion map that the person edits. NiiVue shows it as its drawing. */
export class Drawing {
  readonly history = new History()
  private readonly grid: Grid
  private readonly spacing: Point
  private readonly hu: (fileIndex: number) => number
  private stroke: (Stroke & { seen: Set<number>; plane: Plane; last: Voxel | null }) | null = null

  constructor(
    private readonly viewer: Viewer,
    lesions: NVImage,
    colours: ColourMap,
    readonly settings: BrushSettings
  ) {
    const { nv, ct } = viewer
    if (!ct?.img || !ct.hdr || !lesions.img) throw new Error('The scan is not loaded.')
    this.grid = new Grid(ct)
    const map = new Grid(lesions)
    if (map.size.join() !== this.grid.size.join()) throw new Error('The lesion map is not on the grid of the scan.')
    const [, sx = 1, sy = 1, sz = 1] = ct.pixDimsRAS ?? []
    this.spacing = [sx, sy, sz]
    const { img } = ct
    const slope = ct.hdr.scl_slope || 1
    const offset = ct.hdr.scl_inter
    this.hu = (i) => (img[i] ?? 0) * slope + offset
    nv.drawLut = viewer.labelTable(colours)
    nv.refreshColormaps()
    nv.drawBitmap = map.toPicture(lesions.img as ArrayLike<number>)
    nv.drawTexture = nv.r8Tex(nv.drawTexture, nv.gl.TEXTURE7, [3, ...this.grid.size], true)
    this.upload([0, 0, 0], this.grid.size.map((n) => n - 1) as Voxel)
  }

  private get bitmap(): Uint8Array {
    const { drawBitmap } = this.viewer.nv
    if (!drawBitmap) throw new Error('There is no drawing.')
    return drawBitmap
  }

  setOpacity(opacity: number, isOutline: boolean): void {
    this.viewer.nv.drawRimOpacity = isOutline ? 1 : -1
    this.viewer.nv.setDrawOpacity(isOutline ? 0.02 : opacity)
  }

  /** The label at a point. */
  labelAt(mm: Point): number {
    const [x, y, z] = this.viewer.voxel(mm)
    return this.bitmap[this.grid.index(x, y, z)] ?? 0
  }

  start(plane: Plane, mm: Point): void {
    this.stroke = { indices: [], before: [], after: [], seen: new Set(), plane, last: null }
    this.move(mm)
  }

  /** Goes on with the stroke; returns false where a region cannot be filled. */
  move(mm: Point): void {
    const { stroke } = this
    if (!stroke || this.settings.brush === 'fill') return
    const at = this.viewer.voxel(mm) as Voxel
    const from = stroke.last ?? at
    // The pointer jumps between events. Discs along the way leave no gaps.
    const steps = Math.max(1, ...at.map((v, a) => Math.abs(v - (from[a] ?? v))))
    const low: Voxel = [...at]
    const high: Voxel = [...at]
    for (let i = 0; i <= steps; i++) {
      const t = i / steps
      this.disc(at.map((v, a) => Math.round((from[a] ?? v) * (1 - t) + v * t)) as Voxel, stroke, low, high)
    }
    stroke.last = at
    this.upload(low, high)
  }

  end(): void {
    if (this.stroke) this.history.push(this.stroke)
    this.stroke = null
  }

  private disc(centre: Voxel, stroke: NonNullable<typeof this.stroke>, low: Voxel, high: Voxel): void {
    const [u, v] = axesOf(stroke.plane)
    const radius = this.settings.size / 2
    const [du, dv] = [this.spacing[u], this.spacing[v]]
    const [ru, rv] = [Math.floor(radius / du), Math.floor(radius / dv)]
    const at: Voxel = [...centre]
    for (let j = -rv; j <= rv; j++) {
      for (let i = -ru; i <= ru; i++) {
        if ((i * du) ** 2 + (j * dv) ** 2 > radius ** 2) continue
        at[u] = centre[u] + i
        at[v] = centre[v] + j
        if (!this.isInside(at)) continue
        this.mark(at, stroke)
        for (const a of [u, v]) {
          low[a] = Math.min(low[a], at[a])
          high[a] = Math.max(high[a], at[a])
        }
      }
    }
  }

  private isInside(at: Voxel): boolean {
    return at.every((c, a) => c >= 0 && c < (this.grid.size[a] ?? 0))
  }

  private mark(at: Voxel, stroke: NonNullable<typeof this.stroke>): void {
    const { brush, label, low, high } = this.settings
    const i = this.grid.index(...at)
    if (stroke.seen.has(i)) return
    if (brush === 'threshold') {
      const hu = this.hu(this.grid.fileIndex(...at))
      if (hu < low || hu > high) return
    }
    this.set(i, brush === 'erase' ? 0 : label, stroke)
  }

  private set(i: number, value: number, stroke: NonNullable<typeof this.stroke>): void {
    const before = this.bitmap[i] ?? 0
    stroke.seen.add(i)
    if (before === value) return
    stroke.indices.push(i)
    stroke.before.push(before)
    stroke.after.push(value)
    this.bitmap[i] = value
  }

  /**
   * Fills the region of one slice around a point up to its border of other labels. Returns false if
   * the region is not closed, which means that it reaches the edge of the slice.
   */
  fill(plane: Plane, mm: Point): boolean {
    const [u, v] = axesOf(plane)
    const start = this.viewer.voxel(mm) as Voxel
    const value = this.bitmap[this.grid.index(...start)] ?? 0
    if (value === this.settings.label) return true
    const nu = this.grid.size[u]
    const nv = this.grid.size[v]
    const seen = new Uint8Array(nu * nv)
    const queue: number[] = [start[u] + nu * start[v]]
    seen[queue[0] ?? 0] = 1
    const found: number[] = []
    const at: Voxel = [...start]
    for (let k = queue.pop(); k !== undefined; k = queue.pop()) {
      const [i, j] = [k % nu, Math.floor(k / nu)]
      at[u] = i
      at[v] = j
      const index = this.grid.index(...at)
      if ((this.bitmap[index] ?? 0) !== value) continue
      if (i === 0 || j === 0 || i === nu - 1 || j === nv - 1) return false
      found.push(index)
      for (const next of [k - 1, k + 1, k - nu, k + nu]) {
        if (seen[next]) continue
        seen[next] = 1
        queue.push(next)
      }
    }
    const stroke = { indices: [], before: [], after: [], seen: new Set<number>(), plane, last: null }
    for (const index of found) this.set(index, this.settings.label, stroke)
    this.history.push(stroke)
    this.uploadStroke(stroke)
    return true
  }

  undo(): boolean {
    return this.replay(this.history.undo(), (s) => s.before)
  }

  redo(): boolean {
    return this.replay(this.history.redo(), (s) => s.after)
  }

  private replay(stroke: Stroke | null, values: (stroke: Stroke) => number[]): boolean {
    if (!stroke) return false
    const next = values(stroke)
    stroke.indices.forEach((index, k) => (this.bitmap[index] = next[k] ?? 0))
    this.uploadStroke(stroke)
    return true
  }

  private uploadStroke(stroke: Stroke): void {
    if (stroke.indices.length === 0) return
    const low: Voxel = [Infinity, Infinity, Infinity]
    const high: Voxel = [-1, -1, -1]
    for (const index of stroke.indices) {
      this.grid.voxel(index).forEach((c, a) => {
        low[a] = Math.min(low[a] ?? c, c)
        high[a] = Math.max(high[a] ?? c, c)
      })
    }
    this.upload(low, high)
  }

  // NiiVue's own refresh sends the whole map to the graphics card and searches it on the way. A
  // stroke changes a small box of it.
  private upload(low: Voxel, high: Voxel): void {
    const { nv } = this.viewer
    const size = low.map((l, a) => (high[a] ?? l) - l + 1) as Voxel
    const isWhole = size[0] * size[1] * size[2] === this.grid.length
    const part = isWhole ? this.bitmap : this.cut(low, size)
    const { gl } = nv
    gl.activeTexture(gl.TEXTURE7)
    gl.bindTexture(gl.TEXTURE_3D, nv.drawTexture)
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1)
    gl.texSubImage3D(gl.TEXTURE_3D, 0, ...low, ...size, gl.RED, gl.UNSIGNED_BYTE, part)
    nv.drawScene()
  }

  private cut(low: Voxel, size: Voxel): Uint8Array {
    const part = new Uint8Array(size[0] * size[1] * size[2])
    let k = 0
    for (let z = low[2]; z < low[2] + size[2]; z++) {
      for (let y = low[1]; y < low[1] + size[1]; y++) {
        const row = this.grid.index(low[0], y, z)
        part.set(this.bitmap.subarray(row, row + size[0]), k)
        k += size[0]
      }
    }
    return part
  }

  /** The map in the order of the file. */
  voxels(): Uint8Array {
    return this.grid.toFile(this.bitmap)
  }

  close(): void {
    this.viewer.nv.closeDrawing()
    this.viewer.nv.drawScene()
  }
}

/** The axes within a plane. */
function axesOf(plane: Plane): [0 | 1, 1 | 2] {
  return plane === 0 ? [0, 1] : plane === 1 ? [0, 2] : [1, 2]
}
